"""Which page this is: its kind, its owner and its place among the pages of a list."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from bs4 import BeautifulSoup

from data_prep.pages.errors import MarkupChanged, UnknownPage
from data_prep.pages.records import Kind, Page

# Three ways to know the kind, surest first. A member's page is /MEMBER/...; the first pattern that fits counts.
_KIND_OF_PATH: list[tuple[re.Pattern[str], Kind]] = [
    (re.compile(r"/film/[^/]+/"), "film"),
    (re.compile(r"/film/[^/]+/reviews/.*"), "reviews"),
    (re.compile(r"/film/[^/]+/(members|fans|likes)/.*|/members/.*|/[^/]+/(following|followers)/.*"), "members"),
    (re.compile(r"/[^/]+/(films/|tag/[^/]+/)?diary/.*"), "diary"),
    (re.compile(r"/[^/]+/(films/|likes/|tag/[^/]+/)?reviews/.*"), "reviews"),
    (re.compile(r"/[^/]+/watchlist/.*"), "watchlist"),
    (re.compile(r"/[^/]+/list/[^/]+/(?!likes/|comments/).*"), "list"),
    (re.compile(r"/[^/]+/(likes/|tag/[^/]+/)?films/.*|/films/.*"), "films"),
]
_KIND_OF_BODY: dict[str, Kind] = {
    "films-diary": "diary",
    "diary": "diary",
    "films-watched": "films",
    "filmography-page": "films",
    "crew-page": "films",
    "watchlist": "watchlist",
    "list-page": "list",
    "profile": "reviews",
    "popular-people": "members",
    "following": "members",
    "followers": "members",
}
_KIND_OF_PARTS: list[tuple[str, Kind]] = [
    ("#diary-table, tr.diary-entry-row", "diary"),
    (".js-watchlist-content", "watchlist"),
    (".js-list-entries", "list"),
    ("article.production-viewing, .viewing-list, li.film-detail", "reviews"),
    ("table.member-table, td.table-person", "members"),
    ("body[data-tmdb-type=movie], body[data-tmdb-type=tv]", "film"),
    (".poster-grid, ul.poster-list.-grid, ul.film-list", "films"),
]
_KINDS = "diary, films, reviews, members, film, list or watchlist"
_ENTRY_MARKS = "[data-item-slug], [data-film-slug], [data-viewing-id], [data-object-id^='viewing:']"
# First parts of addresses that are nobody's name.
_NOBODY = {"actor", "director", "film", "films", "members", "producer", "reviewers", "studio", "writer"}
_PAGE_NUMBER = re.compile(r"/page/(\d{1,6})/")
_DIARY_YEAR = re.compile(r"/for/(\d{4})/")


@dataclass(frozen=True)
class Location:
    """Where a page stands.

    Attributes:
        path: path of its address, None where the page does not say.
        owner: the member whose page it is, in lower case.
        next_page, page_count: as in `Page`.
    """

    kind: Kind
    path: str | None
    owner: str | None
    next_page: str | None
    page_count: int | None

    @classmethod
    def of(cls, soup: BeautifulSoup) -> Location:
        """Raises UnknownPage or MarkupChanged when the page is of no known kind."""
        path = _own_path(soup)
        kind = _kind(soup, path)
        next_page = _next_page(soup, path)
        return cls(kind, path, _owner(soup, kind, path), next_page, _page_count(soup, next_page))

    def page(self) -> Page:
        """The page, as yet without entries."""
        return Page(self.kind, [], owner=self.owner, next_page=self.next_page, page_count=self.page_count)


def path_of(address: str) -> str | None:
    """The path of a link within the site, relative or (in pages that a browser saved) absolute; None for others."""
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return None
    if parts.netloc and parts.netloc.removeprefix("www.") != "letterboxd.com":
        return None
    return parts.path if parts.path.startswith("/") else None


def _own_path(soup: BeautifulSoup) -> str | None:
    for selector, attribute in (
        ("link[rel=canonical]", "href"),
        ("meta[property='og:url']", "content"),
        ("meta[name='twitter:url']", "content"),
    ):
        tag = soup.select_one(selector)
        path = path_of(str(tag.get(attribute, ""))) if tag else None
        if path:
            return path if path.endswith("/") else f"{path}/"
    return None


def _kind(soup: BeautifulSoup, path: str | None) -> Kind:
    for pattern, kind in _KIND_OF_PATH:
        if path and pattern.fullmatch(path):
            return kind
    for name, kind in _KIND_OF_BODY.items():
        if name in _body_classes(soup):
            return kind
    if path:
        raise UnknownPage(f"the page {path[:200]}, which is none of {_KINDS}")
    for selector, kind in _KIND_OF_PARTS:
        if soup.select_one(selector) is not None:
            return kind
    if soup.select_one(_ENTRY_MARKS) is not None:
        raise MarkupChanged(
            "films or viewings, but neither an address (og:url) nor a class of the body, a table or a list that says "
            f"what kind of page this is; known are {_KINDS}"
        )
    raise UnknownPage(f"none of {_KINDS}")


def _owner(soup: BeautifulSoup, kind: Kind, path: str | None) -> str | None:
    if kind in ("film", "members"):
        return None
    if path:
        first = path.split("/")[1].lower()
        return None if first in _NOBODY or "crew-page" in _body_classes(soup) else first or None
    for selector, attribute in (
        ("body[data-owner]", "data-owner"),
        (".profile-header[data-person], #profile-header[data-person]", "data-person"),
        ("tr.diary-entry-row[data-owner]", "data-owner"),
    ):
        tag = soup.select_one(selector)
        owner = str(tag.get(attribute, "")).strip().lower() if tag else ""
        if owner:
            return owner
    return None


def _body_classes(soup: BeautifulSoup) -> list[str]:
    return list((soup.body.get("class") if soup.body else None) or [])


def _next_page(soup: BeautifulSoup, path: str | None) -> str | None:
    """A diary of one year also has a "next" link to the next year: that is no page of this list."""
    own_year = _DIARY_YEAR.search(path or "")
    for link in soup.select("a.next[href]"):
        target = path_of(str(link["href"]))
        if not target or not _PAGE_NUMBER.search(target):
            continue
        year = _DIARY_YEAR.search(target)
        if not (own_year and year and year[1] != own_year[1]):
            return target
    return None


def _page_count(soup: BeautifulSoup, next_page: str | None) -> int | None:
    numbers = [tag.get_text(strip=True) for tag in soup.select(".paginate-page")]
    counted = [int(number) for number in numbers if re.fullmatch(r"[0-9]{1,6}", number)]
    if counted:
        return max(counted)
    previous = [str(link["href"]) for link in soup.select("a.previous[href], a.prev[href]")]
    pages = next_page or any(_PAGE_NUMBER.search(path_of(href) or "") for href in previous)
    return None if pages else 1
