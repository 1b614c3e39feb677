"""`reel evaluate --policy` on real baselines of a small data set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import reel.evaluate
from data_prep.errors import UserError


@pytest.fixture(scope="module")
def bandit(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from training.baseline import main

    folder = tmp_path_factory.mktemp("policies") / "bandit"
    main(["--data", str(tiny_dataset), "--output-dir", str(folder), "--kind", "bandit"])
    return folder


def test_the_report_says_what_every_policy_is_worth(
    bandit: Path, tiny_models: dict[str, Path], tiny_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.json"
    models = ["--model", str(bandit), str(tiny_models["film_mean"])]
    rest = ["--data", str(tiny_dataset), "--context-lengths", "0", "--policy", "5", "--out", str(out)]
    reel.evaluate.main([*models, *rest])
    policy = json.loads(out.read_text())["policy"]
    assert (policy["history_length"], policy["top"]) == (5, 10)
    assert policy["users"] > 0
    rows = {row["name"]: row for row in policy["results"]}
    assert {name: row["policy"] for name, row in rows.items()} == {
        "bandit": "greedy",
        "bandit, Thompson": "thompson",
        "film_mean": "greedy",
        "random": "reference",
        "film mean": "reference",
        "oracle": "reference",
    }
    # The saved baseline is the film mean of the same training users.
    for metric, value in rows["film mean"]["metrics"].items():
        assert rows["film_mean"]["metrics"][metric]["value"] == pytest.approx(value["value"], abs=1e-6)
    ratings = {name: row["metrics"]["rating"]["value"] for name, row in rows.items()}
    assert ratings["oracle"] == max(ratings.values())
    assert ratings["bandit"] != ratings["bandit, Thompson"]
    assert f"{ratings['oracle']:.3f} [" in capsys.readouterr().out


@pytest.mark.parametrize(("length", "message"), [("-1", "0 ratings or more"), ("500", "has 520 ratings")])
def test_mistakes(tiny_models: dict[str, Path], tiny_dataset: Path, tmp_path: Path, length: str, message: str) -> None:
    arguments = ["--model", str(tiny_models["film_mean"]), "--data", str(tiny_dataset)]
    with pytest.raises(UserError, match=message):
        reel.evaluate.main([*arguments, f"--policy={length}", "--out", str(tmp_path / "report.json")])
    assert list(tmp_path.iterdir()) == []
