"""The recorded pages beside the repository, against what was counted in them independently."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_prep.pages import (
    BlockedPage,
    ChallengePage,
    Entry,
    Page,
    PageError,
    PrivatePage,
    UnknownPage,
    parse_page,
)
from data_prep.pages.command import to_json

REFUSED = {
    "blocked_cloudflare_challenge_snippet.html": ChallengePage,
    "blocked_rate_limited_snippet.html": BlockedPage,
    "private_403_snippet.html": PrivatePage,
    "old2022_film_themes.html": UnknownPage,
}
GRIDS = ("films", "watchlist", "list")


@pytest.fixture(scope="module")
def expected(shared: Path) -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = json.loads((shared / "fixtures/html/expected.json").read_text("utf-8"))
    return content


@pytest.fixture(scope="module")
def pages(shared: Path, expected: dict[str, dict[str, Any]]) -> dict[str, Page]:
    folder = shared / "fixtures/html"
    return {name: parse_page((folder / name).read_bytes(), name) for name in expected if name not in REFUSED}


def test_refused_pages_raise_their_own_errors(shared: Path) -> None:
    for name, error in REFUSED.items():
        with pytest.raises(PageError, match=name) as caught:
            parse_page((shared / "fixtures/html" / name).read_bytes(), name)
        assert type(caught.value) is error


def test_counts(expected: dict[str, dict[str, Any]], pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        counts = expected[name]
        if "kind" in counts:
            assert page.kind == counts["kind"] or (counts["kind"] == "grid" and page.kind in GRIDS), name
        if "entries" in counts:
            assert len(page.entries) == counts["entries"], name
        for field in ("rating", "liked", "rewatch", "reviewed"):
            key = "rated" if field == "rating" else field
            if key in counts:
                assert sum(bool(getattr(entry, field)) for entry in page.entries) == counts[key], (name, field)
        link = counts["next"]
        assert page.next_page == (link if link and "/page/" in link else None), name
        if "pages" in counts:
            assert page.page_count == int(counts["pages"]), name


def test_first_and_last(expected: dict[str, dict[str, Any]], pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        counts = expected[name]
        for shown, entries in (
            (counts.get("first", []), page.entries),
            (counts.get("last", []), page.entries[-1:]),
        ):
            for one, entry in zip(shown, entries, strict=False):
                assert as_counted(page, entry) == normal(page, one), name


def as_counted(page: Page, entry: Entry) -> list[Any]:
    row = to_json(page)["entries"][list(page.entries).index(entry)]
    keys = {
        "diary": ["viewing_id", "date", "film_id", "rating", "liked", "rewatch", "reviewed"],
        "reviews": ["viewing_id", "rating", "date"],
        "members": ["username"],
    }
    return [row[key] for key in keys.get(page.kind, ["film_id", "rating", "liked"])]


def normal(page: Page, counted: Any) -> list[Any]:
    """What was counted is as the page has it: slugs as paths, ratings as text or stars, 0 for unrated."""
    if page.kind == "members":
        return [counted]
    if page.kind == "reviews":
        viewing, stars, date = counted
        return [viewing.removeprefix("viewing:"), 2 * stars.count("★") + stars.count("½"), date]
    if page.kind in GRIDS:
        slug, rating, liked = counted
        return [slug.removeprefix("/film/").strip("/"), int(rating or 0) or None, liked]
    return list(counted)


def test_film_pages(expected: dict[str, dict[str, Any]], pages: dict[str, Page]) -> None:
    films = {name: page.film for name, page in pages.items() if page.kind == "film"}
    assert len(films) == 2
    for name, film in films.items():
        assert film is not None
        assert f"/{film.tmdb_type}/{film.tmdb_id}/" in expected[name]["tmdb"][0]
        assert f"/{film.imdb_id}/" in expected[name]["imdb"][0]
        assert film.title
        assert film.year


def test_a_profile_shows_reviews(pages: dict[str, Page]) -> None:
    page = pages["old2022_user_user.html"]
    assert (page.kind, len(page.entries), page.next_page) == ("reviews", 4, None)
    assert {entry.username for entry in page.entries} == {page.owner}
