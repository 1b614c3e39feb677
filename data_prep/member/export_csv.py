"""One CSV of an account export: its separator, its rows, and what its cells mean."""

from __future__ import annotations

import csv
import datetime
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from data_prep.errors import UserError
from data_prep.member.archive import MAX_NAME, Budget, glimpse
from data_prep.member.history import Rejected

MAX_CELL = 131_072  # letters; Python's own limit, unless somebody raised it
EXPECTED = (
    "expected Date,Name,Year,Letterboxd URI,Rating (ratings.csv) "
    "or Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date (diary.csv)"
)
_COLUMNS = {"date", "name", "year", "letterboxduri", "rating", "rewatch", "tags", "watcheddate", "review"}
_SEPARATORS = (",", ";", "\t")
_UNCLOSED = "an unclosed quotation mark, it seems"

_RATING = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4})?")
_YEAR = re.compile(r"((?:1[89]|2[01])[0-9]{2})(?:\.0+)?")  # "2016.0" is what a spreadsheet with blank years makes
_YEAR_FIRST = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?:[T ].*)?")
_YEAR_LAST = re.compile(r"([0-9]{1,2})([/.])([0-9]{1,2})\2([0-9]{4})(?: .*)?")


class BrokenFile(UserError):
    """One CSV cannot be used; the other files of the export may still be."""


@dataclass(frozen=True)
class Row:
    """A row that names a film. `number` counts as a spreadsheet does, the header is 1; `cells` are stripped."""

    number: int
    name: str
    year: int | None
    cells: dict[str, str]


@dataclass
class Table:
    """The rows of one file, and those that are malformed."""

    file: str
    separator: str
    columns: dict[str, int]  # of the known ones ("watcheddate"): the position
    width: int
    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    day_first: bool = False  # how the file writes dates like 3/4/2020

    @property
    def kind(self) -> str:
        """The name that a file with these columns has in an export, whatever it is called here."""
        return "diary.csv" if {"rewatch", "watcheddate"} & self.columns.keys() else "ratings.csv"

    def reject(self, number: int, value: str, reason: str) -> None:
        value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        self.rejected.append({"file": self.file, "row": number, "value": value[:200], "reason": reason})

    def rating(self, row: Row) -> int | None:
        """Stars (0.5 to 5 in halves) as 1..10; None when blank. Raises ValueError (why) for anything else."""
        text = row.cells.get("rating", "")
        if not text:
            return None
        return rating_of_stars(text.replace(",", "."))

    def date(self, row: Row, column: str) -> str | None:
        """An ISO date; None when the cell is blank or no date: the order suffers, the rating does not."""
        text = row.cells.get(column, "")
        if found := _YEAR_FIRST.fullmatch(text):
            year, month, day = (int(part) for part in found.groups())
        elif found := _YEAR_LAST.fullmatch(text):
            month, day, year = int(found[1]), int(found[3]), int(found[4])
            if found[2] == "." or month > 12 or (self.day_first and day <= 12):
                month, day = day, month
        else:
            return None
        try:
            return datetime.date(year, month, day).isoformat()
        except ValueError:
            return None


def rating_of_stars(text: str) -> int:
    """Stars (0.5 to 5 in halves) as 1..10. Raises ValueError (why) for anything else."""
    if not _RATING.fullmatch(text):
        raise ValueError("the rating is not a number")
    doubled = 2 * float(text)
    if doubled not in range(1, 11):
        raise ValueError("the rating is not 0.5 to 5 in half stars")
    return int(doubled)


def parse_table(file: str, data: bytes, budget: Budget) -> Table:
    """A CSV with a Name column: `,`, `;` or tab between cells, any line ends, any order of columns, UTF-8 or UTF-16.

    Blank rows are skipped. Rejected are rows with a blank, overlong or broken name, a year that is none, a quotation
    mark that nobody closed, or more cells than the header. Broken bytes in other cells do no harm. A row may lack its
    last cells.

    Raises:
        BrokenFile: it is empty, NUL bytes, has another header, or a line without end.
        UserError: the budget is used up.
    """
    text = _decode(file, data)
    table = _read_header(file, text)
    records = enumerate(budget.watched(_records(file, text, table.separator)), start=1)
    filled = ((number, record) for number, record in records if any(map(str.strip, record)))
    next(filled)  # the header
    for number, record in filled:
        budget.take(rows=1)
        if isinstance(record, str):
            table.reject(number, record, _UNCLOSED)
        else:
            _add_row(table, number, record)
    table.day_first = _writes_day_first(
        row.cells[column] for row in table.rows for column in ("date", "watcheddate") if column in row.cells
    )
    return table


