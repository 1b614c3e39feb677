"""Tables of ratings, batch by batch: files, of which rows that cannot be right are left out, and frames in memory."""

from __future__ import annotations

import datetime
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.building.rows import Batch, make_records
from data_prep.errors import UserError
from data_prep.report import (
    BAD_LINE,
    BAD_RATING,
    BROKEN_TEXT,
    DUPLICATE_RATING,
    NULL_FIELD,
    SHOWN_OFFENDERS,
    UNKNOWN_FILM,
    BuildReport,
    Rejection,
)
from data_prep.schema import FLAGS, MISSING_DATE
from data_prep.tables.csv_rows import Column, RawRows, read_columns, read_header
from data_prep.tables.table_files import damage_told, find_columns, is_parquet, open_parquet, python_values

# Our name of a column: the names it may have in a file, ours first, then those of the Kaggle files.
_REQUIRED = {"user_id": ("user_id",), "film_id": ("film_id", "movie_id"), "rating": ("rating", "rating_val")}
_OPTIONAL = {"date": ("date",), **{name: (name,) for name in FLAGS}}

_ROWS_PER_BATCH = 1_000_000
_MOST_STARS = 5  # what a rating out of five can be
_FALSE, _TRUE = {"false", "0", "no", "f", "n"}, {"true", "1", "yes", "t", "y"}


@dataclass(frozen=True)
class RatingsFile:
    """A table of ratings, Parquet or CSV, to be read batch by batch."""

    path: Path

    def batches(self, film_ids: Sequence[str], report: BuildReport) -> Iterator[Batch]:
        """The right rows of the file, in its order.

        A row is left out for the first of these that holds: wrong number of fields (CSV), an empty field, broken
        UTF-8, a rating that is not a whole number from 1 to 10, a film that is not among `film_ids`. An unreadable
        date or flag only becomes null, with a note.

        Args:
            film_ids: the id of every film index.
            report: what was left out is added to it after the last batch.

        Raises:
            UserError: when the file is missing, empty or unreadable, lacks a column, or has stars (0.5 to 5) in the
                place of ratings.
        """
        checks = _Checks(film_ids)
        for rows in _read_parquet(self.path) if is_parquet(self.path) else _read_csv(self.path):
            yield checks.right_rows(rows)
        checks.report(self.path.name, report)

    def reject_repeated(self, count: int, first: list[tuple[int, str]], report: BuildReport) -> None:
        """Report rows that were dropped because an earlier one has their user and film."""
        report.reject(self.path.name, DUPLICATE_RATING, count, first)


@dataclass(frozen=True)
class RatingsFrame:
    """A table of ratings in memory, from code that promises that all its rows are right."""

    ratings: pl.DataFrame

    def batches(self, film_ids: Sequence[str], report: BuildReport) -> Iterator[Batch]:
        """All rows, in their order.

        Raises:
            ValueError: when a user is null, a film is not among `film_ids`, or a rating is not from 1 to 10.
        """
        films = {film_id: index for index, film_id in enumerate(film_ids)}
        first = 1
        for rows in self.ratings.iter_slices(_ROWS_PER_BATCH):
            users, user_codes = _codes(rows["user_id"])
            rated, film_codes = _codes(rows["film_id"])
            unknown = [film_id for film_id in rated if film_id not in films]
            if unknown:
                raise ValueError(f"film {unknown[0]!r} is rated but not among the films")
            values = rows["rating"].cast(pl.Int8).to_numpy()
            if not ((values >= 1) & (values <= 10)).all():
                raise ValueError(f"ratings from {values.min()} to {values.max()}; they must be 1 to 10")
            optional = {name: rows[name].cast(pl.Int8).fill_null(-1) for name in FLAGS if name in rows.columns}
            if "date" in rows.columns:
                optional["date"] = rows["date"].cast(pl.Date).to_physical().fill_null(MISSING_DATE)
            records = make_records(
                user=user_codes,
                film=np.array([films[film_id] for film_id in rated], dtype=np.int32)[film_codes],
                rating=values,
                number=np.arange(first, first + len(rows)),
                **{name: column.to_numpy() for name, column in optional.items()},
            )
            yield Batch(users, records)
            first += len(rows)

    def reject_repeated(self, count: int, first: list[tuple[int, str]], report: BuildReport) -> None:
        """Refuse rows that repeat the user and film of another."""
        if count:
            raise ValueError(f"{count} rows repeat user and film, first row {first[0][0]} ({first[0][1]})")


def _codes(ids: pl.Series) -> tuple[list[str], np.ndarray]:
    """The distinct ids as strings, and int [rows] positions in them."""
    if ids.null_count():
        raise ValueError(f"{ids.name} has {ids.null_count()} nulls")
    values = ids.cast(pl.String)
    distinct = values.unique().sort()
    return distinct.to_list(), values.cast(pl.Enum(distinct)).to_physical().to_numpy()


