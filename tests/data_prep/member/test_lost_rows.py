"""Rows that an unclosed quotation mark would swallow, and histories of which nothing could be used."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from data_prep import dataset
from data_prep.errors import UserError, exit_status
from data_prep.member import archive, export
from data_prep.member.export import read_export, read_history
from data_prep.member.history import Export
from tests.data_prep.member.export_cases import DIARY, FILMS, HEAT, RATINGS, WATCHED, adds_up, rows, zipped
from tests.data_prep.member.feed_cases import entry, feed

UNCLOSED = "an unclosed quotation mark, it seems"


def read(tmp_path: Path, content: str) -> Export:
    path = tmp_path / "ratings.csv"
    path.write_text(content, newline="")
    found = read_history(path, FILMS)
    adds_up(found)
    return found


@pytest.mark.parametrize(
    "line",
    [
        '2022-01-09,"Amelie,2001,u,4',
        '2022-01-09,Amelie,2001,u,"4',
        '"2022-01-09,Amelie,2001,u,4',
        '2022-01-09,"Amelie" ,2001,"u,4',
        '2022-01-09,"Amelie\r\n(again)",2001,u,4',
    ],
)
@pytest.mark.parametrize("after", ["2022-01-09,1917,2019,u,5", '2022-01-09,"The Good, the ""Bad""",1966,u,3', ""])
def test_an_unclosed_quotation_mark_costs_one_row(tmp_path: Path, line: str, after: str) -> None:
    found = read(tmp_path, RATINGS + rows(HEAT, line, "2022-01-10,Alien,1979,u,5", after, "2022-01-11,Up,2009,u,1"))
    assert (
        {("heat", 9), ("alien", 10)} < set(found.ratings) if after else found.ratings == [("heat", 9), ("alien", 10)]
    )
    assert [(row["row"], row["name"]) for row in found.unmatched] == [(6, "Up")]
    assert [(row["file"], row["row"], row["reason"]) for row in found.rejected] == [("ratings.csv", 3, UNCLOSED)]
    assert "Amelie" in found.rejected[0]["value"]
    if "again" not in line:
        assert found.rejected[0]["value"] == line


@pytest.mark.parametrize("end", ["", "\r\n", "\n", "\r"])
def test_an_unclosed_quotation_mark_in_the_last_row(tmp_path: Path, end: str) -> None:
    line = '2022-02-01,"Alien,1979,v,1,,,2022-01-30'
    found = read(tmp_path, DIARY + rows("2022-02-01,Heat,1995,v,1,,,2022-01-30") + line + end)
    assert found.watched == ["heat"]
    assert [(row["row"], row["value"], row["reason"]) for row in found.rejected] == [(3, line, UNCLOSED)]


def test_an_unclosed_quotation_mark_in_the_header_costs_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, RATINGS.replace("Rating", '"Rating') + rows(HEAT))
    assert found.ratings == [("heat", 9)]
    assert found.rejected == []


def test_an_unclosed_quotation_mark_before_a_long_rest(tmp_path: Path) -> None:
    """More letters than a cell may have."""
    films = [f"2022-01-01,Film {number},1990,u,4" for number in range(10_000)]
    found = read(tmp_path, RATINGS + rows('2022-01-09,"Amelie,2001,u,4', *films, HEAT))
    assert found.ratings == [("heat", 9)]
    assert len(found.unmatched) == 10_000
    assert [(row["row"], row["reason"]) for row in found.rejected] == [(2, UNCLOSED)]


@pytest.mark.parametrize("line", ['a","', 'x,"a', "", '"'])
def test_marks_and_lines_without_end_are_refused_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr(archive, "MAX_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(UserError, match="so it is no member's export"):
        read(tmp_path, RATINGS + f"{line}\n" * (19_000_000 // (len(line) + 1)))
    assert time.monotonic() - started < 10


REJECTED = {
    "ratings.csv": ((RATINGS + rows("2022-01-09,Heat,1995,u,9", "x,Alien,1979,u,")).encode(), "row 2: '9': "),
    "my \udcff.csv": ((RATINGS + rows("2022-01-09,Heat,1995,u,4;5")).encode(), "row 2: '4;5': "),
    "unclosed.csv": ((RATINGS + rows('2022-01-09,"Heat,1995,u,4')).encode(), "an unclosed quotation mark"),
    "diary.csv": ((DIARY + rows("2022-01-09,Heat,1995,u,-1,,,")).encode(), "row 2: '-1': "),
    "export.zip": (
        zipped({"ratings.csv": RATINGS + rows("d,Heat,1995,u,9"), "watched.csv": WATCHED + rows("d,Alien,1979,u")}),
        "export.zip: ratings.csv row 2: '9': the rating is not 0.5 to 5 in half stars, and no rating is left; mend ",
    ),
    "broken.zip": (zipped({"ratings.csv": b"\0", "diary.csv": DIARY}), "broken.zip: ratings.csv row 1: '': file not "),
    "history.json": (json.dumps({"history": [{"film_id": "heat", "rating": 11}]}).encode(), "row 1: '11': "),
    "feed.xml": (feed(entry("Heat", 1995, stars="7")), "row 1: '7': "),
}


@pytest.mark.parametrize("name", REJECTED)
def test_a_history_of_which_nothing_can_be_used(tmp_path: Path, name: str) -> None:
    content, message = REJECTED[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_history(path, FILMS)
    assert str(raised.value).startswith(f"{path}")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_command_refuses_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(dataset, "load_films", lambda data: FILMS)
    source, out = tmp_path / "ratings.csv", tmp_path / "out.json"
    source.write_text(RATINGS + rows("2022-01-09,Heat,1995,u,9"), newline="")
    assert exit_status(export.main, [str(source), "--data", "DIR", "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {source} row 2: '9': ")
    assert not out.exists()
    assert read_export(source, FILMS).counts == {"rated": 0, "matched": 0, "rejected": 1}  # whoever asks is told all


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ratings.csv", RATINGS),
        ("diary.csv", DIARY + rows("2022-01-09,Heat,1995,u,,,,")),
        ("history.json", '{"history": []}'),
        ("a.zip", zipped({"ratings.csv": RATINGS, "watchlist.csv": b"\0"})),  # nobody rated anything
    ],
)
def test_a_history_without_ratings_is_one(tmp_path: Path, name: str, content: str | bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_history(path, FILMS)
    assert found.history == []
    found.write(tmp_path / "again.json")
    assert read_history(tmp_path / "again.json", FILMS) == found


@pytest.mark.parametrize("name", ["bad\udcff.csv", "bad\udcff.json", "bad\udcff.xml"])
def test_a_name_that_is_no_text(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "load_films", lambda data: FILMS)
    contents = {
        ".csv": (RATINGS + rows(HEAT, "2022-01-09,Alien,1979,u,9")).encode(),
        ".json": json.dumps(
            {"history": [{"film_id": "heat", "rating": 9}, {"film_id": "alien", "rating": 11}]}
        ).encode(),
        ".xml": feed(entry("Heat", 1995, stars="4.5"), entry("Alien", 1979, stars="9", slug="alien")),
    }
    path = tmp_path / name
    path.write_bytes(contents[path.suffix])
    found = read_history(path, FILMS)
    assert found.ratings == [("heat", 9)]
    assert [row["file"] for row in found.rejected] == [name.replace("\udcff", "\ufffd")]
    found.write(tmp_path / "history.json")
    assert read_history(tmp_path / "history.json", FILMS) == found
