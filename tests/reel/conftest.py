"""Small models for the tests of what people touch."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_models(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a film-token GPT-2 of a few steps and of both baselines, made by the verbs' own code."""
    from training import baseline, film_token_gpt2

    folder = tmp_path_factory.mktemp("models")
    data = ["--data", str(tiny_dataset), "--output-dir"]
    small = ["--hidden-size", "16", "--num-hidden-layers", "2", "--num-attention-heads", "2"]
    film_token_gpt2.main([*data, str(folder / "model"), *small, "--max-steps", "20"])
    for kind in ("film-mean", "shrunk-bias"):
        baseline.main([*data, str(folder / kind.replace("-", "_")), "--kind", kind])
    return {path.name: path for path in folder.iterdir()}
