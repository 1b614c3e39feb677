"""What a page holds, as typed records. Ratings are whole numbers from 1 to 10 (half stars doubled) or None."""

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
        film_id: the slug of its address.
        tmdb_type: "movie" or "tv": what kind of thing `tmdb_id` counts.
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

    film_id: str
    title: str
    year: int | None
    date: datetime.date
    rating: int | None
    liked: bool
    rewatch: bool
    reviewed: bool
    viewing_id: str


@dataclass(frozen=True)
class GridFilm:
    """One poster of a films grid, watchlist or list, with the owner's current rating where it is shown."""

    film_id: str
    title: str | None
    year: int | None
    rating: int | None
    liked: bool


@dataclass(frozen=True)
class Review:
    """One review; `text` is what the page shows of it, paragraphs parted by an empty line."""

    film_id: str
    title: str
    year: int | None
    date: datetime.date | None
    rating: int | None
    liked: bool
    rewatch: bool
    viewing_id: str | None
    username: str | None
    text: str
    reviewed: bool = True


@dataclass(frozen=True)
class Member:
    """One row of a list of members."""

    username: str


Entry = FilmPage | DiaryEntry | GridFilm | Review | Member


@dataclass(frozen=True)
class Page:
    """A page of a known kind.

    Attributes:
        entries: all of one record type, in the order of the page; of a film page, the film.
        owner: the member whose page it is; None where the page does not say, or is nobody's.
        film: of a film page, the film.
        next_page: path of the next page of the same list, as the link has it.
        page_count: number of pages of the list; None where the page does not say.
    """

    kind: Kind
    entries: Sequence[Entry]
    owner: str | None = None
    film: FilmPage | None = None
    next_page: str | None = None
    page_count: int | None = None
