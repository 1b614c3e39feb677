"""A person's ratings against everyone's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from reel.recommender import History, Recommender

FEWEST = 2  # ratings that make a group
FEWEST_RATINGS_OF_FILM = 5  # of training users, from which their mean is everyone's word


@dataclass(frozen=True)
class Group:
    """A year, decade or genre: its ratings by this person, their mean, and everyone's over the same films; 1..10."""

    name: str
    count: int
    yours: float
    everyones: float


@dataclass(frozen=True)
class Judgement:
    """A rated film: this person's rating and everyone's mean; 1..10."""

    film_id: str
    title: str
    year: int | None
    rating: int
    everyones: float


@dataclass(frozen=True)
class Taste:
    """
    Attributes:
        shares: how often this person gave each of the ratings 1..10, `(10,)`, summing to 1.
        yours, everyones: mean of the ratings, and of everyone's means over the same films.
        years: every year of release that a rated film is from, in order.
        decades, genres: groups of two ratings or more, decades in order, genres by how far this person departs.
        typical, untypical: the ratings nearest to everyone's, and those farthest from it.
    """

    count: int
    shares: list[float]
    yours: float
    everyones: float
    years: list[Group]
    decades: list[Group]
    genres: list[Group]
    typical: list[Judgement]
    untypical: list[Judgement]


def taste(recommender: Recommender, history: History, top: int = 5) -> Taste | None:
    """
    A person's taste; None without ratings of films that others have rated.

    Args:
        history: as for `Recommender.predict`.
        top: typical and untypical ratings, at most.
    """
    own = pl.DataFrame(list(dict(history).items()), schema={"film_id": pl.String, "rating": pl.Int64}, orient="row")
    films = own.join(recommender.catalogue.films, on="film_id", how="inner", maintain_order="left")
    films = films.filter(pl.col("rating_count") >= FEWEST_RATINGS_OF_FILM, pl.col("rating_mean").is_not_null())
    if not len(films):
        return None
    shares = np.bincount(films["rating"].to_numpy(), minlength=11)[1:] / len(films)
    decade = (pl.col("year") // 10 * 10).cast(pl.String) + "s"
    genres = _groups(films.explode("genres").with_columns(group="genres"), FEWEST)
    ordered = films.with_columns(away=(pl.col("rating") - pl.col("rating_mean")).abs()).sort(
        "away", maintain_order=True
    )
    judged = [
        Judgement(row["film_id"], row["title"], row["year"], row["rating"], row["rating_mean"])
        for row in ordered.select("film_id", "title", "year", "rating", "rating_mean").iter_rows(named=True)
    ]
    half = min(top, (len(judged) + 1) // 2)  # no rating is both typical and not
    return Taste(
        count=len(films),
        shares=shares.tolist(),
        yours=float(films["rating"].to_numpy().mean()),
        everyones=float(films["rating_mean"].to_numpy().mean()),
        years=_groups(films.with_columns(group=pl.col("year").cast(pl.String)), 1),
        decades=_groups(films.with_columns(group=decade), FEWEST),
        genres=sorted(genres, key=lambda group: -abs(group.yours - group.everyones)),
        typical=judged[:half],
        untypical=judged[::-1][: min(top, len(judged) - half)],
    )


def _groups(films: pl.DataFrame, fewest: int) -> list[Group]:
    grouped = (
        films.drop_nulls("group")
        .group_by("group")
        .agg(count=pl.len(), yours=pl.col("rating").mean(), everyones=pl.col("rating_mean").mean())
        .filter(pl.col("count") >= fewest)
        .sort("group")
    )
    return [Group(*row) for row in grouped.iter_rows()]
