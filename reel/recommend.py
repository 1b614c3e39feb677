"""
What a person would rate highest, from a Letterboxd account export.

    reel recommend --model models/letterboxd --history letterboxd-you-2026-11-01.zip --genre horror --years 1970-1989

The history is an account export (zip, unpacked folder, ratings.csv or diary.csv), a member's RSS feed, saved, or the
JSON of `reel data export` or `reel data rss`.
"""

from __future__ import annotations

import csv
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.answers import print_json, print_tables
from data_prep.errors import CommandParser, UserError, one_line

if TYPE_CHECKING:
    from data_prep.member.history import Export
    from reel.recommender import Recommendation


def year_range(text: str) -> tuple[int | None, int | None]:
    """`1970-1989`, `1970-`, `-1989` or `1984` as first and last year, either `None` when open."""
    match = re.fullmatch(r"(\d{4})?(-)?(\d{4})?", text.strip())
    if not match or not (match[1] or match[3]) or (match[1] and match[3] and not match[2]):
        raise ArgumentTypeError(f"{text!r}: expected a year or a range like 1970-1989, 1970- or -1989")
    first, last = match[1], match[3] if match[2] else match[1]
    years = (int(first) if first else None, int(last) if last else None)
    if years[0] is not None and years[1] is not None and years[0] > years[1]:
        raise ArgumentTypeError(f"{text!r}: the first year is after the last")
    return years


def main(arguments: Sequence[str]) -> None:
    """The command line; see the top of the file."""
    parser = CommandParser(prog="reel recommend", description=__doc__)
    parser.add_argument("--model", required=True, help="a model's folder, or the id of one on the Hub")
    parser.add_argument(
        "--history", required=True, type=Path, help="an account export, a saved RSS feed, or the JSON made of one"
    )
    parser.add_argument("--top", type=int, default=20, help="how many films (20)")
    parser.add_argument("--genre", action="append", default=[], help="only this genre; may be given several times")
    parser.add_argument("--years", type=year_range, help="only these years: 1970-1989, 1970-, -1989 or 1984")
    parser.add_argument(
        "--by",
        choices=["rating", "reward"],
        default="rating",
        help="what counts: the expected rating, or the chance of a 7 or more (rating)",
    )
    parser.add_argument(
        "--caution",
        type=float,
        default=0.0,
        help="above 0 rather sure films, below 0 adventurous ones: standard deviations off the expected rating (0)",
    )
    parser.add_argument(
        "--popularity",
        type=float,
        default=0.0,
        help="-1..1: below 0 rather little-seen films, above 0 well-known ones; rating points added per standard "
        "deviation of the log of a film's number of ratings (0)",
    )
    parser.add_argument("--diversity", type=float, default=0.0, help="0..1: how much the films are to differ (0)")
    parser.add_argument(
        "--films", type=Path, help="also these films, which the model has never seen: CSV or Parquet, as for training"
    )
    parser.add_argument("--only-new", action="store_true", help="only the films of --films")
    parser.add_argument("--include-seen", action="store_true", help="also films that were rated or watched")
    parser.add_argument(
        "--format", choices=["table", "json", "csv"], default="table", help="of the answer on stdout (table)"
    )
    args = parser.parse_args(arguments)
    if args.top < 1:
        raise UserError(f"--top {args.top}: at least 1")
    if not args.history.exists():
        raise UserError(f"{args.history}: no such file or folder; --history wants an account export")
    if args.only_new and args.films is None:
        raise UserError("--only-new: say which films are new with --films")

    from data_prep.member.export import report
    from reel.recommender import Recommender

    recommender = Recommender.from_pretrained(args.model)
    added = [] if args.films is None else recommender.add_films(args.films)
    export = recommender.read_history(args.history)
    films = recommender.recommend(
        export.ratings,
        top=args.top,
        genres=args.genre,
        years=args.years,
        only=added if args.only_new else None,
        include_seen=args.include_seen,
        seen=export.watched,
        by=args.by,
        caution=args.caution,
        popularity=args.popularity,
        diversity=args.diversity,
    )
    report(export, str(args.history))
    if not films:
        print("no film is left: widen the filters", file=sys.stderr)
    if args.format == "json":
        print_json(_as_json(films, export))
    elif args.format == "csv":
        _print_csv(films)
    elif films:
        _print_table(films)


def _as_json(films: Sequence[Recommendation], export: Export) -> dict[str, Any]:
    return {
        "recommendations": [asdict(film) for film in films],
        "history": {
            "rated": export.counts["rated"],
            "matched": export.counts["matched"],
            "unmatched": export.unmatched,
            "rejected": export.rejected,
        },
    }


def _print_csv(films: Sequence[Recommendation]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(["film_id", "title", "year", "expected_rating", "reward_probability", "because"])
    for film in films:
        because = "; ".join(f"{reason.title} ({reason.rating}/10)" for reason in film.because)
        numbers = (f"{film.expected_rating:.3f}", f"{film.reward_probability:.3f}")
        writer.writerow([film.film_id, film.title, film.year or "", *numbers, because])


def _print_table(films: Sequence[Recommendation]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading, side in (
        ("", "right"),
        ("film", "left"),
        ("stars", "right"),
        ("1..10", "left"),
        ("because you rated", "left"),
    ):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    for place, film in enumerate(films, 1):
        highest = max(film.probabilities)
        bars = "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * share / highest))] for share in film.probabilities)
        because = ", ".join(f"{reason.title} {reason.rating / 2:g}" for reason in film.because)
        title = f"{film.title} ({film.year})" if film.year else film.title
        table.add_row(str(place), one_line(title), f"{film.expected_rating / 2:.2f}", bars, one_line(because))
    print_tables([table])
