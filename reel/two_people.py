"""Films for two people, and how alike their tastes are.

The compromise: films are ordered by the lower of the two expected ratings, the average deciding between equals, so
that nobody is dragged along ("least misery"). With `popularity`, well-known films gain as in `Recommender.rank`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reel.filters import FilmFilter
from reel.ranking import points_of_renown
from training.metrics import RATING_VALUES as RATINGS

if TYPE_CHECKING:
    from reel.recommender import History, Recommender

COMPARED = 500  # best-known films on which two tastes are compared
ENOUGH_SHARED = 5  # films rated by both from which their own ratings are compared


@dataclass(frozen=True)
class SharedFilm:
    """A film for two: the probabilities of the ratings 1..10 by each, `(10,)`, and the expected ratings."""

    film_id: str
    title: str
    year: int | None
    probabilities: tuple[list[float], list[float]]
    expected: tuple[float, float]


@dataclass(frozen=True)
class Likeness:
    """
    How alike two tastes are.

    Attributes:
        predicted: correlation, -1 to 1, of how far the two are expected to depart from everyone's ratings over the
            500 best-known films; None while one of them has rated nothing.
        shared: films that both have rated.
        agreement: correlation of their own ratings of those, from five on; None below, or where one of them gave all
            the same rating.
        difference: mean absolute difference of those ratings, in rating points; None without any.
        closest, farthest: film ids of the shared films on which they agree and differ most, with both ratings.
    """

    predicted: float | None
    shared: int
    agreement: float | None
    difference: float | None
    closest: list[tuple[str, int, int]]
    farthest: list[tuple[str, int, int]]


def films_for_two(
    recommender: Recommender,
    histories: tuple[History, History],
    *,
    seen: tuple[Sequence[str], Sequence[str]] = ((), ()),
    where: FilmFilter | None = None,
    popularity: float = 0.0,
    top: int = 20,
) -> list[SharedFilm]:
    """
    Films that neither has seen, by the compromise at the top of this file.

    Args:
        histories: of the two, as for `Recommender.predict`.
        seen: further films that each has watched.
        where: what the films must fit.
        popularity: -1..1, rating points for every standard deviation by which a film is better known.
        top: how many, at most.
    """
    everything_seen = [film for one in (*histories, *seen) for film in _ids(one)]
    first = recommender.rank(histories[0], where, hidden=everything_seen)
    films = [recommender.catalogue.film_ids[row] for row in first.rows]
    if not films:
        return []
    both = first.probabilities, recommender.predict(histories[1], films)
    expected = np.stack([both[0] @ RATINGS, both[1] @ RATINGS])
    points = points_of_renown(recommender.catalogue.films["rating_count"].to_numpy(), popularity)[first.rows]
    order = np.lexsort((-expected.mean(0), -(expected.min(0) + points)))[:top]
    rows = recommender.catalogue.films[first.rows[order]]
    return [
        SharedFilm(
            film_id,
            title,
            year,
            (both[0][place].tolist(), both[1][place].tolist()),
            (float(expected[0, place]), float(expected[1, place])),
        )
        for place, (film_id, title, year) in zip(
            order, rows.select("film_id", "title", "year").iter_rows(), strict=True
        )
    ]


def likeness(recommender: Recommender, histories: tuple[History, History], top: int = 3) -> Likeness:
    """How alike two tastes are; `top` films each for what they agree and differ on most."""
    first, second = dict(histories[0]), dict(histories[1])
    shared = [(film, first[film], second[film]) for film in first if film in second]
    ratings = np.array([pair[1:] for pair in shared], dtype=float).reshape(-1, 2)
    by_distance = sorted(shared, key=lambda film: abs(film[1] - film[2]))
    return Likeness(
        predicted=_predicted(recommender, histories) if first and second else None,
        shared=len(shared),
        agreement=_correlation(*ratings.T) if len(shared) >= ENOUGH_SHARED else None,
        difference=float(np.abs(ratings[:, 0] - ratings[:, 1]).mean()) if shared else None,
        closest=by_distance[:top],
        farthest=[film for film in reversed(by_distance[-top:]) if film[1] != film[2]],
    )


def _predicted(recommender: Recommender, histories: tuple[History, History]) -> float | None:
    best_known = recommender.catalogue.films.sort("rating_count", descending=True)["film_id"].head(COMPARED).to_list()
    anyone, one, other = (recommender.predict(history, best_known) @ RATINGS for history in ([], *histories))
    return _correlation(one - anyone, other - anyone)


def _correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    if min(one.std(), other.std()) < 1e-9:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _ids(films: Sequence[str] | History) -> list[str]:
    return [film if isinstance(film, str) else film[0] for film in films]
