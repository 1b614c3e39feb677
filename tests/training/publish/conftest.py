"""A small model of every kind, as its command writes it, and their report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modeling.baselines.configuration_rating_baseline import KINDS
from training import baseline, deepfm, film_token_gpt2, text_gpt2

SMALL = ["--hidden-size", "16", "--num-hidden-layers", "1", "--num-attention-heads", "2", "--use-cpu", "True"]
BRIEF = ["--max-steps", "4", "--logging-steps", "1"]
TEXTS = ["--max-film-tokens", "60", "--max-history-length", "4"]
# Every model of the project: its command, and arguments that make a small one.
MODELS: dict[str, tuple[Callable[[list[str]], None], list[str]]] = {
    "film_token_gpt2": (film_token_gpt2.main, [*SMALL, *BRIEF]),
    "text_gpt2": (text_gpt2.main, [*SMALL, *BRIEF, *TEXTS]),
    "text_gpt2_lora": (text_gpt2.main, [*SMALL, *BRIEF, *TEXTS, "--lora-rank", "2"]),
    "deepfm": (deepfm.main, [*BRIEF, "--use-cpu", "True"]),
    "rating_baseline": (baseline.main, ["--kind", "shrunk-bias"]),
    **{kind: (baseline.main, ["--kind", kind]) for kind in KINDS if kind != "shrunk-bias"},
}


@pytest.fixture(scope="session")
def model_folders(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of each model. Read only."""
    folder = tmp_path_factory.mktemp("models")
    for name, (main, arguments) in MODELS.items():
        main(["--data", str(tiny_dataset), "--output-dir", str(folder / name), *arguments])
    return {name: folder / name for name in MODELS}


@pytest.fixture(scope="session")
def report(model_folders: dict[str, Path], tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `reel evaluate` says of them."""
    from reel.evaluate import main

    out = tmp_path_factory.mktemp("report") / "report.json"
    models = [str(folder) for folder in model_folders.values()]
    lengths = ["--context-lengths", "0,2,5"]
    main(["--model", *models, "--data", str(tiny_dataset), "--out", str(out), *lengths])
    return out
