"""What the page's filter controls can say, and what they ask of `reel`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from session import Session

from reel.filters import FilmFilter
from reel.ranking import ORDERS

COUNTS = [10, 20, 50, 100]  # films on a page
LENGTHS = {"Any length": None, "Up to 90 minutes": (1, 90), "90 to 120": (90, 120), "120 and more": (120, None)}
# Slices of the catalogue, from the most rated film to the least.
POPULARITY = {"Any": (0.0, 1.0), "Well known": (0.0, 0.1), "Lesser known": (0.1, 0.4), "Hardly known": (0.4, 1.0)}
# Standard deviations of a prediction that count against a film, or for it.
MOODS = {"Cautious": 0.75, "Balanced": 0.0, "Adventurous": -0.75}
# Who rated a little-known film chose it, and mostly loves it: films that hardly anybody meets would be on top of
# every list. So "best" lets a film gain this, of ten points, with every standard deviation by which it is better
# known; what that costs and brings is measured in docs/results.md.
RENOWN = 0.3
EXPECTED = "Expected rating"  # the order by that and nothing else
SORTS = {"Best": "best", EXPECTED: "best"} | {order.capitalize(): order for order in ORDERS[1:]}
LAYOUTS = ["Table", "Grid"]
# The languages that most films of such catalogues are in; others are shown by their code.
LANGUAGES = {
    "ar": "Arabic",
    "cn": "Cantonese",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "sv": "Swedish",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "zh": "Chinese",
}


@dataclass(frozen=True)
class Choices:
    """The controls' values, in the order in which the page sends them. Whatever is no choice of theirs is ignored."""

    genres: Sequence[str] | None = field(default_factory=tuple)
    since: str | None = None
    until: str | None = None
    top: int = COUNTS[1]
    hide_seen: bool = True
    only_watchlist: bool = False
    languages: Sequence[str] | None = field(default_factory=tuple)
    length: str = "Any length"
    popularity: str = "Any"
    mood: str = "Balanced"
    sort: str = "Best"
    layout: str = "Table"
    posters: bool = False
    page: int = 1

    @property
    def size(self) -> int:
        """Films on a page."""
        return self.top if self.top in COUNTS else COUNTS[1]

    @property
    def caution(self) -> float:
        """See `reel.ranking.worth`."""
        return 0.0 if self.sort == EXPECTED else MOODS.get(self.mood, 0.0)

    @property
    def order(self) -> str:
        """One of `reel.ranking.ORDERS`."""
        return SORTS.get(self.sort, "best")

    @property
    def renown(self) -> float:
        """The `popularity` of `reel.Recommender.rank`."""
        return 0.0 if self.sort == EXPECTED else RENOWN

    def page_of(self, films: int) -> int:
        """The page to show of so many films: the last one where there are fewer."""
        last = max(1, -(-films // self.size))
        return min(last, max(1, self.page)) if isinstance(self.page, int) else 1

    def wanted(self, session: Session, recommender: Any) -> FilmFilter:
        """The films that fit."""
        low, high = _year(self.since), _year(self.until)
        if low and high and low > high:
            low, high = high, low
        return FilmFilter(
            genres=[genre for genre in self.genres or () if genre in recommender.genres],
            years=(low, high) if low or high else None,
            languages=[language for language in self.languages or () if language in recommender.languages],
            minutes=LENGTHS.get(self.length),
            popularity=POPULARITY.get(self.popularity, POPULARITY["Any"]),
            only=session.watchlist if self.only_watchlist else None,
        )


def _year(typed: str | None) -> int | None:
    """The year in a text field; None while it is empty, half typed or no year."""
    digits = (typed or "").strip() if isinstance(typed, str) else ""
    return int(digits) if len(digits) == 4 and digits.isascii() and digits.isdigit() else None
