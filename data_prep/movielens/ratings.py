"""Reads the ratings of a MovieLens folder, up to some thirty million rows, a block at a time."""

from __future__ import annotations

import array
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv

from data_prep.errors import UserError
from data_prep.report import BAD_LINE, DUPLICATE_RATING, NULL_FIELD, SHOWN_OFFENDERS, UNKNOWN_FILM, BuildReport

NOT_A_NUMBER = "not a number"
BAD_STARS = "rating not 0.5 to 5 in half stars"
_FIELDS = ("user", "film", "stars", "time")
_BLOCK = 8 << 20  # bytes parsed at a time
_NO_TIME = 0
_LATEST_TIME = 2**32 - 1  # in the year 2106
_SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class RatingsFile:
    """A file of ratings.

    Attributes:
        path: the file.
        delimiter: one character.
        positions: of user, film, stars and time (seconds since 1970, UTC) among the fields of a line.
        width: fields of a line.
        header: lines before the first rating.
    """

    path: Path
    delimiter: str
    positions: tuple[int, int, int, int]
    width: int
    header: int = 0


def read_ratings(file: RatingsFile, films: dict[int, str], users_of: str, report: BuildReport) -> pl.DataFrame:
    """The right rows of a file of ratings, in order of time.

    A row is left out for the first of these that holds, and counted in `report`: wrong number of fields, an empty
    field, a user or film that is no number, a rating that is not 0.5 to 5 in half stars, a film that is not in
    `films`, a user and film that an earlier right row has. An unreadable time only becomes null, with a note.

    Args:
        file: the file and its layout.
        films: film id by MovieLens's number.
        users_of: name of the set. Every set numbers its users from 1, so the numbers alone would make one person of
            many when sets are merged.
        report: rejections are added to it.

    Returns:
        user_id and film_id (pl.Enum), rating (Int8, 1 to 10: half stars doubled), date (UTC).

    Raises:
        UserError: when the file cannot be read, or no row of it is right.
    """
    blocks = _Blocks(file, films, report)
    with _text(file.path) as text:
        columns = [np.concatenate(parts) for parts in zip(*blocks.read(text), strict=True)]
    if not columns or not len(columns[0]):
        raise UserError(f"{file.path}: holds no rating of the films beside it; is the download complete?")
    users, codes, ratings, times, rows = columns
    first = _first_of_pairs(users, codes, len(films))
    film_ids = list(films.values())
    repeated = np.flatnonzero(~first)
    shown = [(int(rows[row]), f"{users[row]}, {film_ids[codes[row]]}") for row in repeated[:SHOWN_OFFENDERS]]
    report.reject(file.path.name, DUPLICATE_RATING, len(repeated), shown)
    order = np.argsort(times, kind="stable")
    order = order[first[order]]
    names = np.unique(users)
    user_codes = np.searchsorted(names, users[order]).astype(np.uint32)
    times = times[order]
    days = pl.Series((times // _SECONDS_A_DAY).astype(np.int32)).set(pl.Series(times == _NO_TIME), None)
    return pl.DataFrame(
        {
            "user_id": pl.Series(user_codes).cat.to(pl.Enum([f"{users_of}:{name}" for name in names])),
            "film_id": pl.Series(codes[order]).cat.to(pl.Enum(film_ids)),
            "rating": ratings[order],
            "date": days.cast(pl.Date),
        }
    )


class _Blocks:
    """The right rows of the file, block by block, as numbers; what is left out goes to the report."""

    def __init__(self, file: RatingsFile, films: dict[int, str], report: BuildReport):
        self.file = file
        self.report = report
        numbers = np.fromiter(films, dtype=np.int32, count=len(films))
        self.film_codes = np.argsort(numbers).astype(np.uint32)  # positions in `films`, by number
        self.film_numbers = numbers[self.film_codes]
        self.next_row = 1 + file.header  # row numbers are those of the file's lines
        self.bad_rows = array.array("i")  # from `next_row` on
        self.unread_times = 0

    def read(self, text: pa.NativeFile) -> Iterator[tuple[np.ndarray, ...]]:
        """Users (int32), positions of films (uint32), ratings (int8), times (uint32) and row numbers (int32)."""
        names = [str(position) for position in range(self.file.width)]
        wanted = [names[position] for position in self.file.positions]
        try:
            reader = pa.csv.open_csv(
                text,
                # One thread, so that the rows have numbers.
                read_options=pa.csv.ReadOptions(
                    column_names=names, skip_rows=self.file.header, use_threads=False, block_size=_BLOCK
                ),
                parse_options=pa.csv.ParseOptions(
                    delimiter=self.file.delimiter,
                    quote_char=False,
                    ignore_empty_lines=False,
                    invalid_row_handler=self._skip_bad_line,
                ),
                # As text, so that one bad number does not cost a block.
                convert_options=pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, strings_can_be_null=False
                ),
            )
            for batch in reader:
                block = pl.from_arrow(batch)
                assert isinstance(block, pl.DataFrame)
                block.columns = list(_FIELDS)
                yield self._numbers(block)
        except pa.ArrowInvalid as error:
            raise UserError(f"{self.file.path}: cannot be read as ratings ({error})") from error
        if self.unread_times:
            self.report.note(f"{self.file.path.name}: {self.unread_times:,} times could not be read, so have no date")

    def _skip_bad_line(self, row: pa.csv.InvalidRow) -> str:
        self.bad_rows.append(row.number)
        if row.text.strip():
            text = row.text.encode("latin-1").decode("utf-8", "replace")
            self.report.reject(self.file.path.name, BAD_LINE, 1, [(row.number, text)])
        return "skip"

    def _row_numbers(self, count: int) -> np.ndarray:
        """Numbers of the next `count` lines that have the right number of fields."""
        bad = np.array(self.bad_rows, dtype=np.int32)
        lines = np.arange(self.next_row, self.next_row + count + len(bad), dtype=np.int32)
        rows = np.setdiff1d(lines, bad, assume_unique=True)[:count]
        if count:
            self.next_row = int(rows[-1]) + 1
            del self.bad_rows[: int(np.searchsorted(bad, rows[-1]))]
        return rows

    def _numbers(self, block: pl.DataFrame) -> tuple[np.ndarray, ...]:
        rows = self._row_numbers(len(block))
        numbers = block.select(
            pl.col("user", "film").cast(pl.Int32, strict=False),
            pl.col("stars").cast(pl.Float64, strict=False) * 2,
            pl.col("time").cast(pl.Int64, strict=False),
        )
        film = numbers["film"].fill_null(-1).to_numpy()
        place = np.searchsorted(self.film_numbers, film).clip(max=len(self.film_numbers) - 1)
        doubled = numbers["stars"].fill_null(0).fill_nan(0).to_numpy()
        times = numbers["time"].fill_null(_NO_TIME).to_numpy()
        timed = (times > _NO_TIME) & (times <= _LATEST_TIME)
        blank = block.select(pl.all_horizontal(pl.all() == "")).to_series().to_numpy()
        good = ~blank  # most often the last line

        def reject(kind: str, field: str, bad: np.ndarray) -> None:
            bad = np.flatnonzero(bad & good)
            good[bad] = False
            shown = [(int(rows[row]), block[field][int(row)] or f"no {field}") for row in bad[:SHOWN_OFFENDERS]]
            self.report.reject(self.file.path.name, kind, len(bad), shown)

        for field in ("user", "film", "stars"):
            reject(NULL_FIELD, field, (block[field] == "").to_numpy())
        for field in ("user", "film"):
            reject(NOT_A_NUMBER, field, numbers[field].is_null().to_numpy())
        reject(BAD_STARS, "stars", ~np.isin(doubled, np.arange(1, 11)))
        reject(UNKNOWN_FILM, "film", self.film_numbers[place] != film)
        self.unread_times += int((good & ~timed).sum())
        return (
            numbers["user"].fill_null(-1).to_numpy()[good],
            self.film_codes[place][good],
            doubled[good].astype(np.int8),
            np.where(timed, times, _NO_TIME).astype(np.uint32)[good],
            rows[good],
        )


def _first_of_pairs(users: np.ndarray, films: np.ndarray, num_films: int) -> np.ndarray:
    """bool [n]: no earlier row has this user and film."""
    pairs = users.astype(np.int64) * num_films + films
    if (pairs[1:] > pairs[:-1]).all():  # the order of most published files; spares a table of all pairs
        return np.ones(len(pairs), dtype=bool)
    return pl.Series(pairs).is_first_distinct().to_numpy()


@contextmanager
def _text(path: Path) -> Iterator[pa.NativeFile]:
    """The text of a file, with a progress bar on stderr. As Latin-1, in which all bytes are text."""
    from rich.console import Console
    from rich.progress import open as open_with_progress

    console = Console(file=sys.stderr)
    with open_with_progress(
        path, "rb", description=path.name, console=console, transient=True, disable=not console.is_terminal
    ) as file:
        yield pa.transcoding_input_stream(pa.PythonFile(file, mode="r"), "latin-1", "utf-8")
