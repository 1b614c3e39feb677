"""Small made-up feeds, for the tests of reading them."""

from __future__ import annotations

from html import escape

HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<rss version="2.0" xmlns:letterboxd="https://letterboxd.com" xmlns:tmdb="https://themoviedb.org">'
    "<channel><title>Letterboxd - Somebody</title>"
)
TAIL = "</channel></rss>"
LIST = (
    "<item><title>Trains in films</title><link>https://letterboxd.com/somebody/list/trains/</link>"
    '<guid isPermaLink="false">letterboxd-list-9</guid>'
    "<description><![CDATA[<ol><li>A</li></ol>]]></description></item>"
)


def entry(
    title: str | None = "Heat",
    year: int | str | None = 1995,
    stars: str | None = "4.5",
    watched: str | None = "2024-03-01",
    *,
    slug: str | None = "heat",
    movie: int | str | None = 949,
    series: int | None = None,
    rewatch: str = "No",
    like: str | None = None,
    logged: str = "Sat, 2 Mar 2024 10:00:00 +1300",
    guid: str = "letterboxd-review-1",
    heading: str | None = None,
) -> str:
    """An item of a feed; what is None is left out."""
    parts = {
        "title": heading if heading is not None else f"{title}, {year} - ★★★★½",
        "link": slug and f"https://letterboxd.com/somebody/film/{slug}/",
        "guid": guid,
        "pubDate": logged,
        "letterboxd:watchedDate": watched,
        "letterboxd:rewatch": rewatch,
        "letterboxd:filmTitle": title,
        "letterboxd:filmYear": year,
        "letterboxd:memberRating": stars,
        "letterboxd:memberLike": like,
        "tmdb:movieId": movie,
        "tmdb:tvId": series,
        "description": "<p>secret words of a review</p>",
    }
    inside = "".join(f"<{tag}>{escape(str(value))}</{tag}>" for tag, value in parts.items() if value is not None)
    return f"<item>{inside}</item>"


def feed(*items: str) -> bytes:
    return (HEAD + "".join(items) + TAIL).encode()
