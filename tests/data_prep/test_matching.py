"""Titles as people write them, and which film they mean."""

from __future__ import annotations

import doctest
import time
from pathlib import Path

import polars as pl
import pytest

from data_prep import matching
from data_prep.matching import TitleMatcher, loose_titles, normalise_title


def films_table(rows: list[tuple[str, str, int | None, str | None, str | None, int | None]]) -> pl.DataFrame:
    names = ["film_id", "title", "year", "release_date", "film_group", "vote_count"]
    types = [pl.String, pl.String, pl.Int32, pl.String, pl.String, pl.Int64]
    table = pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")
    return table.with_columns(pl.col("release_date").str.to_date())


FILMS = films_table(
    [
        ("heat-1995", "Heat", 1995, "1995-12-15", "heat-1995", 6000),
        ("skin-2018-1", "Skin", 2018, "2018-09-01", "skin-2018-1", 10),
        ("skin-2019-3", "Skin", 2018, "2019-07-26", "skin-2019-3", 20),
        ("amelie", "Amélie", 2001, "2001-04-25", "amelie", 900),
        ("a-cop-1972", "A Cop", 1972, "1972-10-25", "a-cop-1972", 5),
        ("un-flic", "Un flic", 1972, "1972-10-25", "a-cop-1972", 5),
        ("dracula", "Dracula", 1931, None, "dracula", None),
        ("dracula-1931", "Drácula", 1931, None, "dracula-1931", None),
        ("memory-2022", "Memory", 2022, None, "memory-2022", None),
        ("memory-2024", "Memory", 2024, None, "memory-2024", None),
        ("stalker", "Stalker", 2017, "1979-05-25", "stalker", 700),
        ("ghost-1985", "Ghost", 1985, "1990-11-07", "ghost-1985", 1),
        ("house-1977", "House (Hausu)", 1977, None, "house-1977", None),
        ("the-godfather-part-ii", "The Godfather: Part II", 1974, None, "the-godfather-part-ii", None),
        ("crimewave", "Crimewave", 1985, None, "crimewave", None),
        ("one", "1", 2013, None, "one", None),
        ("seven-samurai", "七人の侍", 1954, None, "seven-samurai", None),
        ("dots", "...", 2000, None, None, None),
        ("no-year", "Le bonheur", None, None, "no-year", None),
    ]
)


@pytest.mark.parametrize(
    ("title", "normalised"),
    [
        ("Amélie", "amelie"),
        ("  THE   Good,\u00a0the Bad\tand the Ugly ", "the good the bad and the ugly"),
        ("Don’t Look Now", "dont look now"),
        ("Don't Look Now", "dont look now"),
        ("Don`t Look Now", "dont look now"),
        ("Fast & Furious", "fast and furious"),
        ("WALL·E", "wall e"),
        ("Wall-E", "wall e"),
        ("Demon Slayer – the Movie", "demon slayer the movie"),
        ("Alien³", "alien 3"),
        ("8½", "8 1 2"),
        ("Smørgåsbord Œuvre Straße", "smorgasbord oeuvre strasse"),
        ("Romeo + Juliet", "romeo + juliet"),
        ("Godfather, The", "the godfather"),
        ("Dolce Vita, La", "la dolce vita"),
        ("Avventura, L'", "l avventura"),
        ("1917", "1917"),
        ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("zero\u200bwidth", "zerowidth"),
        ("...", "..."),
        ("???", "???"),
        ("七人の侍", "七人の侍"),
        ("Ворошиловский стрелок", "ворошиловскии стрелок"),
        ("दंगल", "दंगल"),
        ("기생충", "기생충"),
        ("", ""),
    ],
)
def test_normalise_title(title: str, normalised: str) -> None:
    assert normalise_title(title) == normalised


def test_loose_titles_join_spellings_of_one_title() -> None:
    assert loose_titles("The Godfather: Part II") & loose_titles("Godfather Part 2")
    assert loose_titles("Kalki 2898-AD") & loose_titles("Kalki 2898 A.D.")
    assert not loose_titles("Crime Wave") & loose_titles("Crimewave")  # two films of 1985
    assert not loose_titles("Watcher") & loose_titles("The Watcher")  # two films of 2022


