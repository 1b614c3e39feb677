"""Killed at any moment and started again, a crawl loses nothing and repeats at most one request a kill."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from tests.data_prep.crawl.site import LocalSite, Viewing

KILLS = 20
REPOSITORY = Path(__file__).parents[3]


def start(site: LocalSite, folder: Path, out: str, *options: str) -> subprocess.Popen[str]:
    """A crawl of all members as a process of its own."""
    users = folder / "members.txt"
    users.write_text("\n".join(site.members))
    command = [sys.executable, "-m", "reel.cli", "data", "crawl", "--users", str(users), "--out", str(folder / out)]
    permitted = ["--i-have-permission", "--contact", "me@example.org", "--delay", "0", "--base-url", site.url]
    return subprocess.Popen([*command, *permitted, *options], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 0, told
    return told


def result(out: Path) -> tuple[dict[str, bytes], list[list[tuple[object, ...]]]]:
    """Files of the pages with their content, and the tables of the state; not when robots.txt was read."""
    files = {str(path.relative_to(out)): path.read_bytes() for path in (out / "pages").rglob("*") if path.is_file()}
    with closing(sqlite3.connect(out / "state.sqlite")) as database:
        tables = ("SELECT base_url, robots FROM site", "SELECT rowid, * FROM pages", "SELECT * FROM entries")
        return files, [database.execute(f"{table} ORDER BY 1").fetchall() for table in tables]


def busy_members() -> dict[str, list[Viewing]]:
    """Four members, 25 viewings each of 60 films, every third with a review: 82 pages."""
    choose = random.Random(5)
    return {
        name: [
            Viewing(1000 * place + 25 - number, f"film-{choose.randrange(60)}", "Fine." if number % 3 == 0 else None)
            for number in range(25)
        ]
        for place, name in enumerate(("ada", "bo", "cy", "di"), start=1)
    }


def test_twenty_kills_at_random_moments(tmp_path: Path) -> None:
    choose = random.Random(20)
    with LocalSite(busy_members()) as site:
        finish(start(site, tmp_path, "whole"))
        uninterrupted = len(site.asked)
        assert len(site.counts) == uninterrupted > 80
        site.asked.clear()
        site.latency = 0.004  # so that some die while they wait for an answer
        for _ in range(KILLS):
            process = start(site, tmp_path, "killed")
            goal = len(site.asked) + choose.randint(0, 4)
            deadline = time.monotonic() + (choose.uniform(0, 0.8) if goal == len(site.asked) else 30)
            while len(site.asked) < goal and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(choose.uniform(0, 0.03))
            assert process.poll() is None, "finished before it could be killed"
            process.kill()
            process.communicate()
        finish(start(site, tmp_path, "killed"))
    assert len(site.asked) <= uninterrupted + KILLS
    assert result(tmp_path / "killed") == result(tmp_path / "whole")


def test_ctrl_c_ends_in_order(tmp_path: Path) -> None:
    with LocalSite(busy_members()) as site:
        site.latency = 0.05
        process = start(site, tmp_path, "out", "--kinds", "diary")
        while len(site.asked) < 4:
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=30)[1]
        assert process.returncode == 130
        assert "to go on, start the same command again" in told
        assert told.splitlines()[-1] == "interrupted"
        assert "Traceback" not in told
        site.latency = 0.0
        finish(start(site, tmp_path, "out", "--kinds", "diary"))
        assert len(site.counts) == 21
        assert len(site.asked) <= len(site.counts) + 1
