"""Writes a rating data set: user names hashed, users split, histories made, cold films kept back, all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from data_prep.card import CARD_TAG, DatasetCard, SplitCounts
from data_prep.errors import UserError
from data_prep.folders import digest_files, new_folder, write_shards
from data_prep.report import BuildReport
from data_prep.schema import (
    COLD_CASES_SCHEMA,
    FILMS_SCHEMA,
    FLAGS,
    HISTORIES_SCHEMA,
    MISSING_DATE,
    RATINGS_SCHEMA,
    normalise_films,
)
from data_prep.splits import SPLITS, choose_cold_films, fold_splits, split_users
from data_prep.user_keys import hash_users, user_key

# A single day holding more than this share of a history means the ratings were entered in bulk: their order says
# nothing.
ORDERED_DAY_SHARE = 0.2

ROWS_PER_GROUP = 1_000_000
RATINGS_PER_FILE = 4_000_000
USERS_PER_GROUP = 2_000
CASES_PER_GROUP = 20_000


@dataclass
class _Rows:
    """Ratings of users in a fixed order, the rows of one user together.

    Attributes:
        offsets: int64 [users + 1], rows of user u are offsets[u]:offsets[u + 1].
        films: int32 [rows], film indices.
        ratings: int8 [rows], 1 to 10.
        dates: int32 [rows], days since 1970-01-01 or `MISSING_DATE`; None when no row has a date.
        flags: for each of `FLAGS` that is known, int8 [rows]: 1, 0 or -1 for unknown.
    """

    offsets: np.ndarray
    films: np.ndarray
    ratings: np.ndarray
    dates: np.ndarray | None
    flags: dict[str, np.ndarray]

    @property
    def users(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    def keep(self, mask: np.ndarray) -> _Rows:
        """The rows where `mask` is true; the users stay, some perhaps without rows."""
        kept = np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])[self.offsets]
        return replace(
            self,
            offsets=kept,
            films=self.films[mask],
            ratings=self.ratings[mask],
            dates=None if self.dates is None else self.dates[mask],
            flags={name: values[mask] for name, values in self.flags.items()},
        )

    def ordered(self) -> np.ndarray:
        """bool [users]: every row is dated and no single day holds over `ORDERED_DAY_SHARE` of them."""
        ordered = np.zeros(self.users, dtype=bool)
        if self.dates is None or not len(self.dates):
            return ordered
        starts = np.zeros(len(self.dates), dtype=bool)
        starts[self.offsets[:-1][self.lengths > 0]] = True
        starts[1:] |= self.dates[1:] != self.dates[:-1]
        first_rows = np.flatnonzero(starts)
        days = np.diff(np.append(first_rows, len(self.dates)))  # rows of one user on one day
        dated = self.dates[first_rows] != MISSING_DATE
        largest = np.where(dated, days, np.iinfo(np.int64).max)
        owners = np.searchsorted(self.offsets, first_rows, side="right") - 1
        busiest = np.zeros(self.users, dtype=np.int64)
        np.maximum.at(busiest, owners, largest)
        ordered[:] = (self.lengths > 0) & (busiest <= ORDERED_DAY_SHARE * self.lengths)
        return ordered


def write_dataset(
    out: Path,
    films: pl.DataFrame,
    ratings: pl.DataFrame,
    *,
    source: str,
    splits: Mapping[str, float],
    seed: int = 0,
    cold_films: int = 0,
    fold: tuple[int, int] | None = None,
    report: BuildReport | None = None,
    overwrite: bool = True,
) -> DatasetCard:
    """Write a rating data set folder, whole or not at all.

    The folder is made beside `out` and takes its place when it is complete. The same input, seed and user key give the
    same bytes. Rows of one user keep their order within one day (and altogether when they have no dates).

    Args:
        out: the folder to make. An existing data set there is replaced once the new one is whole.
        films: one row a film; columns of `FILM_COLUMNS`, all but `film_id` optional. Row number = film index.
        ratings: `user_id` (names: strings, categories or integers), `film_id`, `rating` (1 to 10), and where known
            `date` (pl.Date), `liked`, `rewatch`, `reviewed`. One row per user and film, without nulls in the first
            three.
        source: where the ratings come from, in words for the card. No paths of this machine.
        splits: share of users for train, validation and test, summing to 1. Ignored with `fold`.
        seed: seed of the splits and of the choice of cold films.
        cold_films: how many films to keep back (see `choose_cold_films`).
        fold: (I, K) makes fold I of K the test set (see `fold_splits`).
        report: what was left out, for the card.
        overwrite: False makes an existing data set at `out` an error.

    Returns:
        DatasetCard: the card, with the counts of every split.

    Raises:
        UserError: when `out` is something other than a data set, or cannot be written, or there are too few users or
            films.
        ValueError: when `ratings` breaks the promises above.
    """
    out = check_replaceable(out, overwrite=overwrite)
    films = normalise_films(films)
    names, user_codes = _codes(ratings["user_id"])
    counts = np.bincount(user_codes, minlength=len(names))
    present = np.flatnonzero(counts)
    if len(present) == 0:
        raise UserError(f"{source}: no rating is left to make a data set of")
    original_ids = [names[code] for code in present]
    assignment = fold_splits(original_ids, fold, seed) if fold else split_users(original_ids, splits, seed)
    hashes = np.array(hash_users(original_ids, user_key()))
    # Users stand in the order of their hashes within each split: it tells nothing about them and the rows are
    # contiguous.
    user_order = np.lexsort((hashes, assignment))
    users = hashes[user_order]
    bounds = np.searchsorted(assignment[user_order], np.arange(len(SPLITS) + 1))
    rank = np.zeros(len(names), dtype=np.int32)
    rank[present[user_order]] = np.arange(len(present), dtype=np.int32)
    rows = _arrange(ratings, films, rank[user_codes], len(present))
    cold = np.zeros(len(films), dtype=bool)
    if cold_films:
        rating_counts = np.bincount(rows.films, minlength=len(films))
        cold = choose_cold_films(films["film_group"].to_list(), rating_counts, cold_films, seed)
    card = DatasetCard(
        source=source,
        films=len(films),
        seed=seed,
        cold_films=cold_films,
        fold=fold,
        splits={},
        has_dates=rows.dates is not None,
        left_out={} if report is None else {key: item.count for key, item in report.rejections.items()},
        notes=[] if report is None else list(report.notes),
    )
    with new_folder(out) as folder:
        _write_films(folder, films)
        for index, split in enumerate(SPLITS):
            first, last = int(bounds[index]), int(bounds[index + 1])
            if first < last:
                card.splits[split] = _write_split(
                    folder, split, users[first:last], _slice_users(rows, first, last), cold, films["film_id"].to_list()
                )
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


def _codes(ids: pl.Series) -> tuple[list[str], np.ndarray]:
    """The distinct ids as strings, and int32 [n] positions in them."""
    if ids.null_count():
        raise ValueError(f"{ids.name} has {ids.null_count()} nulls")
    if not isinstance(ids.dtype, pl.Enum):
        values = ids.cast(pl.String)
        ids = values.cast(pl.Enum(values.unique().sort()))
    assert isinstance(ids.dtype, pl.Enum)
    return ids.dtype.categories.to_list(), ids.to_physical().to_numpy().astype(np.int32)


def _arrange(ratings: pl.DataFrame, films: pl.DataFrame, ranks: np.ndarray, users: int) -> _Rows:
    """`ratings` sorted by the ranks of their users (int32 [n]), then by date where there are dates, stably."""
    film_ids, film_codes = _codes(ratings["film_id"])
    index = {film_id: position for position, film_id in enumerate(films["film_id"].to_list())}
    if len(index) != len(films):
        raise ValueError("two films have one film_id")
    positions = np.array([index.get(film_id, -1) for film_id in film_ids], dtype=np.int32)
    film_indices = positions[film_codes]
    if len(film_indices) and film_indices.min() < 0:
        raise ValueError(f"film {film_ids[int(film_codes[film_indices.argmin()])]!r} is rated but not among the films")
    values = ratings["rating"].cast(pl.Int8).to_numpy()
    if values.min() < 1 or values.max() > 10:
        raise ValueError(f"ratings from {values.min()} to {values.max()}; they must be 1 to 10")
    dates = None
    if "date" in ratings.columns and ratings["date"].null_count() < len(ratings):
        dates = ratings["date"].to_physical().fill_null(MISSING_DATE).to_numpy().astype(np.int32)
        order = np.lexsort((dates, ranks))
        dates = dates[order]
    else:
        order = np.argsort(ranks, kind="stable")
    flags = {}
    for name in FLAGS:
        if name in ratings.columns and ratings[name].null_count() < len(ratings):
            flags[name] = ratings[name].cast(pl.Int8).fill_null(-1).to_numpy()[order]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(ranks, minlength=users))]).astype(np.int64)
    return _Rows(offsets, film_indices[order], values[order], dates, flags)


def _slice_users(rows: _Rows, first: int, last: int) -> _Rows:
    """The rows of users first:last; views, no copies."""
    span = slice(rows.offsets[first], rows.offsets[last])
    return _Rows(
        rows.offsets[first : last + 1] - rows.offsets[first],
        rows.films[span],
        rows.ratings[span],
        None if rows.dates is None else rows.dates[span],
        {name: values[span] for name, values in rows.flags.items()},
    )


def _write_films(folder: Path, films: pl.DataFrame) -> None:
    table = films.to_arrow().cast(FILMS_SCHEMA)
    write_shards(folder / "films", "train", FILMS_SCHEMA, len(films), lambda first, last: table[first:last], 50_000, 1)


def _write_split(
    folder: Path, split: str, users: np.ndarray, rows: _Rows, cold: np.ndarray, film_ids: list[str]
) -> SplitCounts:
    """Write ratings, histories and (outside training) cold cases of one split's users."""
    warm_mask = ~cold[rows.films] if cold.any() else None
    warm = rows if warm_mask is None else rows.keep(warm_mask)
    rated = warm if split == "train" else rows
    _write_ratings(folder, split, users, rated, film_ids)
    written = np.flatnonzero(warm.lengths)  # a user all of whose films are cold has no history to learn from
    _write_histories(folder, split, users, warm, written)
    cases = 0
    if warm_mask is not None and split != "train":
        cases = _write_cold_cases(folder, split, users, rows, warm, ~warm_mask)
    return SplitCounts(
        users=len(users),
        ratings=len(rated.films),
        histories=len(written),
        ordered=int(warm.ordered().sum()),
        cold_cases=cases,
    )


