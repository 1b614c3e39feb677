"""The tab "Two people" as HTML: how alike two tastes are, and films for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from rendering import distribution, named, spoken, stars

from reel.two_people import Likeness, SharedFilm

RULE = (
    "Neither of you has seen these. They are ordered by the lower of your two expected ratings, "
    "so that nobody is dragged along; what more people know gains a little."
)
WAITING = '<p class="quiet">Bring the second person\'s export, and films for both appear here.</p>'


def page_for_two(
    alike: Likeness, films: Sequence[SharedFilm], names: Mapping[str, str], rated: tuple[int, int]
) -> str:
    """Likeness, then films; `names` are titles by film id, `rated` how many films each has rated."""
    return (
        f'<p class="quiet">First person: {rated[0]:,} film{"" if rated[0] == 1 else "s"} rated. '
        f"Second person: {rated[1]:,}.</p>"
        f"{_alike(alike, names)}<h3>Films for both</h3>"
        f'<p class="quiet">{RULE}</p>{_films(films)}'
    )


def _alike(alike: Likeness, names: Mapping[str, str]) -> str:
    parts = []
    if alike.predicted is not None:
        parts.append(f'<p class="lead">{_in_words(alike.predicted)} <b>{alike.predicted:+.0%}</b>.</p>')
        parts.append(
            '<p class="quiet">+100% is the same taste, 0% no relation, -100% the opposite: the correlation of how '
            "far you two are expected to depart from everyone, over the best-known films.</p>"
        )
    if alike.difference is not None:
        agreement = f", correlation {alike.agreement:+.2f}" if alike.agreement is not None else ""
        parts.append(
            f"<p>You both rated <b>{alike.shared:,}</b> film{'' if alike.shared == 1 else 's'}, "
            f"{alike.difference / 2:.1f} stars apart on average{agreement}.</p>"
        )
        if alike.farthest:
            items = "".join(
                f"<li>{escape(names[film])}: {_rating(one)} and {_rating(other)}</li>"
                for film, one, other in alike.farthest
            )
            parts.append(f"<h3>Where you differ most</h3><ul>{items}</ul>")
    return f'<div class="alike">{"".join(parts)}</div>'


def _in_words(correlation: float) -> str:
    if correlation > 0.6:
        return "Kindred spirits:"
    if correlation > 0.25:
        return "Fairly alike:"
    return "Rather different:" if correlation > -0.1 else "Opposites:"


def _rating(rating: int) -> str:
    return f'<span aria-hidden="true">{stars(rating)}</span><span class="hidden">{spoken(rating)}</span>'


def _films(films: Sequence[SharedFilm]) -> str:
    if not films:
        return '<p class="quiet">No film is left that neither of you has seen.</p>'
    scale = max(max(max(one) for one in film.probabilities) for film in films)
    rows = "".join(
        f'<tr><th scope="row">{named(film.title, film.year)}</th>'
        + "".join(
            f'<td><span class="number">{expected / 2:.1f}</span>{distribution(probabilities, scale)}</td>'
            for expected, probabilities in zip(film.expected, film.probabilities, strict=True)
        )
        + "</tr>"
        for film in films
    )
    return (
        '<table class="numbers for-two"><thead><tr><th scope="col">Film</th><th scope="col">First person</th>'
        f'<th scope="col">Second person</th></tr></thead><tbody>{rows}</tbody></table>'
    )
