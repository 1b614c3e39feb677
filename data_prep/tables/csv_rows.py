"""CSV columns as codes into their distinct values, with every line that cannot be read counted instead of fatal."""

from __future__ import annotations

import array
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from data_prep.errors import UserError

_BLOCK = 16 << 20  # bytes parsed at a time


@dataclass
class Column:
    """One column of a table as codes into its distinct values.

    Attributes:
        codes: int32 [rows], positions in `values`; -1 for null.
        values: the distinct values; `bytes` where the text is no UTF-8.
    """

    codes: np.ndarray
    values: list

    def broken(self) -> np.ndarray:
        """bool [rows]: the text is no UTF-8."""
        broken = np.array([isinstance(value, bytes) for value in self.values], dtype=bool)
        return broken[self.codes] if broken.any() else np.zeros(len(self.codes), dtype=bool)

    def show(self, row: int) -> str:
        """The value at position `row`, for a message."""
        value = self.values[self.codes[row]] if self.codes[row] >= 0 else "nothing"
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@dataclass
class RawRows:
    """Columns of a table, or of a part of it, and where the rows stood in the file.

    Attributes:
        columns: by our name.
        numbers: int64 [rows], row numbers in the file.
        bad_lines: (row number, text) of every line with the wrong number of fields.
    """

    columns: dict[str, Column]
    numbers: np.ndarray
    bad_lines: list[tuple[int, str]] = field(default_factory=list)


def read_header(path: Path) -> tuple[list[str], str]:
    """The column names of a CSV file and its delimiter (comma, semicolon or tab, whichever the header has most of).

    Raises:
        UserError: when the file is empty, is not text, or has no line feeds.
    """
    with path.open("rb") as file:
        line = file.readline(1 << 20)
        start = line + file.read(4096)
    if not start.strip():
        raise UserError(f"{path}: empty; expected a CSV file with a header")
    if b"\0" in start:
        raise UserError(f"{path}: not a text file; expected CSV or Parquet")
    text = line.decode("utf-8-sig", errors="replace").strip("\r\n")
    if "\r" in text:
        raise UserError(f"{path}: its lines end in carriage returns alone; save it with line feeds")
    delimiter = max(",;\t", key=text.count)
    return [name.strip() for name in next(csv.reader([text], delimiter=delimiter), [])], delimiter


def read_columns(path: Path, wanted: dict[str, int], width: int, delimiter: str) -> Iterator[RawRows]:
    """Read some columns of a CSV file in which every row is one line, block by block.

    Args:
        path: the file. Its first line is the header.
        wanted: our name of each column and its position.
        width: number of columns.
        delimiter: one character.
    """
    with path.open("rb") as file:
        file.readline()
        number = 2
        while block := file.read(_BLOCK) + file.readline():
            yield _read_block(block, number, wanted, width, delimiter)
            number += block.count(b"\n")


def _read_block(block: bytes, first_number: int, wanted: dict[str, int], width: int, delimiter: str) -> RawRows:
    """The rows of whole lines, of which the first is line `first_number` of the file."""
    rows = _read_fast(block, first_number, wanted, width, delimiter)
    if rows is None:
        rows = _read_line_by_line(block, first_number, wanted, width, delimiter)
    return _without_blank_rows(rows)


def _read_fast(block: bytes, first_number: int, wanted: dict[str, int], width: int, delimiter: str) -> RawRows | None:
    """Through Arrow, every column a dictionary; None when Arrow sees other lines than there are: most often a
    stray quote has joined some."""
    bad_lines: list[tuple[int, str]] = []

    def skip(row: pa.csv.InvalidRow) -> str:
        bad_lines.append((first_number - 1 + row.number, row.text.encode("latin-1").decode("utf-8", "replace")))
        return "skip"

    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    if block.count(b"\r") != block.count(b"\r\n"):  # lines to Arrow, not to us
        return None
    text = pa.dictionary(pa.int32(), pa.binary())
    positions = [str(position) for position in wanted.values()]
    # Arrow gets Latin-1, in which all bytes are text, and it is turned back value by value: it cannot hand over a bad
    # line that is no UTF-8.
    encoded = block if block.isascii() else block.decode("latin-1").encode()
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(encoded),
            # One thread, so that the rows have numbers.
            read_options=pa.csv.ReadOptions(
                column_names=[str(position) for position in range(width)], use_threads=False, block_size=len(encoded)
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=delimiter, invalid_row_handler=skip, ignore_empty_lines=False, newlines_in_values=False
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(positions, text), include_columns=positions, strings_can_be_null=False
            ),
        )
    except (pa.ArrowInvalid, OverflowError):  # the latter for a line of over 2 GiB
        return None
    if len(table) + len(bad_lines) != lines:
        return None
    columns = {}
    for name, column in zip(wanted, table.unify_dictionaries().combine_chunks().columns, strict=True):
        if column.num_chunks == 0:
            columns[name] = Column(np.zeros(0, dtype=np.int32), [])
            continue
        chunk = column.chunk(0)
        columns[name] = _decoded(
            chunk.indices.to_numpy(), [value.decode().encode("latin-1") for value in chunk.dictionary.to_pylist()]
        )
    numbers = np.arange(first_number, first_number + lines, dtype=np.int64)
    bad = np.array([number for number, _ in bad_lines], dtype=np.int64)
    return RawRows(columns, np.delete(numbers, bad - first_number), _not_blank(bad_lines))


