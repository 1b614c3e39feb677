"""MovieLens folders in every layout, whole and damaged."""

from __future__ import annotations

import datetime
import io
import os
import zipfile
from pathlib import Path

import polars as pl
import pytest

from data_prep.dataset import load_films, load_histories, load_ratings
from data_prep.errors import UserError, exit_status
from data_prep.movielens import command as movielens
from data_prep.movielens import ratings as movielens_ratings
from data_prep.movielens.command import build_from_movielens, clean_title, read_movielens, title_year
from data_prep.report import (
    BAD_LINE,
    BROKEN_TEXT,
    DUPLICATE_FILM,
    DUPLICATE_RATING,
    NULL_FIELD,
    UNKNOWN_FILM,
    BuildReport,
)
from tests.data_prep.movielens.movielens_cases import CSV, DAT, ITEM, folder

ALL_TRAIN = ["--splits", "train=1"]


def read(path: Path) -> tuple[pl.DataFrame, pl.DataFrame, BuildReport]:
    report = BuildReport()
    films, ratings = read_movielens(path, report)
    return films, ratings, report


def rows(ratings: pl.DataFrame) -> list[tuple]:
    """The ratings with users by their numbers."""
    return [
        (user.split(":")[1], film, rating, str(date) if date else None) for user, film, rating, date in ratings.rows()
    ]


def test_users_are_those_of_their_set(tmp_path: Path) -> None:
    _, ratings, _ = read(folder(tmp_path / "ml-mine", CSV))
    assert "ml-mine:10" in ratings["user_id"].to_list()


def test_the_csv_layout(tmp_path: Path) -> None:
    films, ratings, report = read(folder(tmp_path, CSV))
    assert films.select("film_id", "title", "year", "genres", "tmdb_id", "imdb_id").rows() == [
        ("ml-7", "The Slow Train", 1931, ["Drama", "Romance"], 862, "tt0021234"),
        ("ml-9", "Étoile", 2004, None, None, "tt12345678"),
        ("ml-300", "Who, Me?", None, ["Comedy"], 15, None),
    ]
    assert rows(ratings) == [  # in order of time
        ("4", "ml-7", 2, "1970-01-01"),
        ("4", "ml-9", 3, "1970-01-02"),
        ("3", "ml-9", 4, "1970-02-16"),
        ("1", "ml-9", 1, "2001-09-09"),
        ("1", "ml-7", 9, "2001-09-09"),
        ("2", "ml-7", 10, "2010-01-01"),
        ("2", "ml-300", 6, "2010-01-01"),
        ("10", "ml-300", 7, "2017-07-14"),
    ]
    assert report.lines() == []


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_the_dat_layout(tmp_path: Path, encoding: str, ends: str) -> None:
    files = {name: content.replace("\n", ends) for name, content in DAT.items()}
    films, ratings, report = read(folder(tmp_path, files, encoding))
    assert films.select("film_id", "title", "year", "genres").rows() == [
        ("ml-7", "The Slow Train", 1931, ["Children's", "Drama"]),
        ("ml-9", "Étoile: a Tale", 2004, ["Comedy"]),
    ]
    assert [row[2] for row in rows(ratings)] == [2, 5, 2, 8, 10]
    assert report.lines() == []


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_item_layout(tmp_path: Path, encoding: str) -> None:
    films, ratings, report = read(folder(tmp_path, ITEM, encoding))
    assert films.select("film_id", "title", "year", "genres", "release_date").rows() == [
        ("ml-7", "The Slow Train", 1931, ["Action", "Comedy"], datetime.date(1931, 1, 1)),
        ("ml-9", "Étoile III", 1995, None, None),
        ("ml-11", "unknown", None, None, None),
    ]
    assert len(ratings) == 5
    assert report.lines() == []


