"""`reel recommend` on a member's feed, as it is and as `reel data rss` writes it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl
import pytest

from reel.cli import main
from tests.data_prep.member.feed_cases import entry, feed


def test_a_feed_and_its_json_recommend_the_same(
    tiny_models: dict[str, Path],
    tiny_dataset: Path,
    tiny_films: pl.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def reel(*arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", ["reel", *map(str, arguments)])
        assert main() == 0
        return capsys.readouterr().out

    title, year = tiny_films["title"][3], tiny_films["year"][3]
    by_slug = entry("Renamed", 1900, slug="film-08", movie=8)
    unrated = entry("Unrated", 1900, None, slug="film-05", movie=5, guid="letterboxd-watch-2")
    (tmp_path / "feed.xml").write_bytes(feed(entry(title, year, slug="gone", movie=3), by_slug, unrated))
    reel("data", "rss", tmp_path / "feed.xml", "--out", tmp_path / "raw.json")
    reel("data", "rss", tmp_path / "feed.xml", "--data", tiny_dataset, "--out", tmp_path / "matched.json")
    answers = [
        json.loads(
            reel("recommend", "--model", tiny_models["shrunk_bias"], "--history", tmp_path / name, "--format", "json")
        )
        for name in ("feed.xml", "raw.json", "matched.json")
    ]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["history"] == {"rated": 2, "matched": 2, "unmatched": [], "rejected": []}
    films = {film["film_id"] for film in answers[0]["recommendations"]}
    assert not films & {"film-03", "film-05", "film-08"}
