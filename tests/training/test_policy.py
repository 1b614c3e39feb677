"""What rankings are worth: by hand, by all orders of tied films, and beside scikit-learn."""

from __future__ import annotations

import doctest
from itertools import permutations

import numpy as np
import pytest

from data_prep.dataset import Histories
from training import policy
from training.cases import ProtocolCases
from training.policy import PolicyCases, ndcg, pairwise_accuracy, policy_report, policy_values, policy_worth

NUM_FILMS = 100
FILM_IDS = [f"film-{index}" for index in range(NUM_FILMS)]


def make_cases(lengths: list[int], ordered: bool = True) -> ProtocolCases:
    """Users with that many ratings each, of films 0, 1, ... in that order."""
    generator = np.random.default_rng(0)
    histories = Histories(
        user_ids=[f"u{user}" for user in range(len(lengths))],
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        film_indices=np.concatenate([np.arange(length) for length in lengths]).astype(np.int32),
        ratings=generator.integers(1, 11, sum(lengths)).astype(np.int8),
        dates=None,
        ordered=np.full(len(lengths), ordered),
    )
    return ProtocolCases(histories, FILM_IDS)


def test_doctests() -> None:
    assert doctest.testmod(policy).failed == 0


def test_worth_by_hand() -> None:
    ratings = np.array([*[8] * 6, *[6] * 6])
    # All but the last two sixes come first, whatever their order.
    scores = np.array([*range(20, 14, -1), 9, 8, 7, 6, 2, 1])
    worth = policy_worth(scores, ratings)
    assert worth["rating"] == pytest.approx((6 * 8 + 4 * 6) / 10)
    assert worth["reward"] == pytest.approx(0.6)
    assert worth["ndcg"] == pytest.approx(1)
    assert worth["pairwise_accuracy"] == 1
    # The other way round: six sixes, then four of the eights.
    worth = policy_worth(-scores, ratings)
    discounts = 1 / np.log2(np.arange(2, 12))
    expected = (6 * discounts[:6].sum() + 8 * discounts[6:].sum()) / (
        8 * discounts[:6].sum() + 6 * discounts[6:].sum()
    )
    assert worth["rating"] == pytest.approx((6 * 6 + 4 * 8) / 10)
    assert worth["reward"] == pytest.approx(0.4)
    assert worth["ndcg"] == pytest.approx(expected)
    assert worth["pairwise_accuracy"] == 0


def test_pairs_by_hand() -> None:
    # Pairs with different ratings: 9 over 5 right, 9 over 5 tied, 9 over 2 wrong, 5 over 2 wrong, 5 over 2 wrong.
    assert pairwise_accuracy(np.array([3.0, 1.0, 3.0, 4.0]), np.array([9, 5, 5, 2])) == pytest.approx(1.5 / 5)
    assert np.isnan(pairwise_accuracy(np.array([1.0, 2.0]), np.array([7, 7])))


@pytest.mark.parametrize("ties", [1000, 12, 3, 1])
def test_ndcg_is_scikit_learns(ties: int) -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(ties)
    for size in (5, 10, 40):
        ratings, scores = generator.integers(1, 11, size), generator.integers(0, ties, size).astype(float)
        assert ndcg(scores, ratings) == pytest.approx(sklearn_metrics.ndcg_score([ratings], [scores], k=10))


def test_tied_films_are_worth_the_mean_over_their_orders() -> None:
    ratings = np.array([9, 2, 5, 10, 7, 1])
    scores = np.array([4.0, 2.0, 4.0, 4.0, 1.0, 2.0])
    untied = [scores + 1e-6 * np.array(order) for order in permutations(range(len(scores)))]
    for measure in (lambda scores: ndcg(scores, ratings, top=3), lambda scores: pairwise_accuracy(scores, ratings)):
        assert measure(scores) == pytest.approx(np.mean([measure(order) for order in untied]))


def test_random_and_oracle_bound_every_ranking() -> None:
    ratings = np.random.default_rng(0).integers(1, 11, 50)
    random = policy_worth(np.zeros(50), ratings)
    assert random["rating"] == pytest.approx(ratings.mean())
    assert random["reward"] == pytest.approx((ratings >= 7).mean())
    assert random["pairwise_accuracy"] == 0.5
    oracle = policy_worth(ratings, ratings)
    assert oracle["rating"] == pytest.approx(np.sort(ratings)[-10:].mean())
    assert oracle["ndcg"] == pytest.approx(1)
    assert oracle["pairwise_accuracy"] == 1