@pytest.mark.parametrize("block", [40, 64, 1 << 20])
def test_rows_that_cannot_be_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(movielens_ratings, "_BLOCK", block)
    lines = [
        "userId,movieId,rating,timestamp",
        "1,7,4.5,1000000000",
        "1,9",  # 3
        "",
        "2,9,4.0,1000000000,5",  # 5
        ",9,4.0,1000000000",  # 6
        "2,,4.0,1000000000",
        "2,9,,1000000000",
        "x,9,4.0,1000000000",  # 9
        "2,9.5,4.0,1000000000",
        "2,9,5.5,1000000000",  # 11
        "2,9,0.7,1000000000",
        "2,9,NaN,1000000000",
        "2,9,four,1000000000",
        "2,8,4.0,1000000000",  # 15
        "1,7,1.0,1",  # 16
        "3,7,4.0,soon",
        "3,9,4.0,-5",
        "4,9,4.0,99999999999",
        '5,9,4.0,"1000000000"',
        "6,é,4.0,1000000000",  # 21
        "6,9,5.0,1000000001",
    ]
    _, ratings, report = read(folder(tmp_path, {**CSV, "ratings.csv": "\n".join(lines).encode("latin-1")}))
    assert rows(ratings) == [
        ("3", "ml-7", 8, None),
        ("3", "ml-9", 8, None),
        ("4", "ml-9", 8, None),
        ("5", "ml-9", 8, None),
        ("1", "ml-7", 9, "2001-09-09"),
        ("6", "ml-9", 10, "2001-09-09"),
    ]
    found = {kind: (rejection.count, rejection.offenders) for (_, kind), rejection in report.rejections.items()}
    assert found == {
        BAD_LINE: (2, [(3, "1,9"), (5, "2,9,4.0,1000000000,5")]),
        NULL_FIELD: (3, [(6, "no user"), (7, "no film"), (8, "no stars")]),
        movielens_ratings.NOT_A_NUMBER: (3, [(9, "x"), (10, "9.5"), (21, "é")]),
        movielens_ratings.BAD_STARS: (4, [(11, "5.5"), (12, "0.7"), (13, "NaN")]),
        UNKNOWN_FILM: (1, [(15, "8")]),
        DUPLICATE_RATING: (1, [(16, "1, ml-7")]),
    }
    assert report.notes == ["ratings.csv: 4 times could not be read, so have no date"]


