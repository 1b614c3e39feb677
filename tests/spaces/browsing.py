"""What a visitor does on the page, for the tests that use a real browser."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


def zipped(**files: str) -> bytes:
    """An account export of CSV files, by their names without .csv."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.csv", text)
    return content.getvalue()