class TestCases:
    def test_history_first_then_all_other_films(self) -> None:
        cases = PolicyCases.of(make_cases([24, 25, 12, 40]), 5)
        assert len(cases) == 2  # those with 20 films besides the history
        assert cases.history_films.tolist() == [[0, 1, 2, 3, 4]] * 2
        assert cases.offsets.tolist() == [0, 20, 55]
        assert cases.candidate_films.tolist() == [*range(5, 25), *range(5, 40)]

    def test_unordered_histories_are_drawn(self) -> None:
        cases = PolicyCases.of(make_cases([60], ordered=False), 10)
        assert sorted([*cases.history_films[0].tolist(), *cases.candidate_films.tolist()]) == list(range(60))
        assert cases.history_films[0].tolist() != list(range(10))

    def test_nobody(self) -> None:
        cases = PolicyCases.of(make_cases([24]), 5)
        assert (len(cases), list(cases.blocks())) == (0, [])

    def test_blocks_hold_everyone_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(policy, "CANDIDATES_PER_CALL", 45)
        cases = PolicyCases.of(make_cases([25, 25, 80, 25]), 5)
        assert list(cases.blocks()) == [slice(0, 2), slice(2, 3), slice(3, 4)]

    @pytest.mark.parametrize("history_length", [0, 5])
    def test_table(self, history_length: int) -> None:
        protocol = make_cases([25, 30, 35])
        cases = PolicyCases.of(protocol, history_length)
        table = cases.table(slice(1, 3), protocol.film_ids)
        start = cases.offsets[1]
        assert table["case_id"].to_pylist() == list(range(start, cases.offsets[3]))
        assert table["film_id"].to_pylist() == [FILM_IDS[film] for film in cases.candidate_films[start:]]
        assert table["history_film_ids"].to_pylist() == [FILM_IDS[:history_length]] * table.num_rows
        assert table["history_ratings"].to_pylist()[-1] == cases.history_ratings[2].tolist()


class TestReport:
    def values(self) -> dict[str, dict[str, np.ndarray]]:
        cases = PolicyCases.of(make_cases([30] * 40), 5)
        scores = policy.reference_scores(cases, np.linspace(1, 10, NUM_FILMS))
        return {name: policy_values(cases, own) for name, own in scores.items()}

    def test_means_over_users_and_paired_differences(self) -> None:
        values = self.values()
        report = policy_report(values)
        rows = {row["name"]: row["metrics"] for row in report["results"]}
        assert list(rows) == list(policy.REFERENCES)
        for name, own in rows.items():
            assert own["rating"]["value"] == pytest.approx(values[name]["rating"].mean())
            assert own["rating"]["low"] < own["rating"]["value"] < own["rating"]["high"]
        paired = {(row["model"], row["baseline"], row["metric"]): row for row in report["paired"]}
        assert len(paired) == 3 * 2 * 4
        ahead, behind = paired["oracle", "random", "rating"], paired["random", "oracle", "rating"]
        assert ahead["difference"] == pytest.approx(
            rows["oracle"]["rating"]["value"] - rows["random"]["rating"]["value"]
        )
        assert (ahead["better"], behind["better"]) == ("oracle", "oracle")
        assert behind["low"] == pytest.approx(-ahead["high"])
        assert paired["random", "film mean", "pairwise_accuracy"]["better"] is None  # film means of no meaning

    def test_the_interval_is_about_two_standard_errors(self) -> None:
        rating = self.values()["random"]["rating"]
        row = policy_report({"random": self.values()["random"]})["results"][0]["metrics"]["rating"]
        assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * rating.std() / len(rating) ** 0.5, rel=0.15)

    def test_users_without_a_value_are_left_out(self) -> None:
        values = {metric: np.array([0.25, np.nan, 0.75]) for metric in policy.METRICS}
        assert policy_report({"it": values})["results"][0]["metrics"]["pairwise_accuracy"]["value"] == 0.5
        nothing = {metric: np.full(3, np.nan) for metric in policy.METRICS}
        metrics = policy_report({"it": nothing})["results"][0]["metrics"]
        assert metrics["ndcg"] == {"value": None, "low": None, "high": None}
