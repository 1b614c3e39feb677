"""What one saved page holds, whichever generation of the site's markup it was saved in."""

from __future__ import annotations

import codecs
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

from bs4 import BeautifulSoup, Tag, UnusualUsageWarning

from data_prep.pages.diary import read_diary
from data_prep.pages.errors import PageError, UnknownPage
from data_prep.pages.film import read_film
from data_prep.pages.grid import read_grid, read_list
from data_prep.pages.location import Location
from data_prep.pages.members import read_members
from data_prep.pages.records import Entry, Kind, Page
from data_prep.pages.refusals import check_refused
from data_prep.pages.reviews import read_reviews

MAX_PAGE_BYTES = 10_000_000  # the largest page known has 0.3 MB, 8,000 tags and 30 levels
_MAX_TAGS = 30_000
_MAX_DEPTH = 100
_MAX_ATTRIBUTES = 200

# What to read each kind with: all but film pages, which are one record and no list.
_READERS: dict[Kind, Callable[[Tag, Location], Sequence[Entry]]] = {
    "diary": read_diary,
    "films": read_grid,
    "watchlist": read_grid,
    "list": read_list,
    "reviews": read_reviews,
    "members": read_members,
}


def parse_page(html: bytes | str, name: str = "page") -> Page:
    """What a page holds: of a members list (also following and followers), a diary, a films grid (also liked films
    and filmographies), reviews (also a profile's), a watchlist, a list or a film.

    Args:
        html: the page as it was served, or as a browser saved it.
        name: what to call it in messages, such as its file.

    Raises:
        ChallengePage, BlockedPage, PrivatePage, UnknownPage: it is no page to read.
        MarkupChanged: it announces entries that are not where any known generation of the markup has them.
    """
    try:
        soup = _parse(html)
        check_refused(soup)
        location = Location.of(soup)
        if location.kind == "film":
            film = read_film(soup, location)
            return Page("film", [film], film=film, page_count=1)
        entries = _READERS[location.kind](_main_column(soup), location)
        return replace(location.page(), entries=entries)
    except PageError as error:
        raise type(error)(f"{name}: {error}") from error


def _parse(html: bytes | str) -> BeautifulSoup:
    """The tree of a page, after making sure that it is no larger, wider or deeper than a page can be."""
    if len(html) > MAX_PAGE_BYTES:
        raise UnknownPage(f"larger than {MAX_PAGE_BYTES // 1_000_000} MB, so it is no page of the site")
    text = _decode(html)
    if text.count("<") > _MAX_TAGS:
        raise UnknownPage(f"more than {_MAX_TAGS:,} tags, so it is no page of the site")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnusualUsageWarning)  # whatever is no page is told by the lines below
        soup = BeautifulSoup(text, "lxml")
    if soup.body is None:
        raise UnknownPage("no HTML page")
    depth = {id(soup): 0}
    for tag in soup.find_all(True):
        depth[id(tag)] = level = depth[id(tag.parent)] + 1
        if level > _MAX_DEPTH or len(tag.attrs) > _MAX_ATTRIBUTES:
            raise UnknownPage("tags deeper nested, or with more attributes, than any page of the site has")
    return soup


def _decode(html: bytes | str) -> str:
    if isinstance(html, bytes):
        utf16 = html.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        html = html.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")
    return html.replace("\0", "").encode("utf-8", errors="replace").decode("utf-8")


def _main_column(soup: BeautifulSoup) -> Tag:
    """The content of a page without its sidebars: those hold posters and members of the same classes."""
    main = soup.select_one("#content") or soup.body
    assert main is not None
    for tag in main.select("aside, .sidebar, .wide-sidebar, script, style, template"):
        tag.decompose()
    return main
