"""What ends the whole run, what is tried again, and what is noted and passed over."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from data_prep.crawl import fetch
from tests.data_prep.crawl.site import Crawl, Fault, LocalSite
from tests.data_prep.pages.markup import blocked_page, challenge_page, diary_page, private_page, viewing

PAGE = "/ada/diary/films/page/2/"
CHALLENGE, BLOCKED, PRIVATE = (page().encode() for page in (challenge_page, blocked_page, private_page))
# It says that there are entries, and has none.
EMPTIED = re.sub("<tr .*</tr>", "", diary_page("ada", [viewing("film-1", "2026-01-01")]), flags=re.S).encode()


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (Fault(403), "answered 403"),
        (Fault(429, headers={"Retry-After": "1"}), "answered 429"),
        (Fault(200, CHALLENGE), "answered 200 with a challenge page"),
        (Fault(403, CHALLENGE), "answered 403"),
        (Fault(403, truncate=True), "answered 403"),
        (Fault(429, b" " * 20_000_000), "answered 429"),
        (Fault(200, b"no gzip", {"Content-Encoding": "gzip"}), "cannot be read"),
        (Fault(503, CHALLENGE), "answered 503 with a challenge page"),
        (Fault(404, CHALLENGE), "answered 404 with a challenge page"),
        (Fault(503, headers={"cf-mitigated": "challenge"}), "answered 503"),
        (Fault(200, BLOCKED), "answered 200 with a page that shuts us out"),
        (Fault(403, PRIVATE), "take the member out of the file"),
        (Fault(302, headers={"Location": "http://localhost:9/"}), "http://localhost:9/, which is elsewhere"),
        (Fault(418), "answered 418"),
        (Fault(200, b"not a page"), "unreadable/diary/ada/2.html"),
        (Fault(200, EMPTIED), "unreadable/diary/ada/2.html"),
    ],
)
def test_the_whole_run_ends(site: LocalSite, crawl: Crawl, tmp_path: Path, fault: Fault, named: str) -> None:
    site.faults[PAGE] = fault
    status, told = crawl()
    assert status == 2
    error = told.splitlines()[-1]
    assert error.startswith(f"error: {site.url}{PAGE}: ")
    assert named in error
    assert "Traceback" not in told
    assert "to go on, start the same command again" in told
    assert site.asked == ["/robots.txt", "/ada/diary/", PAGE], "asked once, and nothing after it"
    unreadable = tmp_path / "out/unreadable/diary/ada/2.html"
    assert not unreadable.exists() or unreadable.read_bytes() == fault.body
    site.faults.clear()
    assert crawl(options=("--kinds", "diary"))[0] == 0
    assert sorted(site.asked[3:]) == [PAGE, "/ada/diary/films/page/3/", "/bo/diary/", "/cy/diary/"]


def test_a_page_that_ended_a_run_does_not_block_the_next_at_its_start(site: LocalSite, crawl: Crawl) -> None:
    site.faults[PAGE] = Fault(500)
    assert crawl()[0] == 2
    assert crawl()[0] == 2
    assert "/film/film-12/" in site.asked
    assert site.asked[-1] == PAGE


def test_the_wrong_kind_of_page_ends_the_run(site: LocalSite, crawl: Crawl) -> None:
    site.faults["/bo/reviews/"] = Fault(302, headers={"Location": "/bo/diary/"})
    status, told = crawl("bo")
    assert status == 2
    assert "a diary page came where a reviews page was asked for" in told


@pytest.mark.parametrize(
    "fault", [Fault(500, times=3), Fault(502, times=2), Fault(times=3, truncate=True), Fault(times=1, wait=1.5)]
)
def test_trouble_is_tried_again(site: LocalSite, crawl: Crawl, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "REQUEST_SECONDS", 1.0)
    site.faults[PAGE] = fault
    times = fault.times
    status, told = crawl("ada")
    assert status == 0, told
    assert site.counts[PAGE] == times + 1


def test_lasting_trouble_ends_the_run_after_four_attempts(site: LocalSite, crawl: Crawl) -> None:
    site.faults[PAGE] = Fault(500)
    status, told = crawl()
    assert status == 2
    assert "answered 500 4 times" in told
    assert site.counts[PAGE] == 4
    assert site.asked[-1] == PAGE


@pytest.mark.parametrize("size", [30, 100_000], ids=["head", "body"])
def test_a_trickle_does_not_hold_the_run_up(
    site: LocalSite, crawl: Crawl, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every byte comes in good time, the whole never."""
    monkeypatch.setattr(fetch, "REQUEST_SECONDS", 0.8)
    monkeypatch.setattr(fetch, "ATTEMPTS", 2)
    site.faults[PAGE] = Fault(body=b"x" * size, trickle=0.0001 if size > 100 else 0.05)
    status, told = crawl()
    assert status == 2
    assert "no whole answer" in told
    assert site.counts[PAGE] == 2


