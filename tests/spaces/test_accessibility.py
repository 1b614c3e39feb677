"""axe-core finds no serious fault on any part of the page, on a desktop and on a phone, by day and by night."""

from __future__ import annotations

from typing import Any

import pytest

from tests.spaces.browsing import EXPORT, Visit, all_looks, bring, choose, click_stars, zipped

pytest.importorskip("gradio", reason="Gradio is not installed (extra: demo)")
expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (extra: test)").expect
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed (extra: test)").Axe()

OPTIONS = {"resultTypes": ["violations"]}


def faults(page: Any) -> list[str]:
    """Every serious or critical fault of what is shown now, with its place."""
    # Gradio fades things in and out; text in between has the contrast of neither. What turns for ever has no end.
    page.evaluate(
        "document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime < Infinity)"
        ".forEach((one) => one.finish())"
    )
    return [
        f"{violation['impact']} {violation['id']} at {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for violation in axe.run(page, options=OPTIONS).response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


@all_looks
def test_no_serious_fault(visit: Visit) -> None:
    page = visit.page
    found = {"on arrival": faults(page)}
    page.get_by_role("combobox", name="Which films have you seen?").fill("engine")
    expect(page.get_by_role("option").first).to_be_visible()
    found["films found"] = faults(page)
    choose(page, "paper engi", "Paper Engine")
    expect(page.locator("#film .one-film")).to_be_visible()
    found["one film"] = faults(page)
    click_stars(page.locator(".picked .stars"), 9)
    expect(page.locator("#status")).to_contain_text("1 rating")
    bring(page, "letterboxd-me.zip", zipped(ratings=EXPORT + "2024-01-04,Paper Hotel,1901,u,9\r\n"))
    page.locator("#report").get_by_text("row not found").click()
    page.locator("#report").get_by_text("row not readable").click()
    page.get_by_role("button", name="More filters, order and look").click()
    page.get_by_label("Grid").check()
    expect(page.locator("#recommendations table.grid")).to_be_visible()
    found["rated, with a report and every filter"] = faults(page)
    bring(page, "holiday.jpg", b"no export")
    expect(page.locator("#report").get_by_role("alert")).to_be_visible()
    page.get_by_role("tab", name="Your taste").click()
    expect(page.locator("#taste")).to_contain_text("Over 3 films")
    found["taste, and an error"] = faults(page)
    page.get_by_role("tab", name="Two people").click()
    bring(page, "ratings.csv", EXPORT.encode(), to="#second-person")
    expect(page.locator("#for-two .for-two")).to_be_visible()
    found["two people"] = faults(page)
    told = "\n".join(f"{part}: {fault}" for part, of_part in found.items() for fault in of_part)
    assert not told, told
