"""The columns of the rating data set, config by config."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

# The paper's appendix fields: its `movie_id`, `movie_title` and `year_released` are our `film_id`, `title` and `year`.
FILM_COLUMNS: dict[str, pl.DataType] = {
    "film_id": pl.String(),
    "title": pl.String(),
    "year": pl.Int32(),
    "release_date": pl.Date(),
    "runtime": pl.Float32(),  # minutes
    "genres": pl.List(pl.String()),
    "production_countries": pl.List(pl.String()),
    "spoken_languages": pl.List(pl.String()),
    "original_language": pl.String(),
    "overview": pl.String(),
    "popularity": pl.Float64(),
    "vote_average": pl.Float64(),
    "vote_count": pl.Int64(),
    "tmdb_id": pl.Int64(),
    "imdb_id": pl.String(),
    "image_url": pl.String(),
    "film_group": pl.String(),
}

RATING_COLUMNS: dict[str, pl.DataType] = {
    "user_id": pl.String(),
    "film_id": pl.String(),
    "rating": pl.Int8(),  # 1..10, half stars doubled
    "date": pl.Date(),
    "liked": pl.Boolean(),
    "rewatch": pl.Boolean(),
    "reviewed": pl.Boolean(),
}
# `rewatches` has the columns of `ratings`: what a user gave a film before the rating that counts.
REVIEW_COLUMNS: dict[str, pl.DataType] = {
    "user_id": pl.String(),
    "film_id": pl.String(),
    "date": pl.Date(),
    "rating": pl.Int8(),  # null where the review has none
    "text": pl.String(),
}
FLAGS = ("liked", "rewatch", "reviewed")

FILMS_SCHEMA = pa.schema(
    [
        ("film_id", pa.string()),
        ("title", pa.string()),
        ("year", pa.int32()),
        ("release_date", pa.date32()),
        ("runtime", pa.float32()),
        ("genres", pa.list_(pa.string())),
        ("production_countries", pa.list_(pa.string())),
        ("spoken_languages", pa.list_(pa.string())),
        ("original_language", pa.string()),
        ("overview", pa.string()),
        ("popularity", pa.float64()),
        ("vote_average", pa.float64()),
        ("vote_count", pa.int64()),
        ("tmdb_id", pa.int64()),
        ("imdb_id", pa.string()),
        ("image_url", pa.string()),
        ("film_group", pa.string()),
    ]
)

# Ids repeat, so they are written as dictionaries; a reader sees plain strings (no Arrow schema is stored in the
# files).
_ID = pa.dictionary(pa.int32(), pa.string())

RATINGS_SCHEMA = pa.schema(
    [
        ("user_id", _ID),
        ("film_id", _ID),
        ("rating", pa.int8()),
        ("date", pa.date32()),
        ("liked", pa.bool_()),
        ("rewatch", pa.bool_()),
        ("reviewed", pa.bool_()),
    ]
)

REWATCHES_SCHEMA = pa.schema(
    [(field.name, pa.string() if field.type == _ID else field.type) for field in RATINGS_SCHEMA]
)

HISTORIES_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("film_indices", pa.list_(pa.int32())),
        ("ratings", pa.list_(pa.int8())),
        ("dates", pa.list_(pa.date32())),
        ("ordered", pa.bool_()),
    ]
)

REVIEWS_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("film_id", pa.string()),
        ("date", pa.date32()),
        ("rating", pa.int8()),
        ("text", pa.string()),
    ]
)

COLD_CASES_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("film_indices", pa.list_(pa.int32())),
        ("ratings", pa.list_(pa.int8())),
        ("film_index", pa.int32()),
        ("rating", pa.int8()),
    ]
)

MISSING_DATE = -(2**31)  # stands for "no date" where dates are int32 days since 1970-01-01


def normalise_films(films: pl.DataFrame) -> pl.DataFrame:
    """`films` with exactly the columns and types of `FILM_COLUMNS`: absent columns are null, `film_group` defaults to
    the film itself, and a film without a title is called "(untitled <film_id>)"."""
    columns = [
        (pl.col(name) if name in films.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in FILM_COLUMNS.items()
    ]
    return films.select(columns).with_columns(
        pl.coalesce("film_group", "film_id").alias("film_group"),
        pl.coalesce("title", pl.format("(untitled {})", "film_id")).alias("title"),
    )
