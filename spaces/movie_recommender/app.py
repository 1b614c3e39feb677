"""Rate films, or bring a Letterboxd export, and get recommendations: the web page of Reel.

A stand-alone Gradio app. The model is a folder or a Hub repository, named by the environment variable REEL_MODEL:

    REEL_MODEL=models/demo python app.py

Nothing about a visitor outlives the visit: ratings live in the session, an upload is deleted as soon as it is read.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:  # loaded by path, as `reel demo` does
    sys.path.insert(0, str(HERE))

import gradio as gr  # noqa: E402
from service import COUNTS, Service  # noqa: E402
from session import Session  # noqa: E402
from takeaway import recommendations_csv  # noqa: E402
from theme import THEME  # noqa: E402
from uploads import ABANDONED_AFTER, private_folder  # noqa: E402

from reel import UserError  # noqa: E402

UPLOAD_LIMIT = "20mb"
WAITING_LIMIT = 64  # events that may wait in the queue before visitors are asked to try again
MODEL_RUNS = 2  # recommendations computed at the same time

HEADER = """<header class="masthead"><h1>Reel</h1>
<p>Tell it what you thought of a few films. It tells you what to watch next.</p></header>"""
FOOTER = """<footer class="colophon"><p>Your ratings are kept for this visit only. An export you bring is deleted as
soon as it has been read. This page asks nothing of any other site.</p></footer>"""


def build_app(recommender: Any) -> gr.Blocks:
    """The page for one `reel.Recommender` (or anything with its methods). Launch it with `launch`."""
    service = Service(recommender, private_folder())
    first = service.recommend(Session())
    page_js = (HERE / "page.js").read_text(encoding="utf-8")

    def find_films(text: object) -> list[dict[str, Any]]:
        return service.find_films(text)

    with gr.Blocks(
        title="Reel: what to watch next", analytics_enabled=False, delete_cache=(300, ABANDONED_AFTER)
    ) as app:
        session = gr.State(Session())
        shown = gr.State(first.films)
        gr.HTML(HEADER, apply_default_css=False)
        with gr.Row(elem_id="columns"):
            with gr.Column(elem_id="you", scale=5, min_width=300):
                search = gr.HTML(
                    service.search_state(Session()),
                    html_template=(HERE / "search.html").read_text(encoding="utf-8"),
                    head=f"<script>{page_js}</script>",
                    js_on_load="reel.search(element, (data) => trigger('edit', data), props, server, watch)",
                    server_functions=[find_films],
                    apply_default_css=False,
                    elem_id="search",
                )
                gr.HTML(
                    '<h2>Import from Letterboxd</h2><p class="quiet">The zip of your account export '
                    "(Settings, Data), or its ratings.csv or diary.csv.</p>",
                    apply_default_css=False,
                    elem_classes="section",
                )
                upload = gr.File(
                    label="Account export", show_label=False, height=124, elem_id="upload", elem_classes="drop"
                )
                report = gr.HTML("", apply_default_css=False, elem_id="report")
                heading = gr.HTML(service.ratings_heading(Session()), apply_default_css=False, elem_classes="section")
                ratings = gr.HTML(
                    service.ratings_list(Session()),
                    js_on_load="reel.ratings(element, (data) => trigger('edit', data), watch)",
                    apply_default_css=False,
                    elem_id="ratings",
                )
            with gr.Column(elem_id="films", scale=9, min_width=300):
                gr.HTML("<h2>What to watch next</h2>", apply_default_css=False)
                status = gr.HTML(first.summary, apply_default_css=False, elem_id="status")
                with gr.Row(elem_id="filters"):
                    genres = gr.Dropdown(
                        list(recommender.genres), value=[], multiselect=True, label="Genres", scale=3, min_width=200
                    )
                    first_year, last_year = recommender.years
                    since = gr.Textbox(
                        label="From year",
                        placeholder=str(first_year),
                        max_length=4,
                        max_lines=1,
                        scale=1,
                        min_width=84,
                    )
                    until = gr.Textbox(
                        label="To year", placeholder=str(last_year), max_length=4, max_lines=1, scale=1, min_width=84
                    )
                    top = gr.Dropdown(
                        COUNTS, value=COUNTS[1], label="How many", filterable=False, scale=1, min_width=96
                    )
                    hide_seen = gr.Checkbox(True, label="Hide what I have seen", min_width=0, elem_id="hide-seen")
                table = gr.HTML(
                    first.table, js_on_load="reel.table(element)", apply_default_css=False, elem_id="recommendations"
                )
                download = gr.Button("Download as CSV", size="sm", elem_id="download")
                csv_text = gr.Textbox(visible=False)
        gr.HTML(FOOTER, apply_default_css=False)

        yours = [session, search, heading, ratings, report]

        def edit(now: Session, event: gr.EventData) -> tuple[Any, ...]:
            return service.edit(now, event._data)

        for part in (search, ratings):
            # One at a time and none dropped: three quick ratings must all arrive.
            part.edit(
                edit,
                [session],
                yours,
                trigger_mode="multiple",
                concurrency_limit=1,
                concurrency_id="edit",
                show_progress="hidden",
                api_visibility="private",
            )
        upload.upload(
            service.bring_export,
            [upload, session],
            [upload, *yours],
            concurrency_limit=MODEL_RUNS,
            concurrency_id="upload",
            show_progress="hidden",
            api_visibility="private",
        )
        filters = [genres, since, until, top, hide_seen]

        def recommend(*values: Any) -> tuple[Any, ...]:
            page = service.recommend(*values)
            return page.films, page.summary, page.table

        gr.on(
            [session.change, *(choice.change for choice in filters)],
            recommend,
            [session, *filters],
            [shown, status, table],
            trigger_mode="always_last",
            concurrency_limit=MODEL_RUNS,
            concurrency_id="recommend",
            show_progress="minimal",
            show_progress_on=[table],
            api_visibility="private",
        )
        # The text goes to the browser, which saves it: no file is written here.
        download.click(
            recommendations_csv, [shown], [csv_text], show_progress="hidden", api_visibility="private"
        ).then(None, [csv_text], None, js="(text) => { reel.download(text); }")
    return app.queue(max_size=WAITING_LIMIT)


def launch(app: gr.Blocks, **options: Any) -> str:
    """Serve `app` with this page's look and limits; `options` are Gradio's own. Returns the address."""
    settings: dict[str, Any] = {
        "theme": THEME,
        "css_paths": HERE / "style.css",
        "max_file_size": UPLOAD_LIMIT,
        "run_history": False,
        "enable_monitoring": False,
        "footer_links": [],
        "pwa": False,
        "share": False,
        "ssr_mode": False,
        "quiet": True,
    }
    return app.launch(**(settings | options))[1]


def serve(model: str, **options: Any) -> None:
    """Load the model, serve the page until stopped, and say where it is.

    Raises:
        UserError: the model cannot be loaded, or the port is taken.
    """
    from reel import Recommender

    app = build_app(Recommender.from_pretrained(model))
    try:
        address = launch(app, prevent_thread_lock=True, **options)
    except OSError as error:  # Gradio's word for a port in use
        raise UserError(f"port {options.get('server_port')}: it is in use; choose another with --port") from error
    print(f"Reel is at {address} (Ctrl-C stops it)", flush=True)
    if threading.current_thread() is threading.main_thread():
        # Without this, a stopped container would leave the upload folder behind.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    app.block_thread()


def main() -> None:
    """What the Space runs."""
    model = os.environ.get("REEL_MODEL", "")
    if not model:
        sys.exit("error: REEL_MODEL is not set; give it a model folder or a repository on the Hub")
    try:
        serve(model)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
