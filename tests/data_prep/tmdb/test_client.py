"""The client against a server that gives answers of every kind."""

from __future__ import annotations

import datetime
import email.utils
import json
import sqlite3
import time
from pathlib import Path

import pytest

from data_prep.errors import UserError
from data_prep.tmdb import client as client_module
from data_prep.tmdb.cache import LONGEST_AGE, AnswerCache
from data_prep.tmdb.client import ATTEMPTS, LONGEST_WAIT, NotCached, TmdbClient, token_from_environment
from tests.data_prep.tmdb.conftest import Clock
from tests.data_prep.tmdb.fake_tmdb import TOKEN, FakeTmdb, Reply, film, refusal

FILM = json.dumps(film(1, "The Lighthouse Eats")).encode()
BUSY = refusal(429, 25, "Your request count (41) is over the allowed limit of 40.")


def test_a_film_by_id_by_imdb_id_by_title_and_by_date(tmdb: FakeTmdb, client: TmdbClient) -> None:
    found = client.film(1)
    assert found is not None
    assert (found.title, found.runtime) == ("The Lighthouse Eats", 61)
    assert [film.tmdb_id for film in client.find("tt0000002")] == [2]
    assert [film.tmdb_id for film in client.search("twin", 2010)] == [3, 4, 5]
    page = client.discover(datetime.date(2010, 1, 1), datetime.date(2010, 12, 31), 1)
    assert ([film.tmdb_id for film in page.films], page.total_pages) == ([5, 3, 4], 1)
    assert tmdb.requests == [
        ("/3/movie/1", {}),
        ("/3/find/tt0000002", {"external_source": "imdb_id"}),
        ("/3/search/movie", {"query": "twin", "year": "2010"}),
        (
            "/3/discover/movie",
            {
                "primary_release_date.gte": "2010-01-01",
                "primary_release_date.lte": "2010-12-31",
                "sort_by": "primary_release_date.asc",
                "page": "1",
            },
        ),
    ]


def test_no_such_film_is_an_answer_and_remembered(tmdb: FakeTmdb, client: TmdbClient) -> None:
    assert client.film(99) is None
    assert client.film(99) is None
    assert client.find("tt9999999") == []
    assert (len(tmdb.requests), client.cached) == (2, 1)


@pytest.mark.parametrize(
    "passing",
    [
        BUSY,
        refusal(500, 11, "Internal error."),
        Reply(503, b"<html>busy</html>"),
        Reply(200, FILM, cut=40),
        Reply(200, FILM[:-40]),
        Reply(200, b""),
    ],
    ids=["429", "500", "503", "connection closed early", "truncated JSON", "empty"],
)
def test_what_passes_is_tried_again(passing: Reply, tmdb: FakeTmdb, client: TmdbClient) -> None:
    tmdb.scripted["/3/movie/1"] = [passing] * (ATTEMPTS - 1)
    assert client.film(1) is not None
    assert len(tmdb.requests) == ATTEMPTS


def test_what_does_not_pass_is_told_in_the_end(tmdb: FakeTmdb, client: TmdbClient, clock: Clock) -> None:
    tmdb.scripted["/3/movie/1"] = [BUSY] * ATTEMPTS
    with pytest.raises(UserError, match=r"no answer to /movie/1 after 6 attempts \(HTTP 429: Your request count"):
        client.film(1)
    assert len(tmdb.requests) == ATTEMPTS
    assert 7 < sum(clock.slept) < 40  # pauses that double from half a second on
    assert client.film(1) is not None  # a failure is not remembered


