"""The protocol's cases, and the comparison of models on them."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from data_prep.dataset import ColdCases, Histories
from data_prep.errors import UserError
from training.cases import ProtocolCases, plan_lengths, stratified_sample
from training.cold import ColdTables, evaluate_cold
from training.evaluation import checked, evaluate

NUM_FILMS = 300
FILM_IDS = [f"film-{index}" for index in range(NUM_FILMS)]


def make_histories(lengths: list[int], ordered: list[bool] | None = None, seed: int = 0) -> Histories:
    """Users u0, u1, ... with that many ratings each. A user's taste shows in all of their ratings."""
    generator = np.random.default_rng(seed)
    films = [generator.permutation(NUM_FILMS)[:length] for length in lengths]
    tastes = generator.normal(6.5, 1.5, len(lengths))
    ratings = [
        np.clip(np.round(generator.normal(taste, 1, n)), 1, 10) for taste, n in zip(tastes, lengths, strict=True)
    ]
    return Histories(
        user_ids=[f"u{user}" for user in range(len(lengths))],
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        film_indices=np.concatenate(films).astype(np.int32),
        ratings=np.concatenate(ratings).astype(np.int8),
        dates=None,
        ordered=np.array(ordered if ordered is not None else [False] * len(lengths)),
    )


def rearranged(histories: Histories, users: list[int], seed: int = 1) -> Histories:
    """The same users in another order, the ratings of each in another order too."""
    generator = np.random.default_rng(seed)
    rows = [generator.permutation(np.arange(*histories.offsets[user : user + 2])) for user in users]
    return Histories(
        user_ids=[histories.user_ids[user] for user in users],
        offsets=np.concatenate([[0], np.cumsum([len(part) for part in rows])]).astype(np.int64),
        film_indices=histories.film_indices[np.concatenate(rows)],
        ratings=histories.ratings[np.concatenate(rows)],
        dates=None,
        ordered=histories.ordered[users],
    )


class Point:
    """Predicts a bell around what `centre` makes of a case's history ratings."""

    def __init__(self, centre=lambda ratings: 6.5, width: float = 1.5) -> None:
        self.centre, self.width, self.tables = centre, width, []

    def predict_cases(self, cases: pa.Table) -> np.ndarray:
        self.tables.append(cases)
        centres = np.array([self.centre(ratings) for ratings in cases["history_ratings"].to_pylist()])
        bells = np.exp(-0.5 * ((np.arange(1, 11) - centres[:, None]) / self.width) ** 2)
        return (bells / bells.sum(axis=1, keepdims=True)).astype(np.float32)


def user_mean(ratings: list[int]) -> float:
    return (sum(ratings) + 6.5) / (len(ratings) + 1)


