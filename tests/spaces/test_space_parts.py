"""The Space's filters, tabs, take-aways, limits and endpoints over the toy recommender."""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("gradio")

from api import count
from filters import RENOWN, Choices
from service import Service
from session import Session
from takeaway import everything_json, letterboxd_list, letterboxd_ratings

from data_prep.errors import UserError
from reel import demo
from reel.ranking import renown
from tests.documents import blocks
from tests.spaces.fake_recommender import FakeRecommender

if TYPE_CHECKING:
    from gradio_client import Client

EXPORT = "Date,Name,Year,Letterboxd URI,Rating\n2024-01-01,Saltwater Hotel,1983,u,4.5\n"
RATED = Session().rate("film-2", 9).rate("film-14", 3).rate("film-20", 8).rate("film-31", 10)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return Service(FakeRecommender(), tmp_path_factory.mktemp("uploads").resolve())


def test_every_filter_is_kept(service: Service) -> None:
    films = {row["film_id"]: row for row in service.recommender.rows}

    def found(**named: object) -> list[dict]:
        return [films[film.film_id] for film in service.recommend(RATED, top=100, **named).films]

    assert {row["original_language"] for row in found(languages=["fr", "no such"])} == {"fr"}
    assert all(row["runtime"] <= 90 for row in found(length="Up to 90 minutes"))
    assert min(row["rating_count"] for row in found(popularity="Well known")) > 4500
    assert len(found(only_watchlist=True)) == 0
    listed = service.recommend(RATED.add_export({"history": [], "watched": [], "watchlist": ["film-3"]}), top=100,
                               only_watchlist=True)  # fmt: skip
    assert [film.film_id for film in listed.films] == ["film-3"]
    years = [row["year"] for row in found(sort="Oldest") if row["year"]]
    assert years == sorted(years)
    assert found(mood="Cautious") != found(mood="Adventurous")


def test_well_known_films_gain_unless_expected_ratings_alone_are_asked_for(service: Service) -> None:
    films = service.recommender.catalogue.films
    known = dict(zip(films["film_id"], renown(films["rating_count"].to_numpy()), strict=True))

    def worths(points: float, **named: object) -> list[float]:
        found = service.recommend(RATED, top=100, **named).films
        return [round(film.expected_rating + points * known[film.film_id], 9) for film in found]

    alone, best = worths(0, sort="Expected rating"), worths(RENOWN)
    assert alone == sorted(alone, reverse=True)
    assert best == sorted(best, reverse=True)
    assert worths(0) != alone


def test_pages_and_looks(service: Service) -> None:
    first, second = (service.recommend(RATED, top=20, page=page) for page in (1, 2))
    assert not {film.film_id for film in first.films} & {film.film_id for film in second.films}
    assert "21 to 40 of 56" in second.pages
    assert service.recommend(RATED, top=20, page=999).pages == service.recommend(RATED, top=20, page=3).pages
    assert "films grid" in service.recommend(RATED, layout="Grid").table
    assert "<img" not in first.table
    assert 'src="https://pictures.test/' in service.recommend(RATED, posters=True).table
    assert Choices(top=7, mood="?", page=0).page_of(10) == 1


def test_the_next_film_is_none_that_was_rated_or_passed(service: Service) -> None:
    asked = service.asking.suggest(list(RATED.ratings), ["film-0"], top=60)
    assert not set(asked) & {"film-0", *dict(RATED.ratings)}
    session = service.edit(Session(), {"action": "pass", "film_id": asked[0]})[0]
    assert asked[0] not in service.yours(session).question
    assert "expects to learn most about you" in service.yours(session).question


def test_one_film_two_people_and_taste(service: Service) -> None:
    assert "Reel expects" in service.look(RATED, {"film_id": "film-5"})
    assert service.look(RATED, {"film_id": "?"}) == service.look(RATED, None) == ""
    other = Session().rate("film-2", 4).rate("film-8", 9)
    shown = service.for_two(RATED, None, other)
    assert "lower of your two expected ratings" in shown
    assert "You both rated <b>1</b> film" in shown
    assert "second person" in service.for_two(RATED, None, None)
    assert "Over 4 films you give <b>3.75 ★</b>" in service.yours(RATED).taste
    assert "Rate a few films" in service.yours(Session()).taste


