"""The study of DeepFM's overfitting on a few films: runs, document, pictures, and that nothing is made twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.deepfm_study import PARTS, experiments, main


def test_every_run_has_a_file_of_its_own() -> None:
    names = [run.name for part in PARTS for _, _, runs in experiments(part, 3, None, 1.0) for run in runs]
    assert len(set(names)) == len(names)


def test_the_document_is_written_from_the_runs(tiny_dataset: Path, tmp_path: Path, monkeypatch) -> None:
    arguments = ["--data", str(tiny_dataset), "--out", str(tmp_path / "out"), "--docs", str(tmp_path / "docs")]
    arguments += ["--only", "sweep", "--scale", "0.05", "--seeds", "2", "--epochs", "2"]
    arguments += ["--variants", "as published: characters", "early stopping", "cured, the reward alone"]
    main(arguments)
    document = tmp_path / "docs" / "deepfm-overfitting.md"
    text = document.read_text()
    assert "| early stopping |" in text
    assert "| cured, the reward alone |" in text
    assert "an oracle" in text
    assert "As published, the model is right on" in text
    (picture,) = (tmp_path / "docs" / "images").iterdir()
    assert f"(images/{picture.name})" in text
    monkeypatch.setattr("training.reproduction.experiments.run", lambda *args: pytest.fail("made again"))
    main(arguments)
    assert document.read_text() == text
    next((tmp_path / "out" / "runs").glob("*early-stopping-1.json")).unlink()
    main([*arguments, "--report"])
    assert "Splits by film behind a row: 1 to 2." in document.read_text()
