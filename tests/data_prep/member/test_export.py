"""Account exports, well-formed and not: what comes out adds up, and what goes wrong is one `UserError`."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep import dataset
from data_prep.errors import exit_status
from data_prep.matching import TitleMatcher
from data_prep.member import export
from data_prep.member.export import read_export, read_history
from data_prep.member.history import Export
from tests.data_prep.member.export_cases import DIARY, FILMS, HEAT, RATINGS, WATCHED, adds_up, rows, zipped


def read(tmp_path: Path, content: str | bytes, name: str = "ratings.csv") -> Export:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_history(path, FILMS)
    adds_up(found)
    return found


WHOLE = {
    "ratings.csv": RATINGS
    + rows(
        "2022-01-02,Alien,1979,u,4",
        "2022-01-01,Heat,1995,u,4.5",
        "2022-01-03,Nobody Knows It,2000,u,3",
        '2022-01-04,"The Good, the ""Bad""",1966,u,0.5',
        "2022-01-05,1917,2019,u,11",
    ),
    "diary.csv": DIARY + rows("2022-02-01,Heat,1995,v,1,Yes,,2022-01-30", "2022-02-01,Amélie,2001,v,,,a,2022-01-31"),
    "watched.csv": WATCHED + rows("2022-01-02,Alien,1979,u"),
    "watchlist.csv": WATCHED + rows("2022-01-02,1917,2019,u", "2022-01-02,Nobody,2019,u"),
    "likes/films.csv": WATCHED + rows("2022-01-02,Alien,1979,u"),
    "deleted/diary.csv": DIARY + rows("2022-02-01,1917,2019,v,1,,,2022-01-30"),
    "orphaned/diary.csv": DIARY + rows("2022-02-01,1917,2019,v,1,,,2022-01-30"),
    "lists/best.csv": "Letterboxd list export v7\nDate,Name,Tags,URL,Description\n",
    "profile.csv": "Date Joined,Username\n",
}


def check_whole(found: Export) -> None:
    adds_up(found)
    assert found.ratings == [("heat", 9), ("alien", 8), ("commas", 1)]
    first = {"film_id": "heat", "rating": 9, "date": "2022-01-01", "liked": False, "rewatch": True}
    assert found.history[0] == first
    assert [film["liked"] for film in found.history] == [False, True, False]
    assert found.watched == ["alien", "heat", "amelie"]
    assert found.watchlist == ["1917"]
    assert found.counts == {"rated": 4, "matched": 3, "rejected": 1}
    assert found.unmatched == [
        {"row": 4, "name": "Nobody Knows It", "year": 2000, "reason": "not in the catalogue"},
    ]
    reason = "the rating is not 0.5 to 5 in half stars"
    assert found.rejected == [{"file": "ratings.csv", "row": 6, "value": "11", "reason": reason}]


@pytest.mark.parametrize("top", ["", "letterboxd-me-2022-utc/"])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_whole_zip(tmp_path: Path, top: str, method: int) -> None:
    path = tmp_path / "any name"
    path.write_bytes(zipped({top + name: content for name, content in WHOLE.items()}, method))
    check_whole(read_export(path, FILMS))
    assert os.listdir(tmp_path) == ["any name"]  # reading writes nothing


def test_a_mac_zip_of_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    members: dict[str, str | bytes] = {f"me/{name}": content for name, content in WHOLE.items()}
    path.write_bytes(zipped({**members, "__MACOSX/me/._ratings.csv": b"\0\5", "me/.DS_Store": b"\0"}))
    check_whole(read_export(path, FILMS))


def test_a_folder(tmp_path: Path) -> None:
    for name, content in WHOLE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, newline="")
    check_whole(read_export(tmp_path, FILMS))


def test_diary_ratings_count_where_there_is_no_ratings_file(tmp_path: Path) -> None:
    content = DIARY + rows(
        "2022-03-01,Heat,1995,v,2,,,2021-01-01",  # logged last, watched first
        "2022-02-01,Heat,1995,v,4,,,2022-01-30",
        "2022-02-02,Heat,1995,v,5,Yes,,2022-01-30",  # same day, logged later: this one
        "2022-04-01,Heat,1995,v,,Yes,,2022-04-01",  # watched again without a rating
        "2022-04-02,Alien,1979,v,,,,2022-04-01",
    )
    found = read(tmp_path, content, "anything.txt")
    expected = {"film_id": "heat", "rating": 10, "date": "2022-01-30", "liked": False, "rewatch": True}
    assert found.history == [expected]
    assert found.watched == ["heat", "alien"]
    assert found.counts == {"rated": 1, "matched": 1, "rejected": 0}