class TestCases:
    def test_targets_and_histories_part_a_user(self) -> None:
        histories = make_histories([25, 9, 10, 40])
        cases = ProtocolCases(histories, FILM_IDS)
        assert (len(cases), cases.num_left_out, cases.room.tolist()) == (3, 1, [15, 0, 30])
        films, ratings = cases.histories(np.array([0]), 15)
        own = dict(zip(*(part.tolist() for part in histories.history(0)), strict=True))
        seen = dict(zip(films[0].tolist(), ratings[0].tolist(), strict=True))
        targets = dict(zip(cases.target_films[0].tolist(), cases.target_ratings[0].tolist(), strict=True))
        assert seen | targets == own
        assert not seen.keys() & targets.keys()

    def test_histories_are_nested(self) -> None:
        cases = ProtocolCases(make_histories([60, 60], ordered=[True, False]), FILM_IDS)
        users = np.array([0, 1])
        longest, _ = cases.histories(users, 50)
        for length in (0, 1, 7, 50):
            films, ratings = cases.histories(users, length)
            assert films.shape == ratings.shape == (2, length)
            assert np.array_equal(films, longest[:, 50 - length :])

    def test_an_ordered_user_ends_with_the_targets(self) -> None:
        histories = make_histories([30], ordered=[True])
        cases = ProtocolCases(histories, FILM_IDS)
        films, ratings = histories.history(0)
        assert np.array_equal(cases.target_films[0], films[-10:])
        assert np.array_equal(cases.target_ratings[0], ratings[-10:])
        assert np.array_equal(cases.histories(np.array([0]), 4)[0][0], films[-14:-10])

    def test_an_unordered_user_is_shuffled_by_the_seed_and_nothing_else(self) -> None:
        histories = make_histories([50, 30, 80])
        cases = ProtocolCases(histories, FILM_IDS)
        other = ProtocolCases(rearranged(histories, [2, 0]), FILM_IDS)
        assert np.array_equal(other.target_films, cases.target_films[[2, 0]])
        assert np.array_equal(other.sample_keys, cases.sample_keys[[2, 0]])
        assert np.array_equal(other.histories(np.array([0]), 70)[0], cases.histories(np.array([2]), 70)[0])
        reseeded = ProtocolCases(histories, FILM_IDS, seed=1)
        assert not np.array_equal(reseeded.target_films, cases.target_films)

    def test_the_draw_is_even(self) -> None:
        lengths = [40] * 2000
        histories = make_histories(lengths)
        cases = ProtocolCases(histories, FILM_IDS)
        place = np.argsort(histories.film_indices.reshape(2000, 40), axis=1)
        ranked = np.take_along_axis(histories.film_indices.reshape(2000, 40), place, axis=1)
        chosen = np.array([np.searchsorted(row, films) for row, films in zip(ranked, cases.target_films, strict=True)])
        counts = np.bincount(chosen.ravel(), minlength=40)  # by rank of the film within the user
        assert np.abs(counts - 500).max() < 5 * np.sqrt(500 * 0.75)

    def test_many_users_are_laid_out_like_few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        histories = make_histories([12, 30, 11, 45, 20], ordered=[False, True, False, False, True])
        whole = ProtocolCases(histories, FILM_IDS)
        monkeypatch.setattr("training.cases.USERS_PER_LAYOUT", 2)
        parts = ProtocolCases(histories, FILM_IDS)
        assert np.array_equal(parts.target_films, whole.target_films)
        assert np.array_equal(parts.histories(np.array([3]), 35)[1], whole.histories(np.array([3]), 35)[1])

    def test_the_table(self) -> None:
        cases = ProtocolCases(make_histories([40, 12, 33]), FILM_IDS)
        users = cases.users_with_room(20)
        table = cases.table(users, 20)
        assert table.schema.types == [
            pa.int64(),
            pa.list_(pa.dictionary(pa.int32(), pa.string())),
            pa.list_(pa.int8()),
            pa.dictionary(pa.int32(), pa.string()),
        ]
        assert table["case_id"].to_pylist() == [*range(10), *range(20, 30)]
        films, ratings = cases.histories(users, 20)
        rows = table.to_pylist()
        assert [rows[number]["history_ratings"] for number in (0, 9, 10)] == ratings[[0, 0, 1]].tolist()
        assert rows[13]["history_film_ids"] == [FILM_IDS[film] for film in films[1]]
        assert [row["film_id"] for row in rows[10:]] == [FILM_IDS[film] for film in cases.target_films[2]]
        assert cases.table(users, 0)["history_ratings"].to_pylist() == [[]] * 20

    def test_a_draw_of_users(self) -> None:
        histories = make_histories([20 + user for user in range(50)])
        few, more = (ProtocolCases(histories, FILM_IDS, max_users=number) for number in (5, 12))
        assert (len(few), len(more)) == (5, 12)
        assert set(few.room) <= set(more.room)
        assert set(few.room) != set(range(10, 15))

    def test_the_stratified_sample(self) -> None:
        ratings = np.repeat([3, 7, 10], [40, 500, 100])
        keys = np.random.default_rng(0).integers(2**63, size=640).astype(np.uint64)
        sample = stratified_sample(ratings, keys)
        assert np.bincount(ratings[sample]).tolist() == [0, 0, 0, 40, 0, 0, 0, 100, 0, 0, 100]
        assert keys[sample][40:140].max() < np.delete(keys[40:540], sample[40:140] - 40).min()


