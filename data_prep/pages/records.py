"""What a page holds, as typed records.

Everywhere `film_id` is the slug of the film's address, None for a film that the site has deleted; `rating` is a whole
number from 1 to 10 (half stars doubled), None for an unrated film; user names are in lower case, as in addresses.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["diary", "films", "reviews", "members", "film", "list", "watchlist"]


@dataclass(frozen=True)
class FilmPage:
    """A film, from its own page.

    Attributes:
        tmdb_id: TMDB counts films and television apart: an id means nothing without `tmdb_type`.
        imdb_id: with its letters, as in tt0111161.
    """

    film_id: str
    title: str
    year: int | None
    tmdb_id: int | None = None
    tmdb_type: Literal["movie", "tv"] | None = None
    imdb_id: str | None = None


@dataclass(frozen=True)
class DiaryEntry:
    """One viewing, on the day it was logged for."""

    film_id: str | None
    title: str | None
    year: int | None
    date: datetime.date
    rating: int | None
    liked: bool
    rewatch: bool
    reviewed: bool
    viewing_id: str


@dataclass(frozen=True)
class GridFilm:
    """One poster of a films grid or watchlist, with the owner's current rating where the page shows it."""

    film_id: str | None
    title: str | None
    year: int | None
    rating: int | None
    liked: bool


@dataclass(frozen=True)
class ListFilm(GridFilm):
    """One film of a member's list; `text` is the member's note on it."""

    text: str | None


@dataclass(frozen=True)
class Review:
    """One review; `text` is as much of it as the page holds, paragraphs parted by an empty line."""

    film_id: str | None
    title: str | None
    year: int | None
    date: datetime.date | None
    rating: int | None
    liked: bool
    rewatch: bool
    reviewed: bool
    viewing_id: str
    username: str | None
    text: str


@dataclass(frozen=True)
class Member:
    """One row of a list of members."""

    username: str


Entry = FilmPage | DiaryEntry | GridFilm | ListFilm | Review | Member


@dataclass(frozen=True)
class Page:
    """A page of a known kind.

    Attributes:
        entries: all of one record type, in the order of the page; of a film page, the film.
        owner: the member whose page it is; None where the page does not say or is nobody's.
        film: of a film page, the film.
        next_page: path of the next page of the same list, as the link has it.
        page_count: how many pages the list has; None where the page only links to its neighbours.
    """

    kind: Kind
    entries: Sequence[Entry]
    owner: str | None = None
    film: FilmPage | None = None
    next_page: str | None = None
    page_count: int | None = None
