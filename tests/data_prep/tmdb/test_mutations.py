"""Damaged answers end in a film, in none or in a UserError, and in nothing else."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest

from data_prep.errors import UserError
from data_prep.schema import FILMS_SCHEMA
from data_prep.tmdb import client as client_module
from data_prep.tmdb.client import TmdbClient
from data_prep.tmdb.records import Film, films_table
from tests.data_prep.tmdb.fake_tmdb import FakeTmdb, Reply, film
from tests.mutations import mutate

FILMS = [film(1, 'A "quoted" fïlm \\ more'), film(2, "B", "", runtime=None, genres=[])]
DAY = datetime.date(2001, 2, 3)
CASES = 200

Ask = Callable[[TmdbClient, int], Any]
# What is asked, the path of case n, and answers to damage.
KINDS: dict[str, tuple[Ask, str, list[Any]]] = {
    "film": (lambda client, n: [client.film(n)], "/3/movie/{n}", FILMS),
    "find": (lambda client, n: client.find(f"tt{n}"), "/3/find/tt{n}", [{"movie_results": FILMS, "tv_results": []}]),
    "search": (lambda client, n: client.search(str(n)), "/3/search/movie", [{"results": FILMS, "total_pages": 1}]),
    "discover": (
        lambda client, n: client.discover(DAY, DAY, n).films,
        "/3/discover/movie",
        [{"page": 1, "results": FILMS, "total_pages": 4}],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_answers(kind: str, tmdb: FakeTmdb, client: TmdbClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ATTEMPTS", 2)
    ask, path, contents = KINDS[kind]
    seeds = [json.dumps(content, ensure_ascii=escaped).encode() for content in contents for escaped in (True, False)]
    read: list[Film] = []
    refused = 0
    for number in range(1, CASES + 1):
        tmdb.scripted[path.format(n=number)] = [Reply(200, mutate(seeds, number))] * 2
        try:
            read += ask(client, number)
        except UserError:
            refused += 1
        tmdb.scripted.clear()
    assert films_table(read).to_arrow().cast(FILMS_SCHEMA).num_rows == len(read)
    assert len(read) > 20
    assert refused > 20
