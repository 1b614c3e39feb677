"""One member's history, and the JSON that `reel data export` and `reel data rss` write of it and `reel recommend`
reads again."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import polars as pl

from data_prep.errors import UserError, writable
from data_prep.folders import new_file
from data_prep.matching import FilmKey, TitleMatcher
from data_prep.member.archive import MAX_NAME, Budget

_SHAPE = '{"history": [{"film_id": "...", "rating": 1 to 10}, ...]} as `reel data export` writes it'
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class RatedFilm(TypedDict):
    """A film of the history: rating 1..10, ISO date of the rating (without ratings.csv: of the viewing) or None. What
    else a feed says of the film is kept."""

    film_id: str
    rating: int
    date: str | None
    liked: bool
    rewatch: bool
    tmdb_id: NotRequired[int | None]
    title: NotRequired[str | None]
    year: NotRequired[int | None]


class Unmatched(TypedDict):
    """A rated film that was not found: its row in the file (the header is row 1) and why."""

    row: int
    name: str
    year: int | None
    reason: str


class Rejected(TypedDict):
    """A malformed row: its file, its number there (the header is row 1), the bad value and why."""

    file: str
    row: int
    value: str
    reason: str


@dataclass
class Export:
    """One member's history.

    Attributes:
        history: current ratings, oldest first (undated ones before all), each film once.
        watched: film_ids of watched.csv and diary.csv.
        watchlist: film_ids.
        counts: "rated" (distinct name and year with a valid current rating), "matched" (of these), "rejected"
            (malformed rows, not in rated). matched + len(unmatched) = rated. Two names of one film both count as
            matched, and the history holds the film once, with the later rating.
        unmatched: rated films that were not found.
        rejected: malformed rows of any file that was read.
    """

    history: list[RatedFilm] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)
    watchlist: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: {"rated": 0, "matched": 0, "rejected": 0})
    unmatched: list[Unmatched] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def ratings(self) -> list[tuple[str, int]]:
        """(film_id, rating) in the order of the history."""
        return [(film["film_id"], film["rating"]) for film in self.history]

    def to_json(self) -> dict[str, Any]:
        """The format of `reel data export`."""
        return {
            "history": self.history,
            "watched": self.watched,
            "watchlist": self.watchlist,
            "counts": self.counts,
            "unmatched": self.unmatched,
            "rejected": self.rejected,
        }

    def write(self, path: Path) -> None:
        """Write the JSON to `path`, whole or not at all. Raises UserError when the place cannot be written."""
        write_json(self.to_json(), path)


def write_json(content: dict[str, Any], path: Path) -> None:
    """Write a history's JSON to `path`, whole or not at all. Raises UserError when the place cannot be written."""
    with new_file(path) as building:
        building.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def parse_history(path: Path, data: bytes, matcher: TitleMatcher, budget: Budget) -> Export:
    """The history in a JSON of `reel data export` or `reel data rss`; of its keys only "history" must be there.

    Args:
        path: for messages.
        data: the JSON.
        matcher: of the films of the data set (or catalogue) to match to.
        budget: what reading may still cost.

    Raises:
        UserError: broken JSON, JSON of another shape, or the budget is used up.
    """
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: broken JSON ({' '.join(str(error).split())[:80]}); expected {_SHAPE}") from error
    if not isinstance(content, dict) or not isinstance(content.get("history"), list):
        raise UserError(f"{path}: another JSON than expected, which is {_SHAPE}")
    return match_history(path, content, matcher, budget=budget)


