"""
How long a person waits for the page: opened for the first time, and from an export to recommendations.

    python -m benchmarks.space_times --model models/letterboxd [--ratings 1500] [--times 5]

Starts `reel demo` in a process of its own and opens the page in the system's Chromium, each time with an empty cache.
The export holds films spread evenly over the catalogue. Prints medians and the longest; exit status 1 when a median is
3 seconds or longer.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import time
import zipfile

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.page_visitor import served
from reel import Recommender

ENOUGH = 3.0  # seconds
SHOWN = "#recommendations tbody tr"


def export(recommender: Recommender, ratings: int) -> bytes:
    """A zip with ratings of so many of the catalogue's films."""
    films = recommender.catalogue.films.unique(["title", "year"], keep="first", maintain_order=True)
    films = films[np.linspace(0, len(films) - 1, ratings).astype(int)]
    lines = ["Date,Name,Year,Letterboxd URI,Rating"]
    for place, (title, year) in enumerate(films.select("title", "year").iter_rows()):
        quoted = '"' + title.replace('"', '""') + '"'
        lines.append(f"2024-01-{1 + place % 28:02},{quoted},{year or ''},u,{(1 + place % 10) / 2:g}")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("ratings.csv", "\r\n".join(lines))
    return archive.getvalue()


def opened(page: Page, address: str) -> float:
    """Seconds from the address to the first recommendation."""
    start = time.monotonic()
    page.goto(address)
    page.locator(SHOWN).first.wait_for()
    return time.monotonic() - start


def rated(page: Page) -> float:
    """Seconds from a click on the card's stars to recommendations from it."""
    stars = page.locator("#question .stars")
    start = time.monotonic()
    stars.click()
    page.locator("#status", has_text="Chosen from your 1 rating").wait_for()
    return time.monotonic() - start


def brought(page: Page, content: bytes) -> float:
    """Seconds from dropping an export to recommendations from all of it."""
    start = time.monotonic()
    page.locator("#upload input[type=file]").set_input_files(
        {"name": "letterboxd-me.zip", "mimeType": "application/zip", "buffer": content}
    )
    page.locator("#status", has_text="ratings").wait_for()
    return time.monotonic() - start


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", required=True, help="a model's folder or repository")
    options.add_argument("--ratings", type=int, default=1500, help="films in the export (1500)")
    options.add_argument("--times", type=int, default=5, help="how often (5)")
    args = options.parse_args()
    content = export(Recommender.from_pretrained(args.model), args.ratings)
    took: dict[str, list[float]] = {"first page load": [], "first rating": [], f"export of {args.ratings:,} films": []}
    with served(args.model) as (address, _), sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(args.times):
            page = chromium.new_page()
            page.set_default_timeout(120_000)
            for kind, seconds in zip(took, (opened(page, address), rated(page), brought(page, content)), strict=True):
                took[kind].append(seconds)
            page.context.close()
        chromium.close()
    for kind, seconds in took.items():
        print(f"{kind}: median {np.median(seconds):.2f} s, longest {max(seconds):.2f} s")
    return int(any(np.median(seconds) >= ENOUGH for seconds in took.values()))


if __name__ == "__main__":
    sys.exit(main())
