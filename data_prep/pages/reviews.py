"""Reviews: a member's, those on a member's profile, or a film's."""

from __future__ import annotations

import datetime
import re

from bs4 import Tag

from data_prep.pages import fields
from data_prep.pages.announced import check_empty
from data_prep.pages.location import Location, path_of
from data_prep.pages.records import Review

_REVIEWS = "article.production-viewing, li.film-detail"  # C and D; A and B
_BODY = ".js-review-body, .body-text"
_WARNING = ".contains-spoilers, .js-reveal, .reveal"  # in front of a text that is there, hidden
_FULL_TEXT = ".hidden-spoilers, .expanded-text"  # beside .collapsed-text, which is its beginning
_PERMALINK = re.compile(r"/([^/]+)/film/[^/]+/(?:[0-9]+/)?")


def read_reviews(main: Tag, location: Location) -> list[Review]:
    """The reviews of a page, in its order."""
    articles = fields.entries_in(main, _REVIEWS)
    reviews = [_review(article, location, number) for number, article in enumerate(articles, start=1)]
    if not reviews and not _profile_without_reviews(main, location):
        check_empty(main, location, _REVIEWS.replace(",", " or"))
    return reviews


def _profile_without_reviews(main: Tag, location: Location) -> bool:
    """A profile shows its latest and its popular reviews under headings, and nothing where there are none."""
    profile = location.path is not None and location.path.count("/") == 2  # /MEMBER/
    return profile and not any("reviews" in fields.text_of(tag).lower() for tag in main.select("h2, h3"))


def _review(article: Tag, location: Location, number: int) -> Review:
    what = f"review {number}"
    body = article.select_one(_BODY)
    if body is None:
        raise fields.missing(what, "text", f"{_BODY.replace(',', ' or')}")
    text = review_text(article)
    viewing_id = fields.viewing_id(article, what)
    body.decompose()  # the words of the review must not pass for its fields
    title, year = fields.title_and_year(article)
    return Review(
        film_id=fields.film_id(article, what),
        title=title,
        year=year,
        date=_date(article, what),
        rating=fields.rating(article, what),
        liked=fields.liked(article),
        rewatch=_is_rewatch(article),
        reviewed=True,
        viewing_id=viewing_id,
        username=_author(article) or location.owner,
        text=text,
    )


def review_text(entry: Tag) -> str:
    """The paragraphs of the text in an entry, spoilers too; "" without one."""
    body = entry.select_one(_BODY)
    if body is None:
        return ""
    for warning in body.select(_WARNING):
        warning.decompose()
    body = next((part for part in body.select(_FULL_TEXT) if fields.text_of(part)), body)
    for line_break in body.select("br"):
        line_break.replace_with("\v")
    blocks = [block for block in body.select("p, blockquote, li") if block.find(["p", "blockquote", "li"]) is None]
    paragraphs = ["\n".join(map(_squeeze, block.get_text().split("\v"))).strip() for block in blocks or [body]]
    return "\n\n".join(filter(None, paragraphs))


def _squeeze(line: str) -> str:
    return " ".join(line.split())


def _date(article: Tag, what: str) -> datetime.date | None:
    time = article.select_one("time[datetime]")
    if time is not None:
        return fields.a_date(str(time["datetime"]), what)
    written = article.select_one("._nobr") or article.select_one(".date")
    return None if written is None else fields.a_date(fields.text_of(written), what)


def _is_rewatch(article: Tag) -> bool:
    if article.select_one(".icon-rewatch") is not None:
        return True
    contexts = [fields.text_of(tag).lower() for tag in article.select(".context, .attribution-detail")]
    return any(context.startswith("rewatched") for context in contexts)


def _author(article: Tag) -> str | None:
    for name in fields.texts(article, "data-owner", "data-person"):
        if name:
            return name.lower()
    for link in article.select("a[href]"):
        match = _PERMALINK.fullmatch(path_of(str(link["href"])) or "")
        if match:
            return match[1].lower()
    return None