def test_films_and_links_that_cannot_be_right(tmp_path: Path) -> None:
    movies = b"movieId,title,genres\n7,A (1990),Drama\n7,B (1991),Drama\nx,C,Drama\n9,D\xff,Drama\n8\n10,E (1650),\n"
    links = b"movieId,imdbId,tmdbId\n7,tt1,nan\n99,1,1\nx,1,1\n10,5,6\n10\n"
    ratings = b"userId,movieId,rating,timestamp\n1,7,1,1\n"
    films, _, report = read(folder(tmp_path, {"movies.csv": movies, "links.csv": links, "ratings.csv": ratings}))
    assert films.select("film_id", "title", "year", "genres", "tmdb_id", "imdb_id").rows() == [
        ("ml-7", "A", 1990, ["Drama"], None, None),
        ("ml-10", "E", None, None, 6, "tt0000005"),
    ]
    found = {key: rejection.offenders for key, rejection in report.rejections.items()}
    assert found == {
        ("movies.csv", DUPLICATE_FILM): [(3, "7")],
        ("movies.csv", movielens_ratings.NOT_A_NUMBER): [(4, "C")],
        ("movies.csv", BROKEN_TEXT): [(5, "9")],
        ("movies.csv", BAD_LINE): [(6, "8")],
        ("links.csv", movielens_ratings.NOT_A_NUMBER): [(4, "x")],
        ("links.csv", BAD_LINE): [(6, "10")],
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no MovieLens folder; expected ratings.csv, movies.csv and links.csv"),
        ({"ratings.csv": "userId,movieId,rating,timestamp\n"}, "holds ratings.csv and no movies.csv"),
        ({"u.item": ITEM["u.item"]}, "holds u.item and no u.data"),
        ({**CSV, "ratings.csv": ""}, "empty"),
        ({**CSV, "ratings.csv": "userId,movieId,rating,timestamp\n"}, "holds no rating"),
        ({**CSV, "ratings.csv": "user,movie,rating,timestamp\n1,1,1,1\n"}, "no column userId"),
        ({**CSV, "ratings.csv": b"\0" * 5000}, "not a text file"),
        ({**CSV, "movies.csv": "movieId,title,genres\n"}, "holds no films"),
        ({**CSV, "movies.csv": "movieId,title\n1,A\n"}, "no column genres"),
        ({**CSV, "links.csv": "movieId,imdbId\n"}, "no column tmdbId"),
        ({**DAT, "ratings.dat": ""}, "ratings.dat"),
        ({**DAT, "ratings.dat": b"\xff" * 900}, "holds no rating"),
        ({**DAT, "movies.dat": "\n\n"}, "holds no films"),
        ({**ITEM, "u.data": ITEM["u.data"].replace("\t", " ")}, "holds no rating"),
    ],
)
def test_folders_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict, message: str) -> None:
    source = folder(tmp_path / "source", files)
    assert exit_status(movielens.main, [str(source), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error
    assert os.listdir(tmp_path) == ["source"]


def test_places_that_are_no_folders(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ml-1m/ratings.dat", "")
    (tmp_path / "ml-1m.zip").write_bytes(buffer.getvalue())
    for place, message in (("ml-1m.zip", "an archive; unpack it"), ("absent", "no such folder; expected one with")):
        with pytest.raises(UserError, match=message):
            build_from_movielens(tmp_path / place, tmp_path / "out")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert exit_status(movielens.main, [str(folder(tmp_path / "ml", CSV)), "--out", str(out), *ALL_TRAIN]) == 0
    assert capsys.readouterr().err == f"{out}: 5 users (train 5), 3 films, 8 ratings\n"
    histories = load_histories(str(out), "train")
    films = load_films(str(out))["film_id"].to_list()
    taste = {tuple((films[film], int(rating)) for film, rating in zip(*history, strict=True)) for history in histories}
    assert (("ml-9", 1), ("ml-7", 9)) in taste  # one day: the order of time is kept
    assert (("ml-7", 10), ("ml-300", 6)) in taste
    assert "GroupLens" in (out / "README.md").read_text()
    assert str(tmp_path) not in (out / "README.md").read_text()

    first = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    assert exit_status(movielens.main, [str(tmp_path / "ml"), "--out", str(out), *ALL_TRAIN]) == 0
    assert first == {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_folds_and_cold_films(tmp_path: Path) -> None:
    ratings = "".join(f"{user},{film},3.0,{user}\n" for user in range(1, 41) for film in (7, 9, 300))
    source = folder(tmp_path / "ml", {**CSV, "ratings.csv": "userId,movieId,rating,timestamp\n" + ratings})
    card = build_from_movielens(source, tmp_path / "out", fold=(2, 4), cold_films=1, seed=3)
    assert {split: counts.users for split, counts in card.splits.items()} == {"train": 27, "validation": 3, "test": 10}
    assert len(load_ratings(str(tmp_path / "out"), "train")) == 54


def test_strict_and_wrong_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = folder(tmp_path / "ml", {**CSV, "ratings.csv": CSV["ratings.csv"] + "5,7,9.0,1\n5,8,1.0,1\n"})
    command = [str(source), "--out", str(tmp_path / "out")]
    assert exit_status(movielens.main, [*command, *ALL_TRAIN]) == 0
    stderr = capsys.readouterr().err
    assert "ratings.csv: 1 rows left out, rating not 0.5 to 5 in half stars: row 10 (9.0)" in stderr
    assert "| ratings.csv | unknown film | 1 |" in (tmp_path / "out" / "README.md").read_text()
    for options, message in (
        (["--strict"], "ratings.csv row 10: rating not 0.5 to 5"),
        (["--cold-films", "-1"], "--cold-films -1"),
        (["--splits", "train=2"], "--splits"),
        (["--fold", "5/4"], "--fold"),
        (["--fold", "1/2", *ALL_TRAIN], "not allowed with"),
    ):
        assert exit_status(movielens.main, [*command, *options]) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]


def test_published_sets_have_published_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder(tmp_path / "ml-1m", DAT)
    expected = "ml-1m: expected 6,040 users, 3,883 films, 1,000,209 ratings"
    line = f"{expected}; found 4 users, 2 films, 5 ratings: an incomplete download?"
    assert exit_status(movielens.main, [str(source), "--out", str(tmp_path / "out"), "--strict", *ALL_TRAIN]) == 0
    assert line in capsys.readouterr().err.splitlines()
    assert line in (tmp_path / "out" / "README.md").read_text()
    monkeypatch.setitem(movielens.EXPECTED_COUNTS, "ml-1m", (4, 2, 5))
    assert read(source)[2].lines() == []


@pytest.mark.parametrize(
    ("raw", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Matrix, The (1999) ", "The Matrix", 1999),
        ("Land Before Time III, The (1995) (V)", "The Land Before Time III", 1995),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", 2009),
        ("2001: A Space Odyssey", "2001: A Space Odyssey", None),
        ("Big Bang Theory, The (2007-)", "The Big Bang Theory", 2007),
        ("From the Future (2999)", "From the Future", None),
    ],
)
def test_titles_and_years(raw: str, title: str, year: int | None) -> None:
    assert (clean_title(raw), title_year(raw)) == (title, year)


def test_without_links(tmp_path: Path) -> None:
    films, _, report = read(folder(tmp_path, {name: CSV[name] for name in ("ratings.csv", "movies.csv")}))
    assert films["tmdb_id"].null_count() == 3
    assert report.notes == ["no links.csv, so no film has an id of TMDB or IMDb"]