def _read_line_by_line(block: bytes, first_number: int, wanted: dict[str, int], width: int, delimiter: str) -> RawRows:
    """Every line on its own, whatever quotes the one before has left open."""
    codes = {name: array.array("i") for name in wanted}
    indices: dict[str, dict[bytes, int]] = {name: {} for name in wanted}
    numbers = array.array("q")
    bad_lines: list[tuple[int, str]] = []
    separator = delimiter.encode()
    columns = [(position, indices[name], codes[name]) for name, position in wanted.items()]
    for number, line in enumerate(block.removesuffix(b"\n").split(b"\n"), start=first_number):
        line = line.rstrip(b"\r\n")
        fields = _quoted_fields(line, delimiter) if b'"' in line else line.split(separator)
        if len(fields) != width:
            bad_lines.append((number, line.decode("utf-8", "replace").strip()))
            continue
        numbers.append(number)
        for position, index, column in columns:
            value = fields[position]
            column.append(index.setdefault(value, len(index)))
    return RawRows(
        {name: _decoded(np.array(codes[name], dtype=np.int32), list(indices[name])) for name in wanted},
        np.array(numbers, dtype=np.int64),
        _not_blank(bad_lines),
    )


def _not_blank(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return [(number, line) for number, line in lines if line.strip()]


def _quoted_fields(line: bytes, delimiter: str) -> list[bytes]:
    try:
        fields = next(csv.reader([line.decode("latin-1")], delimiter=delimiter), [])
    except csv.Error:
        return []
    return [field.encode("latin-1") for field in fields]


def _decoded(codes: np.ndarray, raw: Sequence[bytes]) -> Column:
    """Text where the bytes are UTF-8, stripped; empty text is null. Values that become equal share a code."""
    index: dict[str | bytes | None, int] = {}
    remap = np.empty(len(raw), dtype=np.int32)
    for code, value in enumerate(raw):
        text: str | bytes
        try:
            text = value.decode().strip()
        except UnicodeDecodeError:
            text = value
        remap[code] = index.setdefault(text, len(index)) if text else -1
    return Column(remap[codes] if len(raw) else codes, list(index))


def _without_blank_rows(rows: RawRows) -> RawRows:
    """Leave out rows in which every wanted field is empty: blank lines, most often the last."""
    blank = np.logical_and.reduce([column.codes < 0 for column in rows.columns.values()])
    if not blank.any():
        return rows
    columns = {name: Column(column.codes[~blank], column.values) for name, column in rows.columns.items()}
    return RawRows(columns, rows.numbers[~blank], rows.bad_lines)


def read_records(path: Path, width: int, delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """Every record of a CSV file whose quoted fields may hold line breaks.

    A record with the wrong number of fields that ran over several lines is given up after its first line: a stray
    quote costs one line, not the rest of the file. Bytes that are no UTF-8 come as lone surrogates.

    Yields:
        (row number of its first line, fields), or (row number, the line) where the number of fields is wrong.
    """
    csv.field_size_limit(1 << 24)
    lines = path.read_bytes().decode("utf-8", errors="surrogateescape").split("\n")
    position = 1  # the first line is the header
    while position < len(lines):
        reader = csv.reader((line + "\n" for line in lines[position:]), delimiter=delimiter)
        start = position
        for record in _records_of(reader):
            number, position = position + 1, start + reader.line_num
            if record is not None and len(record) == width:
                yield number, record
            elif record is None or record:
                yield number, lines[number - 1].strip()
                if position > number:
                    position = number
                    break


def _records_of(reader: Iterator[list[str]]) -> Iterator[list[str] | None]:
    """The reader's records; None for one that it refuses."""
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield None
