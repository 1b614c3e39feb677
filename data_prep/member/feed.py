"""A member's Letterboxd feed (RSS): the films of the newest diary entries, with TMDB's ids, out of XML that anybody
may have made.

Nothing here trusts what it reads: no entity is expanded, nothing is fetched, sizes are counted before the parser sees
anything, and whatever is wrong ends in a `UserError`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from lxml import etree

from data_prep.errors import UserError, writable
from data_prep.matching import FilmKey
from data_prep.member.archive import MAX_NAME
from data_prep.member.export_csv import rating_of_stars
from data_prep.member.history import Rejected, Unmatched

MAX_FEED_BYTES = 10_000_000  # feeds of a hundred long lists have about 1 MB
MAX_TAGS = 500_000  # each costs far more memory than its bytes
REMEDY = "open https://letterboxd.com/YOUR-NAME/rss/ in a browser, save it and give the file"

_LETTERBOXD = "{https://letterboxd.com}"
_TMDB = "{https://themoviedb.org}"
_ENTRY_IDS = ("letterboxd-review-", "letterboxd-watch-")  # the others are lists
_FILM_LINK = re.compile(r"https?://[^/]+/[^/]+/film/(?P<slug>[\w-]{1,200})/(?:\d+/)?")
_YEAR = re.compile(r"(?:1[89]|2[01])[0-9]{2}")
_ID = re.compile(r"[0-9]{1,12}")


@dataclass
class Feed:
    """The films of a feed, oldest first, known by Letterboxd's and TMDB's ids and not yet matched to a data set.

    Attributes:
        history: the rated films, each once with its latest rating: `film_id` (Letterboxd's slug; None where the entry
            has no link), `rating` (1..10), `date`, `liked`, `rewatch`, `tmdb_id`, `title`, `year`.
        rows: of each film of the history, the number of its entry in the feed (the newest is 1).
        watched: films of entries without a rating: `film_id`, `tmdb_id`, `title`, `year`.
        unmatched: rated series.
        rejected: entries whose rating is none, or that name no film.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    watched: list[dict[str, Any]] = field(default_factory=list)
    unmatched: list[Unmatched] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """What `match_history` reads. "matched" counts the films of the history: each is known by an id of its own."""
        matched = len(self.history)
        return {
            "history": self.history,
            "watched": self.watched,
            "watchlist": [],
            "counts": {
                "rated": matched + len(self.unmatched),
                "matched": matched,
                "rejected": len(self.rejected),
            },
            "unmatched": self.unmatched,
            "rejected": self.rejected,
        }


def is_xml(data: bytes) -> bool:
    """Whether this is a feed if it is any history at all: no other kind begins like XML."""
    return _trimmed(data).startswith(b"<")


def _trimmed(data: bytes) -> bytes:
    """Without what editors put before the declaration, which XML forbids."""
    return data.removeprefix(b"\xef\xbb\xbf").lstrip()


def parse_feed(name: str, data: bytes) -> Feed:
    """The films of a member's feed.

    Of several entries for one film the latest rating counts and the film is a rewatch. Lists are passed over, and so
    are the words of reviews.

    Args:
        name: of the file or address, for messages.
        data: the XML.

    Raises:
        UserError: this is no feed, not a whole one, no member's, or one that could do harm.
    """
    feed = Feed()
    films: dict[FilmKey | int | str, list[_Entry]] = {}
    row = 0
    for row, item in enumerate(_items(name, data), start=1):
        try:
            entry = _read_entry(row, item)
        except ValueError as error:
            value = _text(item, f"{_LETTERBOXD}memberRating")[:200]
            feed.rejected.append({"file": writable(Path(name).name), "row": row, "value": value, "reason": str(error)})
        else:
            films.setdefault(entry.identity, []).append(entry)
    if not row:
        raise UserError(f"{name}: a feed without any diary entry of Letterboxd; {REMEDY}")
    for entries in films.values():
        entries.sort(key=lambda entry: (entry.rating is not None, entry.age))
    for entries in sorted(films.values(), key=lambda entries: entries[-1].age):
        _add_film(feed, entries)
    return feed


