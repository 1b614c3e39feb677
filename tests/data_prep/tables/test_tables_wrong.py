"""Table files that are none, and places that are no folder, for `reel data tables`."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from data_prep.errors import exit_status
from data_prep.tables.command import main

FILMS = pl.DataFrame({"film_id": ["heat", "alien"], "title": ["Heat", "Alien"]})
ROWS = 3000
RATINGS = pl.DataFrame(
    {"user_id": [f"u{row}" for row in range(ROWS)], "film_id": ["heat"] * ROWS, "rating": [7] * ROWS}
)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def carriage_returns(path: Path) -> None:
    path.write_text(RATINGS.write_csv().replace("\n", "\r"))


def nested_users(path: Path) -> None:
    RATINGS.with_columns(user_id=pl.struct("user_id")).write_parquet(path)


def nested_ratings(path: Path) -> None:
    RATINGS.with_columns(rating=pl.concat_list("rating")).write_parquet(path)


def damaged_pages(path: Path) -> None:
    RATINGS.write_parquet(path, compression="zstd")
    data = bytearray(path.read_bytes())
    data[4:60] = bytes(56)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (fifo, "no regular file"),
        (carriage_returns, "carriage returns alone"),
        (nested_users, "neither text nor numbers"),
        (nested_ratings, "neither text nor numbers"),
        (damaged_pages, "damaged Parquet file"),
    ],
)
def test_ratings_that_are_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str], make, message: str) -> None:
    FILMS.write_csv(tmp_path / "films.csv")
    make(tmp_path / "ratings")
    files = ["--ratings", str(tmp_path / "ratings"), "--films", str(tmp_path / "films.csv")]
    assert exit_status(main, [*files, "--out", str(tmp_path / "data")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path / 'ratings'}: ")
    assert message in line
    assert sorted(os.listdir(tmp_path)) == ["films.csv", "ratings"]


def test_only_a_folder_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FILMS.write_csv(tmp_path / "films.csv")
    RATINGS.write_csv(tmp_path / "ratings.csv")
    os.mkfifo(tmp_path / "pipe")
    files = ["--ratings", str(tmp_path / "ratings.csv"), "--films", str(tmp_path / "films.csv")]
    for out in ("pipe", "x" * 300):
        assert exit_status(main, [*files, "--out", str(tmp_path / out)]) == 2
        assert capsys.readouterr().err.startswith(f"error: {tmp_path / out}: ")
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(os.listdir(tmp_path)) == ["films.csv", "pipe", "ratings.csv"]
