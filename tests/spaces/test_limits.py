"""What the page refuses: too much of anything, files that nobody uploaded; and what it says when something breaks."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("gradio", reason="Gradio is not installed (extra: demo)")

import gradio as gr
import safehttpx
import takeaway
from gate import LARGEST_BODY, LARGEST_JSON, NOT_UPLOADED, UPLOAD, trust_proxies
from gradio import processing_utils
from limits import SHARED, SORRY, TOO_FAST, Busy, Limits, RateLimit, network
from session import Session
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from benchmarks.page_visitor import PageError, Visitor, client_of, open_page
from reel import demo
from reel.next_film import NextFilm
from tests.spaces.browsing import EXPORT, Site, click_stars, done, rate
from tests.spaces.fake_recommender import FakeRecommender

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (extra: test)").expect


@contextmanager
def page_with(limits: Limits) -> Iterator[Site]:
    """The page under other limits."""
    space = demo.load_space(demo.SPACE)
    app = space.build_app(FakeRecommender(), limits)
    address = space.launch(app, prevent_thread_lock=True, server_name="127.0.0.1")
    try:
        yield Site(address, Path(os.environ["GRADIO_TEMP_DIR"]))
    finally:
        app.close(verbose=False)


def on(site: Site, visit: Callable[[Visitor], Coroutine[Any, Any, Any]]) -> Any:
    """What one visit of a page comes to."""

    async def whole() -> Any:
        async with client_of(site.address, 4) as client:
            return await visit(await open_page(client))

    return done(whole())


async def refusal(event: Coroutine[Any, Any, Any]) -> str:
    """What the page says instead of an answer."""
    try:
        return f"answered {await event}"
    except PageError as error:
        return str(error)


def asking(session: str = "a", host: str = "192.0.2.1") -> Any:
    """A request, as far as limits look at it."""
    return SimpleNamespace(session_hash=session, client=SimpleNamespace(host=host))


def test_a_bucket_is_emptied_and_refilled() -> None:
    limit = RateLimit(per_second=20, burst=2)
    limit.take("a"), limit.take("a"), limit.take("b")
    with pytest.raises(Busy, match="wait a moment"):
        limit.take("a")
    for _ in range(3):  # who knocks on meanwhile waits no longer for it
        time.sleep(0.04)
        with pytest.raises(Busy):
            limit.take("a", cost=2.5)
    limit.take("a")


def test_new_names_of_sessions_do_not_get_one_address_any_further() -> None:
    limits = Limits(edits=RateLimit(0.001, 2))
    for number in range(2 * SHARED):
        assert limits.answer(limits.edits, asking(f"session {number}"), int, "7") == 7
    with pytest.raises(gr.Error, match=TOO_FAST):
        limits.answer(limits.edits, asking("another"), int, "7")
    assert limits.answer(limits.edits, asking("another", "192.0.2.2"), int, "7") == 7


def test_one_session_cannot_have_what_its_address_may() -> None:
    limits = Limits(edits=RateLimit(0.001, 2))
    for _ in range(2):
        limits.answer(limits.edits, asking(), int, "7")
    with pytest.raises(gr.Error, match=TOO_FAST):
        limits.answer(limits.edits, asking(), int, "7")
    limits.answer(limits.edits, asking("another of the household"), int, "7")


def test_an_address_is_a_customers() -> None:
    assert network("192.0.2.1") == "192.0.2.1"
    assert network("2001:db8:1:2:3::4") == network("2001:db8:1:2:ffff::") == "2001:db8:1:2::/64"
    assert network("2001:db8:1:3::") != network("2001:db8:1:2::")
    assert network("::ffff:192.0.2.1") == "192.0.2.1"
    assert network("unix") == "unix"


def test_everything_ends_in_time() -> None:
    limits = Limits(seconds=0.05)
    for limit in (limits.edits, limits.views):
        with pytest.raises(gr.Error, match="took too long"):
            limits.answer(limit, asking(), time.sleep, 0.3)


def test_a_spaces_visitors_are_told_apart_and_nobody_forges_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "")
    monkeypatch.delenv("FORWARDED_ALLOW_IPS")
    monkeypatch.delenv("SPACE_ID", raising=False)
    trust_proxies()
    assert "FORWARDED_ALLOW_IPS" not in os.environ
    monkeypatch.setenv("SPACE_ID", "user/reel")
    trust_proxies()
    seen = []

    async def note(scope: Any, *_: Any) -> None:
        seen.append(scope["client"][0])

    proxied = ProxyHeadersMiddleware(note, os.environ["FORWARDED_ALLOW_IPS"])
    header = (b"x-forwarded-for", b"198.51.100.66, 203.0.113.9, 10.4.5.6")  # the first is what the visitor wrote
    for peer in ("10.1.2.3", "203.0.113.10"):
        done(proxied({"type": "http", "client": (peer, 1), "headers": [header]}, None, None))  # type: ignore[arg-type]
    assert seen == ["203.0.113.9", "203.0.113.10"]


@pytest.mark.parametrize(
    "path", ["https://example.com/letterboxd.zip", "http://127.0.0.1/", "/etc/hostname", "\0", ""]
)
def test_only_what_was_uploaded_here_is_read(site: Site, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def download(url: str, **_: Any) -> str:
        asked.append(url)
        raise OSError("no request may be made")

    monkeypatch.setattr(processing_utils, "async_ssrf_protected_download", download)
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}

    async def visit(visitor: Visitor) -> list[str]:
        said = [
            await refusal(visitor.fire(visitor.event(part, "upload"), **{part: file}))
            for part in ("upload", "first-person", "second-person")
        ]
        called = {
            "read_export": [file],
            "recommend": [[file], 5, [], 0, 0],  # no input for files, and yet Gradio would look for them
        }
        for name, data in called.items():
            started = await visitor.client.post(f"/gradio_api/call/{name}", json={"data": data})
            answer = await visitor.client.get(f"/gradio_api/call/{name}/{started.json()['event_id']}")
            said.append(answer.text)
            said.append((await visitor.client.post(f"/gradio_api/run/{name}", json={"data": data})).text)
        return said

    said = on(site, visit)
    assert [sentence for sentence in said if NOT_UPLOADED not in sentence] == []
    assert asked == []
    assert list(site.folder.rglob("*")) == []


def test_the_folder_of_uploads_itself_is_no_upload(site: Site) -> None:
    async def visit(visitor: Visitor) -> list[str]:
        sent = await visitor.client.post("/gradio_api/upload", files={"files": ("ratings.csv", EXPORT.encode())})
        path = Path(sent.json()[0])
        files = ({"path": str(one), "meta": {"_type": "gradio.FileData"}} for one in (path.parent, path.parent.parent))
        said = [await refusal(visitor.fire(visitor.event("upload", "upload"), upload=file)) for file in files]
        assert path.read_text() == EXPORT.replace("\r\n", "\n")
        shutil.rmtree(path.parent)
        return said

    assert on(site, visit) == [NOT_UPLOADED] * 2


@pytest.mark.parametrize(
    "file", ["/etc/hostname", ["/etc/hostname"], {"path": "/etc/hostname"}, {"path": "x", "meta": None}, 7]
)
def test_what_describes_no_file_is_none(site: Site, file: Any, capfd: pytest.CaptureFixture[str]) -> None:
    async def visit(visitor: Visitor) -> str:
        return await refusal(visitor.fire(visitor.event("upload", "upload"), upload=file))

    assert on(site, visit) == NOT_UPLOADED
    assert "hostname" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("route", ["file=", "file/", "proxy="])
def test_no_address_is_fetched_and_no_file_handed_out(site: Site, route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def resolve(host: str) -> str:
        asked.append(host)
        return "192.0.2.1"

    monkeypatch.setattr(safehttpx, "async_validate_url", resolve)

    async def visit(visitor: Visitor) -> list[int]:
        sent = await visitor.client.post("/gradio_api/upload", files={"files": ("ratings.csv", EXPORT.encode())})
        path = Path(sent.json()[0])
        targets = ("https://example.com/film", "http://example.com/film", str(path))
        answers = [await visitor.client.get(f"/gradio_api/{route}{target}") for target in targets]
        answers += [await visitor.client.head(f"/gradio_api/{route}{target}") for target in targets]
        shutil.rmtree(path.parent)
        return [answer.status_code for answer in answers]

    assert set(on(site, visit)) == {404}
    assert asked == []


def test_calls_of_programs_push_out_nobody_who_has_rated_something() -> None:
    space = demo.load_space(demo.SPACE)
    app = space.build_app(FakeRecommender())
    address = space.launch(app, prevent_thread_lock=True, server_name="127.0.0.1", state_session_capacity=3)
    secret = {"film_id": "film-1", "rating": 7}

    async def visit(visitor: Visitor) -> list[dict[int, Any]]:
        question = visitor.event("question", "edit")
        rated = [await visitor.fire(question, {"action": "rate", "film_id": "film-2", "rating": 9})]
        for _ in range(6):
            called = await visitor.client.post("/gradio_api/call/predict", json={"data": [[secret], ["film-3"]]})
            answer = await visitor.client.get(f"/gradio_api/call/predict/{called.json()['event_id']}")
            assert "expected_rating" in answer.text
        return [*rated, await visitor.fire(question, {"action": "rate", "film_id": "film-3", "rating": 9})]

    try:
        *_, last = on(Site(address, Path()), visit)
        kept = app.state_holder.session_data
        assert len(kept) == 3
        assert all(not session.config_values for session in kept.values())  # where Gradio notes what was sent
    finally:
        app.close(verbose=False)
    assert any("film-2" in str(value) and "film-3" in str(value) for value in last.values())


def test_large_json_is_refused_or_counted() -> None:
    async def visit(visitor: Visitor) -> list[int]:
        answers = [
            await visitor.client.post("/gradio_api/run/predict", json={"data": ["x" * size, []]})
            for size in (LARGEST_JSON + 1, 100_000, 100_000, 100)
        ]
        answers += [await visitor.client.get("/gradio_api/upload") for _ in range(3)]
        sent = await visitor.client.post("/gradio_api/upload", files={"files": ("ratings.csv", EXPORT.encode())})
        shutil.rmtree(Path(sent.json()[0]).parent)
        return [answer.status_code for answer in (*answers, sent)]

    with page_with(Limits(megabytes=RateLimit(0.0001, 1.2))) as site:
        assert on(site, visit) == [413, 500, 429, 500, 405, 405, 405, 200]


def test_a_refused_rating_is_not_shown_as_given(browser: Any) -> None:
    page = browser.new_page()
    with page_with(Limits(edits=RateLimit(0.0001, 1))) as site:
        page.goto(site.address)
        rate(page, "lantern keep", "The Lantern Keeper", 9)
        row = page.locator("#ratings .stars")
        click_stars(row, 3)
        expect(page.get_by_text(TOO_FAST)).to_be_visible()
        expect(row.locator("input")).to_have_value("9")
        page.close()


def test_too_few_values_are_refused_without_printing_them(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    async def visit(visitor: Visitor) -> str:
        started = await visitor.client.post("/gradio_api/call/recommend", json={"data": ["secret title"]})
        return (await visitor.client.get(f"/gradio_api/call/recommend/{started.json()['event_id']}")).text

    assert "fewer values" in on(site, visit)
    assert "secret" not in "".join(capfd.readouterr())


def test_an_upload_over_the_limit_is_deleted_too() -> None:
    async def visit(visitor: Visitor) -> list[str]:
        return [await refusal(visitor.bring("ratings.csv", EXPORT.encode())) for _ in range(2)]

    with page_with(Limits(exports=RateLimit(0.0001, 1))) as site:
        first, second = on(site, visit)
        assert "2 of 3 rated films" in first
        assert TOO_FAST in second  # in the report, with the field empty for another attempt
        assert list(site.folder.rglob("*")) == []


def test_uploads_are_counted_where_they_arrive() -> None:
    async def visit(visitor: Visitor) -> list[str]:
        return [await refusal(visitor.bring("ratings.csv", EXPORT.encode())) for _ in range(3)]

    with page_with(Limits(megabytes=RateLimit(0.0001, 0.25))) as site:
        *_, third = on(site, visit)
        assert third == f"429: {TOO_FAST}"
        assert list(site.folder.rglob("*")) == []


def test_large_bodies_and_files_for_other_routes_are_refused(site: Site) -> None:
    async def in_pieces() -> Any:
        for _ in range(LARGEST_BODY // 2**20 + 1):
            yield bytes(2**20)

    async def visit(visitor: Visitor) -> list[int]:
        ask = visitor.client.post
        answers = [
            await ask("/gradio_api/queue/join", content=in_pieces(), headers={"content-type": "application/json"}),
            await ask("/gradio_api/process_recording", files={"video": ("a.mp4", b"x")}),
            await ask("/gradio_api/component_server", files={"data": ("a", b"x")}),
        ]
        return [await announced(LARGEST_BODY + 1), *(answer.status_code for answer in answers)]

    async def announced(length: int) -> int:
        """What a body of that length is answered before any of it is sent."""
        url = urlsplit(site.address)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(f"POST {UPLOAD} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {length}\r\n\r\n".encode())
        status = await reader.readline()
        writer.close()
        return int(status.split()[1])

    assert on(site, visit) == [413, 413, 415, 415]


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("secret title")


def test_whatever_breaks_is_one_sentence_and_logs_no_data(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def visit(visitor: Visitor) -> list[str]:
        def press(button: str) -> Any:
            found = next(part for part in visitor.by_id.values() if part["props"].get("value") == button)
            return visitor.fire(visitor.events[found["id"], "click"])

        async def bring(part: str) -> dict[int, Any]:
            sent = await visitor.client.post(UPLOAD, files={"files": ("ratings.csv", EXPORT.encode())})
            file = {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}
            return await visitor.fire(visitor.event(part, "upload"), **{part: file})

        edit = {"action": "rate", "film_id": "film-1", "rating": 9}
        await visitor.fire(visitor.event("question", "edit"), edit)
        await bring("second-person")
        second_person = visitor.event("second-person", "upload")["inputs"][1]
        with monkeypatch.context() as patch:
            for owner, name in (
                (NextFilm, "suggest"),
                (FakeRecommender, "rank"),
                (FakeRecommender, "predict"),
                (Session, "add_export"),
                (takeaway, "_csv"),
            ):
                patch.setattr(owner, name, broken)
            events = [
                visitor.fire(visitor.event("question", "edit"), edit),
                visitor.fire(visitor.event("search", "select"), {"film_id": "film-2"}),
                visitor.fire(visitor.refresh),
                bring("upload"),
                bring("first-person"),
                visitor.fire(visitor.events[second_person, "change"]),
                press("Download as CSV"),
                press("Letterboxd list"),
                press("My ratings for Letterboxd"),
            ]
            said = [await refusal(event) for event in events]
            started = await visitor.client.post("/gradio_api/call/predict", json={"data": [[], ["film-1"]]})
            answer = await visitor.client.get(f"/gradio_api/call/predict/{started.json()['event_id']}")
            return [*said, answer.text]

    with page_with(Limits()) as site:
        said = on(site, visit)
        assert list(site.folder.rglob("*")) == []
    assert [sentence for sentence in said if SORRY not in sentence] == []
    printed = caplog.text + "".join(capfd.readouterr())
    assert "RuntimeError" in caplog.text
    assert "secret" not in printed
    assert "Traceback" not in printed
