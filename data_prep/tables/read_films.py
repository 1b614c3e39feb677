"""Reads a table of films, Parquet or CSV, under our column names or those of the Kaggle files."""

from __future__ import annotations

import datetime
import json
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from data_prep.report import (
    BAD_LINE,
    BAD_YEAR,
    BROKEN_TEXT,
    DUPLICATE_FILM,
    KNOWN_FILM,
    NULL_FIELD,
    BuildReport,
)
from data_prep.schema import FILM_COLUMNS, normalise_films
from data_prep.tables.csv_rows import read_header, read_records
from data_prep.tables.table_files import damage_told, find_columns, is_parquet, open_parquet, python_values
from data_prep.years import is_film_year

_ALIASES = {"film_id": "movie_id", "title": "movie_title", "year": "year_released"}
_REQUIRED = {name: (name, _ALIASES[name]) for name in ("film_id", "title")}
_OPTIONAL = {
    name: (name, _ALIASES[name]) if name in _ALIASES else (name,) for name in FILM_COLUMNS if name not in _REQUIRED
}

_LISTS = {name for name, dtype in FILM_COLUMNS.items() if dtype == pl.List}
_WHOLE = {name for name, dtype in FILM_COLUMNS.items() if dtype.is_integer()}
# The largest number that each column of decimals holds.
_LARGEST = {
    name: float(np.finfo(np.float32 if dtype == pl.Float32 else np.float64).max)
    for name, dtype in FILM_COLUMNS.items()
    if dtype.is_float()
}


def read_films(source: Path | pa.Table, report: BuildReport, *, known: Container[str] = frozenset()) -> pl.DataFrame:
    """The right rows of a table of films, a file or one in memory, in its order, with the columns of `FILM_COLUMNS`.

    A row is left out, and counted in `report`, for a wrong number of fields (CSV), broken UTF-8, no film id, a film id
    that an earlier right row has or that is among the `known` ones, or a year that is none. A value of another column
    that cannot be read becomes null, with a note; so does a runtime of 0. List columns of CSV files are JSON
    (`["Music", "Animation"]`).

    Raises:
        UserError: when the file is missing, empty or unreadable, or lacks the id or the title.
    """
    if isinstance(source, pa.Table):
        name, records = "table", _table_records(source)
    else:
        name, records = source.name, _parquet_records(source) if is_parquet(source) else _csv_records(source, report)
    seen: set[str] = set()
    films: list[dict[str, object]] = []
    unread: dict[str, int] = {}
    for number, record in records:
        broken = next((value for value in record.values() if isinstance(value, str) and not _is_text(value)), None)
        film_id = _text(record.get("film_id"))
        year = _read("year", record.get("year"))
        if broken is not None:
            report.reject(name, BROKEN_TEXT, 1, [(number, _printable(broken))])
        elif film_id is None:
            report.reject(name, NULL_FIELD, 1, [(number, "no film id")])
        elif year is _UNREADABLE or (isinstance(year, int) and not is_film_year(year)):
            report.reject(name, BAD_YEAR, 1, [(number, record["year"])])
        elif film_id in seen:
            report.reject(name, DUPLICATE_FILM, 1, [(number, film_id)])
        elif film_id in known:
            report.reject(name, KNOWN_FILM, 1, [(number, film_id)])
        else:
            seen.add(film_id)
            film = {column: _read(column, value) for column, value in record.items()}
            for column, value in film.items():
                if value is _UNREADABLE:
                    unread[column] = unread.get(column, 0) + 1
                    film[column] = None
            films.append({**film, "film_id": film_id, "runtime": film.get("runtime") or None})
    for column, count in unread.items():
        report.note(f"{name}: {count:,} values of {column} could not be read and count as unknown")
    untitled = sum(film.get("title") is None for film in films)
    if untitled:
        report.note(f'{name}: {untitled:,} films without a title are called "(untitled <film_id>)"')
    return normalise_films(pl.DataFrame(films, schema=dict(FILM_COLUMNS), strict=False))


def _csv_records(path: Path, report: BuildReport) -> Iterator[tuple[int, dict[str, object]]]:
    header, delimiter = read_header(path)
    found = find_columns(path, header, _REQUIRED, _OPTIONAL)
    wanted = {name: header.index(column) for name, column in found.items()}
    for number, fields in read_records(path, len(header), delimiter):
        if isinstance(fields, str):
            report.reject(path.name, BAD_LINE, 1, [(number, _printable(fields))])
        else:
            yield number, {name: fields[position] for name, position in wanted.items()}


def _parquet_records(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    file = open_parquet(path)
    found = find_columns(path, file.schema_arrow.names, _REQUIRED, _OPTIONAL)
    with damage_told(path):
        yield from _batch_records(file.iter_batches(batch_size=10_000, columns=list(found.values())), found)


def _table_records(table: pa.Table) -> Iterator[tuple[int, dict[str, object]]]:
    found = find_columns(Path("table"), table.column_names, _REQUIRED, _OPTIONAL)
    return _batch_records(table.select(list(found.values())).to_batches(10_000), found)


def _batch_records(
    batches: Iterable[pa.RecordBatch], found: Mapping[str, str]
) -> Iterator[tuple[int, dict[str, object]]]:
    """Number, from 1, and values by our names of every row; `found`: our name of a column, its name in the batches."""
    number = 0
    for batch in batches:
        table = {name: list(map(_decoded, python_values(batch.column(column)))) for name, column in found.items()}
        for values in zip(*table.values(), strict=True):
            number += 1
            yield number, dict(zip(table, values, strict=True))


def _decoded(value: object) -> object:
    """`value`, of bytes the text; lone surrogates stand for those that are no UTF-8, as in CSV files."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


class _Unreadable:
    """A value that is there and cannot be read."""


_UNREADABLE = _Unreadable()


def _read(name: str, value: object) -> object:
    """`value` as the column `name` has it, None for nothing, `_UNREADABLE` for what cannot be read."""
    if value is None or value == "" or value != value:
        return None
    try:
        if name in _LISTS:
            return _list(value)
        if name in _WHOLE:
            return _whole(value)
        if name in _LARGEST:
            number = float(value)  # type: ignore[arg-type]
            return number if abs(number) <= _LARGEST[name] else _UNREADABLE
        if name == "release_date":
            return _date(value)
    except (TypeError, ValueError, OverflowError, RecursionError):  # the last for lists in lists in lists
        return _UNREADABLE
    return _text(value)


def _whole(value: object) -> int | _Unreadable:
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)  # to the last digit, which a float of 17 digits has not
    number = value if isinstance(value, int) else float(value)  # type: ignore[arg-type]
    return int(number) if number == number // 1 and -(2**63) <= number < 2**63 else _UNREADABLE


def _list(value: object) -> list[str] | _Unreadable | None:
    if isinstance(value, str):
        value = json.loads(value) if value.strip() else None
    if value is None:
        return None
    if not isinstance(value, list):
        return _UNREADABLE
    items = [str(item) for item in value if item is not None and item == item]
    return items if all(map(_is_text, items)) else _UNREADABLE


def _date(value: object) -> datetime.date:
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    return datetime.date.fromisoformat(str(value).strip()[:10])


def _text(value: object) -> str | None:
    text = "" if value is None else str(value).strip()
    return text or None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate stands for a byte that is no UTF-8
        return False
    return True


def _printable(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
