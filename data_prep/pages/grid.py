"""Posters side by side: films grids, liked films, filmographies, watchlists and lists."""

from __future__ import annotations

from bs4 import Tag

from data_prep.pages import fields
from data_prep.pages.announced import check_empty
from data_prep.pages.location import Location
from data_prep.pages.records import GridFilm, ListFilm
from data_prep.pages.reviews import review_text

# What holds the posters that a page is about, surest first: other lists of posters may stand beside it.
_CONTAINERS = (
    ".js-list-entries",
    ".list-detailed-entries-list",
    ".poster-grid > ul",
    "ul.film-list, ul.film-details-list",
    "ul.poster-list.-grid",
    "ul.grid",
)
_ITEM_CLASSES = {"griditem", "posteritem", "poster-container", "listitem", "film-detail", "film-poster"}
_POSTER = "[data-item-slug], [data-film-slug], .film-poster"
_LOOKED_FOR = "li.griditem, li.posteritem or li.poster-container in .poster-grid, ul.poster-list or .js-list-entries"


def read_grid(main: Tag, location: Location) -> list[GridFilm]:
    """The films of a grid or watchlist, in its order; none when it says that it has none."""
    return [GridFilm(*_film(item, number)) for number, item in enumerate(_items(main, location), start=1)]


def read_list(main: Tag, location: Location) -> list[ListFilm]:
    """The films of a member's list, in its order, with the member's notes where the page shows them."""
    return [
        ListFilm(*_film(item, number), text=review_text(item) or None)
        for number, item in enumerate(_items(main, location), start=1)
    ]


def _film(item: Tag, number: int) -> tuple[str | None, str | None, int | None, int | None, bool]:
    what = f"film {number}"
    title, year = fields.title_and_year(item)
    return fields.film_id(item, what), title, year, fields.rating(item, what), fields.liked(item)


def _items(main: Tag, location: Location) -> list[Tag]:
    for selector in _CONTAINERS:
        items = max((_items_in(container) for container in main.select(selector)), key=len, default=[])
        if items:
            return fields.few(items)
    check_empty(main, location, _LOOKED_FOR)
    return []


def _items_in(container: Tag) -> list[Tag]:
    return [
        child
        for child in container.find_all(True, recursive=False)
        if _ITEM_CLASSES & set(child.get("class") or ()) or child.select_one(_POSTER) is not None
    ]
