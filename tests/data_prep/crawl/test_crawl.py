"""What the crawler reads, in which order, how it behaves as a guest, and what a second run asks for."""

from __future__ import annotations

import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from data_prep.crawl import fetch
from data_prep.crawl.command import main
from data_prep.crawl.state import CrawlState
from data_prep.dataset import load_ratings
from data_prep.errors import UserError, exit_status
from data_prep.pages import parse_page
from data_prep.pages.command import main as make_dataset
from tests.data_prep.crawl.site import Crawl, Fault, LocalSite, Viewing

ADA = ["/ada/diary/", "/ada/diary/films/page/2/", "/ada/diary/films/page/3/"]
REVIEWS = ["/ada/reviews/", "/ada/reviews/page/2/", "/bo/reviews/", "/cy/reviews/"]
FILMS = [f"/film/film-{number}/" for number in range(13)]


def kept(out: Path) -> list[str]:
    """Files of the pages, without their folder."""
    return sorted(str(path.relative_to(out / "pages")) for path in (out / "pages").rglob("*.*"))


def test_reads_diaries_then_reviews_then_every_film_once(site: LocalSite, crawl: Crawl, tmp_path: Path) -> None:
    status, told = crawl()
    assert status == 0, told
    assert site.asked[0] == "/robots.txt"
    assert site.asked[1:6] == [*ADA, "/bo/diary/", "/cy/diary/"]
    assert site.asked[6:10] == REVIEWS
    assert sorted(site.asked[10:]) == sorted(FILMS)
    assert set(site.counts.values()) == {1}
    lists = ["diary/ada/1.html", "diary/ada/2.html", "diary/ada/3.html", "diary/bo/1.html", "diary/cy/1.html"]
    lists += ["reviews/ada/1.html", "reviews/ada/2.html", "reviews/bo/1.html", "reviews/cy/1.html"]
    assert kept(tmp_path / "out") == sorted([*lists, *(f"film/film-{number}/1.html" for number in range(13))])
    assert f"reel data pages {tmp_path}/out/pages --out DATA" in told
    assert "pages asked for in this run: 22 (" in told
    assert "known in all: 22, kept: 22, waiting: 0" in told
    second = parse_page((tmp_path / "out/pages/diary/ada/2.html").read_bytes())
    assert [entry.film_id for entry in second.entries] == [f"film-{number}" for number in range(5, 10)]


def test_the_pages_make_a_data_set(site: LocalSite, crawl: Crawl, tmp_path: Path) -> None:
    assert crawl()[0] == 0
    make_dataset([str(tmp_path / "out/pages"), "--out", str(tmp_path / "data")])
    ratings = load_ratings(str(tmp_path / "data"), "train")
    viewings = [viewing for viewings in site.members.values() for viewing in viewings]
    assert len(ratings) == len(viewings)
    assert sorted(ratings["film_id"]) == sorted(viewing.film for viewing in viewings)
    assert sorted(map(str, ratings["date"])) == sorted(viewing.date for viewing in viewings)


def test_names_itself_takes_no_cookies_and_uses_one_connection(site: LocalSite, crawl: Crawl) -> None:
    assert crawl("bo")[0] == 0
    (agent,) = site.agents
    assert re.fullmatch(r"reel-recommendations/[\d.]+ \(\+me@example\.org\)", agent)
    assert site.cookies == {None}
    assert site.connections == 1


def test_a_second_run_asks_for_nothing_unless_members_were_added(site: LocalSite, crawl: Crawl) -> None:
    assert crawl("ada")[0] == 0
    asked = len(site.asked)
    status, told = crawl("ada")
    assert (status, len(site.asked)) == (0, asked)
    assert "pages asked for in this run: 0 (" in told
    assert crawl("ada", "BO")[0] == 0
    assert site.asked[asked:] == ["/bo/diary/", "/bo/reviews/", "/film/film-12/"]


def test_refresh_reads_until_a_page_brings_nothing_new(site: LocalSite, crawl: Crawl, tmp_path: Path) -> None:
    assert crawl("ada", "bo")[0] == 0
    asked = len(site.asked)
    assert crawl("ada", "bo", options=("--refresh",))[0] == 0
    assert site.asked[asked:] == ["/ada/diary/", "/bo/diary/", "/ada/reviews/", "/bo/reviews/"]
    asked = len(site.asked)
    site.members["ada"].insert(0, Viewing(113, "film-new", "New."))
    assert crawl("ada", "bo", options=("--refresh",))[0] == 0
    assert site.asked[asked:] == [
        "/ada/diary/",
        "/ada/diary/films/page/2/",
        "/bo/diary/",
        "/ada/reviews/",
        "/ada/reviews/page/2/",
        "/bo/reviews/",
        "/film/film-new/",
    ]
    pages = (tmp_path / "out/pages/diary/ada").iterdir()
    viewings = {entry.viewing_id for page in pages for entry in parse_page(page.read_bytes()).entries}
    assert viewings == {str(viewing.number) for viewing in site.members["ada"]}


