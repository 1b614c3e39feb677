"""Several data sets as one: films, people, splits, and what is said about disagreements."""

from __future__ import annotations

import datetime
import itertools
import json
import shutil
from pathlib import Path

import datasets
import polars as pl
import pytest

from data_prep.dataset import (
    list_splits,
    load_films,
    load_histories,
    load_ratings,
    load_reviews,
    load_rewatches,
    write_dataset,
)
from data_prep.errors import UserError, exit_status
from data_prep.merge.command import ALIKE, DIFFERENT, SPLIT, main, merge_datasets
from data_prep.user_keys import hash_users, user_key

FILMS = pl.DataFrame(
    {"film_id": ["heat", "alien", "solaris"], "title": ["Heat", "Alien", "Solaris"], "year": [1995, 1979, 1972]}
)
SCHEMA = {"user_id": pl.String, "film_id": pl.String, "rating": pl.Int8, "date": pl.Date}


def day(number: int) -> datetime.date:
    return datetime.date(2024, 3, number)


def hashed(name: str) -> str:
    return hash_users([name], user_key())[0]


def rows(*values: tuple) -> pl.DataFrame:
    return pl.DataFrame([(*row, *[None] * (4 - len(row))) for row in values], schema=SCHEMA, orient="row")


def dataset(folder: Path, ratings: pl.DataFrame, films: pl.DataFrame = FILMS, **options) -> str:
    """A data set of training users, unless `user_splits` says otherwise."""
    write_dataset(folder, films, ratings, source="made up", **{"splits": {"train": 1.0}, **options})
    return str(folder)


def every(data: Path, load, config: str = "ratings") -> pl.DataFrame:
    """The rows of all splits, users by name."""
    names = {hashed(name): name for name in ("ann", "bob", "cat", "dan")}
    loaded = pl.concat(load(str(data), split) for split in list_splits(str(data), config))
    return loaded.with_columns(pl.col("user_id").replace(names)).sort(
        "user_id", "film_id", "date", maintain_order=True
    )


def test_merged_with_itself_it_is_itself(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    films = tiny_films.with_columns(film_group="film_id")
    rewatches = tiny_ratings.head(100).with_columns(date=datetime.date(2001, 1, 1), rating=pl.lit(3, pl.Int8))
    write_dataset(
        data,
        films,
        tiny_ratings,
        source="made up",
        splits={"train": 0.8, "validation": 0.1, "test": 0.1},
        rewatches=rewatches,
        reviews=tiny_ratings.select("user_id", "film_id", "date", text="film_id"),
    )
    main([str(data), str(data), "--out", str(tmp_path / "merged")])
    for path in sorted(data.glob("*/*.parquet")):
        assert path.read_bytes() == (tmp_path / "merged" / path.relative_to(data)).read_bytes(), path
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"{ALIKE}: {len(tiny_ratings):,}",
        f"{tmp_path / 'merged'}: 60 users (train 48, validation 6, test 6), 80 films, {len(tiny_ratings):,} ratings",
    ]
    card = (tmp_path / "merged" / "README.md").read_text()
    assert "Source: the data sets data and data (2), merged." in card
    assert "the one that the merged data sets had the user in" in card
    assert str(tmp_path) not in card


