"""Splits and cold films: disjoint, exact, and a matter of the ids and the seed alone."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.building.splits import SPLITS, choose_cold_films, fold_splits, parse_fold, split_users
from data_prep.errors import UserError

IDS = [f"user {number}" for number in range(101)]


@given(st.integers(30, 300), st.integers(1, 18), st.integers(0, 3), st.randoms())
def test_sizes_are_exact_and_order_is_nothing(users: int, twentieths: int, seed: int, random) -> None:
    ids = [f"u{number}" for number in range(users)]
    test = twentieths / 20
    splits = {"train": 0.95 - test, "validation": 0.05, "test": test} if test < 0.9 else {"train": 0.1, "test": 0.9}
    sizes = np.bincount(split_users(ids, splits, seed), minlength=3)
    assert sizes.sum() == users
    for name, size in zip(SPLITS, sizes, strict=True):
        assert abs(size - splits.get(name, 0) * users) < 1
    shuffled = random.sample(ids, users)
    assert dict(zip(ids, split_users(ids, splits, seed), strict=True)) == dict(
        zip(shuffled, split_users(shuffled, splits, seed), strict=True)
    )


def test_the_split_is_fixed_for_good() -> None:
    """Results are compared across versions: a change of the hash would change every test set."""
    assignment = split_users(IDS[:12], {"train": 0.5, "validation": 0.25, "test": 0.25}, seed=0)
    assert assignment.tolist() == [1, 0, 1, 2, 2, 0, 1, 0, 0, 2, 0, 0]


def test_folds_share_out_all_users() -> None:
    tests = []
    for fold in range(1, 6):
        assignment = fold_splits(IDS, (fold, 5), seed=1)
        tests.append(set(np.flatnonzero(assignment == SPLITS.index("test"))))
        sizes = np.bincount(assignment, minlength=3)
        assert sizes[2] in (20, 21)
        assert abs(sizes[1] - sizes[0] / 9) < 1.2
    assert set.union(*tests) == set(range(101))
    assert sum(len(test) for test in tests) == 101


def test_too_few_users() -> None:
    with pytest.raises(UserError, match="too few"):
        split_users(["a", "b"], {"train": 0.9, "test": 0.1}, 0)
    with pytest.raises(UserError, match="too few"):
        fold_splits(["a", "b"], (1, 5), 0)


@pytest.mark.parametrize("text", ["", "3", "0/5", "6/5", "1/1", "a/b", "-1/5"])
def test_folds_that_are_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="I/K"):
        parse_fold(text)


def test_cold_films_are_whole_groups_with_ratings_enough() -> None:
    groups = [f"g{film // 2}" for film in range(40)]
    counts = np.array([100] * 20 + [3] * 20)
    cold = choose_cold_films(groups, counts, 10, seed=4)
    assert cold.sum() == 10
    assert cold[20:].sum() == 0
    assert (cold[::2] == cold[1::2]).all()
    assert (choose_cold_films(groups, counts, 10, seed=4) == cold).all()
    assert (choose_cold_films(groups, counts, 10, seed=5) != cold).any()
    # Where well rated films do not suffice, the others follow.
    assert choose_cold_films(groups, counts, 26, seed=4)[:20].all()


@pytest.mark.parametrize(("groups", "number"), [("aabb", 1), ("abcd", 4), ("abcd", 9)])
def test_cold_films_that_cannot_be_had(groups: str, number: int) -> None:
    with pytest.raises(UserError, match="cannot be kept back"):
        choose_cold_films(list(groups), np.full(4, 60), number, seed=0)
