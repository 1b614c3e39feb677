"""
Rating distributions for many histories and films at once.

    reel predict --model models/letterboxd --cases cases.parquet --out predictions.parquet

Cases have the columns `case_id`, `history_film_ids`, `history_ratings` and `film_id`; predictions `case_id`,
`expected_rating` and `probabilities` (of the ratings 1..10).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from data_prep.errors import CommandParser, UserError


def main(arguments: Sequence[str]) -> None:
    """The command line; see the top of the file."""
    parser = CommandParser(prog="reel predict", description=__doc__)
    parser.add_argument("--model", required=True, help="a model's folder, or the id of one on the Hub")
    parser.add_argument("--cases", required=True, type=Path, help="Parquet file of cases")
    parser.add_argument("--out", required=True, type=Path, help="Parquet file for the predictions")
    args = parser.parse_args(arguments)

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not args.cases.is_file():
        raise UserError(f"{args.cases}: no such file; --cases wants a Parquet file")
    if not args.out.parent.is_dir():
        raise UserError(f"{args.out}: the folder {args.out.parent} does not exist; make it first")
    try:
        cases = pq.read_table(args.cases)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{args.cases}: cannot be read as Parquet ({error})") from error
    if "case_id" not in cases.column_names:
        raise UserError(f"{args.cases}: no column 'case_id'; there are {', '.join(cases.column_names)}")

    from reel.recommender import RATINGS, Recommender

    recommender = Recommender.from_pretrained(args.model)
    try:
        probabilities = recommender.predict_cases(cases)
    except UserError as error:
        raise UserError(f"{args.cases}: {error}") from error
    predictions = pa.table(
        {
            "case_id": cases["case_id"],
            "expected_rating": (probabilities @ RATINGS).astype(np.float32),
            "probabilities": pa.FixedSizeListArray.from_arrays(pa.array(probabilities.reshape(-1)), 10),
        }
    )
    partial = args.out.with_name(f".{args.out.name}.partial")
    try:
        pq.write_table(predictions, partial)
        os.replace(partial, args.out)
    except OSError as error:
        raise UserError(f"{args.out}: cannot be written ({error.strerror or error})") from error
    finally:
        partial.unlink(missing_ok=True)
    print(f"{len(predictions):,} predictions in {args.out}")