def test_the_latest_rating_counts_and_the_others_are_rewatches(tmp_path: Path) -> None:
    old = dataset(
        tmp_path / "old",
        rows(("ann", "heat", 6, day(3)), ("ann", "alien", 7), ("bob", "heat", 5, day(9)), ("cat", "alien", 2, day(1))),
    )
    new = dataset(
        tmp_path / "new",
        rows(
            ("ann", "heat", 9, day(5)),
            ("ann", "alien", 8),
            ("bob", "heat", 5),
            ("bob", "alien", 4),
            ("cat", "alien", 3),
        ),
        rewatches=rows(("ann", "heat", 6, day(3)), ("ann", "heat", 1, day(1)), ("cat", "alien", 2, day(1))),
    )
    for sources in ([old, new], [new, old]):
        card = merge_datasets(sources, tmp_path / "merged")
        first_alien = 7 if sources[0] == old else 8
        assert every(tmp_path / "merged", load_ratings).select("user_id", "film_id", "rating", "date").rows() == [
            ("ann", "alien", first_alien, None),
            ("ann", "heat", 9, day(5)),
            ("bob", "alien", 4, None),
            ("bob", "heat", 5, day(9)),
            ("cat", "alien", 3, None),  # the new data set lists the dated one as the earlier
        ]
        rewatches = every(tmp_path / "merged", load_rewatches, "rewatches")
        assert rewatches.select("user_id", "film_id", "rating", "date").rows() == [
            ("ann", "alien", 15 - first_alien, None),
            ("ann", "heat", 1, day(1)),
            ("ann", "heat", 6, day(3)),
            ("cat", "alien", 2, day(1)),
        ]
        assert card.ratings == 5
        counts = json.loads((tmp_path / "merged" / "merge_report.json").read_text())["counts"]
        assert counts == {ALIKE: 1, DIFFERENT: 3}


def test_films_are_joined_and_so_are_their_ratings(tmp_path: Path) -> None:
    films = pl.DataFrame(
        {
            "film_id": ["heat", "alien", "alien-1979"],
            "title": ["Heat", "Alien", "Alien"],
            "year": [1995, 1979, 1979],
            "tmdb_id": [949, 348, 348],
            "film_group": ["heat", "alien", "alien"],
        }
    )
    movielens = pl.DataFrame(
        {"film_id": ["ml-6", "ml-9", "ml-1"], "title": ["Heat", "Alien", "Toy Story"], "year": [1995, 1979, 1995]}
    ).with_columns(tmdb_id=pl.Series([949, None, 862]))
    third = movielens.with_columns(film_id=pl.Series(["x", "y", "z"]), imdb_id=pl.Series(["tt1", "tt2", "tt3"]))
    sources = [
        dataset(
            tmp_path / "a",
            rows(("ann", "alien", 7, day(1)), ("ann", "alien-1979", 8, day(2)), ("bob", "heat", 3)),
            films,
        ),
        dataset(tmp_path / "b", rows(("bob", "ml-9", 9), ("cat", "ml-6", 4), ("cat", "ml-1", 5)), movielens),
        dataset(tmp_path / "c", rows(("cat", "z", 5), ("dan", "x", 6)), third),
    ]
    for order in itertools.permutations(sources):
        merge_datasets(order, tmp_path / "merged", splits={"train": 1.0})
        titles = dict(load_films(str(tmp_path / "merged")).select("film_id", "title").iter_rows())
        assert sorted(titles.values()) == ["Alien", "Heat", "Toy Story"]
        merged = every(tmp_path / "merged", load_ratings)
        found = {
            (user, titles[film], rating) for user, film, rating in merged.select("user_id", "film_id", "rating").rows()
        }
        assert found == {
            ("ann", "Alien", 8),
            ("bob", "Heat", 3),
            ("bob", "Alien", 9),
            ("cat", "Heat", 4),
            ("cat", "Toy Story", 5),
            ("dan", "Heat", 6),
        }
        (rewatch,) = every(tmp_path / "merged", load_rewatches, "rewatches").rows()
        assert (rewatch[0], titles[rewatch[1]], rewatch[2]) == ("ann", "Alien", 7)
    merge_datasets(sources, tmp_path / "merged")
    assert load_films(str(tmp_path / "merged"))["film_id"].to_list() == ["heat", "alien", "ml-1"]
    assert load_films(str(tmp_path / "merged"))["imdb_id"].to_list() == ["tt1", "tt2", "tt3"]


