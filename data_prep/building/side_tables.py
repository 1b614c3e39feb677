"""Two tables beside the ratings, each in the splits of the ratings' users: earlier ratings, and the reviews' texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from data_prep.building.splits import SPLITS
from data_prep.folders import write_shards
from data_prep.report import NO_RATINGS, BuildReport
from data_prep.schema import RATING_COLUMNS, REVIEW_COLUMNS, REVIEWS_SCHEMA, REWATCHES_SCHEMA

GROUPS_PER_FILE = 4


@dataclass(frozen=True, eq=False)
class SideTable:
    """A config: its name, its columns in Polars and in Arrow, and how many of its rows are in memory at a time."""

    name: str
    columns: dict[str, pl.DataType]
    schema: pa.Schema
    rows_per_group: int


REWATCHES = SideTable("rewatches", RATING_COLUMNS, REWATCHES_SCHEMA, 1_000_000)
REVIEWS = SideTable("reviews", REVIEW_COLUMNS, REVIEWS_SCHEMA, 20_000)


def write_side_table(
    folder: Path,
    table: SideTable,
    rows: pl.DataFrame,
    users: pl.DataFrame,
    films: pl.DataFrame,
    cold: np.ndarray,
    report: BuildReport,
) -> dict[str, int]:
    """Write one of the tables into the data set `folder`, under the users' hashes: by user, then by date (undated rows
    first).

    Args:
        folder: of the data set.
        table: which of the two.
        rows: user_id and film_id without nulls; of the other columns those that are known.
        users: of every user with ratings: user_id (the name), hash and split (position in `SPLITS`).
        films: the films table.
        cold: bool [films]: rows of these by training users are left out.
        report: counts the rows of users without ratings, which are left out.

    Returns:
        How many rows each split has; those without any have no file.

    Raises:
        ValueError: when `rows` breaks the promises above.
    """
    columns = [
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in table.columns.items()
    ]
    rows = rows.select(columns)
    _check(table, rows, films)
    placed = rows.join(users, on="user_id", how="inner", maintain_order="left")
    report.reject(table.name, NO_RATINGS, len(rows) - len(placed))
    cold_films = films["film_id"].filter(pl.Series(cold, dtype=pl.Boolean))
    train = pl.col("split") == SPLITS.index("train")
    placed = placed.filter(~(train & pl.col("film_id").is_in(cold_films.implode())))
    placed = placed.sort("hash", "date", nulls_last=False, maintain_order=True).with_columns(user_id="hash")
    counts = {}
    for position, split in enumerate(SPLITS):
        part = placed.filter(pl.col("split") == position).select(*table.columns)
        counts[split] = len(part)
        if len(part):
            _write(folder / table.name, table, split, part.to_arrow().cast(table.schema))
    return counts


def _check(table: SideTable, rows: pl.DataFrame, films: pl.DataFrame) -> None:
    known = rows["film_id"].is_in(films["film_id"].implode())
    if rows["user_id"].null_count() or not known.fill_null(False).all():
        raise ValueError(f"a row of {table.name} has no user, or a film that is not among the films")
    if not rows["rating"].drop_nulls().is_between(1, 10).all():
        raise ValueError(f"a rating of {table.name} is not from 1 to 10")


def _write(folder: Path, table: SideTable, split: str, rows: pa.Table) -> None:
    def batch(first: int, last: int) -> pa.Table:
        return rows[first:last]

    write_shards(folder, split, table.schema, len(rows), batch, table.rows_per_group, GROUPS_PER_FILE)
