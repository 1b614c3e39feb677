"""A film's own page."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from bs4 import BeautifulSoup, Tag

from data_prep.pages import fields
from data_prep.pages.location import Location
from data_prep.pages.records import FilmPage

_TMDB = re.compile(r"themoviedb\.org/(movie|tv)/([0-9]{1,9})(?![0-9])")
_IMDB = re.compile(r"imdb\.com/title/(tt[0-9]{1,10})(?![0-9])")


def read_film(soup: BeautifulSoup, location: Location) -> FilmPage:
    """The film of a film page.

    Its links say whether TMDB counts it as film or television: the body of a miniseries' page says "movie", with an
    empty id.
    """
    data = _json_ld(soup)
    film_id = fields.slug_in(location.path or "") or fields.slug_in(str(data.get("url", "")))
    if film_id is None:
        raise fields.missing("the film page", "address", "/film/SLUG/ in og:url, in a canonical link or in JSON-LD")
    title, year = _title_and_year(soup, data)
    if not title:
        raise fields.missing("the film page", "title", "h1.primaryname, h1.headline-1, og:title or JSON-LD")
    links = [str(link["href"]) for link in soup.select("a[href*='themoviedb.org/'], a[href*='imdb.com/']")]
    imdb = next((match[1] for match in map(_IMDB.search, links) if match), None)
    tmdb_type, tmdb_id = _tmdb(links, soup.body)
    return FilmPage(film_id, title, year, tmdb_id, tmdb_type, imdb)


def _tmdb(links: list[str], body: Tag | None) -> tuple[Literal["movie", "tv"] | None, int | None]:
    types: dict[str, Literal["movie", "tv"]] = {"movie": "movie", "tv": "tv"}
    for match in filter(None, map(_TMDB.search, links)):
        return types[match[1]], int(match[2])
    if body is None or ("data-tmdb-id" not in body.attrs and not links):
        raise fields.missing("the film page", "TMDB id", "a link to themoviedb.org, or data-tmdb-id")
    number, kind = str(body.get("data-tmdb-id")), types.get(str(body.get("data-tmdb-type")))
    return (kind, int(number)) if kind and re.fullmatch(r"[0-9]{1,9}", number) else (None, None)


def _title_and_year(soup: BeautifulSoup, data: dict[str, Any]) -> tuple[str, int | None]:
    named = soup.select_one("meta[property='og:title']")
    full = " ".join(str(named.get("content", "")).split()) if named else ""
    heading = soup.select_one("h1.primaryname .name, h1.primaryname, h1.headline-1, h1.filmtitle")
    title = fields.text_of(heading) if heading else ""
    released = soup.select(".releasedate a, .releaseyear a, #featured-film-header a[href*='/films/year/']")
    years = [fields.text_of(link) for link in released] + [_first_year(data)]
    match = re.fullmatch(r"(.*\S)\s*\(([0-9]{4})\)", full, re.S)
    if match and full != title:
        years.append(match[2])
        full = match[1]
    return title or full or str(data.get("name") or ""), next(filter(None, map(fields.a_year, years)), None)


def _first_year(data: dict[str, Any]) -> str:
    events = data.get("releasedEvent")
    event = events[0] if isinstance(events, list) and events else None
    return str(event.get("startDate", ""))[:4] if isinstance(event, dict) else ""


def _json_ld(soup: BeautifulSoup) -> dict[str, Any]:
    """The page's JSON-LD; {} where there is none that can be read: it only repeats what the page shows."""
    script = soup.select_one("script[type='application/ld+json']")
    text = script.get_text() if script else ""
    try:
        data = json.loads(text[text.find("{") : text.rfind("}") + 1])  # it stands between comments of CDATA
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
