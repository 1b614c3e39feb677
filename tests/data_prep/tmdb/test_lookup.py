"""Which film is meant, and every film between two dates."""

from __future__ import annotations

import datetime

import pytest

from data_prep.tmdb import lookup
from data_prep.tmdb.client import TmdbClient
from data_prep.tmdb.lookup import Wanted, discover, find_film
from tests.data_prep.tmdb.fake_tmdb import FakeTmdb, film


@pytest.mark.parametrize(
    ("wanted", "number", "how"),
    [
        (Wanted(tmdb_id=1), 1, "tmdb_id"),
        (Wanted(imdb_id="tt0000002"), 2, "imdb_id"),
        (Wanted(title="aether and ash", year=2004), None, "finds no film"),  # the server's search is plainer than ours
        (Wanted(title="Æther & Ash", year=2004), 2, "title_and_year"),
        (Wanted(title="WINTER without end", year=2015), 7, "title_and_year"),
        (Wanted(title="Winter Without End", year=2016), 7, "title_and_year"),
        (Wanted(title="Winter Without End", year=2017), None, "finds no film"),
        (Wanted(title="Winter", year=2015), None, "finds no film"),
        (Wanted(title="Twin", year=2010), None, "ambiguous: films 3, 4"),
        (Wanted(title="Twin", year=2011), None, "ambiguous: films 3, 4"),
        (Wanted(title="Winter Without End"), None, "no year"),
        (Wanted(title="  ", year=2015), None, "no title"),
        (Wanted(title="x" * 70_000, year=2015), None, "no title"),
        (Wanted(), None, "nothing to find it by"),
        (Wanted(tmdb_id=99), None, "no film 99"),
        (Wanted(tmdb_id=99, imdb_id="tt0000002"), 2, "imdb_id"),
        (Wanted(tmdb_id=99, imdb_id="tt0099999", title="Winter Without End", year=2015), 7, "title_and_year"),
        (Wanted(imdb_id="../movie/1"), None, "is no IMDb id"),
        # The id of another film (a series, say) is not believed; one that differs in title or year alone is.
        (Wanted(tmdb_id=1, title="Winter Without End", year=2015), 7, "title_and_year"),
        (Wanted(tmdb_id=1, title="Unheard Of", year=1950), None, "film 1 of TMDB is The Lighthouse Eats (1999)"),
        (Wanted(tmdb_id=1, title="El faro come", year=1998), 1, "tmdb_id"),
        (Wanted(tmdb_id=1, title="Lighthouse Eats, The", year=1950), 1, "tmdb_id"),
        (Wanted(tmdb_id=1, title="El faro come"), 1, "tmdb_id"),
    ],
)
def test_find_film(client: TmdbClient, wanted: Wanted, number: int | None, how: str) -> None:
    found = find_film(client, wanted)
    if number is None:
        assert found.film is None
        assert how in found.reason
    else:
        assert found.film is not None
        assert (found.film.tmdb_id, found.how) == (number, how)


def test_the_same_year_comes_before_the_years_beside_it(tmdb: FakeTmdb, client: TmdbClient) -> None:
    tmdb.films |= {8: film(8, "Echo", "1980-01-01"), 9: film(9, "Echo", "1981-01-01")}
    found = find_film(client, Wanted(title="Echo", year=1981)).film
    assert found is not None
    assert found.tmdb_id == 9


def test_an_original_title_counts(tmdb: FakeTmdb, client: TmdbClient) -> None:
    tmdb.films = {8: film(8, "Eldur: the Fire", "1980-01-01", original_title="Eldur")}
    found = find_film(client, Wanted(title="Eldur", year=1980)).film
    assert found is not None


def days(first: str, last: str) -> tuple[datetime.date, datetime.date]:
    return datetime.date.fromisoformat(first), datetime.date.fromisoformat(last)


def test_discovery_of_few_pages(tmdb: FakeTmdb, client: TmdbClient) -> None:
    found = [film.tmdb_id for film in discover(client, *days("1990-01-01", "2020-12-31"))]
    assert found == [1, 2, 5, 3, 4, 7]
    assert len(tmdb.requests) == 2


def test_a_range_of_too_many_pages_is_split(
    tmdb: FakeTmdb, client: TmdbClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lookup, "LAST_PAGE", 4)
    tmdb.last_page = 4  # further ones are refused
    start = datetime.date(2000, 1, 1)
    tmdb.films = {
        number: film(number, f"Film {number}", (start + datetime.timedelta(days=number * 7 % 31)).isoformat())
        for number in range(1, 120)
    }
    found = [film.tmdb_id for film in discover(client, *days("2000-01-01", "2000-01-31"))]
    assert sorted(found) == sorted(tmdb.films)
    assert len(set(found)) == len(found)
    dates = [tmdb.films[number]["release_date"] for number in found]
    assert dates == sorted(dates)
    asked = [request[1] for request in tmdb.requests]
    assert len({tuple(parameters.values()) for parameters in asked}) == len(asked)  # nothing is asked twice
    assert capsys.readouterr().err == ""


def test_a_day_of_too_many_pages_is_cut_and_told(
    tmdb: FakeTmdb, client: TmdbClient, capsys: pytest.CaptureFixture[str]
) -> None:
    tmdb.pages_on = {"2010-05-05": 512}
    found = {film.tmdb_id for film in discover(client, *days("2010-05-04", "2010-05-06"))}
    assert found == {3}
    assert "2010-05-05: 512 pages of films on one day" in capsys.readouterr().err
    assert max(int(parameters["page"]) for _, parameters in tmdb.requests) == 500
