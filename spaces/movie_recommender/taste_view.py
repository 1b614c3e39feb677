"""The tab "Your taste" as HTML: pictures, and tables whose numbers are also bars."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from rendering import distribution, named, stars

from reel.taste import Group, Judgement, Taste

WIDTH, HALF = 320, 22  # of the picture of years, in SVG units, and its height above and below the middle
EMPTY = '<p class="quiet">Rate a few films, and see here how your taste differs from everyone\'s.</p>'


def taste_page(taste: Taste | None) -> str:
    """Ratings against everyone's: how often each, by genre, decade and year, the most and the least typical."""
    if taste is None:
        return EMPTY
    away = taste.yours - taste.everyones
    word = "just like everyone" if abs(away) < 0.1 else f"{abs(away) / 2:.1f} stars {'above' if away > 0 else 'below'}"
    return (
        f'<p class="lead">Over {taste.count:,} films you give <b>{taste.yours / 2:.2f} ★</b>; everyone gives the same '
        f"films {taste.everyones / 2:.2f} ★: <b>{word}</b>.</p>"
        f'<div class="halves"><section><h3>How you rate</h3><div class="wide-bars">'
        f"{distribution(taste.shares, max(taste.shares), 'Share of each of your ratings')}</div></section>"
        f"{_years(taste.years)}</div>"
        f'<div class="halves">{_groups("By genre", taste.genres)}{_groups("By decade", taste.decades)}</div>'
        f'<div class="halves">{_judgements("Your most unusual ratings", taste.untypical)}'
        f"{_judgements('Where you agree with everyone', taste.typical)}</div>"
    )


def _years(years: Sequence[Group]) -> str:
    """A bar for every year of release, up where this person is kinder than everyone and down where stricter."""
    if len(years) < 2:
        return ""
    first, last = int(years[0].name), int(years[-1].name)
    step = WIDTH / (last - first + 1)
    away = {int(year.name): year.yours - year.everyones for year in years}
    scale = (HALF - 2) / max(0.5, *map(abs, away.values()))
    bars = "".join(
        f'<rect class="{"good" if lean > 0 else "low"}" x="{(year - first) * step:.1f}" '
        f'y="{HALF - max(0.0, lean * scale):.1f}" width="{min(10.0, 0.8 * step):.1f}" '
        f'height="{abs(lean * scale):.1f}"/>'
        for year, lean in away.items()
    )
    kinder = sum(lean > 0 for lean in away.values())
    words = f"By year of release, {first} to {last}: kinder than everyone in {kinder} of {len(away)} years"
    return (
        '<section><h3>By year</h3><p class="quiet">Up: kinder than everyone. Down: stricter.</p>'
        f'<div class="wide-bars"><svg class="bars years" viewBox="0 0 {WIDTH} {2 * HALF + 12}" role="img" '
        f'aria-label="{words}"><rect class="axis" x="0" y="{HALF - 0.5}" width="{WIDTH}" height="1"/>'
        f'{bars}<text x="0" y="{2 * HALF + 11}">{first}</text>'
        f'<text x="{WIDTH}" y="{2 * HALF + 11}" text-anchor="end">{last}</text></svg></div></section>'
    )


def _groups(title: str, groups: Sequence[Group]) -> str:
    if not groups:
        return ""
    widest = max(0.5, *(abs(group.yours - group.everyones) for group in groups))
    rows = "".join(
        f'<tr><th scope="row">{escape(group.name)} <span class="count">{group.count:,}</span></th>'
        f"<td>{group.yours / 2:.1f}</td><td>{group.everyones / 2:.1f}</td>"
        f'<td class="lean">{_lean((group.yours - group.everyones) / widest)}</td></tr>'
        for group in groups
    )
    return _section(title, ("Films", "You", "Everyone", '<span class="hidden">Difference</span>'), rows)


def _lean(share: float) -> str:
    """A bar to the right of the middle where this person is kinder, to the left where stricter; -1 to 1."""
    width = abs(share) * 48
    start = 50 if share > 0 else 50 - width
    kind = "good" if share > 0 else "low"
    words = "kinder" if share > 0 else "stricter"
    return (
        f'<svg class="leaning" viewBox="0 0 100 12" role="img" aria-label="{words} than everyone">'
        f'<rect class="axis" x="49.5" y="0" width="1" height="12"/>'
        f'<rect class="{kind}" x="{start:.1f}" y="2" width="{width:.1f}" height="8" rx="1.5"/></svg>'
    )


def _judgements(title: str, judged: Sequence[Judgement]) -> str:
    if not judged:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{named(film.title, film.year)}</th><td class="given">{stars(film.rating)}</td>'
        f"<td>{film.everyones / 2:.1f}</td></tr>"
        for film in judged
    )
    return _section(title, ("Film", "You", "Everyone"), rows)


def _section(title: str, columns: Sequence[str], rows: str) -> str:
    """A table of numbers under its title; column heads and rows are HTML."""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    return (
        f'<section><h3>{title}</h3><table class="numbers"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></section>"
    )
