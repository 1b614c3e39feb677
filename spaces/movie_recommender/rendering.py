"""The parts of the page that Python writes as HTML. Every text from a catalogue or an upload goes through `escape`.

Gradio fills `${value}` with these strings as they are; they never become part of a template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

REWARD = 7  # the paper's reward: a rating of 3.5 stars or more
LISTED_PROBLEMS = 500  # rows of a broken file that a page can bear
BAR, GAP, HEIGHT = 10, 3, 34  # of the distribution, in SVG units


def stars(rating: float) -> str:
    """A rating 1..10 in stars, short: 7 is "3½ ★"."""
    whole, half = divmod(round(rating), 2)
    return f"{whole or ''}{'½' * half} ★"


def spoken(rating: float) -> str:
    """A rating 1..10 in words for a screen reader: 7 is "3.5 stars"."""
    return f"{rating / 2:g} star{'' if rating == 2 else 's'}"


def star_input(rating: int, film_id: str, title: str) -> str:
    """Stars to click on, which are a slider to the keyboard and to screen readers; page.js brings them to life."""
    return (
        f'<span class="stars" style="--rating:{rating}" data-film="{escape(film_id)}">'
        f'<input type="range" min="1" max="10" step="1" value="{rating}" '
        f'aria-label="Your rating of {escape(title)}" aria-valuetext="{spoken(rating)}"></span>'
    )


def ratings_list(rows: Sequence[tuple[str, str, int | None, int]], listed: int) -> str:
    """What the visitor rated: (film id, title, year, rating) rows, newest first, the first `listed` of them."""
    if not rows:
        return (
            '<p class="quiet">Nothing here yet. Rate a film above, and it will appear here, '
            "where you can change your mind.</p>"
        )
    items = "".join(
        f'<li><span class="film">{named(title, year)}</span>{star_input(rating, film_id, title)}'
        f'<button type="button" class="remove" data-film="{escape(film_id)}" '
        f'aria-label="Remove {escape(title)}">×</button></li>'
        for film_id, title, year, rating in rows[:listed]
    )
    more = ""
    if len(rows) > listed:
        rest = f"Show more of the other {len(rows) - listed:,}"
        more = f'<button type="button" class="link" data-action="more">{rest}</button>'
    return (
        f'<ul class="rated">{items}</ul><p class="list-foot">{more}'
        f'<button type="button" class="link" data-action="clear">Start over</button></p>'
    )


def distribution(probabilities: Sequence[float], scale: float, what: str = "Chance of each rating") -> str:
    """Ten bars, half a star to five; `scale` is the probability that fills the height, `what` is said before them."""
    heights = [max(1.0, HEIGHT * min(1.0, probability / scale)) for probability in probabilities]
    bars = "".join(
        f'<rect class="{"good" if rating >= REWARD else "low"}" x="{(rating - 1) * (BAR + GAP)}" '
        f'y="{HEIGHT - height:.1f}" width="{BAR}" height="{height:.1f}" rx="1.5"/>'
        for rating, height in enumerate(heights, start=1)
    )
    words = ", ".join(
        f"{spoken(rating)} {probability:.0%}" for rating, probability in enumerate(probabilities, start=1)
    )
    width = 10 * (BAR + GAP) - GAP
    return (
        f'<svg class="bars" viewBox="0 0 {width} {HEIGHT + 12}" role="img" '
        f'aria-label="{what}: {words}">'
        f"<title>{words}</title>{bars}"
        f'<text x="0" y="{HEIGHT + 11}">½</text><text x="{width}" y="{HEIGHT + 11}" text-anchor="end">5</text></svg>'
    )


def recommendations_table(
    films: Sequence[Any],
    genres: Mapping[str, Sequence[str]],
    posters: Mapping[str, str] | None = None,
    layout: str = "Table",
) -> str:
    """`Recommendation`s as a table that folds into cards on a phone, or as a grid of cards on any screen; `genres` and
    the addresses of `posters` by film id. Without posters the page asks no other host for anything."""
    if not films:
        return (
            '<div class="nothing"><p class="nothing-title">No film fits these filters.</p>'
            "<p>Widen the years, or take away a genre or another wish.</p></div>"
        )
    why = "Because you rated" if any(film.because for film in films) else "Why"
    scale = max(max(film.probabilities) for film in films)
    rows = "".join(
        _recommendation(film, genres.get(film.film_id, ()), scale, (posters or {}).get(film.film_id)) for film in films
    )
    look = "films grid" if layout == "Grid" else "films"
    # The roles are spelled out because a table laid out as cards (display: grid) loses them.
    heads = "".join(
        f'<th role="columnheader" scope="col">{name}</th>'
        for name in ("Film", "Year", "Expected", "Likely ratings", why)
    )
    return (
        f'<table class="{look}" role="table" aria-label="Recommended films"><thead role="rowgroup">'
        f'<tr role="row">{heads}</tr></thead><tbody role="rowgroup">{rows}</tbody></table>'
    )


def _recommendation(film: Any, genres: Sequence[str], scale: float, poster: str | None) -> str:
    year = "" if film.year is None else str(film.year)
    title, film_id = escape(film.title), escape(film.film_id)
    kinds = f'<span class="genres">{escape(", ".join(genres[:3]))}</span>' if genres else ""
    if film.because:
        why = "".join(
            f'<li>{escape(reason.title)} <span class="given"><span aria-hidden="true">{stars(reason.rating)}</span>'
            f'<span class="hidden">{spoken(reason.rating)}</span></span></li>'
            for reason in film.because
        )
        why = f'<span class="because">Because you rated</span><ul>{why}</ul>'
    else:
        why = '<span class="quiet">Well liked by many</span>'
    return (
        f'<tr role="row"><th role="rowheader" scope="row" class="title">{_poster(poster)}'
        f'<span class="name">{title}</span>{kinds}'
        f'<button type="button" class="link seen-it" data-film="{film_id}" data-title="{title}" data-year="{year}" '
        f'aria-label="Rate {title}">Seen it? Rate it</button></th>'
        f'<td role="cell" class="year">{year}</td>'
        f'<td role="cell" class="expected"><span class="star" aria-hidden="true">★</span> '
        f'<span class="number">{film.expected_rating / 2:.1f}</span><span class="hidden"> stars</span>'
        f'<span class="chance">{film.reward_probability:.0%} for 3½+</span></td>'
        f'<td role="cell" class="spread">{distribution(film.probabilities, scale)}</td>'
        f'<td role="cell" class="why">{why}</td></tr>'
    )


def _poster(address: str | None) -> str:
    """A picture from another host, asked for only when it scrolls into view, without telling where from."""
    if not address:
        return ""
    return f'<img class="poster" src="{escape(address)}" alt="" loading="lazy" referrerpolicy="no-referrer">'


def film_card(film: Any, genres: Sequence[str], rating: int | None) -> str:
    """One film that was asked about: what this visitor would give it."""
    said = f" You gave it {stars(rating)}." if rating else ""
    reasons = ", ".join(f"{escape(reason.title)} {stars(reason.rating)}" for reason in film.because)
    why = f'<p class="quiet">Because you rated {reasons}.</p>' if reasons else ""
    kinds = f'<p class="quiet">{escape(", ".join(genres[:3]))}</p>' if genres else ""
    return (
        f'<section class="one-film" role="status"><h3>{named(film.title, film.year)}</h3>{kinds}'
        f"<p>Reel expects <b>{film.expected_rating / 2:.1f} ★</b> from you, and {film.reward_probability:.0%} for "
        f"3½ ★ or more.{said}</p>{distribution(film.probabilities, max(film.probabilities))}{why}</section>"
    )


def question(film_id: str, title: str, year: int | None) -> str:
    """The film to ask about next, with stars to click on at once."""
    empty = star_input(1, film_id, title).replace("--rating:1", "--rating:0").replace('"stars"', '"stars large"', 1)
    empty = empty.replace('min="1"', 'min="0"').replace('value="1"', 'value="0"')
    empty = empty.replace('aria-valuetext="0.5 stars"', 'aria-valuetext="not rated yet"')
    return (
        f'<section class="question"><h3>Have you seen <em>{named(title, year)}</em>?</h3>'
        f"{empty}"
        f'<p><button type="button" class="link" data-film="{escape(film_id)}" data-action="pass">I have not seen it'
        f"</button></p>"
        f'<p class="quiet">Of the best-known films, Reel expects to learn most about you from this one.</p></section>'
    )


def pages(page: int, size: int, total: int) -> str:
    """Which films are shown, and buttons to the others."""
    if not total:
        return ""
    last = -(-total // size)

    def button(to: int, text: str) -> str:
        off = "" if 1 <= to <= last else " disabled"
        return f'<button type="button" class="turn" data-page="{to}"{off}>{text}</button>'

    return (
        f'<nav class="pages" aria-label="Pages of films">{button(page - 1, "Previous")}'
        f"<span>{(page - 1) * size + 1:,} to {min(total, page * size):,} of {total:,}</span>"
        f"{button(page + 1, 'Next')}</nav>"
    )


def summary(rated: int, shown: int) -> str:
    """The line above the table: for whom these are."""
    if not shown:
        return ""
    if not rated:
        return "What people like best. <b>Rate a film or two</b> and this becomes your list."
    return f"Chosen from your <b>{rated:,} rating{'' if rated == 1 else 's'}</b>."


def import_report(exported: Mapping[str, Any]) -> str:
    """How many films of an export were found, and every one that was not, with why."""
    counts, unmatched, rejected = exported["counts"], exported["unmatched"], exported["rejected"]
    share = f" ({counts['matched'] / counts['rated']:.0%})" if counts["rated"] else ""
    watched = len(set(exported["watched"]) - {film["film_id"] for film in exported["history"]})
    also = f" {watched:,} more that you watched count{'s' if watched == 1 else ''} as seen." if watched else ""
    head = f"<p><b>{counts['matched']:,} of {counts['rated']:,} rated films</b> found here{share}.{also}</p>"
    not_found = [(row["row"], named(row["name"], row["year"]), row["reason"]) for row in unmatched]
    malformed = [(f"{row['file']} {row['row']}", escape(str(row["value"])), row["reason"]) for row in rejected]
    problems = _problems("not found", "Film", not_found) + _problems("not readable", "Value", malformed)
    return f'<div class="report" role="status">{head}{problems}</div>'


def _problems(kind: str, what: str, rows: Sequence[tuple[int | str, str, str]]) -> str:
    """A folded table of (row, HTML of what stands there, reason)."""
    if not rows:
        return ""
    body = "".join(
        f"<tr><td>{escape(str(row))}</td><td>{content}</td><td>{escape(reason)}</td></tr>"
        for row, content, reason in rows[:LISTED_PROBLEMS]
    )
    rest = len(rows) - LISTED_PROBLEMS
    more = f'<p class="quiet">and {rest:,} more</p>' if rest > 0 else ""
    return (
        f"<details><summary>{len(rows):,} {'row' if len(rows) == 1 else 'rows'} {kind}, and why</summary>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="Rows {kind}">'
        f'<table><thead><tr><th scope="col">Row</th><th scope="col">{what}</th><th scope="col">Why</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>{more}</details>"
    )


def named(title: str, year: int | None) -> str:
    """A title and its year."""
    return escape(title) + ("" if year is None else f' <span class="released">{year}</span>')


def error(message: str) -> str:
    """A mistake in one sentence, announced at once."""
    return f'<p class="error" role="alert">{escape(message)}</p>'
