"""The page's endpoints for programs, named and documented: `gradio_client.Client(ADDRESS).view_api()` lists them.

Ratings are lists of {"film_id", "rating"} with ratings 1..10 (half stars doubled): the "history" of what
`/read_export` returns, or of `reel data export`. What is sent is forgotten with the answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import gradio as gr
from limits import Limits
from service import Service
from uploads import discarded, upload_field

from reel import UserError
from reel.filters import FilmFilter
from reel.taste import taste
from reel.two_people import films_for_two, likeness

MOST_RATINGS = 10_000
MOST_FILMS = 1_000
RATINGS_SHAPE = 'expected a list of {"film_id": ..., "rating": 1 to 10}'


def add_endpoints(service: Service, limits: Limits) -> None:
    """Define the endpoints inside a `gr.Blocks`."""
    reel = service.recommender

    answer = partial(limits.answer, limits.calls)

    def search_films(text: str, request: gr.Request) -> list:
        """Films whose title may be meant by a text, at most ten: film_id, title and year, best first."""
        return answer(request, service.find_films, text)

    def recommend(ratings: list, top: int, genres: list, first_year: int, last_year: int, request: gr.Request) -> list:
        """Films for a person, best first: title, expected_rating, probabilities of the ratings 1..10, and because, the
        rated films without which the prediction would change most. `genres` may be empty, a year of 0 is open."""

        def work() -> list[dict[str, Any]]:
            history = ratings_of(ratings)
            where = FilmFilter(genres=texts(genres), years=(first_year or None, last_year or None))
            hidden = [film for film, _ in history]
            ranking = reel.rank(history, where, hidden=hidden, exact=MOST_FILMS)
            best = ranking.taken(slice(count(top, MOST_FILMS)))
            return [asdict(film) for film in service.explained(history, best)]

        return answer(request, work)

    def predict(ratings: list, film_ids: list, request: gr.Request) -> list:
        """What a person would rate some films, in their order: the fields of `/recommend`."""

        def work() -> list[dict[str, Any]]:
            return [asdict(film) for film in service.foresee(ratings_of(ratings), texts(film_ids))]

        return answer(request, work)

    def next_film(ratings: list, unseen: list, top: int, request: gr.Request) -> list:
        """Ids of the films to ask a person about, the most telling first, of those not rated and not `unseen`."""

        def work() -> list[str]:
            return service.asking.suggest(ratings_of(ratings), texts(unseen), top=count(top, 50))

        return answer(request, work)

    def two_people(first: list, second: list, top: int, request: gr.Request) -> dict:
        """Films for two people's ratings, ordered by the lower of the two expected ratings, and how alike they are."""

        def work() -> dict[str, Any]:
            both = ratings_of(first), ratings_of(second)
            films = films_for_two(reel, both, top=count(top, MOST_FILMS))
            return {"films": [asdict(film) for film in films], "likeness": asdict(likeness(reel, both))}

        return answer(request, work)

    def your_taste(ratings: list, request: gr.Request) -> dict:
        """A person's ratings against everyone's: by year, decade, genre, most and least typical; {} without any."""

        def work() -> dict[str, Any]:
            own = taste(reel, ratings_of(ratings))
            return {} if own is None else asdict(own)

        return answer(request, work)

    for endpoint in (search_films, recommend, predict, next_film, two_people, your_taste):
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_limit=limits.runs, concurrency_id="api")

    def read_export(upload: str | None, request: gr.Request) -> tuple[None, dict[str, Any]]:
        """A Letterboxd export (zip, ratings.csv or diary.csv) as ratings of this catalogue's films, in the format of
        `reel data export`. The file is deleted as soon as it has been read; the first value returned is null."""

        def work() -> dict[str, Any]:
            if upload is None:
                raise UserError("No file was sent.")
            return json.loads(json.dumps(service.read_upload(upload)))

        with discarded(upload, service.folder):
            return None, limits.answer(limits.exports, request, work)

    file, history = upload_field(visible=False), gr.JSON(visible=False)
    gr.Button(visible=False).click(
        read_export, [file], [file, history], api_name="read_export", concurrency_id="upload"
    )


def ratings_of(sent: Any) -> list[tuple[str, int]]:
    """Ratings as a program sends them.

    Raises:
        UserError: they are something else.
    """
    if not isinstance(sent, list) or len(sent) > MOST_RATINGS:
        raise UserError(f"ratings: {RATINGS_SHAPE}, at most {MOST_RATINGS:,}")
    for entry in sent:
        named = isinstance(entry, Mapping) and isinstance(entry.get("film_id"), str)
        if not named or type(entry.get("rating")) is not int:
            raise UserError(f"ratings: {json.dumps(entry, default=str)[:80]}; {RATINGS_SHAPE}")
    return [(entry["film_id"], entry["rating"]) for entry in sent]


def count(sent: Any, most: int) -> int:
    """A number of films, 1 to `most`.

    Raises:
        UserError: it is no number.
    """
    if not isinstance(sent, int) and not (isinstance(sent, float) and math.isfinite(sent)):
        raise UserError(f"{json.dumps(sent, default=str)[:80]}: expected a number of films, at most {most:,}")
    return max(1, min(int(sent), most))


def texts(sent: Any) -> list[str]:
    """A list of texts, such as film ids.

    Raises:
        UserError: it is something else.
    """
    if not isinstance(sent, list) or len(sent) > MOST_FILMS or not all(isinstance(text, str) for text in sent):
        raise UserError(f"{json.dumps(sent, default=str)[:80]}: expected a list of at most {MOST_FILMS:,} texts")
    return sent
