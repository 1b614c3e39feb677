"""Invented pages in the site's markup of four generations: A 2022, B early 2025, C late 2025, D from April 2026.

Each function takes records and gives a page that holds them, with the rest of a page around: a sidebar whose posters
and members have the same classes, a menu, pagination. What a generation does not show (A: years of a grid) is left
out.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from html import escape
from typing import Literal

from data_prep.pages import DiaryEntry, FilmPage, GridFilm, ListFilm, Review

Generation = Literal["A", "B", "C", "D"]
GENERATIONS: tuple[Generation, ...] = ("A", "B", "C", "D")
SITE = "https://letterboxd.com"


def viewing(
    film_id: str | None, date: str, rating: int | None = None, *, number: int = 1, **fields: object
) -> DiaryEntry:
    """A diary entry with the rest filled in."""
    known = {"title": name_of(film_id), "year": 1999, "liked": False, "rewatch": False, "reviewed": False} | fields
    return DiaryEntry(  # type: ignore[arg-type]
        film_id=film_id,
        date=datetime.date.fromisoformat(date),
        rating=rating,
        viewing_id=str(number),
        **known,
    )


def review(
    film_id: str, text: str, date: str, rating: int | None = None, *, number: int = 1, **fields: object
) -> Review:
    """A review with the rest filled in."""
    known = {"title": name_of(film_id), "year": 1999, "liked": False, "rewatch": False, "username": "ada"} | fields
    return Review(  # type: ignore[arg-type]
        film_id=film_id,
        text=text,
        date=datetime.date.fromisoformat(date),
        rating=rating,
        reviewed=True,
        viewing_id=str(number),
        **known,
    )


def grid_film(
    film_id: str | None, rating: int | None = None, *, liked: bool = False, year: int | None = 1999
) -> GridFilm:
    """A poster of a grid or watchlist."""
    return GridFilm(film_id, name_of(film_id), year, rating, liked)


def list_film(
    film_id: str, rating: int | None = None, *, text: str | None = None, year: int | None = 1999
) -> ListFilm:
    """A film of a list."""
    return ListFilm(film_id, name_of(film_id), year, rating, False, text)


def name_of(film_id: str | None) -> str:
    return (film_id or "a lost film").replace("-", " ").title()


def page_of(
    path: str, body_class: str, content: str, *, owner: str | None = None, title: str = "Page", aside: str = ""
) -> str:
    """A whole page around `content`."""
    owned = f' data-owner="{owner}"' if owner else ""
    return f"""<!DOCTYPE html>
