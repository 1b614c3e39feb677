"""A fetch that is killed again and again ends where one left alone ends, and repeats at most one request a kill."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from tests.data_prep.tmdb.fake_tmdb import FakeTmdb, Reply, film, refusal

KILLS = 20
# Every line on its input starts the command in a process of its own; forked, so that all it imports is loaded once.
LAUNCHER = """
import os, sys
from data_prep.tmdb.command import main
while sys.stdin.readline():
    process = os.fork()
    if process == 0:
        main(sys.argv[1:])
        os._exit(0)
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


class Fetch:
    """A fetch into `folder` that can be run, and killed, many times."""

    def __init__(self, tmdb: FakeTmdb, folder: Path) -> None:
        folder.mkdir()
        arguments = ["--discover", "2001-01-01", "2001-12-31", "--ids", "1,2,3,5000", "--base-url", tmdb.url]
        files = ["--cache", str(folder / "cache"), "--out", str(folder / "films.json")]
        self._tmdb = tmdb
        self._launcher = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, *arguments, *files],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, kill_after: float | None = None) -> int:
        """The exit status of one run, killed so many seconds after its first request."""
        before = len(self._tmdb.requests)
        print(file=self._pipe(self._launcher.stdin), flush=True)
        output = self._pipe(self._launcher.stdout)
        process = int(output.readline())
        if kill_after is not None:
            while len(self._tmdb.requests) == before:
                time.sleep(0.002)
            time.sleep(kill_after)
            os.kill(process, signal.SIGKILL)
        return int(output.readline())

    def close(self) -> None:
        self._launcher.communicate(timeout=10)

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def test_twenty_kills(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.films = {n: film(n, f"Film {n}", f"2001-{1 + n % 12:02d}-{1 + n % 28:02d}") for n in range(1, 61)}
    alone, killed = Fetch(tmdb, tmp_path / "alone"), Fetch(tmdb, tmp_path / "killed")
    disturbances = {"/3/movie/7": refusal(429, 25, "Busy.", Retry_After="0"), "/3/movie/40": Reply(200, b'{"id')}

    tmdb.scripted = {path: [reply] for path, reply in disturbances.items()}
    assert alone.run() == 0
    requests_alone, tmdb.requests = len(tmdb.requests), []

    tmdb.scripted = {path: [reply] for path, reply in disturbances.items()}
    rng = random.Random(11)
    assert [killed.run(kill_after=rng.uniform(0, 0.12)) for _ in range(KILLS)] == [-signal.SIGKILL] * KILLS
    assert not (tmp_path / "killed" / "films.json").exists()
    assert killed.run() == 0
    assert requests_alone <= len(tmdb.requests) <= requests_alone + KILLS

    result = (tmp_path / "killed" / "films.json").read_bytes()
    assert result == (tmp_path / "alone" / "films.json").read_bytes()
    assert result.count(b'"film_id"') == 60
    assert not list((tmp_path / "killed").glob(".*"))
    for fetch in (alone, killed):
        fetch.close()
