"""
Time and peak memory of building a data set from a table of ratings that is several times as large as a given one.

    python benchmarks/large_dataset.py --ratings ratings.parquet --films films.parquet [--times 10] [--out FOLDER]

The table is repeated under new user names, one row group a copy, and `reel data tables` builds it in a process of its
own. The folder needs room for the table, the data set and its temporary files: about 8 bytes, 6 bytes and 9 bytes a
rating.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import track

BUILD = "import sys; from data_prep.tables.command import main; main(sys.argv[1:])"


def repeat(ratings: Path, times: int, out: Path) -> int:
    """Write the table `times` over, the users of each copy under names of their own; how many rows there are then."""
    table = pl.read_parquet(ratings, columns=["user_id", "film_id", "rating"])
    writer = None
    for copy in track(range(times), "writing the table", console=Console(stderr=True)):
        batch = table.with_columns((pl.col("user_id").cast(pl.String) + f"-{copy}").cast(pl.Categorical)).to_arrow()
        writer = writer or pq.ParquetWriter(out, batch.schema, compression="zstd")
        writer.write_table(batch)
    assert writer is not None
    writer.close()
    return len(table) * times


def measure(arguments: list[str]) -> tuple[int, float, float]:
    """Exit status, seconds and peak memory (GB) of `reel data tables` with these arguments."""
    started = time.monotonic()
    process = os.posix_spawn(sys.executable, [sys.executable, "-c", BUILD, *arguments], os.environ)
    _, status, usage = os.wait4(process, 0)
    return os.waitstatus_to_exitcode(status), time.monotonic() - started, usage.ru_maxrss / 1e6 * 1.024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=Path, required=True, help="Parquet: user_id, film_id, rating")
    parser.add_argument("--films", type=Path, required=True, help="as for `reel data tables`")
    parser.add_argument("--times", type=int, default=10, help="how often the ratings are repeated (10)")
    parser.add_argument("--out", type=Path, help="where to work (a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        table = Path(folder) / "ratings.parquet"
        rows = repeat(options.ratings, options.times, table)
        data = ["--ratings", str(table), "--films", str(options.films), "--out", str(Path(folder) / "data")]
        status, seconds, memory = measure(data)
    print(f"{rows:,} ratings: {seconds:.0f} s, peak memory {memory:.2f} GB, exit status {status}")
    return status


if __name__ == "__main__":
    sys.exit(main())
