"""What was left out of a data set while it was built, by kind, with the first offenders."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field

from data_prep.errors import UserError

SHOWN_OFFENDERS = 3

BAD_LINE = "wrong number of fields"
BROKEN_TEXT = "broken UTF-8"
NULL_FIELD = "empty field"
BAD_RATING = "rating not a whole number from 1 to 10"
UNKNOWN_FILM = "unknown film"
DUPLICATE_RATING = "duplicate user and film"
DUPLICATE_FILM = "duplicate film"
KNOWN_FILM = "film that is in the catalogue already"
NO_RATINGS = "user without ratings"
BAD_YEAR = "year not a year"


@dataclass
class Rejection:
    """Rows of one kind in one file: how many, and the first few as (row in the file, offending value)."""

    count: int = 0
    offenders: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class BuildReport:
    """Counts rows that cannot be right, file by file and kind by kind, while a data set is built.

    Rows are numbered as a spreadsheet shows them: in CSV the header is row 1; in Parquet the first row is row 1.
    """

    rejections: dict[tuple[str, str], Rejection] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def reject(self, file: str, kind: str, count: int, offenders: Iterable[tuple[int, object]] = ()) -> None:
        """Record `count` rows of `file` as left out because of `kind`. `offenders` are their first (row, value)
        pairs."""
        if count == 0:
            return
        rejection = self.rejections.setdefault((file, kind), Rejection())
        rejection.count += count
        for row, value in offenders:
            if len(rejection.offenders) >= SHOWN_OFFENDERS:
                break
            rejection.offenders.append((row, _shorten(value)))

    def note(self, text: str) -> None:
        """Record something that was mended rather than left out, such as a date that could not be read."""
        self.notes.append(text)

    @property
    def total(self) -> int:
        """Rows left out in all."""
        return sum(rejection.count for rejection in self.rejections.values())

    def lines(self) -> list[str]:
        """One line a kind of rejection, then one a note."""
        lines = [
            f"{file}: {rejection.count:,} rows left out, {kind}: "
            + ", ".join(f"row {row} ({value})" for row, value in rejection.offenders)
            for (file, kind), rejection in self.rejections.items()
        ]
        return lines + self.notes

    def print(self) -> None:
        """Write the lines to stderr; nothing when nothing was left out or mended."""
        for line in self.lines():
            print(line, file=sys.stderr)

    def check_strict(self, remedy: str = "Mend the files, or leave out --strict to leave the rows out") -> None:
        """Raise `UserError`, naming the first offender and the `remedy`, when any row was left out."""
        if not self.rejections:
            return
        (file, kind), rejection = next(iter(self.rejections.items()))
        row, value = rejection.offenders[0] if rejection.offenders else (0, "?")
        raise UserError(
            f"{file} row {row}: {kind} ({value}); {self.total:,} such rows in all ("
            + ", ".join(f"{kind}: {rejection.count:,}" for (_, kind), rejection in self.rejections.items())
            + f"). {remedy}"
        )


def _shorten(value: object) -> str:
    """`value` on one printable line of at most 60 characters."""
    text = "".join(character if character.isprintable() else "?" for character in str(value))
    return text if len(text) <= 60 else text[:57] + "..."
