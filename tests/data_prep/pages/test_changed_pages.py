"""Markup that nobody knows, and hostile pages: an error that says what was looked for, never a page without any."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.pages import DiaryEntry, FilmPage, MarkupChanged, PageError, UnknownPage, parse_page
from tests.data_prep.pages import markup
from tests.data_prep.pages.test_pages import DIARY, GRID, LIST, REVIEWS
from tests.mutations import mutate

DIARY_PAGE = markup.diary_page("ada", DIARY, year=2020)
FILM_PAGE = markup.film_page(FilmPage("one", "One", 1999, 7, "movie", "tt0000001"))


@pytest.mark.parametrize(
    ("html", "old", "new", "looked_for"),
    [
        (DIARY_PAGE, "diary-table", "viewings", None),  # the rows alone are enough
        (DIARY_PAGE, "<t", "<x-t", "announces 5 entries.*#diary-table"),
        (DIARY_PAGE, "data-viewing-id", "data-log", "diary row 1 without its viewing.*data-viewing-id"),
        (DIARY_PAGE, "/for/2020/", "/on/2020/", "diary row 1 without its day.*/for/YYYY/MM/DD/"),
        (DIARY_PAGE, "/for/2020/02/29/", "/for/2021/02/29/", "diary row 4 without its date.*2021-02-29"),
        (DIARY_PAGE, "col-rating", "col-stars", "diary row 1 without its cell rating.*td.col-rating"),
        (DIARY_PAGE, "rated-7", "rated-70", "rating rated-70|with the rating 'rated-70'"),
        (DIARY_PAGE, "item-|film", "x", "diary row 1 without its film.*data-item-slug"),
        (markup.films_page("ada", GRID), "<li", "<x-li", None),
        (markup.films_page("ada", GRID), "rated-|rating", "score-", None),  # the stars are enough
        (markup.films_page("ada", GRID), "<ul", "<x-ul", "films.*holds rows or posters.*li.griditem"),
        (markup.films_page("ada", GRID), "poster-grid|grid -p70", "x", "films.*does not say that it is empty"),
        (markup.films_page("ada", GRID, pages=2), "item|film|poster", "x", "has a next page"),
        (markup.films_page("ada", GRID, page=2, pages=2), "griditem", "x", None),  # the posters alone are enough
        (markup.films_page("ada", GRID), "item-|film", "x", "film 1 without its film"),
        (markup.watchlist_page("ada", GRID), "item-|film", "x", "film 1 without its film"),
        (markup.watchlist_page("ada", GRID), "<li", "<x-li", None),
        (markup.watchlist_page("ada", GRID), "item|film-|poster-grid", "x", "announces 5 entries"),
        (markup.watchlist_page("ada", []), 'data-num-entries="0"', 'data-num-entries="80"', "announces 80 entries"),
        (markup.list_page("ada", LIST), "js-list-entries poster-list -p125 -grid", "x", "does not say that it is"),
        (markup.reviews_page("ada", REVIEWS), "production-viewing", "x", "holds rows or posters|article.production"),
        (markup.reviews_page("ada", REVIEWS), "body-text -prose js-review-body", "x", "review 1 without its text"),
        (markup.reviews_page("ada", REVIEWS), "viewing:", "log:", "review 1 without its viewing"),
        (markup.reviews_page("ada", REVIEWS), '"★★★★½"', '"4.5"', "review 1 without its rating.*svg.-rating"),
        (markup.reviews_page("ada", REVIEWS), "2026-09-08", "2026-09-80", "review 1 without its date"),
        (markup.members_page(["bob"]), "table-person", "x", None),  # td.col-member is enough
        (markup.members_page(["bob"]), "col-member table-person", "x", "table cells td.table-person"),
        (markup.members_page(["bob"]), "/bob/", "/people/bob/", "member 1 without its name"),
        (FILM_PAGE, "tmdb", "x-tmdb", None),  # the link is enough
        (FILM_PAGE, "data-tmdb|themoviedb|imdb", "x", "the film page without its TMDB id"),
    ],
)  # fmt: skip
def test_changed_markup(html: str, old: str, new: str, looked_for: str | None) -> None:
    head, body, rest = html.partition("<body")  # the address stays
    changed = head + body + re.sub(old, new, rest)
    assert changed != html
    if looked_for is None:
        assert parse_page(changed).entries
    else:
        with pytest.raises(MarkupChanged, match=looked_for):
            parse_page(changed)


def test_entries_in_markup_of_no_known_kind() -> None:
    with pytest.raises(MarkupChanged, match="what kind of page this is"):
        parse_page('<html><body><x-row data-item-slug="one">One</x-row></body></html>')


def test_an_empty_year_that_has_further_pages() -> None:
    html = markup.diary_page("ada", [], year=2023, pages=3)
    with pytest.raises(MarkupChanged, match="has a next page"):
        parse_page(html)


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 40_000 + "x",
        "<b>" * 1_000_000,
        "<p>" * 3_000_000,
        "<p>" + "x" * 10_000_001,
        DIARY_PAGE + "<table><tr>" * 20_000,
        '<p class="' + "a " * 1_000_000 + '">',
        "<p " + " ".join(f"a{number}" for number in range(200_000)) + ">",
    ],
    ids=["deep", "tags", "wide", "long", "tables", "classes", "attributes"],
)
def test_hostile_pages_are_refused_at_once(html: str) -> None:
    start = time.monotonic()
    with pytest.raises(UnknownPage):
        parse_page(html)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("digits", ["9" * 5_000, "-1", "0", "٣", "1e3", ""])
def test_numbers_that_are_none(digits: str) -> None:
    pages = [
        markup.watchlist_page("ada", GRID, pages=2),
        markup.diary_page("ada", DIARY, year=2020, pages=3),
        markup.list_page("ada", LIST, pages=2),
        FILM_PAGE,
    ]
    for page in pages:
        for old in (
            ">2<",
            "/page/2/",
            'data-owner-rating="9"',
            'entries="10"',
            "1999",
            "/movie/7/",
            "rated-7",
            "2020",
        ):
            check(page.replace(old, re.sub("[0-9]+", digits, old)))


OWN_PAGES: dict[str, list[bytes]] = {
    "diary": [markup.diary_page("ada", DIARY, generation=one, year=2020).encode() for one in "ABCD"],
    "films": [markup.films_page("ada", GRID, generation=one, pages=2).encode() for one in "ABCD"],
    "watchlist": [markup.watchlist_page("ada", GRID, generation=one).encode() for one in "ABCD"],
    "list": [markup.list_page("ada", LIST, generation=one, detail=one in "AD").encode() for one in "ABCD"],
    "reviews": [markup.reviews_page("ada", REVIEWS, generation=one, spoilers=one == "C").encode() for one in "ABCD"],
    "members": [markup.members_page(["bob", "eve"], pages=2).encode()],
    "film": [FILM_PAGE.encode(), markup.film_page(FilmPage("two", "Two", None), generation="A").encode()],
    "refusals": [page().encode() for page in (markup.challenge_page, markup.blocked_page, markup.private_page)],
}


@pytest.mark.parametrize("kind", OWN_PAGES)
def test_damaged_pages(kind: str) -> None:
    seeds = OWN_PAGES[kind]
    start = time.monotonic()
    for number in range(200):
        check(mutate(seeds, number))
    assert time.monotonic() - start < 60


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_spliced_text(data: st.DataObject) -> None:
    html = data.draw(st.sampled_from([page for pages in OWN_PAGES.values() for page in pages])).decode()
    place = data.draw(st.integers(0, len(html)))
    check(html[:place] + data.draw(st.text(max_size=50)) + html[place + data.draw(st.integers(0, 200)) :])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    check(data)


def check(html: bytes | str) -> None:
    """Only the parsers' own errors, or a page whose records are what they promise."""
    try:
        page = parse_page(html)
    except PageError:
        return
    for entry in page.entries:
        rating = getattr(entry, "rating", None)
        assert rating is None or 1 <= rating <= 10
        assert not isinstance(entry, DiaryEntry) or entry.viewing_id.isascii()
        assert {field.name for field in fields(entry)} == {field.name for field in fields(page.entries[0])}
    assert page.next_page is None or page.next_page.startswith("/")


def test_recorded_pages_damaged(shared: Path) -> None:
    seeds = [path.read_bytes() for path in sorted((shared / "fixtures/html").glob("*excerpt.html"))]
    for number in range(50):
        check(mutate(seeds, number))


def test_every_reader_is_damaged() -> None:
    make: Callable[[bytes], str] = lambda data: parse_page(data).kind  # noqa: E731
    assert {make(pages[0]) for kind, pages in OWN_PAGES.items() if kind != "refusals"} == set(OWN_PAGES) - {"refusals"}