def test_two_rows_of_one_film(tmp_path: Path) -> None:
    found = read(tmp_path, RATINGS + rows("2022-01-09,A Cop,1972,u,4", "2022-01-02,Un flic,1972,u,1"))
    assert found.ratings == [("a-cop", 8)]
    assert found.counts == {"rated": 2, "matched": 2, "rejected": 0}
    found = read(tmp_path, RATINGS + rows("2022-01-09,Heat,1995,u,4", "2022-01-02,Heat,1995,u,1"))
    assert found.ratings == [("heat", 8)]
    assert found.counts == {"rated": 1, "matched": 1, "rejected": 0}


def test_a_namesake_of_next_year_yields_to_the_film_itself(tmp_path: Path) -> None:
    found = read(tmp_path, RATINGS + rows("2022-01-09,Heat,1996,u,4"))
    assert found.ratings == [("heat", 8)]
    found = read(tmp_path, RATINGS + rows("2022-01-09,Heat,1996,u,4", "2022-01-02,Heat,1995,u,1"))
    assert found.ratings == [("heat", 2)]
    assert [row["year"] for row in found.unmatched] == [1996]
    found = read(tmp_path, RATINGS + rows("2022-01-09,Heat,1996,u,4", "2022-01-02,Heat,1994,u,1"))
    assert found.ratings == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (RATINGS, []),
        (RATINGS.strip(), []),
        ("\ufeff" + RATINGS + HEAT, [("heat", 9)]),
        ((RATINGS + HEAT).encode("utf-16"), [("heat", 9)]),
        ((RATINGS + rows(HEAT)).replace("\r\n", "\n"), [("heat", 9)]),
        ((RATINGS + rows(HEAT)).replace("\r\n", "\r"), [("heat", 9)]),
        ((RATINGS + HEAT).replace(",", ";"), [("heat", 9)]),
        ((RATINGS + HEAT).replace(",", ";").replace("4.5", "4,5"), [("heat", 9)]),
        ((RATINGS + HEAT).replace(",", "\t"), [("heat", 9)]),
        ("\r\n" + RATINGS + "\r\n" + HEAT + "\r\n,,,,\r\n", [("heat", 9)]),
        ("rating,Extra,NAME,year\r\n5,?,Heat,1995\r\n", [("heat", 10)]),
        ('"Name","Rating","Year"\r\n"Heat","5.0","1995.0"\r\n', [("heat", 10)]),
        ("Date,Name,Rating\r\n2022-01-01,Heat,5\r\n", []),  # no Year column
        (RATINGS + HEAT + ",,\r\n", [("heat", 9)]),
        (RATINGS + '2022-01-09,"Heat",1995,"two\r\nlines",4\r\n' + HEAT.replace("Heat", "Amelie"), [("heat", 8)]),
        (RATINGS + "2022-01-09,1917,2019,u,3.5", [("1917", 7)]),
        (RATINGS + "2022-01-09,Am\u00e9lie,2001,u,3.5", [("amelie", 7)]),
        (RATINGS.encode() + b"2022-01-09,Heat,1995,\xff\xfe,3.5", [("heat", 7)]),  # broken where nobody looks
        (RATINGS + '2022-01-09,Heat,1995,u,"4,5"', [("heat", 9)]),
    ],
)
def test_odd_but_readable(tmp_path: Path, content: str | bytes, expected: list[tuple[str, int]]) -> None:
    found = read(tmp_path, content, "my file")
    assert found.ratings == expected
    assert found.rejected == []