def test_what_is_taken_home_is_safe_and_read_again(service: Service, tmp_path: Path) -> None:
    films = service.recommender.catalogue.films
    rows = list(csv.DictReader(io.StringIO(letterboxd_ratings(RATED.ratings, films), newline="")))
    assert [row["Rating"] for row in rows] == ["4.5", "1.5", "4", "5"]
    assert rows[2]["Title"] == "'=2+5 Ways Home"
    shown = service.recommend(RATED).films
    assert next(csv.reader(io.StringIO(letterboxd_list(shown, films)))) == ["tmdbID", "imdbID", "Title", "Year"]
    saved = tmp_path / "reel.json"
    saved.write_text(everything_json(RATED, shown), encoding="utf-8")
    assert service.recommender.read_history(saved).ratings == list(RATED.ratings)


def readme_example(client: Client, folder: Path) -> None:
    """The Python of the Space's README, as it stands, with the page of this test as the Space that it names."""
    (code,) = blocks("spaces/movie_recommender/README.md", "python")
    with zipfile.ZipFile(folder / "letterboxd-you.zip", "w") as archive:
        archive.writestr("ratings.csv", EXPORT)
    found: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("gradio_client.Client", {"user/reel": client}.__getitem__)
        exec(compile(code, "README.md", "exec"), found)
    rows = {row["film_id"]: row for row in FakeRecommender().rows}
    assert [rating["rating"] for rating in found["history"]] == [9]
    films = [rows[film["film_id"]] for film in found["films"]]
    assert 0 < len(films) <= 5
    assert all("Thriller" in film["genres"] and 1970 <= film["year"] <= 1999 for film in films)


def test_programs_use_the_endpoints(tmp_path: Path) -> None:
    from gradio_client import Client, handle_file

    space = demo.load_space(demo.SPACE)
    app = space.build_app(FakeRecommender())
    address = space.launch(app, prevent_thread_lock=True, server_name="127.0.0.1")
    try:
        client = Client(address, verbose=False)
        readme_example(client, tmp_path)
        names = set(client.view_api(return_format="dict")["named_endpoints"])
        assert {"/recommend", "/predict", "/search_films", "/next_film", "/two_people", "/your_taste"} <= names
        export = tmp_path / "ratings.csv"
        export.write_text(EXPORT)
        ratings = client.predict(handle_file(export), api_name="/read_export")[-1]["history"]
        (film, *_) = client.predict(ratings, 5, [], 0, 0, api_name="/recommend")
        assert len(film["probabilities"]) == 10
        assert client.predict("saltwater hotel", api_name="/search_films")[0]["film_id"] == ratings[0]["film_id"]
        assert len(client.predict(ratings, [], 3, api_name="/next_film")) == 3
        assert client.predict(ratings, ratings, 3, api_name="/two_people")["likeness"]["shared"] == 1
        assert client.predict(ratings, api_name="/your_taste")["count"] == 1
        export.write_text("a;b\n1;2\n")
        with pytest.raises(Exception, match=r"^ratings\.csv: [^<]*$"):  # a sentence, not a piece of the page
            client.predict(handle_file(export), api_name="/read_export")
        with pytest.raises(Exception, match="expected a list"):
            client.predict([{"film": 1}], ["film-1"], api_name="/predict")
        with pytest.raises(Exception, match="'nowhere' is no film of the catalogue"):
            client.predict(ratings, ["film-1", "nowhere"], api_name="/predict")
        json.dumps(client.predict(ratings, ["film-1"], api_name="/predict"))
    finally:
        app.close(verbose=False)


@pytest.mark.parametrize(("sent", "films"), [(5, 5), (0, 1), (-3, 1), (2.7, 2), (10**400, 50)])
def test_a_number_of_films(sent: float, films: int) -> None:
    assert count(sent, 50) == films


@pytest.mark.parametrize("sent", [math.inf, math.nan, "5", None, [5]])
def test_what_is_no_number_of_films(sent: Any) -> None:
    with pytest.raises(UserError, match="expected a number of films"):
        count(sent, 50)


def test_the_languages_are_counted_once(service: Service) -> None:
    assert service.recommender.languages is service.recommender.languages
    assert sorted(service.recommender.languages) == ["en", "fr", "ja"]
