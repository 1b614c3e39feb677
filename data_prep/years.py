"""Which numbers are years of films."""

from __future__ import annotations

import datetime

FIRST_YEAR = 1870  # no film is older
YEARS_AHEAD = 20  # films are announced for later years, but not for all of them


def is_film_year(year: int) -> bool:
    """Whether a film may be of this year."""
    return FIRST_YEAR <= year <= datetime.date.today().year + YEARS_AHEAD