def test_a_refresh_that_was_cut_short_is_not_begun_anew(site: LocalSite, crawl: Crawl) -> None:
    assert crawl()[0] == 0
    asked = len(site.asked)
    assert crawl(options=("--refresh", "--max-pages", "2"))[0] == 0
    status, told = crawl(options=("--refresh",))
    assert status == 0
    assert "wait from before" in told
    assert len(site.asked) - asked == 6
    assert {site.counts[path] for path in ("/ada/diary/", "/cy/reviews/")} == {2}


def test_only_the_kinds_asked_for(site: LocalSite, crawl: Crawl) -> None:
    assert crawl(options=("--kinds", "diary"))[0] == 0
    assert site.asked == ["/robots.txt", *ADA, "/bo/diary/", "/cy/diary/"]
    assert crawl(options=("--kinds", "reviews,film"))[0] == 0
    assert sorted(site.asked[6:]) == sorted([*REVIEWS, *FILMS])


def test_members_taken_out_of_the_file_are_no_longer_asked_for(site: LocalSite, crawl: Crawl) -> None:
    assert crawl("ada", "bo", options=("--max-pages", "1"))[0] == 0
    assert crawl("bo", options=("--kinds", "diary,reviews"))[0] == 0
    assert site.asked == ["/robots.txt", "/ada/diary/", "/bo/diary/", "/bo/reviews/"]


def test_robots_txt_is_obeyed_and_what_it_shuts_is_listed(site: LocalSite, crawl: Crawl) -> None:
    site.robots = "User-agent: *\nDisallow: /film/*-1\nDisallow: /bo/r*s/$\n\nUser-agent: otherbot\nDisallow: /\n"
    status, told = crawl()
    assert status == 0
    shut = ["/bo/reviews/", "/film/film-1/", "/film/film-10/", "/film/film-11/", "/film/film-12/"]
    assert not set(shut) & set(site.asked)
    assert "shut to robots by robots.txt, not asked for: 5" in told
    assert [line.strip() for line in told.splitlines() if line.startswith("  /")] == shut
    asked = len(site.asked)
    assert crawl()[0] == 0
    assert len(site.asked) == asked


def test_robots_txt_for_us_by_name(site: LocalSite, crawl: Crawl) -> None:
    site.robots = "User-agent: *\nDisallow:\n\nUser-agent: Reel-Recommendations\nDisallow: /\n"
    assert crawl("ada")[0] == 0
    assert site.asked == ["/robots.txt"]


def test_robots_txt_is_asked_for_once_in_24_hours(site: LocalSite, crawl: Crawl, tmp_path: Path) -> None:
    for _ in range(2):
        assert crawl(options=("--max-pages", "2"))[0] == 0
    assert site.counts["/robots.txt"] == 1
    with closing(sqlite3.connect(tmp_path / "out/state.sqlite")) as database, database:
        database.execute("UPDATE site SET robots_time = robots_time - 24 * 3600")
    assert crawl()[0] == 0
    assert site.counts["/robots.txt"] == 2


def test_no_robots_txt_shuts_nothing(site: LocalSite, crawl: Crawl) -> None:
    site.faults["/robots.txt"] = Fault(404)
    assert crawl("bo")[0] == 0
    assert site.counts["/robots.txt"] == 1
    assert "/bo/diary/" in site.asked


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500),
        Fault(403),
        Fault(body=b"<!doctype html><html><head><title>Hello</title></head></html>"),
        Fault(301, headers={"Location": "/elsewhere/"}),
        Fault(body=b"User-agent: *\nCrawl-delay: 1e9\n"),
        Fault(truncate=True),
    ],
    ids=["server-error", "forbidden", "html", "redirect", "too-slow", "truncated"],
)
def test_without_robots_txt_nothing_is_asked_for(site: LocalSite, crawl: Crawl, fault: Fault) -> None:
    site.faults["/robots.txt"] = fault
    status, told = crawl()
    assert status == 2
    assert "/robots.txt" in told.splitlines()[-1]
    assert set(site.asked) == {"/robots.txt"}


def test_pauses_between_requests(site: LocalSite, crawl: Crawl) -> None:
    assert crawl("cy", options=("--delay", "0.3"))[0] == 0
    pauses = [later - earlier for earlier, later in zip(site.moments, site.moments[1:], strict=False)]
    assert len(pauses) == 2
    assert min(pauses) >= 0.3


def test_a_longer_crawl_delay_wins(site: LocalSite, crawl: Crawl) -> None:
    site.robots = "User-agent: *\nCrawl-delay: 0.3\n"
    assert crawl("cy")[0] == 0
    pauses = [later - earlier for earlier, later in zip(site.moments, site.moments[1:], strict=False)]
    assert len(pauses) == 2
    assert min(pauses) >= 0.3