@pytest.mark.parametrize(
    ("row", "value", "reason"),
    [
        (b"2022-01-09,Heat,1995,u,11", "11", "the rating is not 0.5 to 5 in half stars"),
        (b"2022-01-09,Heat,1995,u,0", "0", "the rating is not 0.5 to 5 in half stars"),
        (b"2022-01-09,Heat,1995,u,3.7", "3.7", "the rating is not 0.5 to 5 in half stars"),
        (b"2022-01-09,Heat,1995,u,-1", "-1", "the rating is not a number"),
        (b"2022-01-09,Heat,1995,u,nan", "nan", "the rating is not a number"),
        (b"2022-01-09,Heat,1995,u,abc", "abc", "the rating is not a number"),
        ("2022-01-09,Heat,1995,u,４".encode(), "４", "the rating is not a number"),
        (b"2022-01-09,Heat,1995,u,", "", "the rating is blank"),
        (b"2022-01-09,Heat,1995", "", "the rating is blank"),
        (b"2022-01-09, ,1995,u,4", "2022-01-09, ,1995,u,4", "the name is blank"),
        (b"2022-01-09,H\xe9at,1995,u,4", "H\ufffdat", "the name is not UTF-8"),
        (b"2022-01-09,He\0at,1995,u,4", "He\0at", "NUL bytes in the name"),
        (b"2022-01-09,Heat,nineteen,u,4", "nineteen", "the year is not a year"),
        (b"2022-01-09,Heat,19955,u,4", "19955", "the year is not a year"),
        (b"2022-01-09,Good, Bad,1995,u,4", "2022-01-09,Good, Bad,1995,u,4", "more cells than the header"),
        (b"2022-01-09," + b"x" * 600 + b",1995,u,4", "x" * 200, "the name is too long"),
    ],
)
def test_malformed_rows(tmp_path: Path, row: bytes, value: str, reason: str) -> None:
    found = read(tmp_path, RATINGS.encode() + row + b"\r\n2022-01-09,Alien,1979,u,5\r\n")
    assert found.ratings == [("alien", 10)]
    (rejected,) = found.rejected
    assert (rejected["file"], rejected["row"], rejected["value"]) == ("ratings.csv", 2, value)
    assert rejected["reason"].startswith(reason)


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (["6/30/2022", "12/2/2022"], ["2022-06-30", "2022-12-02"]),
        (["30/6/2022", "12/2/2022"], ["2022-06-30", "2022-02-12"]),
        (["30.06.2022", "12.02.2022"], ["2022-06-30", "2022-02-12"]),
        (["2022-6-3 10:00", "2022/06/04"], ["2022-06-03", "2022-06-04"]),
        (["6/30/2022 0:00", "2022-02-30"], ["2022-06-30", None]),
        (["yesterday", ""], [None, None]),
    ],
)
def test_dates(tmp_path: Path, dates: list[str], expected: list[str | None]) -> None:
    found = read(tmp_path, RATINGS + rows(f"{dates[0]},Heat,1995,u,4", f"{dates[1]},Alien,1979,u,4"))
    by_film = {film["film_id"]: film["date"] for film in found.history}
    assert [by_film["heat"], by_film["alien"]] == expected
    assert found.rejected == []


@pytest.mark.parametrize("broken", [b"\0" * 100, b"", b"Date,Name,Year\n", b"%PDF"])
def test_a_broken_member_beside_a_good_one(tmp_path: Path, broken: bytes) -> None:
    diary = DIARY + rows("2022-02-01,Heat,1995,v,1,,,2022-01-30")
    found = read(tmp_path, zipped({"ratings.csv": broken, "diary.csv": diary}), "a.zip")
    assert found.ratings == [("heat", 2)]
    assert [(row["file"], row["row"]) for row in found.rejected] == [("ratings.csv", 1)]
    assert found.rejected[0]["reason"].startswith("file not used: ")
    found = read(tmp_path, zipped({"ratings.csv": RATINGS + HEAT, "watchlist.csv": b"\0"}), "a.zip")
    assert found.ratings == [("heat", 9)]
    assert found.counts["rejected"] == 1


SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


cells = st.one_of(
    st.sampled_from(["Heat", "Alien", "A Cop", "Un flic", "1995", "1979", "1972", "4", "3.5", "11", "2022-01-01", ""]),
    st.text(max_size=8),
)


@SLOW
@given(lines=st.lists(st.lists(cells, min_size=1, max_size=7), max_size=12), diary=st.booleans())
def test_any_rows_add_up(tmp_path: Path, lines: list[list[str]], diary: bool) -> None:
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines]
    content = (DIARY if diary else RATINGS) + rows(*quoted)
    path = tmp_path / "rows.csv"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    found = read_export(path, FILMS)
    adds_up(found)
    filled = sum(any(cell.strip() for cell in line) for line in lines)
    if not diary:
        assert found.counts["rated"] + found.counts["rejected"] <= filled