class _Checks:
    """Parts the rows that can be right from the others, which it counts."""

    def __init__(self, film_ids: Sequence[str]) -> None:
        self._films = {film_id: index for index, film_id in enumerate(film_ids)}
        self._left_out: dict[tuple[str, str], Rejection] = {}  # by kind and column, in the order of the checks
        self._unread: Counter[str] = Counter()  # by column
        self._highest = 0  # rating
        self._half_star: tuple[int, str] | None = None  # row and value of the first rating that can only be stars

    def right_rows(self, rows: RawRows) -> Batch:
        user, film, rating = (rows.columns[name] for name in _REQUIRED)
        film_index = _decode(film, lambda value: self._films.get(str(value)), np.int32, -1)
        values = _decode(rating, _whole_rating, np.int8, 0)
        good = np.ones(len(values), dtype=bool)
        self._highest = max(self._highest, int(values.max(initial=0)))
        halves = np.flatnonzero(_decode(rating, _half_star, np.int8, 0))
        if len(halves) and self._half_star is None:
            self._half_star = int(rows.numbers[halves[0]]), rating.show(int(halves[0]))

        def reject(kind: str, name: str, bad: np.ndarray, show: Callable[[int], str] | None = None) -> None:
            bad = bad & good
            first = np.flatnonzero(bad)[:SHOWN_OFFENDERS].tolist()
            shown = [(int(rows.numbers[row]), show(row) if show else f"no {name}") for row in first]
            self._count(kind, name, int(bad.sum()), shown)
            np.logical_and(good, ~bad, out=good)

        self._count(BAD_LINE, "", len(rows.bad_lines), rows.bad_lines)
        for name in _REQUIRED:
            reject(NULL_FIELD, name, rows.columns[name].codes < 0)
        for name in _REQUIRED:
            reject(BROKEN_TEXT, name, rows.columns[name].broken(), rows.columns[name].show)
        reject(BAD_RATING, "", values == 0, rating.show)
        reject(UNKNOWN_FILM, "", film_index < 0, film.show)

        optional = {}
        for name, column in rows.columns.items():
            if name not in _OPTIONAL:
                continue
            read, dtype, missing = (_day, np.int32, MISSING_DATE) if name == "date" else (_flag, np.int8, -1)
            optional[name] = _decode(column, read, dtype, missing)[good]
            self._unread[name] += int((optional[name] == missing).sum() - (column.codes[good] < 0).sum())
        codes = user.codes[good]
        used = np.flatnonzero(np.bincount(codes, minlength=len(user.values)))
        positions = np.zeros(len(user.values), dtype=np.int32)
        positions[used] = np.arange(len(used))
        records = make_records(
            user=positions[codes], film=film_index[good], rating=values[good], number=rows.numbers[good], **optional
        )
        return Batch([str(user.values[code]) for code in used], records)

    def report(self, file: str, report: BuildReport) -> None:
        if self._half_star is not None and self._highest <= _MOST_STARS:
            row, value = self._half_star
            raise UserError(f"{file} row {row}: rating {value}: stars, and ratings are 1 to 10; double them all")
        if 0 < self._highest <= _MOST_STARS:
            report.note(
                f"{file}: no rating is above {_MOST_STARS}; ratings are 1 to 10, so if these are stars, double them"
            )
        for (kind, _), rejection in self._left_out.items():
            report.reject(file, kind, rejection.count, rejection.offenders)
        for name in _OPTIONAL:
            if self._unread[name]:
                report.note(f"{file}: {self._unread[name]:,} values of {name} could not be read and count as unknown")

    def _count(self, kind: str, name: str, count: int, offenders: list[tuple[int, str]]) -> None:
        rejection = self._left_out.setdefault((kind, name), Rejection())
        rejection.count += count
        rejection.offenders += offenders[: SHOWN_OFFENDERS - len(rejection.offenders)]


def _read_csv(path: Path) -> Iterator[RawRows]:
    header, delimiter = read_header(path)
    found = find_columns(path, header, _REQUIRED, _OPTIONAL)
    wanted = {name: header.index(column) for name, column in found.items()}
    return read_columns(path, wanted, len(header), delimiter)


def _read_parquet(path: Path) -> Iterator[RawRows]:
    file = open_parquet(path)
    found = find_columns(path, file.schema_arrow.names, _REQUIRED, _OPTIONAL)
    first = 1
    with damage_told(path):
        for batch in file.iter_batches(batch_size=_ROWS_PER_BATCH, columns=list(found.values())):
            columns = {name: _encoded(batch.column(column)) for name, column in found.items()}
            yield RawRows(columns, np.arange(first, first + len(batch), dtype=np.int64))
            first += len(batch)


def _encoded(array: pa.Array) -> Column:
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    values = python_values(array.dictionary)
    codes = pc.fill_null(array.indices.cast(pa.int32()), -1).to_numpy(zero_copy_only=False)
    empty = np.array([value is None or value == "" or value != value for value in values], dtype=bool)
    if empty.any():
        codes = np.where((codes >= 0) & empty[codes], -1, codes).astype(np.int32)
    return Column(codes, values)


def _decode(column: Column, read: Callable[[object], int | None], dtype: type, missing: int) -> np.ndarray:
    """`read` of every row's value, through the distinct values; `missing` for nulls, broken text and unreadable
    values."""
    table: np.ndarray = np.full(len(column.values) + 1, missing, dtype=dtype)  # the last entry answers code -1
    for position, value in enumerate(column.values):
        answer = None if isinstance(value, bytes) else read(value)
        if answer is not None:
            table[position] = answer
    return table[column.codes]


def _whole_rating(value: object) -> int | None:
    number = _number(value)
    return int(number) if number.is_integer() and 1 <= number <= 10 else None


def _half_star(value: object) -> int | None:
    """1 for a rating that is no whole number, and can be one of stars."""
    number = _number(value)
    return 1 if 0 < number < _MOST_STARS and (2 * number).is_integer() and not number.is_integer() else None


def _number(value: object) -> float:
    """`value` as a number; of what is none, nan."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def _day(value: object) -> int | None:
    """Days since 1970-01-01 of a date, a time stamp or the ISO text of either."""
    if isinstance(value, datetime.datetime):
        value = value.date()
    if isinstance(value, str):
        try:
            value = datetime.date.fromisoformat(value[:10])
        except ValueError:
            return None
    return (value - datetime.date(1970, 1, 1)).days if isinstance(value, datetime.date) else None


def _flag(value: object) -> int | None:
    text = str(value).lower()
    return 1 if text in _TRUE or text == "1.0" else 0 if text in _FALSE or text == "0.0" else None
