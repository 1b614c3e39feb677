"""What a visitor does on the page, for the tests that use a real browser."""

from __future__ import annotations

import asyncio
import csv
import io
import zipfile
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

EXPORT = (
    "Date,Name,Year,Letterboxd URI,Rating\r\n"
    "2024-01-01,Saltwater Hotel,1983,https://boxd.it/a,4.5\r\n"
    "2024-01-02,Blue Orchard,1995,https://boxd.it/b,2\r\n"
    "2024-01-03,\"<script>document.title='hacked'</script>\",1999,https://boxd.it/c,3\r\n"
)
WATCHED = "Date,Name,Year,Letterboxd URI\r\n2024-01-01,Saltwater Hotel,1983,a\r\n2024-01-04,Seven Engine,1957,d\r\n"


@dataclass(frozen=True)
class Look:
    """A screen and the scheme its owner prefers."""

    name: str
    width: int
    height: int
    scheme: str

    def __str__(self) -> str:
        return self.name


DESKTOP, PHONE = Look("desktop", 1280, 900, "light"), Look("phone", 390, 844, "dark")
DESKTOP_DARK, PHONE_LIGHT = Look("desktop-dark", 1280, 900, "dark"), Look("phone-light", 390, 844, "light")
both_looks = pytest.mark.parametrize("visit", [DESKTOP, PHONE], indirect=True, ids=str)
all_looks = pytest.mark.parametrize("visit", [DESKTOP, DESKTOP_DARK, PHONE, PHONE_LIGHT], indirect=True, ids=str)


@dataclass
class Site:
    """The running page."""

    address: str
    folder: Path  # uploads pass through it


@dataclass
class Visit:
    """One visitor's page, what it asked for and complained about, and whom it may ask."""

    page: Any
    requested: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=lambda: {"127.0.0.1"})


def done(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of `work`, in a thread of its own: the browser of other tests has an event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def rows(page: Any) -> Any:
    """The recommended films."""
    return page.locator("#recommendations tbody tr")


def titles(page: Any) -> list[str]:
    """Their titles."""
    return rows(page).locator(".name").all_inner_texts()


def click_stars(stars: Any, rating: int) -> None:
    """Click where half stars are `rating`."""
    box = stars.bounding_box()
    stars.click(position={"x": box["width"] * (rating - 0.5) / 10, "y": box["height"] / 2})


def choose(page: Any, text: str, title: str) -> None:
    """Type into the search box and take a film of those found."""
    page.get_by_role("combobox", name="Which films have you seen?").fill(text)
    page.get_by_role("option", name=title).click()


def rate(page: Any, text: str, title: str, rating: int) -> None:
    """Find a film and rate it."""
    choose(page, text, title)
    click_stars(page.locator(".picked .stars"), rating)
    page.locator("#ratings li", has_text=title).wait_for()


def pick(page: Any, label: str, option: str) -> None:
    """Choose in one of the filters' drop-down lists."""
    page.get_by_label(label).click()
    page.get_by_role("option", name=option, exact=True).click()


def bring(page: Any, name: str, content: bytes, to: str = "#upload") -> None:
    """Drop a file on an upload field."""
    page.locator(f"{to} input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )


def somebodys_export(films: pl.DataFrame, seed: int) -> bytes:
    """The ratings.csv of somebody invented, who knows most of the best-known films and has a taste in genres."""
    generator = np.random.default_rng(seed)
    known = films.filter(pl.col("rating_mean").is_not_null()).sort("rating_count", descending=True).head(80)
    known = known.filter(generator.random(len(known)) < 0.7)
    lean = {genre: generator.normal(0, 1.5) for genre in sorted(set(known["genres"].explode().drop_nulls()))}
    content = io.StringIO()
    table = csv.writer(content)
    table.writerow(["Date", "Name", "Year", "Letterboxd URI", "Rating"])
    for title, year, genres, mean in known.select("title", "year", "genres", "rating_mean").iter_rows():
        liked = mean + sum(lean[genre] for genre in genres or ()) / max(1, len(genres or ())) + generator.normal()
        table.writerow(["2024-01-01", title, year, "https://boxd.it/a", f"{round(min(10, max(1, liked))) / 2:g}"])
    return content.getvalue().encode()


def zipped(**files: str) -> bytes:
    """An account export of CSV files, by their names without .csv."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.csv", text)
    return content.getvalue()
