"""The study of the film-token GPT-2: every variant is one that training takes, and nothing is run twice."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import film_token_study
from training.arguments import parse_arguments
from training.film_token_gpt2 import FilmTokenGPT2Arguments, FilmTokenTrainingArguments


def test_every_variant_is_one_that_training_takes(tmp_path: Path) -> None:
    def settings(options: str) -> list[dict]:
        arguments = ["--data", "none", "--output-dir", str(tmp_path), *options.split()]
        parsed = parse_arguments((FilmTokenGPT2Arguments, FilmTokenTrainingArguments), arguments, "study", None)
        return [{**vars(parsed[0])}, parsed[1].hyperparameters()]

    for variants in film_token_study.GROUPS.values():
        for name, options in variants.items():
            assert (settings(options) == settings("")) == (name == film_token_study.DEFAULTS)


def test_variants_are_run_once(tiny_dataset: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    small = "--hidden-size 16 --num-attention-heads 2"
    monkeypatch.setattr(film_token_study, "GROUPS", {"data": {"9 users": "--max-train-users 9"}})
    film_token_study.run("as it is", small, str(tiny_dataset), tmp_path / "as-it-is", ["--max-steps", "1"])
    film_token_study.run(
        "9 users", f"{small} --max-train-users 9", str(tiny_dataset), tmp_path / "9-users", ["--max-steps", "1"]
    )
    record = json.loads((tmp_path / "9-users" / "training.json").read_text())
    assert record["users"] == 9
    assert record["hyperparameters"]["max_train_users"] == 9
    before = (tmp_path / "9-users.json").read_text()
    film_token_study.main(["--data", str(tiny_dataset), "--out", str(tmp_path), "--steps", "1"])
    assert (tmp_path / "9-users.json").read_text() == before
    assert "9 users" in capsys.readouterr().out
