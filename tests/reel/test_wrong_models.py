"""Folders that hold no model, or a damaged one: one line that names the folder, and not a word of the libraries."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from safetensors.torch import load_file, save_file

from data_prep.errors import UserError
from reel.recommender import Recommender


def configured(**changes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return damage


def written(name: str, content: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return damage


def cut(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return damage


def films(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "catalogue" / "films.parquet"
        change(pl.read_parquet(path)).write_parquet(path)

    return damage


def diverged(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["rating_head.bias"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "no such folder"),
        (lambda folder: (folder / "config.json").unlink(), "no model there"),
        (written("config.json", b"{broken"), "no model there"),
        (written("config.json", b"[]"), "no model there"),
        (configured(model_type=["a", "list"]), "a model of type"),
        (configured(model_type="gpt2"), "a model of type"),
        (configured(num_films="80"), "cannot be read"),
        (configured(num_hidden_layers="many"), "cannot be read"),
        (configured(num_hidden_layers=3), "do not fit config.json .missing keys"),
        (configured(num_hidden_layers=1), "do not fit config.json .unexpected keys"),
        (configured(hidden_size=32), "do not fit config.json .mismatched keys"),
        (cut("model.safetensors"), "cannot be read"),
        (written("model.safetensors", b""), "cannot be read"),
        (written("model.safetensors", b"\xff" * 100), "cannot be read"),
        (lambda folder: (folder / "model.safetensors").unlink(), "cannot be read"),
        (diverged, "the weights are no numbers"),
        (lambda folder: shutil.rmtree(folder / "catalogue"), "no film catalogue"),
        (cut("catalogue/films.parquet"), "broken film catalogue"),
        (cut("catalogue/features.parquet"), "no film features"),
        (cut("catalogue/features.json"), "no film features"),
        (films(lambda table: table.drop("rating_count")), "broken film catalogue"),
        (films(lambda table: table.with_columns(genres=pl.lit(5))), "broken film catalogue"),
        (films(lambda table: pl.concat([table[:-1], table[:1]])), "a film has no id, or another's"),
        (films(lambda table: table[:-1]), "do not belong together"),
        (films(lambda table: table.reverse()), "not the one that the model was saved with"),
    ],
)
def test_broken_models(
    tiny_models: dict[str, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    message: str,
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_models["model"], folder)
    damage(folder)
    capfd.readouterr()
    with pytest.raises(UserError, match=message) as raised:
        Recommender.from_pretrained(folder)
    assert str(folder) in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_recommender_keeps_its_catalogue_when_it_is_saved(tiny_models: dict[str, Path], tmp_path: Path) -> None:
    Recommender.from_pretrained(tiny_models["shrunk_bias"]).save_pretrained(tmp_path / "copy")
    again = Recommender.from_pretrained(tmp_path / "copy")
    assert again.model.config.catalogue_digest == again.catalogue.digest
