"""The page in a real browser: the system's Chromium, a server in this process, a toy catalogue.

REEL_SCREENSHOTS=DIR saves pictures of the page and of its tabs, wide and narrow, light and dark; with REEL_MODEL=DIR
they show that model instead of the toy.
"""

from __future__ import annotations

import csv
import io
import os
import re
from pathlib import Path
from typing import Any

import pytest

from reel import demo
from tests.spaces.browsing import (
    DESKTOP,
    DESKTOP_DARK,
    EXPORT,
    PHONE,
    PHONE_LIGHT,
    WATCHED,
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
from tests.spaces.fake_recommender import HOSTILE, FakeRecommender

pytest.importorskip("gradio", reason="Gradio is not installed (extra: demo)")
expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (extra: test)").expect


@both_looks
def test_a_first_visit_finds_the_crowds_favourites_and_films_to_start_with(visit: Visit) -> None:
    page = visit.page
    expect(rows(page)).to_have_count(20)
    expect(page.locator("#status")).to_contain_text("What people like best")
    expect(page.locator("#ratings")).to_contain_text("Nothing here yet")
    expect(page.locator(".starters button")).to_have_count(8)
    chart = rows(page).first.get_by_role("img")
    expect(chart.locator("rect")).to_have_count(10)
    expect(chart).to_be_visible()
    expect(chart).to_have_attribute(
        "aria-label", re.compile(r"^Chance of each rating: 0\.5 stars .* 5 stars [0-9]+%$")
    )


@both_looks
def test_three_rated_films_make_recommendations(visit: Visit) -> None:
    page = visit.page
    before = titles(page)
    rate(page, "lantern keep", "The Lantern Keeper", 9)
    rate(page, "blue orch", "Blue Orchard", 3)
    rate(page, "hotel salt", "Saltwater Hotel", 8)
    expect(page.locator("#status")).to_have_text("Chosen from your 3 ratings.")
    assert titles(page) != before
    assert "The Lantern Keeper" not in titles(page)
    expect(rows(page).locator(".why", has_text="The Lantern Keeper 4½ ★").first).to_be_visible()
    expect(rows(page).first.locator(".why li").first).to_be_visible()
    expect(page.get_by_text("Because you rated").filter(visible=True).first).to_be_visible()
    expect(page.locator("#ratings li")).to_have_count(3)


def test_ratings_by_keyboard_alone(visit: Visit) -> None:
    page = visit.page
    box = page.get_by_role("combobox", name="Which films have you seen?")
    box.focus()
    page.keyboard.type("engine")
    expect(page.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option").nth(1)).to_have_attribute("aria-selected", "true")
    title = page.get_by_role("option").nth(1).inner_text()
    page.keyboard.press("Enter")
    expect(page.locator(".picked input")).to_be_focused()
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".picked input")).to_have_attribute("aria-valuetext", "3.5 stars")
    page.keyboard.press("Enter")
    expect(box).to_be_focused()
    rated = page.locator("#ratings li")
    expect(rated).to_have_count(1)
    assert title.split()[-1] in rated.inner_text()
    slider = rated.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("value", "8")
    expect(slider).to_be_focused()


@both_looks
def test_a_rating_is_changed_and_removed(visit: Visit) -> None:
    page = visit.page
    rate(page, "lantern keep", "The Lantern Keeper", 9)
    rate(page, "blue orch", "Blue Orchard", 3)
    keeper = page.locator("#ratings li", has_text="The Lantern Keeper")
    click_stars(keeper.locator(".stars"), 2)
    expect(keeper.get_by_role("slider")).to_have_attribute("value", "2")
    expect(rows(page).locator(".given", has_text="1 ★").first).to_be_visible()
    choose(page, "lantern keep", "The Lantern Keeper")  # the search knows the rating
    expect(page.locator(".picked input")).to_have_attribute("aria-valuetext", "1 star")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Remove Blue Orchard").click()
    expect(page.locator("#ratings li")).to_have_count(1)
    expect(page.locator("#ratings").get_by_role("slider")).to_have_js_property("value", "2")
    expect(page.locator("#status")).to_have_text("Chosen from your 1 rating.")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Start over").click()
    expect(page.locator("#status")).to_contain_text("What people like best")