def test_an_unreachable_site(crawl: Crawl, site: LocalSite, tmp_path: Path) -> None:
    status, told = crawl(options=("--base-url", "http://127.0.0.1:9"))
    assert status == 2
    assert "http://127.0.0.1:9/robots.txt: cannot be reached" in told


def test_what_is_gone_or_private_is_noted_and_passed_over(site: LocalSite, crawl: Crawl) -> None:
    site.faults["/film/film-3/"] = Fault(404)
    site.faults["/bo/reviews/"] = Fault(200, PRIVATE)
    status, told = crawl("ada", "bo", "nobody")
    assert status == 0
    assert "gone (404): 3\n  /film/film-3/\n  /nobody/diary/\n  /nobody/reviews/\n" in told
    assert "private: 1\n  /bo/reviews/\n" in told
    asked = len(site.asked)
    assert crawl("ada", "bo", "nobody")[0] == 0
    assert len(site.asked) == asked


@pytest.mark.parametrize("packed", [False, True])
def test_an_oversized_page_is_cut_off_and_passed_over(
    site: LocalSite, crawl: Crawl, tmp_path: Path, packed: bool
) -> None:
    body = b" " * 40_000_000
    headers = {"Content-Encoding": "gzip"} if packed else {}
    site.faults["/film/film-3/"] = Fault(body=gzip.compress(body) if packed else body, headers=headers)
    status, told = crawl("ada")
    assert status == 0
    assert "too large, not kept: 1\n  /film/film-3/\n" in told
    assert site.counts["/film/film-3/"] == 1
    assert not (tmp_path / "out/pages/film/film-3").exists()


def test_redirects_within_the_host_are_followed_and_obey_robots_txt(
    site: LocalSite, crawl: Crawl, tmp_path: Path
) -> None:
    site.robots = "User-agent: *\nDisallow: /film/*-shut/\n"
    site.faults["/film/film-3/"] = Fault(301, headers={"Location": f"{site.url}/film/film-three/"})
    site.faults["/film/film-4/"] = Fault(301, headers={"Location": "/film/film-shut/"})
    status, told = crawl("ada")
    assert status == 0
    assert site.counts["/film/film-three/"] == 1
    assert site.counts["/film/film-shut/"] == 0
    assert "  /film/film-shut/\n" in told
    assert b"film-three" in (tmp_path / "out/pages/film/film-3/1.html").read_bytes()


def test_redirects_in_a_circle_end_the_run(site: LocalSite, crawl: Crawl) -> None:
    site.faults["/film/film-3/"] = Fault(301, headers={"Location": "/film/film-3/"})
    status, told = crawl("ada")
    assert status == 2
    assert "more than 5 times" in told
    assert site.counts["/film/film-3/"] == 6


def test_pages_in_a_circle_end(site: LocalSite, crawl: Crawl) -> None:
    """Each page leads to a next one, and all hold the same."""
    first = site.answer("/ada/diary/").body
    for number in range(2, 9):
        following = first.replace(b"/page/2/", b"/page/%d/" % (number + 1))
        site.faults[f"/ada/diary/films/page/{number}/"] = Fault(body=following)
    assert crawl("ada")[0] == 0
    assert [path for path in site.asked if "page" in path] == ["/ada/diary/films/page/2/", "/ada/reviews/page/2/"]


@pytest.mark.parametrize(
    ("there", "instead", "named"),
    [
        (b"film-1", b"..%2F..%2Fx", "is no film's slug"),
        (b"film-1", b"...", "is no film's slug"),
        (b"/ada/diary/films/page/2/", b"/ada/diary/../../page/2/", "is no path of a next page"),
    ],
)
def test_hostile_names_reach_neither_the_disk_nor_the_site(
    site: LocalSite, crawl: Crawl, tmp_path: Path, there: bytes, instead: bytes, named: str
) -> None:
    site.faults["/ada/diary/"] = Fault(body=site.answer("/ada/diary/").body.replace(there, instead))
    status, told = crawl("ada")
    assert status == 2
    assert named in told
    assert not (tmp_path / "out/pages").exists()
    assert site.asked == ["/robots.txt", "/ada/diary/"]
