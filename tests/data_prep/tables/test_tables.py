"""Tables in Parquet and CSV: every layout, every kind of row that cannot be right, every kind of file that is none."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.building import partition
from data_prep.dataset import load_films, load_ratings, write_dataset
from data_prep.errors import UserError, exit_status
from data_prep.report import BuildReport
from data_prep.tables import csv_rows, read_ratings
from data_prep.tables.command import main
from data_prep.tables.read_films import read_films
from data_prep.tables.read_ratings import RatingsFile
from data_prep.user_keys import hash_users, user_key

FILMS = pl.DataFrame({"film_id": ["alien", "heat", "solaris"], "title": ["Alien", "Heat", "Solaris"]})


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.fixture(params=["at once", "in pieces"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How much of a file is read and arranged at a time makes no difference."""
    if request.param == "in pieces":
        monkeypatch.setattr(csv_rows, "_BLOCK", 20)
        monkeypatch.setattr(read_ratings, "_ROWS_PER_BATCH", 2)
        monkeypatch.setattr(partition, "ROWS_IN_MEMORY", 1)


def read(path: Path, users: Iterable[str]) -> tuple[list[tuple], dict[str, tuple[int, list]]]:
    """The right rows of a ratings file, and by kind the count and the first offenders of the others."""
    report = BuildReport()
    out = path.parent / "read"
    write_dataset(out, FILMS, RatingsFile(path), source="x", splits={"train": 1.0}, report=report)
    names = {hashed: user for user in users for hashed in hash_users([user], user_key())}
    rows = pl.read_parquet(out / "ratings").with_columns(pl.col("user_id").replace_strict(names))
    rejected = {kind: (item.count, item.offenders) for (_, kind), item in report.rejections.items()}
    return sorted(rows.select("user_id", "film_id", "rating").rows()), rejected


ROWS = b"""user_id,film_id,rating
ann,alien,7
bob,alien
bob,heat,11
bob,heat,0
bob,heat,3.5
bob,heat,good
bob,solaris,9.0
bob,solaris,2
,heat,4
bob,,4
bob,heat,
b\xff,heat,4
bob,he\xe9t,4
cat,unheard-of,4
cat,heat,4,5
"cat","heat",10

 dan , alien ,1
"""


@pytest.mark.usefixtures("pieces")
def test_every_kind_of_row_that_cannot_be_right(tmp_path: Path) -> None:
    rows, rejected = read(write(tmp_path / "ratings.csv", ROWS), ["ann", "bob", "cat", "dan"])
    assert rows == [("ann", "alien", 7), ("bob", "solaris", 9), ("cat", "heat", 10), ("dan", "alien", 1)]
    assert rejected == {
        "wrong number of fields": (2, [(3, "bob,alien"), (16, "cat,heat,4,5")]),
        "empty field": (3, [(10, "no user_id"), (11, "no film_id"), (12, "no rating")]),
        "broken UTF-8": (2, [(13, "b\ufffd"), (14, "he\ufffdt")]),
        "rating not a whole number from 1 to 10": (4, [(4, "11"), (5, "0"), (6, "3.5")]),
        "unknown film": (1, [(15, "unheard-of")]),
        "duplicate user and film": (1, [(9, "bob, solaris")]),
    }


def test_a_stray_quote_costs_one_line(tmp_path: Path) -> None:
    lines = [f"user{number},alien,{number % 10 + 1}" for number in range(20_000)]
    lines[3] = '"user3,alien,4'
    lines[1_000] = 'user1000,"alien,1'
    users = [f"user{number}" for number in range(20_000)]
    rows, rejected = read(write(tmp_path / "ratings.csv", "\n".join(["user_id,film_id,rating", *lines])), users)
    assert len(rows) == 19_998
    assert rejected == {"wrong number of fields": (2, [(5, lines[3]), (1_002, lines[1_000])])}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_dialects(tmp_path: Path, newline: str, delimiter: str, mark: str) -> None:
    lines = ["note,rating,user_id,film_id", '"one, two",7,ann,alien', "x,8,bob,heat", ""]
    if delimiter != ",":
        lines = [line.replace(",", delimiter) for line in lines]
    rows, rejected = read(write(tmp_path / "ratings.csv", mark + newline.join(lines)), ["ann", "bob"])
    assert rows == [("ann", "alien", 7), ("bob", "heat", 8)]
    assert not rejected


