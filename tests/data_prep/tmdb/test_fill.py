"""`reel data tmdb --fill`: only nulls are filled, the data set stays whole, a second run asks and changes nothing."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest

from data_prep.building.build import write_dataset
from data_prep.dataset import load_films, load_histories, load_ratings
from data_prep.errors import UserError
from data_prep.schema import FILM_COLUMNS
from data_prep.tmdb import ATTRIBUTION, fill
from data_prep.tmdb.client import TmdbClient
from data_prep.tmdb.lookup import Lookup, Wanted
from tests.data_prep.tmdb.fake_tmdb import FakeTmdb

Run = Callable[..., None]

FILMS = [
    {"film_id": "lighthouse", "title": "The Lighthouse Eats", "year": 1999, "tmdb_id": 1, "overview": "In own words."},
    {"film_id": "aether", "title": "Aether and Ash", "year": 2003, "imdb_id": "tt0000002", "genres": ["Fantasy"]},
    {"film_id": "winter", "title": "Winter Without End", "year": 2015, "runtime": 12.5},
    {"film_id": "twin", "title": "Twin", "year": 2010},
    {"film_id": "silent", "title": "Nothing Known", "tmdb_id": 6},
    {"film_id": "series", "title": "A Series of Another Name", "year": 2020, "tmdb_id": 3},
    {
        "film_id": "whole",
        "title": "Whole",
        "year": 1980,
        "release_date": datetime.date(1980, 5, 5),
        "runtime": 90.0,
        "genres": [],
        "production_countries": ["Iceland"],
        "spoken_languages": ["Icelandic"],
        "original_language": "is",
        "overview": "All there.",
        "popularity": 0.0,
        "vote_average": 0.0,
        "vote_count": 0,
        "tmdb_id": 4,
        "imdb_id": "tt0000004",
        "image_url": "https://images.example/4.jpg",
    },
]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    films = pl.DataFrame(FILMS, schema=dict(FILM_COLUMNS))
    ratings = pl.DataFrame(
        [(f"user-{user}", film, 1 + (user * 3 + len(film)) % 10) for user in range(8) for film in films["film_id"]],
        schema=["user_id", "film_id", "rating"],
        orient="row",
    )
    folder = tmp_path / "data" / "mine"
    splits = {"train": 0.5, "validation": 0.25, "test": 0.25}
    write_dataset(folder, films, ratings, source="eight invented people", splits=splits)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_fill(run: Run, tmdb: FakeTmdb, dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, old = contents(dataset), load_films(str(dataset))
    (dataset / "features").mkdir()
    (dataset / "features" / "features.json").write_text("{}")
    (dataset / "notes").mkdir()
    (dataset / "notes" / "films").write_text("the user's own")
    capsys.readouterr()

    run("--fill", dataset, "--format", "json")
    report = json.loads(capsys.readouterr().out)
    assert (report["films"], report["asked"]) == (7, 6)
    assert report["found"] == {"tmdb_id": 2, "imdb_id": 1, "title_and_year": 1}
    assert report["filled"]["runtime"] == 2
    assert report["filled"]["tmdb_id"] == 2
    assert report["empty"]["runtime"] == 3
    assert [film["film_id"] for film in report["not_found"]] == ["twin", "series"]
    assert "ambiguous" in report["not_found"][0]["reason"]
    assert "film 3 of TMDB is Twin (2010)" in report["not_found"][1]["reason"]

    films = load_films(str(dataset))
    assert films.row(0, named=True) | {"release_date": None} == {
        "film_id": "lighthouse",
        "title": "The Lighthouse Eats",
        "year": 1999,
        "release_date": None,
        "runtime": 61.0,
        "genres": ["Drama", "Horror"],
        "production_countries": ["Iceland"],
        "spoken_languages": ["Icelandic"],
        "original_language": "is",
        "overview": "In own words.",
        "popularity": 2.5,
        "vote_average": 6.25,
        "vote_count": 11,
        "tmdb_id": 1,
        "imdb_id": "tt0000001",
        "image_url": "https://image.tmdb.org/t/p/w500/poster1.jpg",
        "film_group": "lighthouse",
    }
    assert films["year"].to_list() == [1999, 2003, 2015, 2010, None, 2020, 1980]  # 2004 at TMDB: ours stays
    assert films["genres"][1].to_list() == ["Fantasy"]
    assert films["runtime"][2] == 12.5
    for name in FILM_COLUMNS:  # no value that was there has changed
        known = old[name].is_not_null()
        assert films[name].filter(known).equals(old[name].filter(known)), name
    assert films.row(6) == old.row(6)

    after = contents(dataset)
    unchanged = [name for name in before if not name.startswith(("films/", "README"))]
    assert all(after[name] == before[name] for name in unchanged)
    assert after["notes/films"] == b"the user's own"
    assert not (dataset / "features").exists()  # they are of the films as they were
    assert ATTRIBUTION in after["README.md"].decode()
    assert len(load_histories(str(dataset), "train")) == 4
    assert len(load_ratings(str(dataset), "test")) == 14
    assert [path.name for path in dataset.parent.iterdir()] == ["mine"]


def test_a_second_run_asks_and_changes_nothing(
    run: Run, tmdb: FakeTmdb, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--fill", dataset)
    asked, first = len(tmdb.requests), contents(dataset)
    capsys.readouterr()
    run("--fill", dataset)
    printed = capsys.readouterr()
    assert len(tmdb.requests) == asked
    assert contents(dataset) == first
    ways = "1 by tmdb id, 0 by imdb id, 0 by title and year"
    assert f"7 films, 3 incomplete; 1 found ({ways}), 2 not found" in printed.out
    assert "not found: twin, Twin (2010): ambiguous: films 3, 4 of TMDB" in printed.out
    assert "0 requests" in printed.err


def test_what_tmdb_learns_later_is_filled_later(run: Run, tmdb: FakeTmdb, dataset: Path) -> None:
    run("--fill", dataset)
    tmdb.films[6]["runtime"] = 77
    run("--fill", dataset, "--max-age", "0")
    assert load_films(str(dataset))["runtime"][4] == 77
    assert (dataset / "README.md").read_text().count(ATTRIBUTION) == 1


def test_a_dry_run_asks_and_changes_nothing(
    run: Run, tmdb: FakeTmdb, dataset: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMDB_TOKEN")
    before = contents(dataset)
    run("--fill", dataset, "--dry-run")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "6 films; TMDB would be asked at least 6 times",
        "/movie/1",
        "/find/tt0000002?external_source=imdb_id",
        "/search/movie?query=Winter+Without+End&year=2015",
        "/search/movie?query=Twin&year=2010",
        "/movie/6",
        "/movie/3",
    ]
    assert (tmdb.requests, contents(dataset)) == ([], before)


def test_without_hard_links(run: Run, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    run("--fill", dataset)
    assert load_films(str(dataset))["runtime"][0] == 61
    assert len(load_histories(str(dataset), "train")) == 4


def test_a_failure_while_writing_leaves_the_old_data_set(
    run: Run, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = contents(dataset)
    with monkeypatch.context() as patch:
        patch.setattr(fill, "write_films", fail)
        with pytest.raises(UserError, match="No space left"):
            run("--fill", dataset)
    assert contents(dataset) == before
    assert [path.name for path in dataset.parent.iterdir()] == ["mine"]


def test_a_data_set_that_was_built_again_meanwhile_is_left_alone(
    run: Run, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_films = fill.find_films

    def rebuild_meanwhile(client: TmdbClient, wanted: Sequence[Wanted]) -> list[Lookup]:
        splits = {"train": 0.5, "validation": 0.25, "test": 0.25}
        films = load_films(str(dataset)).reverse()
        write_dataset(dataset, films, load_ratings(str(dataset), "train"), source="others", splits=splits)
        return find_films(client, wanted)

    monkeypatch.setattr(fill, "find_films", rebuild_meanwhile)
    with pytest.raises(UserError, match="built again meanwhile"):
        run("--fill", dataset)
    assert load_films(str(dataset))["film_id"][0] == "whole"


def test_killed_between_the_two_renames_the_next_run_goes_on(run: Run, dataset: Path) -> None:
    dead = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(dead, 0)
    (dataset.parent / f".mine.building-{dead}").mkdir()
    dataset.rename(dataset.with_name(f".mine.replaced-{dead}"))
    run("--fill", dataset)
    assert load_films(str(dataset))["runtime"][0] == 61
    assert [path.name for path in dataset.parent.iterdir()] == ["mine"]


def test_what_is_no_data_set(run: Run, tmdb: FakeTmdb, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "absent", Path("owner/name")):
        with pytest.raises(UserError, match="no rating data set"):
            run("--fill", path)
    assert tmdb.requests == []