@pytest.mark.parametrize(
    ("name", "year", "film_id", "how"),
    [
        ("Heat", 1995, "heat-1995", "exact"),
        ("HEAT", 1994, "heat-1995", "near year"),
        ("Heat", 1996, "heat-1995", "near year"),
        ("Amelie", 2001, "amelie", "exact"),
        ("A Cop", 1972, "a-cop-1972", "exact"),
        ("Un Flic", 1972, "a-cop-1972", "exact"),
        ("Dracula", 1931, "dracula", "exact"),
        ("Drácula", 1931, "dracula-1931", "exact"),
        ("Stalker", 1979, "stalker", "near year"),
        ("Hausu", 1977, "house-1977", "spelling"),
        ("House", 1977, "house-1977", "spelling"),
        ("The Godfather Part Two", 1974, "the-godfather-part-ii", "spelling"),
        ("七人の侍", 1954, "seven-samurai", "exact"),
        ("...", 2000, "dots", "exact"),
    ],
)
def test_match(name: str, year: int, film_id: str, how: str) -> None:
    matcher = TitleMatcher(FILMS)
    match = matcher.match(name, year)
    assert match.film_index is not None, match.reason
    assert (matcher.film_ids[match.film_index], match.how, match.reason) == (film_id, how, None)


@pytest.mark.parametrize(
    ("name", "year", "reason"),
    [
        ("Heat", 1997, "same title, other years: 1995"),
        ("Heat", None, "no year in the export"),
        ("Skin", 2018, "ambiguous: skin-2018-1, skin-2019-3"),
        ("Skin", 2017, "ambiguous: skin-2018-1, skin-2019-3"),
        ("Memory", 2023, "ambiguous: memory-2022, memory-2024"),
        ("Memory", 2000, "same title, other years: 2022, 2024"),
        ("DRACULA", 1931, "ambiguous: dracula, dracula-1931"),
        ("Ghost", 1990, "same title, other years: 1985"),  # a later release date is a namesake's
        ("Crime Wave", 1985, "not in the catalogue"),
        ("+1", 2013, "not in the catalogue"),
        ("Le Bonheur", 1965, "same title, other years: none known"),
        ("Nothing of the Kind", 2000, "not in the catalogue"),
        ("", 2000, "not in the catalogue"),
    ],
)
def test_no_match(name: str, year: int | None, reason: str) -> None:
    match = TitleMatcher(FILMS).match(name, year)
    assert (match.film_index, match.reason) == (None, reason)


def test_a_film_group_is_one_film_whose_best_row_has_the_most_votes() -> None:
    rows = [
        ("cut", "Brazil", 1985, None, "brazil", 10),
        ("brazil", "Brazil", 1985, None, "brazil", 10),
        ("long-cut", "Brazil", 1985, None, "brazil", None),
    ]
    for order in (rows, rows[::-1]):
        matcher = TitleMatcher(films_table(order))
        assert matcher.film_ids[matcher.match("Brazil", 1985).film_index or 0] == "brazil"
    rated = films_table(rows).with_columns(pl.Series("rating_count", [1, 2, 3]))
    matcher = TitleMatcher(rated)
    assert matcher.film_ids[matcher.match("Brazil", 1985).film_index or 0] == "long-cut"


def test_release_date_may_be_text() -> None:
    matcher = TitleMatcher(FILMS.with_columns(pl.col("release_date").cast(pl.String)))
    assert matcher.match("Stalker", 1979).how == "near year"


def test_the_shared_films_match_themselves_and_quickly(shared: Path) -> None:
    films = pl.read_parquet(shared / "data/letterboxd/films.parquet")
    films = films.rename({"movie_title": "title", "year_released": "year"})
    started = time.perf_counter()
    matcher = TitleMatcher(films)
    built = time.perf_counter() - started
    started = time.perf_counter()
    matches = [matcher.match(title, year) for title, year in films.select("title", "year").iter_rows()]
    took = time.perf_counter() - started
    assert built < 2  # seconds; .15 on an idle machine
    assert took < 4  # .2
    wrong = [
        (group, matcher.film_ids[match.film_index])
        for group, match in zip(films["film_group"], matches, strict=True)
        if match.film_index is not None and films["film_group"][match.film_index] != group
    ]
    assert wrong == []
    missed = [match.reason or "" for match in matches if match.film_index is None]
    assert len(missed) <= 25
    assert all(reason.startswith("ambiguous") or reason == "no year in the export" for reason in missed)


def test_docstrings() -> None:
    assert doctest.testmod(matching).failed == 0
