"""The page under damaged exports and several visitors at once: small versions of the benchmarks."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("gradio", reason="Gradio is not installed (extra: demo)")

from benchmarks.space_load import load
from benchmarks.space_mutations import upload_all
from tests.spaces.browsing import Site
from tests.spaces.fake_recommender import FakeRecommender


def done(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of `work`, in a thread of its own: the browser of other tests has an event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def test_damaged_exports_are_read_or_refused_and_leave_nothing(site: Site) -> None:
    ends, failures = done(upload_all(site.address, site.folder, FakeRecommender(), cases=48))
    assert failures == []
    assert set(ends) == {"read", "refused in a sentence"}


def test_several_visitors_at_once(site: Site) -> None:
    took, errors = done(load(site.address, visitors=5, seconds=6))
    assert errors == []
    assert took
