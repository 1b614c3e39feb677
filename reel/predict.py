"""
Rating distributions for many histories and films at once.

    reel predict --model models/letterboxd --cases cases.parquet --out predictions.parquet

Cases have the columns `case_id`, `history_film_ids`, `history_ratings` and `film_id`; predictions `case_id`,
`expected_rating` and `probabilities` (of the ratings 1..10).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.errors import CommandParser, UserError
from data_prep.folders import keep_sources, new_file

if TYPE_CHECKING:
    import pyarrow as pa


def main(arguments: Sequence[str]) -> None:
    """The command line; see the top of the file."""
    parser = CommandParser(prog="reel predict", description=__doc__)
    parser.add_argument("--model", required=True, help="a model's folder, or the id of one on the Hub")
    parser.add_argument("--cases", required=True, type=Path, help="Parquet file of cases")
    parser.add_argument(
        "--films", type=Path, help="also know these films, which the model has never seen: CSV or Parquet"
    )
    parser.add_argument("--out", required=True, type=Path, help="Parquet file for the predictions")
    args = parser.parse_args(arguments)

    import pyarrow.parquet as pq

    keep_sources(args.out, [args.cases] if args.films is None else [args.cases, args.films])
    with new_file(args.out) as building:
        predictions = _predictions(args.model, args.cases, args.films)
        pq.write_table(predictions, building)
    print(f"{len(predictions):,} predictions in {args.out}")


def _predictions(model: str, file: Path, new_films: Path | None) -> pa.Table:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not file.is_file():
        raise UserError(f"{file}: no such file; --cases wants a Parquet file")
    try:
        cases = pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file}: cannot be read as Parquet ({error})") from error
    if "case_id" not in cases.column_names:
        raise UserError(f"{file}: no column 'case_id'; there are {', '.join(cases.column_names)}")

    from reel.recommender import RATINGS, Recommender

    recommender = Recommender.from_pretrained(model)
    if new_films is not None:
        recommender.add_films(new_films)
    try:
        probabilities = recommender.predict_cases(cases)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    return pa.table(
        {
            "case_id": cases["case_id"],
            "expected_rating": (probabilities @ RATINGS).astype(np.float32),
            "probabilities": pa.FixedSizeListArray.from_arrays(pa.array(probabilities.reshape(-1)), 10),
        }
    )
