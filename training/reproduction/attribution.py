"""What each of several causes does to an accuracy, where every combination of them was tried: Shapley values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.reproduction.deepfm_runs import Run
from training.reproduction.experiments import accuracy, combined, gap_interval, mean_interval

SIDES = {"train": "training ratings", "test": "new films", "gap": "gap between them"}


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; formatted with the format of one number, such as `+.3f` or `.1%`."""

    value: float
    low: float
    high: float

    def __format__(self, form: str) -> str:
        return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}]"

    @property
    def sign(self) -> int:
        """1 or -1 where the interval is on that side of zero, otherwise 0."""
        return (self.low > 0) - (self.high < 0)


def shapley_weights(
    cause: str, causes: frozenset[str], combinations: Sequence[frozenset[str]]
) -> dict[frozenset[str], float]:
    """
    Weights of the combinations whose weighted sum is a cause's Shapley value: what adding it changes, averaged over
    all orders in which the causes can be added.

    Args:
        cause: one of the causes.
        causes: those that differ between the combinations.
        combinations: all of them, each with whatever all have in common.
    """
    weights = {}
    for combination in combinations:
        others = len(combination & causes - {cause})
        size = math.factorial(others) * math.factorial(len(causes) - others - 1) / math.factorial(len(causes))
        weights[combination] = size if cause in combination else -size
    return weights


def attribution(runs: Mapping[frozenset[str], Sequence[Run]]) -> dict[str, dict[str, Estimate]]:
    """
    The share of every cause that differs in the accuracy on training ratings, that on new films, and their gap.

    Args:
        runs: of every combination of causes, a run for each split; splits that a combination lacks are left out.

    Returns:
        cause -> side, of `SIDES`, -> estimate; nothing where a combination is missing or no cause differs.
    """
    if not runs:
        return {}
    by_seed = {combination: {run["seed"]: run for run in some} for combination, some in runs.items()}
    seeds = sorted(set.intersection(*(set(found) for found in by_seed.values())))
    causes = frozenset().union(*runs) - next(iter(runs)).intersection(*runs)
    if not causes or not seeds or len(runs) != 2 ** len(causes):
        return {}
    found = {}
    for cause in sorted(causes):
        weights = shapley_weights(cause, causes, list(runs))
        train, test = (
            [
                combined([side(by_seed[combination][seed]) for combination in weights], list(weights.values()))
                for seed in seeds
            ]
            for side in (lambda run: run["train"], lambda run: run)
        )
        values = [sum(map(accuracy, answers)) / len(seeds) for answers in (train, test)]
        found[cause] = {
            "train": Estimate(values[0], *mean_interval(train)),
            "test": Estimate(values[1], *mean_interval(test)),
            "gap": Estimate(values[0] - values[1], *gap_interval(train, test)),
        }
    return found