<html id="html" lang="en" class="no-mobile no-js"><head><meta charset="utf-8">
<title>&lrm;{escape(title)} &bull; Letterboxd</title>
<meta property="og:url" content="{SITE}{path}" /><meta property="og:title" content="{escape(title)}" />
<script>window.cdn = "/cdn-cgi/challenge-platform/scripts/jsd/main.js";</script></head>
<body class="{body_class}"{owned}>
<header><h1 class="site-logo"><a href="/">Letterboxd</a></h1></header>
<div id="content" class="site-body"><div class="content-wrap"><section class="section col-main">
{content}
</section><aside class="sidebar">{aside or poster_list(["beside-the-point"])}</aside></div></div>
</body></html>"""


def poster_list(slugs: Sequence[str]) -> str:
    """What a sidebar holds: posters of the classes of every generation."""
    items = "".join(
        f'<li class="griditem poster-container posteritem">{poster(slug, name_of(slug), 1950, generation)}</li>'
        for slug in slugs
        for generation in GENERATIONS
    )
    return f'<div class="poster-grid"><ul class="poster-list -grid grid film-list">{items}</ul></div>'


def poster(slug: str | None, title: str | None, year: int | None, generation: Generation) -> str:
    slug, title = slug or "", escape(title or "")
    frame = f'<img class="image" alt="{title}"><span class="frame"><span class="frame-title"></span></span>'
    link = f"/film/{slug}/" if slug else ""
    if generation in "AB":
        shown = link if generation == "A" else slug
        return (
            f'<div class="really-lazy-load poster film-poster film-poster-7 linked-film-poster" data-film-id="7" '
            f'data-film-slug="{shown}" data-target-link="{link}">{frame}</div>'
        )
    number = ' data-film-id="7"' if generation == "C" else ""
    identifier = escape(json.dumps({"lid": "x", "uid": "film:7", "type": "film"}))
    name = f"{title} ({year})" if year else title
    return (
        f'<div class="react-component figure" data-component-class="LazyPoster" data-item-name="{name}" '
        f'data-item-slug="{slug}" data-item-link="{link}" data-target-link="{link}"{number} '
        f'data-postered-identifier="{identifier}"><div class="poster film-poster">{frame}</div></div>'
    )


def stars(rating: int) -> str:
    return "★" * (rating // 2) + "½" * (rating % 2)


def rating_span(rating: int | None) -> str:
    return f'<span class="rating -darker rated-{rating}">{stars(rating)}</span>' if rating else ""


def rating_drawn(rating: int | None) -> str:
    if not rating:
        return ""
    svg = f'<svg class="glyph -rating" aria-label="{stars(rating)}"><title>{stars(rating)}</title></svg>'
    return f'<span class="inline-rating">{svg}</span>'


def pagination(base: str, page: int, pages: int, *, numbers: bool = True) -> str:
    if pages == 1:
        return ""
    older = (
        f'<a class="next" href="{base}page/{page + 1}/">Older</a>'
        if page < pages
        else '<span class="next">Older</span>'
    )
    newer = f'<a class="previous" href="{base}page/{page - 1}/">Newer</a>' if page > 1 else ""
    items = "".join(
        f'<li class="paginate-page"><a href="{base}page/{number}/">{number}</a></li>'
        for number in range(1, pages + 1)
        if number in (1, page, pages)
    )
    shown = f'<div class="paginate-pages"><ul>{items}</ul></div>' if numbers else ""
    return f'<div class="pagination">{newer}{older}{shown}</div>'


def diary_page(
    member: str,
    entries: Sequence[DiaryEntry],
    *,
    generation: Generation = "D",
    page: int = 1,
    pages: int = 1,
    year: int | None = None,
) -> str:
    """A diary, of all years or of one, which then has links to the years before and after it."""
    base = f"/{member}/films/diary/" if generation in "AB" else f"/{member}/diary/films/"
    base += f"for/{year}/" if year else ""
    rows, month = "", ""
    for entry in entries:
        rows += _diary_row(member, entry, generation, first=f"{entry.date:%Y-%m}" != month)
        month = f"{entry.date:%Y-%m}"
    head = "<thead><tr><th>Month</th></tr></thead>"
    table = f'<table id="diary-table" class="table film-table">{head}<tbody>{rows}</tbody></table>'
    shown = f"{len(entries) * pages}\xa0entries for films" if entries else "hasn’t logged any films"
    heading = "message-text" if entries else "empty-text"
    around = f"/{member}/films/diary/for"
    years = f"""<div class="pagination"><a class="previous" href="{around}/{(year or 0) - 1}/">Previous Year</a>
<a class="next" href="{around}/{(year or 0) + 1}/">Next Year</a></div>"""
    content = f"""<ul class="sub-nav"><li class="selected"><a href="{base}" title="265&nbsp;films">Diary</a></li></ul>
<section class="ui-block-header {heading}"><p class="ui-block-heading">
<span>Ada</span> {shown} during {year}.</p></section>
{table if entries else ""}{pagination(base, page, pages)}{years if year else ""}"""
    path = base + (f"page/{page}/" if page > 1 else "")
    return page_of(path, "diary films-diary wide", content, owner=member, title="Ada’s film diary")


def _diary_row(member: str, entry: DiaryEntry, generation: Generation, *, first: bool) -> str:
    cell = "td" if generation in "AB" else "col"
    day = "td-day diary-day" if generation in "AB" else "col-daydate"
    base = f"/{member}/films/diary/for/" if generation in "AB" else f"/{member}/diary/films/for/"
    link = f"/{member}/film/{entry.film_id}/" if entry.film_id else "#"
    month = (
        f'<a href="{base}{entry.date:%Y/%m}/">{entry.date:%b}</a> <a href="{base}{entry.date:%Y}/">{entry.date:%Y}</a>'
    )
    released = "td-released" if generation in "AB" else "col-releaseyear"
    heading = f'<h2 class="primaryname"><a href="{link}">{escape(entry.title or "")}</a></h2>'
    return f"""<tr class="diary-entry-row" data-viewing-id="{entry.viewing_id}" data-owner="{member}">