@pytest.mark.usefixtures("pieces")
def test_parquet_rows_that_cannot_be_right(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {
            "user_id": [1, 1, 2, None, 2, 3, 3],
            "film_id": ["alien", "alien", None, "heat", "nope", "heat", "solaris"],
            "rating": [7.0, 8.0, 3.0, 3.0, 3.0, float("nan"), 4.5],
        }
    )
    table.write_parquet(tmp_path / "ratings.parquet")
    rows, rejected = read(tmp_path / "ratings.parquet", "123")
    assert rows == [("1", "alien", 7)]
    assert rejected == {
        "empty field": (3, [(4, "no user_id"), (3, "no film_id"), (6, "no rating")]),
        "rating not a whole number from 1 to 10": (1, [(7, "4.5")]),
        "unknown film": (1, [(5, "nope")]),
        "duplicate user and film": (1, [(2, "1, alien")]),
    }


def test_broken_text_in_parquet(tmp_path: Path) -> None:
    names = pa.array([b"a\xff", b"bob"], pa.binary())
    users = pa.StringArray.from_buffers(2, names.buffers()[1], names.buffers()[2])
    pq.write_table(pa.table({"user_id": users, "film_id": ["heat"] * 2, "rating": [5, 6]}), tmp_path / "r.parquet")
    rows, rejected = read(tmp_path / "r.parquet", ["bob"])
    assert rows == [("bob", "heat", 6)]
    assert rejected == {"broken UTF-8": (1, [(1, "a\ufffd")])}


@pytest.mark.usefixtures("pieces")
def test_optional_columns_are_read_and_never_cost_a_row(tmp_path: Path) -> None:
    text = "user_id,film_id,rating,date,liked,rewatch,reviewed\n"
    text += (
        "ann,alien,7,2024-02-29,true,0,\nann,heat,7,31/12/2024,maybe,1,yes\nann,solaris,7,2024-01-01T10:00:00,,,no\n"
    )
    report = BuildReport()
    table = RatingsFile(write(tmp_path / "r.csv", text))
    write_dataset(tmp_path / "data", FILMS, table, source="x", splits={"train": 1.0}, report=report)
    ratings = load_ratings(str(tmp_path / "data"), "train").sort(pl.col("film_id") == "solaris", "film_id")
    assert [str(date) for date in ratings["date"]] == ["2024-02-29", "None", "2024-01-01"]
    assert ratings["liked"].to_list() == [True, None, None]
    assert ratings["rewatch"].to_list() == [False, True, None]
    assert ratings["reviewed"].to_list() == [None, True, False]
    assert report.total == 0
    assert report.notes == [
        "r.csv: 1 values of date could not be read and count as unknown",
        "r.csv: 1 values of liked could not be read and count as unknown",
    ]


FILM_ROWS = b"""film_id,title,year,genres,runtime,overview,release_date
alien,Alien,1979,"[""Horror"", ""Science Fiction""]",117,"In space,
no one can hear",1979-05-25
alien,Alien again,1979,,,,
heat,Heat,nineteen,,,,
"stray,Stray,2000,,,,
metropolis,Metropolis,1927.0,[],0,,1927
future,Future,2999,,,,
,Nameless,2001,,,,
short,Short
bad\xff,Bad,2001,,,,
untitled,,2001,Drama,long,,
"""


def test_films_that_cannot_be_right(tmp_path: Path) -> None:
    report = BuildReport()
    films = read_films(write(tmp_path / "films.csv", FILM_ROWS), report)
    assert films["film_id"].to_list() == ["alien", "metropolis", "untitled"]
    assert films["title"].to_list() == ["Alien", "Metropolis", "(untitled untitled)"]
    assert films["year"].to_list() == [1979, 1927, 2001]
    assert films["genres"].to_list() == [["Horror", "Science Fiction"], [], None]
    assert films["runtime"].to_list() == [117, None, None]
    assert films["overview"][0] == "In space,\nno one can hear"
    assert films["film_group"].to_list() == films["film_id"].to_list()
    assert {kind: (item.count, item.offenders) for (_, kind), item in report.rejections.items()} == {
        "duplicate film": (1, [(4, "alien")]),
        "year not a year": (2, [(5, "nineteen"), (8, "2999")]),
        "wrong number of fields": (2, [(6, '"stray,Stray,2000,,,,'), (10, "short,Short")]),
        "empty field": (1, [(9, "no film id")]),
        "broken UTF-8": (1, [(11, "bad\ufffd")]),
    }
    assert report.notes == [
        "films.csv: 1 values of release_date could not be read and count as unknown",
        "films.csv: 1 values of runtime could not be read and count as unknown",
        "films.csv: 1 values of genres could not be read and count as unknown",
        'films.csv: 1 films without a title are called "(untitled <film_id>)"',
    ]