def test_nobody_listens(cache: AnswerCache, clock: Clock) -> None:
    client = TmdbClient(cache, TOKEN, base_url="http://127.0.0.1:9/3", sleep=clock.sleep, clock=clock)
    with client, pytest.raises(UserError, match="no answer to /movie/1"):
        client.film(1)


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("7", 7),
        ("0", 0),
        ("86400", LONGEST_WAIT),
        ("9" * 400, LONGEST_WAIT),
        ("in 30 s", 30),
        ("-1", None),
        ("x", None),
    ],
)
def test_retry_after(header: str, pause: float | None, tmdb: FakeTmdb, client: TmdbClient, clock: Clock) -> None:
    if header == "in 30 s":
        header = email.utils.format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=30))
    tmdb.scripted["/3/movie/1"] = [refusal(429, 25, "Too many.", Retry_After=header)]
    assert client.film(1) is not None
    pauses = [slept for slept in clock.slept if slept > 0.1] or [0]
    assert pauses == [pytest.approx(pause, abs=2)] if pause is not None else 0.4 < pauses[0] < 2


def test_a_refused_token_stops_at_once(tmdb: FakeTmdb, cache: AnswerCache) -> None:
    with TmdbClient(cache, "wrong", base_url=tmdb.url) as client, pytest.raises(UserError) as refused:
        client.film(1)
    assert "status_code 7" in str(refused.value)
    assert "TMDB_TOKEN" in str(refused.value)
    assert "wrong" not in str(refused.value)
    assert len(tmdb.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        refusal(422, 20, "Invalid date range."),
        refusal(400, 22, "Invalid page."),
        refusal(403, 3, f"You may not, {TOKEN}."),
        Reply(404, b"<html>no API here</html>"),
        Reply(302, b"", {"Location": "https://elsewhere.example/"}),
    ],
    ids=["422", "400", "403", "404 of another server", "redirect"],
)
def test_a_refused_request_is_told_with_what_tmdb_said(reply: Reply, tmdb: FakeTmdb, client: TmdbClient) -> None:
    tmdb.scripted["/3/movie/1"] = [reply]
    with pytest.raises(UserError, match=f"HTTP {reply.status} for /movie/1") as refused:
        client.film(1)
    assert TOKEN not in str(refused.value)
    if reply.status in (400, 422):
        assert "Invalid" in str(refused.value)
    assert len(tmdb.requests) == 1


@pytest.mark.parametrize("body", [b"[]", b'{"id": "one"}', b'{"success": true}', b"7"])
def test_another_answer_than_a_film(body: bytes, tmdb: FakeTmdb, client: TmdbClient) -> None:
    tmdb.scripted["/3/movie/1"] = [Reply(200, body)]
    with pytest.raises(UserError, match="/movie/1: TMDB answers something else"):
        client.film(1)
    assert client.film(1) is not None  # it was not remembered


def test_nesting_without_end_is_a_damaged_answer(tmdb: FakeTmdb, client: TmdbClient) -> None:
    tmdb.scripted["/3/movie/1"] = [Reply(200, b'{"id": 1, "genres": ' + b"[" * 100_000)] * ATTEMPTS
    with pytest.raises(UserError, match="cut short or damaged"):
        client.film(1)