def _decode(file: str, data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):  # what Excel calls Unicode text
        text = data.decode("utf-16", "replace")
    else:
        text = data.decode("utf-8-sig", "surrogateescape")  # bytes that are no UTF-8 become lone surrogates
    if not text.strip():
        raise BrokenFile(f"{file}: the file is empty, not even a header; {EXPECTED}")
    if not text.strip("\0\r\n\t "):
        raise BrokenFile(f"{file}: the file holds nothing but NUL bytes; export your data again")
    return text


def _records(file: str, text: str, separator: str) -> Iterator[list[str] | str]:
    """The cells of every record; of one that a quotation mark opens and none closes, its first line.

    After that line reading goes on with the next: the rows that the open cell would swallow are not lost.
    """
    csv.field_size_limit(MAX_CELL)
    lines = io.StringIO(text, newline="")
    while True:
        # Strictly, a quotation mark stands at an end of its cell: what is read is what was written.
        records = csv.reader(_lines(file, lines), delimiter=separator, strict=True)
        start = lines.tell()
        try:
            for record in records:
                yield record
                start = lines.tell()
            return
        except csv.Error:
            lines.seek(start)
        line = lines.readline().rstrip("\r\n")
        cells = next(csv.reader([line + "\n"], delimiter=separator))
        yield line if cells[-1].endswith("\n") else cells


def _lines(file: str, lines: io.StringIO) -> Iterator[str]:
    for line in lines:
        if len(line) > MAX_CELL:
            number = len(list(io.StringIO(lines.getvalue()[: lines.tell()], newline="")))
            raise BrokenFile(f"{file}: line {number} has more than {MAX_CELL:,} letters, so it is no export")
        yield line


def _read_header(file: str, text: str) -> Table:
    line = next(line for line in _lines(file, io.StringIO(text, newline="")) if line.strip())
    best = Table(file, ",", {}, 0)
    for separator in _SEPARATORS:
        cells = next(csv.reader([line], delimiter=separator))
        columns: dict[str, int] = {}
        for position, cell in enumerate(cells):
            name = re.sub(r"[\s_]", "", cell).casefold()
            if name in _COLUMNS:
                columns.setdefault(name, position)
        if len(columns) > len(best.columns):
            best = Table(file, separator, columns, len(cells))
    if "name" not in best.columns:
        found = glimpse(line.strip().encode("utf-8", "surrogateescape"))
        raise BrokenFile(f"{file}: the first line is {found}; {EXPECTED}")
    return best


def _add_row(table: Table, number: int, cells: list[str]) -> None:
    row = {name: cells[at].strip() if at < len(cells) else "" for name, at in table.columns.items()}
    name, year = row["name"], row.get("year", "")
    found = _YEAR.fullmatch(year)
    if any(map(str.strip, cells[table.width :])):
        table.reject(
            number, table.separator.join(cells), "more cells than the header; a name with commas needs quotes"
        )
    elif not name:
        table.reject(number, table.separator.join(cells), "the name is blank")
    elif "\n" in name or "\r" in name:
        table.reject(number, name, _UNCLOSED)
    elif len(name) > MAX_NAME:
        table.reject(number, name, "the name is too long; is a quotation mark not closed?")
    elif "\0" in name:
        table.reject(number, name, "NUL bytes in the name")
    elif any("\ud800" <= letter <= "\udfff" for letter in name):
        table.reject(number, name, "the name is not UTF-8")
    elif year and not found:
        table.reject(number, year, "the year is not a year")
    else:
        table.rows.append(Row(number, name, int(found[1]) if found else None, row))


def _writes_day_first(dates: Iterable[str]) -> bool:
    """Whether 3/4/2020 is in April here: some date has a first number over 12, none a second one."""
    found = [match for match in map(_YEAR_LAST.fullmatch, dates) if match]
    return any(int(match[1]) > 12 for match in found) and not any(int(match[3]) > 12 for match in found)
