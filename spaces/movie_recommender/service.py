"""What the page's events do, without Gradio's wiring: sessions in, HTML and films out. No personal data is logged."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import rendering
from filters import RENOWN, Choices
from session import Session
from taste_view import taste_page
from two_people import WAITING, page_for_two

from reel import UserError
from reel.next_film import NextFilm
from reel.ranking import Ranking
from reel.taste import taste
from reel.two_people import films_for_two, likeness

logger = logging.getLogger("reel.space")

FOUND = 10  # films the search box offers
STARTERS = 8  # films offered to someone new beside the one that is asked about
ENOUGH = 5  # ratings after which nobody needs starters
EXACT = 300  # films that a long history ranks by all of its ratings
FORGOTTEN = "This page was quiet for so long that its earlier ratings were forgotten. Please give them again."


@dataclass(frozen=True)
class Page:
    """The recommendations as shown: the films, the line above the table, the table, and the pages' buttons."""

    films: list[Any]
    summary: str
    table: str
    pages: str = ""


class Yours(NamedTuple):
    """What is drawn from a session alone: what the search box knows, the question on the card, the heading and the
    list of the ratings, and the tab "Your taste"."""

    search: dict[str, Any]
    question: str
    heading: str
    ratings: str
    taste: str


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
        # A picture's address comes from a catalogue that anybody may have made; only a plain web address is one.
        pictures = films.select("film_id", "image_url").drop_nulls().iter_rows()
        self.posters = {film_id: url for film_id, url in pictures if url.startswith("https://")}
        self.asking = NextFilm(recommender)
        recommender.matcher.prepare()  # before anybody waits for it

    def find_films(self, text: object) -> list[dict[str, Any]]:
        """At most ten films for what was typed so far; the browser calls this directly, so it trusts nothing."""
        if not isinstance(text, str) or not text.strip():
            return []
        return [dict(film) for film in self.recommender.search(text[:100], limit=FOUND)]

    def yours(self, session: Session) -> Yours:
        """The left column for a session."""
        few = len(session.ratings) < ENOUGH
        asked = self.asking.suggest(list(session.ratings), session.passed, session.seen, top=1 + STARTERS * few)
        count = f' <span class="count">{len(session.ratings):,}</span>' if session.ratings else ""
        rows = [(film_id, *self.films[film_id], rating) for film_id, rating in reversed(session.ratings)]
        return Yours(
            search={"ratings": dict(session.ratings), "starters": [self._film(film_id) for film_id in asked[1:]]},
            question="".join(rendering.question(film_id, *self.films[film_id]) for film_id in asked[:1]),
            heading=f"<h2>Your ratings{count}</h2>",
            ratings=rendering.ratings_list(rows, session.listed),
            taste=taste_page(taste(self.recommender, list(session.ratings))),
        )

    def edit(self, session: Session, request: Any, forgotten: bool = False) -> tuple[Any, ...]:
        """A change by hand: {"action": "rate", "remove", "pass", "clear" or "more", "film_id", "rating"}; returns
        `_yours`. With `forgotten`, the report says that the session before this one is lost."""
        report = rendering.error(FORGOTTEN) if forgotten else None
        request = request if isinstance(request, Mapping) else {}
        action, film_id = request.get("action"), request.get("film_id")
        if action == "clear":
            return self._yours(session.clear(), "")
        if action == "more":
            return self._yours(session.list_more(), report)
        if not isinstance(film_id, str) or film_id not in self.films:
            return self._yours(session, rendering.error("This film is not in the catalogue."))
        if action == "remove":
            return self._yours(session.remove(film_id), report)
        if action == "pass":
            return self._yours(session.pass_over(film_id), report)
        try:
            return self._yours(session.rate(film_id, request.get("rating")), report)
        except ValueError:
            return self._yours(session, rendering.error("A rating is half a star to five stars."))

    def bring_export(self, upload: str | None, session: Session) -> tuple[Any, ...]:
        """Read an upload. Returns None, which empties the file input for the next one, then `_yours`."""
        if upload is None:
            return None, *self._yours(session)
        exported, report = self._reported(upload)
        return None, *self._yours(session if exported is None else session.add_export(exported), report)

    def read_upload(self, upload: str) -> dict[str, Any]:
        """What an upload holds, as `reel data export` writes it.

        Raises:
            UserError: it is no export.
        """
        path = Path(upload)
        try:
            return self.recommender.read_history(path).to_json()
        except UserError as error:
            # The visitor knows the file by its name; where the server keeps it is nobody's business.
            raise UserError(str(error).replace(str(path.parent) + "/", "")) from None
        except Exception as error:
            logger.error("an upload could not be read: %s", type(error).__name__)
            raise UserError("This file could not be read. Is it the export as Letterboxd made it?") from None

    def _reported(self, upload: str) -> tuple[dict[str, Any] | None, str]:
        """What an upload holds, None where it is no export, and what to say of it as HTML."""
        try:
            exported = self.read_upload(upload)
        except UserError as error:
            return None, rendering.error(str(error))
        return exported, rendering.import_report(exported)

    def recommend(self, session: Session, *values: Any, **named: Any) -> Page:
        """The recommendations for a session under the filters of the page, which `Choices` lists."""
        choices = Choices(*values, **named)
        hidden = [*dict(session.ratings), *session.seen] if choices.hide_seen else []
        ranking = self.recommender.rank(
            list(session.ratings),
            choices.wanted(session, self.recommender),
            hidden=hidden,
            caution=choices.caution,
            popularity=choices.renown,
            at_least=choices.size,
            exact=EXACT,
        ).sorted_by(choices.order, self.recommender.catalogue.films)
        page = choices.page_of(len(ranking))
        shown = ranking.taken(slice((page - 1) * choices.size, page * choices.size))
        films = self.explained(list(session.ratings), shown)
        return Page(
            films,
            rendering.summary(len(session.ratings), len(films)),
            rendering.recommendations_table(
                films, self.genres_of(films), self.posters if choices.posters else None, choices.layout
            ),
            rendering.pages(page, choices.size, len(ranking)),
        )

    def look(self, session: Session, request: Any) -> str:
        """What this visitor would give one film: {"film_id"}."""
        film_id = request.get("film_id") if isinstance(request, Mapping) else None
        if not isinstance(film_id, str) or film_id not in self.films:
            return ""
        # A rating of this very film would be no prediction.
        history = [pair for pair in session.ratings if pair[0] != film_id]
        (film,) = self.foresee(history, [film_id])
        return rendering.film_card(film, self.genres.get(film_id) or (), dict(session.ratings).get(film_id))

    def foresee(self, history: Sequence[tuple[str, int]], film_ids: Sequence[str]) -> list[Any]:
        """Predictions for some films, in their order, with what they lean on.

        Raises:
            UserError: for a film id that is not in the catalogue.
        """
        rows = self.recommender.film_rows(film_ids)
        return self.explained(history, Ranking(rows, self.recommender.predict(history, film_ids)))

    def explained(self, history: Sequence[tuple[str, int]], ranking: Ranking) -> list[Any]:
        """The films of a ranking, with what they lean on."""
        film_ids = [self.recommender.catalogue.film_ids[row] for row in ranking.rows]
        return self.recommender.describe(ranking, self.recommender.influential(history, film_ids))

    def bring_for_two(self, upload: str | None, before: Session | None) -> tuple[None, Session | None, str]:
        """One of two people's exports: None, which empties the input; their session; what was read."""
        if upload is None:
            return None, before, ""
        exported, report = self._reported(upload)
        return None, before if exported is None else Session().add_export(exported), report

    def for_two(self, visitor: Session, first: Session | None, second: Session | None) -> str:
        """Films for two; without an export of the first person's, the visitor's own ratings are theirs."""
        one = first or visitor
        if second is None or not one.ratings:
            return WAITING
        histories = list(one.ratings), list(second.ratings)
        films = films_for_two(self.recommender, histories, seen=(one.seen, second.seen), popularity=RENOWN)
        alike = likeness(self.recommender, histories)
        names = {film_id: title for film_id, (title, _) in self.films.items()}
        return page_for_two(alike, films, names, (len(one.ratings), len(second.ratings)))

    def genres_of(self, films: Sequence[Any]) -> dict[str, list[str]]:
        """Genres by film id, where they are known."""
        return {film.film_id: self.genres.get(film.film_id) or [] for film in films}

    def _yours(self, session: Session, report: str | None = None) -> tuple[Any, ...]:
        """The session, what is drawn from it, and the report; None leaves the one on the page."""
        return session, *self.yours(session), gr.skip() if report is None else report

    def _film(self, film_id: str) -> dict[str, Any]:
        title, year = self.films[film_id]
        return {"film_id": film_id, "title": title, "year": year}
