"""Saved Letterboxd pages: what they hold, and data sets made of them."""

from data_prep.pages.errors import BlockedPage, ChallengePage, MarkupChanged, PageError, PrivatePage, UnknownPage
from data_prep.pages.read import parse_page
from data_prep.pages.records import DiaryEntry, Entry, FilmPage, GridFilm, Kind, ListFilm, Member, Page, Review

__all__ = [
    "BlockedPage",
    "ChallengePage",
    "DiaryEntry",
    "Entry",
    "FilmPage",
    "GridFilm",
    "Kind",
    "ListFilm",
    "MarkupChanged",
    "Member",
    "Page",
    "PageError",
    "PrivatePage",
    "Review",
    "UnknownPage",
    "parse_page",
]
