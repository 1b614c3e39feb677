"""Damaged exports, feeds, histories and MovieLens files: each is read, or refused by a `UserError`, and nothing
else."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.errors import UserError
from data_prep.member.export import read_history
from data_prep.movielens.command import read_movielens
from data_prep.report import BuildReport
from tests.data_prep.member.export_cases import DIARY, FILMS, HEAT, RATINGS, WATCHED, adds_up, rows, zipped
from tests.data_prep.member.feed_cases import LIST, entry, feed
from tests.data_prep.movielens.movielens_cases import CSV, DAT, ITEM, folder
from tests.mutations import mutate

WITH_TMDB = FILMS.with_columns(pl.Series("tmdb_id", [949, 348, 194, None, None, 429, 530915], dtype=pl.Int64))
SECONDS = 3.0  # far more than any case needs

RATED = RATINGS + rows(HEAT, '2022-01-04,"The Good, the ""Bad""",1966,u,0.5', "2022-01-02,1917,2019,u,4")
LOGGED = DIARY + rows("2022-02-01,Heat,1995,v,1,Yes,,2022-01-30", "2022-02-01,Amélie,2001,v,,,a,2022-01-31")
HISTORY = {
    "history": [
        {"film_id": "heat", "rating": 9, "date": "2022-01-09", "liked": False, "rewatch": True},
        {"film_id": None, "rating": 3, "date": None, "tmdb_id": 348, "title": "Alien", "year": 1979},
    ],
    "watched": ["amelie", {"film_id": None, "tmdb_id": 530915, "title": "1917", "year": 2019}],
    "watchlist": [],
    "counts": {"rated": 3, "matched": 2, "rejected": 1},
    "unmatched": [{"row": 4, "name": "Nobody", "year": 2000, "reason": "not in the catalogue"}],
    "rejected": [{"file": "ratings.csv", "row": 6, "value": "11", "reason": "the rating is none"}],
}


def parse_history(data: bytes, name: str = "history") -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / name
        path.write_bytes(data)
        adds_up(read_history(path, WITH_TMDB))


def movielens_parser(files: dict[str, str], name: str) -> Callable[[bytes], None]:
    def parse(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as place:
            films, ratings = read_movielens(folder(Path(place), {**files, name: data}), BuildReport())
        assert ratings["rating"].is_between(1, 10).all()
        assert ratings["film_id"].cast(pl.String).is_in(films["film_id"].to_list()).all()
        assert not ratings.select("user_id", "film_id").is_duplicated().any()
        assert films["title"].null_count() == 0

    return parse


# What is damaged: seeds, what reads them (`UserError` is the only error it should raise), how names of such files end.
PARSERS: dict[str, tuple[list[bytes], Callable[[bytes], None], str]] = {
    "feed": (
        [
            feed(entry(), LIST, entry("Alien", 1979, None, slug="alien", movie=348, guid="letterboxd-watch-2")),
            feed(entry("Slow Trains", 2019, movie=None, series=7), entry(rewatch="Yes"), entry(stars="2.0")),
        ],
        parse_history,
        ".xml",
    ),
    "export ZIP": (
        [
            zipped(
                {"ratings.csv": RATED, "diary.csv": LOGGED, "watched.csv": WATCHED + rows("2022-01-02,Alien,1979,u")}
            ),
            zipped({"me/ratings.csv": RATED, "me/likes/films.csv": WATCHED, "me/deleted/diary.csv": LOGGED}, 0),
        ],
        lambda data: parse_history(data, "export.zip"),
        ".zip",
    ),
    "export CSV": (
        [RATED.encode(), LOGGED.encode(), RATED.replace(",", ";").encode(), LOGGED.encode("utf-16")],
        lambda data: parse_history(data, "ratings.csv"),
        ".csv",
    ),
    "history JSON": (
        [json.dumps(HISTORY, ensure_ascii=False).encode(), json.dumps(HISTORY, indent=1).encode()],
        lambda data: parse_history(data, "history.json"),
        ".json",
    ),
    **{
        f"MovieLens {name}": ([files[name].encode()], movielens_parser(files, name), name)
        for files in (CSV, DAT, ITEM)
        for name in files
    },
}


@pytest.mark.parametrize("kind", PARSERS)
def test_damaged_files_are_read_or_refused(kind: str) -> None:
    seeds, parse, _ = PARSERS[kind]
    for seed in seeds:
        parse(seed)  # whole, they are read

    @settings(max_examples=200, derandomize=True, database=None, deadline=None)
    @given(number=st.integers(0, 2**32))
    def damaged(number: int) -> None:
        data = mutate(seeds, number)
        started = time.perf_counter()
        with contextlib.suppress(UserError):
            parse(data)
        assert time.perf_counter() - started < SECONDS

    damaged()
