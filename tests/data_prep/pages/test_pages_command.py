"""`reel data pages`: what one page holds as JSON, and saved pages as a data set."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from data_prep.dataset import load_films, load_histories, load_ratings
from data_prep.errors import UserError
from data_prep.pages import FilmPage, parse_page
from data_prep.pages.collect import Collection, Tables
from data_prep.pages.command import main
from tests.data_prep.pages import markup
from tests.data_prep.pages.markup import grid_film, list_film, review, viewing
from tests.data_prep.pages.test_pages import DIARY, GRID, LIST, REVIEWS

TIDE = FilmPage("the-glass-tide", "The Glass Tide", 1999, 4711, "movie", "tt0012345")
SERIES = FilmPage("some-series", "Some Series", 2019, 815, "tv", "tt7654321")
KEYS = ["kind", "entries", "tmdb_id", "tmdb_type", "imdb_id", "next_page", "page_count"]


def tables_of(*pages: str) -> Tables:
    collection = Collection()
    for page in pages:
        collection.add(parse_page(page))
    return collection.tables()


def rows(table: pl.DataFrame, *columns: str) -> list[tuple[object, ...]]:
    return table.select(columns).rows()


@pytest.mark.parametrize(
    ("html", "kind", "keys"),
    [
        (
            markup.diary_page("ada", DIARY),
            "diary",
            "film_id title year date rating liked rewatch reviewed viewing_id",
        ),
        (markup.films_page("ada", GRID), "films", "film_id title year rating liked"),
        (markup.watchlist_page("ada", GRID), "watchlist", "film_id title year rating liked"),
        (markup.list_page("ada", LIST), "list", "film_id title year rating liked text"),
        (
            markup.reviews_page("ada", REVIEWS),
            "reviews",
            "film_id title year date rating liked rewatch reviewed viewing_id username text",
        ),
        (markup.members_page(["bob"]), "members", "username"),
        (markup.film_page(TIDE), "film", "film_id title year"),
    ],
)
def test_json(html: str, kind: str, keys: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    main([str(tmp_path / "page.html"), "--format", "json"])
    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == KEYS
    assert answer["kind"] == kind
    assert answer["entries"]
    assert all(list(entry) == keys.split() for entry in answer["entries"])
    if kind == "film":
        assert (answer["tmdb_id"], answer["tmdb_type"], answer["imdb_id"]) == (4711, "movie", "tt0012345")
    if kind == "diary":
        assert answer["entries"][0] == {
            "film_id": "the-glass-tide",
            "title": "The Glass Tide",
            "year": 1999,
            "date": "2020-03-09",
            "rating": 7,
            "liked": True,
            "rewatch": False,
            "reviewed": True,
            "viewing_id": "90",
        }


def test_json_of_a_packed_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.html.gz").write_bytes(gzip.compress(markup.film_page(TIDE).encode()))
    main([str(tmp_path / "page.html.gz"), "--format", "json"])
    assert json.loads(capsys.readouterr().out)["tmdb_id"] == 4711


def test_the_latest_viewing_counts_and_earlier_ones_are_rewatches() -> None:
    entries = [
        viewing("one", "2020-03-09", 8, number=12),
        viewing("one", "2020-03-09", 6, number=11),
        viewing("one", "2019-01-01", 4, number=3),
        viewing("one", "2021-01-01", None, number=20),
        viewing("two", "2018-01-01", 9, number=1),
    ]
    tables = tables_of(markup.diary_page("ada", entries))
    assert rows(tables.ratings, "film_id", "rating", "rewatch") == [("one", 8, True), ("two", 9, False)]
    assert [rating for (rating,) in rows(tables.rewatches, "rating")] == [4, 6]


def test_a_grid_has_the_current_rating() -> None:
    diary = markup.diary_page("ada", [viewing("one", "2020-03-09", 8, number=2), viewing("two", "2020-03-08", 5)])
    grid = markup.films_page("ada", [grid_film("one", 6), grid_film("two", 5, liked=True), grid_film("three", 1)])
    tables = tables_of(grid, diary)
    found = [(film, rating, str(date), liked) for film, rating, date, liked in rows(tables.ratings, *SHOWN)]
    assert found == [("one", 6, "None", False), ("three", 1, "None", False), ("two", 5, "2020-03-08", True)]
    assert [(film, rating, str(date)) for film, rating, date, _ in rows(tables.rewatches, *SHOWN)] == [
        ("one", 8, "2020-03-09")
    ]


SHOWN = ("film_id", "rating", "date", "liked")


def test_a_viewing_on_two_pages_counts_once() -> None:
    long = "word " * 100 + "end."
    diary = markup.diary_page("ada", [viewing("one", "2020-03-09", 8, number=2, reviewed=True)])
    profile = markup.reviews_page("ada", [review("one", "word word…", "2020-03-09", 8, number=2)], path="/ada/")
    reviews = markup.reviews_page("ada", [review("one", long, "2020-03-09", 8, number=2)])
    for pages in ((diary, profile, reviews), (reviews, profile, diary)):
        tables = tables_of(*(page.replace('class="reviews"', 'class="profile"') for page in pages))
        assert (len(tables.ratings), len(tables.rewatches)) == (1, 0)
        assert rows(tables.reviews, "user_id", "film_id", "rating", "text") == [("ada", "one", 8, long)]


def test_titles_ids_and_television() -> None:
    diary = markup.diary_page(
        "ada", [viewing("some-series", "2020-01-01", 8), viewing("lost", "2020-01-01", 8, number=2)]
    )
    grid = markup.films_page("ada", [grid_film("the-glass-tide", 5)], generation="A")
    filmography = markup.films_page("ada", [grid_film("elsewhere")], path="/actor/x/", body_class="crew-page")
    tables = tables_of(grid, diary, markup.film_page(TIDE), markup.film_page(SERIES), filmography)
    assert tables.films.rows() == [
        ("lost", "Lost", 1999, None, None),
        ("some-series", "Some Series", 2019, None, "tt7654321"),
        ("the-glass-tide", "The Glass Tide", 1999, 4711, "tt0012345"),
    ]


def test_lists_with_ratings_are_used_others_are_not() -> None:
    collection = Collection()
    assert collection.add(parse_page(markup.list_page("ada", [list_film("one", 9)])))
    assert not collection.add(parse_page(markup.list_page("ada", [list_film("two")])))
    assert not collection.add(parse_page(markup.members_page(["bob"])))
    assert not collection.add(parse_page(markup.films_page("ada", GRID, path="/actor/x/", body_class="crew-page")))
    assert rows(collection.tables().ratings, "user_id", "film_id", "rating") == [("ada", "one", 9)]


def save(folder: Path, **pages: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, html in pages.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return folder


def test_data_set_of_one_member(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = save(
        tmp_path / "pages",
        diary=markup.diary_page("ada", DIARY),
        grid=markup.films_page("ada", GRID),
        film=markup.film_page(TIDE),
        members=markup.members_page(["bob"]),
        challenge=markup.challenge_page(),
    )
    out = tmp_path / "data"
    main([str(pages), "--out", str(out)])
    told = capsys.readouterr()
    assert told.out == ""
    assert "challenge.html: a challenge" in told.err
    assert "1 pages hold no member's ratings and were not used (members 1)" in told.err
    assert "1 users are too few to split: everybody is in train" in told.err
    ratings = load_ratings(str(out), "train")
    assert dict(rows(ratings, "film_id", "rating")) == {
        "the-glass-tide": 7,
        "brackets": 10,
        "undated-film": 3,
        "half-a-star": 1,
    }
    assert "ada" not in set(ratings["user_id"])
    assert "ada" not in (out / "README.md").read_text("utf-8").lower().split()
    assert len(load_histories(str(out), "train")) == 1
    assert load_films(str(out)).filter(film_id="the-glass-tide")["tmdb_id"].to_list() == [4711]
    with pytest.raises(UserError, match=r"challenge\.html"):
        main([str(pages), "--out", str(out), "--strict"])


def test_data_set_of_many_members_is_the_same_however_it_is_given(tmp_path: Path) -> None:
    names = [f"member{number:02d}" for number in range(20)]
    pages = save(tmp_path / "pages", **{name: markup.diary_page(name, DIARY[:3]) for name in names})
    save(pages / "deeper", again=markup.reviews_page("member03", REVIEWS))
    main([str(pages), "--out", str(tmp_path / "one")])
    main([*map(str, sorted(pages.rglob("*.html"), reverse=True)), "--out", str(tmp_path / "two")])
    for name in ("films", "ratings", "histories", "reviews", "rewatches"):
        shards = sorted((tmp_path / "one" / name).iterdir())
        assert shards
        for shard in shards:
            assert shard.read_bytes() == (tmp_path / "two" / name / shard.name).read_bytes()
    assert {path.name.partition("-")[0] for path in (tmp_path / "one/ratings").iterdir()} == {
        "train",
        "validation",
        "test",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["PAGES"], "give either --format json"),
        (["PAGES", "--out", "OUT", "--format", "json"], "give either --format json"),
        (["PAGES", "--format", "json"], "prints one page, not 2"),
        (["nowhere", "--out", "OUT"], "nowhere: no such file"),
        (["EMPTY", "--out", "OUT"], "no .html"),
        (["PAGES/a.html", "--out", "OUT"], "none of 1 pages can be read; the first"),
        (["PAGES/b.html", "--out", "OUT"], "hold no rating of a member"),
        (["PAGES/b.html", "--out", "OUT", "--cold-films", "-1"], "must be 0 or more"),
        (["PAGES/torn.html.gz", "--format", "json"], r"torn\.html\.gz: cannot be read"),
        (["DIARY", "--out", "OUT", "--splits", "train=.5,test=.5"], "too few for a"),
    ],
)
def test_mistakes(arguments: list[str], message: str, tmp_path: Path) -> None:
    pages = save(tmp_path / "pages", a=markup.challenge_page(), b=markup.members_page(["bob"]))
    (pages / "torn.html.gz").write_bytes(gzip.compress(b"x" * 1000)[:20])
    (tmp_path / "empty").mkdir()
    diary = save(tmp_path / "diary", d=markup.diary_page("ada", DIARY))
    places = {"PAGES": str(pages), "EMPTY": str(tmp_path / "empty"), "OUT": str(tmp_path / "o"), "DIARY": str(diary)}
    if arguments == ["PAGES", "--format", "json"]:
        (pages / "torn.html.gz").unlink()
    for short, path in places.items():
        arguments = [argument.replace(short, path) for argument in arguments]
    with pytest.raises(UserError, match=message):
        main(arguments)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("content", ['<?xml version="1.0"?><rss><channel/></rss>', "saved.html"])
@pytest.mark.filterwarnings("error")
def test_what_is_no_page_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "page.html").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"page\.html: "):
        main([str(tmp_path / "page.html"), "--format", "json"])
