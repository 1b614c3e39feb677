"""Every part of the page in a real browser, on a desktop by day and on a phone by night."""

from __future__ import annotations

import csv
import io
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reel.ranking import renown
from tests.spaces.browsing import (
    EXPORT,
    Site,
    Visit,
    both_looks,
    bring,
    choose,
    click_stars,
    pick,
    rate,
    rows,
    somebodys_export,
    titles,
    zipped,
)
from tests.spaces.fake_recommender import FakeRecommender

pytest.importorskip("gradio", reason="Gradio is not installed (extra: demo)")
from filters import RENOWN

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (extra: test)").expect

FILMS = {row["film_id"]: row for row in FakeRecommender().rows}
# What the page adds to a film's expected stars for being well known, by title.
RENOWNS = renown(np.array([row["rating_count"] for row in FILMS.values()]))
GAINS = {row["title"]: RENOWN / 2 * gain for row, gain in zip(FILMS.values(), RENOWNS, strict=True)}
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="30"><rect width="20" height="30"/></svg>'
WATCHLIST = "Date,Name,Year,Letterboxd URI\r\n2024-01-05,Seven Keeper,1939,e\r\n"
SECOND_EXPORT = (
    "Date,Name,Year,Letterboxd URI,Rating\r\n"
    "2024-01-01,Saltwater Hotel,1983,a,1\r\n2024-01-02,Seven Engine,1957,d,5\r\n2024-01-03,Blue Orchard,1995,b,2\r\n"
)


def asked_about(page: Any) -> Any:
    return page.locator("#question h3 em")


def shown(page: Any) -> list[dict[str, Any]]:
    """The catalogue's rows of the recommended films."""
    return [FILMS[button.get_attribute("data-film")] for button in rows(page).locator(".seen-it").all()]


def more_filters(page: Any) -> None:
    page.get_by_role("button", name="More filters, order and look").click()
    page.get_by_label("Order").wait_for()


def settled(page: Any, before: list[str]) -> None:
    """The list is another one than `before`."""
    expect(rows(page).locator(".name")).not_to_have_text(before)


@both_looks
def test_the_question_on_the_card(visit: Visit) -> None:
    page = visit.page
    first = asked_about(page).inner_text()
    click_stars(page.locator("#question .stars"), 9)
    expect(asked_about(page)).not_to_have_text(first)
    expect(page.locator("#ratings li .film")).to_have_text([first])
    expect(page.locator("#ratings").get_by_role("slider")).to_have_attribute("value", "9")
    expect(page.locator("#status")).to_have_text("Chosen from your 1 rating.")
    second = asked_about(page).inner_text()
    page.get_by_role("button", name="I have not seen it").click()
    expect(asked_about(page)).not_to_have_text(second)
    assert asked_about(page).inner_text() != first
    expect(page.locator("#ratings li")).to_have_count(1)


@both_looks
def test_one_click_makes_recommendations(visit: Visit) -> None:
    page = visit.page
    page.evaluate("window.clicks = 0; addEventListener('click', () => window.clicks++, true)")
    click_stars(page.locator("#question .stars"), 8)
    expect(page.locator("#status")).to_have_text("Chosen from your 1 rating.")
    expect(rows(page)).to_have_count(20)
    assert page.evaluate("window.clicks") <= 3


def test_the_question_by_keyboard_alone(visit: Visit) -> None:
    page = visit.page
    title = asked_about(page).inner_text()
    slider = page.locator("#question").get_by_role("slider")
    for _ in range(50):  # with Tab alone, as somebody without a mouse gets there
        page.keyboard.press("Tab")
        if slider.evaluate("slider => slider === document.activeElement"):
            break
    expect(slider).to_be_focused()
    assert page.locator("#question .stars").evaluate("stars => getComputedStyle(stars).outlineStyle") == "solid"
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "4 stars")
    page.keyboard.press("Enter")
    expect(page.locator("#ratings li .film")).to_have_text([title])
    expect(asked_about(page)).not_to_have_text(title)
    expect(page.locator("#question").get_by_role("slider")).to_have_attribute("aria-valuetext", "not rated yet")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="I have not seen it")).to_be_focused()
    passed = asked_about(page).inner_text()
    page.keyboard.press("Enter")
    expect(asked_about(page)).not_to_have_text(passed)