@both_looks
def test_a_recommended_film_that_was_seen_is_rated_from_the_table(visit: Visit) -> None:
    page = visit.page
    seen = titles(page)[1]
    rows(page).nth(1).get_by_role("button").click()
    expect(page.locator(".picked")).to_contain_text(seen)
    click_stars(page.locator(".picked .stars"), 10)
    expect(page.locator("#ratings li")).to_contain_text(seen)
    expect(rows(page).locator(".name", has_text=seen)).to_have_count(0)


@both_looks
def test_filters(visit: Visit) -> None:
    page = visit.page
    rate(page, "lantern keep", "The Lantern Keeper", 9)
    page.get_by_label("From year").fill("1950")
    page.get_by_label("To year").fill("1980")
    pick(page, "Genres", "Drama")
    expect(rows(page).locator(".genres", has_text=re.compile("^(?!.*Drama)"))).to_have_count(0)
    expect(rows(page).locator(".year", has_text=re.compile("19[0134-9][0-9]|20"))).not_to_have_count(0)
    years = [int(year) for year in rows(page).locator(".year").all_inner_texts()]
    assert years
    assert all(1950 <= year <= 1980 for year in years)
    page.get_by_label("From year").fill("2022")
    page.get_by_label("To year").fill("2022")
    expect(page.locator("#recommendations")).to_contain_text("No film fits these filters")
    page.get_by_label("From year").fill("")
    page.get_by_label("To year").fill("1930")
    expect(page.locator("#recommendations")).to_contain_text("No film fits these filters")
    page.get_by_label("Hide what I have seen").uncheck()
    expect(rows(page).locator(".name")).to_have_text(["The Lantern Keeper"])


def test_how_many(visit: Visit) -> None:
    page = visit.page
    pick(page, "How many", "10")
    expect(rows(page)).to_have_count(10)


@both_looks
def test_an_export_is_read_reported_and_gone_and_a_second_one_works(visit: Visit, site: Site) -> None:
    page = visit.page
    bring(page, "letterboxd-me.zip", zipped(ratings=EXPORT, watched=WATCHED))
    report = page.locator("#report")
    expect(report).to_contain_text("2 of 3 rated films found here (67%)")
    expect(report).to_contain_text("1 more that you watched counts as seen")
    expect(page.locator("#status")).to_have_text("Chosen from your 2 ratings.")
    expect(page.locator("#ratings li")).to_have_count(2)
    report.get_by_text("1 row not found").click()
    expect(report.locator("tbody tr")).to_contain_text("<script>document.title")
    assert list(site.folder.rglob("*")) == []

    bring(page, "ratings.csv", b"Date,Name,Year,Letterboxd URI,Rating\r\n2024-02-01,Seven Keeper,1939,u,5\r\n")
    expect(report).to_contain_text("1 of 1 rated films found here")
    assert list(site.folder.rglob("*")) == []


@both_looks
@pytest.mark.parametrize(
    ("name", "content"),
    [("holiday.jpg", bytes(range(256)) * 20), ("empty.zip", zipped()), ("ratings.csv", b"\x00" * 5000)],
)
def test_garbage_gets_a_sentence(visit: Visit, site: Site, name: str, content: bytes) -> None:
    page = visit.page
    bring(page, name, content)
    alert = page.locator("#report").get_by_role("alert")
    expect(alert).to_contain_text(name)
    assert "Traceback" not in alert.inner_text()
    assert str(site.folder) not in alert.inner_text()
    assert list(site.folder.rglob("*")) == []
    bring(page, "letterboxd-me.zip", zipped(ratings=EXPORT))
    expect(page.locator("#report")).to_contain_text("2 of 3 rated films")


@both_looks
def test_an_upload_of_over_20_megabytes_is_refused(visit: Visit, site: Site, tmp_path: Path) -> None:
    page = visit.page
    large = tmp_path / "letterboxd-me.zip"
    large.write_bytes(bytes(21 * 1024 * 1024))
    page.locator("#upload input[type=file]").set_input_files(large)
    expect(page.get_by_text(re.compile("exceed", re.IGNORECASE)).first).to_be_visible()
    assert list(site.folder.rglob("*")) == []