def test_the_json_reads_back(tmp_path: Path) -> None:
    (tmp_path / "export.zip").write_bytes(zipped(WHOLE))
    first = read_history(tmp_path / "export.zip", FILMS)
    first.write(tmp_path / "history.json")
    assert read_history(tmp_path / "history.json", FILMS) == first
    twins = read(tmp_path, RATINGS + rows("2022-01-09,A Cop,1972,u,4", "2022-01-02,Un flic,1972,u,1"))
    twins.write(tmp_path / "twins.json")
    assert read_history(tmp_path / "twins.json", FILMS) == twins


def test_a_minimal_json(tmp_path: Path) -> None:
    entries = [
        ("heat", 10),
        ("alien", 3),
        ("heat", 4),
        ("unknown", 5),
        ("1917", 11),
        ("amelie", True),
        ("amelie", "7"),
    ]
    content = {"history": [{"film_id": film_id, "rating": rating} for film_id, rating in entries]}
    found = read(tmp_path, json.dumps(content), "anything")
    assert found.ratings == [("alien", 3), ("heat", 4)]
    assert found.unmatched == [{"row": 4, "name": "unknown", "year": None, "reason": "not in the catalogue"}]
    assert [(row["row"], row["value"]) for row in found.rejected] == [(5, "11"), (6, "true"), (7, '"7"')]
    assert found.counts == {"rated": 3, "matched": 2, "rejected": 3}


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(dataset, "load_films", lambda data: FILMS)
    source, out = tmp_path / "ratings.csv", tmp_path / "out.json"
    unknown = [f"2022-01-01,Unknown \x1b[31m{n},2000,u,4" for n in range(25)]
    source.write_text(RATINGS + rows(HEAT, *unknown, "2022-01-01,Heat,1995,u,9"), newline="")
    arguments = [str(source), "--data", "DIR", "--out", str(out)]
    assert exit_status(export.main, arguments) == 0
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    lines = stderr.splitlines()
    assert lines[0] == f"{source}: 26 rated, 1 matched, 25 unmatched, 1 rejected"
    assert lines[1] == "  unmatched row 3: Unknown \ufffd[31m0 (2000): not in the catalogue"
    assert lines[21] == "  ... and 5 more unmatched"
    assert lines[22].startswith("  rejected ratings.csv, row 28: '9': the rating")
    assert json.loads(out.read_text())["counts"] == {"rated": 26, "matched": 1, "rejected": 1}
    assert sorted(os.listdir(tmp_path)) == ["out.json", "ratings.csv"]

    assert exit_status(export.main, arguments[:3]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(out.read_text())


def test_the_command_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dataset, "load_films", lambda data: FILMS)
    source = tmp_path / "ratings.csv"
    source.write_text("nothing")
    out = tmp_path / "out.json"
    assert exit_status(export.main, [str(source), "--data", "DIR", "--out", str(out)]) == 2
    source.write_text(RATINGS)
    for place in (tmp_path / "absent/out.json", tmp_path):
        assert exit_status(export.main, [str(source), "--data", "DIR", "--out", str(place)]) == 2
    assert os.listdir(tmp_path) == ["ratings.csv"]
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert all(line.startswith("error: ") for line in errors)


@pytest.fixture(scope="module")
def letterboxd(shared: Path) -> TitleMatcher:
    films = pl.read_parquet(shared / "data/letterboxd/films.parquet")
    return TitleMatcher(films.rename({"movie_title": "title", "year_released": "year"}))


def test_recorded_exports(shared: Path, letterboxd: TitleMatcher) -> None:
    folders = sorted((shared / "fixtures/exports").iterdir())
    assert folders
    for folder in folders:
        results = {}
        for path in (folder, folder / "export.zip", folder / "ratings.csv", folder / "diary.csv"):
            if path.exists():
                found = results[path.name] = read_export(path, letterboxd)
                adds_up(found)
                assert found.rejected == []
                dated = [film["date"] for film in found.history]
                assert None not in dated
                assert dated == sorted(dated)  # type: ignore[type-var]
        if "export.zip" in results:
            assert results["export.zip"] == results[folder.name]
        if (folder / "ratings.csv").exists():
            table = pl.read_csv(folder / "ratings.csv", infer_schema=False)
            assert results[folder.name].counts["rated"] == table.select("Name", "Year").n_unique()


def test_most_of_a_recorded_export_is_matched(shared: Path, letterboxd: TitleMatcher) -> None:
    found = read_export(shared / "fixtures/exports/11/export.zip", letterboxd)
    assert found.counts["rated"] == 445
    assert found.counts["matched"] >= 0.97 * 445
