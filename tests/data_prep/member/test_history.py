"""Histories as JSON, with ids of TMDB beside or instead of our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data_prep.errors import UserError
from data_prep.matching import FilmKey, TitleMatcher
from data_prep.member.export import read_history
from data_prep.member.history import Export
from tests.data_prep.member.export_cases import FILMS, adds_up

WITH_TMDB = FILMS.with_columns(pl.Series("tmdb_id", [949, 348, 194, 500, 500, 429, None], dtype=pl.Int64))


def read(tmp_path: Path, content: dict[str, Any], films: pl.DataFrame = WITH_TMDB) -> Export:
    (tmp_path / "history.json").write_text(json.dumps(content))
    found = read_history(tmp_path / "history.json", films)
    adds_up(found)
    return found


@pytest.mark.parametrize(
    ("film", "expected", "reason"),
    [
        ({"film_id": "heat"}, "heat", None),
        ({"film_id": "heat", "tmdb_id": 949}, "heat", None),
        ({"film_id": "heat", "tmdb_id": 348}, "alien", None),  # a slug that belonged to another film once
        ({"film_id": "heat", "tmdb_id": 1}, None, "not in the catalogue"),
        ({"film_id": "heat", "tmdb_id": 1, "title": "Heat", "year": 1995}, "heat", None),  # TMDB renumbers, rarely
        ({"film_id": "1917", "tmdb_id": 530915}, "1917", None),  # whose TMDB id is not known here
        ({"film_id": None, "tmdb_id": 194}, "amelie", None),
        ({"film_id": "gone", "tmdb_id": 194, "title": "Heat", "year": 1995}, "amelie", None),
        ({"tmdb_id": 500}, "a-cop", None),  # two rows of one film: the better one
        ({"tmdb_id": 1}, None, "not in the catalogue"),
        ({"title": "Amelie", "year": 2001}, "amelie", None),
        ({"title": "Heat", "year": 1996}, "heat", None),
        ({"title": "Heat", "year": 1996, "tmdb_id": 1}, None, "not in the catalogue"),
        ({"title": "Heat", "year": 1950}, None, "same title, other years: 1995"),
        ({"title": "Heat"}, None, "no year in the export"),
    ],
)
def test_what_a_film_is_known_by(tmp_path: Path, film: dict, expected: str | None, reason: str | None) -> None:
    found = read(tmp_path, {"history": [{**film, "rating": 8}], "watched": [film]})
    assert found.ratings == ([(expected, 8)] if expected else [])
    assert found.watched == ([expected] if expected else [])
    assert [row["reason"] for row in found.unmatched] == ([reason] if reason else [])


def test_what_the_file_says_of_a_film_is_kept(tmp_path: Path) -> None:
    film = {"film_id": "gone", "rating": 8, "date": None, "liked": True, "rewatch": False}
    named = {"tmdb_id": 949, "title": "Heat", "year": 1995}
    found = read(tmp_path, {"history": [{**film, **named}]})
    assert found.history == [{**film, **named, "film_id": "heat"}]
    found.write(tmp_path / "again.json")
    assert read_history(tmp_path / "again.json", WITH_TMDB) == found


def test_a_film_under_two_ids_counts_twice_and_stands_once(tmp_path: Path) -> None:
    found = read(tmp_path, {"history": [{"film_id": "heat", "rating": 8}, {"tmdb_id": 949, "rating": 2}]})
    assert found.ratings == [("heat", 2)]
    assert found.counts == {"rated": 2, "matched": 2, "rejected": 0}


def test_a_namesake_yields_to_the_film_itself(tmp_path: Path) -> None:
    entries = [{"tmdb_id": 949, "rating": 8}, {"title": "Heat", "year": 1996, "rating": 2}]
    found = read(tmp_path, {"history": entries})
    assert found.ratings == [("heat", 8)]
    assert found.unmatched[0]["reason"].startswith("ambiguous: ")


@pytest.mark.parametrize(
    "film",
    [
        {},
        {"film_id": None},
        {"film_id": 7},
        {"tmdb_id": "949"},
        {"tmdb_id": True},
        {"title": 7},
        {"title": "A", "year": "1"},
    ],
)
def test_films_known_by_nothing(tmp_path: Path, film: dict) -> None:
    with pytest.raises(UserError, match="entry 1 of history"):
        read(tmp_path, {"history": [{**film, "rating": 8}]})
    with pytest.raises(UserError, match="watched is no list of film ids"):
        read(tmp_path, {"history": [], "watched": [film]})


def test_more_films_than_anybody_has_seen(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="so it is no member's export"):
        read(tmp_path, {"history": [{"film_id": f"f{n}", "rating": 1} for n in range(100_001)]})


def test_ids_that_two_films_share_are_no_ids() -> None:
    films = WITH_TMDB.with_columns(pl.lit(949).alias("tmdb_id"))
    matcher = TitleMatcher(films)
    assert matcher.identify(FilmKey(tmdb_id=949)).film_index is None
    assert matcher.identify(FilmKey("Alien", 1979, 949)).film_index == 1
