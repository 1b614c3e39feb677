"""Intervals by bootstrap over users (or films): whole users are drawn with replacement, with all their cases.

A resample is a row of counts, how often each user was drawn. Nearly every metric is a function of sums over cases, so
its value in all the resamples is one product [resamples, users] @ [users, sums]; only the AUC needs the cases
themselves, sorted once.

The ECE is an exception to read with care: resampling adds noise to every bin, so its resampled values lie above the
value itself, and a well calibrated model's interval may not hold it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training import metrics

NUM_RESAMPLES = 1000
INTERVAL = (0.025, 0.975)
SUM_BLOCK = 250  # resamples multiplied at a time: 200 MB at 100,000 users
AUC_BLOCK = 50  # fewer: the AUC's tables have a column a case, and are quickest within the processor's cache


class Resamples:
    """How often each group of cases is drawn in each resample.

    Args:
        groups: [n] what each case belongs to (a user, a film), any integers.
        count: number of resamples.
        seed: equal groups and seeds give equal resamples.
    """

    def __init__(self, groups: np.ndarray, *, count: int = NUM_RESAMPLES, seed: int = 0) -> None:
        names, self.group_of_case = np.unique(groups, return_inverse=True)
        self.num_groups = len(names)
        generator = np.random.default_rng(seed)
        self.counts = np.empty((count, self.num_groups), dtype=np.int16)
        for resample in range(count):
            drawn = generator.integers(self.num_groups, size=self.num_groups)
            self.counts[resample] = np.bincount(drawn, minlength=self.num_groups)

    def metrics(self, probabilities: np.ndarray, ratings: np.ndarray) -> dict[str, NDArray[np.float64]]:
        """The value of every metric of `metrics.METRICS` in every resample: name -> [resamples]."""
        terms = _case_terms(probabilities, ratings)
        order = np.argsort(self.group_of_case, kind="stable")
        starts = np.searchsorted(self.group_of_case[order], np.arange(self.num_groups))
        group_sums = np.add.reduceat(terms[order], starts, axis=0)  # [groups, terms]
        auc = _AucTerms(probabilities, ratings, self.group_of_case)
        sums = [block.astype(np.float64) @ group_sums for block in self._blocks(SUM_BLOCK)]
        values = _from_sums(np.concatenate(sums))
        values["auc"] = np.concatenate([auc.values(block) for block in self._blocks(AUC_BLOCK)])
        return {name: values[name] for name in metrics.METRICS}

    def _blocks(self, size: int) -> list[np.ndarray]:
        return [self.counts[start : start + size] for start in range(0, len(self.counts), size)]


def interval(values: np.ndarray) -> tuple[float, float]:
    """The central 95 % of `values` [resamples]; those without a value (nan) are left out, and nan is returned when
    none has one."""
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, INTERVAL)
    return float(low), float(high)


def _case_terms(probabilities: np.ndarray, ratings: np.ndarray) -> NDArray[np.float64]:
    """What is summed over cases, [n, 14 + 10]; `_from_sums` names the columns."""
    truth = np.asarray(ratings, dtype=np.float64)
    expected = metrics.expected_rating(probabilities)
    reward_probability = metrics.reward_probability(probabilities)
    rewarded, predicted = metrics.reward(ratings), metrics.predicted_reward(probabilities)
    terms = [
        np.ones_like(truth),
        truth,
        truth**2,
        expected,
        expected * truth,
        (expected - truth) ** 2,
        np.abs(expected - truth),
        rewarded == predicted,
        rewarded & predicted,
        predicted,
        rewarded,
        metrics.case_nll(probabilities, ratings),
        metrics.case_rps(probabilities, ratings),
        metrics.case_pit_coverage(probabilities, ratings),
    ]
    gaps = np.zeros((len(truth), metrics.ECE_BINS))
    gaps[np.arange(len(truth)), metrics.ece_bin(reward_probability)] = reward_probability - rewarded
    return np.column_stack([*terms, gaps])


def _from_sums(sums: np.ndarray) -> dict[str, NDArray[np.float64]]:
    """Every metric but the AUC from sums over cases [resamples, terms]; the formulas are those of
    `training.metrics`."""
    n, truth, truth2, expected, product, squared, absolute, correct, both, predicted, rewarded, nll, rps, pit = sums.T[
        :14
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = truth2 / n - (truth / n) ** 2
        variance[variance < 1e-9] = np.nan  # all ratings equal, up to rounding
        slope = (product / n - truth * expected / n**2) / variance
        # with l(y) = mean m + b (y - mean y): mean (y - l)^2 = (1 - b)^2 var y + (mean y - mean m)^2
        off_line = (1 - slope) ** 2 + ((truth - expected) / n) ** 2 / variance
        return {
            "rmse": np.sqrt(squared / n),
            "mae": absolute / n,
            "reward_accuracy": correct / n,
            "precision": both / predicted,
            "recall": both / rewarded,
            "r2": 1 - squared / n / variance,
            "paper_r2": 1 - off_line,
            "nll": nll / n,
            "rps": rps / n,
            "ece": np.abs(sums[:, 14:]).sum(axis=1) / n,
            "pit_coverage": pit / n,
        }


class _AucTerms:
    """The cases sorted by reward probability, so that a resample's weighted AUC is a running sum over the unrewarded
    cases."""

    def __init__(self, probabilities: np.ndarray, ratings: np.ndarray, group_of_case: np.ndarray) -> None:
        scores, rewarded = metrics.reward_probability(probabilities), metrics.reward(ratings)
        low_order, high_order = np.argsort(scores[~rewarded]), np.argsort(scores[rewarded])
        low, high = scores[~rewarded][low_order], scores[rewarded][high_order]
        self.low_groups = group_of_case[~rewarded][low_order]
        self.high_groups = group_of_case[rewarded][high_order]
        self.beaten = np.searchsorted(low, high, side="left")
        self.beaten_or_tied = np.searchsorted(low, high, side="right")

    def values(self, counts: np.ndarray) -> NDArray[np.float64]:
        """The AUC in each resample, [resamples], from how often each group is drawn in it, `counts` [resamples,
        groups]."""
        if not len(self.low_groups) or not len(self.high_groups):
            return np.full(len(counts), np.nan)
        counts = counts.astype(np.int32)  # exact, and half the traffic of float64
        low = np.zeros((len(counts), len(self.low_groups) + 1), dtype=np.int32)
        # low[:, i]: weight of the i lowest unrewarded cases
        np.cumsum(np.take(counts, self.low_groups, axis=1), axis=1, dtype=np.int32, out=low[:, 1:])
        high = np.take(counts, self.high_groups, axis=1)
        wins = np.take(low, self.beaten, axis=1)
        wins += np.take(low, self.beaten_or_tied, axis=1)
        wins *= high
        with np.errstate(divide="ignore", invalid="ignore"):
            return wins.sum(axis=1, dtype=np.float64) / (2.0 * low[:, -1] * high.sum(axis=1))
