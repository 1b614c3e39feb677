"""TMDB's answers as typed records, and films as rows of the films table.

A field that is absent, empty or of an odd type is None. Only an answer that lacks what makes it one (a film its id, a
page its results) is refused.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Annotated, Any, TypeVar

import polars as pl
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from data_prep.schema import FILM_COLUMNS, normalise_films
from data_prep.years import is_film_year

IMDB_ID = r"tt[0-9]{1,19}"
IMAGE_URL = "https://image.tmdb.org/t/p/w500"
LARGEST_ID = 2**63 - 1  # what the column holds
LONGEST_RUNTIME = 100_000  # minutes; the longest film on record runs for half of that


def _none_if_odd(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


def _names(items: Any) -> list[str] | None:
    """The names in a list of `{"name"}` or `{"english_name", "name"}`; None when there are none."""
    names = []
    for item in items if isinstance(items, list) else ():
        given = [item.get("english_name"), item.get("name")] if isinstance(item, dict) else []
        name = next((name.strip() for name in given if isinstance(name, str) and name.strip()), None)
        if name:
            names.append(name)
    return names or None


def _date(value: Any) -> datetime.date | None:
    try:
        date = datetime.date.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return date if is_film_year(date.year) else None


_T = TypeVar("_T")
Lenient = Annotated[_T | None, WrapValidator(_none_if_odd)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Names = Annotated[list[str] | None, BeforeValidator(_names)]


class Answer(BaseModel):
    """What all answers have in common: unknown fields are ignored, `true` is no number and "7" neither."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, frozen=True)


class Film(Answer):
    """A film, of `/movie/{id}` with every field, as a hit of a search or a discovery with fewer."""

    tmdb_id: Annotated[int, Field(validation_alias="id", gt=0, le=LARGEST_ID)]
    imdb_id: Lenient[Annotated[str, StringConstraints(pattern=rf"^{IMDB_ID}$")]] = None
    title: Lenient[Text] = None
    original_title: Lenient[Text] = None
    release_date: Annotated[datetime.date | None, BeforeValidator(_date)] = None
    runtime: Lenient[Annotated[float, Field(gt=0, le=LONGEST_RUNTIME)]] = None
    genres: Names = None
    production_countries: Names = None
    spoken_languages: Names = None
    original_language: Lenient[Text] = None
    overview: Lenient[Text] = None
    popularity: Lenient[Annotated[float, Field(ge=0)]] = None
    vote_average: Lenient[Annotated[float, Field(ge=0, le=10)]] = None
    vote_count: Lenient[Annotated[int, Field(ge=0, le=LARGEST_ID)]] = None
    poster_path: Lenient[Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._-]+$")]] = None

    def __str__(self) -> str:
        return f"{self.title or '(untitled)'} ({self.year or '?'})"

    @property
    def year(self) -> int | None:
        return self.release_date.year if self.release_date else None

    def row(self) -> dict[str, Any]:
        """The film under the columns of `FILM_COLUMNS`, without `film_group`."""
        return {
            **self.model_dump(include=set(FILM_COLUMNS)),
            "film_id": f"tmdb-{self.tmdb_id}",
            "year": self.year,
            "image_url": self.poster_path and IMAGE_URL + self.poster_path,
        }


class Page(Answer):
    """One page of `/search/movie` or `/discover/movie`."""

    results: list[Lenient[Film]]
    total_pages: Annotated[int, Field(ge=0)]

    @property
    def films(self) -> list[Film]:
        return [film for film in self.results if film]


class FoundById(Answer):
    """The answer of `/find/{imdb_id}`: films alone; series and people are left out."""

    movie_results: list[Lenient[Film]]

    @property
    def films(self) -> list[Film]:
        return [film for film in self.movie_results if film]


class Refusal(Answer):
    """What TMDB says when it gives no answer; `status_code` is its own number, not that of HTTP."""

    status_code: Lenient[int] = None
    status_message: Lenient[Text] = None


def films_table(films: Iterable[Film]) -> pl.DataFrame:
    """The films as a table with exactly the columns of `FILM_COLUMNS`, one row a film, in their order."""
    return normalise_films(pl.DataFrame([film.row() for film in films], schema=dict(FILM_COLUMNS)))
