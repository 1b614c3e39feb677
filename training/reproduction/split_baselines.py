"""What stands beside DeepFM on a split: the paper's baseline, which looks at the answers, and honest ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.metrics import REWARD_RATING
from training.reproduction.film_split import Pairs, Split, hold_out_films

USER_SHRINKAGE = 3.0  # ratings of prior weight
PENALTIES = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0)
HELD_OUT_SHARE = 0.2  # of the training films, to choose the penalty by
DECISION = REWARD_RATING - 0.5  # an expected rating from here on predicts a reward


def oracle(pairs: Pairs) -> np.ndarray:
    """The paper's baseline: the majority reward of the film among the very ratings that are scored, bool [n]. No model
    could know it."""
    rewards = pairs.ratings >= REWARD_RATING
    counts = np.bincount(pairs.films)
    shares = np.bincount(pairs.films, weights=rewards) / np.maximum(counts, 1)
    return shares[pairs.films] >= 0.5


def majority(split: Split) -> np.ndarray:
    """Whatever most training ratings are, for all test ratings: bool [n]."""
    return np.full(len(split.test), (split.train.ratings >= REWARD_RATING).mean() >= 0.5)


def user_means(train: Pairs, num_users: int) -> np.ndarray:
    """Mean rating of every user, shrunk to that of all, [users]."""
    mean = train.ratings.mean()
    counts = np.bincount(train.users, minlength=num_users)
    return mean + np.bincount(train.users, train.ratings - mean, num_users) / (counts + USER_SHRINKAGE)


def film_means(train: Pairs, num_films: int) -> np.ndarray:
    """Mean rating of every film, that of all where it has none, [films]."""
    counts = np.bincount(train.films, minlength=num_films)
    sums = np.bincount(train.films, weights=train.ratings, minlength=num_films)
    return np.where(counts > 0, sums / np.maximum(counts, 1), train.ratings.mean())


def user_mean(split: Split) -> np.ndarray:
    """Whether the user's mean rating is a reward: bool [n]."""
    return user_means(split.train, split.num_users)[split.test.users] >= DECISION


def user_mean_and_ridge(split: Split, features: np.ndarray, seed: int) -> np.ndarray:
    """
    The user's mean rating plus a ridge regression of what it leaves on the film's features, whose penalty is chosen
    by the squared error on a share of the training films: bool [n], whether the sum is a reward.

    Args:
        split: training and test ratings.
        features: [films, width].
        seed: of the draw of the training films that the penalty is chosen by.
    """
    known, held_out = hold_out_films(split.train, HELD_OUT_SHARE, seed)

    def error(penalty: float) -> float:
        predicted = _fit(known, features, split.num_users, penalty)(held_out)
        return float(np.square(predicted - held_out.ratings).mean())

    best = min(PENALTIES, key=error)
    return _fit(split.train, features, split.num_users, best)(split.test) >= DECISION


def _fit(train: Pairs, features: np.ndarray, num_users: int, penalty: float) -> Callable[[Pairs], np.ndarray]:
    """The regression, as a function from pairs to expected ratings."""
    users = user_means(train, num_users)
    counts = np.bincount(train.films, minlength=len(features)).astype(np.float64)
    sums = np.bincount(train.films, train.ratings - users[train.users], minlength=len(features))
    rated = np.flatnonzero(counts)
    known = np.column_stack([features[rated], np.ones(len(rated))]).astype(np.float64)
    ridge = penalty * np.eye(known.shape[1])
    ridge[-1, -1] = 1e-6  # the intercept's
    weights = np.linalg.solve(known.T @ (known * counts[rated, None]) + ridge, known.T @ sums[rated])
    effects = np.column_stack([features, np.ones(len(features))]) @ weights
    return lambda pairs: users[pairs.users] + effects[pairs.films]