def _write_ratings(folder: Path, split: str, users: np.ndarray, rows: _Rows, film_ids: list[str]) -> None:
    films = pa.array(film_ids, pa.string())

    def batch(first: int, last: int) -> pa.Table:
        # Only this group's users go into its dictionary.
        low = int(np.searchsorted(rows.offsets, first, side="right")) - 1
        high = int(np.searchsorted(rows.offsets, last, side="left"))
        inside = np.clip(rows.offsets[low : high + 1], first, last)
        owners = np.repeat(np.arange(high - low, dtype=np.int32), np.diff(inside))
        span = slice(first, last)
        columns = [
            pa.DictionaryArray.from_arrays(owners, pa.array(users[low:high], pa.string())),
            pa.DictionaryArray.from_arrays(rows.films[span], films),
            pa.array(rows.ratings[span], pa.int8()),
            _dates(rows.dates, span, last - first),
        ]
        for name in FLAGS:
            known = rows.flags.get(name)
            columns.append(
                pa.nulls(last - first, pa.bool_())
                if known is None
                else pa.array(known[span] == 1, pa.bool_(), mask=known[span] < 0)
            )
        return pa.Table.from_arrays(columns, schema=RATINGS_SCHEMA)

    groups = RATINGS_PER_FILE // ROWS_PER_GROUP
    write_shards(folder / "ratings", split, RATINGS_SCHEMA, len(rows.films), batch, ROWS_PER_GROUP, groups)


