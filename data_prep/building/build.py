"""Writes a rating data set: user names hashed, users split, histories made, cold films kept back, all or nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from data_prep.building.arrange import ArrangedRatings
from data_prep.building.card import CARD_TAG, DatasetCard, SplitCounts
from data_prep.building.card_fields import SCHEMAS
from data_prep.building.partition import Partition, UserIndex
from data_prep.building.rows import Batch
from data_prep.building.side_tables import REVIEWS, REWATCHES, write_side_table
from data_prep.building.split_writer import SplitWriter
from data_prep.building.splits import DEFAULT_SPLITS, SPLITS, choose_cold_films, fold_splits, split_users
from data_prep.errors import UserError, writable
from data_prep.folders import digest_files, new_folder, write_shards
from data_prep.progress import tracked
from data_prep.report import BuildReport
from data_prep.schema import FILMS_SCHEMA, normalise_films
from data_prep.tables.read_ratings import RatingsFile, RatingsFrame
from data_prep.user_keys import user_key

# What a data set's folder has: configs, what commands put beside them, and what downloads and desktops leave there.
OWN_ENTRIES = {
    *SCHEMAS,
    "README.md",
    "features",
    "figures",
    "merge_report.json",
    ".gitattributes",
    ".cache",
    ".DS_Store",
}


def write_dataset(
    out: Path,
    films: pl.DataFrame,
    ratings: pl.DataFrame | RatingsFile,
    *,
    source: str,
    splits: Mapping[str, float] | None = None,
    user_splits: Mapping[str, str] | None = None,
    hashed: bool = False,
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
        splits: share of users for train, validation and test, summing to 1. One of `splits`, `user_splits` and `fold`
            says who is in which split; without any it is `DEFAULT_SPLITS`.
        user_splits: the split of every user, where that is settled.
        hashed: the users of all tables are keyed hashes already, and stay as they are.
        seed: seed of the splits and of the choice of cold films.
        cold_films: how many films to keep back (see `choose_cold_films`).
        fold: (I, K) makes fold I of K the test set (see `fold_splits`).
        report: what was left out, for the card; what is left out here is added.
        strict: make any row of `ratings` that was left out an error.
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
    table = ratings if isinstance(ratings, RatingsFile) else RatingsFrame(ratings)
    with new_folder(out) as folder, tempfile.TemporaryDirectory(dir=folder) as place:
        users, partition = _partition(table.batches(film_ids, report), Path(place), None if hashed else user_key())
        if not users.names:
            raise UserError(f"{source}: no rating is left to make a data set of")
        arranged = ArrangedRatings(users, partition, film_ids, Path(place))
        table.reject_repeated(arranged.repeated, arranged.first_repeated, report)
        if strict:
            report.check_strict()
        if user_splits is not None:
            assignment = np.array([SPLITS.index(user_splits[name]) for name in users.names], dtype=np.int8)
        elif fold:
            assignment = fold_splits(users.names, fold, seed)
        else:
            assignment = split_users(users.names, splits or DEFAULT_SPLITS, seed)
        cold = np.zeros(len(films), dtype=bool)
        if cold_films:
            cold = choose_cold_films(films["film_group"].to_list(), arranged.film_counts, cold_films, seed)
        counts = _write_ratings(folder, arranged, assignment, film_ids, cold)
        write_films(folder, films)
        for side_table, rows in ((REWATCHES, rewatches), (REVIEWS, reviews)):
            if rows is not None:
                known = pl.DataFrame({"user_id": users.names, "hash": users.hashes.astype(str), "split": assignment})
                written = write_side_table(folder, side_table, rows, known, films, cold, report)
                for split, count in counts.items():
                    setattr(count, side_table.name, written[split])
        card = DatasetCard(
            source=source,
            films=len(films),
            seed=seed,
            cold_films=cold_films,
            fold=fold,
            splits=counts,
            has_dates=arranged.has_dates,
            left_out={key: item.count for key, item in report.rejections.items()},
            notes=list(report.notes),
            kept_splits=user_splits is not None,
        )
        card.digests = {config: digest_files(folder / config) for config in card.configs()}
        (folder / "README.md").write_text(writable(card.render()), encoding="utf-8")  # it names files
    return card


def check_replaceable(out: Path, *, overwrite: bool = True) -> Path:
    """The resolved `out`, when a data set may be written there.

    Raises:
        UserError: when `out` is no folder, or a non-empty folder that is not a data set of ours or has something else
            in it as well.
    """
    out = Path(out).expanduser().resolve()
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: a file; --out names the folder of the data set")
    if out.is_dir() and any(out.iterdir()):
        if not is_dataset_folder(out):
            raise UserError(f"{out}: a folder that is not a data set of ours; name another one or empty it")
        if not overwrite:
            raise UserError(f"{out}: there is a data set already; name another folder")
        if foreign := sorted({entry.name for entry in out.iterdir()} - OWN_ENTRIES):
            raise UserError(f"{out}: would be replaced, with {foreign[0]} in it, which is not of a data set; move it")
    return out


def is_dataset_folder(folder: Path) -> bool:
    """Whether `folder` holds a rating data set that this module wrote."""
    card = folder / "README.md"
    try:
        return card.is_file() and CARD_TAG in card.read_text(encoding="utf-8")[:4000] and (folder / "films").is_dir()
    except (OSError, UnicodeDecodeError):
        return False


def _partition(batches: Iterable[Batch], folder: Path, key: bytes | None) -> tuple[UserIndex, Partition]:
    users, partition = UserIndex(key), Partition(folder)
    for batch in tracked(batches, "reading the ratings"):
        codes = users.add(batch.users)[batch.records["user"]]
        batch.records["user"] = codes
        partition.add(batch.records, users.prefixes[codes])
    return users, partition


def write_films(folder: Path, films: pl.DataFrame) -> None:
    """Write the config `films` into a data set folder; `films` as `normalise_films` gives them."""
    table = films.to_arrow().cast(FILMS_SCHEMA)
    write_shards(folder / "films", "train", FILMS_SCHEMA, len(films), lambda first, last: table[first:last], 50_000, 1)


def _write_ratings(
    folder: Path, arranged: ArrangedRatings, assignment: np.ndarray, film_ids: list[str], cold: np.ndarray
) -> dict[str, SplitCounts]:
    """Write the ratings, histories and cold cases of every split that has users."""
    ids = pa.array(film_ids, pa.string())
    with ExitStack() as files:
        writers = {
            split: files.enter_context(SplitWriter(folder, split, ids, cold))
            for position, split in enumerate(SPLITS)
            if (assignment == position).any()
        }
        for split, users, rows in arranged.parts(assignment):
            writers[split].write(users, rows)
    return {split: writer.counts for split, writer in writers.items()}
