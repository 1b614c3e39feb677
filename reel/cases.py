"""Tables of prediction cases, made into batches in which equal histories stand once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.errors import UserError

COLUMNS = ("history_film_ids", "history_ratings", "film_id")


@dataclass
class Batch:
    """
    Some histories and the films to predict after each.

    Attributes:
        arrays: history films `(batch, length)`, -1 is padding; history ratings `(batch, length)`, 0 is padding;
        candidate films
            `(batch, candidates)`, -1 is padding; all int64.
        cases, rows, columns: case `cases[i]` is answered at `[rows[i], columns[i]]` of a prediction of shape
            `(batch, candidates, ...)`.
    """

    arrays: tuple[np.ndarray, np.ndarray, np.ndarray]
    cases: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


@dataclass
class EncodedCases:
    """
    Cases in catalogue rows, sorted into their distinct histories.

    Attributes:
        films: int32 `(cases,)`, the film to predict.
        history: int64 `(cases,)`, which of the distinct histories comes before it.
        history_films, history_ratings: the distinct histories.
    """

    films: np.ndarray
    history: np.ndarray
    history_films: list[np.ndarray]
    history_ratings: list[np.ndarray]

    @classmethod
    def from_table(cls, cases: pa.Table, index: dict[str, int]) -> EncodedCases:
        """
        Args:
            cases (`pa.Table`): columns `history_film_ids`, `history_ratings` and `film_id`.
            index (`dict[str, int]`): the catalogue row of every film id.

        Raises:
            UserError: for a missing column, an unknown film id, a rating that is none, or lists of unequal lengths.
        """
        missing = [name for name in COLUMNS if name not in cases.column_names]
        if missing:
            raise UserError(f"cases have no column {missing[0]!r}; there are {', '.join(cases.column_names)}")
        film_lists, rating_lists = (cases[name].combine_chunks() for name in COLUMNS[:2])
        for name, column in zip(COLUMNS[:2], (film_lists, rating_lists), strict=True):
            if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
                raise UserError(f"column {name!r} of the cases holds {column.type}, not lists")
        lengths = pc.fill_null(pc.list_value_length(film_lists), 0).to_numpy(zero_copy_only=False)
        rating_lengths = pc.fill_null(pc.list_value_length(rating_lists), 0).to_numpy(zero_copy_only=False)
        if not np.array_equal(lengths, rating_lengths):
            row = int(np.flatnonzero(lengths != rating_lengths)[0])
            raise UserError(
                f"row {row} of the cases has {lengths[row]} history films and {rating_lengths[row]} ratings"
            )
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        flat_films = _catalogue_rows(pc.list_flatten(film_lists), index, "history_film_ids", offsets)
        flat_ratings = pc.list_flatten(rating_lists)
        if len(flat_ratings) and (flat_ratings.null_count or not pa.types.is_integer(flat_ratings.type)):
            raise UserError("column 'history_ratings' of the cases holds something else than whole numbers 1..10")
        ratings = flat_ratings.to_numpy(zero_copy_only=False)
        if len(ratings) and not (ratings.min() >= 1 and ratings.max() <= 10):
            wrong = int(np.flatnonzero((ratings < 1) | (ratings > 10))[0])
            raise UserError(
                f"a history rating of row {_row(offsets, wrong)} of the cases is {ratings[wrong]}, not 1..10"
            )

        ratings = ratings.astype(np.int8)
        distinct: dict[bytes, int] = {}
        history = np.empty(len(cases), dtype=np.int64)
        spans: list[slice] = []
        for case, (start, end) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
            key = flat_films[start:end].tobytes() + ratings[start:end].tobytes()
            history[case] = distinct.setdefault(key, len(distinct))
            if len(distinct) > len(spans):
                spans.append(slice(start, end))
        films = _catalogue_rows(
            cases["film_id"].combine_chunks(), index, "film_id", np.arange(len(cases) + 1, dtype=np.int64)
        )
        return cls(films, history, [flat_films[span] for span in spans], [ratings[span] for span in spans])

    def __len__(self) -> int:
        return len(self.films)

    def batches(self, tokens: int, candidates: int) -> Iterator[Batch]:
        """
        All cases, histories of about the same length together.

        Args:
            tokens (`int`): history ratings of a batch, padding included, at most (a longer history makes a batch of
                its own).
            candidates (`int`): candidate films of a batch, padding included, at most.
        """
        by_history = np.argsort(self.history, kind="stable")
        counts = np.bincount(self.history, minlength=len(self.history_films))
        starts = np.concatenate([[0], np.cumsum(counts)])
        lengths = np.array([len(films) for films in self.history_films])
        group: list[int] = []
        widest = 0
        for number in np.lexsort((counts, lengths)).tolist():
            grown = max(widest, int(counts[number]))
            size = len(group) + 1
            if group and (size * lengths[number] > tokens or size * grown > candidates):
                yield self._batch(group, by_history, starts)
                group, grown = [], int(counts[number])
            group.append(number)
            widest = grown
        if group:
            yield self._batch(group, by_history, starts)

    def _batch(self, group: list[int], by_history: np.ndarray, starts: np.ndarray) -> Batch:
        spans = [by_history[starts[number] : starts[number + 1]] for number in group]
        films = _padded([self.history_films[number] for number in group], -1)
        ratings = _padded([self.history_ratings[number] for number in group], 0)
        candidates = _padded([self.films[span] for span in spans], -1)
        sizes = [len(span) for span in spans]
        return Batch(
            arrays=(films, ratings, candidates),
            cases=np.concatenate(spans),
            rows=np.repeat(np.arange(len(group)), sizes),
            columns=np.concatenate([np.arange(size) for size in sizes]),
        )


def _padded(rows: list[np.ndarray], padding: int) -> np.ndarray:
    padded = np.full((len(rows), max(map(len, rows))), padding, dtype=np.int64)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    return padded


def _row(offsets: np.ndarray, position: int) -> int:
    """The row of a table whose list holds the value at `position` of all lists end to end."""
    return int(np.searchsorted(offsets, position, side="right")) - 1


def _catalogue_rows(film_ids: pa.Array, index: dict[str, int], column: str, offsets: np.ndarray) -> np.ndarray:
    """Catalogue rows of film ids, int32; looks every distinct id up once. Row `i` of the cases holds the ids
    `offsets[i]:offsets[i + 1]`."""
    if not pa.types.is_dictionary(film_ids.type):
        if not (pa.types.is_string(film_ids.type) or pa.types.is_large_string(film_ids.type)):
            if len(film_ids) == 0:
                return np.empty(0, dtype=np.int32)
            raise UserError(f"column {column!r} of the cases holds {film_ids.type}, not film ids")
        film_ids = film_ids.dictionary_encode()
    if film_ids.null_count:
        row = _row(offsets, int(film_ids.is_null().to_numpy(zero_copy_only=False).argmax()))
        raise UserError(f"column {column!r} of the cases has an empty film id in row {row}")
    codes = film_ids.indices.to_numpy(zero_copy_only=False)
    names = film_ids.dictionary.to_pylist()
    rows = np.full(len(names), -1, dtype=np.int32)
    for place in np.unique(codes).tolist():
        film = index.get(names[place])
        if film is None:
            row = _row(offsets, int((codes == place).argmax()))
            raise UserError(
                f"{names[place]!r} in column {column!r} of the cases, row {row}, is no film of the model's catalogue"
            )
        rows[place] = film
    return rows[codes]
