"""What a page of the film site holds, whichever generation of markup it was saved in."""

from __future__ import annotations

from data_prep.pages.records import Page


def parse_page(html: bytes | str, name: str = "page") -> Page:
    raise NotImplementedError
