"""Parts of the page that are Gradio's own controls: filters, what to take away, two people's exports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
import polars as pl
import rendering
from filters import COUNTS, LANGUAGES, LAYOUTS, LENGTHS, MOODS, POPULARITY, SORTS
from limits import Limits
from service import Service
from session import Session
from takeaway import everything_json, letterboxd_list, letterboxd_ratings, recommendations_csv
from two_people import WAITING
from uploads import discarded, upload_field


def filter_controls(recommender: Any) -> list[Any]:
    """The controls in the order of `filters.Choices`; those that the catalogue knows nothing for are not shown."""
    films = recommender.catalogue.films
    first_year, last_year = recommender.years
    languages = [(LANGUAGES.get(code, code), code) for code in recommender.languages]
    with gr.Row(elem_id="filters"):
        genres = gr.Dropdown(
            list(recommender.genres), value=[], multiselect=True, label="Genres", scale=3, min_width=200
        )
        since, until = (
            gr.Textbox(label=label, placeholder=str(year), max_length=4, max_lines=1, scale=1, min_width=84)
            for label, year in (("From year", first_year), ("To year", last_year))
        )
        top = _choice(COUNTS, COUNTS[1], "How many", 96)
        hide_seen = gr.Checkbox(True, label="Hide what I have seen", min_width=0, elem_id="hide-seen")
    with gr.Accordion("More filters, order and look", open=False, elem_id="more"), gr.Row(elem_classes="more-filters"):
        mood = gr.Radio(list(MOODS), value="Balanced", label="Mood")
        popularity = _choice(list(POPULARITY), "Any", "Popularity", 140)
        sort = _choice(list(SORTS), "Best", "Order", 140, "Best: expected stars, and a little for being well known")
        layout = gr.Radio(LAYOUTS, value=LAYOUTS[0], label="Layout")
        language = gr.Dropdown(
            languages, value=[], multiselect=True, label="Original languages", min_width=180, visible=bool(languages)
        )
        length = gr.Dropdown(
            list(LENGTHS),
            value="Any length",
            label="Length",
            filterable=False,
            min_width=140,
            visible=films["runtime"].count() > 0,
        )
        only_watchlist = gr.Checkbox(False, label="Only my watchlist", min_width=0)
        posters = gr.Checkbox(
            False,
            label="Show posters (asks the pictures' own site)",
            min_width=0,
            visible=films["image_url"].count() > 0,
        )
    return [
        genres, since, until, top, hide_seen, only_watchlist, language, length, popularity, mood, sort, layout, posters
    ]  # fmt: skip


def _choice(options: list[Any], value: Any, label: str, width: int, info: str | None = None) -> gr.Dropdown:
    return gr.Dropdown(options, value=value, label=label, info=info, filterable=False, scale=1, min_width=width)


def take_away(session: gr.State, shown: gr.State, films: pl.DataFrame, limits: Limits) -> None:
    """Buttons that save what is shown. The text goes to the browser, which saves it: no file is written here."""

    def saving(write: Callable[[Session, list[Any]], str]) -> Callable[..., str]:
        def save(now: Session, shown: list[Any], request: gr.Request) -> str:
            return limits.answer(limits.saves, request, write, now, shown)

        return save

    with gr.Row(elem_id="take-away"):
        for label, name, write in (
            ("Download as CSV", "recommendations.csv", lambda now, shown: recommendations_csv(shown)),
            ("Letterboxd list", "letterboxd-list.csv", lambda now, shown: letterboxd_list(shown, films)),
            (
                "My ratings for Letterboxd",
                "letterboxd-ratings.csv",
                lambda now, shown: letterboxd_ratings(now.ratings, films),
            ),
            ("Everything as JSON", "reel.json", everything_json),
        ):
            text = gr.Textbox(visible=False)
            gr.Button(label, size="sm", min_width=0).click(
                saving(write), [session, shown], [text], show_progress="hidden", api_visibility="private"
            ).success(None, [text], None, js=f"(text) => {{ reel.download(text, '{name}'); }}")


def two_people_tab(service: Service, session: gr.State, limits: Limits) -> None:
    """Two exports, and what comes of them."""
    people = gr.State(None), gr.State(None)
    gr.HTML(
        '<p class="quiet">Drop two exports. Without the first, your own ratings on this page count.</p>',
        apply_default_css=False,
    )
    with gr.Row(elem_id="pair"):
        files = [
            upload_field(label=label, height=124, elem_id=name, elem_classes="drop")
            for label, name in (("First person's export", "first-person"), ("Second person's export", "second-person"))
        ]
    report = gr.HTML("", apply_default_css=False, elem_id="pair-report")
    result = gr.HTML(WAITING, js_on_load="reel.pair(element, watch)", apply_default_css=False, elem_id="for-two")

    def bring(upload: str | None, before: Session | None, request: gr.Request) -> tuple[Any, ...]:
        try:
            with discarded(upload, service.folder):
                return limits.answer(limits.exports, request, service.bring_for_two, upload, before)
        except gr.Error as error:
            return None, gr.skip(), rendering.error(error.message)

    def both(request: gr.Request, now: Session, first: Session | None, second: Session | None) -> str:
        try:
            return limits.answer(limits.views, request, service.for_two, now, first, second)
        except gr.Error as error:
            return rendering.error(error.message)

    for file, person in zip(files, people, strict=True):
        file.upload(
            bring,
            [file, person],
            [file, person, report],
            concurrency_id="upload",
            show_progress="hidden",
            api_visibility="private",
        )
    gr.on(
        [person.change for person in people],
        both,
        [session, *people],
        [result],
        trigger_mode="always_last",
        concurrency_id="recommend",
        show_progress="minimal",
        api_visibility="private",
    )
