"""What one visitor's tab knows: immutable, so that no two visitors can ever share a list by accident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

LOWEST, HIGHEST = 1, 10  # half stars


@dataclass(frozen=True)
class Session:
    """Ratings (film id, rating 1..10; oldest first), films an export says were watched, its watchlist, films that the
    visitor was asked about and has not seen, and how many ratings to list."""

    ratings: tuple[tuple[str, int], ...] = ()
    seen: tuple[str, ...] = ()
    watchlist: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    listed: int = 40

    def rate(self, film_id: str, rating: int) -> Session:
        """With the rating set. A film rated before keeps its place in the history.

        Raises:
            ValueError: the rating is not a whole number of half stars from 1 to 10.
        """
        if type(rating) is not int or not LOWEST <= rating <= HIGHEST:
            raise ValueError("a rating is 1 to 10 half stars")
        return replace(self, ratings=tuple({**dict(self.ratings), film_id: rating}.items()))

    def remove(self, film_id: str) -> Session:
        """Without that film's rating."""
        return replace(self, ratings=tuple(pair for pair in self.ratings if pair[0] != film_id))

    def pass_over(self, film_id: str) -> Session:
        """With a film that the visitor has not seen, so as not to be asked again."""
        return replace(self, passed=tuple(dict.fromkeys((*self.passed, film_id))))

    def clear(self) -> Session:
        """As on arrival."""
        return Session()

    def list_more(self) -> Session:
        """With a longer list of ratings on the page."""
        return replace(self, listed=self.listed + 200)

    def add_export(self, exported: Mapping[str, Any]) -> Session:
        """With what an account export holds (see `Export.to_json`); its ratings replace earlier ones."""
        ratings = dict(self.ratings)
        for entry in exported["history"]:
            ratings.pop(entry["film_id"], None)  # the export knows the order in which films were rated
            ratings[entry["film_id"]] = int(entry["rating"])
        watched = dict.fromkeys((*self.seen, *exported["watched"]))
        wanted = dict.fromkeys((*self.watchlist, *exported.get("watchlist", ())))
        return replace(self, ratings=tuple(ratings.items()), seen=tuple(watched), watchlist=tuple(wanted))
