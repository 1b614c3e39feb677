"""Which rows of several films tables are one film, whatever order the tables come in."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import polars as pl
import pytest

from data_prep.merge.film_identity import DIFFERING, NAMESAKES, SEVERAL_IDS, SHARED_ID, join_films
from data_prep.merge.report import MergeReport
from data_prep.schema import FILM_COLUMNS, normalise_films


def table(*rows: dict) -> pl.DataFrame:
    return normalise_films(pl.DataFrame(rows, infer_schema_length=None))


def film(film_id: str, title: str | None = None, year: int | None = None, **fields: object) -> dict:
    return {"film_id": film_id, "title": title, "year": year, **fields}


def join(*tables: pl.DataFrame) -> tuple[pl.DataFrame, list[dict[str, str]], MergeReport]:
    names = "abc"[: len(tables)]
    report = MergeReport(names)
    films, film_ids = join_films(list(zip(names, tables, strict=True)), report)
    assert films.schema == pl.Schema(FILM_COLUMNS)
    assert films["film_id"].is_unique().all()
    assert films["film_group"].to_list() == films["film_id"].to_list()
    return films, film_ids, report


def sets(tables: Sequence[pl.DataFrame], order: Sequence[int]) -> set[frozenset[tuple[int, str]]]:
    """The rows (table, film_id) of every film, with the tables given in some order."""
    _, film_ids, _ = join(*[tables[number] for number in order])
    films: dict[str, set[tuple[int, str]]] = {}
    for number, ids in zip(order, film_ids, strict=True):
        for own, joined in ids.items():
            films.setdefault(joined, set()).add((number, own))
    return {frozenset(rows) for rows in films.values()}


CASES = {
    "TMDB id": ([[film("heat", tmdb_id=949)], [film("ml-6", tmdb_id=949)]], ["0.heat 1.ml-6"]),
    "IMDb id, with or without zeros": (
        [[film("heat", imdb_id="tt0113277")], [film("ml-6", imdb_id="113277")]],
        ["0.heat 1.ml-6"],
    ),
    "film_id": ([[film("heat", "Heat", 1995)], [film("heat", "Heat", 1996)]], ["0.heat 1.heat"]),
    "title and year": (
        [[film("heat", "Léon: The Professional", 1994)], [film("ml-293", "leon the professional", 1994)]],
        ["0.heat 1.ml-293"],
    ),
    "no year, no join": ([[film("heat", "Heat")], [film("ml-6", "Heat")]], ["0.heat", "1.ml-6"]),
    "placeholders are no titles": ([[film("x", None, 1995)], [film("y", "(untitled x)", 1995)]], ["0.x", "1.y"]),
    "other TMDB ids": (
        [[film("d", "Dracula", 1931, tmdb_id=138)], [film("e", "Drácula", 1931, tmdb_id=34_637)]],
        ["0.d", "1.e"],
    ),
    "other IMDb ids": (
        [[film("d", "Dracula", 1931, imdb_id="tt0021814")], [film("e", "Drácula", 1931, imdb_id="tt0021815")]],
        ["0.d", "1.e"],
    ),
    "two of one source": (
        [[film("d", "Dracula", 1931), film("e", "Drácula", 1931)], [film("f", "Dracula", 1931)]],
        ["0.d", "0.e", "1.f"],
    ),
    "ids that do not speak against it": (
        [[film("heat", "Heat", 1995, tmdb_id=949)], [film("ml-6", "Heat", 1995, imdb_id="tt0113277")]],
        ["0.heat 1.ml-6"],
    ),
    "renamed within a source, and over a chain": (
        [
            [film("a", film_group="a"), film("b", film_group="a", tmdb_id=1)],
            [film("c", tmdb_id=1, imdb_id="tt5")],
            [film("d", "Dee", 2000, imdb_id="tt5"), film("e", "Ee", 2000)],
        ],
        ["0.a 0.b 1.c 2.d", "2.e"],
    ),
    "a title over three": (
        [[film("a", "Heat", 1995)], [film("b", "Heat", 1995, tmdb_id=949)], [film("c", "Heat", 1995)]],
        ["0.a 1.b 2.c"],
    ),
    "a title over three that could be either": (
        [[film("a", "Heat", 1995)], [film("b", "Heat", 1995, tmdb_id=949)], [film("c", "Heat", 1995, tmdb_id=950)]],
        ["0.a", "1.b", "2.c"],
    ),
    "a slug that went to another film": (
        [[film("new", tmdb_id=1)], [film("old", tmdb_id=1), film("new", tmdb_id=2)]],
        ["0.new 1.old", "1.new"],
    ),
    "zeros are no ids": (
        [[film("a", tmdb_id=0, imdb_id="tt0")], [film("b", tmdb_id=0, imdb_id="tt0")]],
        ["0.a", "1.b"],
    ),
}


@pytest.mark.parametrize(("rows", "expected"), CASES.values(), ids=CASES.keys())
def test_joins(rows: list[list[dict]], expected: list[str]) -> None:
    tables = [table(*films) for films in rows]
    films = {frozenset((int(name[0]), name[2:]) for name in together.split()) for together in expected}
    for order in itertools.permutations(range(len(tables))):
        assert sets(tables, order) == films


def test_the_first_source_is_believed_and_later_ones_fill_the_gaps() -> None:
    first = table(
        film("old-slug", "Heat", None, film_group="heat", tmdb_id=949, genres=["Crime"], runtime=170.0),
        film("heat", None, None, film_group="heat", overview="A thief."),
        film("other", "Other", 2001),
    )
    second = table(
        film("z", "Zed", 2002),
        film("ml-6", "Heat (1995)", 1995, tmdb_id=949, genres=["Action"], runtime=171.0, popularity=3.0),
    )
    films, film_ids, _ = join(first, second)
    assert films["film_id"].to_list() == ["heat", "other", "z"]
    assert film_ids == [
        {"old-slug": "heat", "heat": "heat", "other": "other"},
        {"z": "z", "ml-6": "heat"},
    ]
    heat = {name: value for name, value in films.row(0, named=True).items() if value is not None}
    assert heat == {
        "film_id": "heat",
        "title": "Heat",
        "year": 1995,
        "runtime": 170.0,
        "genres": ["Crime"],
        "overview": "A thief.",
        "popularity": 3.0,
        "tmdb_id": 949,
        "film_group": "heat",
    }
    assert join(second, first)[0]["film_id"].to_list() == ["z", "ml-6", "other"]


def test_a_slug_of_two_films_stays_with_the_first() -> None:
    films, film_ids, report = join(
        table(film("heat", tmdb_id=1), film("heat-2", tmdb_id=3)),
        table(film("old", tmdb_id=1), film("heat", tmdb_id=2)),
    )
    assert films["film_id"].to_list() == ["heat", "heat-2", "heat-3"]
    assert film_ids[1] == {"old": "heat", "heat": "heat-3"}
    assert films["title"][2] == "(untitled heat-3)"
    assert report.counts() == {SHARED_ID: 1, SEVERAL_IDS: 1}


def test_every_conflict_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    first = table(
        film("heat", "Heat", 1995, tmdb_id=949, runtime=170.0),
        film("alien", "Alien", 1979, tmdb_id=348, imdb_id="tt0078748", runtime=117.0),
        film("dracula", "Dracula", 1931, tmdb_id=138),
    )
    second = table(
        film("heat-1995", "Heat!", 1996, tmdb_id=949, runtime=189.0),
        film("alien", "Aliens", 1979, tmdb_id=679, imdb_id="tt0090605", runtime=120.0),
        film("dracula-1931-1", "Drácula", 1931, tmdb_id=34_637),
    )
    _, _, report = join(first, second)
    assert report.counts() == {NAMESAKES: 1, SEVERAL_IDS: 1, DIFFERING: 5}
    assert {(entry["film_id"], entry["field"]): entry["values"] for entry in report.films[DIFFERING]} == {
        ("heat", "year"): {"a": 1995, "b": 1996},
        ("heat", "runtime"): {"a": 170.0, "b": 189.0},
        ("alien", "title"): {"a": "Alien", "b": "Aliens"},
        ("alien", "tmdb_id"): {"a": 348, "b": 679},
        ("alien", "imdb_id"): {"a": "tt0078748", "b": "tt0090605"},
    }
    assert report.films[SEVERAL_IDS] == [
        {"film_id": "heat", "film_ids": {"a": ["heat"], "b": ["heat-1995"]}, "joined_by": ["tmdb_id"]}
    ]
    (apart,) = report.films[NAMESAKES]
    assert [row["film_id"] for row in apart["films"]] == ["dracula", "dracula-1931-1"]
    assert apart["why"] == "different TMDB ids"
    report.print()
    assert capsys.readouterr().err.splitlines()[:2] == [
        f"{NAMESAKES}: 1 (dracula, dracula-1931-1: different TMDB ids)",
        f"{SEVERAL_IDS}: 1 (heat = heat-1995 by tmdb_id)",
    ]