def match_history(
    path: Path,
    content: dict[str, Any],
    films: pl.DataFrame | TitleMatcher,
    rows: Sequence[int] | None = None,
    budget: Budget | None = None,
) -> Export:
    """A history as JSON has it, matched to films: by `film_id`, else `tmdb_id`, else `title` and `year`.

    Films that are not found become unmatched, ratings outside 1..10 rejected; of two entries for one film the later
    one counts. What the content itself reports as unmatched and rejected is kept.

    Args:
        path: for messages.
        content: "history" is a list; films of "watched" may be ids or, like those of "history", objects.
        films: the films to match to, or their matcher.
        rows: where the entries of "history" stood in their file; by default their places in the list.
        budget: what is left after reading the content; by default a whole one.

    Raises:
        UserError: content of another shape, or more of it than one person can have rated.
    """
    matcher = TitleMatcher.of(films)
    budget = budget or Budget(path)
    budget.take()
    export = Export(
        watched=_film_ids(path, content, "watched", matcher, budget),
        watchlist=_film_ids(path, content, "watchlist", matcher, budget),
        unmatched=_reported(path, content, "unmatched", Unmatched.__annotations__),
        rejected=_reported(path, content, "rejected", Rejected.__annotations__),
    )
    history: dict[str, RatedFilm] = {}
    matched: set[FilmKey] = set()
    unknown: dict[FilmKey, Unmatched] = {}
    rows = rows or range(1, len(content["history"]) + 1)
    entries = []
    for row, entry in zip(rows, content["history"], strict=True):
        budget.take(rows=1)
        entries.append(_entry(path, row, entry))
    matches = matcher.identify_all(budget.watched(key for key, _ in entries))
    for row, (key, film) in zip(rows, entries, strict=True):
        rating = film["rating"]
        if type(rating) is not int or not 1 <= rating <= 10:
            why = "the rating is not a whole number from 1 to 10"
            value = json.dumps(rating)[:200]
            export.rejected.append({"file": writable(path.name), "row": row, "value": value, "reason": why})
            continue
        match = matches[key]
        if match.film_index is None:
            name = key.name or key.film_id or f"TMDB {key.tmdb_id}"
            reason = match.reason or "not in the catalogue"
            unknown[key] = {"row": row, "name": name, "year": key.year, "reason": reason}
        else:
            matched.add(key)
            film["film_id"] = matcher.film_ids[match.film_index]
            history.pop(film["film_id"], None)
            history[film["film_id"]] = film
    # Two names of one film: more were matched than the history holds. The surplus is not lost on the second reading.
    counts = content.get("counts")
    before = counts.get("matched") if isinstance(counts, dict) else None
    surplus = before - len(entries) if type(before) is int else 0
    export.history = list(history.values())
    export.unmatched.extend(unknown.values())
    rated_and_found = len(matched) + max(0, surplus)
    export.counts = {
        "rated": rated_and_found + len(export.unmatched),
        "matched": rated_and_found,
        "rejected": len(export.rejected),
    }
    return export


def _film_key(film: Any) -> FilmKey | None:
    """What a film of a JSON is known by; None when that is nothing, of other types, or too long."""
    if not isinstance(film, dict):
        return None
    key = FilmKey(film.get("title"), film.get("year"), film.get("tmdb_id"), film.get("film_id"))
    types = (str, int, int, str)
    if any(value is not None and type(value) is not wanted for value, wanted in zip(key, types, strict=True)):
        return None
    named = any(value is not None for value in (key.name, key.tmdb_id, key.film_id))
    return key if named and len(key.name or "") <= MAX_NAME else None


def _entry(path: Path, row: int, entry: Any) -> tuple[FilmKey, RatedFilm]:
    key = _film_key(entry)
    if key is None or "rating" not in entry:
        raise UserError(f"{path}: entry {row} of history is {json.dumps(entry)[:80]}; expected {_SHAPE}")
    date = entry.get("date")
    if date is not None and not (isinstance(date, str) and _DATE.fullmatch(date)):
        raise UserError(
            f"{path}: entry {row} of history has the date {json.dumps(date)[:80]}; write YYYY-MM-DD or null"
        )
    film: RatedFilm = {
        "film_id": key.film_id or "",
        "rating": entry["rating"],
        "date": date,
        "liked": entry.get("liked") is True,
        "rewatch": entry.get("rewatch") is True,
    }
    if key != FilmKey(film_id=key.film_id):
        film["tmdb_id"], film["title"], film["year"] = key.tmdb_id, key.name, key.year
    return key, film


def _film_ids(path: Path, content: dict[str, Any], name: str, matcher: TitleMatcher, budget: Budget) -> list[str]:
    """The films of "watched" or "watchlist" that are found, each once."""
    films = content.get(name, [])
    if not isinstance(films, list):
        films = [None]
    budget.take(rows=len(films))
    keys = [FilmKey(film_id=film) if isinstance(film, str) else _film_key(film) for film in films]
    if None in keys:
        raise UserError(f"{path}: {name} is no list of film ids; expected {_SHAPE}")
    matches = matcher.identify_all(budget.watched(key for key in keys if key is not None))
    indices = dict.fromkeys(match.film_index for match in matches.values())
    return [matcher.film_ids[index] for index in indices if index is not None]


def _reported(path: Path, content: dict[str, Any], key: str, fields: dict[str, Any]) -> list[Any]:
    rows = content.get(key, [])
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and all(isinstance(row.get(name, []), str | int | None) for name in fields)
        for row in rows
    ):
        raise UserError(f"{path}: {key} is no list of rows with {', '.join(fields)}; expected {_SHAPE}")
    return [{name: row[name] for name in fields} for row in rows]
