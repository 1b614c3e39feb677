"""`reel data tmdb`: what it fetches, where it writes it, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data_prep.errors import UserError
from data_prep.report import BuildReport
from data_prep.schema import FILM_COLUMNS
from data_prep.tables.read_films import read_films
from tests.data_prep.tmdb.fake_tmdb import TOKEN, FakeTmdb

Run = Callable[..., None]


def test_everything_at_once_each_film_once(
    run: Run, tmdb: FakeTmdb, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    titles = tmp_path / "titles.csv"
    titles.write_text('Year;Title\n2004;"Æther & Ash"\n2010;Twin\n;Winter Without End\n', encoding="utf-8")
    ids = tmp_path / "ids.txt"
    ids.write_text("7\n1\n99\n")
    out = tmp_path / "films.parquet"
    one_by_one = ["--ids", f"@{ids}", "--imdb-ids", "tt0000001,tt0000004", "--titles", titles]
    run(*one_by_one, "--discover", "2010-01-01", "2010-06-30", "--out", out)
    films = pl.read_parquet(out)
    assert films.schema == pl.Schema(FILM_COLUMNS)
    assert films["film_id"].to_list() == ["tmdb-7", "tmdb-1", "tmdb-4", "tmdb-2", "tmdb-5", "tmdb-3"]
    errors = capsys.readouterr().err
    assert "not found: TMDB id 99: TMDB has no film 99" in errors
    assert "not found: Twin (2010): ambiguous" in errors
    assert "not found: Winter Without End (?): no year" in errors
    assert f"{len(tmdb.requests)} requests, 1 answers from" in errors  # film 1 is asked for in two ways


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_the_tables_are_read_by_reel_data_tables(suffix: str, run: Run, tmp_path: Path) -> None:
    run("--ids", "1,2,6", "--out", tmp_path / "a.parquet")
    run("--ids", "1,2,6", "--out", tmp_path / f"films.{suffix}")
    report = BuildReport()
    assert read_films(tmp_path / f"films.{suffix}", report).equals(pl.read_parquet(tmp_path / "a.parquet"))
    assert report.lines() == []


def test_json_to_a_file_and_to_standard_output(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--ids", "1,6", "--out", tmp_path / "films.json")
    run("--ids", "1,6", "--format", "json")
    films = json.loads(capsys.readouterr().out)
    assert films == json.loads((tmp_path / "films.json").read_text(encoding="utf-8"))
    assert list(films[0]) == list(FILM_COLUMNS)
    assert films[0]["release_date"] == "1999-03-30"
    assert films[1] == dict.fromkeys(FILM_COLUMNS) | {
        "film_id": "tmdb-6",
        "title": "Nothing Known",
        "production_countries": ["Iceland"],
        "original_language": "is",
        "popularity": 7.5,
        "vote_average": 6.25,
        "vote_count": 16,
        "tmdb_id": 6,
        "film_group": "tmdb-6",
    }


def test_a_table_for_the_eye(run: Run, tmdb: FakeTmdb, capsys: pytest.CaptureFixture[str]) -> None:
    tmdb.films[1]["title"] = "The \x1b[31mLighthouse\nEats"
    run("--ids", "1,6")
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "Nothing Known" in printed
    assert "Drama, Horror" in " ".join(printed.split())


def test_dry_run_of_a_fetch(run: Run, tmdb: FakeTmdb, capsys: pytest.CaptureFixture[str]) -> None:
    run("--ids", "1", "--format", "json")
    asked = len(tmdb.requests)
    capsys.readouterr()
    run("--ids", "1,2", "--discover", "2010-01-01", "2010-12-31", "--dry-run", "--format", "json")
    discovery, film = json.loads(capsys.readouterr().out)
    assert discovery.startswith("/discover/movie?primary_release_date.gte=2010-01-01")
    assert film == "/movie/2"
    assert len(tmdb.requests) == asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name films with --ids"),
        (["--ids", "1", "--fill", "x"], "name films with --ids"),
        (["--ids", "603,x"], "'x' is no TMDB id"),
        (["--ids", "-3"], "'-3' is no TMDB id"),
        (["--ids", "0"], "'0' is no TMDB id"),
        (["--ids", "9" * 19], "is no TMDB id"),
        (["--ids", ","], "no id is given"),
        (["--imdb-ids", "nm12"], "'nm12' is no IMDb id"),
        (["--discover", "2020-01-01", "2020-13-01"], "--discover 2020-13-01: no day"),
        (["--discover", "2020-01-02", "2020-01-01"], "the first day comes after the last"),
        (["--ids", "1", "--out", "films.txt"], "--out films.txt: name a .parquet, .csv or .json file"),
        (["--fill", "x", "--out", "films.json"], "--out films.json"),
        (["--ids", "1", "--max-age", "365"], "six months"),
        (["--ids", "1", "--max-age", "nan"], "six months"),
        (["--ids", "1", "--max-age", "old"], "--max-age"),
        (["--ids", "1", "--out", "no/such/folder/films.json"], "there is no folder"),
    ],
)
def test_mistakes(arguments: list[str], message: str, run: Run, tmdb: FakeTmdb) -> None:
    with pytest.raises(UserError) as mistake:
        run(*arguments)
    assert message in str(mistake.value)
    assert tmdb.requests == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name,year\nHeat,1995\n", "no column title"),
        (b"title,year\nHeat,95\n", "row 2: '95' is no year"),
        (b"title,year\nHeat,1995\n,1995\n", "row 3: no title"),
        (b"title,year\nHeat,1995,more\n", "row 2: 2 fields expected"),
        (b"title,year\nH\xffat,1995\n", "row 2: the title is no UTF-8"),
        (b"", "empty"),
        (b"PAR1....", "Parquet"),
        (b"\x00\x01", "not a text file"),
    ],
)
def test_broken_title_files(content: bytes, message: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "titles.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"titles\.csv.*") as mistake:
        run("--titles", tmp_path / "titles.csv")
    assert message in str(mistake.value)


def test_a_list_of_ids_that_is_no_text(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ids").write_bytes(b"\xff\xfe1")
    with pytest.raises(UserError, match="no text file"):
        run("--ids", f"@{tmp_path / 'ids'}")


def test_without_a_token(run: Run, tmdb: FakeTmdb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMDB_TOKEN")
    with pytest.raises(UserError, match=r"TMDB_TOKEN is not set.*themoviedb\.org/settings/api"):
        run("--ids", "1")
    assert tmdb.requests == []


def test_the_token_is_shown_nowhere(
    run: Run, tmdb: FakeTmdb, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    run("--ids", "1,99", "--out", tmp_path / "films.json")
    printed: Any = capfd.readouterr()
    assert caplog.text  # of httpx: the address
    assert not any(TOKEN in text for text in (printed.out, printed.err, caplog.text, str(tmdb.requests)))
    assert not any(TOKEN.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_the_titles_are_not_overwritten(run: Run, tmdb: FakeTmdb, tmp_path: Path) -> None:
    titles = tmp_path / "films.csv"
    titles.write_text("title,year\nTwin,2010\n")
    with pytest.raises(UserError, match="this file is read"):
        run("--titles", titles, "--out", titles)
    assert titles.read_text() == "title,year\nTwin,2010\n"
    assert tmdb.requests == []
