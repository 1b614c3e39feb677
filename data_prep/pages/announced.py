"""Whether a page may be without entries: only when it says itself that there are none."""

from __future__ import annotations

import re

from bs4 import Tag

from data_prep.pages.errors import MarkupChanged, PrivatePage
from data_prep.pages.fields import text_of
from data_prep.pages.location import Location

_SAYINGS = (
    ".empty-text, .ui-block-heading, .ui-block-header, .message-text, .filtered-message, .message, .section-heading"
)
_NOTHING = re.compile(
    r"\b(?:has|have|is|are|does|do|was|were|did)n't\b|\bnot? (?:yet|any|films|entries|reviews|members|one)\b"
    r"|\bno (?:diary|matching)\b|\bthere are no\b|\bnothing\b|\b0 (?:films|entries|reviews|people)\b",
    re.I,
)
_PRIVATE = re.compile(
    r"\b(?:is|are|kept|made|keeps?) (?:\w+ )?private\b|\bprivate (?:profile|account|diary|list)", re.I
)
# Rows and posters, though not of a kind that is known.
_FILLED = (
    "#diary-table > tbody > tr, .poster-grid li, .js-list-entries > *, .viewing-list > *, .member-table > tbody > tr"
)
_COUNT = re.compile(r"\b([0-9][0-9,.]{0,11})\s(?:films?|entr(?:y|ies)|reviews?|people|members)\b")


def check_empty(main: Tag, location: Location, looked_for: str) -> None:
    """Return when a page without entries says that it has none.

    Args:
        main: the content of the page.
        looked_for: what no entry was found as, for the message.

    Raises:
        MarkupChanged: it announces entries (a number of them, further pages, a table or list with something in it), or
            does not say that it is empty.
        PrivatePage: it says that its member keeps it private.
    """
    sayings = [text_of(tag).replace("’", "'") for tag in main.select(_SAYINGS)]
    counts = [int(re.sub(r"\D", "", match[1])) for saying in sayings for match in _COUNT.finditer(saying)]
    numbers = [str(tag["data-num-entries"]) for tag in main.select("[data-num-entries]")]
    counts += [int(number) for number in numbers if re.fullmatch(r"[0-9]{1,9}", number)]
    empty = main.select_one(".empty-text") is not None or any(_NOTHING.search(saying) for saying in sayings)
    if any(map(_PRIVATE.search, sayings)):
        raise PrivatePage("a private page: its member does not show it to everybody")
    if any(counts):
        announced = f"announces {max(counts):,} entries"
    elif location.next_page:
        announced = f"has a next page ({location.next_page})"
    elif (location.page_count or 1) > 1:
        announced = f"is one of {location.page_count} pages"
    elif main.select_one(_FILLED) is not None:
        announced = "holds rows or posters"
    elif not empty:
        announced = "does not say that it is empty"
    else:
        return
    raise MarkupChanged(f"the page ({location.kind}) {announced}, but none was found; looked for {looked_for}")
