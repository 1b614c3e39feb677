"""A small model of every type, as its command writes it, and their report; a Hub that this process talks to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub_server import HubServer
from training import baseline, deepfm, film_token_gpt2, text_gpt2

SMALL = ["--hidden-size", "16", "--num-hidden-layers", "1", "--num-attention-heads", "2", "--use-cpu", "True"]
BRIEF = ["--max-steps", "4", "--logging-steps", "1"]
TEXTS = ["--max-film-tokens", "60", "--max-history-length", "4"]
# Every type of model there is: its command, and arguments that make a small one.
MODELS: dict[str, tuple[Callable[[list[str]], None], list[str]]] = {
    "film_token_gpt2": (film_token_gpt2.main, [*SMALL, *BRIEF]),
    "text_gpt2": (text_gpt2.main, [*SMALL, *BRIEF, *TEXTS]),
    "deepfm": (deepfm.main, [*BRIEF, "--use-cpu", "True"]),
    "rating_baseline": (baseline.main, ["--kind", "shrunk-bias"]),
}


@pytest.fixture(scope="session")
def model_folders(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of one model of each type. Read only."""
    folder = tmp_path_factory.mktemp("models")
    for model_type, (main, arguments) in MODELS.items():
        main(["--data", str(tiny_dataset), "--output-dir", str(folder / model_type), *arguments])
    return {model_type: folder / model_type for model_type in MODELS}


@pytest.fixture(scope="session")
def report(model_folders: dict[str, Path], tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `reel evaluate` says of them."""
    from reel.evaluate import main

    out = tmp_path_factory.mktemp("report") / "report.json"
    models = [str(folder) for folder in model_folders.values()]
    lengths = ["--context-lengths", "0,2,5"]
    main(["--model", *models, "--data", str(tiny_dataset), "--out", str(out), *lengths])
    return out


@pytest.fixture
def online(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """A Hub that this process is logged in to, which the tests otherwise keep off the network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    return hub
