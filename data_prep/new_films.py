"""Films that a catalogue does not have yet, from a table or a file: all of its rows are right, or none is taken."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

import polars as pl
import pyarrow as pa

from data_prep.errors import UserError
from data_prep.report import BuildReport
from data_prep.tables.read_films import read_films


def new_films(source: str | Path | pa.Table | pl.DataFrame, known: Container[str]) -> pl.DataFrame:
    """
    New films with the columns of `FILM_COLUMNS`; of those that the table lacks, all values are null.

    Args:
        source: a CSV or Parquet file, or a table, with at least `film_id` and `title`, under our column names or those
            of the Kaggle files.
        known: ids of the catalogue's films.

    Raises:
        UserError: naming the row and the value, when a row has no id, an id that another row or the catalogue has, a
            year that is none or broken text; when the file cannot be read, holds no film, or lacks a column.
    """
    if isinstance(source, pl.DataFrame):
        source = source.to_arrow()
    report = BuildReport()
    films = read_films(source if isinstance(source, pa.Table) else Path(source), report, known=known)
    report.check_strict("Mend the rows or take them out")
    if not len(films):
        raise UserError(f"{'table' if isinstance(source, pa.Table) else source}: holds no film")
    report.print()
    return films
