"""Lists of members: popular members, and whom a member follows or is followed by."""

from __future__ import annotations

import re

from bs4 import Tag

from data_prep.pages import fields
from data_prep.pages.announced import check_empty
from data_prep.pages.location import Location, path_of
from data_prep.pages.records import Member

_ROWS = "td.table-person, td.col-member"
_PROFILE = re.compile(r"/([^/]{1,100})/")


def read_members(main: Tag, location: Location) -> list[Member]:
    """The members of a page, in its order."""
    members = [_member(row, number) for number, row in enumerate(fields.entries_in(main, _ROWS), start=1)]
    if not members:
        check_empty(main, location, f"table cells {_ROWS.replace(',', ' or')}")
    return members


def _member(row: Tag, number: int) -> Member:
    for link in row.select("a.name[href], a.avatar[href]"):
        match = _PROFILE.fullmatch(path_of(str(link["href"])) or "")
        if match:
            return Member(match[1].lower())
    raise fields.missing(f"member {number}", "name", 'a.name or a.avatar with href="/MEMBER/"')
