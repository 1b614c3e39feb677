"""What the order of an unordered history changes: nothing for a mean, much for a model that reads the last rating."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from data_prep.dataset import Histories
from training.cases import ProtocolCases
from training.order_effects import CONTEXT_LENGTH, NUM_ORDERS, OrderCases

NUM_FILMS, LENGTH = 200, 70


def bells(centres: np.ndarray) -> np.ndarray:
    probabilities = np.exp(-0.5 * (np.arange(1, 11) - centres[:, None]) ** 2)
    return probabilities / probabilities.sum(1, keepdims=True)


class Mean:
    def predict_cases(self, cases: pa.Table) -> np.ndarray:
        return bells(np.array([np.mean(ratings) for ratings in cases["history_ratings"].to_pylist()]))


class Last:
    """Believes the last rating; remembers what it was given."""

    def __init__(self) -> None:
        self.histories: list[list[tuple[str, int]]] = []

    def predict_cases(self, cases: pa.Table) -> np.ndarray:
        films, ratings = cases["history_film_ids"].to_pylist(), cases["history_ratings"].to_pylist()
        self.histories.append([list(zip(*pair, strict=True)) for pair in zip(films, ratings, strict=True)])
        return bells(np.array([history[-1] for history in ratings]))


def split(num_users: int, ordered: list[bool]) -> ProtocolCases:
    rng = np.random.default_rng(0)
    films = np.concatenate([rng.choice(NUM_FILMS, LENGTH, replace=False) for _ in range(num_users)])
    histories = Histories(
        [f"u{user}" for user in range(num_users)],
        np.arange(num_users + 1) * LENGTH,
        films.astype(np.int32),
        rng.integers(1, 11, num_users * LENGTH).astype(np.int8),
        None,
        np.array(ordered),
    )
    return ProtocolCases(histories, [f"film-{film}" for film in range(NUM_FILMS)])


def test_every_order_has_the_same_ratings():
    orders = OrderCases(split(6, [False] * 6))
    last = Last()
    orders.spread("last", last)
    assert len(last.histories) == NUM_ORDERS
    for history in zip(*last.histories, strict=True):
        assert len(history[0]) == CONTEXT_LENGTH
        assert {frozenset(order) for order in history} == {frozenset(history[0])}
    assert len({tuple(order[0]) for order in last.histories}) == NUM_ORDERS


def test_spreads():
    orders = OrderCases(split(6, [False] * 6))
    assert len(orders) == NUM_ORDERS * 60
    same = orders.spread("mean", Mean())
    assert same["expected_rating"]["value"] == pytest.approx(0, abs=1e-9)
    assert same["changed_rewards"] == 0
    moved = orders.spread("last", Last())["expected_rating"]
    assert 1.5 < moved["low"] < moved["value"] < moved["high"] < 4  # ratings drawn from 1..10 have a spread of 2.9
    assert orders.spread("last", Last()) == orders.spread("last", Last())


def test_histories_with_an_order_are_left_as_they_are():
    assert OrderCases(split(6, [True, False, True, False, True, True])).protocol["users"] == 2
    nobody = OrderCases(split(3, [True] * 3))
    assert len(nobody) == 0
