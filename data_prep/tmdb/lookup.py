"""Which film of TMDB is meant: by its id, by its IMDb id, by title and year, and all films between two dates."""

from __future__ import annotations

import datetime
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from data_prep.matching import normalise_title
from data_prep.progress import tracked
from data_prep.tmdb.client import TmdbClient
from data_prep.tmdb.records import IMDB_ID, Film

LONGEST_TITLE = 500  # letters; a request can hold no novel
LAST_PAGE = 500  # TMDB shows no further ones, whatever number of pages it announces


@dataclass(frozen=True)
class Wanted:
    """What is known of a film that is to be found; title and year also guard against an id that means another."""

    tmdb_id: int | None = None
    imdb_id: str | None = None
    title: str | None = None
    year: int | None = None

    def __str__(self) -> str:
        if self.title is not None:
            return f"{self.title} ({self.year or '?'})"
        return f"TMDB id {self.tmdb_id}" if self.imdb_id is None else f"IMDb id {self.imdb_id}"


@dataclass(frozen=True)
class Lookup:
    """The film and which of `WAYS` led to it, or None and the reason in plain words."""

    film: Film | None
    how: str = ""
    reason: str = ""


def find_film(client: TmdbClient, wanted: Wanted) -> Lookup:
    """The film that is meant, with every field: by TMDB id, else by IMDb id, else by title and year.

    An id is not believed when TMDB's film has another title and a year further off than one: Letterboxd's ids of
    series stand among those of films.
    """
    reasons = []
    for how, resolve in WAYS.items():
        found = resolve(client, wanted)
        if isinstance(found, str):
            reasons.append(found)
        elif found is not None:
            film = client.film(found)
            if film is None:
                reasons.append(f"TMDB has no film {found}")
            elif _is_another(film, wanted):
                reasons.append(f"film {found} of TMDB is {film}")
            else:
                return Lookup(film, how)
    return Lookup(None, reason="; ".join(reasons) or "nothing to find it by")


def find_films(client: TmdbClient, wanted: Sequence[Wanted]) -> list[Lookup]:
    """`find_film` for each, with a progress bar on stderr."""
    return [find_film(client, one) for one in tracked(wanted, "asking TMDB")]


def _by_tmdb_id(client: TmdbClient, wanted: Wanted) -> int | str | None:
    return wanted.tmdb_id


def _by_imdb_id(client: TmdbClient, wanted: Wanted) -> int | str | None:
    if wanted.imdb_id is None:
        return None
    if not re.fullmatch(IMDB_ID, wanted.imdb_id):
        return f"{wanted.imdb_id!r} is no IMDb id"
    found = client.find(wanted.imdb_id)
    return found[0].tmdb_id if len(found) == 1 else f"TMDB has no film with the IMDb id {wanted.imdb_id}"


def _by_title(client: TmdbClient, wanted: Wanted) -> int | str | None:
    if wanted.title is None:
        return None
    if wanted.year is None:
        return "no year to search with"
    title = normalise_title(wanted.title)
    if not title or len(wanted.title) > LONGEST_TITLE:
        return "no title to search with"
    for year in (wanted.year, None):  # with the year first: a common title fills its 20 hits with other films
        hits = {hit.tmdb_id: hit.year for hit in client.search(wanted.title, year) if title in _titles(hit)}
        same_year = [number for number, known in hits.items() if known == wanted.year]
        nearest = same_year or [number for number, known in hits.items() if known and abs(known - wanted.year) == 1]
        if len(nearest) == 1:
            return nearest[0]
        if nearest:
            return f"ambiguous: films {', '.join(map(str, nearest))} of TMDB"
    return "TMDB's search finds no film of that title and year"


# How a film is found: what gives its TMDB id, a reason why there is none, or None where nothing is known to ask by.
WAYS: dict[str, Callable[[TmdbClient, Wanted], int | str | None]] = {
    "tmdb_id": _by_tmdb_id,
    "imdb_id": _by_imdb_id,
    "title_and_year": _by_title,
}


def _titles(film: Film) -> set[str]:
    return {normalise_title(title) for title in (film.title, film.original_title) if title}


def _is_another(film: Film, wanted: Wanted) -> bool:
    if wanted.title is None or wanted.year is None or film.year is None:
        return False
    return abs(film.year - wanted.year) > 1 and normalise_title(wanted.title) not in _titles(film)


def discover(client: TmdbClient, first: datetime.date, last: datetime.date) -> Iterator[Film]:
    """All films first released from `first` to `last`, with few of their fields; some may come twice.

    A range with over 500 pages is split in two. A single day with more is cut there, and stderr says so.
    """
    page = client.discover(first, last, 1)
    if page.total_pages > LAST_PAGE and first < last:
        middle = first + (last - first) // 2
        yield from discover(client, first, middle)
        yield from discover(client, middle + datetime.timedelta(days=1), last)
        return
    if page.total_pages > LAST_PAGE:
        print(
            f"{first}: {page.total_pages:,} pages of films on one day, of which TMDB shows {LAST_PAGE}",
            file=sys.stderr,
        )
    yield from page.films
    for number in range(2, min(page.total_pages, LAST_PAGE) + 1):
        yield from client.discover(first, last, number).films