@both_looks
def test_recommendations_change_with_every_rating(visit: Visit) -> None:
    page = visit.page
    before = titles(page)
    for text, title, rating in (
        ("lantern keep", "The Lantern Keeper", 10),
        ("blue orch", "Blue Orchard", 2),
        ("saltwater hot", "Saltwater Hotel", 9),
    ):
        rate(page, text, title, rating)
        settled(page, before)
        before = titles(page)
        assert title not in before


@both_looks
def test_a_long_list_of_ratings_scrolls_in_its_place(visit: Visit) -> None:
    page, films = visit.page, FakeRecommender().catalogue.films
    bring(page, "ratings.csv", somebodys_export(films, seed=1))
    expect(page.locator("#report")).to_contain_text("rated films found here")
    last = page.locator("#ratings li").last
    page.evaluate("y => scrollTo(0, y - innerHeight / 2)", last.bounding_box()["y"])  # where it would be, unclipped
    expect(last).not_to_be_in_viewport()
    last.scroll_into_view_if_needed()
    expect(last).to_be_in_viewport()


@both_looks
def test_every_change_is_said_once(visit: Visit) -> None:
    page = visit.page
    told = page.locator("#told")
    expect(told).to_have_attribute("role", "status")
    page.evaluate(
        """() => {
            const told = document.querySelector("#told");
            window.heard = [];
            new MutationObserver(() => told.textContent && window.heard.push(told.textContent))
                .observe(told, { childList: true, characterData: true, subtree: true });
        }"""
    )
    sentences = []

    def said(*sentence: str) -> None:
        expect(told).to_have_text(re.compile("^" + re.escape(" ".join(sentence))))
        first = f", first {titles(page)[0]}." if titles(page) else ""
        sentences.append(" ".join(sentence) + first)

    rate(page, "lantern keep", "The Lantern Keeper", 9)
    said("Your rating of The Lantern Keeper (1930): 4.5 stars.", "Chosen from your 1 rating.", "Films 1 to 20 of 59")
    pick(page, "How many", "10")
    said("Chosen from your 1 rating.", "Films 1 to 10 of 59")
    page.get_by_role("button", name="Next").click()
    said("Chosen from your 1 rating.", "Films 11 to 20 of 59")
    click_stars(page.locator("#ratings .stars"), 2)
    said("Your rating of The Lantern Keeper: 1 star.", "Chosen from your 1 rating.", "Films 1 to 10 of 59")
    page.get_by_label("To year").fill("1929")
    said("No film fits these filters.")
    page.get_by_role("button", name="Remove The Lantern Keeper").click()
    said("Your rating of The Lantern Keeper: removed.", "No film fits these filters.")
    page.get_by_role("button", name="I have not seen it").click()
    expect(told).to_have_text(re.compile("^Have you seen"))
    sentences.append(page.locator("#question h3").inner_text())
    assert page.evaluate("window.heard") == sentences
    expect(page.locator(".sr-only[role=status]")).to_be_hidden()  # Gradio, of the same changes


@both_looks
def test_every_other_filter(visit: Visit) -> None:
    page = visit.page
    bring(page, "letterboxd-me.zip", zipped(ratings=EXPORT, watchlist=WATCHLIST))
    expect(page.locator("#status")).to_have_text("Chosen from your 2 ratings.")
    more_filters(page)
    before = titles(page)
    pick(page, "Original languages", "French")
    settled(page, before)
    assert {film["original_language"] for film in shown(page)} == {"fr"}
    page.keyboard.press("Escape")
    before = titles(page)
    pick(page, "Length", "Up to 90 minutes")
    settled(page, before)
    assert all(film["runtime"] <= 90 for film in shown(page))
    before = titles(page)
    pick(page, "Popularity", "Hardly known")
    settled(page, before)
    assert max(film["rating_count"] for film in shown(page)) < 3800
    page.get_by_label("Only my watchlist").check()
    expect(page.locator("#recommendations")).to_contain_text("No film fits these filters")
    pick(page, "Popularity", "Any")
    pick(page, "Length", "Any length")
    page.get_by_label("Original languages").focus()
    page.keyboard.press("Backspace")
    expect(rows(page).locator(".name")).to_have_text(["Seven Keeper"])