@both_looks
def test_the_csv_is_what_the_table_shows(visit: Visit, site: Site) -> None:
    page = visit.page
    rate(page, "lantern keep", "The Lantern Keeper", 9)
    expect(page.locator("#status")).to_contain_text("1 rating")
    pick(page, "How many", "100")
    expect(rows(page)).to_have_count(59)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    assert download.value.suggested_filename == "recommendations.csv"
    content = Path(download.value.path()).read_text(encoding="utf-8")
    header, *films = csv.reader(io.StringIO(content, newline=""))
    assert header[:3] == ["Title", "Year", "Expected stars"]
    # Browsers fold white space; a spreadsheet would run what starts with "=".
    assert [film[0].removeprefix("'") for film in films] == titles(page)
    assert "'=2+5 Ways Home" in {film[0] for film in films}
    assert list(site.folder.rglob("*")) == []


@both_looks
def test_titles_are_text_wherever_they_appear(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("combobox", name="Which films have you seen?").fill("onerror")
    page.get_by_role("option").click()
    expect(page.locator(".picked")).to_contain_text(HOSTILE)
    click_stars(page.locator(".picked .stars"), 10)
    expect(page.locator("#ratings li .film")).to_contain_text(HOSTILE)
    expect(rows(page).first.locator(".why")).to_contain_text(HOSTILE)
    assert page.locator("img[src=x]").count() == 0


def test_visitors_do_not_see_each_other(visit: Visit, site: Site, browser: Any) -> None:
    rate(visit.page, "lantern keep", "The Lantern Keeper", 9)
    other = browser.new_page()
    other.goto(site.address)
    expect(other.locator("#ratings")).to_contain_text("Nothing here yet")
    other.close()


@pytest.mark.skipif("REEL_SCREENSHOTS" not in os.environ, reason="REEL_SCREENSHOTS names no folder for pictures")
def test_screenshots(browser: Any, site: Site) -> None:
    folder = Path(os.environ["REEL_SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    address, app, films = site.address, None, FakeRecommender().catalogue.films
    if model := os.environ.get("REEL_MODEL"):
        from reel import Recommender

        space = demo.load_space(demo.SPACE)
        recommender = Recommender.from_pretrained(model)
        app, films = space.build_app(recommender), recommender.catalogue.films
        address = space.launch(app, prevent_thread_lock=True, server_name="127.0.0.1")
    for name, look in (
        ("movie_recommender", DESKTOP),
        ("movie_recommender_dark", DESKTOP_DARK),
        ("movie_recommender_phone", PHONE_LIGHT),
        ("movie_recommender_phone_dark", PHONE),
    ):
        context = browser.new_context(viewport={"width": look.width, "height": look.height}, color_scheme=look.scheme)
        page = context.new_page()

        def picture(of: str, name: str = name, page: Any = page) -> None:
            page.mouse.move(0, 0)
            page.screenshot(path=folder / f"{name}{of}.png")

        page.goto(address)
        expect(page.locator(".starters button").first).to_be_visible()
        picture("_first")
        for count, rating in enumerate((9, 10, 4, 8), start=1):
            page.locator(".starters button").nth(count).click()
            click_stars(page.locator(".picked .stars"), rating)
            expect(page.locator("#status")).to_contain_text(f"{count} rating")
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        picture("")
        bring(page, "ratings.csv", somebodys_export(films, seed=1))
        expect(page.locator("#report")).to_contain_text("rated films found here")
        top = "#films" if look.width < 640 else ".masthead"  # narrow, the tabs are below all that one gives
        for tab, shown, of in (
            ("Your taste", "#taste .leaning", "_taste"),
            ("Two people", "#for-two .for-two", "_two_people"),
        ):
            page.get_by_role("tab", name=tab).click()
            if tab == "Two people":
                bring(page, "ratings.csv", somebodys_export(films, seed=2), to="#second-person")
            expect(page.locator(shown).first).to_be_visible()
            page.evaluate("top => document.querySelector(top).scrollIntoView()", top)
            picture(of)
        context.close()
    if app is not None:
        app.close(verbose=False)
