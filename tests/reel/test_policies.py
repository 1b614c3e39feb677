"""`reel evaluate --policy` on small models: greedy and Thompson rankings beside random, film mean and oracle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import reel.evaluate
from data_prep.dataset import load_films, load_histories
from data_prep.errors import exit_status
from reel.policies import greedy_scores, thompson_scores
from reel.recommender import Recommender
from training.cases import ProtocolCases
from training.policy import PolicyCases

METRICS = ["rating", "reward", "ndcg", "pairwise_accuracy"]


@pytest.fixture(scope="module")
def bandit(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from training import baseline

    folder = tmp_path_factory.mktemp("bandit") / "bandit"
    baseline.main(["--data", str(tiny_dataset), "--output-dir", str(folder), "--kind", "bandit"])
    return folder


def test_end_to_end(
    tiny_dataset: Path,
    tiny_models: dict[str, Path],
    bandit: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "report.json"
    models = [str(bandit), str(tiny_models["film_mean"])]
    arguments = ["--model", *models, "--data", str(tiny_dataset), "--context-lengths", "0,5", "--out", str(out)]
    assert exit_status(reel.evaluate.main, [*arguments, "--policy", "10"]) == 0
    report = json.loads(out.read_text())
    assert [model["name"] for model in report["models"]] == ["bandit", "film_mean"]
    policy = report["policy"]
    kinds = {row["name"]: row["policy"] for row in policy["results"]}
    assert kinds == {
        "bandit": "greedy",
        "bandit, Thompson": "thompson",
        "film_mean": "greedy",
        "random": "reference",
        "film mean": "reference",
        "oracle": "reference",
    }
    lengths = load_histories(str(tiny_dataset), "test").lengths()
    assert (policy["history_length"], policy["top"], policy["users"]) == (10, 10, (lengths >= 30).sum())
    assert policy["candidates"] == (lengths[lengths >= 30] - 10).sum()
    rows = {row["name"]: row["metrics"] for row in policy["results"]}
    for metric in METRICS:
        values = {name: own[metric]["value"] for name, own in rows.items()}
        assert values["film_mean"] == pytest.approx(values["film mean"])  # the model says the same by another way
        assert values["random"] < values["bandit"] < values["oracle"]
    assert rows["oracle"]["ndcg"]["value"] == pytest.approx(1)
    assert len(policy["paired"]) == 6 * 5 * len(METRICS)
    printed = capsys.readouterr().out
    assert f"{rows['bandit']['ndcg']['value']:.4f} [" in printed
    assert "bandit, Thompson" in printed


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--policy": "-1"}, "--policy -1: must be 0 ratings or more"),
        ({"--policy": "60"}, "has 80 ratings, 20 of them to rank; ask for fewer"),
        ({"--model": "runs/oracle", "--policy": "5"}, "--model oracle: --policy has a row of that name"),
    ],
)
def test_mistakes(
    tiny_dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    message: str,
) -> None:
    options = {"--model": "runs/mean", "--data": str(tiny_dataset), "--out": str(tmp_path / "report.json")} | changed
    assert exit_status(reel.evaluate.main, [f"{name}={value}" for name, value in options.items()]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


class TestThompson:
    @pytest.fixture
    def cases(self, tiny_dataset: Path) -> ProtocolCases:
        film_ids = load_films(str(tiny_dataset))["film_id"].to_list()
        return ProtocolCases(load_histories(str(tiny_dataset), "test"), film_ids)

    def test_without_noise_it_is_the_greedy_policy(self, cases: ProtocolCases, bandit: Path) -> None:
        model, ranked = Recommender.from_pretrained(bandit), PolicyCases.of(cases, 5)
        with torch.no_grad():
            model.model.noise.zero_()
        drawn = thompson_scores(model, ranked, cases.film_ids, 0)
        greedy = greedy_scores("bandit", model, ranked, cases.film_ids, lambda model, number: None)
        for start, end in zip(ranked.offsets[:-1], ranked.offsets[1:], strict=True):
            # The expected rating is held to 1..10, the estimate is not; and both are of single precision.
            assert (np.diff(greedy[start:end][np.argsort(drawn[start:end])]) > -1e-4).all()

    def test_every_user_has_a_draw_of_their_own(self, cases: ProtocolCases, bandit: Path) -> None:
        model, ranked = Recommender.from_pretrained(bandit), PolicyCases.of(cases, 0)
        scores = thompson_scores(model, ranked, cases.film_ids, 0)
        films = ranked.candidate_films
        film = np.bincount(films).argmax()
        assert len(np.unique(scores[films == film])) == (films == film).sum() > 1
        assert np.array_equal(scores, thompson_scores(model, ranked, cases.film_ids, 0))
        assert not np.array_equal(scores, thompson_scores(model, ranked, cases.film_ids, 1))
