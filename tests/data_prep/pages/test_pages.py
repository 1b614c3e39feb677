"""Own small pages of every generation: what was put in comes out, and every trap of the markup is passed."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from data_prep.pages import BlockedPage, ChallengePage, FilmPage, Member, PrivatePage, UnknownPage, parse_page
from tests.data_prep.pages import markup
from tests.data_prep.pages.markup import GENERATIONS, Generation, grid_film, list_film, review, viewing

every_generation = pytest.mark.parametrize("generation", GENERATIONS)

DIARY = [
    viewing("the-glass-tide", "2020-03-09", 7, number=90, liked=True, reviewed=True),
    viewing("the-glass-tide", "2020-03-09", 1, number=89, rewatch=True),
    viewing("no-stars", "2020-03-02", None, number=60),
    viewing("brackets", "2020-02-29", 10, number=51, title="Salt (The Long Way Home) (1984)", year=2001),
    viewing("undated-film", "2020-02-01", 3, number=50, title="Café & “Söhne”", year=None),
]
GRID = [
    grid_film("the-glass-tide", 7, liked=True),
    grid_film("half-a-star", 1),
    grid_film("unrated"),
    grid_film("liked-only", None, liked=True),
    grid_film("coming-some-day", None, year=None),
]
LIST = [list_film("the-glass-tide", 9), list_film("unrated"), list_film("new", 2, year=None)]
REVIEWS = [
    review("the-glass-tide", "First line.\n\nSecond, with <b>, & and ★★★★★.", "2026-09-08", 9, number=3, liked=True),
    review("the-glass-tide", "Again.", "2026-08-31", None, number=2, rewatch=True),
    review("long-film", "word " * 150 + "end.", "2025-01-01", 5, number=1, year=None),
]


@every_generation
def test_diary(generation: Generation) -> None:
    page = parse_page(markup.diary_page("ada", DIARY, generation=generation))
    assert list(page.entries) == DIARY
    assert (page.kind, page.owner, page.next_page, page.page_count) == ("diary", "ada", None, 1)


@every_generation
def test_films_grid(generation: Generation) -> None:
    page = parse_page(markup.films_page("ada", GRID, generation=generation, pages=7))
    shown = GRID if generation in "CD" else [replace(film, year=None) for film in GRID]
    assert list(page.entries) == shown
    assert (page.kind, page.owner, page.next_page, page.page_count) == ("films", "ada", "/ada/films/page/2/", 7)


@every_generation
@pytest.mark.parametrize(
    ("path", "body_class", "owner"),
    [
        ("/ada/likes/films/", "likes", "ada"),
        ("/ada/tag/rainy-days/films/", "tagged", "ada"),
        ("/actor/somebody-else/", "crew-page filmography-page", None),
        ("/composer/somebody-else/", "crew-page filmography-page", None),
    ],
)
def test_other_grids_are_films(generation: Generation, path: str, body_class: str, owner: str | None) -> None:
    films = [grid_film("one"), grid_film("two")]
    page = parse_page(markup.films_page("ada", films, generation=generation, path=path, body_class=body_class))
    assert [film.film_id for film in page.entries] == ["one", "two"]
    assert (page.kind, page.owner) == ("films", owner)


@every_generation
def test_watchlist(generation: Generation) -> None:
    films = [grid_film("one", 8), grid_film("two")]
    page = parse_page(markup.watchlist_page("ada", films, generation=generation, pages=2))
    assert [(film.film_id, film.rating) for film in page.entries] == [("one", 8), ("two", None)]
    assert (page.kind, page.owner, page.next_page) == ("watchlist", "ada", "/ada/watchlist/page/2/")


@every_generation
@pytest.mark.parametrize("detail", [False, True])
def test_list(generation: Generation, detail: bool) -> None:
    films = [*LIST, list_film("with-a-note", 4, text="Seen in the rain.")]
    page = parse_page(markup.list_page("ada", films, generation=generation, page=2, pages=3, detail=detail))
    shown = films if detail else [replace(film, text=None) for film in films]
    if generation in "AB" and not detail:
        shown = [replace(film, year=None) for film in shown]
    assert list(page.entries) == shown
    assert (page.kind, page.owner, page.next_page) == ("list", "ada", "/ada/list/some-list/page/3/")


@every_generation
@pytest.mark.parametrize("spoilers", [False, True])
def test_reviews(generation: Generation, spoilers: bool) -> None:
    page = parse_page(markup.reviews_page("ada", REVIEWS, generation=generation, spoilers=spoilers))
    assert list(page.entries) == REVIEWS
    assert (page.kind, page.owner) == ("reviews", "ada")


@every_generation
def test_a_profile_is_reviews(generation: Generation) -> None:
    html = markup.reviews_page("ada", REVIEWS, generation=generation, path="/ada/", body_class="profile")
    assert (parse_page(html).kind, list(parse_page(html).entries)) == ("reviews", REVIEWS)


@every_generation
def test_reviews_of_a_film_are_by_several_members(generation: Generation) -> None:
    entries = [review("one", "Fine.", "2024-05-06", 6, username="ada"), replace(REVIEWS[0], username="bob")]
    html = markup.reviews_page("ada", entries, generation=generation, path="/film/one/reviews/by/activity/")
    page = parse_page(html.replace(' data-owner="ada"', "", 1))  # that of the body
    assert [entry.username for entry in page.entries] == ["ada", "bob"]
    assert page.owner is None


def test_members() -> None:
    for path, body_class in (("/members/popular/this/week/", ""), ("/ada/following/", "following")):
        html = markup.members_page(["bob", "eve"], path=path, body_class=body_class, page=2, pages=9)
        page = parse_page(html)
        assert list(page.entries) == [Member("bob"), Member("eve")]
        assert (page.kind, page.next_page, page.page_count) == ("members", f"{path}page/3/", None)


@every_generation
@pytest.mark.parametrize(
    "film",
    [
        FilmPage("the-glass-tide", "The Glass Tide", 1999, 4711, "movie", "tt0012345"),
        FilmPage("brackets", "Salt (The Long Way Home)", 2001, 12, "movie", None),
        FilmPage("some-series", "Some Series", 2019, 815, "tv", "tt7654321"),
        FilmPage("nowhere-else", "Nowhere Else (1984)", None),
    ],
    ids=lambda film: film.film_id,
)
def test_film(generation: Generation, film: FilmPage) -> None:
    page = parse_page(markup.film_page(film, generation=generation))
    assert page.film == film
    assert (page.kind, list(page.entries), page.owner, page.page_count) == ("film", [film], None, 1)


def test_the_link_of_a_miniseries_wins_over_its_body() -> None:
    film = FilmPage("mini", "Mini", 2020, 99, "tv")
    assert parse_page(markup.film_page(film, body_type="movie")).film == film


def test_ids_of_the_body_where_the_links_are_lost() -> None:
    film = FilmPage("mini", "Mini", 2020, 99, "movie")
    html = markup.film_page(film).replace("themoviedb.org", "elsewhere.example")
    assert parse_page(html).film == film


def test_a_film_that_tmdb_does_not_know() -> None:
    film = FilmPage("lost", "Lost", 1920, imdb_id="tt0000009")
    html = markup.film_page(film).replace("data-tmdb-", "data-no-")
    assert parse_page(html).film == film


def test_ratings_written_as_stars_alone() -> None:
    html = markup.films_page("ada", GRID, generation="C").replace("rated-", "score-").replace('"rating ', '"score ')
    assert [film.rating for film in parse_page(html).entries] == [film.rating for film in GRID]


def test_the_next_year_is_no_next_page() -> None:
    first = parse_page(markup.diary_page("ada", DIARY, year=2020, pages=2))
    last = parse_page(markup.diary_page("ada", DIARY, year=2020, page=2, pages=2))
    assert (first.next_page, last.next_page) == ("/ada/diary/films/for/2020/page/2/", None)
    other = markup.diary_page("ada", DIARY, year=2020).replace("for/2021/", "for/2021/page/1/")
    assert parse_page(other).next_page is None


def test_the_month_of_the_rows_before_where_a_day_has_no_link() -> None:
    html = markup.diary_page("ada", DIARY)
    for entry in DIARY:
        html = html.replace(f'<a href="/ada/diary/films/for/{entry.date:%Y/%m/%d}/">', "<a>")
    assert [entry.date for entry in parse_page(html).entries] == [entry.date for entry in DIARY]


def test_links_of_a_page_that_a_browser_saved() -> None:
    html = markup.diary_page("ada", DIARY, year=2020, pages=2).replace('href="/', 'href="https://letterboxd.com/')
    page = parse_page(html)
    assert list(page.entries) == DIARY
    assert page.next_page == "/ada/diary/films/for/2020/page/2/"


@every_generation
def test_deleted_films_keep_their_viewing(generation: Generation) -> None:
    entries = [DIARY[0], viewing(None, "2020-01-05", 6, number=7, year=None)]
    assert list(parse_page(markup.diary_page("ada", entries, generation=generation)).entries) == entries


def test_a_name_that_ends_in_a_year_without_being_dated() -> None:
    html = markup.films_page("ada", [grid_film("one", year=None)], generation="C")
    html = html.replace('data-item-name="One"', 'data-item-name="One (1984)"')
    assert parse_page(html).entries[0].year == 1984  # the picture is called "One"
    assert parse_page(html.replace('alt="One"', 'alt="One (1984)"')).entries[0].title == "One (1984)"
    loaded = parse_page(html.replace('alt="One"', 'alt="Poster for One (1984)"')).entries[0]
    assert (loaded.title, loaded.year) == ("One", 1984)


def test_excerpts_without_an_address() -> None:
    for html, kind in (
        (markup.diary_page("ada", DIARY), "diary"),
        (markup.reviews_page("ada", REVIEWS), "reviews"),
        (markup.watchlist_page("ada", GRID[:1]), "watchlist"),
        (markup.list_page("ada", LIST), "list"),
        (markup.films_page("ada", GRID), "films"),
    ):
        content = html[html.index('<section class="section col-main">') : html.index("<aside")]
        page = parse_page(f'<html><body data-owner="Ada">{content}</body></html>')
        assert (page.kind, page.owner) == (kind, "ada")
        assert page.entries


def test_empty_pages_that_say_so() -> None:
    for html in (
        markup.diary_page("ada", [], year=2023),
        markup.watchlist_page("ada", []),
        markup.reviews_page("ada", []),
        markup.members_page([], path="/ada/following/"),
    ):
        page = parse_page(html)
        assert (list(page.entries), page.next_page, page.page_count) == ([], None, 1)


def test_a_profile_without_reviews() -> None:
    html = markup.page_of("/ada/", "profile", "<h2>Favorite films</h2>", owner="ada")
    assert list(parse_page(html).entries) == []


def test_refusals() -> None:
    for html, error in (
        (markup.challenge_page(), ChallengePage),
        (markup.blocked_page(), BlockedPage),
        ("<html><head><title>429 Too Many Requests</title></head><body>nginx</body></html>", BlockedPage),
        (markup.private_page(), PrivatePage),
        (markup.missing_page(), UnknownPage),
        ("<html><body><p>Hello</p></body></html>", UnknownPage),
        (b"%PDF-1.7\n\x00\xff", UnknownPage),
        ("", UnknownPage),
        (b"\x00" * 500, UnknownPage),
        (markup.page_of("/film/one/themes/", "similar-films", markup.poster_list(["two"])), UnknownPage),
        (markup.page_of("/ada/list/one/likes/", "likes", ""), UnknownPage),
    ):
        with pytest.raises(error, match=r"^saved\.html: "):
            parse_page(html, "saved.html")


def test_a_private_watchlist() -> None:
    content = '<section class="message-text"><p>Ada’s watchlist is private.</p></section>'
    with pytest.raises(PrivatePage):
        parse_page(markup.page_of("/ada/watchlist/", "watchlist", content, owner="ada"))


def test_words_of_a_review_are_no_block_page() -> None:
    text = "You are being rate limited. Access denied. This film is private."
    html = markup.reviews_page("ada", [review("one", text, "2024-05-06")])
    start, end = html.index('<div class="viewing-list">'), html.index("<aside")
    page = parse_page(f'<html><body data-owner="ada">{html[start:end]}</body></html>')
    assert page.entries[0].text == text


def test_encodings() -> None:
    html = markup.diary_page("ada", DIARY)
    for data in (html.encode(), html.encode("utf-8-sig"), html.encode("utf-16")):
        assert list(parse_page(data).entries) == DIARY
    assert parse_page(html.replace("Café", "Caf\ud800").replace("<td", "\0<td")).entries[0].date == datetime.date(
        2020, 3, 9
    )
