"""`reel data members EXPORT... --out DIR`: the account exports of one or several members as a data set.

    reel data members letterboxd-ann-2026-01-01-10-00-utc.zip letterboxd-bo-2026-02-03-11-30-utc.zip --out data/friends
    reel data tmdb --fill data/friends
    reel data merge data/friends data/letterboxd --out data/all

An export knows a film by its title and year, so that is what a film of this data set is, under an id made of both.
`reel data tmdb --fill` finds the rest, `reel data merge` joins the films with those of other data sets. The ratings
that count are those of ratings.csv; what the diary says of other days goes to `rewatches`. A member is told from
another by the name in the ZIP's name (`letterboxd-NAME-...`), or else by the name of the file or folder.
"""

from __future__ import annotations

import datetime
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from data_prep.building.build import check_replaceable, write_dataset
from data_prep.building.card import DatasetCard
from data_prep.building.rewatches import split_rewatches
from data_prep.building.splits import parse_splits
from data_prep.errors import CommandParser, UserError, one_line, writable
from data_prep.matching import normalise_title
from data_prep.member.archive import KNOWN_FILES, Budget, read_files
from data_prep.member.export import usable_tables
from data_prep.member.export_csv import BrokenFile, Row, Table, parse_table
from data_prep.report import BuildReport
from data_prep.schema import FILM_COLUMNS, RATING_COLUMNS, REVIEW_COLUMNS

_LETTERBOXD_NAME = re.compile(r"letterboxd-(?P<member>.+)-\d{4}-\d\d-\d\d-\d\d-\d\d-utc")
# Exports are few: without asking, nobody is kept back for testing.
_EVERYBODY_TRAINS = {"train": 1.0}


