"""The recommendations as CSV, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

HALF_STARS = [f"{rating / 2:g}" for rating in range(1, 11)]
HEADER = [
    "Title",
    "Year",
    "Expected stars",
    "Chance of 3.5 stars or more",
    *(f"{stars} stars" for stars in HALF_STARS),
]


def safe_cell(text: str) -> str:
    """Text that a spreadsheet will not run: an apostrophe before whatever it could take for a formula."""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def recommendations_csv(recommendations: Sequence[Any]) -> str:
    """One row a film: title, year, expected stars, P(reward), the ten probabilities, and the films it leans on."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow([*HEADER, "Because you rated"])
    for film in recommendations:
        because = "; ".join(f"{reason.title} ({reason.rating / 2:g})" for reason in film.because)
        writer.writerow(
            [
                safe_cell(film.title),
                "" if film.year is None else film.year,
                f"{film.expected_rating / 2:.2f}",
                f"{film.reward_probability:.3f}",
                *(f"{probability:.3f}" for probability in film.probabilities),
                safe_cell(because),
            ]
        )
    return table.getvalue()