@pytest.mark.parametrize(
    ("room", "requested", "curve", "everyone", "notes"),
    [
        ([300] * 40, None, (0, 1, 2, 5, 10, 20, 50, 100, 200), (0, 1, 2, 5, 10, 20, 50, 100, 200), 0),
        ([300] * 29 + [90] * 50, None, (0, 1, 2, 5, 10, 20, 50), (0, 1, 2, 5, 10, 20, 50), 1),
        ([12] * 40, None, (0, 1, 2, 5, 10), (0, 1, 2, 5, 10), 2),
        ([800] * 40, [500, 10, 0, 10], (0, 10), (0, 10, 500), 0),
        ([100] * 40 + [300] * 3, [0, 150], (0, 150), (0, 150), 1),
        ([5], [6], (), (), 1),
    ],
)
def test_plan_of_lengths(
    room: list[int], requested: list[int] | None, curve: tuple, everyone: tuple, notes: int
) -> None:
    plan = plan_lengths(np.array(room), requested)
    assert (plan.curve, plan.all, len(plan.notes)) == (curve, everyone, notes)


def test_cold_cases() -> None:
    """Histories of 50 come from the full ones: the latest where ordered, else one draw for all cases of a user."""
    histories = make_histories([60, 20, 70], ordered=[True, False, False])
    users = [0, 0, 1, 2, 2]
    parts = [histories.history(user) for user in users]
    own = Histories(
        user_ids=[histories.user_ids[user] for user in users],
        offsets=np.concatenate([[0], np.cumsum([len(films) for films, _ in parts])]),
        film_indices=np.concatenate([films for films, _ in parts]),
        ratings=np.concatenate([ratings for _, ratings in parts]),
        dates=None,
        ordered=np.zeros(5, dtype=bool),
    )
    cold = ColdCases(own, film_index=np.array([1, 2, 1, 2, 3], dtype=np.int32), rating=np.full(5, 7, dtype=np.int8))
    tables = ColdTables(cold, histories, FILM_IDS)
    assert tables.with_room(50).tolist() == [0, 1, 3, 4]
    short = tables.table(tables.with_room(50), 50).to_pylist()
    full = tables.table(tables.with_room("full"), "full").to_pylist()
    assert [len(row["history_film_ids"]) for row in full] == [60, 60, 20, 70, 70]
    assert short[0]["history_ratings"] == parts[0][1][-50:].tolist()
    assert short[2]["history_film_ids"] == short[3]["history_film_ids"]
    assert set(short[2]["history_film_ids"]) < set(full[3]["history_film_ids"])
    assert [row["film_id"] for row in full] == [FILM_IDS[film] for film in (1, 2, 1, 2, 3)]
    assert ColdTables(cold, histories, FILM_IDS, users=["u1"]).with_room("full").tolist() == [2]
    report = evaluate_cold({"mean": Point(user_mean)}, tables, split="test")
    assert [row["n"] for row in report["results"]["mean"]] == [4, 4, 5, 5]
    assert report["protocol"]["films"] == 3


