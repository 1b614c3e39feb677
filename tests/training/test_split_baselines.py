"""The baselines of table 1: by hand, and that the ridge regression finds what is there."""

from __future__ import annotations

import numpy as np

from training.reproduction.film_split import Pairs, Split
from training.reproduction.split_baselines import majority, oracle, user_mean, user_mean_and_ridge


def pairs(rows: list[tuple[int, int, int]]) -> Pairs:
    return Pairs(*(np.array(column) for column in zip(*rows, strict=True)))


def test_the_oracle_looks_at_the_answers() -> None:
    scored = pairs([(0, 0, 9), (1, 0, 8), (2, 0, 1), (0, 4, 7), (1, 4, 6), (0, 5, 2)])
    assert oracle(scored).tolist() == [True, True, True, True, True, False]  # a tie counts as a reward


def test_majority_and_user_mean() -> None:
    train = pairs([(0, 0, 10)] * 20 + [(1, 1, 2)] * 10)
    split = Split(train, pairs([(0, 2, 5), (1, 2, 5)]), 2)
    assert majority(split).tolist() == [True, True]
    assert user_mean(split).tolist() == [True, False]


def test_ridge_finds_what_the_features_say() -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(120, 3)).astype(np.float32)
    bias = draw.normal(size=30)
    users, films = (grid.ravel() for grid in np.mgrid[:30, :120])
    ratings = np.clip(np.rint(6.5 + bias[users] + 2 * features[films, 0]), 1, 10).astype(np.int64)
    everything = Pairs(users, films, ratings)
    split = Split(everything[films < 80], everything[films >= 80], 30)
    correct = user_mean_and_ridge(split, features, seed=0) == (split.test.ratings >= 7)
    assert correct.mean() > 0.9
    assert correct.mean() > (user_mean(split) == (split.test.ratings >= 7)).mean() + 0.2
