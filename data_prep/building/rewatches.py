"""One rating per user and film: the latest counts, earlier ones are rewatches."""

from __future__ import annotations

import polars as pl

from data_prep.schema import FLAGS

_PAIR = ["user_id", "film_id"]


def split_rewatches(ratings: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part ratings into those that count and those that a later one of the same user and film has replaced.

    The latest date wins; a row without date is taken for older than any date, and among equals the later row of the
    table wins. A row that says nothing new is in neither part: one that repeats user, film, rating and date of
    another, or, undated, the rating of a dated one (the same rating, found in a list that gives no dates).

    Args:
        ratings: user_id, film_id, rating, and where known date, liked, rewatch, reviewed.

    Returns:
        The ratings that count, one per user and film: `rewatch` is true where earlier ones were replaced, and each
        flag where any row of the pair has it. And the replaced rows, as they were. Both are in the order of the table
        and have its columns, and `rewatch` in any case.
    """
    if "rewatch" not in ratings.columns:
        ratings = ratings.with_columns(rewatch=pl.lit(None, pl.Boolean))
    if not _repeats(ratings).any():
        return ratings, ratings.clear()
    ratings = ratings.unique(keep="last", maintain_order=True).with_row_index("_row")
    repeats = _repeats(ratings)
    date = pl.col("date") if "date" in ratings.columns else pl.lit(None, pl.Date)
    flags = [pl.col(name).max().over(_PAIR) for name in FLAGS if name in ratings.columns]
    rows = ratings.filter(repeats).with_columns(*flags, _date=date)
    dated = pl.col("_date").is_not_null()
    rows = rows.filter(dated | ~dated.any().over(*_PAIR, "rating")).sort("_date", "_row", nulls_last=False)
    rows = rows.unique([*_PAIR, "rating", "_date"], keep="last", maintain_order=True)
    rows = rows.with_columns(rewatch=pl.when(pl.len().over(_PAIR) > 1).then(True).otherwise("rewatch"))
    latest = rows.select(pl.struct(_PAIR).is_last_distinct()).to_series()
    counting = pl.concat([ratings.filter(~repeats), rows.filter(latest).select(ratings.columns)]).sort("_row")
    replaced = ratings.join(rows.filter(~latest), on="_row", how="semi", maintain_order="left")
    return counting.drop("_row"), replaced.drop("_row")


def _repeats(ratings: pl.DataFrame) -> pl.Series:
    """Which rows have a user and film that another row has too."""
    return ratings.select(pl.struct(_PAIR).is_duplicated()).to_series()