class TestEvaluate:
    @pytest.fixture(scope="class")
    def scored(self) -> tuple[dict, ProtocolCases, dict[str, Point]]:
        generator = np.random.default_rng(0)
        cases = ProtocolCases(make_histories(generator.integers(12, 80, 120).tolist()), FILM_IDS)
        models = {"mean": Point(user_mean), "constant": Point(), "same": Point()}
        return evaluate(models, cases, plan_lengths(cases.room, [0, 5, 20, 40]), split="validation"), cases, models

    def test_rows(self, scored: tuple[dict, ProtocolCases, dict[str, Point]]) -> None:
        report, cases, _ = scored
        rows = report["models"][0]["results"]
        assert len(rows) == 4 * 2 * 2
        curve = len(cases.users_with_room(40))
        for row in rows:
            users = curve if row["population"] == "curve" else len(cases.users_with_room(row["context_length"]))
            assert row["split"] == "validation"
            assert row["n"] == 10 * users if row["sampling"] == "natural" else row["n"] <= 10 * users
            for name in ("rmse", "reward_accuracy", "nll", "rps", "auc"):
                value = row["metrics"][name]
                assert value["low"] <= value["value"] <= value["high"]
        assert report["protocol"]["users"]["curve"] == curve
        json.dumps(report, allow_nan=False)

    def test_every_model_gets_the_same_cases(self, scored: tuple[dict, ProtocolCases, dict[str, Point]]) -> None:
        _, _, models = scored
        first, second = models["mean"].tables, models["constant"].tables
        assert [a.equals(b) for a, b in zip(first, second, strict=True)] == [True] * 4
        targets = {row["case_id"]: row["film_id"] for row in first[0].to_pylist()}
        for table in first[1:]:
            assert all(targets[row["case_id"]] == row["film_id"] for row in table.to_pylist())

    def test_values_are_those_of_the_metrics(self, scored: tuple[dict, ProtocolCases, dict[str, Point]]) -> None:
        report, cases, _ = scored
        users = cases.users_with_room(40)
        row = next(
            row
            for row in report["models"][0]["results"]
            if (row["population"], row["sampling"], row["context_length"]) == ("curve", "natural", 5)
        )
        predictions = Point(user_mean).predict_cases(cases.table(users, 5)).astype(np.float64)
        expected = (predictions / predictions.sum(axis=1, keepdims=True)) @ np.arange(1, 11)
        error = expected - cases.target_ratings[users].ravel()
        assert row["metrics"]["rmse"]["value"] == pytest.approx(np.sqrt(np.mean(error**2)), abs=1e-9)
        assert sum(bin_["n"] for bin_ in row["reliability"]) == row["n"]

    def test_paired_differences(self, scored: tuple[dict, ProtocolCases, dict[str, Point]]) -> None:
        report, _, _ = scored
        wanted = {"population": "curve", "sampling": "natural", "context_length": 20, "metric": "rmse"}
        rows = {(row["model"], row["baseline"]): row for row in report["paired"] if wanted.items() <= row.items()}
        assert len(rows) == 6
        ahead, behind = rows["mean", "constant"], rows["constant", "mean"]
        assert ahead["better"] == behind["better"] == "mean"
        assert ahead["low"] < ahead["difference"] < ahead["high"] < 0
        assert ahead["difference"] == -behind["difference"]
        equal = rows["constant", "same"]
        assert (equal["difference"], equal["low"], equal["high"], equal["better"]) == (0, 0, 0, None)
        accuracy = {**wanted, "metric": "reward_accuracy", "model": "mean", "baseline": "constant"}
        assert next(row for row in report["paired"] if accuracy.items() <= row.items())["better"] == "mean"

    def test_many_users_are_scored_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cases = ProtocolCases(make_histories([30] * 7), FILM_IDS)
        plan = plan_lengths(cases.room, [5])
        whole = evaluate({"mean": Point(user_mean)}, cases, plan)
        monkeypatch.setattr("training.evaluation.USERS_PER_CALL", 3)
        told: list[int] = []
        parts = evaluate({"mean": Point(user_mean)}, cases, plan, advance=lambda model, number: told.append(number))
        assert (parts, told) == (whole, [30, 30, 10])

    @pytest.mark.parametrize("wrong", [np.nan, -0.1, 2.0])
    def test_a_model_must_predict_distributions(self, wrong: float) -> None:
        probabilities = np.full((3, 10), 0.1)
        probabilities[1, 4] = wrong
        with pytest.raises(UserError, match="model odd: predicts"):
            checked("odd", probabilities, 3)
        with pytest.raises(ValueError, match="shape"):
            checked("odd", np.full((2, 10), 0.1), 3)
