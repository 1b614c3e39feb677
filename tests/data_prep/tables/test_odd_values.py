"""Values of tables that no column of ours can hold: each counts as unknown, or costs its row, and is told."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.report import BuildReport
from data_prep.tables.command import main
from data_prep.tables.read_films import read_films
from data_prep.tables.read_ratings import RatingsFile


def broken(*values: bytes | None) -> pa.Array:
    """Values that are called text, whatever bytes they are."""
    raw = pa.array(values, pa.binary())
    return pa.StringArray.from_buffers(len(raw), raw.buffers()[1], raw.buffers()[2], raw.buffers()[0])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("vote_count", "99999999999999999999"),
        ("vote_count", "-1e19"),
        ("vote_count", "9223372036854775808"),
        ("tmdb_id", "9" * 5000),
        ("tmdb_id", "inf"),
        ("runtime", "inf"),
        ("runtime", "1e300"),
        ("runtime", "nan"),
        ("popularity", "-inf"),
        ("vote_average", "1e400"),
        ("genres", '"' + "[" * 50_000 + '"'),
        ("genres", r'"[""\ud800"", ""Drama""]"'),
    ],
)
def test_values_of_films_that_count_as_unknown(tmp_path: Path, column: str, value: str) -> None:
    (tmp_path / "films.csv").write_text(f"film_id,title,{column}\nheat,Heat,{value}\n")
    report = BuildReport()
    (film,) = read_films(tmp_path / "films.csv", report).to_dicts()
    assert (film["film_id"], film[column]) == ("heat", None)
    assert report.notes == [f"films.csv: 1 values of {column} could not be read and count as unknown"]
    assert report.total == 0


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_largest_numbers_are_kept(tmp_path: Path, suffix: str) -> None:
    largest = 2.0**127 * (2 - 2.0**-23)
    table = pl.DataFrame(
        {"film_id": ["heat"], "title": ["Heat"], "vote_count": [2**63 - 1], "tmdb_id": [2**53 + 1]}
    ).with_columns(runtime=pl.lit(largest), popularity=pl.lit(1.7e308))
    path = tmp_path / f"films.{suffix}"
    table.write_csv(path) if suffix == "csv" else table.write_parquet(path)
    report = BuildReport()
    (film,) = read_films(path, report).to_dicts()
    assert (film["vote_count"], film["tmdb_id"], film["runtime"]) == (2**63 - 1, 2**53 + 1, largest)
    assert math.isfinite(film["popularity"])
    assert report.lines() == []


def test_parquet_values_of_films_that_count_as_unknown(tmp_path: Path) -> None:
    table = {
        "film_id": ["heat", "alien"],
        "title": ["Heat", "Alien"],
        "vote_count": pa.array([2**64 - 1, 7], pa.uint64()),
        "runtime": [math.inf, 117.0],
        "release_date": pa.array([2_932_897, 3_432], pa.int32()).cast(pa.date32()),  # the first day of 10000
    }
    pq.write_table(pa.table(table), tmp_path / "films.parquet")
    report = BuildReport()
    films = read_films(tmp_path / "films.parquet", report)
    for column in ("vote_count", "runtime", "release_date"):
        assert films[column].null_count() == 1, column
        assert films[column][1] is not None, column
        assert f"films.parquet: 1 values of {column} could not be read and count as unknown" in report.notes
    assert report.total == 0


def test_broken_text_of_films_in_parquet(tmp_path: Path) -> None:
    genres = pa.ListArray.from_arrays(pa.array([0, 1, 3, 4]), broken(b"Crime", b"Dr\xffma", b"Horror", None))
    table = {"film_id": ["heat", "alien", "solaris"], "title": broken(b"Heat", b"Alien", b"\xff"), "genres": genres}
    films = pa.table(table)
    pq.write_table(films, tmp_path / "films.parquet")
    for source in (
        tmp_path / "films.parquet",
        films,
        films.set_column(1, "title", films["title"].dictionary_encode()),
    ):
        report = BuildReport()
        assert read_films(source, report)["film_id"].to_list() == ["heat"]
        ((_, kind), rejection), *others = report.rejections.items()
        assert (kind, rejection.offenders) == ("broken UTF-8", [(2, "Dr\ufffdma, Horror"), (3, "\ufffd")])
        assert not others


def test_dates_of_ratings_that_count_as_unknown(tmp_path: Path) -> None:
    dates = pa.array([2_932_896, 2_932_897, -800_000, None], pa.int32()).cast(pa.date32())
    table = pa.table({"user_id": list("abcd"), "film_id": ["heat"] * 4, "rating": [7] * 4, "date": dates})
    pq.write_table(table, tmp_path / "r.parquet")
    report = BuildReport()
    (batch,) = RatingsFile(tmp_path / "r.parquet").batches(["heat"], report)
    assert (batch.records["date"] == 2_932_896).tolist() == [True, False, False, False]
    assert report.lines() == [
        "r.parquet: 2 values of date could not be read and count as unknown",
    ]


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    films, ratings = tmp_path / "films\udcff.csv", tmp_path / "r\udcff.csv"
    films.write_text("film_id,title,runtime\nheat,Heat,long\nheat,Heat,170\n")
    ratings.write_text("user_id,film_id,rating\nann,heat,7\nbo,alien,7\n")
    main(["--ratings", str(ratings), "--films", str(films), "--splits", "train=1", "--out", str(tmp_path / "data")])
    card = (tmp_path / "data" / "README.md").read_text()
    assert "films\ufffd.csv: 1 values of runtime could not be read" in card
    assert "| r\ufffd.csv | unknown film | 1 |" in card
