"""Single fields of an entry, read from every place where a generation of the markup has them.

Generations: A 2022, B to mid-2025, C from August 2025, D from April 2026. Nothing here asks which one a page is: pages
mix them.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from bs4 import Tag

from data_prep.pages.errors import MarkupChanged, UnknownPage
from data_prep.years import is_film_year

_MAX_ENTRIES = 3_000  # the longest filmographies have about 1,000, pages of other kinds up to 100
_FILM_PATH = re.compile(r"/film/([^/?#\s]{1,300})")
_TITLE_YEAR = re.compile(r"(.*\S)\s*\(([0-9]{4})\)", re.S)
_RATED = re.compile(r"rated-(?:large-)?([0-9]{1,3})")
_STARS = re.compile(r"★{1,9}½?|½")
_VIEWING = re.compile(r"viewing:([0-9]{1,20})\b")
_WRITTEN_DATE = re.compile(r"([0-9]{1,2})\s+([A-Z][a-z]{2})[a-z]*\s+([0-9]{4})")
_ISO_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T.*)?", re.S)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_SLUGS = ("data-item-slug", "data-film-slug")  # C and D; B, and A, where it is a path
_FILM_LINKS = ("data-item-link", "data-film-link", "data-target-link", "data-poster-url", "data-details-endpoint")
_LOADED = "Poster for "
_NAMES = ("data-item-name", "data-item-full-display-name", "data-film-name", "data-film-full-display-name")


def entries_in(main: Tag, selector: str) -> list[Tag]:
    """The tags that `selector` finds, without those inside of others.

    Raises:
        UnknownPage: they are more than a page can have.
    """
    found: dict[int, Tag] = {}
    for tag in main.select(selector):
        if not any(id(parent) in found for parent in tag.parents):
            found[id(tag)] = tag
    return few(list(found.values()))


def few(entries: list[Tag]) -> list[Tag]:
    """`entries`; raises UnknownPage when they are more than a page can have."""
    if len(entries) > _MAX_ENTRIES:
        raise UnknownPage(f"more than {_MAX_ENTRIES:,} entries, so it is no page of the site")
    return entries


def texts(tag: Tag, *names: str) -> Iterator[str]:
    """The values of attributes `names` of a tag and of what it holds, attribute by attribute; empty ones too."""
    for name in names:
        for holder in (tag, *tag.find_all(True, attrs={name: True})):
            if name in holder.attrs:
                yield " ".join(str(holder[name]).split())


def slug_in(address: str) -> str | None:
    """The film that an address is about, as in /film/SLUG/ and /MEMBER/film/SLUG/2/."""
    match = _FILM_PATH.search(address)
    return match[1] if match else None


def film_id(entry: Tag, what: str) -> str | None:
    """The slug of an entry's film; None where the page leaves the place for it empty, as it does for deleted films.

    Raises:
        MarkupChanged: there is no place for it.
    """
    slugs = list(texts(entry, *_SLUGS))
    for slug in slugs:
        found = slug_in(slug) if "/" in slug else slug
        if found:
            return found
    links = [*texts(entry, *_FILM_LINKS), *(str(link["href"]) for link in entry.select("a[href*='/film/']"))]
    for link in links:
        if slug_in(link):
            return slug_in(link)
    if slugs:
        return None
    raise missing(what, "film", "data-item-slug, data-film-slug or a link to /film/SLUG/")


def title_and_year(entry: Tag) -> tuple[str | None, int | None]:
    """Title and year of an entry's film. A title may itself end in brackets, even in a year."""
    headings = [text_of(link) for link in entry.select("h2 a, h3 a") if slug_in(str(link.get("href")))]
    pictures = [str(picture.get("alt") or "").strip() for picture in entry.select("img.image")]
    names = [*texts(entry, *_NAMES), *map(text_of, entry.select(".frame-title"))]
    # "Title (Year)", or "Title" of a film without a year; a picture that has been loaded has it too.
    full = next(filter(None, [*names, *(alt.removeprefix(_LOADED) for alt in pictures)]), "")
    alone = next(filter(None, [*headings, *(alt for alt in pictures if not alt.startswith(_LOADED))]), "")
    year = _released(entry)
    match = _TITLE_YEAR.fullmatch(full)
    if match and full != alone and a_year(match[2]):
        return alone or match[1], year or a_year(match[2])
    return alone or full or None, year