@both_looks
def test_moods_orders_and_pages(visit: Visit) -> None:
    page = visit.page
    rate(page, "lantern keep", "The Lantern Keeper", 9)
    expect(page.locator("#status")).to_contain_text("1 rating")
    more_filters(page)
    balanced = titles(page)
    page.get_by_label("Adventurous").check()
    settled(page, balanced)
    adventurous = titles(page)
    page.get_by_label("Cautious").check()
    settled(page, adventurous)
    cautious = titles(page)
    pick(page, "Order", "Newest")
    settled(page, cautious)
    years = [int(year) for year in rows(page).locator(".year").all_inner_texts()]
    assert years == sorted(years, reverse=True)
    first = titles(page)
    expect(page.get_by_role("button", name="Previous")).to_be_disabled()
    expect(page.locator("#pages")).to_contain_text("1 to 20 of 59")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#pages")).to_contain_text("21 to 40 of 59")
    second = titles(page)
    assert not set(first) & set(second)
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#pages")).to_contain_text("41 to 59 of 59")
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_role("button", name="Previous").click()
    expect(rows(page).locator(".name")).to_have_text(second)


@both_looks
def test_a_grid_with_posters_asks_their_host_only_when_told_to(visit: Visit) -> None:
    page = visit.page
    page.route("https://pictures.test/**", lambda route: route.fulfill(content_type="image/svg+xml", body=PICTURE))
    more_filters(page)
    page.get_by_label("Grid").check()
    expect(page.locator("#recommendations table.grid")).to_be_visible()
    assert page.locator("#recommendations img").count() == 0
    visit.hosts.add("pictures.test")
    page.get_by_label("Show posters").check()
    expect(page.locator("#recommendations img")).to_have_count(20)
    poster = page.locator("#recommendations img").first
    poster.scroll_into_view_if_needed()
    expect(poster).to_have_js_property("complete", True)


@both_looks
def test_one_film(visit: Visit) -> None:
    page = visit.page
    rate(page, "lantern keep", "The Lantern Keeper", 10)
    choose(page, "paper engi", "Paper Engine")
    card = page.locator("#film .one-film")
    expect(card.locator("h3")).to_contain_text("Paper Engine")
    expect(card).to_contain_text(re.compile(r"Reel expects [0-5]\.[0-9] ★ from you, and [0-9]+% for 3½ ★ or more"))
    assert card.get_by_role("img").get_attribute("aria-label").count("%") == 10
    choose(page, "lantern keep", "The Lantern Keeper")
    expect(card).to_contain_text("You gave it 5 ★")
    click_stars(page.locator(".picked .stars"), 4)
    expect(card).to_have_count(0)


@both_looks
def test_two_people(visit: Visit, site: Site) -> None:
    page = visit.page
    page.get_by_role("tab", name="Two people").click()
    expect(page.locator("#for-two")).to_contain_text("Bring the second person's export")
    bring(page, "letterboxd-you.zip", zipped(ratings=EXPORT), to="#first-person")
    expect(page.locator("#pair-report")).to_contain_text("2 of 3 rated films")
    bring(page, "ratings.csv", SECOND_EXPORT.encode(), to="#second-person")
    films = page.locator("#for-two .for-two tbody tr")
    expect(films).to_have_count(20)
    expect(page.locator("#for-two")).to_contain_text("First person: 2 films rated. Second person: 3.")
    expect(page.locator("#for-two")).to_contain_text("You both rated 2 films")
    expect(page.locator("#for-two li").first).to_contain_text("Saltwater Hotel")
    names = films.get_by_role("rowheader").all_inner_texts()
    lower = [min(map(float, film.locator(".number").all_inner_texts())) for film in films.all()]
    worths = [stars + GAINS[name.rsplit(maxsplit=1)[0]] for stars, name in zip(lower, names, strict=True)]
    assert all(after < before + 0.11 for before, after in pairwise(worths))  # stars on the page are rounded
    assert not any(name.startswith(("Saltwater Hotel", "Blue Orchard", "Seven Engine")) for name in names)
    expect(page.locator("#told")).to_have_text(f"20 films for both, first {names[0]}.")
    assert list(site.folder.rglob("*")) == []


