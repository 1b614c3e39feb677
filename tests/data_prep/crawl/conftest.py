"""A site to crawl, and the command that crawls it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from data_prep.crawl import fetch
from data_prep.crawl.command import main
from data_prep.errors import exit_status
from tests.data_prep.crawl.site import Crawl, LocalSite, Viewing


def invented_members() -> dict[str, list[Viewing]]:
    """Three members: 12, 4 and no viewings, of 13 films; 4 and 1 of them with reviews."""
    ada = [Viewing(112 - number, f"film-{number}", "Seen." if number % 3 == 0 else None) for number in range(12)]
    bo = [Viewing(204 - number, f"film-{9 + number}", "Well." if number == 2 else None) for number in range(4)]
    return {"ada": ada, "bo": bo, "cy": []}


@pytest.fixture
def site() -> Iterator[LocalSite]:
    with LocalSite(invented_members()) as site:
        yield site


@pytest.fixture
def crawl(
    site: LocalSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Crawl:
    """Runs the command without pauses, as `crawl(*members, options=...)`: exit status and stderr."""
    monkeypatch.setattr(fetch, "BACKOFF_SECONDS", 0.01)

    def run(*members: str, options: tuple[str, ...] = ()) -> tuple[int, str]:
        users = tmp_path / "members.txt"
        users.write_text("\n".join(members or site.members))
        fixed = ["--users", str(users), "--out", str(tmp_path / "out"), "--base-url", site.url]
        given = ["--i-have-permission", "--contact", "me@example.org", "--delay", "0", *options]
        capsys.readouterr()
        status = exit_status(main, [*fixed, *given])
        return status, capsys.readouterr().err

    return run
