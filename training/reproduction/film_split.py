"""Splits of ratings for the paper's table 1: by film, so that test films are unseen, and by rating."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_prep.errors import UserError

if TYPE_CHECKING:
    from data_prep.dataset import Histories


@dataclass
class Pairs:
    """Ratings as flat columns of equal length.

    Attributes:
        users: int64 [n], numbers from 0 on.
        films: int64 [n], catalogue rows.
        ratings: int64 [n], 1 to 10.
    """

    users: np.ndarray
    films: np.ndarray
    ratings: np.ndarray

    def __len__(self) -> int:
        return len(self.ratings)

    def __getitem__(self, chosen: np.ndarray) -> Pairs:
        return Pairs(self.users[chosen], self.films[chosen], self.ratings[chosen])

    @classmethod
    def of(cls, histories: Histories) -> Pairs:
        """All ratings of some users; user `i` is the `i`-th."""
        users = np.repeat(np.arange(len(histories)), histories.lengths())
        return cls(users, histories.film_indices.astype(np.int64), histories.ratings.astype(np.int64))


@dataclass
class Split:
    """Training and test ratings of the same users, who are numbered without gaps.

    Attributes:
        train, test: the ratings. The users of `test` have ratings in `train` too.
        num_users: how many users there are.
    """

    train: Pairs
    test: Pairs
    num_users: int


@dataclass(frozen=True)
class SplitSize:
    """How large a split by film is; None takes all there are, and so does a number above that.

    Attributes:
        train_films, test_films: films on either side. With no test films there are no test ratings.
        users: users drawn from those with ratings on both sides.
        train_ratings, test_ratings: ratings drawn from those users', at least one of every user on either side.
    """

    train_films: int
    test_films: int
    users: int | None = None
    train_ratings: int | None = None
    test_ratings: int | None = None


def split_by_film(pairs: Pairs, size: SplitSize, seed: int) -> Split:
    """
    Draw films, users, and ratings.

    Args:
        pairs: the ratings to draw from.
        size: how many films, users and ratings.
        seed: of every draw.

    Raises:
        UserError: there are fewer films than asked for, or no user has ratings on both sides.
    """
    draw = np.random.default_rng(seed)
    rated = np.unique(pairs.films)
    wanted = size.train_films + size.test_films
    if len(rated) < wanted:
        raise UserError(
            f"a split of {size.train_films:,} training and {size.test_films:,} test films, but only {len(rated):,} "
            "films have ratings; leave its rows out with --rows, or use a larger data set"
        )
    films = draw.permutation(rated)[:wanted]
    side = np.zeros(pairs.films.max() + 1, dtype=np.int8)
    side[films[: size.train_films]], side[films[size.train_films :]] = 1, 2
    sides = side[pairs.films]
    present = [np.bincount(pairs.users[sides == number]) > 0 for number in (1, 2)]
    users = np.flatnonzero(present[0])
    if size.test_films:
        users = users[np.isin(users, np.flatnonzero(present[1]))]
    if not len(users):
        raise UserError(f"no user has ratings on both sides of a split by film of {wanted} films")
    users = np.sort(draw.permutation(users)[: size.users])
    number = np.full(pairs.users.max() + 1, -1)
    number[users] = np.arange(len(users))
    parts = []
    for which, limit in ((1, size.train_ratings), (2, size.test_ratings)):
        rows = np.flatnonzero((sides == which) & (number[pairs.users] >= 0))
        part = pairs[_drawn(rows, pairs.users, limit, draw)]
        parts.append(Pairs(number[part.users], part.films, part.ratings))
    return Split(parts[0], parts[1], len(users))


def _drawn(rows: np.ndarray, users: np.ndarray, limit: int | None, draw: np.random.Generator) -> np.ndarray:
    """`limit` of the rows, one of every user first; sorted."""
    rows = draw.permutation(rows)
    if limit is not None and limit < len(rows):
        _, first = np.unique(users[rows], return_index=True)
        rest = np.ones(len(rows), dtype=bool)
        rest[first] = False
        rows = np.concatenate([rows[first], rows[rest]])[: max(limit, len(first))]
    return np.sort(rows)


def split_by_rating(pairs: Pairs, share: float, seed: int) -> Split:
    """
    The warm split: a share of the ratings of every user with two or more is held out; users and films are known.

    Args:
        pairs: the ratings.
        share: of them that are held out.
        seed: of the draw.
    """
    draw = np.random.default_rng(seed)
    held_out = draw.random(len(pairs)) < share
    order = draw.permutation(len(pairs))
    _, first = np.unique(pairs.users[order], return_index=True)
    held_out[order[first]] = False  # of every user something is known
    return Split(pairs[~held_out], pairs[held_out], int(pairs.users.max()) + 1)


def hold_out_films(pairs: Pairs, share: float, seed: int) -> tuple[Pairs, Pairs]:
    """The ratings without a share of their films, and the ratings of those films."""
    films = np.unique(pairs.films)
    chosen = np.random.default_rng(seed).permutation(films)[: max(1, round(share * len(films)))]
    held_out = np.isin(pairs.films, chosen)
    return pairs[~held_out], pairs[held_out]