def main(arguments: Sequence[str]) -> None:
    """The command `reel data members`."""
    parser = CommandParser(prog="reel data members", description="Account exports as a data set.")
    parser.add_argument("exports", type=Path, nargs="+", help="ZIP, its unpacked folder, ratings.csv or diary.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set; an older one is replaced")
    parser.add_argument(
        "--splits", type=parse_splits, default=_EVERYBODY_TRAINS, help="train=1 (the default), train=.8,test=.2, ..."
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the splits (default: 0)")
    options = parser.parse_args(arguments)
    card = build_from_exports(options.exports, options.out, splits=options.splits, seed=options.seed)
    print(f"{options.out}: {card.summary()}", file=sys.stderr)


def build_from_exports(
    exports: Sequence[Path], out: Path, *, splits: dict[str, float] | None = None, seed: int = 0
) -> DatasetCard:
    """Write the data set of some members' exports to `out`, and say on stderr what was left out.

    Args:
        exports: ZIP files, unpacked folders or single CSV files. Of several exports of one member the latest ratings
            count.
        out: as in `write_dataset`.
        splits: share of members for train, validation and test; by default all train.
        seed: seed of the splits.

    Raises:
        UserError: when one of `exports` is none.
    """
    check_replaceable(out)
    report = BuildReport()
    _check_names(exports)
    films: dict[str, tuple[str, int | None]] = {}
    # The card names no member: exports go by their numbers there.
    members = [_Member(path, f"export {number}", films, report) for number, path in enumerate(exports, start=1)]
    ratings = [list(member.current()) for member in members]
    current, earlier = split_rewatches(_frame(RATING_COLUMNS, chain.from_iterable(ratings)))
    other_days = _frame(RATING_COLUMNS, chain.from_iterable(map(_Member.earlier, members)))
    reviews = _frame(REVIEW_COLUMNS, chain.from_iterable(map(_Member.reviews, members)))
    report.print()
    for path, member, rated in zip(exports, members, ratings, strict=True):
        if any(ratings) and not rated:
            print(f"{one_line(str(path))}: holds no rating that can be used", file=sys.stderr)
            report.note(f"{member.label}: holds no rating that can be used")
    return write_dataset(
        out,
        _frame(FILM_COLUMNS, [{"film_id": key, "title": title, "year": year} for key, (title, year) in films.items()]),
        current,
        source="account exports that Letterboxd members made of their own ratings",
        splits=splits or _EVERYBODY_TRAINS,
        seed=seed,
        report=report,
        # Two exports of one member say the same things twice.
        rewatches=pl.concat([earlier, other_days]).unique(maintain_order=True),
        reviews=reviews.unique(maintain_order=True),
    )


def _name(path: Path) -> str:
    found = _LETTERBOXD_NAME.match(path.name)
    return writable(found["member"] if found else path.resolve().stem)


def _check_names(exports: Sequence[Path]) -> None:
    """Two files that are both called ratings.csv are hardly of one member."""
    seen: dict[str, Path] = {}
    for path in exports:
        other = seen.setdefault(_name(path), path)
        if other is not path and not _LETTERBOXD_NAME.match(path.name):
            raise UserError(f"{path}: called like {other}, so their members cannot be told apart; rename one")


def _is_same(one: tuple[str, int | None], other: tuple[str, int | None]) -> bool:
    """Whether two films of one id are one: accents tell titles apart, case and punctuation do not, which the site
    changes from one export to the next."""

    def letters(title: str) -> str:
        return "".join(filter(str.isalnum, unicodedata.normalize("NFC", title).casefold()))

    return one == other or (one[1] == other[1] and letters(one[0]) == letters(other[0]))


def _frame(columns: dict[str, pl.DataType], rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=columns)


def _single_table(path: Path, files: dict[str, bytes], budget: Budget) -> dict[str, Table]:
    ((file, data),) = files.items()
    try:
        table = parse_table(file, data, budget)
    except BrokenFile as error:
        raise UserError(f"{path}: {error}") from error
    return {table.kind: table}


class _Member:
    """One export: its tables, and what they say of films. These are added to `films`: title and year by id."""

    def __init__(self, path: Path, label: str, films: dict[str, tuple[str, int | None]], report: BuildReport):
        self.label = label
        self.report = report
        self.user_id = _name(path)
        self.films = films
        files, single = read_files(path, budget := Budget(path), names=(*KNOWN_FILES, "reviews.csv"))
        self.tables, broken = (
            (_single_table(path, files, budget), []) if single else usable_tables(path, files, budget)
        )
        for file in broken:
            report.note(f"{label}, {file['file']}: {file['reason']}")
        for name, table in self.tables.items():
            for row in table.rejected:
                report.reject(f"{label}, {name}", row["reason"], 1, [(row["row"], row["value"])])
        self.rated_on = {
            self.film_id(row): self.tables["ratings.csv"].date(row, "date") for row in self.rows("ratings.csv")
        }
        self.flags = {
            "liked": self.named("likes/films.csv"),
            "rewatch": self.named("diary.csv", lambda row: row.cells.get("rewatch", "").casefold() == "yes"),
            "reviewed": self.named("reviews.csv"),
        }

    def rows(self, name: str) -> list[Row]:
        return self.tables[name].rows if name in self.tables else []

    def film_id(self, row: Row) -> str:
        """The id of the film that a row names; the film is noted. "Dracula" and "Drácula" are two films of 1931: the
        second one's id ends in -2."""
        name = "-".join([*normalise_title(row.name).split(), *([str(row.year)] if row.year else [])])
        film, film_id, number = (row.name, row.year), name, 1
        while not _is_same(self.films.setdefault(film_id, film), film):
            number += 1
            film_id = f"{name}-{number}"
        return film_id

    def named(self, name: str, chosen: Callable[[Row], bool] = lambda row: True) -> set[str] | None:
        """The films of a file's chosen rows; None when the export has no such file, so nobody knows."""
        return {self.film_id(row) for row in self.rows(name) if chosen(row)} if name in self.tables else None

    def current(self) -> Iterator[dict[str, Any]]:
        """The ratings of ratings.csv, and those of the diary for films that it lacks."""
        yield from self._ratings("ratings.csv", lambda row: True)
        yield from self._ratings("diary.csv", lambda row: self.film_id(row) not in self.rated_on)

    def earlier(self) -> Iterator[dict[str, Any]]:
        """What the diary says of films of ratings.csv on other days than those of the current rating."""

        def on_another_day(row: Row) -> bool:
            film_id = self.film_id(row)
            return film_id in self.rated_on and self.tables["diary.csv"].date(row, "date") != self.rated_on[film_id]

        return self._ratings("diary.csv", on_another_day)

    def reviews(self) -> Iterator[dict[str, Any]]:
        for row in self.rows("reviews.csv"):
            if text := row.cells.get("review"):
                date = self._date("reviews.csv", row)
                rating = self._rating("reviews.csv", row)
                yield {
                    "user_id": self.user_id,
                    "film_id": self.film_id(row),
                    "date": date,
                    "rating": rating,
                    "text": text,
                }

    def _ratings(self, name: str, chosen: Callable[[Row], bool]) -> Iterator[dict[str, Any]]:
        for row in self.rows(name):
            if not chosen(row) or (rating := self._rating(name, row)) is None:
                continue
            film_id = self.film_id(row)
            flags = {flag: None if films is None else film_id in films for flag, films in self.flags.items()}
            date = self._date(name, row)
            yield {"user_id": self.user_id, "film_id": film_id, "rating": rating, "date": date, **flags}

    def _rating(self, name: str, row: Row) -> int | None:
        try:
            return self.tables[name].rating(row)
        except ValueError as error:
            self.report.reject(f"{self.label}, {name}", str(error), 1, [(row.number, row.cells["rating"])])
            return None

    def _date(self, name: str, row: Row) -> datetime.date | None:
        """The day of watching, or else of logging."""
        table = self.tables[name]
        text = table.date(row, "watcheddate") or table.date(row, "date")
        return datetime.date.fromisoformat(text) if text else None
