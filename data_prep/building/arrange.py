"""All ratings of a source in the order in which a data set holds them, one bucket of users at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_prep.building.partition import Partition, UserIndex
from data_prep.building.rows import Rows, repeated_pairs
from data_prep.building.splits import SPLITS
from data_prep.progress import tracked
from data_prep.report import SHOWN_OFFENDERS


class ArrangedRatings:
    """Ratings in order of the hash of the user, then of the date; in files when there is more than one bucket.

    Of several rows of one user and film the first of the table counts.

    Args:
        users: every user.
        partition: the rows; it is empty afterwards.
        film_ids: of every film index.
        folder: for the files.

    Attributes:
        film_counts: int64 [films], ratings of every film.
        has_dates: whether any rating is dated.
        repeated: how many rows were dropped because an earlier one has their user and film.
        first_repeated: of the first of these: (row number, "user, film").
    """

    def __init__(self, users: UserIndex, partition: Partition, film_ids: list[str], folder: Path) -> None:
        hashes = users.hashes
        self._order = np.argsort(hashes)
        self._hashes = hashes[self._order]
        places = np.empty(len(users), dtype=np.int32)
        places[self._order] = np.arange(len(users), dtype=np.int32)
        self.film_counts = np.zeros(len(film_ids), dtype=np.int64)
        self.has_dates = False
        self.repeated = 0
        self.first_repeated: list[tuple[int, str]] = []
        buckets = partition.buckets()[users.prefixes[self._order]]
        number = int(buckets[-1]) + 1
        self._bounds = np.searchsorted(buckets, np.arange(number + 1))  # of the users of every bucket
        self._stored: list[Rows | Path] = []
        for bucket in tracked(range(number), "arranging the ratings"):
            records = self._without_repeated(partition.take(bucket), users, film_ids)
            first, last = self._bounds[bucket : bucket + 2]
            rows = Rows.arrange(records, places[records["user"]] - first, int(last - first))
            self.film_counts += np.bincount(rows.films, minlength=len(film_ids))
            self.has_dates |= rows.dates is not None
            self._stored.append(rows if number == 1 else rows.save(folder / f"{bucket}.npz"))

    def parts(self, splits: np.ndarray) -> Iterator[tuple[str, np.ndarray, Rows]]:
        """The ratings of each split, by and by.

        Args:
            splits: int8 [users], positions in `SPLITS`.

        Yields:
            The name of a split, the hashes of the next of its users (bytes32 [users]), and their rows.
        """
        splits = splits[self._order]
        for bucket, stored in enumerate(tracked(self._stored, "writing the ratings")):
            rows = stored if isinstance(stored, Rows) else Rows.load(stored)
            span = slice(*self._bounds[bucket : bucket + 2])
            for position, split in enumerate(SPLITS):
                chosen = splits[span] == position
                if chosen.any():
                    yield split, self._hashes[span][chosen], rows.of_users(chosen)

    def _without_repeated(self, records: np.ndarray, users: UserIndex, film_ids: list[str]) -> np.ndarray:
        repeated = repeated_pairs(records, len(film_ids))
        if not repeated.any():
            return records
        names = users.names
        self.repeated += int(repeated.sum())
        found = [
            (int(record["number"]), f"{names[record['user']]}, {film_ids[record['film']]}")
            for record in np.sort(records[repeated], order="number")[:SHOWN_OFFENDERS]
        ]
        self.first_repeated = sorted(self.first_repeated + found)[:SHOWN_OFFENDERS]
        return records[~repeated]