<td class="{cell}-{"calendar" if generation in "AB" else "monthdate"}">{month if first else ""}</td>
<td class="{day} center"><a href="{base}{entry.date:%Y/%m/%d}/">{entry.date:%d}</a></td>
<td class="{cell}-production">{poster(entry.film_id, entry.title, entry.year, generation)}{heading}</td>
<td class="{released}"><span>{entry.year or ""}</span></td>
<td class="{cell}-rating"><input class="rateit-field" type="range" value="{entry.rating or 0}">
{rating_span(entry.rating)}</td>
<td class="{cell}-like"><span class="like-link-target react-component"><span class="has-icon icon-like"></span></span>
{'<span class="has-icon icon-16 icon-liked"></span>' if entry.liked else ""}</td>
<td class="{cell}-rewatch {"" if entry.rewatch else "icon-status-off"}"><span class="icon-rewatch"></span></td>
<td class="{cell}-review {"" if entry.reviewed else "icon-status-off"}">
{f'<a href="{link}" class="has-icon icon-review">Read the review</a>' if entry.reviewed else ""}</td>
<td class="{cell}-actions"></td></tr>"""


def films_page(
    member: str,
    films: Sequence[GridFilm],
    *,
    generation: Generation = "D",
    page: int = 1,
    pages: int = 1,
    path: str | None = None,
    body_class: str = "films-watched wide",
) -> str:
    """A films grid; `path` makes it another one, such as /ada/likes/films/ or /actor/somebody/."""
    base = path or f"/{member}/films/"
    items = "".join(_grid_item(film, generation) for film in films)
    content = f"""<h1 class="section-heading"><span class="tooltip" title="{len(films)}&nbsp;films">Watched</span></h1>
{_grid(items, generation)}{pagination(base, page, pages)}"""
    path = base + (f"page/{page}/" if page > 1 else "")
    owner = None if base.startswith("/actor/") else member
    return page_of(path, body_class, content, owner=owner, title="Ada’s films")


def _grid(items: str, generation: Generation) -> str:
    if generation in "AB":
        return f'<ul class="poster-list -p70 -grid film-list clear">{items}</ul>'
    return f'<div class="poster-grid"><ul class="grid -p70">{items}</ul></div>'


def _grid_item(film: GridFilm, generation: Generation) -> str:
    heart = '<span class="like liked-micro has-icon icon-liked icon-16"><span class="icon"></span></span>'
    if generation == "D":
        heart = '<span class="rating liked"></span>'
    shown = rating_span(film.rating) + (heart if film.liked else "")
    data = f'<p class="poster-viewingdata -rated-and-liked">{shown}</p>' if shown else ""
    name = "poster-container" if generation in "AB" else "griditem"
    return f'<li class="{name}">{poster(film.film_id, film.title, film.year, generation)}{data}</li>'


def watchlist_page(
    member: str, films: Sequence[GridFilm], *, generation: Generation = "D", page: int = 1, pages: int = 1
) -> str:
    base = f"/{member}/watchlist/"
    items = "".join(_owned_item(film, generation) for film in films)
    count = len(films) * pages
    content = f"""<div class="js-watchlist-content" data-num-entries="{count}"><h1 class="section-heading">
<span>Ada wants</span> to see <span class="js-watchlist-count">{count}&nbsp;films</span></h1>
{_grid(items, generation) if films else ""}{pagination(base, page, pages)}</div>"""
    return page_of(base, "watchlist wide", content, owner=member, title="Ada’s Watchlist")


def _owned_item(film: GridFilm, generation: Generation) -> str:
    name = {"A": "poster-container numbered-list-item", "B": "poster-container", "C": "griditem", "D": "posteritem"}
    body = poster(film.film_id, film.title, film.year, generation) + '<p class="list-number">1</p>'
    return f'<li class="{name[generation]}" data-owner-rating="{film.rating or 0}">{body}</li>'


def list_page(
    member: str,
    films: Sequence[ListFilm],
    *,
    generation: Generation = "D",
    page: int = 1,
    pages: int = 1,
    detail: bool = False,
) -> str:
    """A member's list as posters; `detail` shows the notes."""
    base = f"/{member}/list/some-list/"
    if detail:
        tag, name = ("li", "film-detail") if generation in "AB" else ("div", "listitem js-listitem")
        items = "".join(_detailed(film, generation, tag, name) for film in films)
        inside = {"A": "ul", "B": "ul", "C": "div", "D": "div"}[generation]
        classes = "js-list-entries " + ("film-details-list" if generation in "AB" else "list-detailed-entries-list")
        entries = f'<{inside} class="{classes}">{items}</{inside}>'
    else:
        items = "".join(_owned_item(film, generation) for film in films)
        entries = f'<ul class="js-list-entries poster-list -p125 -grid">{items}</ul>'
    content = f'<h1 class="title-1">Some List</h1>{entries}{pagination(base, page, pages)}'
    path = base + ("detail/" if detail else "") + (f"page/{page}/" if page > 1 else "")
    return page_of(path, "list-page", content, owner=member, title="Some List, a list of films by Ada")


