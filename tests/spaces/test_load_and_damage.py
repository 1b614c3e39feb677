"""The page under damaged exports and several visitors at once: small versions of the benchmarks."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("gradio", reason="Gradio is not installed (extra: demo)")

from benchmarks.page_visitor import Visitor, client_of, film_asked_about, open_page
from benchmarks.space_load import load
from benchmarks.space_mutations import upload_all
from reel import demo
from tests.spaces.browsing import Site, done
from tests.spaces.fake_recommender import FakeRecommender


def test_damaged_exports_are_read_or_refused_and_leave_nothing(site: Site) -> None:
    ends, failures = done(upload_all(site.address, site.folder, FakeRecommender(), cases=48))
    assert failures == []
    assert set(ends) == {"read", "refused in a sentence"}


def test_nobody_can_have_a_session_written_to_disk(site: Site) -> None:
    async def answer() -> int:
        async with client_of(site.address, 1) as client:
            session = (await open_page(client)).session
            response = await client.get("/gradio_api/deep_link", params={"session_hash": session})
            return response.status_code

    assert done(answer()) == 404
    assert not list(site.folder.rglob("deep_links"))


def test_several_visitors_at_once(site: Site) -> None:
    took, errors = done(load(site.address, visitors=5, seconds=6))
    assert errors == []
    assert took


def test_who_was_forgotten_is_told() -> None:
    space = demo.load_space(demo.SPACE)
    app = space.build_app(FakeRecommender())
    address = space.launch(app, prevent_thread_lock=True, server_name="127.0.0.1", state_session_capacity=2)

    async def reports() -> list[Any]:
        async with client_of(address, 1) as client:
            visitors = [await open_page(client) for _ in range(3)]
            film_id = film_asked_about(visitors[0].first_question)
            await report_of_rating(visitors[0], "no-such-film")  # which leaves nothing to forget
            return [await report_of_rating(visitors[number], film_id) for number in (0, 0, 1, 2, 0, 0)]

    async def report_of_rating(visitor: Visitor, film_id: str) -> Any:
        edited = await visitor.fire(
            visitor.event("question", "edit"), {"action": "rate", "film_id": film_id, "rating": 7}
        )
        return edited[visitor.parts["report"]["id"]]

    try:
        told = [isinstance(report, str) and "forgotten" in report for report in done(reports())]
    finally:
        app.close(verbose=False)
    assert told == [False, False, False, False, True, False]
