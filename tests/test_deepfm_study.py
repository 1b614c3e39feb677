"""The study of DeepFM's overfitting on a few films: runs, document, pictures, and that nothing is made twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.deepfm_study import PARTS, experiments, main
from training.reproduction.study_report import CHARACTERS, SHIFTED


def test_every_run_has_a_file_of_its_own() -> None:
    names = [run.name for part in PARTS for row in experiments(part, 3, None, 1.0) for run in row.runs]
    assert len(set(names)) == len(names)


def test_the_document_is_written_from_the_runs(tiny_dataset: Path, tmp_path: Path, monkeypatch) -> None:
    arguments = ["--data", str(tiny_dataset), "--out", str(tmp_path / "out"), "--docs", str(tmp_path / "docs")]
    arguments += ["--only", "sweep", "--scale", "0.05", "--seeds", "2", "--epochs", "2"]
    arguments += ["--variants", "no priors", "none of them", "early stopping", "the reward alone"]
    main(arguments)
    document = tmp_path / "docs" / "deepfm-overfitting.md"
    text = document.read_text()
    assert "| early stopping |" in text
    assert "| the reward alone |" in text
    assert "an oracle" in text
    assert "| characters, shifted rows, unscaled numbers, no priors |" in text
    (picture,) = (tmp_path / "docs" / "images").iterdir()
    assert f"(images/{picture.name})" in text
    monkeypatch.setattr("training.reproduction.experiments.run", lambda *args: pytest.fail("made again"))
    main(arguments)
    assert document.read_text() == text
    next((tmp_path / "out" / "runs").glob("*early-stopping-1.json")).unlink()
    main([*arguments, "--report"])
    assert "Splits by film behind a row: 1 to 2." in document.read_text()


def test_a_variant_is_held_against_the_ridge_on_its_features(tiny_dataset: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(tiny_dataset), "--out", str(tmp_path), "--only", "large", "--scale", "0.005"]
    main([*arguments, "--seeds", "1", "--epochs", "1", "--variants", "cured", "vote average"])
    lines = (line.strip("| ").split(" | ") for line in (tmp_path / "deepfm-overfitting.md").read_text().splitlines())
    cells = {line[0]: line[1:] for line in lines}
    for variant, kind in (("cured", "with crowd"), ("without vote average, vote count, popularity", "without crowd")):
        test, ridge = (float(cell.split()[0]) for cell in (cells[variant][1], cells[f"user mean + ridge, {kind}"][0]))
        assert float(cells[variant][4].split()[0]) == pytest.approx(test - ridge, abs=0.0016)
    assert len({cells[f"user mean + ridge, {kind}"][0] for kind in ("with crowd", "without crowd")}) == 2


def test_causes_are_told_with_their_shares(tiny_dataset: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(tiny_dataset), "--out", str(tmp_path), "--only", "large", "--scale", "0.005"]
    main([*arguments, "--seeds", "1", "--epochs", "1", "--variants", "unscaled numbers"])
    text = (tmp_path / "deepfm-overfitting.md").read_text()
    assert "As published, the model is right on" in text
    assert "(4 models a split)" in text
    assert "The gap is made by" in text
    assert {f"| {cause} |" in text for cause in (CHARACTERS, SHIFTED)} == {True}
    assert "no priors*:" not in text  # all four have it
    assert (tmp_path / "images" / "deepfm_causes_9000_1000.png").exists()