def _detailed(film: ListFilm, generation: Generation, tag: str, name: str) -> str:
    shown = rating_drawn(film.rating) if generation == "D" else rating_span(film.rating)
    year = f'<a href="/films/year/{film.year}/">{film.year}</a>' if film.year else ""
    heading = f'<h2 class="name"><a href="/film/{film.film_id}/">{escape(film.title or "")}</a></h2>{year}'
    note = f'<div class="body-text -small"><p>{escape(film.text)}</p></div>' if film.text else ""
    body = poster(film.film_id, film.title, film.year, generation)
    return f'<{tag} class="{name}">{body}{heading}{shown}{note}</{tag}>'


def reviews_page(
    member: str,
    reviews: Sequence[Review],
    *,
    generation: Generation = "D",
    page: int = 1,
    pages: int = 1,
    spoilers: bool = False,
    path: str | None = None,
    body_class: str = "reviews",
) -> str:
    """A member's reviews; `path` /ada/ with the body class "profile" makes it a profile; `spoilers` hides the texts
    behind a warning."""
    base = path or (f"/{member}/films/reviews/" if generation in "AB" else f"/{member}/reviews/")
    items = "".join(_review(entry, generation, spoilers=spoilers) for entry in reviews)
    content = f'<h2 class="section-heading">Recent reviews</h2><div class="viewing-list">{items}</div>'
    empty = '<section class="ui-block-header empty-text"><p>No reviews yet.</p></section>'
    content = (content if reviews else empty) + pagination(base, page, pages)
    path = base + (f"page/{page}/" if page > 1 else "")
    return page_of(path, body_class, content, owner=member, title="Ada’s reviews")


def _review(entry: Review, generation: Generation, *, spoilers: bool) -> str:
    assert entry.date is not None
    link = f"/{entry.username}/film/{entry.film_id}/"
    year = f'<a href="/films/year/{entry.year}/">{entry.year}</a>' if entry.year else ""
    text = "".join(f"<p>{escape(part)}</p>" for part in entry.text.split("\n\n"))
    if spoilers:
        warning = "This review may contain spoilers. <a class='reveal js-reveal'>I can handle the truth.</a>"
        hidden = f'<div class="hidden-spoilers expanded-text">{text}</div>'
        text = f'<div class="contains-spoilers"><p>{warning}</p></div>{hidden}'
    elif len(entry.text) > 400:  # long texts are cut, the whole stands beside the beginning
        beginning = f'<div class="collapsed-text"><p>{escape(entry.text[:100])}…</p></div>'
        text = f'{beginning}<div class="expanded-text">{text}</div>'
    seen = "Rewatched" if entry.rewatch else "Watched"
    uid = f"viewing:{entry.viewing_id}"
    like = f'<p class="like-link-target" data-likeable-uid="{uid}"><i class="icon-liked"></i></p>'
    full = f'data-full-text-url="/s/full-text/{uid}/"'
    if generation in "AB":
        heart = '<span class="like has-icon icon-liked icon-16"></span>' if entry.liked else ""
        return f"""<li class="film-detail">{poster(entry.film_id, entry.title, entry.year, generation)}
<div class="film-detail-content"><h2 class="headline-2"><a href="{link}">{escape(entry.title or "")}</a>
<small class="metadata">{year}</small></h2><p class="attribution">{rating_span(entry.rating)}{heart}
<span class="content-metadata"><span class="date"><a class="context" href="{link}"> {seen} by <strong>Ada</strong></a>
<span class="_nobr">{entry.date.day} {entry.date:%b %Y}</span></span></span></p>
<div class="body-text -prose collapsible-text" {full}>{text}</div>
{like}</div></li>"""
    heart = (
        '<svg class="glyph inline-liked -like" aria-label="Liked"><title>Liked</title></svg>' if entry.liked else ""
    )
    rating = rating_drawn(entry.rating) if generation == "D" else rating_span(entry.rating)
    return f"""<div class="listitem"><article class="production-viewing -viewing" data-owner="{entry.username}"
data-object-id="{uid}" data-object-name="review">
{poster(entry.film_id, entry.title, entry.year, generation)}<div class="body">
<h2 class="{"primaryname" if generation == "D" else "name -primary"}">
<a href="{link}">{escape(entry.title or "")}</a></h2>
<span class="releasedate">{year}</span><span class="content-reactions-strip">{rating}{heart}
<span class="attribution-detail"><a href="{link}" class="context"> {seen} </a></span>
<span class="date"><time class="timestamp" datetime="{entry.date}">{entry.date:%d %b %Y}</time></span></span>
<div class="js-review"><div class="body-text -prose js-review-body"
{full}>{text}</div></div>{like}</div></article></div>"""


