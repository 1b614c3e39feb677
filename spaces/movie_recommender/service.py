"""What the page's events do, without Gradio's wiring: sessions in, HTML and films out. No personal data is logged."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import rendering
from session import Session
from uploads import discard, sweep

from reel import UserError

logger = logging.getLogger("reel.space")

COUNTS = [10, 20, 50, 100]
FOUND = 10  # films the search box offers
STARTERS = 8  # well-known films offered to someone new
ENOUGH = 5  # ratings after which nobody needs starters
SORRY = "That did not work, and it is our fault, not yours. Please try again."


@dataclass(frozen=True)
class Page:
    """The recommendations as shown: the films, the line above the table, and the table."""

    films: list[Any]
    summary: str
    table: str


class Service:
    """One model behind the page. It holds nothing about any visitor.

    Args:
        recommender: a `reel.Recommender`.
        folder: the private folder that uploads arrive in.
    """

    def __init__(self, recommender: Any, folder: Path) -> None:
        self.recommender = recommender
        self.folder = folder
        films = recommender.catalogue.films
        self.films = {
            film_id: (title, year) for film_id, title, year in films.select("film_id", "title", "year").iter_rows()
        }
        self.genres = dict(films.select("film_id", "genres").iter_rows())
        self.known = films.sort("rating_count", descending=True)["film_id"].head(STARTERS + ENOUGH).to_list()

    def find_films(self, text: object) -> list[dict[str, Any]]:
        """At most ten films for what was typed so far; the browser calls this directly, so it trusts nothing."""
        if not isinstance(text, str) or not text.strip():
            return []
        return [dict(film) for film in self.recommender.search(text[:100], limit=FOUND)]

    def search_state(self, session: Session) -> dict[str, Any]:
        """What the search box knows: the ratings so far, and films to start with while there are few."""
        ratings = dict(session.ratings)
        starters = []
        if len(ratings) < ENOUGH:
            known = [film_id for film_id in self.known if film_id not in ratings][:STARTERS]
            starters = [self._film(film_id) for film_id in known]
        return {"ratings": ratings, "starters": starters}

    def ratings_heading(self, session: Session) -> str:
        """The heading over the list of ratings."""
        count = f' <span class="count">{len(session.ratings):,}</span>' if session.ratings else ""
        return f"<h2>Your ratings{count}</h2>"

    def ratings_list(self, session: Session) -> str:
        """The list of ratings, newest first."""
        rows = [(film_id, *self.films[film_id], rating) for film_id, rating in reversed(session.ratings)]
        return rendering.ratings_list(rows, session.listed)

    def edit(self, session: Session, request: Any) -> tuple[Any, ...]:
        """A change by hand: {"action": "rate", "remove", "clear" or "more", "film_id", "rating"}; returns `_yours`."""
        request = request if isinstance(request, Mapping) else {}
        action, film_id = request.get("action"), request.get("film_id")
        if action == "clear":
            return self._yours(session.clear(), "")
        if action == "more":
            return self._yours(session.list_more())
        if film_id not in self.films:
            return self._yours(session, rendering.error("This film is not in the catalogue."))
        if action == "remove":
            return self._yours(session.remove(film_id))
        try:
            return self._yours(session.rate(film_id, request.get("rating")))
        except ValueError:
            return self._yours(session, rendering.error("A rating is half a star to five stars."))

    def bring_export(self, upload: str | None, session: Session) -> tuple[Any, ...]:
        """Read an upload and delete it. Returns None, which empties the file input for the next one, then `_yours`."""
        if upload is None:
            return None, *self._yours(session)
        path = Path(upload)
        try:
            exported = self.recommender.read_history(path).to_json()
            report = rendering.import_report(exported)
            session = session.add_export(exported)
        except UserError as error:
            # The visitor knows the file by its name; where the server keeps it is nobody's business.
            report = rendering.error(str(error).replace(str(path.parent) + "/", ""))
        except Exception as error:
            logger.error("an upload could not be read: %s", type(error).__name__)
            report = rendering.error("This file could not be read. Is it the export as Letterboxd made it?")
        finally:
            discard(path, self.folder)
            sweep(self.folder)
        return None, *self._yours(session, report)

    def recommend(
        self,
        session: Session,
        genres: Sequence[str] | None = (),
        since: str | None = None,
        until: str | None = None,
        top: int = COUNTS[1],
        hide_seen: bool = True,
    ) -> Page:
        """The recommendations for a session under the filters of the page."""
        low, high = _year(since), _year(until)
        if low and high and low > high:
            low, high = high, low
        try:
            films = self.recommender.recommend(
                list(session.ratings),
                top=top if top in COUNTS else COUNTS[1],
                genres=[genre for genre in genres or () if genre in self.recommender.genres],
                years=(low, high) if low or high else None,
                include_seen=not hide_seen,
                seen=list(session.seen),
            )
        except Exception as error:
            logger.error("recommending failed: %s", type(error).__name__)
            return Page([], rendering.error(SORRY), "")
        return Page(
            films,
            rendering.summary(len(session.ratings), len(films)),
            rendering.recommendations_table(films, self.genres_of(films)),
        )

    def genres_of(self, films: Sequence[Any]) -> dict[str, list[str]]:
        """Genres by film id, where they are known."""
        return {film.film_id: self.genres.get(film.film_id) or [] for film in films}

    def _yours(self, session: Session, report: str | None = None) -> tuple[Any, ...]:
        """The session, and the left column drawn from it; a report of None leaves the one on the page."""
        return (
            session,
            self.search_state(session),
            self.ratings_heading(session),
            self.ratings_list(session),
            gr.skip() if report is None else report,
        )

    def _film(self, film_id: str) -> dict[str, Any]:
        title, year = self.films[film_id]
        return {"film_id": film_id, "title": title, "year": year}


def _year(typed: str | None) -> int | None:
    """The year in a text field; None while it is empty, half typed or no year."""
    digits = (typed or "").strip()
    return int(digits) if len(digits) == 4 and digits.isascii() and digits.isdigit() else None