def test_the_kaggle_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = (
        "_id,genres,image_url,imdb_id,imdb_link,movie_id,movie_title,original_language,overview,popularity,"
        "production_countries,release_date,runtime,spoken_languages,tmdb_id,tmdb_link,vote_average,vote_count,year_released"
    )
    fields = [
        "5fc85f606758f69634496fcd",
        json.dumps(["Music", "Animation"]),
        "poster/x",
        "tt0",
        "http://imdb",
        "feast",
        "Feast",
    ]
    fields += [
        "en",
        'A "dog" story,\nshort',
        "8.5",
        json.dumps(["France"]),
        "2014-10-25",
        "6.0",
        json.dumps(["English"]),
    ]
    fields += ["293299.0", "http://tmdb", "7.9", "1024.0", "2014.0"]
    quoted = ",".join('"' + field.replace('"', '""') + '"' for field in fields)
    films = write(tmp_path / "movie_data.csv", f"{header}\n{quoted}\n" + "x,,,,,empty,Empty" + "," * 12 + "\n")
    lines = [f"id{user},feast,{user % 10 + 1},user{user}" for user in range(20)]
    ratings = write(
        tmp_path / "ratings_export.csv", "\n".join(["_id,movie_id,rating_val,user_id", *lines, "id,gone,3,user1"])
    )
    out = tmp_path / "data"
    main(["--ratings", str(ratings), "--films", str(films), "--out", str(out)])
    stderr = capsys.readouterr().err
    assert "ratings_export.csv: 1 rows left out, unknown film: row 22 (gone)" in stderr
    assert "20 users (train 18, validation 1, test 1), 2 films, 20 ratings" in stderr
    film = load_films(str(out)).row(0, named=True)
    assert film | {"release_date": str(film["release_date"])} == {
        "film_id": "feast",
        "title": "Feast",
        "year": 2014,
        "release_date": "2014-10-25",
        "runtime": 6.0,
        "genres": ["Music", "Animation"],
        "production_countries": ["France"],
        "spoken_languages": ["English"],
        "original_language": "en",
        "overview": 'A "dog" story,\nshort',
        "popularity": 8.5,
        "vote_average": 7.9,
        "vote_count": 1024,
        "tmdb_id": 293299,
        "imdb_id": "tt0",
        "image_url": "poster/x",
        "film_group": "feast",
    }
    assert load_ratings(str(out), "train")["rating"].len() == 18
    assert "| ratings_export.csv | unknown film | 1 |" in (out / "README.md").read_text()
    assert str(tmp_path) not in (out / "README.md").read_text()


def test_csv_and_parquet_give_the_same_data_set(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame, tiny_dataset: Path
) -> None:
    lists = [name for name, dtype in tiny_films.schema.items() if dtype == pl.List]
    as_json = [
        pl.col(name).map_elements(lambda items: json.dumps(list(items)), return_dtype=pl.String) for name in lists
    ]
    tiny_films.with_columns(as_json).write_csv(tmp_path / "films.csv")
    tiny_ratings.write_csv(tmp_path / "ratings.csv")
    arguments = ["--ratings", str(tmp_path / "ratings.csv"), "--films", str(tmp_path / "films.csv")]
    main([*arguments, "--splits", "train=.8,validation=.1,test=.1", "--strict", "--out", str(tmp_path / "data")])
    for path in sorted((tmp_path / "data").glob("*/*.parquet")):
        assert path.read_bytes() == (tiny_dataset / path.relative_to(tmp_path / "data")).read_bytes(), path


def test_strict_makes_it_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FILMS.write_csv(tmp_path / "films.csv")
    write(tmp_path / "ratings.csv", ROWS)
    arguments = ["--ratings", str(tmp_path / "ratings.csv"), "--films", str(tmp_path / "films.csv")]
    assert exit_status(main, [*arguments, "--strict", "--out", str(tmp_path / "data")]) == 2
    line = capsys.readouterr().err.strip().split("\n")[-1]
    assert line.startswith("error: ratings.csv row 3: wrong number of fields (bob,alien); 13 such rows in all")
    assert not (tmp_path / "data").exists()


