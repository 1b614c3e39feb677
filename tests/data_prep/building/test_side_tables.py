"""The configs `rewatches` and `reviews`: in the splits of their users, and nothing of them about a cold film."""

from __future__ import annotations

import datetime
from pathlib import Path

import datasets
import polars as pl
import pytest

from data_prep.dataset import load_histories, load_ratings, write_dataset
from data_prep.report import BuildReport
from data_prep.schema import RATING_COLUMNS, REVIEW_COLUMNS
from data_prep.user_keys import hash_users, user_key

SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}


@pytest.fixture(scope="module")
def rewatches(tiny_ratings: pl.DataFrame) -> pl.DataFrame:
    """Every user's first five films again, twice, the later row first."""
    first = tiny_ratings.group_by("user_id", maintain_order=True).head(5)
    older, old = (
        first.with_columns(rating=pl.lit(rating), date=pl.lit(datetime.date(2000 + rating, 1, 1))) for rating in (2, 4)
    )
    return pl.concat([old, older])


@pytest.fixture(scope="module")
def reviews(tiny_ratings: pl.DataFrame) -> pl.DataFrame:
    return tiny_ratings.filter(pl.col("rating") > 7).select(
        "user_id", "film_id", "date", pl.format("On {}:\n“good”", "film_id").alias("text")
    )


def read(folder: Path, config: str) -> dict[str, pl.DataFrame]:
    return {split: pl.read_parquet(folder / config / f"{split}-*.parquet") for split in SPLITS}


def test_they_are_split_like_their_users(
    tmp_path: Path,
    tiny_films: pl.DataFrame,
    tiny_ratings: pl.DataFrame,
    rewatches: pl.DataFrame,
    reviews: pl.DataFrame,
) -> None:
    out = tmp_path / "data"
    card = write_dataset(
        out, tiny_films, tiny_ratings, source="made up", splits=SPLITS, rewatches=rewatches, reviews=reviews
    )
    names = sorted(set(tiny_ratings["user_id"].to_list()))
    hashes = dict(zip(names, hash_users(names, user_key()), strict=True))
    for config, frame, columns in (("rewatches", rewatches, RATING_COLUMNS), ("reviews", reviews, REVIEW_COLUMNS)):
        written = read(out, config)
        for split, rows in written.items():
            users = load_histories(str(out), split).user_ids
            assert rows.schema == pl.Schema(columns)
            assert list(dict.fromkeys(rows["user_id"])) == [user for user in users if user in set(rows["user_id"])]
            assert getattr(card.splits[split], config) == len(rows)
            for dates in rows.group_by("user_id", maintain_order=True).agg("date")["date"].to_list():
                assert dates == sorted(dates, key=lambda date: date or datetime.date.min)  # undated rows first
        both = [name for name in columns if name in frame.columns]
        expected = frame.with_columns(pl.col("user_id").replace(hashes)).cast({name: columns[name] for name in both})
        assert pl.concat(written.values()).select(both).sort(both).equals(expected.select(both).sort(both))
    assert datasets.get_dataset_config_names(str(out)) == ["films", "ratings", "histories", "rewatches", "reviews"]
    loaded = datasets.load_dataset(str(out), "reviews", split="test")
    assert loaded[0]["text"].startswith("On film-")
    assert loaded[0]["rating"] is None


def test_nothing_of_a_cold_film_is_left_with_a_training_user(
    tmp_path: Path,
    tiny_films: pl.DataFrame,
    tiny_ratings: pl.DataFrame,
    rewatches: pl.DataFrame,
    reviews: pl.DataFrame,
) -> None:
    out = tmp_path / "data"
    options = {"source": "made up", "splits": SPLITS, "rewatches": rewatches, "reviews": reviews}
    write_dataset(out, tiny_films, tiny_ratings, cold_films=20, **options)
    cold = set(tiny_films["film_id"]) - set(load_ratings(str(out), "train")["film_id"])
    assert len(cold) == 20
    for config in ("rewatches", "reviews"):
        written = read(out, config)
        assert not cold & set(written["train"]["film_id"])
        assert cold & set(pl.concat([written["validation"], written["test"]])["film_id"])


def test_users_without_ratings_are_left_out_and_counted(tmp_path: Path) -> None:
    films = pl.DataFrame({"film_id": ["heat", "alien"]})
    ratings = pl.DataFrame({"user_id": [1, 2], "film_id": ["heat", "heat"], "rating": [7, 8]})
    reviews = pl.DataFrame({"user_id": [2, 3, 3], "film_id": ["alien", "heat", "alien"], "text": ["a", "b", "c"]})
    report = BuildReport()
    out = tmp_path / "data"
    card = write_dataset(
        out,
        films,
        ratings,
        source="made up",
        splits={"train": 1.0},
        reviews=reviews,
        report=report,
        rewatches=ratings[:0],
    )
    assert report.total == 2
    assert card.left_out == {("reviews", "user without ratings"): 2}
    assert card.splits["train"].reviews == 1
    assert "rewatches" not in card.configs()
    assert not (out / "rewatches").exists()
    for wrong in (
        {"film_id": pl.lit("gone")},
        {"rating": pl.lit(11)},
        {"user_id": pl.lit(None, pl.Int64)},
        {"film_id": pl.lit(None, pl.String)},
    ):
        with pytest.raises(ValueError, match="of reviews"):
            write_dataset(
                out, films, ratings, source="x", splits={"train": 1.0}, reviews=reviews.with_columns(**wrong)
            )
