"""Which film of the catalogue does a title with a year mean? Account exports name films by (name, year), never by id;
feeds give ids too.

A match must be the only candidate: one wrong film in a history costs more than one film left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import polars as pl

# Apostrophes vanish ("Don't" is "dont") in every form that keyboards give them; NFKD would turn some into spaces.
_APOSTROPHES = "'’‘‛ʼʻʹ´`′＇"
# Letters that NFKD leaves whole.
_LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"}
_TRANSLATE = str.maketrans(
    {**dict.fromkeys(_APOSTROPHES, ""), **_LETTERS, **{k.upper(): v for k, v in _LETTERS.items()}, "&": " and "}
)
_ARTICLES = r"the|an?|la|le|les|l|el|los|las|il|lo|gli|i|un|une|una|das|der|die|den|det|o|os|as"
# "Godfather, The", as library catalogues and MovieLens write it; an apostrophe of "Avventura, L'" is gone by then.
_TRAILING_ARTICLE = re.compile(rf"^(?P<title>.*\S),\s+(?P<article>{_ARTICLES})$")
_BRACKETS = re.compile(r"[(\[]([^()\[\]]*)[)\]]")
_ALSO_KNOWN_AS = re.compile(r"^a\.?k\.?a\.?\s*", re.IGNORECASE)

_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ROMANS = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii")
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_NUMBERS, start=1)}
_ROMAN = {word: str(number) for number, word in enumerate(_ROMANS, start=1)}
_PART = {"part", "pt", "vol", "volume", "chapter", "episode"}
# The shortest squeezed title that is trusted: "Crime Wave" and "Crimewave" are two films of 1985, "Watcher" and "The
# Watcher" of 2022. From ten letters on, no two films of 13,290 share a spelling and a year and differ.
_MINIMUM_SQUEEZED = 10


def normalise_title(title: str) -> str:
    """A title as people mean it: no case, accents, punctuation, curly quotes or odd spaces; `&` is "and".

    Symbols (`+`, `$`) stay, as words of their own; titles in any script survive; one of punctuation alone is returned
    as it is, in lower case. A trailing article moves to the front.

    >>> normalise_title("  Amélie &\u00a0the “Beast”: Part II ")
    'amelie and the beast part ii'
    >>> normalise_title("Godfather, The"), normalise_title("Alien³"), normalise_title("8½"), normalise_title("...")
    ('the godfather', 'alien 3', '8 1 2', '...')
    """
    # Nine titles in ten are ASCII: the same result by a shorter way.
    text = (title.translate(_TRANSLATE).casefold() if title.isascii() else _fold(title)).strip()
    moved = _TRAILING_ARTICLE.match(text)
    if moved:
        text = f"{moved['article']} {moved['title']}"
    words = "".join([_spaced(letter) for letter in text]).split()
    return " ".join(words) or " ".join(unicodedata.normalize("NFKC", title).casefold().split())


def _fold(title: str) -> str:
    """Compatibility forms, accents and case removed; `³` and `½` become numbers of their own."""
    parts = []
    for letter in title.translate(_TRANSLATE):
        spaced = unicodedata.decomposition(letter).startswith(("<super>", "<fraction>"))
        parts.append(f" {letter}" if spaced else letter)
    decomposed = unicodedata.normalize("NFKD", "".join(parts)).casefold()
    # Only the accents of Latin, Greek and Cyrillic: the vowel signs of other scripts are no ornament.
    kept = [letter for letter in decomposed if not "\u0300" <= letter <= "\u036f"]
    return unicodedata.normalize("NFC", "".join(kept)).translate(_TRANSLATE)


def _spaced(letter: str) -> str:
    """Letters, digits and marks as they are, symbols between spaces, format characters gone, the rest a space."""
    if letter.isalnum():
        return letter
    category = unicodedata.category(letter)
    if category[0] == "M":
        return letter
    if category in ("Sm", "Sc", "So"):
        return " " if letter in "⁄|~" else f" {letter} "
    return "" if category == "Cf" else " "


def loose_titles(title: str) -> set[str]:
    """Other spellings under which a film may be known: each name in brackets, and long titles squeezed to bare letters
    (no spaces, no leading article, no "Part", numerals as digits).

    >>> sorted(loose_titles("Seven (a.k.a. Se7en)"))
    ['se7en', 'seven', 'seven a k a se7en', 'sevenakase7en']
    >>> loose_titles("The Godfather: Part II") & loose_titles("Godfather Part Two")
    {'godfather2'}
    """
    names = [title]
    outside = " ".join(_BRACKETS.sub(" ", title).split())
    if outside and outside != title:
        names += [outside, *(_ALSO_KNOWN_AS.sub("", found) for found in _BRACKETS.findall(title))]
    normalised = {normalise_title(name) for name in names} - {""}
    return normalised | {key for key in map(_squeeze, normalised) if len(key) >= _MINIMUM_SQUEEZED}


def _squeeze(normalised: str) -> str:
    words = normalised.split()
    if len(words) > 1 and words[0] in ("the", "a", "an"):
        words = words[1:]
    kept = words[:1]
    for previous, word, following in zip(words, words[1:], [*words[2:], ""], strict=False):
        if word in _PART and (following in _NUMBER_WORDS or following in _ROMAN or following.isdigit()):
            continue
        if previous in _PART:
            word = _NUMBER_WORDS.get(word) or _ROMAN.get(word) or word
        elif word not in ("i", "v", "x"):  # these three are also words and letters
            word = _ROMAN.get(word, word)
        kept.append(word)
    return "".join(letter for word in kept for letter in word if letter.isalnum())


class FilmKey(NamedTuple):
    """What a file knows a film by: title and year, TMDB id, the id in a data set or at Letterboxd."""

    name: str | None = None
    year: int | None = None
    tmdb_id: int | None = None
    film_id: str | None = None


@dataclass(frozen=True)
class Match:
    """`film_index` (row of the films table) and `how` it was found, or None and the `reason` in plain words."""

    film_index: int | None
    reason: str | None = None
    how: str | None = None  # "id", "exact", "near year" or "spelling"

    @property
    def certain(self) -> bool:
        """Whether it was found by an id, or by title and year to the letter."""
        return self.how in ("id", "exact")


@dataclass(eq=False)
class _Film:
    """All rows of one `film_group`: its best row, and the titles, years and TMDB ids of every row."""

    row: int
    film_id: str
    titles: set[str]
    years: set[int]
    earlier_years: set[int]
    tmdb_ids: set[int]


class TitleMatcher:
    """Finds films by title and year, and by ids where there are some.

    A film of the same title and year is the match. Failing that: a film of the same title one year off, or whose
    release date has that year and is the earlier (some catalogue years are those of a re-release; a later release date
    is more often a namesake's), or a film of the same year in another spelling (`loose_titles`). Never one of several.

    The rows of one `film_group` are one film: of them the row with the most ratings (`rating_count`, when the table
    has it) or votes stands for all, then the group's namesake, then the first row.

    Args:
        films: the films table: film_id, title, year, release_date (date or ISO text), film_group, vote_count, and
            where known tmdb_id.
    """

    def __init__(self, films: pl.DataFrame) -> None:
        self.film_ids: list[str] = films["film_id"].to_list()
        self._rows = {film_id: row for row, film_id in enumerate(self.film_ids)}
        self._tmdb_ids = _tmdb_ids(films)
        self._films = _group(films)
        self._by_tmdb_id: dict[int, list[_Film]] = defaultdict(list)
        for film in self._films:
            for tmdb_id in film.tmdb_ids:
                self._by_tmdb_id[tmdb_id].append(film)
        self._by_title: dict[str, list[_Film]] = defaultdict(list)
        for film in self._films:
            for title in {normalise_title(title) for title in film.titles}:
                self._by_title[title].append(film)

    @classmethod
    def of(cls, films: pl.DataFrame | TitleMatcher) -> TitleMatcher:
        """The matcher of some films, which may be one already."""
        return films if isinstance(films, TitleMatcher) else cls(films)

    def prepare(self) -> None:
        """Make now what is otherwise made for the first title that is not found to the letter."""
        _ = self._by_spelling

    def match(self, name: str, year: int | None) -> Match:
        """The film called `name` of `year`; no guess without a year."""
        if year is None:
            return Match(None, "no year in the export")
        same_title = self._by_title.get(normalise_title(name), [])
        near: list[_Film] = []
        candidates = [film for film in same_title if year in film.years]
        exact = bool(candidates)
        if not exact:
            near = [film for film in same_title if _near(film, year)]
            spelled = [film for film in self._spelled(name) if year in film.years]
            candidates = near + [film for film in spelled if film not in near]
        elif len(candidates) > 1:  # "Dracula" and "Drácula" are two films of 1931: to the letter, then
            candidates = [film for film in candidates if name in film.titles] or candidates
        if len(candidates) == 1:
            return Match(candidates[0].row, how="exact" if exact else "near year" if near else "spelling")
        if candidates:
            return Match(None, "ambiguous: " + ", ".join(sorted(film.film_id for film in candidates)))
        if not same_title:
            return Match(None, "not in the catalogue")
        years = sorted({other for film in same_title for other in film.years})
        return Match(None, "same title, other years: " + (", ".join(map(str, years)) or "none known"))

    def identify(self, film: FilmKey) -> Match:
        """The film of this id; failing that of this TMDB id; failing that of this name and year.

        A film that has another TMDB id here is not the one: Letterboxd's ids change hands. Only where name and year
        are those of one film to the letter does it count more than the TMDB id.
        """
        row = None if film.film_id is None else self._rows.get(film.film_id)
        if row is not None and not self._has_other_tmdb_id(row, film):
            return Match(row, how="id")
        films = [] if film.tmdb_id is None else self._by_tmdb_id.get(film.tmdb_id, [])
        if len(films) == 1:
            return Match(films[0].row, how="id")
        if not film.name:
            return Match(None, "not in the catalogue")
        match = self.match(film.name, film.year)
        if match.film_index is None or match.how == "exact" or not self._has_other_tmdb_id(match.film_index, film):
            return match
        return Match(None, "not in the catalogue")

    def identify_all(self, films: Iterable[FilmKey]) -> dict[FilmKey, Match]:
        """A match for each film that one person lists.

        People list each film under one title and year. So a match that is only near is withdrawn when another of the
        list is that film for certain, or when films of two years come near it: those are namesakes that are not here.
        """
        matches: dict[FilmKey, Match] = {}
        for film in films:  # which may come from a generator that watches the time
            if film not in matches:
                matches[film] = self.identify(film)
        years: dict[int, set[int | None]] = defaultdict(set)
        for film, match in matches.items():
            if match.film_index is not None:
                years[match.film_index].add(None if match.certain else film.year)
        for film, match in matches.items():
            if match.film_index is not None and not match.certain and len(years[match.film_index]) > 1:
                film_id = self.film_ids[match.film_index]
                matches[film] = Match(None, f"ambiguous: other rows come as near to {film_id} or nearer")
        return matches

    def _has_other_tmdb_id(self, row: int, film: FilmKey) -> bool:
        return film.tmdb_id is not None and self._tmdb_ids[row] not in (None, film.tmdb_id)

    @cached_property
    def _by_spelling(self) -> dict[str, list[_Film]]:
        spellings: dict[str, list[_Film]] = defaultdict(list)
        for film in self._films:
            for key in set().union(*map(loose_titles, film.titles)):
                spellings[key].append(film)
        return dict(spellings)

    def _spelled(self, name: str) -> list[_Film]:
        found = {film.row: film for key in loose_titles(name) for film in self._by_spelling.get(key, [])}
        return list(found.values())


def _near(film: _Film, year: int) -> bool:
    return year in film.earlier_years or any(abs(year - known) == 1 for known in film.years)


def _tmdb_ids(films: pl.DataFrame) -> list[int | None]:
    return films["tmdb_id"].to_list() if "tmdb_id" in films.columns else [None] * len(films)


def _group(films: pl.DataFrame) -> list[_Film]:
    release_year = films["release_date"].cast(pl.String).str.slice(0, 4).cast(pl.Int32, strict=False)
    counts = [films[name] for name in ("rating_count", "vote_count") if name in films.columns]
    columns: Iterable[
        tuple[str, str | None, int | None, int | None, str | None, int | None, tuple[int | None, ...]]
    ] = zip(
        films["film_id"],
        films["title"],
        films["year"],
        release_year,
        films["film_group"],
        _tmdb_ids(films),
        zip(*counts, strict=True),
        strict=True,
    )
    groups: dict[str, _Film] = {}
    best: dict[str, tuple[float, ...]] = {}
    for row, (film_id, title, year, release, group, tmdb_id, votes) in enumerate(columns):
        name = group or film_id
        rank = (*(-1 if count is None else count for count in votes), film_id == name, -row)
        film = groups.setdefault(name, _Film(row, film_id, set(), set(), set(), set()))
        if name not in best or rank > best[name]:
            best[name], film.row, film.film_id = rank, row, film_id
        if title:
            film.titles.add(title)
        if year is not None:
            film.years.add(year)
        if release is not None and (year is None or release < year):
            film.earlier_years.add(release)
        if tmdb_id is not None:
            film.tmdb_ids.add(tmdb_id)
    return list(groups.values())
