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

    def show(self, row: int) -> str:
        """The value at position `row`, for a message."""
        value = self.values[self.codes[row]] if self.codes[row] >= 0 else "nothing"
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@dataclass
class Rows:
    """Columns of a table and where its rows stood in the file.

    Attributes:
        columns: by our name.
        numbers: int64 [rows], row numbers in the file; None when row i is `first_number + i`.
        first_number: number of the first row.
        bad_lines: (row number, text) of every line with the wrong number of fields.
    """

    columns: dict[str, Column]
    numbers: np.ndarray | None = None
    first_number: int = 1
    bad_lines: list[tuple[int, str]] = field(default_factory=list)

    def number(self, row: int) -> int:
        """Row number in the file of the row at position `row`."""
        return self.first_number + row if self.numbers is None else int(self.numbers[row])


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


def read_columns(path: Path, wanted: dict[str, int], width: int, delimiter: str) -> Rows:
    """Read some columns of a CSV file in which every row is one line.

    Args:
        path: the file. Its first line is the header.
        wanted: our name of each column and its position.
        width: number of columns.
        delimiter: one character.
    """
    try:
        rows = _read_fast(path, wanted, width, delimiter)
    except pa.ArrowInvalid:
        rows = None
    return _read_line_by_line(path, wanted, width, delimiter) if rows is None else rows


def _read_fast(path: Path, wanted: dict[str, int], width: int, delimiter: str) -> Rows | None:
    """Through Arrow, every column a dictionary; None when a stray quote has joined lines."""
    bad_lines: list[tuple[int, str]] = []

    def skip(row: pa.csv.InvalidRow) -> str:
        bad_lines.append((row.number, row.text.encode("latin-1").decode("utf-8", "replace")))
        return "skip"

    text = pa.dictionary(pa.int32(), pa.binary())
    names = [str(position) for position in range(width)]
    # Read as Latin-1, in which all bytes are text, and turned back value by value: Arrow cannot hand over a bad line
    # that is no UTF-8.
    stream = pa.transcoding_input_stream(pa.OSFile(str(path)), "latin-1", "utf-8")
    reader = pa.csv.open_csv(
        stream,
        # One thread, so that the rows have numbers.
        read_options=pa.csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False, block_size=_BLOCK),
        parse_options=pa.csv.ParseOptions(
            delimiter=delimiter, invalid_row_handler=skip, ignore_empty_lines=False, newlines_in_values=False
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types={str(position): text for position in wanted.values()},
            include_columns=[str(position) for position in wanted.values()],
            strings_can_be_null=False,
        ),
    )
    table = reader.read_all().unify_dictionaries().combine_chunks()
    columns = {}
    for name, column in zip(wanted, table.columns, strict=True):
        if column.num_chunks == 0:
            columns[name] = Column(np.zeros(0, dtype=np.int32), [])
            continue
        chunk = column.chunk(0)
        raw = [value.decode().encode("latin-1") for value in chunk.dictionary.to_pylist()]
        if any(b"\n" in value for value in raw):
            return None
        columns[name] = _decoded(chunk.indices.to_numpy(), raw)
    if any("\n" in line for _, line in bad_lines):
        return None
    rows = Rows(columns, None, 2, [(number, line) for number, line in bad_lines if line.strip()])
    if bad_lines:
        bad = np.array([number for number, _ in bad_lines], dtype=np.int64)
        # Output row i was row i + 2 of a file without the bad lines before it.
        everything = np.arange(2, 2 + len(table) + len(bad), dtype=np.int64)
        rows.numbers = np.delete(everything, bad - 2)
    return _without_blank_rows(rows)


def _read_line_by_line(path: Path, wanted: dict[str, int], width: int, delimiter: str) -> Rows:
    """Every line on its own, whatever quotes the one before has left open."""
    codes = {name: array.array("i") for name in wanted}
    indices: dict[str, dict[bytes, int]] = {name: {} for name in wanted}
    numbers = array.array("q")
    bad_lines: list[tuple[int, str]] = []
    separator = delimiter.encode()
    columns = [(position, indices[name], codes[name]) for name, position in wanted.items()]
    with path.open("rb") as file:
        next(file, None)
        for number, line in enumerate(file, start=2):
            line = line.rstrip(b"\r\n")
            fields = _quoted_fields(line, delimiter) if b'"' in line else line.split(separator)
            if len(fields) != width:
                if line.strip():
                    bad_lines.append((number, line.decode("utf-8", "replace").strip()))
                continue
            numbers.append(number)
            for position, index, column in columns:
                value = fields[position]
                column.append(index.setdefault(value, len(index)))
    return _without_blank_rows(
        Rows(
            {name: _decoded(np.array(codes[name], dtype=np.int32), list(indices[name])) for name in wanted},
            np.array(numbers, dtype=np.int64),
            2,
            bad_lines,
        )
    )


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


def _without_blank_rows(rows: Rows) -> Rows:
    """Leave out rows in which every wanted field is empty: blank lines, most often the last."""
    blank = np.logical_and.reduce([column.codes < 0 for column in rows.columns.values()])
    if not blank.any():
        return rows
    numbers = rows.first_number + np.arange(len(blank)) if rows.numbers is None else rows.numbers
    columns = {name: Column(column.codes[~blank], column.values) for name, column in rows.columns.items()}
    return Rows(columns, numbers[~blank], rows.first_number, rows.bad_lines)


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
