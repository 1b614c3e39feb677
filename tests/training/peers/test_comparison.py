"""The comparison with peers, from a data set to its tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.peers import main, tables
from tests.training.test_evaluation import FILM_IDS, Point, make_histories, user_mean
from training.cases import ProtocolCases, plan_lengths
from training.evaluation import evaluate
from training.peers.lenskit_models import KINDS


def test_the_tables_hold_every_model_to_the_first() -> None:
    cases = ProtocolCases(make_histories([30] * 40), FILM_IDS)
    models = {"always 7": Point(lambda ratings: 7.0), "user mean": Point(user_mean)}
    report = evaluate(models, cases, plan_lengths(cases.room))
    text = tables(report)
    assert "| k | always 7 | user mean |" in text
    assert "RMSE minus that of always 7, 40 users" in text
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| 20 |")]
    (_, constant, mean), (_, difference) = lines
    shown = float(mean.split(" / ")[0]) - float(constant.split(" / ")[0])
    assert float(difference.split()[0]) == pytest.approx(shown, abs=0.0016)
    assert shown < 0


@pytest.mark.filterwarnings("ignore")
def test_peers_are_learned_and_scored(tiny_dataset: Path, tmp_path: Path, capsys) -> None:
    pytest.importorskip("lenskit", reason="needs LensKit, of the extra `peers`")
    main(["--data", str(tiny_dataset), "--out", str(tmp_path / "report.json")])
    report = json.loads((tmp_path / "report.json").read_text())
    names = [*(f"lenskit {kind}" for kind in KINDS), "boosted trees"]
    assert [model["name"] for model in report["models"]] == list(report["peers"]["seconds"]) == names
    assert f"| k | {' | '.join(names)} |" in capsys.readouterr().out
