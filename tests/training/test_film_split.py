"""Splits by film and by rating: who and what is on which side, and how much."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.errors import UserError
from training.reproduction.film_split import Pairs, SplitSize, hold_out_films, split_by_film, split_by_rating

USERS, FILMS = 40, 30


@pytest.fixture
def pairs() -> Pairs:
    draw = np.random.default_rng(0)
    rated = draw.random((USERS, FILMS)) < 0.5
    users, films = np.nonzero(rated)
    return Pairs(users, films + 3, draw.integers(1, 11, len(users)))


def rows(pairs: Pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.films.tolist(), pairs.ratings.tolist(), strict=True))


def test_films_are_on_one_side_and_users_on_both(pairs: Pairs) -> None:
    split = split_by_film(pairs, SplitSize(20, 5), seed=1)
    assert len(np.unique(split.train.films)) == 20
    assert len(np.unique(split.test.films)) == 5
    assert not set(split.train.films) & set(split.test.films)
    assert set(split.test.users) == set(split.train.users) == set(range(split.num_users))
    assert rows(split.train) | rows(split.test) <= rows(pairs)


def test_a_split_is_drawn_to_its_size(pairs: Pairs) -> None:
    split = split_by_film(pairs, SplitSize(20, 5, users=12, train_ratings=60, test_ratings=15), seed=1)
    assert (split.num_users, len(split.train), len(split.test)) == (12, 60, 15)
    assert set(split.test.users) == set(split.train.users) == set(range(12))  # something of everyone on either side
    whole = split_by_film(pairs, SplitSize(20, 5, users=10**6, train_ratings=10**6, test_ratings=10**6), seed=1)
    assert len(whole.train) == len(split_by_film(pairs, SplitSize(20, 5), seed=1).train)


def test_without_test_films_there_is_no_test(pairs: Pairs) -> None:
    split = split_by_film(pairs, SplitSize(10, 0, train_ratings=80), seed=1)
    assert (len(split.train), len(split.test)) == (80, 0)


def test_the_seed_decides(pairs: Pairs) -> None:
    size = SplitSize(20, 5, users=12, train_ratings=60, test_ratings=15)
    one, same, other = (split_by_film(pairs, size, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.train.films, same.train.films)
    assert not np.array_equal(one.train.films, other.train.films)


def test_more_films_than_there_are_is_a_mistake(pairs: Pairs) -> None:
    with pytest.raises(UserError, match="only 30 films have ratings; leave its rows out with --rows"):
        split_by_film(pairs, SplitSize(30, 5), seed=0)


def test_the_warm_split_knows_something_of_everyone(pairs: Pairs) -> None:
    split = split_by_rating(pairs, 0.9, seed=0)
    assert len(split.train) + len(split.test) == len(pairs)
    assert set(split.train.users) == set(range(USERS))
    assert len(split.test) / len(pairs) == pytest.approx(0.85, abs=0.05)
    assert (np.diff(split.test.users) >= 0).all()  # still user by user


def test_held_out_films(pairs: Pairs) -> None:
    known, held_out = hold_out_films(pairs, 0.2, seed=0)
    assert len(np.unique(held_out.films)) == 6
    assert not set(known.films) & set(held_out.films)
    assert len(known) + len(held_out) == len(pairs)
