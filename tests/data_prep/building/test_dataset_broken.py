"""Data sets that somebody has damaged or changed: one line that names them, and not a word of the libraries."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import datasets
import polars as pl
import pytest

from data_prep.building.card import DatasetCard
from data_prep.dataset import load_films, load_histories
from data_prep.errors import UserError
from data_prep.folders import digest_files


def shard(folder: Path, config: str, split: str) -> Path:
    return next((folder / config).glob(f"{split}-*.parquet"))


def changed(config: str, split: str, **columns: pl.Expr) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = shard(folder, config, split)
        pl.read_parquet(path).with_columns(**columns).write_parquet(path)

    return damage


def cut(config: str, split: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = shard(folder, config, split)
        path.write_bytes(path.read_bytes()[:-100])

    return damage


def without(config: str, split: str) -> Callable[[Path], None]:
    return lambda folder: shard(folder, config, split).unlink()


def unreadable_card(folder: Path) -> None:
    card = folder / "README.md"
    card.write_text(card.read_text().replace("configs:", "configs: [[["))


def unsealed(folder: Path) -> None:
    """Make the card agree with whatever the files hold now."""
    for config in ("films", "histories"):
        card, digest = folder / "README.md", DatasetCard.read_digest(folder, config)
        assert digest is not None
        card.write_text(card.read_text().replace(digest, digest_files(folder / config)))


def refused(folder: Path, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    def load() -> None:
        load_films(str(folder))
        load_histories(str(folder), "test")

    with pytest.raises(UserError, match=message) as raised:
        load()
    assert str(folder) in str(raised.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut("films", "train"), "films of split train cannot be read"),
        (cut("histories", "test"), "cannot be read .*Parquet"),
        (without("histories", "test"), "histories of split test cannot be read"),
        (without("films", "train"), "films of split train cannot be read"),
        (unreadable_card, "cannot be read"),
        (changed("films", "train", film_id=pl.lit(None, pl.String)), "row 0 has no film_id"),
        (changed("films", "train", film_id=pl.lit("heat")), "two rows have the film_id 'heat'"),
        (changed("histories", "test", ratings=pl.lit("nine")), "histories of split test cannot be read"),
        (changed("histories", "test", ratings=pl.lit(None, pl.List(pl.Int8))), "ratings of 6 users is null"),
        (changed("histories", "test", ratings=pl.col("ratings").list.head(3)), "more films than ratings"),
        (
            changed("histories", "test", ratings=pl.col("ratings").list.eval(pl.element() * 0 + 11)),
            "from 11 to 11, not from 1 to 10",
        ),
        (
            changed("histories", "test", film_indices=pl.col("film_indices").list.eval(pl.element() + 900)),
            "not from 0 to 79",
        ),
    ],
)
def test_broken_data_sets(
    tiny_dataset: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    message: str,
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(tiny_dataset, folder)
    damage(folder)
    if damage is not unreadable_card:
        unsealed(folder)
    refused(folder, message, capfd)


@pytest.mark.parametrize("damage", [cut("histories", "test"), without("films", "train"), changed("histories", "test")])
def test_damage_is_seen_though_the_data_set_was_read_before(
    tiny_dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(tiny_dataset, folder)
    load_films(str(folder))
    load_histories(str(folder), "test")
    damage(folder)
    refused(folder, "damaged, changed or lost", capfd)


def test_a_cache_that_cannot_be_written(tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **settings: object) -> None:
        raise PermissionError(13, "Permission denied", "/cache")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(UserError, match=r"/cache: no place .* set HF_HOME"):
        load_films(str(tiny_dataset))
