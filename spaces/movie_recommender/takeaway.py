"""What a visitor takes home: CSVs that are safe to open in a spreadsheet and that Letterboxd imports, and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import polars as pl

HALF_STARS = [f"{rating / 2:g}" for rating in range(1, 11)]
HEADER = [
    "Title",
    "Year",
    "Expected stars",
    "Chance of 3.5 stars or more",
    *(f"{stars} stars" for stars in HALF_STARS),
]
# Letterboxd's importer knows a film by its ids where there are any, else by title and year.
LETTERBOXD = ["tmdbID", "imdbID", "Title", "Year"]


def safe_cell(text: str) -> str:
    """Text that a spreadsheet will not run: an apostrophe before whatever it could take for a formula."""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def recommendations_csv(recommendations: Sequence[Any]) -> str:
    """One row a film: title, year, expected stars, P(reward), the ten probabilities, and the films it leans on."""
    rows = []
    for film in recommendations:
        because = "; ".join(f"{reason.title} ({reason.rating / 2:g})" for reason in film.because)
        rows.append(
            [
                safe_cell(film.title),
                "" if film.year is None else film.year,
                f"{film.expected_rating / 2:.2f}",
                f"{film.reward_probability:.3f}",
                *(f"{probability:.3f}" for probability in film.probabilities),
                safe_cell(because),
            ]
        )
    return _csv([*HEADER, "Because you rated"], rows)


def letterboxd_list(recommendations: Sequence[Any], films: pl.DataFrame) -> str:
    """Recommended films for Letterboxd's import into a list or the watchlist."""
    return _csv(LETTERBOXD, _named([film.film_id for film in recommendations], films))


def letterboxd_ratings(ratings: Sequence[tuple[str, int]], films: pl.DataFrame) -> str:
    """A visitor's ratings for Letterboxd's import, in stars."""
    named = _named([film for film, _ in ratings], films)
    return _csv(
        [*LETTERBOXD, "Rating"],
        ([*row, f"{rating / 2:g}"] for row, (_, rating) in zip(named, ratings, strict=True)),
    )


def everything_json(session: Any, recommendations: Sequence[Any]) -> str:
    """Ratings, watched films and watchlist as `reel data export` writes them (so `reel recommend --history` reads this
    file), and the recommendations beside them."""
    content = {
        "history": [{"film_id": film, "rating": rating} for film, rating in session.ratings],
        "watched": list(session.seen),
        "watchlist": list(session.watchlist),
        "recommendations": [asdict(film) for film in recommendations],
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _named(film_ids: Sequence[str], films: pl.DataFrame) -> list[list[Any]]:
    wanted = films.filter(pl.col("film_id").is_in(list(film_ids)))
    columns = ("film_id", "tmdb_id", "imdb_id", "title", "year")
    found = {row[0]: row[1:] for row in wanted.select(columns).iter_rows()}
    return [
        ["" if cell is None else safe_cell(cell) if isinstance(cell, str) else cell for cell in found[film]]
        for film in film_ids
    ]


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(header)
    writer.writerows(rows)
    return table.getvalue()