def test_the_pause_is_random_by_up_to_a_third(site: LocalSite, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(fetch, "time", SimpleNamespace(monotonic=time.monotonic, sleep=slept.append))
    with fetch.Fetcher(site.url, "me@example.org", delay=30) as fetcher:
        for _ in range(12):
            fetcher.get("/film/film-1/")
    pauses = slept[1:]
    assert slept[0] == 0
    assert all(29 < pause <= 40 for pause in pauses)
    assert len(set(pauses)) == len(pauses)
    assert max(pauses) - min(pauses) > 2


def test_caps_end_a_run_in_order(site: LocalSite, crawl: Crawl) -> None:
    status, told = crawl(options=("--max-pages", "3"))
    assert status == 0
    assert "to go on, start the same command again" in told
    assert site.asked == ["/robots.txt", *ADA]
    status, told = crawl(options=("--max-bytes", "1"))
    assert status == 0
    assert site.asked[4:] == ["/bo/diary/"]
    assert crawl(options=("--max-pages", "18"))[0] == 0
    assert set(site.counts.values()) == {1}
    assert len(site.asked) == 23


def test_permission_and_contact_come_first(
    site: LocalSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    users = tmp_path / "members.txt"
    users.write_text("ada\n")
    fixed = ["--users", str(users), "--out", str(tmp_path / "out"), "--base-url", site.url]
    assert exit_status(main, fixed) == 2
    told = capsys.readouterr().err
    assert "6.11" in told
    assert told.splitlines()[-1].startswith("error: ")
    assert "--i-have-permission" in told.splitlines()[-1]
    assert exit_status(main, [*fixed, "--i-have-permission"]) == 2
    assert "--contact is missing" in capsys.readouterr().err
    assert exit_status(main, [*fixed, "--i-have-permission", "--contact", "me\nCookie: a@b.c"]) == 2
    assert site.asked == []
    assert not (tmp_path / "out").exists()


def test_the_help_opens_with_the_terms(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "\n\nLetterboxd's terms of use (6.11) forbid" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"ada\n\nbad name\n", "line 3: 'bad name'"),
        (b"# all of them\n../../etc\n", "line 2"),
        (b"ada/diary\n", "line 1"),
        (b"\xff\xfe\n", "cannot be read"),
        (b"\n# nobody\n", "names no member"),
        (None, "cannot be read"),
    ],
)
def test_wrong_members(tmp_path: Path, content: bytes | None, named: str) -> None:
    users = tmp_path / "members.txt"
    if content is not None:
        users.write_bytes(content)
    permitted = ["--i-have-permission", "--contact", "me@example.org"]
    with pytest.raises(UserError, match=re.escape(named)):
        main(["--users", str(users), "--out", str(tmp_path / "out"), "--base-url", "http://127.0.0.1:9", *permitted])


def test_comments_blank_lines_and_repeats_in_the_file_of_members(site: LocalSite, crawl: Crawl) -> None:
    assert crawl("# the crew", "", "  bo  # a friend", "Bo", options=("--kinds", "diary"))[0] == 0
    assert site.asked == ["/robots.txt", "/bo/diary/"]


@pytest.mark.parametrize(
    "option",
    [
        ("--delay", "-1"),
        ("--delay", "soon"),
        ("--delay", "nan"),
        ("--max-pages", "0"),
        ("--max-bytes", "1.5"),
        ("--kinds", "diary,lists"),
        ("--contact", "nobody"),
        ("--contact", "mé@example.org"),
        ("--base-url", "ftp://127.0.0.1"),
        ("--base-url", "http://127.0.0.1/films"),
    ],
)
def test_wrong_options(site: LocalSite, crawl: Crawl, option: tuple[str, str]) -> None:
    status, told = crawl(options=option)
    assert status == 2
    assert len(told.splitlines()) == 1
    assert site.asked == []


def test_two_crawls_of_one_folder_are_refused(site: LocalSite, crawl: Crawl, tmp_path: Path) -> None:
    with CrawlState(tmp_path / "out", site.url):
        status, told = crawl()
    assert status == 2
    assert "another crawl is using this folder" in told
    assert site.asked == []


def test_a_state_of_something_else_is_refused(site: LocalSite, crawl: Crawl, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with CrawlState(out, "http://127.0.0.1:9"):
        pass
    assert "a crawl of http://127.0.0.1:9, not of" in crawl()[1]
    (out / "state.sqlite").write_bytes(b"no database at all, but long enough to be looked at as one" * 20)
    status, told = crawl()
    assert status == 2
    assert "cannot be used" in told
    (out / "state.sqlite").unlink()
    with closing(sqlite3.connect(out / "state.sqlite")) as database:
        database.execute("CREATE TABLE other (a)")
    assert "no state of a crawl" in crawl()[1]
    assert site.asked == []
