"""TMDB's answers as typed records and rows: every field, odd ones null, damaged ones refused."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from data_prep.schema import FILM_COLUMNS
from data_prep.tmdb.records import Film, FoundById, Page, Refusal, films_table
from tests.data_prep.tmdb.fake_tmdb import film


def parse(answer: Any) -> Film:
    return Film.model_validate_json(json.dumps(answer))


def test_every_column_of_a_film() -> None:
    table = films_table([parse(film(7, "Winter Without End", "2015-12-30"))])
    assert table.schema == pl.Schema(FILM_COLUMNS)
    assert table.row(0, named=True) == {
        "film_id": "tmdb-7",
        "title": "Winter Without End",
        "year": 2015,
        "release_date": datetime.date(2015, 12, 30),
        "runtime": 67.0,
        "genres": ["Drama", "Horror"],
        "production_countries": ["Iceland"],
        "spoken_languages": ["Icelandic"],
        "original_language": "is",
        "overview": "What became of number 7.",
        "popularity": 8.5,
        "vote_average": 6.25,
        "vote_count": 17,
        "tmdb_id": 7,
        "imdb_id": "tt0000007",
        "image_url": "https://image.tmdb.org/t/p/w500/poster7.jpg",
        "film_group": "tmdb-7",
    }


@pytest.mark.parametrize(
    ("field", "value", "column"),
    [
        ("release_date", "", "release_date"),
        ("release_date", "", "year"),
        ("release_date", "0001-01-01", "release_date"),
        ("release_date", "soon", "release_date"),
        ("release_date", 20010203, "release_date"),
        ("runtime", 0, "runtime"),
        ("runtime", True, "runtime"),
        ("runtime", 1e300, "runtime"),
        ("genres", [], "genres"),
        ("genres", {"name": "Drama"}, "genres"),
        ("genres", [None, 5, {"id": 1}, {"name": ["x"]}, {"name": " "}], "genres"),
        ("spoken_languages", "is", "spoken_languages"),
        ("overview", "", "overview"),
        ("overview", ["a", "b"], "overview"),
        ("vote_average", "6.5", "vote_average"),
        ("vote_average", float("nan"), "vote_average"),
        ("vote_count", 10**30, "vote_count"),
        ("vote_count", -1, "vote_count"),
        ("popularity", float("inf"), "popularity"),
        ("imdb_id", "", "imdb_id"),
        ("imdb_id", "nm0000001", "imdb_id"),
        ("poster_path", None, "image_url"),
        ("poster_path", "//elsewhere.example/x.jpg", "image_url"),
    ],
)
def test_odd_value_is_null_and_costs_no_other_field(field: str, value: Any, column: str) -> None:
    row = films_table([parse({**film(7, "Winter"), field: value})]).row(0, named=True)
    assert row[column] is None
    assert row["title"] == "Winter"


def test_a_language_without_an_english_name_keeps_its_own() -> None:
    languages = [{"english_name": "", "name": "Føroyskt"}, {"name": "Íslenska"}, {"english_name": "Sami", "name": ""}]
    assert parse({**film(1, "A"), "spoken_languages": languages}).spoken_languages == ["Føroyskt", "Íslenska", "Sami"]


def test_a_film_without_a_title_has_one_in_the_table() -> None:
    assert films_table([parse({"id": 5})])["title"].to_list() == ["(untitled tmdb-5)"]
    assert films_table([]).schema == pl.Schema(FILM_COLUMNS)


@pytest.mark.parametrize("answer", [{}, [], {"id": None}, {"id": "5"}, {"id": True}, {"id": 0}, {"id": 2**63}, "film"])
def test_what_is_no_film_is_refused(answer: Any) -> None:
    with pytest.raises(ValidationError):
        parse(answer)


def test_an_odd_film_costs_a_page_nothing_else() -> None:
    films = [film(1, "A"), {"id": "x"}, 7, None, film(2, "B")]
    page = Page.model_validate_json(json.dumps({"results": films, "total_pages": 9}))
    found = FoundById.model_validate_json(json.dumps({"movie_results": films, "tv_results": [{"id": 9}]}))
    assert [one.tmdb_id for one in page.films] == [one.tmdb_id for one in found.films] == [1, 2]


def test_recorded_answers(shared: Path) -> None:
    folder = shared / "fixtures" / "tmdb"
    names = (
        "bodies/get_the_matrix_0_200",
        "bodies/vp_0_200",
        "typed/movie",
        "typed/movie-blank-homepage-release-date",
    )
    films = films_table([Film.model_validate_json((folder / f"{name}.json").read_bytes()) for name in names])
    assert films["tmdb_id"].to_list() == [603, 238, 550, 9443]
    assert films["year"].to_list() == [1999, 1972, 1999, None]
    assert films["runtime"].to_list() == [136.0, 175.0, 139.0, 124.0]
    assert films["spoken_languages"][1].to_list() == ["English", "Italian", "Latin"]
    assert films.drop("year", "release_date", "image_url", "overview").null_count().sum_horizontal().item() == 0
    pages = [Page.model_validate_json(path.read_bytes()) for path in (folder / "bodies").glob("*call*.json")]
    assert [len(page.films) for page in pages] == [20] * 6
    found = FoundById.model_validate_json((folder / "typed" / "find-imdb-id-movie.json").read_bytes())
    assert [film.tmdb_id for film in found.films] == [550]
    assert FoundById.model_validate_json((folder / "typed" / "find-tvdb-id-tvshow.json").read_bytes()).films == []
    refused = Refusal.model_validate_json((folder / "bodies" / "invalid_key_0_401.json").read_bytes())
    assert refused.status_code == 7