def _items(name: str, data: bytes) -> Iterator[etree._Element]:
    """The diary entries."""
    if len(data) > MAX_FEED_BYTES or data.count(b"<") > MAX_TAGS:
        raise UserError(f"{name}: larger than any member's feed; {REMEDY}")
    start = data[:1000].lower()
    if b"<!doctype html" in start or b"<html" in start:
        raise UserError(f"{name}: a web page and no feed; {REMEDY}")
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(_trimmed(data), parser)
    except etree.XMLSyntaxError as error:
        why = " ".join((error.msg or "").split())[:100]
        raise UserError(f"{name}: broken or incomplete XML ({why}); {REMEDY}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise UserError(f"{name}: XML that defines types or entities of its own, as no feed does; {REMEDY}")
    for item in root.iter("item"):
        if _text(item, "guid").startswith(_ENTRY_IDS) or _text(item, f"{_LETTERBOXD}filmTitle"):
            yield item


def _text(item: etree._Element, tag: str) -> str:
    return " ".join((item.findtext(tag) or "").split())


@dataclass(frozen=True)
class _Entry:
    """One diary entry; `row` is its number in the feed, `age` is greatest for the latest."""

    row: int
    film: FilmKey
    series: str  # TMDB's number when this is no film
    rating: int | None
    date: str | None
    liked: bool
    rewatch: bool
    age: tuple[str, str, int]

    @property
    def identity(self) -> FilmKey | int | str:
        """The same for all entries of one film."""
        return self.film.tmdb_id or self.film.film_id or self.film


def _read_entry(row: int, item: etree._Element) -> _Entry:
    """Raises ValueError (why) for stars that are no rating, and when no film is named."""
    title = _text(item, f"{_LETTERBOXD}filmTitle")[:MAX_NAME]
    year = _text(item, f"{_LETTERBOXD}filmYear")
    heading = _text(item, "title")
    if not year and heading.startswith(f"{title}, "):  # "Title, 2023 - ★★★★"
        year = heading[len(title) + 2 :][:4]
    link = _FILM_LINK.fullmatch(_text(item, "link"))
    film = FilmKey(
        name=title or None,
        year=int(year) if title and _YEAR.fullmatch(year) else None,
        tmdb_id=_id(_text(item, f"{_TMDB}movieId")),
        film_id=link["slug"] if link else None,
    )
    if film == FilmKey():
        raise ValueError("the entry names no film")
    stars = _text(item, f"{_LETTERBOXD}memberRating")
    logged = _time(_text(item, "pubDate"))
    date = _day(_text(item, f"{_LETTERBOXD}watchedDate")) or logged[:10]
    return _Entry(
        row=row,
        film=film,
        series=_text(item, f"{_TMDB}tvId"),
        rating=rating_of_stars(stars) if stars else None,
        date=date or None,
        liked=_text(item, f"{_LETTERBOXD}memberLike").casefold() == "yes",
        rewatch=_text(item, f"{_LETTERBOXD}rewatch").casefold() == "yes",
        age=(date, logged, -row),  # a feed has the newest first
    )


def _add_film(feed: Feed, entries: list[_Entry]) -> None:
    """Put a film where it belongs. The last of its entries is the one that counts."""
    latest = entries[-1]
    film = latest.film
    names = {"film_id": film.film_id, "tmdb_id": film.tmdb_id, "title": film.name, "year": film.year}
    if latest.series:
        if latest.rating is not None:
            why = f"a series, not a film (TMDB tv {latest.series[:12]})"
            name = film.name or film.film_id or ""
            feed.unmatched.append({"row": latest.row, "name": name, "year": film.year, "reason": why})
    elif latest.rating is None:
        feed.watched.append(names)
    else:
        liked = any(entry.liked for entry in entries)
        rewatch = len(entries) > 1 or latest.rewatch
        rated = {"rating": latest.rating, "date": latest.date, "liked": liked, "rewatch": rewatch}
        feed.history.append({"film_id": film.film_id, **rated, **names})
        feed.rows.append(latest.row)


def _id(text: str) -> int | None:
    return int(text) if _ID.fullmatch(text) else None


def _day(text: str) -> str:
    """The ISO date in `text`; empty when it is none."""
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        return ""


def _time(text: str) -> str:
    """The time of a feed (RFC 2822) in ISO's form and UTC; empty when it is none."""
    try:
        return parsedate_to_datetime(text).astimezone(datetime.UTC).isoformat()
    except (ValueError, OverflowError, TypeError):
        return ""
