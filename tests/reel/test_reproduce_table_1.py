"""`reel reproduce table-1` on small splits, end to end; going on with it; mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_prep.errors import UserError
from reel.cli import run
from training.reproduction import table_1
from training.reproduction.film_split import SplitSize

SMALL = {"30/0": SplitSize(30, 0, train_ratings=300), "500/100": SplitSize(50, 20, train_ratings=700)}
ARGUMENTS = ["--rows", "30/0", "500/100", "--epochs", "50", "--seeds", "2"]


@pytest.fixture(scope="module")
def measured(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run."""
    out = tmp_path_factory.mktemp("table") / "out"
    with pytest.MonkeyPatch.context() as patch:
        for name, size in SMALL.items():
            patch.setitem(table_1.SIZES, name, size)
        patch.setattr(table_1, "CURED", table_1.CURED.but(epochs=2))
        run(["reproduce", "table-1", "--data", str(tiny_dataset), "--out", str(out), *ARGUMENTS, "--films-only"])
    return out


def test_the_report(measured: Path) -> None:
    report = json.loads((measured / "table_1.json").read_text())
    assert [row["split"] for row in report["rows"]] == ["30/0", "500/100"]
    alone, split = report["rows"]
    assert set(alone["deepfm"]) == {"train 50"}
    assert alone["cured"] == {}
    assert alone["paper"]["train 200"] == 0.9889
    assert set(split["deepfm"]) == {"train 50", "test 50"}
    assert set(split["cured"]) == {"with crowd", "without crowd"}
    for cured in split["cured"].values():
        assert cured["test"]["low"] <= cured["test"]["value"] <= cured["test"]["high"]
        assert cured["minus_ridge"]["better"] == (cured["minus_ridge"]["low"] > 0)
    # Two runs of the paper's configuration a row, two of the cured model a kind of features, baselines a split.
    assert len(list((measured / "runs").glob("*.json"))) == 4 + 4 + 4


def test_it_goes_on_where_it_was(measured: Path, tiny_dataset: Path, monkeypatch, capsys) -> None:
    for name, size in SMALL.items():
        monkeypatch.setitem(table_1.SIZES, name, size)
    monkeypatch.setattr(table_1, "CURED", table_1.CURED.but(epochs=2))
    monkeypatch.setattr("training.reproduction.experiments.run", lambda *args: pytest.fail("made again"))
    run(["reproduce", "table-1", "--data", str(tiny_dataset), "--out", str(measured), *ARGUMENTS, "--films-only"])
    printed = capsys.readouterr().out
    for words in ("oracle (0.769)", "the paper's DeepFM, 50 epochs", "(0.810)", "cured DeepFM, without crowd"):
        assert words in printed
    assert "…" not in printed


def test_where_films_are_known(tiny_dataset: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(table_1.SIZES, "30/0", SMALL["30/0"])
    out = tmp_path / "out"
    run(["reproduce", "table-1", "--data", str(tiny_dataset), "--out", str(out), "--rows", "30/0", "--epochs", "1"])
    printed = capsys.readouterr().out
    assert "Unseen ratings of training users" in printed
    assert "deepfm - shrunk-bias" in printed
    known = json.loads((out / "table_1.json").read_text())["known_films"]
    assert {row["context_length"] for row in known["unseen_users"]["paired"]} >= {0, 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "--seeds 0: must be 1 or more"),
        (["--rows", "7/7"], "7/7"),
        (["--rows", "500/100"], "only 80 films have ratings; leave its rows out with --rows"),
    ],
)
def test_mistakes_are_one_line(tiny_dataset: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        run(["reproduce", "table-1", "--data", str(tiny_dataset), "--out", str(tmp_path / "out"), *arguments])
    assert "\n" not in str(error.value)
