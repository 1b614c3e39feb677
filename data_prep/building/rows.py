"""Rating rows in numpy: as they come, and user by user."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import polars as pl

from data_prep.schema import FLAGS, MISSING_DATE

# A single day holding more than this share of a history means the ratings were entered in bulk: their order says
# nothing.
ORDERED_DAY_SHARE = 0.2

_RECORD = {
    "user": np.int32,
    "film": np.int32,  # film index
    "rating": np.int8,  # 1 to 10
    "number": np.int64,  # row number in the file or table
    "date": np.int32,  # days since 1970-01-01 or MISSING_DATE
    **dict.fromkeys(FLAGS, np.int8),  # 1, 0 or -1 for unknown
}


@dataclass
class Batch:
    """Some rows of a table of ratings.

    Attributes:
        users: the distinct names of their users.
        records: structured [rows], see `make_records`; the field `user` holds positions in `users`.
    """

    users: list[str]
    records: np.ndarray


def make_records(**columns: np.ndarray) -> np.ndarray:
    """Rows as a structured array: user, film, rating, number, and those of date, liked, rewatch, reviewed that the
    table has. Every array is [rows]."""
    dtype = np.dtype([(name, kind) for name, kind in _RECORD.items() if name in columns])
    records = np.empty(len(columns["user"]), dtype=dtype)
    for name, values in columns.items():
        records[name] = values
    return records


def repeated_pairs(records: np.ndarray, films: int) -> np.ndarray:
    """bool [rows]: an earlier record has the same user and film. `films` is how many films there are."""
    pairs = records["user"].astype(np.int64) * films + records["film"]
    return ~pl.Series(pairs).is_first_distinct().to_numpy()


@dataclass
class Rows:
    """Ratings of users in a fixed order, the rows of one user together.

    Attributes:
        offsets: int64 [users + 1], rows of user u are offsets[u]:offsets[u + 1].
        films: int32 [rows], film indices.
        ratings: int8 [rows], 1 to 10.
        dates: int32 [rows], days since 1970-01-01 or `MISSING_DATE`; None when no row has a date.
        liked, rewatch, reviewed: int8 [rows]: 1, 0 or -1 for unknown; None when unknown of every row.
    """

    offsets: np.ndarray
    films: np.ndarray
    ratings: np.ndarray
    dates: np.ndarray | None = None
    liked: np.ndarray | None = None
    rewatch: np.ndarray | None = None
    reviewed: np.ndarray | None = None

    @classmethod
    def arrange(cls, records: np.ndarray, owners: np.ndarray, users: int) -> Rows:
        """Sort records by their owners (int32 [rows], below `users`), then by date where there are dates, stably."""
        dates = _known(records, "date", MISSING_DATE)
        order = np.argsort(owners, kind="stable") if dates is None else np.lexsort((dates, owners))
        offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=users))]).astype(np.int64)
        optional = {"dates": dates, **{name: _known(records, name, -1) for name in FLAGS}}
        return cls(
            offsets,
            records["film"][order],
            records["rating"][order],
            **{name: None if values is None else values[order] for name, values in optional.items()},
        )

    @classmethod
    def load(cls, path: Path) -> Rows:
        """Read what `save` wrote."""
        with np.load(path) as arrays:
            return cls(**arrays)

    def save(self, path: Path) -> Path:
        """Write the arrays to `path`, an .npz file."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez(path, **{name: values for name, values in arrays.items() if values is not None})
        return path

    @property
    def users(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    def keep(self, mask: np.ndarray) -> Rows:
        """The rows where `mask` is true; the users stay, some perhaps without rows."""
        kept = np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])[self.offsets]
        return self._select(kept, mask)

    def of_users(self, mask: np.ndarray) -> Rows:
        """The users where `mask` is true, with their rows."""
        lengths = self.lengths
        offsets = np.concatenate([[0], np.cumsum(lengths[mask])])
        return self._select(offsets, np.repeat(mask, lengths))

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

    def _select(self, offsets: np.ndarray, rows: np.ndarray) -> Rows:
        optional = {name: getattr(self, name) for name in ("dates", *FLAGS)}
        return replace(
            self,
            offsets=offsets,
            films=self.films[rows],
            ratings=self.ratings[rows],
            **{name: None if values is None else values[rows] for name, values in optional.items()},
        )


def _known(records: np.ndarray, name: str, missing: int) -> np.ndarray | None:
    """One field of the records; None when the table lacks it or no record knows it."""
    if name not in (records.dtype.names or ()) or (records[name] == missing).all():
        return None
    return records[name]
