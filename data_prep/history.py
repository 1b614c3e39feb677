"""One member's history, and the JSON that `reel data export` writes of it and `reel recommend` reads again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from data_prep.errors import UserError
from data_prep.folders import new_file

_SHAPE = '{"history": [{"film_id": "...", "rating": 1 to 10}, ...]} as `reel data export` writes it'
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class RatedFilm(TypedDict):
    """A film of the history: rating 1..10, ISO date of the rating (without ratings.csv: of the viewing) or None."""

    film_id: str
    rating: int
    date: str | None
    liked: bool
    rewatch: bool


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

    def dumps(self) -> str:
        return json.dumps(self.to_json(), ensure_ascii=False, indent=1)

    def write(self, path: Path) -> None:
        """Write the JSON to `path`, whole or not at all. Raises UserError when the place cannot be written."""
        with new_file(path) as building:
            building.write_text(self.dumps() + "\n", encoding="utf-8")


def parse_history(path: Path, data: bytes, film_ids: Iterable[str]) -> Export:
    """The history in a JSON of `reel data export`; of its keys only "history" must be there.

    Films that the catalogue lacks become unmatched, ratings outside 1..10 rejected; of two entries for one film the
    later one counts. What the file itself reports as unmatched and rejected is kept.

    Args:
        path: for messages.
        data: the JSON.
        film_ids: those of the catalogue.

    Raises:
        UserError: broken JSON, or JSON of another shape.
    """
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: broken JSON ({' '.join(str(error).split())[:80]}); expected {_SHAPE}") from error
    if not isinstance(content, dict) or not isinstance(content.get("history"), list):
        raise UserError(f"{path}: another JSON than expected, which is {_SHAPE}")
    known = set(film_ids)
    export = Export(
        watched=[film_id for film_id in _film_ids(path, content, "watched") if film_id in known],
        watchlist=[film_id for film_id in _film_ids(path, content, "watchlist") if film_id in known],
        unmatched=_reported(path, content, "unmatched", Unmatched.__annotations__),
        rejected=_reported(path, content, "rejected", Rejected.__annotations__),
    )
    history: dict[str, RatedFilm] = {}
    unknown: dict[str, Unmatched] = {}
    for row, entry in enumerate(content["history"], start=1):
        film = _entry(path, row, entry)
        film_id, rating = film["film_id"], film["rating"]
        if type(rating) is not int or not 1 <= rating <= 10:
            why = "the rating is not a whole number from 1 to 10"
            export.rejected.append({"file": path.name, "row": row, "value": json.dumps(rating)[:200], "reason": why})
        elif film_id in known:
            history.pop(film_id, None)
            history[film_id] = film
        else:
            unknown[film_id] = {"row": row, "name": film_id, "year": None, "reason": "not in the catalogue"}
    # Two names of one film: more were matched than the history holds. The surplus is not lost on the second reading.
    counts = content.get("counts")
    matched = counts.get("matched") if isinstance(counts, dict) else None
    surplus = matched - len(content["history"]) if type(matched) is int else 0
    export.history = list(history.values())
    export.unmatched.extend(unknown.values())
    rated_and_found = len(history) + max(0, surplus)
    export.counts = {
        "rated": rated_and_found + len(export.unmatched),
        "matched": rated_and_found,
        "rejected": len(export.rejected),
    }
    return export


def _entry(path: Path, row: int, entry: Any) -> RatedFilm:
    if not isinstance(entry, dict) or not isinstance(entry.get("film_id"), str) or "rating" not in entry:
        raise UserError(f"{path}: entry {row} of history is {json.dumps(entry)[:80]}; expected {_SHAPE}")
    date = entry.get("date")
    if date is not None and not (isinstance(date, str) and _DATE.fullmatch(date)):
        raise UserError(
            f"{path}: entry {row} of history has the date {json.dumps(date)[:80]}; write YYYY-MM-DD or null"
        )
    return {
        "film_id": entry["film_id"],
        "rating": entry["rating"],
        "date": date,
        "liked": entry.get("liked") is True,
        "rewatch": entry.get("rewatch") is True,
    }


def _film_ids(path: Path, content: dict[str, Any], key: str) -> list[str]:
    film_ids = content.get(key, [])
    if not isinstance(film_ids, list) or not all(isinstance(film_id, str) for film_id in film_ids):
        raise UserError(f"{path}: {key} is no list of film ids; expected {_SHAPE}")
    return film_ids


def _reported(path: Path, content: dict[str, Any], key: str, fields: dict[str, Any]) -> list[Any]:
    rows = content.get(key, [])
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and all(isinstance(row.get(name, []), str | int | None) for name in fields)
        for row in rows
    ):
        raise UserError(f"{path}: {key} is no list of rows with {', '.join(fields)}; expected {_SHAPE}")
    return [{name: row[name] for name in fields} for row in rows]
