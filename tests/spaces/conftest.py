"""The Space's folder on the path: it is no package, as a Space is not. And the page over a toy catalogue, served by
this process and opened in the system's Chromium."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.spaces.browsing import DESKTOP, Look, Site, Visit, rows

SPACE = Path(__file__).resolve().parents[2] / "spaces" / "movie_recommender"
sys.path.insert(0, str(SPACE))

PATIENCE = 120_000  # milliseconds; a busy machine is slow, not wrong


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    pytest.importorskip("gradio", reason="Gradio is not installed (extra: demo)")
    from reel import demo
    from tests.spaces.fake_recommender import FakeRecommender

    space = demo.load_space(demo.SPACE)
    app = space.build_app(FakeRecommender())
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    address = space.launch(app, prevent_thread_lock=True, server_name="127.0.0.1")
    yield Site(address, folder)
    app.close(verbose=False)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (extra: test)")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine (Debian: apt install chromium)")
    sync_api.expect.set_options(timeout=PATIENCE)
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def contexts(browser: Any) -> Iterator[dict[Look, Any]]:
    """A browser profile for every look: visits that share its cache load in a moment, and share nothing else."""
    contexts: dict[Look, Any] = {}
    yield contexts
    for context in contexts.values():
        context.close()


@pytest.fixture
def visit(site: Site, browser: Any, contexts: dict[Look, Any], request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A fresh visit. Whatever the test does, the page asks no other host for anything, its console stays clean, and
    nothing makes it wider than the screen."""
    look: Look = getattr(request, "param", DESKTOP)
    if look not in contexts:
        contexts[look] = browser.new_context(
            viewport={"width": look.width, "height": look.height},
            color_scheme=look.scheme,
            has_touch=look.width < 640,
        )
    visit = Visit(contexts[look].new_page())
    page = visit.page
    page.set_default_timeout(PATIENCE)
    page.on("request", lambda asked: visit.requested.append(asked.url))
    page.on("console", lambda said: said.type == "error" and visit.complaints.append(said.text))
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.goto(site.address)
    rows(page).first.wait_for()
    yield visit
    title, dark = page.title(), "dark" in (page.get_attribute("body", "class") or "").split()
    width = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    strangers = {url for url in visit.requested if urlsplit(url).scheme not in ("data", "blob")}
    assert {urlsplit(url).hostname for url in strangers} == visit.hosts
    assert visit.complaints == []
    assert title == "Reel: what to watch next"
    assert dark == (look.scheme == "dark")
    assert width <= look.width