@both_looks
def test_your_ratings_are_the_first_persons(visit: Visit) -> None:
    page = visit.page
    rate(page, "lantern keep", "The Lantern Keeper", 10)
    page.get_by_role("tab", name="Two people").click()
    bring(page, "ratings.csv", SECOND_EXPORT.encode(), to="#second-person")
    expect(page.locator("#for-two")).to_contain_text("First person: 1 film rated. Second person: 3.")


@both_looks
def test_your_taste(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("tab", name="Your taste").click()
    expect(page.locator("#taste")).to_contain_text("Rate a few films")
    rate(page, "lantern keep", "The Lantern Keeper", 10)
    rate(page, "blue orch", "Blue Orchard", 2)
    rate(page, "saltwater hot", "Saltwater Hotel", 8)
    rate(page, "seven engi", "Seven Engine", 1)
    rate(page, "seven keep", "Seven Keeper", 6)
    taste = page.locator("#taste")
    expect(taste).to_contain_text(re.compile("Over 5 films you give 2.70 ★; everyone gives the same films"))
    for heading in (
        "How you rate",
        "By year",
        "By genre",
        "By decade",
        "Your most unusual ratings",
        "Where you agree with everyone",
    ):
        expect(taste.get_by_role("heading", name=heading)).to_be_visible()
    assert "5 stars 20%" in taste.get_by_role("img").first.get_attribute("aria-label")
    decades = taste.locator("section", has=page.get_by_role("heading", name="By decade")).locator("tbody tr")
    expect(decades.get_by_role("rowheader")).to_have_text(["1930s 2"])
    expect(decades.locator("td")).to_have_text(["4.0", "3.3", ""])
    years = taste.get_by_role("img", name="By year of release, 1930 to 1995: kinder than everyone in 1 of 5 years")
    expect(years.locator(".good, .low")).to_have_count(5)


@both_looks
def test_what_is_taken_away(visit: Visit, tmp_path: Path, site: Site) -> None:
    page = visit.page
    bring(page, "letterboxd-me.zip", zipped(ratings=EXPORT, watchlist=WATCHLIST))
    expect(page.locator("#status")).to_have_text("Chosen from your 2 ratings.")

    def saved(button: str) -> tuple[str, str]:
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        return download.value.suggested_filename, Path(download.value.path()).read_text(encoding="utf-8")

    name, content = saved("Letterboxd list")
    assert name == "letterboxd-list.csv"
    assert [row["Title"].removeprefix("'") for row in csv.DictReader(io.StringIO(content))] == titles(page)
    name, content = saved("My ratings for Letterboxd")
    assert name == "letterboxd-ratings.csv"
    rated = [(row["Title"], row["Rating"]) for row in csv.DictReader(io.StringIO(content))]
    assert rated == [("Saltwater Hotel", "4.5"), ("Blue Orchard", "2")]
    name, content = saved("Everything as JSON")
    assert name == "reel.json"
    everything = json.loads(content)
    assert [film["title"] for film in everything["recommendations"]] == titles(page)
    assert everything["watchlist"] == ["film-48"]
    bring(page, name, content.encode())  # what the page wrote, it reads
    expect(page.locator("#report")).to_contain_text("2 of 2 rated films")
    assert list(site.folder.rglob("*")) == []


@both_looks
def test_rows_that_were_not_found_are_shown_with_why(visit: Visit) -> None:
    page = visit.page
    wrong = EXPORT + "2024-01-04,Paper Hotel,1901,u,9\r\n"
    bring(page, "ratings.csv", wrong.encode())
    report = page.locator("#report")
    report.get_by_text("1 row not found, and why").click()
    row = report.get_by_role("region", name="Rows not found").locator("tbody tr")
    expect(row).to_have_count(1)
    assert all(text.strip() for text in row.locator("td").all_inner_texts())
    report.get_by_text("1 row not readable, and why").click()
    expect(report.get_by_role("region", name="Rows not readable").locator("tbody tr")).to_contain_text("9")