def test_nobody_who_is_tested_anywhere_is_trained_on(tmp_path: Path) -> None:
    ratings = rows(*[(user, "heat", 7) for user in ("ann", "bob", "cat", "dan")])
    splits = [
        {"ann": "train", "bob": "train", "cat": "validation", "dan": "test"},
        {"ann": "train", "bob": "validation", "cat": "test", "dan": "train"},
    ]
    sources = [
        dataset(tmp_path / str(number), ratings, splits=None, user_splits=split) for number, split in enumerate(splits)
    ]
    for order in (sources, sources[::-1]):
        merge_datasets(order, tmp_path / "merged")
        kept = {
            split: set(load_histories(str(tmp_path / "merged"), split).user_ids)
            for split in ("train", "validation", "test")
        }
        assert kept == {
            "train": {hashed("ann")},
            "validation": {hashed("bob")},
            "test": {hashed("cat"), hashed("dan")},
        }
        counts = json.loads((tmp_path / "merged" / "merge_report.json").read_text())["counts"]
        assert counts[SPLIT] == 3
    main([*sources, "--splits", "train=.5,test=.5", "--seed", "1", "--out", str(tmp_path / "anew")])
    assert [len(load_histories(str(tmp_path / "anew"), split)) for split in ("train", "test")] == [2, 2]
    assert "chosen by a hash" in (tmp_path / "anew" / "README.md").read_text()


def test_reviews_are_merged_once(tmp_path: Path) -> None:
    ratings = rows(("ann", "heat", 7), ("bob", "heat", 7))
    review = pl.DataFrame({"user_id": ["ann"], "film_id": ["heat"], "date": [day(1)], "text": ["Good"]})
    one = dataset(tmp_path / "one", ratings, reviews=review)
    two = dataset(tmp_path / "two", ratings, reviews=pl.concat([review, review.with_columns(text=pl.lit("Better"))]))
    merge_datasets([one, two], tmp_path / "merged")
    assert sorted(load_reviews(str(tmp_path / "merged"), "train")["text"]) == ["Better", "Good"]
    assert datasets.get_dataset_config_names(str(tmp_path / "merged")) == ["films", "ratings", "histories", "reviews"]


def test_cold_films_are_asked_for_anew(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"source": "made up", "splits": {"train": 0.8, "test": 0.2}}
    write_dataset(tmp_path / "cold", tiny_films, tiny_ratings, cold_films=5, **options)
    write_dataset(tmp_path / "warm", tiny_films, tiny_ratings.head(500), **options)
    merge_datasets([str(tmp_path / "cold"), str(tmp_path / "warm")], tmp_path / "merged")
    assert "cold: its cold films are ordinary ones here; --cold-films keeps films back anew" in capsys.readouterr().err
    assert list_splits(str(tmp_path / "merged"), "cold_cases") == []
    main([str(tmp_path / "cold"), str(tmp_path / "warm"), "--cold-films", "4", "--out", str(tmp_path / "merged")])
    assert list_splits(str(tmp_path / "merged"), "cold_cases") == ["test"]


def test_sources_that_cannot_be_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = dataset(tmp_path / "good", rows(("ann", "heat", 7)))

    def refused(sources: list[str], message: str) -> None:
        assert exit_status(main, [*sources, "--out", str(tmp_path / "merged")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
        assert not (tmp_path / "merged").exists()

    def changed(name: str, **columns: pl.Expr) -> str:
        shutil.copytree(good, tmp_path / name)
        card, path = tmp_path / name / "README.md", tmp_path / name / "ratings" / "train-00000-of-00001.parquet"
        pl.read_parquet(path).with_columns(**columns).write_parquet(path)
        card.write_text("\n".join(line for line in card.read_text().split("\n") if "content" not in line))
        return str(tmp_path / name)

    refused([good], "two data sets or more")
    refused([good, str(tmp_path)], "no rating data set")
    refused([good, str(tmp_path / "absent")], "no such folder")
    refused([good, changed("named", user_id=pl.lit("ann"))], "named: ratings of split train is broken (user_id 'ann'")
    refused([good, changed("film", film_id=pl.lit("gone"))], "film_id 'gone' is not among its films")
    refused([good, changed("rating", rating=pl.lit(0))], "a rating is not from 1 to 10")
    with pytest.raises(UserError, match="not a data set of ours"):
        merge_datasets([good, good], tmp_path)
