"""Shapley values of causes: exact on made-up accuracies, with intervals over films and splits."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from training.reproduction.attribution import Estimate, attribution, shapley_weights

CAUSES = ("x", "y", "z")
COMBINATIONS = [
    frozenset(some) for number in range(len(CAUSES) + 1) for some in itertools.combinations(CAUSES, number)
]


def answer(accuracy: float, films: int, seed: int) -> dict[str, Any]:
    """Films that are right as often as each other: nothing is uncertain but the splits."""
    cases = [100] * films
    return {"seed": seed, "films": list(range(films)), "cases": cases, "correct": [100 * accuracy] * films}


def run(train: float, test: float, seed: int) -> dict[str, Any]:
    return {**answer(test, 5, seed), "train": answer(train, 20, seed)}


def test_a_cause_is_averaged_over_all_orders() -> None:
    worth = {combination: hash(combination) % 97 / 97 for combination in COMBINATIONS}
    for cause in CAUSES:
        weights = shapley_weights(cause, frozenset(CAUSES), COMBINATIONS)
        steps = []
        for order in itertools.permutations(CAUSES):
            before = frozenset(order[: order.index(cause)])
            steps.append(worth[before | {cause}] - worth[before])
        expected = sum(steps) / len(steps)
        assert sum(weights[some] * worth[some] for some in COMBINATIONS) == pytest.approx(expected)


def test_shares_add_up_and_stay_with_their_cause() -> None:
    runs = {
        some: [
            run(0.6 + 0.2 * ("x" in some) + 0.01 * seed, 0.6 - 0.1 * (len(some & {"x", "y"}) == 2), seed)
            for seed in range(2)
        ]
        for some in COMBINATIONS
    }
    shares = attribution(runs)
    assert shares["x"]["train"].value == pytest.approx(0.2)
    assert [shares[cause]["test"].value for cause in "xy"] == pytest.approx([-0.05, -0.05])  # both are needed
    assert shares["y"]["gap"].value == pytest.approx(0.05)
    assert [shares["z"][side].value for side in ("train", "test", "gap")] == pytest.approx([0, 0, 0])
    assert sum(shares[cause]["gap"].value for cause in shares) == pytest.approx(0.3)
    assert shares["x"]["gap"].sign == 1
    assert shares["x"]["test"].sign == -1


def test_what_all_have_in_common_is_no_cause() -> None:
    runs = {frozenset(some): [run(0.7, 0.6, 0)] for some in ("x", "xy")}
    assert list(attribution(runs)) == ["y"]


def test_nothing_is_attributed_where_a_combination_is_missing() -> None:
    assert attribution({}) == {}
    assert attribution({frozenset("x"): [run(0.7, 0.6, 0)]}) == {}
    assert attribution({some: [run(0.7, 0.6, 0)] for some in COMBINATIONS[1:]}) == {}
    apart = {frozenset(): [run(0.7, 0.6, 0)], frozenset("x"): [run(0.7, 0.6, 1)]}
    assert attribution(apart) == {}  # no split in common


def test_an_estimate_is_formatted_as_its_number() -> None:
    estimate = Estimate(0.125, -0.5, 1)
    assert f"{estimate:+.2f}" == "+0.12 [-0.50, +1.00]"
    assert (estimate.sign, Estimate(1, 0.5, 2).sign, Estimate(-1, -2, -0.5).sign) == (0, 1, -1)
