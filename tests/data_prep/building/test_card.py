"""The data set's card: what it says is so, it can be read back, and the published one tells nothing about members."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from huggingface_hub.repocard import metadata_load

from data_prep.building.card import FIGURES, DatasetCard, SplitCounts
from data_prep.building.card_fields import MEANINGS, SCHEMAS, field_table
from data_prep.errors import UserError
from data_prep.publish.card_figures import Distributions, count_distributions, draw_figures

CARD = DatasetCard(
    source="letters: of a 'friend'\n---\nnothing: here | é",
    films=12,
    seed=3,
    cold_films=2,
    fold=(2, 5),
    splits={
        "train": SplitCounts(users=8, ratings=1200, histories=8, ordered=3, rewatches=5, reviews=4),
        "test": SplitCounts(users=2, ratings=30, histories=1, ordered=0, cold_cases=7),
    },
    has_dates=True,
    left_out={("ann.html", "unknown film"): 3, ("bo.html", "unknown film"): 4, ("bo.html", "duplicate film"): 1},
    notes=["ann.html: 2 dates could not be read"],
    digests=dict.fromkeys(SCHEMAS, "0123456789abcdef" * 2),
)


def written(card: DatasetCard, folder: Path) -> Path:
    (folder / "README.md").write_text(card.render(), encoding="utf-8")
    return folder


def test_what_is_rendered_can_be_read_again(tmp_path: Path) -> None:
    for card in (CARD, CARD.published("cc0-1.0"), CARD.published("other", reviews=True)):
        assert DatasetCard.read(written(card, tmp_path)) == card
        assert DatasetCard.read_digest(tmp_path, "histories") == card.digests["histories"]
        assert DatasetCard.read(tmp_path).render() == card.render()


def test_every_field_of_every_config_is_explained() -> None:
    assert {config: list(meanings) for config, meanings in MEANINGS.items()} == {
        config: schema.names for config, schema in SCHEMAS.items()
    }
    assert "| `runtime` | float32 | minutes |" in field_table("films")
    assert any(line.startswith("| `dates` | list of date | ") for line in field_table("histories"))
    assert any(line.startswith("| `user_id` | string | keyed hash") for line in field_table("ratings"))
    text = CARD.render()
    for config in CARD.configs():
        assert f"## `{config}`" in text


def test_counts_and_split_rules_are_said() -> None:
    text = CARD.render()
    assert "| split | users | ratings | histories | ordered | cold cases | rewatches | reviews |" in text
    assert "| train | 8 | 1,200 | 8 | 3 | 0 | 5 | 4 |" in text
    assert "12 films, 10 users, 1,230 ratings." in text
    assert "fold 2 of 5 is the test set" in text
    assert "| bo.html | unknown film | 4 |" in text
    assert "figures/" not in text
    assert "cold cases" not in dataclasses.replace(CARD, cold_films=0).render()


def test_the_published_card_has_metadata_and_no_names(tmp_path: Path) -> None:
    text = CARD.published("cc0-1.0").render()
    metadata = metadata_load(written(CARD.published("cc0-1.0"), tmp_path) / "README.md")
    assert metadata is not None
    assert (metadata["license"], metadata["size_categories"]) == ("cc0-1.0", ["1K<n<10K"])
    assert metadata["task_categories"] == ["other"]
    assert [config["config_name"] for config in metadata["configs"] if config.get("default")] == ["histories"]
    assert "ann" not in text
    assert "bo.html" not in text
    assert "| the source's files | unknown film | 7 |" in text
    assert "reviews" not in CARD.published("other").configs()
    assert "reviews" in CARD.published("other", reviews=True).configs()
    assert all(f"(figures/{name})" in text for name in FIGURES)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("build:", "built:"),
        ("seed: 3", "seed: x"),
        ("  train:", "  ../train:"),
        ("configs:", "configs: [[["),
        ("---", ""),
    ],
)
def test_another_card_is_refused(tmp_path: Path, old: str, new: str) -> None:
    written(CARD, tmp_path)
    card = tmp_path / "README.md"
    card.write_text(card.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match="not the card of a data set of this version"):
        DatasetCard.read(tmp_path)


def test_the_card_of_a_build_has_exact_counts(tiny_dataset: Path) -> None:
    card = DatasetCard.read(tiny_dataset)
    assert card.films == len(pl.read_parquet(tiny_dataset / "films" / "*.parquet"))
    for split, counts in card.splits.items():
        ratings = pl.read_parquet(tiny_dataset / "ratings" / f"{split}-*.parquet")
        histories = pl.read_parquet(tiny_dataset / "histories" / f"{split}-*.parquet")
        assert (counts.ratings, counts.users) == (len(ratings), ratings["user_id"].n_unique())
        assert (counts.histories, counts.ordered) == (len(histories), histories["ordered"].sum())


def test_distributions_are_counted(tiny_dataset: Path, tiny_ratings: pl.DataFrame, tiny_films: pl.DataFrame) -> None:
    counted = count_distributions(tiny_dataset)
    assert counted.ratings.tolist() == [(tiny_ratings["rating"] == rating).sum() for rating in range(1, 11)]
    assert sorted(counted.per_user) == sorted(tiny_ratings["user_id"].value_counts()["count"])
    assert sorted(counted.per_film) == sorted(tiny_ratings["film_id"].value_counts()["count"])
    years = tiny_films["year"].drop_nulls()
    assert counted.first_year == years.min()
    assert counted.years.sum() == len(years)
    assert counted.years[-1] == (years == years.max()).sum()


def test_equal_counts_make_equal_pictures(tmp_path: Path, tiny_dataset: Path) -> None:
    few = Distributions(np.eye(10, dtype=int)[6], np.array([1]), np.array([1]), np.zeros(0, dtype=int), 0)
    for name, distributions in (("tiny", count_distributions(tiny_dataset)), ("few", few)):
        drawn = []
        for time in ("first", "second"):
            folder = tmp_path / name / time
            folder.mkdir(parents=True)
            files = draw_figures(distributions, folder)
            assert [file.name for file in files] == list(FIGURES)
            drawn.append([file.read_bytes() for file in files])
        assert drawn[0] == drawn[1]
        assert all(content.startswith(b"\x89PNG") and b"tEXt" not in content for content in drawn[0])
