"""What `reel data tmdb` writes and prints: films as a table, JSON, CSV or Parquet, and what filling has changed."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
from rich.table import Table

from data_prep.answers import print_json, print_tables
from data_prep.errors import one_line
from data_prep.schema import FILM_COLUMNS, FILMS_SCHEMA
from data_prep.tmdb.fill import FillReport
from data_prep.tmdb.records import Film, films_table

SUFFIXES = (".parquet", ".csv", ".json")
_SHOWN = 20  # lines of a list that may have thousands


def write_films(films: Sequence[Film], path: Path, suffix: str) -> None:
    """Write the films as Parquet, JSON or CSV (lists as JSON text); `reel data tables` reads the first and last.

    Args:
        films: the rows.
        path: the file.
        suffix: one of `SUFFIXES`, whatever the file is called.
    """
    if suffix == ".parquet":
        pq.write_table(films_table(films).to_arrow().cast(FILMS_SCHEMA), path, compression="zstd")
    elif suffix == ".json":
        path.write_text(json.dumps(_rows(films), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(FILM_COLUMNS))
            writer.writeheader()
            for film in _rows(films):
                lists = {name: json.dumps(value) for name, value in film.items() if isinstance(value, list)}
                writer.writerow({**film, **lists})


def print_films(films: Sequence[Film], form: str) -> None:
    """Print the films on standard output; `form` is "table" (a few columns) or "json" (all)."""
    if form == "json":
        print_json(_rows(films))
        return
    table = Table("tmdb_id", "title", "year", "minutes", "genres", "votes", "average")
    for film in films:
        minutes = None if film.runtime is None else int(film.runtime)
        genres = ", ".join(film.genres or ())
        cells = (film.tmdb_id, film.title, film.year, minutes, genres, film.vote_count, film.vote_average)
        table.add_row(*("" if cell is None else one_line(str(cell)) for cell in cells))
    print_tables([table])


def print_report(report: FillReport, folder: Path, form: str) -> None:
    """Print on standard output what filling the data set in `folder` has changed, as "table" or as "json"."""
    if form == "json":
        print_json(report.to_json())
        return
    ways = ", ".join(f"{count:,} by {how.replace('_', ' ')}" for how, count in report.found.items())
    counts = f"{sum(report.found.values()):,} found ({ways}), {len(report.not_found):,} not found"
    print(one_line(f"{folder}: {report.films:,} films, {report.asked:,} incomplete; {counts}"))
    table = Table("field", "filled", "still empty")
    for name, filled in report.filled.items():
        table.add_row(name, f"{filled:,}", f"{report.empty[name]:,}")
    print_tables([table])
    for line in shown(
        [
            f"not found: {film['film_id']}, {film['title']} ({film['year'] or '?'}): {film['reason']}"
            for film in report.not_found
        ]
    ):
        print(line)


def shown(lines: Sequence[str]) -> list[str]:
    """The first lines, safe to print, and how many more there are."""
    more = [f"... and {len(lines) - _SHOWN:,} more"] if len(lines) > _SHOWN else []
    return [*map(one_line, lines[:_SHOWN]), *more]


def _rows(films: Sequence[Film]) -> list[dict[str, Any]]:
    return films_table(films).with_columns(pl.col("release_date").cast(pl.String)).to_dicts()
