"""The fast way of reading CSV and the patient one agree with each other and with Python's csv module."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.tables import csv_rows
from data_prep.tables.csv_rows import RawRows, read_columns, read_records

WANTED = {"first": 0, "last": 2}
FIELD = st.text(st.sampled_from('ab ,"é7'), max_size=4)
LINES = st.lists(
    st.lists(FIELD, min_size=3, max_size=3) | st.lists(FIELD, min_size=1, max_size=4), min_size=1, max_size=12
)


def as_values(rows: RawRows) -> list[tuple]:
    columns = rows.columns.values()
    return [
        (int(number), *(column.values[column.codes[row]] if column.codes[row] >= 0 else None for column in columns))
        for row, number in enumerate(rows.numbers)
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES, quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_both_ways_agree(lines: list[list[str]], quoting: int) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([["x", "y", "z"], *lines])
    body = text.getvalue().split("\n", 1)[1].encode()
    expected, bad = [], []
    for number, fields in enumerate(lines, start=2):
        first, last = fields[0].strip() or None, fields[-1].strip() or None
        if len(fields) != 3:
            if len(fields) > 1 or first or quoting == csv.QUOTE_ALL or fields == [""]:
                bad.append(number)
        elif first or last:
            expected.append((number, first, last))
    for read in (csv_rows._read_fast, csv_rows._read_line_by_line):
        rows = read(body, 2, WANTED, 3, ",")
        assert rows is not None
        rows = csv_rows._without_blank_rows(rows)
        assert as_values(rows) == expected
        assert [number for number, _ in rows.bad_lines] == bad


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60) | st.text(st.sampled_from('a,"\n\r\té'), max_size=60).map(str.encode))
def test_no_bytes_are_a_crash(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"x,y,z\n" + data)
    for rows in read_columns(path, WANTED, 3, ","):
        assert {len(column.codes) for column in rows.columns.values()} == {len(rows.numbers)}
    for _, fields in read_records(path, 3, ","):
        assert isinstance(fields, str) or len(fields) == 3


@pytest.mark.parametrize("block", [16, 64])
def test_numbers_hold_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(csv_rows, "_BLOCK", block)
    path = tmp_path / "file.csv"
    path.write_text("x,y,z\n" + "".join("only one\n" if row % 7 == 3 else f"{row},y,{row}\n" for row in range(2, 60)))
    values = [value for rows in read_columns(path, WANTED, 3, ",") for value in as_values(rows)]
    assert [int(value) == number for number, value, _ in values] == [True] * 49
    bad_lines = [number for rows in read_columns(path, WANTED, 3, ",") for number, _ in rows.bad_lines]
    assert bad_lines == [number for number in range(2, 60) if number % 7 == 3]


def test_records_over_several_lines_and_a_quote_that_never_closes(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text('x,y,z\n1,"two\nlines",3\n4,"never closed,6\n7,8,9\n\n"10","11",12\n')
    assert list(read_records(path, 3, ",")) == [
        (2, ["1", "two\nlines", "3"]),
        (4, '4,"never closed,6'),
        (5, ["7", "8", "9"]),
        (7, ["10", "11", "12"]),
    ]