def test_slow_bodies(tmdb: FakeTmdb, cache: AnswerCache, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(client_module, "LONGEST_ANSWER", 0.2)
    tmdb.scripted["/3/movie/1"] = [Reply(200, FILM, pause=0.02)] * ATTEMPTS
    started = time.monotonic()
    with TmdbClient(cache, TOKEN, base_url=tmdb.url, sleep=clock.sleep) as client:
        with pytest.raises(UserError, match=r"takes over 0\.2 s"):
            client.film(1)
        monkeypatch.setattr(client_module, "LONGEST_ANSWER", 60.0)
        tmdb.scripted["/3/movie/1"] = [Reply(200, FILM, pause=0.0005)]
        assert client.film(1) is not None
    assert time.monotonic() - started < 10


def test_silence(tmdb: FakeTmdb, cache: AnswerCache, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(client_module, "TIMEOUT", 0.1)
    tmdb.scripted["/3/movie/1"] = [Reply(200, FILM, pause=0.5)] * ATTEMPTS
    client = TmdbClient(cache, TOKEN, base_url=tmdb.url, sleep=clock.sleep, clock=clock)
    with client, pytest.raises(UserError, match=r"timed out|Timeout"):
        client.film(1)


def test_an_answer_that_is_too_large(tmdb: FakeTmdb, client: TmdbClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "LARGEST_ANSWER", 1 << 20)
    tmdb.scripted["/3/movie/1"] = [Reply(200, b" " * (2 << 20))]
    with pytest.raises(UserError, match="over 1 MiB"):
        client.film(1)


def test_at_most_forty_requests_a_second(tmdb: FakeTmdb, client: TmdbClient, clock: Clock) -> None:
    times = []
    for number in range(100):
        client.film(number + 1)
        times.append(round(clock.now, 6))
    assert max(sum(first <= other < first + 1 for other in times) for first in times) <= 40
    assert clock.now < 2.6


def test_the_cache_answers_the_next_client(tmdb: FakeTmdb, client: TmdbClient, cache: AnswerCache) -> None:
    first = [client.film(1), client.film(99), client.find("tt0000002"), client.search("Twin", 2010)]
    with TmdbClient(cache, None) as other:  # no token, another address: neither is part of what is remembered
        assert [other.film(1), other.film(99), other.find("tt0000002"), other.search("Twin", 2010)] == first
        assert (other.requests, other.cached) == (0, 4)
        with pytest.raises(NotCached, match="/search/movie\\?query=Twin&year=2011"):
            other.search("Twin", 2011)
    assert len(tmdb.requests) == 4


def test_the_token_is_in_no_file(tmdb: FakeTmdb, client: TmdbClient, tmp_path: Path) -> None:
    client.film(1)
    files = list(tmp_path.glob("tmdb.sqlite*"))
    assert files
    assert not any(TOKEN.encode() in path.read_bytes() for path in files)


def test_answers_age(tmdb: FakeTmdb, tmp_path: Path) -> None:
    day = 86_400.0
    for days, max_age, requests in ((0, 180, 1), (29, 30, 0), (31, 30, 1), (50, 0, 1), (51, 30, 0)):
        with (
            AnswerCache(tmp_path / "c", max_age, lambda days=days: days * day) as cache,
            TmdbClient(cache, TOKEN, base_url=tmdb.url) as client,
        ):
            client.film(1)
            assert client.requests == requests, days
    with AnswerCache(tmp_path / "c", now=lambda: (51 + LONGEST_AGE) * day):
        pass
    assert sqlite3.connect(tmp_path / "c").execute("SELECT count(*) FROM answers").fetchone() == (0,)
    for max_age in (181, -1, float("nan")):
        with pytest.raises(UserError, match="six months"):
            AnswerCache(tmp_path / "c", max_age)


def test_a_damaged_cached_answer_is_fetched_again(tmdb: FakeTmdb, client: TmdbClient, tmp_path: Path) -> None:
    client.film(1)
    with sqlite3.connect(tmp_path / "tmdb.sqlite") as database:
        database.execute("UPDATE answers SET body = ?", [b'{"id'])
    assert client.film(1) is not None
    assert len(tmdb.requests) == 2


def test_a_cache_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, but long enough to be taken for something else " * 20)
    with sqlite3.connect(tmp_path / "other") as database:
        database.execute("CREATE TABLE answers (something)")
    for name in ("text", "other", "."):
        with pytest.raises(UserError, match="--cache"):
            AnswerCache(tmp_path / name)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.org/3",
        "ftp://api.example.org",
        "https://",
        "https://me:pass@api.example.org/3",
        "http://[",
        "x" * 70_000,
        "http://api.example.org/3",
        "https://api.example.org/3?api_key=1",
    ],
)
def test_addresses_that_get_no_token(url: str, cache: AnswerCache) -> None:
    with pytest.raises(UserError, match="--base-url"):
        TmdbClient(cache, TOKEN, base_url=url)


def test_token_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMDB_TOKEN", f" {TOKEN}\n")
    assert token_from_environment() == TOKEN
    for unusable in ("", "two words", "schlüssel"):
        monkeypatch.setenv("TMDB_TOKEN", unusable)
        with pytest.raises(UserError, match=r"TMDB_TOKEN.*themoviedb\.org/settings/api"):
            token_from_environment()