def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    films = write(tmp_path / "films.csv", "film_id,title\nalien,Alien\n")
    good = write(tmp_path / "good.csv", "user_id,film_id,rating\nann,alien,7\n")
    FILMS.clear().write_parquet(tmp_path / "no_rows.parquet")
    FILMS.write_parquet(tmp_path / "cut.parquet")
    write(tmp_path / "cut.parquet", (tmp_path / "cut.parquet").read_bytes()[:-20])
    cases = {
        tmp_path / "absent.csv": "no such file",
        tmp_path: "a folder",
        write(tmp_path / "empty.csv", ""): "empty",
        write(tmp_path / "blank.csv", "\n\n"): "empty",
        write(tmp_path / "text.parquet", "user_id,film_id,rating\n"): "not a Parquet file",
        write(tmp_path / "nul.csv", b"user_id,film_id\0,rating\n1,2,3\n"): "not a text file",
        write(tmp_path / "zip.csv", b"PK\x03\x04abc"): "unpack it first",
        write(
            tmp_path / "other.csv", "name,film,stars\n"
        ): "no column user_id; the columns there are: name, film, stars",
        write(tmp_path / "header.csv", "user_id,film_id,rating\n"): "no rating is left",
        write(tmp_path / "wrong.csv", "user_id,film_id,rating\nann,heat,7\n"): "no rating is left",
        tmp_path / "no_rows.parquet": "no rows",
        tmp_path / "cut.parquet": "damaged",
    }
    for path, message in cases.items():
        for arguments in (
            ["--ratings", str(path), "--films", str(films)],
            ["--ratings", str(good), "--films", str(path)],
        ):
            if "--ratings" not in arguments[:1] or (str(path) in arguments[3] and "left" in message):
                continue
            assert exit_status(main, [*arguments, "--out", str(tmp_path / "data")]) == 2, (path, arguments)
            last = capsys.readouterr().err.strip().split("\n")[-1]
            assert last.startswith("error: ")
            if arguments[1] == str(path):
                assert message in last, last
    assert not (tmp_path / "data").exists()


def test_stars_are_not_taken_for_ratings(tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame, capsys):
    tiny_films.write_parquet(tmp_path / "films.parquet")
    stars = tiny_ratings.with_columns(pl.col("rating") / 2)
    tables = {"halves": stars, "whole": stars.with_columns(pl.col("rating").ceil())}
    statuses = {}
    for name, table in tables.items():
        table.write_csv(tmp_path / f"{name}.csv")
        arguments = ["--ratings", str(tmp_path / f"{name}.csv"), "--films", str(tmp_path / "films.parquet")]
        statuses[name] = exit_status(main, [*arguments, "--out", str(tmp_path / name)])
    assert statuses == {"halves": 2, "whole": 0}
    row = stars["rating"].is_in([0.5, 1.5, 2.5, 3.5, 4.5]).arg_max() + 2
    told = capsys.readouterr().err
    assert f"error: halves.csv row {row}: rating {stars['rating'][row - 2]}: stars, and" in told
    assert "whole.csv: no rating is above 5" in told
    assert not (tmp_path / "halves").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cold-films", "-1"], "must be 0 or more"),
        (["--splits", "train=.5,test=.5", "--cold-films", "99"], "cannot be kept back"),
        ([], "too few for a validation split"),
    ],
)
def test_options_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    FILMS.write_csv(tmp_path / "films.csv")
    write(tmp_path / "ratings.csv", "user_id,film_id,rating\nann,alien,7\nbob,heat,3\n")
    arguments = ["--ratings", str(tmp_path / "ratings.csv"), "--films", str(tmp_path / "films.csv"), *options]
    assert exit_status(main, [*arguments, "--out", str(tmp_path / "data")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ("train=.9,test=.2", "sum to 1"),
        ("train=nine", "name=share"),
        ("training=1", "no split 'training'"),
        ("train=0,test=1", "train needs a share"),
        ("train=2,test=-1", "from 0 to 1"),
        ("train=nan", "sum to 1"),
    ],
)
def test_splits_that_cannot_be(capsys: pytest.CaptureFixture[str], splits: str, message: str) -> None:
    assert exit_status(main, ["--ratings", "r", "--films", "f", "--out", "o", "--splits", splits]) == 2
    assert message in capsys.readouterr().err


def test_the_shared_tables_have_the_columns_we_read(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "letterboxd"
    report = BuildReport()
    films = read_films(folder / "films.parquet", report)
    assert len(films) == 13_290
    assert report.total == 0
    assert films["film_group"].n_unique() == 13_215
    assert films.row(by_predicate=pl.col("film_id") == "barbie", named=True)["year"] == 2023
    pl.scan_parquet(folder / "ratings.parquet").head(1_000).collect().write_parquet(tmp_path / "ratings.parquet")
    batches = RatingsFile(tmp_path / "ratings.parquet").batches(films["film_id"].to_list(), report)
    assert sum(len(batch.records) for batch in batches) == 1_000
    assert report.total == 0


def test_a_report_that_nothing_was_left_out_of_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    report = BuildReport()
    report.reject("a.csv", "unknown film", 0, [])
    report.print()
    report.check_strict()
    assert capsys.readouterr().err == ""
    report.reject("a.csv", "unknown film", 5, [(row, "x" * 100 + "\n") for row in range(5)])
    assert len(report.rejections["a.csv", "unknown film"].offenders) == 3
    with pytest.raises(UserError, match="row 0"):
        report.check_strict()
