"""Writes the ratings, histories and cold cases of one split, some of its users at a time."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from data_prep.building.card import SplitCounts
from data_prep.building.rows import Rows
from data_prep.folders import ShardWriter
from data_prep.schema import COLD_CASES_SCHEMA, FLAGS, HISTORIES_SCHEMA, MISSING_DATE, RATINGS_SCHEMA

ROWS_PER_GROUP = 1_000_000
RATINGS_PER_FILE = 4_000_000
USERS_PER_GROUP = 2_000
CASES_PER_GROUP = 20_000
GROUPS_PER_FILE = 10  # of users and of cases; who streams a file fetches most of it, so files are small


class SplitWriter:
    """A context manager that opens the files of one split.

    Args:
        folder: of the data set.
        split: train, validation or test.
        film_ids: of every film index.
        cold: bool [films], the films kept back.

    Attributes:
        counts: what has been written.
    """

    def __init__(self, folder: Path, split: str, film_ids: pa.Array, cold: np.ndarray) -> None:
        self.counts = SplitCounts(users=0, ratings=0, histories=0, ordered=0)
        self._train = split == "train"
        self._film_ids = film_ids
        self._cold = cold
        self._ratings = ShardWriter(
            folder / "ratings", split, RATINGS_SCHEMA, ROWS_PER_GROUP, RATINGS_PER_FILE // ROWS_PER_GROUP
        )
        self._histories = ShardWriter(folder / "histories", split, HISTORIES_SCHEMA, USERS_PER_GROUP, GROUPS_PER_FILE)
        self._cold_cases: ShardWriter | None = None
        if cold.any() and not self._train:
            self._cold_cases = ShardWriter(
                folder / "cold_cases", split, COLD_CASES_SCHEMA, CASES_PER_GROUP, GROUPS_PER_FILE
            )
        self._files = ExitStack()

    def __enter__(self) -> Self:
        for shards in (self._ratings, self._histories, self._cold_cases):
            if shards is not None:
                self._files.enter_context(shards)
        return self

    def __exit__(self, *error) -> None:
        self._files.__exit__(*error)

    def write(self, users: np.ndarray, rows: Rows) -> None:
        """Append users (the hashes of their names, [users]) and their rows."""
        cold = self._cold[rows.films]
        warm = rows.keep(~cold) if cold.any() else rows
        rated = warm if self._train else rows
        self.counts.users += len(users)
        self.counts.ratings += len(rated.films)
        self._write_ratings(users, rated)
        self._write_histories(users, warm)
        if self._cold_cases is not None:
            self._write_cold_cases(self._cold_cases, users, rows, warm, np.flatnonzero(cold))

    def _write_ratings(self, users: np.ndarray, rows: Rows) -> None:
        def batch(first: int, last: int) -> pa.Table:
            # Only the users of these rows go into the dictionary.
            low = int(np.searchsorted(rows.offsets, first, side="right")) - 1
            high = int(np.searchsorted(rows.offsets, last, side="left"))
            lengths = np.diff(np.clip(rows.offsets[low : high + 1], first, last))
            present = np.flatnonzero(lengths)
            owners = np.repeat(np.arange(len(present), dtype=np.int32), lengths[present])
            span = slice(first, last)
            columns = [
                pa.DictionaryArray.from_arrays(owners, pa.array(users[low:high][present], pa.string())),
                pa.DictionaryArray.from_arrays(rows.films[span], self._film_ids),
                pa.array(rows.ratings[span], pa.int8()),
                _dates(rows.dates, span),
                *(_flag(getattr(rows, name), span) for name in FLAGS),
            ]
            return pa.Table.from_arrays(columns, schema=RATINGS_SCHEMA)

        self._ratings.write(len(rows.films), batch)

    def _write_histories(self, users: np.ndarray, rows: Rows) -> None:
        ordered = rows.ordered()
        written = np.flatnonzero(rows.lengths)  # a user all of whose films are cold has no history to learn from
        # Users without rows add nothing to the values, so the offsets of the others are those of the whole.
        offsets = np.append(rows.offsets[written], len(rows.films))

        def batch(first: int, last: int) -> pa.Table:
            chosen = written[first:last]
            starts = offsets[first:last] - offsets[first]
            inside = pa.array((offsets[first : last + 1] - offsets[first]).astype(np.int32))
            span = slice(offsets[first], offsets[last])
            if rows.dates is None:
                dates = pa.nulls(len(chosen), pa.list_(pa.date32()))
            else:
                # A user none of whose rows is dated has null for a list.
                dated = np.logical_or.reduceat(rows.dates[span] != MISSING_DATE, starts)
                dates = pa.ListArray.from_arrays(inside, _dates(rows.dates, span), mask=pa.array(~dated))
            columns = [
                pa.array(users[chosen], pa.string()),
                pa.ListArray.from_arrays(inside, pa.array(rows.films[span], pa.int32())),
                pa.ListArray.from_arrays(inside, pa.array(rows.ratings[span], pa.int8())),
                dates,
                pa.array(ordered[chosen]),
            ]
            return pa.Table.from_arrays(columns, schema=HISTORIES_SCHEMA)

        self.counts.histories += len(written)
        self.counts.ordered += int(ordered.sum())
        self._histories.write(len(written), batch)

    def _write_cold_cases(
        self, shards: ShardWriter, users: np.ndarray, rows: Rows, warm: Rows, cases: np.ndarray
    ) -> None:
        """One row for each rating of a cold film (`cases`, positions in `rows`), with the user's history of other
        films."""
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

        self.counts.cold_cases += len(cases)
        shards.write(len(cases), batch)


def _dates(dates: np.ndarray | None, span: slice) -> pa.Array:
    if dates is None:
        return pa.nulls(span.stop - span.start, pa.date32())
    return pa.array(dates[span], pa.int32(), mask=dates[span] == MISSING_DATE).view(pa.date32())


def _flag(known: np.ndarray | None, span: slice) -> pa.Array:
    if known is None:
        return pa.nulls(span.stop - span.start, pa.bool_())
    return pa.array(known[span] == 1, pa.bool_(), mask=known[span] < 0)
