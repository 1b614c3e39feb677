"""A policy's worth: by hand, against scikit-learn, ties, intervals, and which films it is asked about."""

from __future__ import annotations

import doctest
import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import ndcg_score

import training.policy
from data_prep.dataset import Histories
from training.cases import ProtocolCases
from training.policy import (
    METRICS,
    PolicyCases,
    ndcg,
    pairwise_accuracy,
    policy_report,
    policy_values,
    policy_worth,
    reference_scores,
    tied_weights,
)


def test_the_examples_of_the_module() -> None:
    assert doctest.testmod(training.policy).failed == 0


def test_by_hand() -> None:
    # Twelve films; the ranking puts the two best last, so the top ten are the other ten.
    ratings = np.array([10, 9, 8, 8, 7, 6, 6, 5, 4, 3, 2, 1])
    scores = np.array([0, 1, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3])
    worth = policy_worth(scores, ratings)
    assert worth["rating"] == pytest.approx(5.0)
    assert worth["reward"] == pytest.approx(0.3)
    # Of the 66 pairs two are ties; wrong are those of 10 and the other eleven, and of 9 and the ten below it.
    assert worth["pairwise_accuracy"] == pytest.approx((64 - 11 - 10) / 64)
    gain = sum(rating / math.log2(place + 2) for place, rating in enumerate(ratings[2:]))
    assert worth["ndcg"] == pytest.approx(gain / sum(r / math.log2(p + 2) for p, r in enumerate(ratings[:10])))


@pytest.mark.parametrize("seed", range(5))
def test_ndcg_is_scikit_learn_s(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ratings = rng.integers(1, 11, 30)
    for scores in (rng.normal(size=30), rng.integers(0, 6, 30).astype(float)):  # without ties and with many
        assert ndcg(scores, ratings) == pytest.approx(ndcg_score([ratings], [scores], k=10))


def test_ties_are_the_mean_over_all_orders() -> None:
    scores, weights = np.array([2.0, 1.0, 1.0, 1.0, 0.0]), np.array([1.0, 0.7, 0.2])
    expected = np.zeros(5)
    orders = [order for order in itertools.permutations(range(5)) if (np.diff(scores[list(order)]) <= 0).all()]
    for order in orders:
        expected[list(order[:3])] += weights / len(orders)
    np.testing.assert_allclose(tied_weights(scores, weights), expected)


def test_pairs_against_counting_them() -> None:
    rng = np.random.default_rng(0)
    ratings, scores = rng.integers(1, 11, 40), rng.integers(0, 15, 40)
    pairs = [(i, j) for i in range(40) for j in range(40) if ratings[i] > ratings[j]]
    right = sum((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]) for i, j in pairs)
    assert pairwise_accuracy(scores, ratings) == pytest.approx(right / len(pairs))
    assert math.isnan(pairwise_accuracy(scores, np.full(40, 7)))


@pytest.fixture
def cases() -> ProtocolCases:
    """Three users of 45, 29 and 30 ratings; the last has an order."""
    lengths, rng = [45, 29, 30], np.random.default_rng(1)
    films = np.concatenate([rng.choice(60, length, replace=False) for length in lengths]).astype(np.int32)
    ratings = rng.integers(1, 11, len(films)).astype(np.int8)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ordered = np.array([False, False, True])
    histories = Histories(["a", "b", "c"], offsets, films, ratings, None, ordered)
    return ProtocolCases(histories, [f"film-{film}" for film in range(60)])


def test_candidates_are_all_that_the_policy_was_not_told(cases: ProtocolCases) -> None:
    chosen = PolicyCases.of(cases, 10)
    assert np.diff(chosen.offsets).tolist() == [35, 20]  # the second user has 19 besides ten
    films, ratings, offsets = cases.whole_histories()
    for user, place in ((0, 0), (2, 1)):
        span, start = slice(offsets[user], offsets[user + 1]), chosen.offsets[place]
        told, ranked = chosen.history_films[place], chosen.candidate_films[start : chosen.offsets[place + 1]]
        assert np.concatenate([told, ranked]).tolist() == films[span].tolist()  # in order of date where dated
        assert chosen.history_ratings[place].tolist() == ratings[span][:10].tolist()
    assert len(PolicyCases.of(cases, 100)) == 0


def test_tables_hold_every_candidate_after_its_user_s_history(
    cases: ProtocolCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = PolicyCases.of(cases, 10)
    monkeypatch.setattr(training.policy, "CANDIDATES_PER_CALL", 40)
    blocks = list(chosen.blocks())
    assert blocks == [slice(0, 1), slice(1, 2)]
    table = pa.concat_tables([chosen.table(block, cases.film_ids) for block in blocks])
    assert table["film_id"].to_pylist() == [f"film-{film}" for film in chosen.candidate_films]
    assert table["case_id"].to_pylist() == list(range(55))
    last = [f"film-{film}" for film in chosen.history_films[1]]
    assert table["history_film_ids"].to_pylist()[35:] == [last] * 20
    assert table["history_ratings"].to_pylist()[40] == chosen.history_ratings[1].tolist()


def test_references_enclose_everything(cases: ProtocolCases) -> None:
    chosen = PolicyCases.of(cases, 10)
    scores = reference_scores(chosen, np.arange(60.0))
    values = {name: policy_values(chosen, own) for name, own in scores.items()}
    means = [chosen.candidate_ratings[a:b].mean() for a, b in itertools.pairwise(chosen.offsets)]
    np.testing.assert_allclose(values["random"]["rating"], means)
    np.testing.assert_allclose(values["random"]["pairwise_accuracy"], 0.5)
    np.testing.assert_allclose(values["oracle"]["ndcg"], 1)
    np.testing.assert_allclose(values["oracle"]["pairwise_accuracy"], 1)
    assert (values["oracle"]["rating"] >= values["film mean"]["rating"]).all()


def test_report_is_paired_over_users() -> None:
    rng = np.random.default_rng(2)
    user = rng.normal(6, 1.5, 200)  # users differ by far more than the policies do
    same = dict.fromkeys(METRICS, user)
    better = {metric: user + 0.1 + rng.normal(0, 0.05, 200) for metric in METRICS}
    better["pairwise_accuracy"] = np.where(np.arange(200) < 5, np.nan, better["pairwise_accuracy"])
    report = policy_report({"one": better, "other": same})
    value = report["results"][0]["metrics"]["rating"]
    assert value["value"] == pytest.approx(better["rating"].mean())
    assert value["low"] < value["value"] - 0.1 < value["value"] + 0.1 < value["high"]
    for row in report["paired"]:
        assert row["better"] == "one"
        sign = 1 if row["model"] == "one" else -1
        assert sign * row["difference"] == pytest.approx(0.1, abs=0.02)
        assert row["high"] - row["low"] < 0.03
    unknown = policy_report({"one": {metric: np.full(3, np.nan) for metric in METRICS}})
    assert unknown["results"][0]["metrics"]["ndcg"] == {"value": None, "low": None, "high": None}
