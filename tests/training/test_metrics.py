"""The metrics against hand-made numbers, scikit-learn and, in resamples, against themselves."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from training import metrics
from training.bootstrap import Resamples, interval

HAND_RATINGS = np.array([6, 8])
HAND_PROBABILITIES = np.array(
    [
        [0, 0, 0, 0, 0.5, 0, 0, 0.5, 0, 0],  # of the 6: expected 6.5, P(>= 7) = .5, so wrongly rewarded
        [0, 0, 0, 0, 0, 0, 0.2, 0.8, 0, 0],  # of the 8: expected 7.8, P(>= 7) = 1
    ]
)
HAND_VALUES = {
    "rmse": np.sqrt((0.5**2 + 0.2**2) / 2),
    "mae": 0.35,
    "reward_accuracy": 0.5,
    "precision": 0.5,
    "recall": 1.0,
    "r2": 1 - (0.25 + 0.04) / 2,
    # two points: the fitted line meets them, so l(6) = 6.5 and l(8) = 7.8
    "paper_r2": 1 - (0.25 + 0.04) / 2,
    "nll": (27.631021 - np.log(0.8)) / 2,  # the 6 was given no chance: held at 1e-12
    "rps": ((2 * 0.25 + 0.25) + 0.2**2) / 2,  # the 6: below 5 exact; t = 5: .5; t = 6, 7: .5 - 1
    "ece": (0.5 + 0.0) / 2,
    "auc": 1.0,
    "pit_coverage": (1.0 + 0.7 / 0.8) / 2,  # the 6: u = .5; the 8: u in [.2, 1], of which [.2, .9] is inside
}


@pytest.fixture(scope="module")
def cases() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities with ties, ratings and users (of one to ten cases) of 500 cases."""
    generator = np.random.default_rng(7)
    probabilities = generator.dirichlet(np.ones(10), 60)[generator.integers(60, size=500)]
    ratings = np.array([generator.choice(10, p=row) + 1 for row in probabilities])
    return probabilities, ratings, np.sort(generator.integers(90, size=500))


@pytest.mark.parametrize("name", list(metrics.METRICS))
def test_by_hand(name: str) -> None:
    assert metrics.METRICS[name](HAND_PROBABILITIES, HAND_RATINGS) == pytest.approx(HAND_VALUES[name], abs=1e-6)


def test_against_scikit_learn(cases: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    from sklearn.linear_model import LinearRegression

    probabilities, ratings, _ = cases
    expected, chance = metrics.expected_rating(probabilities), metrics.reward_probability(probabilities)
    rewarded = ratings >= 7
    line = LinearRegression().fit(ratings[:, None], expected).predict(ratings[:, None])
    peers = {
        "rmse": sklearn.root_mean_squared_error(ratings, expected),
        "mae": sklearn.mean_absolute_error(ratings, expected),
        "reward_accuracy": sklearn.accuracy_score(rewarded, chance >= 0.5),
        "precision": sklearn.precision_score(rewarded, chance >= 0.5),
        "recall": sklearn.recall_score(rewarded, chance >= 0.5),
        "r2": sklearn.r2_score(ratings, expected),
        "paper_r2": sklearn.r2_score(ratings, line),
        "nll": sklearn.log_loss(ratings, probabilities, labels=range(1, 11)),
        "auc": sklearn.roc_auc_score(rewarded, chance),
    }
    assert {name: metrics.METRICS[name](probabilities, ratings) for name in peers} == pytest.approx(peers, abs=1e-6)


def test_a_perfect_prediction() -> None:
    ratings = np.arange(1, 11)
    values = {name: function(np.eye(10), ratings) for name, function in metrics.METRICS.items()}
    errors = ("rmse", "mae", "nll", "rps", "ece")
    successes = ("reward_accuracy", "precision", "recall", "r2", "paper_r2", "auc")
    assert [values[name] for name in errors] == pytest.approx([0] * len(errors))
    assert [values[name] for name in successes] == pytest.approx([1] * len(successes))


def test_coverage_of_true_distributions_is_four_fifths() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(10), 20_000)
    ratings = 1 + (np.cumsum(probabilities, axis=1) < generator.random((20_000, 1))).sum(axis=1)
    assert metrics.pit_coverage(probabilities, ratings) == pytest.approx(0.8, abs=0.01)
    too_sure = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    assert metrics.pit_coverage(too_sure, ratings) < 0.7


@pytest.mark.parametrize(
    ("probabilities", "ratings", "without_value"),
    [
        (np.eye(10)[[1, 2]], [3, 9], {"precision"}),  # nothing is predicted to be rewarded
        (np.eye(10)[[1, 8]], [2, 3], {"recall", "auc"}),
        (np.eye(10)[[1, 8]], [9, 9], {"auc", "r2", "paper_r2"}),
    ],
)
def test_quotients_without_a_denominator(probabilities: np.ndarray, ratings: list[int], without_value: set) -> None:
    truth = np.array(ratings)
    values = {name: function(probabilities, truth) for name, function in metrics.METRICS.items()}
    assert {name for name, value in values.items() if np.isnan(value)} == without_value
    resampled = Resamples(np.zeros(2), count=3).metrics(probabilities, truth)
    assert {name for name, drawn in resampled.items() if np.isnan(drawn).all()} == without_value
    assert np.isnan(interval(resampled["auc"])).all() == ("auc" in without_value)


def test_resampled_values_are_those_of_the_drawn_cases(cases: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    probabilities, ratings, users = cases
    mixed = np.random.default_rng(1).permutation(len(users))  # a user's cases need not stand together
    probabilities, ratings, users = probabilities[mixed], ratings[mixed], users[mixed]
    resamples = Resamples(users, count=4, seed=3)
    resampled = resamples.metrics(probabilities, ratings)
    for number, counts in enumerate(resamples.counts):
        assert counts.sum() == resamples.num_groups
        drawn = np.repeat(np.arange(len(users)), counts[resamples.group_of_case])
        for name, function in metrics.METRICS.items():
            expected = function(probabilities[drawn], ratings[drawn])
            assert resampled[name][number] == pytest.approx(expected, abs=1e-9), name


def test_the_interval_is_as_wide_as_theory_says() -> None:
    generator = np.random.default_rng(5)
    ratings = generator.choice([6, 8], size=4000)
    probabilities = np.tile(np.eye(10)[7], (4000, 1))  # always 8: the accuracy is the share of 8s
    single = interval(Resamples(np.arange(4000)).metrics(probabilities, ratings)["reward_accuracy"])
    assert single[1] - single[0] == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(4000), rel=0.1)
    # Ten equal cases a user carry the information of one: the interval must be about sqrt(10) times wider.
    grouped = interval(Resamples(np.arange(4000) // 10).metrics(probabilities, np.repeat(ratings[:400], 10))["rmse"])
    independent = interval(Resamples(np.arange(4000)).metrics(probabilities, np.repeat(ratings[:400], 10))["rmse"])
    assert (grouped[1] - grouped[0]) / (independent[1] - independent[0]) == pytest.approx(np.sqrt(10), rel=0.15)


def test_resamples_depend_on_the_seed_alone() -> None:
    groups = np.repeat(np.arange(20), 3)
    assert np.array_equal(Resamples(groups, count=5, seed=1).counts, Resamples(groups + 7, count=5, seed=1).counts)
    assert not np.array_equal(Resamples(groups, count=5, seed=1).counts, Resamples(groups, count=5, seed=2).counts)


def test_the_docstring_example() -> None:
    assert doctest.testmod(metrics).failed == 0
