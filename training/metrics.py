"""The numbers of the protocol, as plain functions of predicted distributions and true ratings.

Every function takes `probabilities`, float [n, 10] (column j is the probability of rating j + 1; rows sum to 1), and
`ratings`, whole numbers 1..10, [n], n at least 1. Notation below: p_i the row of case i, y_i its rating, m_i = sum_r r
p_i(r) the expected rating, q_i = P(rating >= 7) the reward probability, z_i = [y_i >= 7] the reward. A quotient
without a denominator (a precision where nothing is predicted, an AUC of one class) is nan.

>>> import numpy as np
>>> sure_of_eight = np.eye(10)[[7]]
>>> rmse(sure_of_eight, np.array([6])), ranked_probability_score(sure_of_eight, np.array([6]))
(2.0, 2.0)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NUM_RATINGS = 10
RATING_VALUES = np.arange(1, NUM_RATINGS + 1)
REWARD_RATING = 7  # the paper's reward is 1 from this rating on
REWARD_THRESHOLD = 0.5
ECE_BINS = 10
SMALLEST_PROBABILITY = 1e-12  # a case given no chance at all costs 27.6 nats, not infinity


def expected_rating(probabilities: np.ndarray) -> Floats:
    """m_i = sum_r r p_i(r), [n], in ratings (1..10)."""
    return np.asarray(probabilities, dtype=np.float64) @ RATING_VALUES


def reward_probability(probabilities: np.ndarray) -> Floats:
    """q_i = sum over r >= 7 of p_i(r), [n]."""
    return np.asarray(probabilities, dtype=np.float64)[:, REWARD_RATING - 1 :].sum(axis=1)


def reward(ratings: np.ndarray) -> NDArray[np.bool_]:
    """z_i = [y_i >= 7], [n]."""
    return np.asarray(ratings) >= REWARD_RATING


def predicted_reward(probabilities: np.ndarray) -> NDArray[np.bool_]:
    """[q_i >= .5], [n]."""
    return reward_probability(probabilities) >= REWARD_THRESHOLD


def rmse(probabilities: np.ndarray, ratings: np.ndarray) -> float:
    """Root mean squared error of the expected rating: sqrt(mean (m_i - y_i)^2)."""
    return float(np.sqrt(np.mean((expected_rating(probabilities) - ratings) ** 2)))


def mae(probabilities: np.ndarray, ratings: np.ndarray) -> float:
    """Mean absolute error of the expected rating: mean |m_i - y_i|."""
    return float(np.mean(np.abs(expected_rating(probabilities) - ratings)))


def reward_accuracy(probabilities: np.ndarray, ratings: np.ndarray) -> float:
    """Share of cases with [q_i >= .5] = z_i."""
    return float(np.mean(predicted_reward(probabilities) == reward(ratings)))


def precision(probabilities: np.ndarray, ratings: np.ndarray) -> float:
    """Of the cases predicted to be rewarded, the share that is: sum [q_i >= .5] z_i / sum [q_i >= .5]."""
    predicted = predicted_reward(probabilities)
    return float(reward(ratings)[predicted].mean()) if predicted.any() else float("nan")


def recall(probabilities: np.ndarray, ratings: np.ndarray) -> float:
    """Of the rewarded cases, the share predicted to be: sum [q_i >= .5] z_i / sum z_i."""
    rewarded = reward(ratings)
    return float(predicted_reward(probabilities)[rewarded].mean()) if rewarded.any() else float("nan")


def r2(probabilities: np.ndarray, ratings: np.ndarray) -> float:
    """Coefficient of determination of the expected rating: 1 - sum (y_i - m_i)^2 / sum (y_i - mean y)^2."""
    variance = np.var(ratings)
    return float(1 - np.mean((expected_rating(probabilities) - ratings) ** 2) / variance) if variance else float("nan")


def paper_r2(probabilities: np.ndarray, ratings: np.ndarray) -> float:
    """The paper's "R2": a line l(y) = a + b y is fitted by least squares to the points (y_i, m_i), then the truth is
    scored against it: 1 - sum (y_i - l(y_i))^2 / sum (y_i - mean y)^2. It says how near the fitted line is to the
    diagonal, not how near the predictions are; it is given beside the usual R2 only to be comparable with the paper.
    """
    intercept, slope = fitted_line(expected_rating(probabilities), ratings)
    line = intercept + slope * np.asarray(ratings)
    return float(1 - np.mean((ratings - line) ** 2) / np.var(ratings)) if np.var(ratings) else float("nan")


def fitted_line(expected: np.ndarray, ratings: np.ndarray) -> tuple[float, float]:
    """Intercept a and slope b of the line m = a + b y fitted by least squares to the points (y_i, m_i), expected
    ratings [n] over true ones [n]; nan where all ratings are equal."""
    truth = np.asarray(ratings, dtype=np.float64)
    variance = np.var(truth)
    if not variance:
        return float("nan"), float("nan")
    slope = np.mean((truth - truth.mean()) * (expected - np.mean(expected))) / variance
    return float(np.mean(expected) - slope * truth.mean()), float(slope)


def case_nll(probabilities: np.ndarray, ratings: np.ndarray) -> Floats:
    """-ln p_i(y_i) in nats, [n]; p is held at 1e-12 or more."""
    chosen = np.asarray(probabilities, dtype=np.float64)[np.arange(len(ratings)), np.asarray(ratings) - 1]
    return -np.log(np.maximum(chosen, SMALLEST_PROBABILITY))


def negative_log_likelihood(probabilities: np.ndarray, ratings: np.ndarray) -> float:
    """mean -ln p_i(y_i), in nats; p is held at 1e-12 or more."""
    return float(case_nll(probabilities, ratings).mean())


def case_rps(probabilities: np.ndarray, ratings: np.ndarray) -> Floats:
    """sum over t = 1..9 of (P_i(rating <= t) - [y_i <= t])^2, [n]. Not divided by 9."""
    below = np.cumsum(np.asarray(probabilities, dtype=np.float64)[:, :-1], axis=1)
    return np.sum((below - (np.asarray(ratings)[:, None] <= RATING_VALUES[:-1])) ** 2, axis=1)


def ranked_probability_score(probabilities: np.ndarray, ratings: np.ndarray) -> float:
    """mean over cases of sum over t = 1..9 of (P_i(rating <= t) - [y_i <= t])^2. **Not** divided by the nine
    thresholds: for a prediction that is sure of one rating it is the absolute error in ratings."""
    return float(case_rps(probabilities, ratings).mean())


def ece_bin(reward_probabilities: np.ndarray) -> NDArray[np.int64]:
    """Which of ten bins of equal width, [0, .1), ..., [.9, 1], holds each probability, [n]."""
    return np.minimum((np.asarray(reward_probabilities) * ECE_BINS).astype(np.int64), ECE_BINS - 1)


def expected_calibration_error(probabilities: np.ndarray, ratings: np.ndarray) -> float:
    """ECE of the reward probability over ten bins B of equal width: sum_B |B| / n * |mean_B q - mean_B z|."""
    predicted = reward_probability(probabilities)
    gaps = np.bincount(ece_bin(predicted), weights=predicted - reward(ratings), minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(predicted))


def auc(probabilities: np.ndarray, ratings: np.ndarray) -> float:
    """Area under the ROC curve of q for z: the chance that a rewarded case has a higher q than an unrewarded one, a
    tie counting one half (exactly, by searching the sorted q of the unrewarded cases)."""
    scores, rewarded = reward_probability(probabilities), reward(ratings)
    low = np.sort(scores[~rewarded])
    high = scores[rewarded]
    if not len(low) or not len(high):
        return float("nan")
    wins = np.searchsorted(low, high, side="left") + np.searchsorted(low, high, side="right")
    return float(wins.mean() / (2 * len(low)))


def case_pit_coverage(probabilities: np.ndarray, ratings: np.ndarray, central: float = 0.8) -> Floats:
    """For each case, the chance over v ~ U(0, 1) that the randomised PIT u = F_i(y_i - 1) + v p_i(y_i) lies in the
    central interval of that width (.8: [.1, .9]), [n]. Taking the chance in place of one draw of v removes the draw's
    noise."""
    probabilities = np.asarray(probabilities, dtype=np.float64)
    rows = np.arange(len(ratings))
    width = probabilities[rows, np.asarray(ratings) - 1]
    end = np.cumsum(probabilities, axis=1)[rows, np.asarray(ratings) - 1]
    start = end - width
    low, high = (1 - central) / 2, (1 + central) / 2
    overlap = np.clip(np.minimum(end, high) - np.maximum(start, low), 0, None)
    at_a_point = (start >= low) & (start <= high)  # p(y) = 0: u does not depend on v
    return np.where(width > 0, overlap / np.where(width > 0, width, 1), at_a_point)


def pit_coverage(probabilities: np.ndarray, ratings: np.ndarray) -> float:
    """Share of cases whose randomised probability integral transform lies in the central 80 %, [.1, .9]: .8 where the
    distributions are calibrated, more where they are too wide, less where they are too sure."""
    return float(case_pit_coverage(probabilities, ratings).mean())


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "rmse": rmse,
    "mae": mae,
    "reward_accuracy": reward_accuracy,
    "precision": precision,
    "recall": recall,
    "r2": r2,
    "paper_r2": paper_r2,
    "nll": negative_log_likelihood,
    "rps": ranked_probability_score,
    "ece": expected_calibration_error,
    "auc": auc,
    "pit_coverage": pit_coverage,
}

LOWER_IS_BETTER = {"rmse": True, "mae": True, "reward_accuracy": False, "nll": True, "rps": True, "auc": False}
"""The metrics that models are compared by, and which way is better."""
