"""Members' feeds: what comes out of good ones, what is said of bad ones, and how one is fetched."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from data_prep import dataset
from data_prep.errors import UserError, exit_status
from data_prep.matching import TitleMatcher
from data_prep.member import rss
from data_prep.member.export import read_history
from data_prep.member.feed import Feed, parse_feed
from tests.data_prep.member.export_cases import FILMS, adds_up
from tests.data_prep.member.feed_cases import LIST, entry, feed

WITH_TMDB = FILMS.with_columns(pl.Series("tmdb_id", [949, 348, 194, None, None, 429, 530915], dtype=pl.Int64))


def parse(*items: str) -> Feed:
    return parse_feed("feed.xml", feed(*items))


def test_an_entry_says_all_this() -> None:
    (film,) = parse(entry(like="Yes"), LIST).history
    assert film == {
        "film_id": "heat",
        "rating": 9,
        "date": "2024-03-01",
        "liked": True,
        "rewatch": False,
        "tmdb_id": 949,
        "title": "Heat",
        "year": 1995,
    }


def test_films_come_oldest_first_and_each_once() -> None:
    content = parse(
        entry(stars=None, watched="2024-03-09", guid="letterboxd-watch-5"),
        entry(stars="2.0", watched="2024-03-07", guid="letterboxd-review-4"),
        entry("Alien", 1979, "5.0", "2024-03-05", slug="alien", movie=348, rewatch="Yes"),
        entry(stars="4.0", watched="2024-03-03", like="Yes"),
        entry("Amélie", 2001, None, "2024-03-01", slug="amelie", movie=194, guid="letterboxd-watch-1"),
    ).to_json()
    films = [(film["film_id"], film["rating"], film["date"], film["rewatch"]) for film in content["history"]]
    assert films == [("alien", 10, "2024-03-05", True), ("heat", 4, "2024-03-07", True)]
    assert content["history"][1]["liked"]
    assert content["watched"] == [{"film_id": "amelie", "tmdb_id": 194, "title": "Amélie", "year": 2001}]
    assert content["counts"] == {"rated": 2, "matched": 2, "rejected": 0}
    assert "secret" not in json.dumps(content)


def test_of_two_ratings_on_one_day_the_one_logged_later_counts() -> None:
    early, late = "Sat, 2 Mar 2024 23:30:00 +1300", "Sat, 2 Mar 2024 11:00:00 +0000"  # half an hour apart
    assert parse(entry(stars="1.0", logged=early), entry(stars="3.0", logged=late)).history[0]["rating"] == 6
    assert parse(entry(stars="1.0"), entry(stars="3.0")).history[0]["rating"] == 2  # the newest stands first


def test_series_are_told_apart() -> None:
    found = parse(
        entry("Slow Trains", 2019, series=77, movie=None, slug="slow-trains"),
        entry("Slower Trains", 2020, None, series=78, movie=None, slug="slower-trains"),
        entry(),
    )
    assert [film["film_id"] for film in found.history] == ["heat"]
    reason = "a series, not a film (TMDB tv 77)"
    assert found.unmatched == [{"row": 1, "name": "Slow Trains", "year": 2019, "reason": reason}]
    assert found.watched == []
    assert found.to_json()["counts"] == {"rated": 2, "matched": 1, "rejected": 0}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"watched": None, "logged": "Sat, 2 Mar 2024 10:00:00 +1300"}, {"date": "2024-03-01"}),
        ({"watched": "2024-02-30", "logged": "soon"}, {"date": None}),
        ({"year": None, "heading": "Heat, 1995 - ★★"}, {"year": 1995}),
        ({"title": "1917", "year": None, "heading": "1917"}, {"title": "1917", "year": None}),
        ({"year": "19955"}, {"year": None, "rating": 9}),
        ({"movie": "949x"}, {"tmdb_id": None, "film_id": "heat"}),
        ({"movie": None}, {"tmdb_id": None}),
        ({"slug": None}, {"film_id": None, "tmdb_id": 949}),
        ({"slug": "heat/2"}, {"film_id": "heat"}),
        ({"title": None, "year": None}, {"title": None, "film_id": "heat"}),
        ({"guid": "https://reader.example/7"}, {"film_id": "heat"}),
        ({"title": "  Heat \n &amp; dust"}, {"title": "Heat &amp; dust"}),
    ],
)
def test_entries_with_gaps(changes: dict, expected: dict) -> None:
    (film,) = parse(entry(**changes)).history
    assert film.items() >= expected.items()


@pytest.mark.parametrize(
    ("changes", "value", "reason"),
    [
        ({"stars": "5.5"}, "5.5", "the rating is not 0.5 to 5 in half stars"),
        ({"stars": "0"}, "0", "the rating is not 0.5 to 5 in half stars"),
        ({"stars": "★★"}, "★★", "the rating is not a number"),
        ({"title": None, "slug": None, "movie": None, "year": None}, "4.5", "the entry names no film"),
    ],
)
def test_rejected_entries(changes: dict, value: str, reason: str) -> None:
    found = parse(entry("Alien", 1979, slug="alien", movie=348), entry(**changes))
    assert [film["film_id"] for film in found.history] == ["alien"]
    assert found.rejected == [{"file": "feed.xml", "row": 2, "value": value, "reason": reason}]


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]>"
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "broken or incomplete XML"),
        (b"\0" * 100, "broken or incomplete XML"),
        (feed(entry())[:-40], "broken or incomplete XML"),
        (feed(entry()).replace(b"utf-8", b"klingon"), "broken or incomplete XML"),
        (feed(entry().replace(">Heat<", ">&nbsp;<")), "broken or incomplete XML"),
        (b"<!DOCTYPE html>\n<html><title>Just a moment...</title></html>", "a web page and no feed"),
        (b"\n<html lang='en'><body>", "a web page and no feed"),
        (feed(LIST), "a feed without any diary entry"),
        (b"<feed xmlns='http://www.w3.org/2005/Atom'><entry/></feed>", "a feed without any diary entry"),
        (BOMB.encode() + feed(entry())[39:], "XML that defines types or entities"),
        (BOMB.encode() + feed(entry().replace("Heat", "&i;"))[39:], "XML"),
        (
            b'<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss><item><guid>&x;</guid></item></rss>',
            "entities",
        ),
        (b'<!DOCTYPE rss SYSTEM "http://127.0.0.1:9/x.dtd"><rss/>', "XML that defines types or entities"),
        (b"<a>" * 10_000, "broken or incomplete XML"),
        (b"<a/>" * 500_001, "larger than any member's feed"),
        (feed(entry(), "x" * 10_000_000), "larger than any member's feed"),
    ],
)
def test_what_is_no_feed(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "feed.xml"
    path.write_bytes(content)
    started = time.perf_counter()
    with pytest.raises(UserError) as raised:
        parse_feed(str(path), rss.read_feed(str(path)))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "root:" not in str(raised.value)
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1"])
def test_other_encodings(encoding: str) -> None:
    text = feed(entry("Amélie")).decode().replace("utf-8", encoding).replace("★", "*").replace("½", "")
    assert parse_feed("feed", text.encode(encoding)).history[0]["title"] == "Amélie"
    assert parse_feed("feed", b"\xef\xbb\xbf\n" + feed(entry())).history


def test_films_are_found_by_tmdb_id_then_slug_then_title(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_bytes(
        feed(
            entry("Another name", 2000, slug="alien", movie=949),  # the slug is another film's here
            entry("Another name", 2001, slug="a-cop", movie=1),
            entry('The Good, the "Bad"', 1966, slug="x", movie=None),
            entry("1917", 2018, slug="y", movie=2),  # a namesake: near in years, of another TMDB id
            entry("Amélie", 2001, None, slug="z", movie=194),
            entry("Nobody", 2001, slug="nobody", movie=3),
        )
    )
    for films in (WITH_TMDB, TitleMatcher(WITH_TMDB)):
        found = read_history(path, films)
        adds_up(found)
        assert {film["film_id"] for film in found.history} == {"heat", "a-cop", "commas"}
        assert {(row["row"], row["name"], row["reason"]) for row in found.unmatched} == {
            (4, "1917", "not in the catalogue"),
            (6, "Nobody", "not in the catalogue"),
        }
        assert found.watched == ["amelie"]


def test_a_catalogue_without_tmdb_ids(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_bytes(feed(entry(slug="gone", movie=1), entry("Of another name", 1, slug="alien", movie=2)))
    assert {film["film_id"] for film in read_history(path, FILMS).history} == {"heat", "alien"}


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(dataset, "load_films", lambda data: WITH_TMDB)
    source, raw, out = tmp_path / "feed", tmp_path / "raw.json", tmp_path / "out.json"
    unrated = entry("1917", 2019, None, "2024-01-01", slug="1917", movie=530915, guid="letterboxd-watch-2")
    source.write_bytes(feed(entry(), entry("Nobody\x7f", 2001, slug="nobody", movie=3, stars="1.0"), unrated, LIST))
    assert exit_status(rss.main, [str(source), "--out", str(raw)]) == 0
    assert capsys.readouterr().err == (
        f"{source}: 2 films rated, 1 watched without a rating, matched to no data set (--data DIR)\n"
    )
    assert exit_status(rss.main, [str(source), "--data", "DIR", "--out", str(out)]) == 0
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert stderr.splitlines() == [
        f"{source}: 2 rated, 1 matched, 1 unmatched, 0 rejected",
        "  unmatched row 2: Nobody\ufffd (2001): not in the catalogue",
    ]
    content = json.loads(out.read_text())
    assert [film["tmdb_id"] for film in content["history"]] == [949]
    assert content["watched"] == ["1917"]
    matched = read_history(source, WITH_TMDB)
    assert read_history(out, WITH_TMDB) == matched
    again = read_history(raw, WITH_TMDB)
    assert (again.history, again.watched, again.counts) == (matched.history, matched.watched, matched.counts)
    assert sorted(os.listdir(tmp_path)) == ["feed", "out.json", "raw.json"]

    assert exit_status(rss.main, [str(source)]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(raw.read_text())


@pytest.mark.parametrize(
    "source", ["absent.xml", ".", "http://letterboxd.com/somebody/rss/", "ftp://127.0.0.1/x", "https://"]
)
def test_places_that_are_none(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(rss.main, [source]) == 2
    assert capsys.readouterr().err.startswith("error: ")


Answer = Callable[[BaseHTTPRequestHandler], None]


def answer(content: bytes = b"", status: int = 200, *, pause: float = 0.0, **headers: str) -> Answer:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        for start in range(0, len(content), 100) if pause else [0]:
            handler.wfile.write(content[start : start + 100] if pause else content)
            handler.wfile.flush()
            time.sleep(pause)

    return send


def silence(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


@pytest.fixture
def site() -> Iterator[tuple[str, dict[str, Answer], list[BaseHTTPRequestHandler]]]:
    """Address, answers by path, and the requests that came."""
    answers: dict[str, Answer] = {}
    requests: list[BaseHTTPRequestHandler] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self)
            try:
                answers[self.path](self)
            except OSError:  # the client has heard enough
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", answers, requests
    server.shutdown()
    server.server_close()


def test_a_feed_is_fetched_once_by_name(site, capsys: pytest.CaptureFixture[str]) -> None:
    address, answers, requests = site
    answers["/somebody/rss"] = answer(b"", 301, Location="/somebody/rss/")
    answers["/somebody/rss/"] = answer(feed(entry()))
    assert exit_status(rss.main, [f"{address}/somebody/rss"]) == 0
    assert json.loads(capsys.readouterr().out)["history"][0]["film_id"] == "heat"
    assert [request.path for request in requests] == ["/somebody/rss", "/somebody/rss/"]
    assert requests[0].headers["User-Agent"].startswith("reel-recommendations/")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (answer(b"<html>Just a moment...", 403), "answers programs with 403"),
        (answer(b"", 429, Retry_After="1"), "answers programs with 429"),
        (answer(b"<html>", 200, cf_mitigated="challenge"), "answers programs with 200"),
        (answer(b"<!DOCTYPE html><html>Just a moment...", 200), "a web page and no feed"),
        (answer(b"", 404), "the answer is 404"),
        (answer(b"", 500), "the answer is 500"),
        (answer(b"", 302, Location="https://elsewhere.example/rss/"), "leads to another site, elsewhere.example"),
        (answer(b"", 302, Location="/rss/"), "without end"),
        (answer(b"", 302, Location="ftp://127.0.0.1/rss/"), "only https"),
        (answer(b"x" * 10_000_001), "larger than any member's feed"),
        (answer(feed(entry())[:200], Content_Length="5000"), "cannot be fetched"),
        (answer(feed(entry()), pause=0.2), "no answer within 0.5 seconds"),
        (silence, "cannot be fetched"),
    ],
)
def test_what_sites_may_answer(
    site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reply: Answer, message: str
) -> None:
    address, answers, requests = site
    monkeypatch.setattr(rss, "MAX_SECONDS", 0.5)
    answers["/rss/"] = reply
    assert exit_status(rss.main, [f"{address}/rss/"]) == 2
    stderr = capsys.readouterr().err
    assert message in stderr
    assert stderr.count("\n") == 1
    assert len(requests) == (6 if "without end" in message else 1)


@pytest.mark.parametrize(("name", "count"), [("user_feed_2025-12.xml", 50), ("user_feed_small_synthetic.xml", 5)])
def test_the_shared_feeds(shared: Path, name: str, count: int) -> None:
    data = (shared / "fixtures" / "rss" / name).read_bytes()
    if not data.startswith(b"<"):
        pytest.skip(f"the shared {name} holds something else than a feed: it has been overwritten")
    found = parse_feed(name, data)
    assert len(found.history) == count
    assert found.unmatched == found.rejected == found.watched == []
    assert all(film["film_id"] and film["tmdb_id"] and film["title"] and film["year"] for film in found.history)
    dates = [film["date"] for film in found.history]
    assert dates == sorted(dates)


def test_the_feed_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "feed.xml"
    path.write_bytes(feed(entry()))
    assert exit_status(rss.main, [str(path), "--out", str(path)]) == 2
    assert "this file is read" in capsys.readouterr().err
    assert path.read_bytes() == feed(entry())
