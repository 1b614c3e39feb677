"""Reads a table of ratings, Parquet or CSV, and leaves out the rows that cannot be right."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.csv_rows import Column, Rows, read_columns, read_header
from data_prep.report import (
    BAD_LINE,
    BAD_RATING,
    BROKEN_TEXT,
    DUPLICATE_RATING,
    NULL_FIELD,
    SHOWN_OFFENDERS,
    UNKNOWN_FILM,
    BuildReport,
)
from data_prep.schema import FLAGS
from data_prep.table_files import damage_told, find_columns, is_parquet, open_parquet

# Our name of a column: the names it may have in a file, ours first, then those of the Kaggle files.
_REQUIRED = {"user_id": ("user_id",), "film_id": ("film_id", "movie_id"), "rating": ("rating", "rating_val")}
_OPTIONAL = {"date": ("date",), **{name: (name,) for name in FLAGS}}

_FALSE, _TRUE = {"false", "0", "no", "f", "n"}, {"true", "1", "yes", "t", "y"}


def read_ratings(path: Path, films: pl.DataFrame, report: BuildReport) -> pl.DataFrame:
    """The right rows of a table of ratings, in the file's order.

    A row is left out for the first of these that holds, and counted in `report`: wrong number of fields (CSV), an
    empty field, broken UTF-8, a rating that is not a whole number from 1 to 10, a film that is not in `films`, a
    (user, film) pair that an earlier right row has. An unreadable date or flag only becomes null, with a note.

    Args:
        path: Parquet or CSV.
        films: the films table; `film_id` is read.
        report: rejections are added to it.

    Returns:
        user_id and film_id (pl.Enum), rating (Int8), and date, liked, rewatch, reviewed where the file has them.

    Raises:
        UserError: when the file is missing, empty or unreadable, or lacks a column.
    """
    rows = _read_parquet(path) if is_parquet(path) else _read_csv(path)
    user, film, rating = (rows.columns[name] for name in _REQUIRED)
    known = {film_id: index for index, film_id in enumerate(films["film_id"].to_list())}
    film_index = _decode(film, lambda value: known.get(str(value)), np.int32, -1)
    values = _decode(rating, _whole_rating, np.int8, 0)
    good = np.ones(len(values), dtype=bool)

    def reject(kind: str, bad: np.ndarray, shown: str | Callable[[int], str]) -> None:
        bad = bad & good
        first = np.flatnonzero(bad)[:SHOWN_OFFENDERS].tolist()
        offenders = [(rows.number(row), shown if isinstance(shown, str) else shown(row)) for row in first]
        report.reject(path.name, kind, int(bad.sum()), offenders)
        np.logical_and(good, ~bad, out=good)

    report.reject(path.name, BAD_LINE, len(rows.bad_lines), rows.bad_lines)
    for name, column in zip(_REQUIRED, (user, film, rating), strict=True):
        reject(NULL_FIELD, column.codes < 0, f"no {name}")
    for column in (user, film, rating):
        broken = np.array([isinstance(value, bytes) for value in column.values], dtype=bool)
        if broken.any():
            reject(BROKEN_TEXT, broken[column.codes], column.show)
    reject(BAD_RATING, values == 0, rating.show)
    reject(UNKNOWN_FILM, film_index < 0, film.show)
    pairs = user.codes.astype(np.int64) * len(known) + film_index
    repeated = np.zeros(len(pairs), dtype=bool)
    repeated[good] = ~pl.Series(pairs[good]).is_first_distinct().to_numpy()
    del pairs
    reject(DUPLICATE_RATING, repeated, lambda row: f"{user.show(row)}, {film.show(row)}")
    return _frame(rows, good, film_index, values, list(known), report, path.name)


def _frame(
    rows: Rows,
    good: np.ndarray,
    film_index: np.ndarray,
    values: np.ndarray,
    film_ids: list[str],
    report: BuildReport,
    file: str,
) -> pl.DataFrame:
    everything = bool(good.all())

    def kept(array: np.ndarray) -> np.ndarray:
        return array if everything else array[good]

    user = rows.columns["user_id"]
    names = [f"broken {value!r}" if isinstance(value, bytes) else str(value) for value in user.values]
    series = {
        "user_id": pl.Series(kept(user.codes).astype(np.uint32)).cat.to(pl.Enum(names)),
        "film_id": pl.Series(kept(film_index).astype(np.uint32)).cat.to(pl.Enum(film_ids)),
        "rating": pl.Series(kept(values)),
    }
    for name, column in rows.columns.items():
        if name not in _OPTIONAL:
            continue
        missing = -(2**31)
        decoded = kept(_decode(column, _day if name == "date" else _flag, np.int32, missing))
        unread = int((decoded == missing).sum() - (kept(column.codes) < 0).sum())
        if unread:
            report.note(f"{file}: {unread:,} values of {name} could not be read and count as unknown")
        integers = pl.Series(decoded).set(pl.Series(decoded == missing), None)
        series[name] = integers.cast(pl.Date) if name == "date" else integers.cast(pl.Boolean)
    return pl.DataFrame(series)


def _read_csv(path: Path) -> Rows:
    header, delimiter = read_header(path)
    found = find_columns(path, header, _REQUIRED, _OPTIONAL)
    wanted = {name: header.index(column) for name, column in found.items()}
    return read_columns(path, wanted, len(header), delimiter)


def _read_parquet(path: Path) -> Rows:
    file = open_parquet(path)
    found = find_columns(path, file.schema_arrow.names, _REQUIRED, _OPTIONAL)
    columns = {}
    for name, column in found.items():
        # One column at a time, so that only codes of all of them are in memory together.
        with damage_told(path):
            columns[name] = _encoded(file.read(columns=[column]).column(0))
    return Rows(columns)


def _encoded(column: pa.ChunkedArray) -> Column:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    array = column.unify_dictionaries().combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no rows at all
        array = array.chunk(0) if array.num_chunks else pa.array([], column.type)
    values = array.dictionary.to_pylist()
    codes = pc.fill_null(array.indices.cast(pa.int32()), -1).to_numpy()
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
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() and 1 <= number <= 10 else None


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
