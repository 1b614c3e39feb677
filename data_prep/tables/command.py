"""`reel data tables --ratings F --films F --out DIR`: tables in Parquet or CSV as a data set.

Three layouts are known by their column names, and may be mixed:

- ours: ratings `user_id, film_id, rating[, date, liked, rewatch, reviewed]`; films `film_id, title, year, ...`;
- the Letterboxd Parquet files: films with `movie_title`, `year_released`;
- the Kaggle collection "Letterboxd movie ratings data": `ratings_export.csv` (`_id, movie_id, rating_val, user_id`)
  and `movie_data.csv`, whose list columns are JSON text.

Rows that cannot be right are left out and reported by kind with the first offenders; `--strict` makes them an error.
The ratings are read and arranged in parts, some of them on the disk beside `--out`: the file may be larger than the
memory.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from data_prep.building.build import check_replaceable, write_dataset
from data_prep.building.card import DatasetCard
from data_prep.building.options import add_build_options
from data_prep.building.splits import DEFAULT_SPLITS, check_splits
from data_prep.errors import CommandParser, UserError
from data_prep.report import BuildReport
from data_prep.tables.read_films import read_films
from data_prep.tables.read_ratings import RatingsFile


def main(arguments: Sequence[str]) -> None:
    """The command `reel data tables`."""
    parser = CommandParser(prog="reel data tables", description="Tables of ratings and films as a data set.")
    parser.add_argument(
        "--ratings", type=Path, required=True, help="Parquet or CSV: user_id, film_id, rating (1 to 10), ..."
    )
    parser.add_argument("--films", type=Path, required=True, help="Parquet or CSV: film_id, title, year, ...")
    add_build_options(parser, splits=DEFAULT_SPLITS, splits_help="train=.9,validation=.05,test=.05 (the default)")
    parser.add_argument("--strict", action="store_true", help="make any row that cannot be right an error")
    options = parser.parse_args(arguments)
    card = build_from_tables(
        options.ratings,
        options.films,
        options.out,
        splits=options.splits,
        cold_films=options.cold_films,
        seed=options.seed,
        strict=options.strict,
    )
    print(f"{options.out}: {card.summary()}", file=sys.stderr)


def build_from_tables(
    ratings_file: Path,
    films_file: Path,
    out: Path,
    *,
    splits: dict[str, float] | None = None,
    cold_films: int = 0,
    seed: int = 0,
    strict: bool = False,
) -> DatasetCard:
    """Read the two tables, report on stderr what was left out, and write the data set. Arguments as in
    `write_dataset`.

    Raises:
        UserError: for files that cannot be read, and with `strict` for any row that cannot be right.
    """
    splits = splits or DEFAULT_SPLITS
    check_splits(splits)
    if cold_films < 0:
        raise UserError(f"--cold-films {cold_films}: must be 0 or more")
    check_replaceable(out)
    report = BuildReport()
    films = read_films(films_file, report)
    try:
        return write_dataset(
            out,
            films,
            RatingsFile(ratings_file),
            source=f"the tables {ratings_file.name} and {films_file.name}",
            splits=splits,
            cold_films=cold_films,
            seed=seed,
            report=report,
            strict=strict,
        )
    finally:
        report.print()