def members_page(
    members: Sequence[str], *, path: str = "/members/popular/", page: int = 1, pages: int = 1, body_class: str = ""
) -> str:
    """Popular members, or with `path` /ada/following/ those that a member follows."""
    rows = "".join(
        f"""<tr><td class="col-member table-person"><div class="person-summary"><a class="avatar" href="/{name}/"></a>
<h3><a href="/{name}/" class="name">{name.title()}</a></h3><small class="metadata">
<a href="/{name}/reviews/">1,234&nbsp;reviews</a></small></div></td>
<td class="col-watched"><a href="/{name}/films/">9</a></td></tr>"""
        for name in members
    )
    table = (
        f'<table class="table-base member-table"><thead><tr><th>Name</th></tr></thead><tbody>{rows}</tbody></table>'
    )
    empty = '<p class="ui-block-heading">Ada isn’t following anyone yet.</p>'
    content = (table if members else empty) + pagination(path, page, pages, numbers=False)
    aside = '<ul><li><div class="person-summary"><a class="name" href="/beside/">Beside</a></div></li></ul>'
    return page_of(path, body_class or "popular-people", content, title="Members", aside=aside)


def film_page(film: FilmPage, *, generation: Generation = "D", body_type: str | None = None) -> str:
    """A film's page. With `body_type` the body says that type, and an empty id: so do pages of miniseries."""
    kind = body_type or film.tmdb_type or "movie"
    number = "" if body_type or film.tmdb_id is None else film.tmdb_id
    name = f"{film.title} ({film.year})" if film.year else film.title
    year = f'<a href="/films/year/{film.year}/">{film.year}</a>' if film.year else ""
    track = "TMDb" if generation == "A" else "TMDB"
    if generation in "AB":
        heading = f"""<section id="featured-film-header"><h1 class="headline-1">{escape(film.title)}</h1>
<small>{year}</small></section>"""
    else:
        heading = f"""<section class="production-masthead"><h1 class="headline-1 primaryname">
<span class="name">{escape(film.title)}</span></h1><span class="releasedate">{year}</span></section>"""
    links = ""
    if film.imdb_id:
        links += f'<a href="http://www.imdb.com/title/{film.imdb_id}/maindetails" data-track-action="IMDb">IMDb</a>'
    if film.tmdb_id:
        address = f"https://www.themoviedb.org/{film.tmdb_type}/{film.tmdb_id}/"
        links += f'<a href="{address}" data-track-action="{track}">TMDB</a>'
    data = json.dumps({"@type": "Movie", "name": film.title, "url": f"{SITE}/film/{film.film_id}/"})
    content = f"""{heading}<p class="text-link text-footer">97&nbsp;mins More at {links}</p>
<script type="application/ld+json">
/* <![CDATA[ */
{data}
/* ]]> */
</script>{poster_list(["a-similar-film"])}"""
    page = page_of(f"/film/{film.film_id}/", "film backdropped", content, title=name)
    return page.replace("<body ", f'<body data-type="film" data-tmdb-type="{kind}" data-tmdb-id="{number}" ', 1)


def challenge_page() -> str:
    return """<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head><body></body></html>"""


def blocked_page() -> str:
    return """<html><head><title>Access denied | letterboxd.com used Cloudflare to restrict access</title></head>
<body><h1>Error 1015</h1><h2>You are being rate limited</h2></body></html>"""


def private_page() -> str:
    return """<html><head><title>Letterboxd - Forbidden</title></head><body class="error"><section class="message">
<p>The file you’re attempting to access is classified.</p></section></body></html>"""


def missing_page() -> str:
    return """<html><head><title>Letterboxd - Not Found</title></head><body class="error"><section class="message">
<p>Sorry, we can’t find the page you’ve requested.</p></section></body></html>"""
