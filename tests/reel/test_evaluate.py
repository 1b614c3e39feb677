"""`reel evaluate` on toy models: the report, what is printed, mistakes."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import reel.evaluate
from data_prep.errors import UserError, exit_status

NUM_USERS, RATINGS_EACH, NUM_FILMS = 90, 40, 300


class ToyModel:
    """Predicts a bell around the mean rating of a case's history, or around 6.5 whatever the history."""

    def __init__(self, personal: bool) -> None:
        self.personal = personal
        # Trained elsewhere: the command says so and scores it all the same.
        films = pl.DataFrame({"film_id": ["casablanca"], "rating_count": [3]})
        self.catalogue = SimpleNamespace(film_ids=["casablanca"], films=films)

    def predict_cases(self, cases: pa.Table) -> np.ndarray:
        histories = [ratings if self.personal else [] for ratings in cases["history_ratings"].to_pylist()]
        centres = np.array([(sum(ratings) + 6.5) / (len(ratings) + 1) for ratings in histories])
        bells = np.exp(-0.5 * ((np.arange(1, 11) - centres[:, None]) / 1.5) ** 2)
        return (bells / bells.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A data set of 90 users on disk, two thirds of them for test."""
    from data_prep.dataset import write_dataset

    folder = tmp_path_factory.mktemp("evaluate")
    generator = np.random.default_rng(0)
    films = [f"film-{index}" for index in range(NUM_FILMS)]
    tastes = generator.normal(6.5, 1.5, (NUM_USERS, 1))
    drawn = np.clip(np.round(generator.normal(tastes, 1, (NUM_USERS, RATINGS_EACH))), 1, 10)
    ratings = pl.DataFrame(
        {
            "user_id": np.repeat([f"u{user}" for user in range(NUM_USERS)], RATINGS_EACH),
            "film_id": np.concatenate([generator.permutation(films)[:RATINGS_EACH] for _ in range(NUM_USERS)]),
            "rating": drawn.ravel().astype(np.int8),
        }
    )
    splits = {"train": 0.2, "validation": 0.1, "test": 0.7}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REEL_CONFIG_DIR", str(folder / "config"))
        for name, cold in {"data": 0, "cold": 6}.items():
            write_dataset(
                folder / name,
                pl.DataFrame({"film_id": films}),
                ratings,
                source="made up",
                splits=splits,
                cold_films=cold,
            )
    return str(folder / "data")


@pytest.fixture
def _models(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Recommender.from_pretrained` gives toy models; a folder called `none` is no model."""

    def from_pretrained(path: str) -> ToyModel:
        if path.endswith("none"):
            raise UserError(f"{path}: no model")
        return ToyModel(personal="mean" in path)

    module = SimpleNamespace(Recommender=SimpleNamespace(from_pretrained=from_pretrained))
    monkeypatch.setitem(sys.modules, "reel.recommender", module)


@pytest.mark.usefixtures("_models")
class TestVerb:
    def test_end_to_end(self, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out, figures = tmp_path / "report.json", tmp_path / "figures"
        arguments = ["--model", "runs/mean", "runs/constant/", "--data", data, "--out", str(out)]
        assert exit_status(reel.evaluate.main, [*arguments, "--figures", str(figures), "--max-users", "50"]) == 0
        report = json.loads(out.read_text())
        assert [(model["name"], model["path"]) for model in report["models"]] == [
            ("mean", "runs/mean"),
            ("constant", "runs/constant/"),
        ]
        assert (report["data"], report["protocol"]["users"]["curve"]) == (data, 50)
        assert report["protocol"]["curve_lengths"] == [0, 1, 2, 5, 10, 20]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["figures", "report.json"]
        assert sorted(path.name for path in figures.iterdir()) == ["calibration.png", "history_length.png"]
        printed = capsys.readouterr()
        rmse = next(
            row["metrics"]["rmse"]["value"]
            for row in report["models"][0]["results"]
            if (row["population"], row["sampling"], row["context_length"]) == ("curve", "natural", 20)
        )
        assert f"{rmse:.3f} [" in printed.out
        assert "minus constant" in printed.out
        assert "lengths end at 50" in printed.err
        assert "note" not in printed.out
        assert f"mean was not trained on the training users of {data}" in printed.err
        assert report["models"][0]["order_effects"] is None  # nobody has room for 50 ratings
        assert "orders of the same" not in printed.out

    def test_order_effects(
        self, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("training.order_effects.CONTEXT_LENGTH", 20)
        out = tmp_path / "report.json"
        reel.evaluate.main(["--model", "runs/mean", "--data", data, "--context-lengths", "5", "--out", str(out)])
        report = json.loads(out.read_text())
        users = report["protocol"]["users"]["with_ten_ratings"]
        assert report["protocol"]["orders"] == {"users": users, "context_length": 20, "orders": 8}
        effects = report["models"][0]["order_effects"]
        assert effects["expected_rating"]["value"] == pytest.approx(0, abs=1e-6)
        assert "Spread over 8 orders of the same 20 ratings" in capsys.readouterr().out

    def test_new_films_are_scored_apart(self, data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "report.json"
        arguments = ["--model", "runs/mean", "b/constant", "--data", data.replace("/data", "/cold"), "--out", str(out)]
        reel.evaluate.main([*arguments, "--context-lengths", "0,10"])
        report = json.loads(out.read_text())
        rows = [row for row in report["models"][0]["results"] if row["split"] == "cold_test"]
        assert [(row["context_length"], row["sampling"]) for row in rows] == [
            ("full", "natural"),
            ("full", "stratified"),
        ]
        assert rows[0]["n"] == report["protocol"]["cold"]["cases"]["full"] > 0
        assert 0 < report["protocol"]["cold"]["films"] <= 6
        assert sum(row["split"] == "cold_test" for row in report["paired"]) == 2 * 2 * 6
        assert "new films: full" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"--model": "runs/none"}, "runs/none: no model"),
            ({"--data": "no/such/place"}, "no/such/place: no such folder"),
            ({"--split": "tset"}, "tset"),
            ({"--context-lengths": "0,a,5"}, "'a' is no number of ratings"),
            ({"--context-lengths": "-1"}, "'-1' is no number of ratings"),
            ({"--context-lengths": "31"}, "the longest history in split test of"),
            ({"--out": "absent/report.json"}, "there is no folder absent"),
            ({"--out": "."}, "this is a folder"),
            ({"--figures": "file"}, "no folder can be made there"),
            ({"--figures": "new/figures", "--model": "runs/none"}, "runs/none: no model"),
            ({"--max-users": "0"}, "at least one user"),
            ({"--seed": "-1"}, "must be 0 or more"),
        ],
    )
    def test_mistakes(
        self,
        data: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        changed: dict[str, str],
        message: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "file").write_text("")
        options = {"--model": "runs/mean", "--data": data, "--out": "report.json"} | changed
        arguments = [f"{name}={value}" for name, value in options.items()]
        assert exit_status(reel.evaluate.main, arguments) == 2
        printed = capsys.readouterr()
        errors = [line for line in printed.err.splitlines() if not line.startswith("note:")]
        assert len(errors) == 1
        assert message in errors[0]
        assert printed.out == ""
        assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_unique_names() -> None:
    assert doctest.testmod(reel.evaluate).failed == 0
    assert reel.evaluate.unique_names(["user/repo", "a/m", "a/m/"]) == ["repo", "m", "m#2"]
    assert reel.evaluate.unique_names(["."]) == [Path.cwd().name]


def test_importing_the_verb_is_quick() -> None:
    heavy = "torch", "transformers", "datasets", "matplotlib"
    code = f"import sys, reel.evaluate; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
