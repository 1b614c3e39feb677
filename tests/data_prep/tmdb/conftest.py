"""A TMDB of invented films on this machine, and a client of it that waits in no real time."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data_prep.tmdb.cache import AnswerCache
from data_prep.tmdb.client import TmdbClient
from tests.data_prep.tmdb.fake_tmdb import TOKEN, FakeTmdb, film, serving

FILMS = [
    film(1, "The Lighthouse Eats", "1999-03-30"),
    film(2, "Æther & Ash", "2004-11-02", original_title="Eldur og aska"),
    film(3, "Twin", "2010-05-05"),
    film(4, "Twin", "2010-08-09"),
    film(5, "Twin Peaks Nowhere", "2010-01-01"),
    film(6, "Nothing Known", "", runtime=0, genres=[], overview="", poster_path=None, imdb_id="", spoken_languages=[]),
    film(7, "Winter Without End", "2015-12-30"),
]


class Clock:
    """A clock that only sleeping moves on; `slept` are the pauses."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


_ssl_context = functools.cache(ssl.create_default_context)


@pytest.fixture(autouse=True)
def one_ssl_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every new client would else spend a tenth of a second on reading certificates, which nothing here needs."""
    monkeypatch.setattr(ssl, "create_default_context", _ssl_context)


@pytest.fixture
def tmdb(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTmdb]:
    monkeypatch.setenv("TMDB_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(FakeTmdb(FILMS)) as fake:
        yield fake


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[AnswerCache]:
    with AnswerCache(tmp_path / "tmdb.sqlite") as cache:
        yield cache


@pytest.fixture
def client(tmdb: FakeTmdb, cache: AnswerCache, clock: Clock) -> Iterator[TmdbClient]:
    with TmdbClient(cache, TOKEN, base_url=tmdb.url, sleep=clock.sleep, clock=clock) as client:
        yield client


@pytest.fixture
def run(tmdb: FakeTmdb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The command `reel data tmdb` with the local server and a cache of the test's own, as fast as it goes."""
    from data_prep.tmdb import client
    from data_prep.tmdb.command import main

    monkeypatch.setattr(client, "REQUESTS_PER_SECOND", 1e6)

    def run(*arguments: str | Path) -> None:
        main([*map(str, arguments), "--base-url", tmdb.url, "--cache", str(tmp_path / "cache.sqlite")])

    return run
