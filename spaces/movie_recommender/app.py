"""Rate films, or bring a Letterboxd export, and get recommendations: the web page of Reel.

A stand-alone Gradio app. The model is a folder or a Hub repository, named by the environment variable REEL_MODEL:

    REEL_MODEL=models/demo python app.py

Nothing about a visitor outlives the visit: ratings live in the session, an upload is deleted as soon as it is read.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
# Threads come and go with the visitors, and allocators that keep memory for every thread would grow with them. Both
# settings must be there before the first threads are.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
if sys.platform == "linux":
    ctypes.CDLL(None).mallopt(-8, 2)  # M_ARENA_MAX of glibc's malloc.h

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:  # loaded by path, as `reel demo` does
    sys.path.insert(0, str(HERE))

import gradio as gr  # noqa: E402
import rendering  # noqa: E402
from api import add_endpoints  # noqa: E402
from controls import filter_controls, take_away, two_people_tab  # noqa: E402
from gate import LARGEST_FILE, Door, Gate, Sessions, trust_proxies  # noqa: E402
from limits import Limits, visitor  # noqa: E402
from service import Page, Service  # noqa: E402
from session import Session  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from theme import THEME  # noqa: E402
from uploads import discarded, private_folder, swept, upload_field  # noqa: E402

from reel import UserError  # noqa: E402

WAITING_LIMIT = 64  # events that may wait in the queue before visitors are asked to try again
MODEL_RUNS = 2  # recommendations computed at the same time
SESSIONS = 300  # tabs whose ratings are kept, the last ones used

HEADER = """<header class="masthead"><h1>Reel</h1>
<p>Tell it what you thought of a few films. It tells you what to watch next.</p>
<a class="jump" href="#films">See what to watch</a></header>
<p id="told" class="hidden" role="status"></p>"""
FOOTER = """<footer class="colophon"><p>Your ratings are kept for this visit only. An export you bring is deleted as
soon as it has been read. This page asks nothing of any other site, but for posters, and those only when you turn them
on.</p></footer>"""


def build_app(recommender: Any, limits: Limits | None = None) -> Gate:
    """The page for one `reel.Recommender` (or anything with its methods). Launch it with `launch`."""
    service = Service(recommender, private_folder())
    limits = limits or Limits()
    newcomer = Session()
    first, yours = service.recommend(newcomer), service.yours(newcomer)
    page_js = (HERE / "page.js").read_text(encoding="utf-8")

    def find_films(text: object, request: gr.Request) -> list[dict[str, Any]] | None:
        """What the search box calls directly; None when there is no answer."""
        try:
            return limits.answer(limits.searches, request, service.find_films, text)
        except gr.Error:
            return None

    with Gate(
        service.folder,
        limits,
        title="Reel: what to watch next",
        analytics_enabled=False,
    ) as app:
        session = gr.State(newcomer)
        shown = gr.State(first.films)
        gr.HTML(HEADER, apply_default_css=False)
        with gr.Row(elem_id="columns"):
            with gr.Column(elem_id="you", scale=5, min_width=300):
                question = gr.HTML(
                    yours.question,
                    head=f"<script>{page_js}</script>",  # of the first part on the page, as the others need it
                    js_on_load="reel.question(element, (data) => trigger('edit', data), watch)",
                    apply_default_css=False,
                    elem_id="question",
                )
                search = gr.HTML(
                    yours.search,
                    html_template=(HERE / "search.html").read_text(encoding="utf-8"),
                    js_on_load="reel.search(element, trigger, props, server, watch)",
                    server_functions=[find_films],
                    apply_default_css=False,
                    elem_id="search",
                )
                film = gr.HTML("", apply_default_css=False, elem_id="film")
                gr.HTML(
                    '<h2>Import from Letterboxd</h2><p class="quiet">The zip of your account export '
                    "(Settings, Data), or its ratings.csv or diary.csv.</p>",
                    apply_default_css=False,
                    elem_classes="section",
                )
                upload = upload_field(
                    label="Account export", show_label=False, height=124, elem_id="upload", elem_classes="drop"
                )
                report = gr.HTML("", apply_default_css=False, elem_id="report")
                heading = gr.HTML(yours.heading, apply_default_css=False, elem_classes="section")
                ratings = gr.HTML(
                    yours.ratings,
                    js_on_load="reel.ratings(element, (data) => trigger('edit', data), watch)",
                    apply_default_css=False,
                    elem_id="ratings",
                )
            with gr.Column(elem_id="films", scale=9, min_width=300), gr.Tabs():
                with gr.Tab("What to watch"):
                    status = gr.HTML(first.summary, apply_default_css=False, elem_id="status")
                    filters = filter_controls(recommender)
                    table = gr.HTML(
                        first.table,
                        js_on_load="reel.table(element, watch)",
                        apply_default_css=False,
                        elem_id="recommendations",
                    )
                    pages = gr.HTML(
                        first.pages,
                        js_on_load="reel.pages(element, (data) => trigger('select', data))",
                        apply_default_css=False,
                        elem_id="pages",
                    )
                    take_away(session, shown, recommender.catalogue.films, limits)
                with gr.Tab("Two people"):
                    two_people_tab(service, session, limits)
                with gr.Tab("Your taste"):
                    taste = gr.HTML(yours.taste, apply_default_css=False, elem_id="taste")
        gr.HTML(FOOTER, apply_default_css=False)

        left = [session, search, question, heading, ratings, taste, report]

        def remembered(request: gr.Request, before: Session, yours: tuple[Any, ...]) -> tuple[Any, ...]:
            """`yours`, which begins with a session; whose it is is remembered while something is in it."""
            if yours[0] != before:
                app.begun.note(visitor(request), yours[0] != Session())
            return yours

        def edit(now: Session, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
            forgotten = visitor(request) in app.begun and now == Session()
            yours = limits.answer(limits.edits, request, service.edit, now, event._data, forgotten)
            return remembered(request, now, yours)

        def look(now: Session, event: gr.EventData, request: gr.Request) -> str:
            try:
                return limits.answer(limits.views, request, service.look, now, event._data)
            except gr.Error as error:
                return rendering.error(error.message)

        def bring_export(path: str | None, now: Session, request: gr.Request) -> tuple[Any, ...]:
            try:
                with discarded(path, service.folder):
                    emptied, *yours = limits.answer(limits.exports, request, service.bring_export, path, now)
            except gr.Error as error:
                return None, *(gr.skip() for _ in left[1:]), rendering.error(error.message)
            return emptied, *remembered(request, now, tuple(yours))

        def refresh(request: gr.Request, now: Session, *values: Any, page: int = 1) -> tuple[Any, ...]:
            try:
                found = limits.answer(limits.views, request, service.recommend, now, *values, page)
            except gr.Error as error:
                found = Page([], rendering.error(error.message), "")
            return found.films, found.summary, found.table, found.pages

        def turn(request: gr.Request, event: gr.EventData, now: Session, *values: Any) -> tuple[Any, ...]:
            page = event._data.get("page") if isinstance(event._data, dict) else 1
            return refresh(request, now, *values, page=page if isinstance(page, int) else 1)

        for part in (search, question, ratings):
            # One at a time and none dropped: three quick ratings must all arrive.
            part.edit(
                edit,
                [session],
                left,
                trigger_mode="multiple",
                concurrency_limit=1,
                concurrency_id="edit",
                show_progress="hidden",
                api_visibility="private",
            ).failure(None, js="() => reel.undo()")
        search.select(
            look, [session], [film], trigger_mode="always_last", show_progress="hidden", api_visibility="private"
        )
        session.change(None, None, [film], js="() => ''")  # what was said of a film is no longer so
        upload.upload(
            bring_export,
            [upload, session],
            [upload, *left],
            concurrency_limit=MODEL_RUNS,
            concurrency_id="upload",
            show_progress="hidden",
            api_visibility="private",
        )
        outputs = [shown, status, table, pages]
        gr.on(
            [session.change, *(choice.change for choice in filters)],
            refresh,
            [session, *filters],
            outputs,
            trigger_mode="always_last",
            concurrency_limit=MODEL_RUNS,
            concurrency_id="recommend",
            show_progress="minimal",
            show_progress_on=[table],
            api_visibility="private",
        )
        pages.select(
            turn,
            [session, *filters],
            outputs,
            trigger_mode="always_last",
            concurrency_id="recommend",
            show_progress="hidden",
            api_visibility="private",
        )
        add_endpoints(service, limits)
    return app.queue(max_size=WAITING_LIMIT)


DEEP_LINK = "/gradio_api/deep_link"


def launch(app: Gate, **options: Any) -> str:
    """Serve `app` with this page's look and limits; `options` are Gradio's own. Returns the address."""
    settings: dict[str, Any] = {
        "theme": THEME,
        "css_paths": HERE / "style.css",
        "max_file_size": LARGEST_FILE,
        "app_kwargs": {"middleware": [Middleware(Door, limits=app.limits)], "lifespan": lambda _: swept(app.folder)},
        "state_session_capacity": SESSIONS,
        "run_history": False,
        "enable_monitoring": False,
        "footer_links": [],
        "pwa": False,
        "share": False,
        "ssr_mode": False,
        "quiet": True,
    }
    trust_proxies()
    server, address, _ = app.launch(**(settings | options))
    server.state_holder = Sessions(app.begun)
    server.state_holder.set_blocks(app)
    # Gradio would write a session to disk for whoever knows its hash.
    routes = server.router.routes
    routes[:] = [route for route in routes if getattr(route, "path", None) != DEEP_LINK]
    return address


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