def _released(entry: Tag) -> int | None:
    places = ".releasedate, td.td-released, td.col-releaseyear, h2 small.metadata, a[href*='/films/year/']"
    years = [text_of(place) for place in entry.select(places)] + list(texts(entry, "data-film-release-year"))
    return next((year for year in map(a_year, years) if year), None)


def a_year(text: str) -> int | None:
    """The year that `text` is; None when it is none, or none that a film can have."""
    if not re.fullmatch(r"[0-9]{4}", text):
        return None
    return int(text) if is_film_year(int(text)) else None


def rating(entry: Tag, what: str) -> int | None:
    """The rating of an entry, 1 to 10: of a class `rated-7`, of stars (drawn or written), or of `data-owner-rating`.

    Raises:
        MarkupChanged: there is a rating that is none.
    """
    for tag in entry.select("[class*='rated-']"):
        for name in tag.get("class") or ():
            if match := _RATED.fullmatch(name):
                return _checked(int(match[1]), match[0], what)
    drawn = [str(svg.get("aria-label") or text_of(svg)) for svg in entry.select("svg.-rating")]
    for stars in drawn + [text for text in entry.stripped_strings if _STARS.fullmatch(text)]:
        if not _STARS.fullmatch(stars):
            raise missing(what, "rating", f"stars in the aria-label of svg.-rating, found {stars[:40]!r}")
        return _checked(2 * stars.count("★") + stars.count("½"), stars, what)
    sliders = [str(tag.get("value")) for tag in entry.select("input.rateit-field")]
    for number in [*texts(entry, "data-owner-rating"), *sliders]:
        if not re.fullmatch(r"[0-9]{1,2}", number):
            raise missing(what, "rating", f"a number from 0 to 10 in data-owner-rating, found {number[:40]!r}")
        return _checked(int(number), number, what)
    return None


def _checked(value: int, shown: str, what: str) -> int | None:
    if not 0 <= value <= 10:
        raise MarkupChanged(f"{what} with the rating {shown[:40]!r}; looked for half to five stars, as 1 to 10")
    return value or None


def liked(entry: Tag) -> bool:
    """Whether a heart says that the owner likes the film; the heart to like a review with is another."""
    hearts = entry.select(".icon-liked, .inline-liked, .liked-micro, .rating.liked, svg.-like[aria-label=Liked]")
    return any(heart.find_parent(class_="like-link-target") is None for heart in hearts)


def viewing_id(entry: Tag, what: str) -> str:
    """The number of the viewing, unique in the site.

    Raises:
        MarkupChanged: there is none.
    """
    for number in texts(entry, "data-viewing-id"):
        if re.fullmatch(r"[0-9]{1,20}", number):
            return number
    marks = ("data-object-id", "data-likeable-identifier", "data-likeable-uid", "data-full-text-url")
    for mark in texts(entry, *marks):
        if match := _VIEWING.search(mark):
            return match[1]
    raise missing(what, "viewing", "data-viewing-id, or viewing:NUMBER in data-object-id or data-likeable-identifier")


def a_date(text: str, what: str) -> datetime.date:
    """The day of 2026-09-08, with or without a time, or of 8 Sep 2026.

    Raises:
        MarkupChanged: it is neither.
    """
    text = text.strip()
    try:
        if match := _ISO_DATE.fullmatch(text):
            return datetime.date(int(match[1]), int(match[2]), int(match[3]))
        if match := _WRITTEN_DATE.search(text):
            return datetime.date(int(match[3]), _MONTHS.index(match[2]) + 1, int(match[1]))
    except ValueError:
        pass
    raise missing(what, "date", f"2026-09-08 or 8 Sep 2026, found {text[:40]!r}")


def text_of(tag: Tag) -> str:
    """All words in a tag, on one line."""
    return " ".join(tag.get_text(" ").split())


def missing(what: str, field: str, places: str) -> MarkupChanged:
    """An entry lacks what every entry of its kind has."""
    return MarkupChanged(f"{what} without its {field}; looked for {places}")
