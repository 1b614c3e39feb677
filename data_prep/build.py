"""Writes a rating data set: user names hashed, users split, histories made, cold films kept back, all or nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from data_prep.arrange import ArrangedRatings
from data_prep.card import CARD_TAG, DatasetCard, SplitCounts
from data_prep.errors import UserError
from data_prep.folders import digest_files, new_folder, write_shards
from data_prep.partition import Partition, UserIndex
from data_prep.progress import tracked
from data_prep.read_ratings import RatingsFile
from data_prep.report import DUPLICATE_RATING, BuildReport
from data_prep.rows import Batch, make_records
from data_prep.schema import FILMS_SCHEMA, FLAGS, MISSING_DATE, normalise_films
from data_prep.side_tables import REVIEWS, REWATCHES, arrange_side_table, write_side_table
from data_prep.split_writer import SplitWriter
from data_prep.splits import choose_cold_films, fold_splits, split_users
from data_prep.user_keys import user_key

ROWS_PER_BATCH = 1_000_000


def write_dataset(
    out: Path,
    films: pl.DataFrame,
    ratings: pl.DataFrame | RatingsFile,
    *,
    source: str,
    splits: Mapping[str, float],
    seed: int = 0,
    cold_films: int = 0,
    fold: tuple[int, int] | None = None,
    report: BuildReport | None = None,
    strict: bool = False,
    overwrite: bool = True,
    rewatches: pl.DataFrame | None = None,
    reviews: pl.DataFrame | None = None,
) -> DatasetCard:
    """Write a rating data set folder, whole or not at all.

    The folder is made beside `out` and takes its place when it is complete. The same input, seed and user key give the
    same bytes. Rows of one user keep their order within one day (and altogether when they have no dates).

    Args:
        out: the folder to make. An existing data set there is replaced once the new one is whole.
        films: one row a film; columns of `FILM_COLUMNS`, all but `film_id` optional. Row number = film index.
        ratings: `user_id` (names: strings, categories or integers), `film_id`, `rating` (1 to 10), and where known
            `date` (pl.Date), `liked`, `rewatch`, `reviewed`. One row per user and film, without nulls in the first
            three. Or a file, which is read batch by batch, so that it may be larger than the memory; the rows of it
            that cannot be right are left out.
        source: where the ratings come from, in words for the card. No paths of this machine.
        splits: share of users for train, validation and test, summing to 1. Ignored with `fold`.
        seed: seed of the splits and of the choice of cold films.
        cold_films: how many films to keep back (see `choose_cold_films`).
        fold: (I, K) makes fold I of K the test set (see `fold_splits`).
        report: what was left out, for the card; what is left out here is added.
        strict: make any row that was left out an error.
        overwrite: False makes an existing data set at `out` an error.
        rewatches: earlier ratings, of the columns of `ratings`; any number per user and film (see `split_rewatches`).
        reviews: `user_id`, `film_id` and where known `date`, `rating`, `text`. Of rewatches and reviews those by users
            without a rating are left out, and those of cold films by training users.

    Returns:
        DatasetCard: the card, with the counts of every split.

    Raises:
        UserError: when `out` is something other than a data set, or cannot be written, or there are too few users or
            films; for a file that cannot be read; and with `strict` for any row left out.
        ValueError: when `ratings` breaks the promises above.
    """
    out = check_replaceable(out, overwrite=overwrite)
    report = BuildReport() if report is None else report
    films = normalise_films(films)
    film_ids = films["film_id"].to_list()
    if len(set(film_ids)) < len(film_ids):
        raise ValueError("two films have one film_id")
    with new_folder(out) as folder, tempfile.TemporaryDirectory(dir=folder) as place:
        if isinstance(ratings, RatingsFile):
            batches = ratings.batches(film_ids, report)
        else:
            batches = _batches(ratings, film_ids)
        users, partition = _partition(batches, Path(place))
        if not len(users):
            raise UserError(f"{source}: no rating is left to make a data set of")
        assignment = fold_splits(users.names, fold, seed) if fold else split_users(users.names, splits, seed)
        arranged = ArrangedRatings(users, assignment, partition, film_ids, Path(place))
        if isinstance(ratings, RatingsFile):
            report.reject(ratings.path.name, DUPLICATE_RATING, arranged.repeated, arranged.first_repeated)
        elif arranged.repeated:
            raise ValueError(f"{arranged.repeated} rows repeat user and film: {arranged.first_repeated}")
        cold = np.zeros(len(films), dtype=bool)
        if cold_films:
            cold = choose_cold_films(films["film_group"].to_list(), arranged.film_counts, cold_films, seed)
        places = pl.DataFrame(
            {"user_id": users.names, "hash": users.hashes.astype(str), "split": assignment, "place": arranged.places}
        )
        side_tables = [
            (table, arrange_side_table(table, rows, places, films, cold, report))
            for table, rows in ((REWATCHES, rewatches), (REVIEWS, reviews))
            if rows is not None
        ]
        if strict:
            report.check_strict()
        card = DatasetCard(
            source=source,
            films=len(films),
            seed=seed,
            cold_films=cold_films,
            fold=fold,
            splits=_write_ratings(folder, arranged, film_ids, cold),
            has_dates=arranged.has_dates,
            left_out={key: item.count for key, item in report.rejections.items()},
            notes=list(report.notes),
        )
        _write_films(folder, films)
        for table, parts in side_tables:
            for split, counts in card.splits.items():
                write_side_table(folder, table, split, parts[split])
                setattr(counts, table.name, len(parts[split]))
        card.digests = {config: digest_files(folder / config) for config in card.configs()}
        (folder / "README.md").write_text(card.render(), encoding="utf-8")
    return card


def check_replaceable(out: Path, *, overwrite: bool = True) -> Path:
    """The resolved `out`, when a data set may be written there.

    Raises:
        UserError: when `out` is no folder, or a non-empty folder that is not a data set of ours.
    """
    out = Path(out).expanduser().resolve()
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: a file; --out names the folder of the data set")
    if out.is_dir() and any(out.iterdir()):
        if not is_dataset_folder(out):
            raise UserError(f"{out}: a folder that is not a data set of ours; name another one or empty it")
        if not overwrite:
            raise UserError(f"{out}: there is a data set already; name another folder")
    return out


def is_dataset_folder(folder: Path) -> bool:
    """Whether `folder` holds a rating data set that this module wrote."""
    card = folder / "README.md"
    try:
        return card.is_file() and CARD_TAG in card.read_text(encoding="utf-8")[:4000] and (folder / "films").is_dir()
    except (OSError, UnicodeDecodeError):
        return False


def _batches(ratings: pl.DataFrame, film_ids: list[str]) -> Iterator[Batch]:
    """A table in memory, some rows at a time.

    Raises:
        ValueError: when a user is null, a film is not among the films, or a rating is not from 1 to 10.
    """
    index = {film_id: position for position, film_id in enumerate(film_ids)}
    number = 1
    for part in ratings.iter_slices(ROWS_PER_BATCH):
        users, user_codes = _codes(part["user_id"])
        rated, film_codes = _codes(part["film_id"])
        unknown = [film_id for film_id in rated if film_id not in index]
        if unknown:
            raise ValueError(f"film {unknown[0]!r} is rated but not among the films")
        values = part["rating"].cast(pl.Int8).to_numpy()
        if not ((values >= 1) & (values <= 10)).all():
            raise ValueError(f"ratings from {values.min()} to {values.max()}; they must be 1 to 10")
        optional = {}
        if "date" in part.columns:
            optional["date"] = part["date"].cast(pl.Date).to_physical().fill_null(MISSING_DATE).to_numpy()
        for name in FLAGS:
            if name in part.columns:
                optional[name] = part[name].cast(pl.Int8).fill_null(-1).to_numpy()
        records = make_records(
            user=user_codes,
            film=np.array([index[film_id] for film_id in rated], dtype=np.int32)[film_codes],
            rating=values,
            number=np.arange(number, number + len(part)),
            **optional,
        )
        yield Batch(users, records)
        number += len(part)


def _codes(ids: pl.Series) -> tuple[list[str], np.ndarray]:
    """The distinct ids as strings, and int [n] positions in them."""
    if ids.null_count():
        raise ValueError(f"{ids.name} has {ids.null_count()} nulls")
    values = ids.cast(pl.String)
    distinct = values.unique().sort()
    return distinct.to_list(), values.cast(pl.Enum(distinct)).to_physical().to_numpy()


def _partition(batches: Iterable[Batch], folder: Path) -> tuple[UserIndex, Partition]:
    users, partition = UserIndex(user_key()), Partition(folder)
    for batch in tracked(batches, "reading the ratings"):
        codes = users.add(batch.users)[batch.records["user"]]
        batch.records["user"] = codes
        partition.add(batch.records, users.prefixes[codes])
    return users, partition


def _write_films(folder: Path, films: pl.DataFrame) -> None:
    table = films.to_arrow().cast(FILMS_SCHEMA)
    write_shards(folder / "films", "train", FILMS_SCHEMA, len(films), lambda first, last: table[first:last], 50_000, 1)


def _write_ratings(
    folder: Path, arranged: ArrangedRatings, film_ids: list[str], cold: np.ndarray
) -> dict[str, SplitCounts]:
    """Write the ratings, histories and cold cases of every split that has users."""
    ids = pa.array(film_ids, pa.string())
    with ExitStack() as files:
        writers = {split: files.enter_context(SplitWriter(folder, split, ids, cold)) for split in arranged.splits}
        for split, users, rows in arranged.parts():
            writers[split].write(users, rows)
    return {split: writer.counts for split, writer in writers.items()}
