"""A member's diary: one row a viewing."""

from __future__ import annotations

import datetime
import re

from bs4 import Tag

from data_prep.pages import fields
from data_prep.pages.announced import check_empty
from data_prep.pages.location import Location, path_of
from data_prep.pages.records import DiaryEntry

_ROWS = "#diary-table > tbody > tr, tr.diary-entry-row"
_MONTH = re.compile(r"/for/([0-9]{4})/([0-9]{1,2})/(?:([0-9]{1,2})/)?")


def read_diary(main: Tag, location: Location) -> list[DiaryEntry]:
    """The viewings of a diary page, latest first; none for a year that says it has none."""
    entries: list[DiaryEntry] = []
    month: re.Match[str] | None = None
    for row in fields.entries_in(main, _ROWS):
        what = f"diary row {len(entries) + 1}"
        month = _month(row) or month
        title, year = fields.title_and_year(row)
        entries.append(
            DiaryEntry(
                film_id=fields.film_id(row, what),
                title=title,
                year=year,
                date=_date(row, month, what),
                rating=fields.rating(_cell(row, "rating", what), what),
                liked=fields.liked(_cell(row, "like", what)),
                rewatch="icon-status-off" not in (_cell(row, "rewatch", what).get("class") or ()),
                reviewed=_cell(row, "review", what).find("a", href=True) is not None,
                viewing_id=fields.viewing_id(row, what),
            )
        )
    if not entries:
        check_empty(main, location, "rows of #diary-table, or tr.diary-entry-row")
    return entries


def _cell(row: Tag, name: str, what: str) -> Tag:
    """The cell td-NAME (A, B) or col-NAME (C, D) of a row."""
    cell = row.select_one(f"td.col-{name}, td.td-{name}")
    if cell is None:
        raise fields.missing(what, f"cell {name}", f"td.col-{name} or td.td-{name}")
    return cell


def _month(row: Tag) -> re.Match[str] | None:
    """Year and month of the links in a row: the first row of a month has them beside the day, too."""
    matches = (_MONTH.search(path_of(str(link["href"])) or "") for link in row.select("a[href*='/for/']"))
    return next((match for match in matches if match), None)


def _date(row: Tag, month: re.Match[str] | None, what: str) -> datetime.date:
    """The day that the day's link ends in; without one, the day written there, in the month of the rows before."""
    cell = row.select_one("td.col-daydate, td.td-day, td.diary-day")
    places = "td.col-daydate or td.td-day with a link that ends in /for/YYYY/MM/DD/"
    if cell is None:
        raise fields.missing(what, "day", places)
    own = _month(cell)
    parts = own.groups() if own and own[3] else (month[1], month[2], fields.text_of(cell)) if month else None
    if parts is None or not re.fullmatch(r"[0-9]{1,2}", parts[2] or ""):
        raise fields.missing(what, "day", places)
    return fields.a_date(f"{parts[0]}-{int(parts[1]):02d}-{int(parts[2]):02d}", what)
