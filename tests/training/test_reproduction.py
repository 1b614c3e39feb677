"""The paper's last table on toy models: same targets, nested contexts, the samplings, the published numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from data_prep.errors import UserError
from tests.training.test_evaluation import FILM_IDS, Point, make_histories, user_mean
from training import metrics
from training.cases import ProtocolCases
from training.evaluation import evaluate
from training.reproduction import paper
from training.reproduction.table_2 import draw_cases, sampled, table_2

LENGTHS = list(range(10))


def make_models() -> dict[str, Point]:
    return {"weighted": Point(user_mean), "unweighted": Point(), "film-mean": Point(lambda ratings: 7.0)}


@pytest.fixture
def cases() -> ProtocolCases:
    """40 users with ratings enough and 20 without room for a context of nine."""
    return ProtocolCases(make_histories([30] * 40 + [18] * 20), FILM_IDS)


def test_the_targets_are_the_same_for_every_model_and_length(cases: ProtocolCases) -> None:
    models = make_models()
    table = table_2(models, cases, draw_cases(cases))
    tables = {name: model.tables for name, model in models.items()}
    for length, ours, theirs in zip(LENGTHS, tables["weighted"], tables["film-mean"], strict=True):
        assert ours.equals(theirs)
        assert ours["case_id"].to_pylist() == list(range(400))
        assert ours["film_id"].to_pylist() == [FILM_IDS[film] for film in cases.target_films[:40].ravel()]
        assert {len(ratings) for ratings in ours["history_ratings"].to_pylist()} == {length}
    longest = tables["weighted"][9]["history_film_ids"].to_pylist()
    for length, part in enumerate(tables["weighted"]):
        assert part["history_film_ids"].to_pylist() == [films[9 - length :] for films in longest]
    for target, context in zip(tables["weighted"][9]["film_id"].to_pylist(), longest, strict=True):
        assert target not in context
    assert (table.report["protocol"]["users"], table.report["protocol"]["cases"]) == (40, 400)


def test_the_numbers_are_those_of_reel_evaluate(cases: ProtocolCases) -> None:
    """Natural and stratified rows, intervals and paired differences, all on users with room for nine."""
    from training.cases import plan_lengths

    ours = table_2(make_models(), cases, draw_cases(cases), seed=4).report
    theirs = evaluate(make_models(), cases, plan_lengths(cases.room, LENGTHS), seed=4)
    for name in ours["models"]:
        other = next(model for model in theirs["models"] if model["name"] == name["name"])
        assert name["results"] == [row for row in other["results"] if row["population"] == "curve"]
    assert ours["paired"] == [row for row in theirs["paired"] if row["population"] == "curve"]
    json.dumps(ours, allow_nan=False)


def test_the_stratified_cases_are_the_same_at_every_length() -> None:
    cases = ProtocolCases(make_histories([25] * 200), FILM_IDS)
    table = table_2(make_models(), cases, draw_cases(cases))
    counts = np.bincount(table.ratings, minlength=11)[1:]
    assert counts.max() == 100
    assert np.array_equal(counts, np.minimum(np.bincount(cases.target_ratings.ravel(), minlength=11)[1:], 100))
    for name in table.expected:
        rows = sampled(table.report, name, "stratified")
        assert [row["context_length"] for row in rows] == LENGTHS
        assert {row["n"] for row in rows} == {len(table.ratings)}
        for expected, row in zip(table.expected[name], rows, strict=True):
            error = np.sqrt(np.mean((expected - table.ratings) ** 2))
            assert row["metrics"]["rmse"]["value"] == pytest.approx(error)


def test_a_draw_of_cases(cases: ProtocolCases) -> None:
    everything, drawn = draw_cases(cases), draw_cases(cases, 70)
    assert len(drawn) == 70
    assert np.all(np.diff(drawn) > 0)
    assert set(drawn) < set(everything)
    assert set(drawn) < set(draw_cases(cases, 90))
    model = Point(user_mean)
    table = table_2({"weighted": model, "unweighted": Point()}, cases, drawn)
    assert all(np.array_equal(part["case_id"], drawn) for part in model.tables)
    assert {row["n"] for row in sampled(table.report, "weighted", "natural")} == {70}
    reseeded = ProtocolCases(make_histories([30] * 40 + [18] * 20), FILM_IDS, seed=1)
    assert not np.array_equal(draw_cases(reseeded, 70), drawn)


def test_longer_contexts_help_a_model_that_reads_them(cases: ProtocolCases) -> None:
    table = table_2(make_models(), cases, draw_cases(cases))
    accuracy = [row["metrics"]["reward_accuracy"]["value"] for row in sampled(table.report, "weighted", "natural")]
    assert accuracy[9] > accuracy[0] + 0.1
    constant = {row["metrics"]["rmse"]["value"] for row in sampled(table.report, "unweighted", "natural")}
    assert len(constant) == 1


def test_progress_counts_every_case(cases: ProtocolCases) -> None:
    told: list[tuple[str, int]] = []
    models = {"weighted": Point(), "unweighted": Point()}
    table_2(models, cases, draw_cases(cases), advance=lambda name, number: told.append((name, number)))
    assert sum(number for _, number in told) == 2 * 10 * 400


def test_a_model_that_predicts_no_distribution(cases: ProtocolCases) -> None:
    class Broken(Point):
        def predict_cases(self, cases):
            return super().predict_cases(cases) * 2

    with pytest.raises(UserError, match=r"model unweighted: predicts .* no distribution"):
        table_2({"weighted": Point(), "unweighted": Broken()}, cases, draw_cases(cases))


def test_the_published_numbers() -> None:
    assert len(paper.CASES) == len(paper.CONTEXT_LENGTHS) == 10
    for objective in paper.OBJECTIVES:
        # Shares of whole cases, up to the four digits printed.
        for n, accuracy in zip(paper.CASES, paper.REWARD_ACCURACY[objective], strict=True):
            assert round(round(accuracy * n) / n, 4) == pytest.approx(accuracy, abs=1e-4)


def test_the_fitted_line() -> None:
    ratings = np.array([2, 4, 6, 9])
    assert metrics.fitted_line(3 + 0.5 * ratings, ratings) == pytest.approx((3, 0.5))
    generator = np.random.default_rng(0)
    expected, ratings = generator.normal(6, 1, 50), generator.integers(1, 11, 50)
    slope, intercept = np.polyfit(ratings, expected, 1)
    assert metrics.fitted_line(expected, ratings) == pytest.approx((intercept, slope))
    assert np.isnan(metrics.fitted_line(np.array([3.0, 4.0]), np.array([7, 7]))).all()