def _write_histories(folder: Path, split: str, users: np.ndarray, rows: _Rows, written: np.ndarray) -> None:
    """One row for each user of `written`, positions of the users that have rows."""
    ordered = rows.ordered()
    # Users without rows add nothing to the values, so the offsets of the others are those of the whole.
    offsets = np.append(rows.offsets[written], len(rows.films))

    def batch(first: int, last: int) -> pa.Table:
        chosen = written[first:last]
        inside = pa.array((offsets[first : last + 1] - offsets[first]).astype(np.int32))
        span = slice(offsets[first], offsets[last])
        size = int(offsets[last] - offsets[first])
        if rows.dates is None:
            dates = pa.nulls(len(chosen), pa.list_(pa.date32()))
        else:
            # A user none of whose rows is dated has null for a list.
            dated = np.logical_or.reduceat(rows.dates[span] != MISSING_DATE, offsets[first:last] - offsets[first])
            dates = pa.ListArray.from_arrays(inside, _dates(rows.dates, span, size), mask=pa.array(~dated))
        columns = [
            pa.array(users[chosen], pa.string()),
            pa.ListArray.from_arrays(inside, pa.array(rows.films[span], pa.int32())),
            pa.ListArray.from_arrays(inside, pa.array(rows.ratings[span], pa.int8())),
            dates,
            pa.array(ordered[chosen]),
        ]
        return pa.Table.from_arrays(columns, schema=HISTORIES_SCHEMA)

    write_shards(folder / "histories", split, HISTORIES_SCHEMA, len(written), batch, USERS_PER_GROUP, 50)


def _write_cold_cases(
    folder: Path, split: str, users: np.ndarray, rows: _Rows, warm: _Rows, cold_mask: np.ndarray
) -> int:
    """One row for each rating of a cold film by a user of this split, with the user's history of other films."""
    cases = np.flatnonzero(cold_mask)
    owners = np.searchsorted(rows.offsets, cases, side="right") - 1

    def batch(first: int, last: int) -> pa.Table:
        chosen = owners[first:last]
        lengths = warm.lengths[chosen]
        inside = np.concatenate([[0], np.cumsum(lengths)])
        # Row numbers of each case's history, end to end.
        values = np.repeat(warm.offsets[chosen] - inside[:-1], lengths) + np.arange(inside[-1])
        offsets = pa.array(inside.astype(np.int32))
        columns = [
            pa.array(users[chosen], pa.string()),
            pa.ListArray.from_arrays(offsets, pa.array(warm.films[values], pa.int32())),
            pa.ListArray.from_arrays(offsets, pa.array(warm.ratings[values], pa.int8())),
            pa.array(rows.films[cases[first:last]], pa.int32()),
            pa.array(rows.ratings[cases[first:last]], pa.int8()),
        ]
        return pa.Table.from_arrays(columns, schema=COLD_CASES_SCHEMA)

    write_shards(folder / "cold_cases", split, COLD_CASES_SCHEMA, len(cases), batch, CASES_PER_GROUP, 50)
    return len(cases)


def _dates(dates: np.ndarray | None, span: slice, size: int) -> pa.Array:
    if dates is None:
        return pa.nulls(size, pa.date32())
    return pa.array(dates[span], pa.int32(), mask=dates[span] == MISSING_DATE).view(pa.date32())
