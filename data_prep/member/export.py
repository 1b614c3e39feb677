"""A member's Letterboxd account export as one rating history over the films of a catalogue.

    reel data export letterboxd-me-2026-01-01-10-00-utc.zip --data DIR --out history.json

What is read: ratings.csv (the current ratings), diary.csv (watched films, rewatches; ratings only when there is no
ratings.csv), watched.csv, watchlist.csv and likes/films.csv. They name films by title and year, for `TitleMatcher`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from data_prep.answers import print_json
from data_prep.errors import CommandParser, UserError, one_line, writable
from data_prep.folders import keep_sources
from data_prep.matching import FilmKey, Match, TitleMatcher
from data_prep.member.archive import KNOWN_FILES, REMEDY, Budget, read_files, read_limited
from data_prep.member.export_csv import BrokenFile, Row, Table, parse_table
from data_prep.member.feed import is_xml, parse_feed
from data_prep.member.history import Export, Rejected, Unmatched, match_history, parse_history

_SHOWN = 20  # unmatched and rejected rows that the command lists


def read_export(path: Path | str, films: pl.DataFrame | TitleMatcher, *, refuse_unrated: bool = False) -> Export:
    """The history in an export: a ZIP, its unpacked folder, or a single ratings.csv or diary.csv of any name.

    Args:
        path: file or folder.
        films: the films table of the data set (or catalogue) to match to; or its matcher, to read many exports.
        refuse_unrated: make it an error that ratings were rejected and none is left.

    Raises:
        UserError: `path` is nothing of the kind, damaged, or larger than an export can be.
    """
    path = Path(path)
    matcher = TitleMatcher.of(films)
    matcher.prepare()  # what belongs to the catalogue takes none of the export's time
    budget = Budget(path)
    files, single = read_files(path, budget)
    tables, broken = _single_table(path, files, budget) if single else usable_tables(path, files, budget)
    source = tables.get("ratings.csv") or tables["diary.csv"]
    rated = _latest_ratings(source, blank_is_watched=source is tables.get("diary.csv"))
    named = (_film(row) for table in tables.values() for row in table.rows)
    matches = matcher.identify_all(budget.watched(named))
    export = _assemble(rated, matches, tables, matcher.film_ids)
    export.rejected = broken + [row for table in tables.values() for row in table.rejected]
    export.counts["rejected"] = len(export.rejected)
    return _some_rated(path, export, source.file, "ratings.csv") if refuse_unrated else export


def _some_rated(path: Path, export: Export, *files: str) -> Export:
    """`export`; raises UserError when ratings of `files` were rejected and none is left: recommendations for nobody in
    particular would pass for those of this person."""
    lost = [row for row in export.rejected if row["file"] in files]
    if lost and not export.counts["rated"]:
        row = lost[0]
        place = path if row["file"] == writable(path.name) else f"{path}: {row['file']}"
        what = f"{row['value']!r}: {row['reason']}"
        raise UserError(f"{place} row {row['row']}: {what}, and no rating is left; mend the row, or {REMEDY}")
    return export


def read_history(path: Path | str, films: pl.DataFrame | TitleMatcher) -> Export:
    """What `read_export` reads, the JSON that `reel data export` and `reel data rss` write, or a member's feed.

    Raises:
        UserError: as `read_export`; or broken JSON, JSON of another shape, or XML that is no feed; or ratings were
            rejected and none is left.
    """
    path = Path(path)
    matcher = TitleMatcher.of(films)
    if path.is_file():
        budget = Budget(path)
        try:
            data = read_limited(path)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error}); {REMEDY}") from error
        if path.suffix.lower() == ".json" or data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
            return _some_rated(path, parse_history(path, data, matcher, budget), writable(path.name))
        if is_xml(data):
            feed = parse_feed(str(path), data)
            found = match_history(path, feed.to_json(), matcher, feed.rows, budget)
            return _some_rated(path, found, writable(path.name))
    return read_export(path, matcher, refuse_unrated=True)


def _single_table(path: Path, files: dict[str, bytes], budget: Budget) -> tuple[dict[str, Table], list[Rejected]]:
    ((file, data),) = files.items()
    table = parse_table(file, data, budget)
    if "review" in table.columns:
        raise UserError(f"{path}: this is a reviews.csv; {REMEDY}")
    if "rating" not in table.columns:
        raise UserError(f"{path}: no Rating column, as in watched.csv or watchlist.csv; {REMEDY}")
    return {table.kind: table}, []


def usable_tables(path: Path, files: dict[str, bytes], budget: Budget) -> tuple[dict[str, Table], list[Rejected]]:
    """The tables of an export; files that cannot be used are reported as rejected while another one holds ratings."""
    tables: dict[str, Table] = {}
    broken: list[tuple[str, BrokenFile]] = []
    for file, data in files.items():
        try:
            table = parse_table(file, data, budget)
            if file in ("ratings.csv", "diary.csv") and "rating" not in table.columns:
                raise BrokenFile(f"{file}: no Rating column")
            tables[file] = table
        except BrokenFile as error:
            broken.append((file, error))
    if "ratings.csv" not in tables and "diary.csv" not in tables:
        raise UserError(f"{path}: {broken[0][1]}")
    reasons = [(file, str(error).removeprefix(f"{file}: ")) for file, error in broken]
    return tables, [{"file": file, "row": 1, "value": "", "reason": f"file not used: {why}"} for file, why in reasons]


@dataclass(frozen=True)
class _Rated:
    row: Row
    rating: int
    date: str | None
    age: tuple[str, str, int]  # the greatest is the current rating


def _film(row: Row) -> FilmKey:
    """An export knows a film by title and year alone."""
    return FilmKey(row.name, row.year)


def _latest_ratings(table: Table, *, blank_is_watched: bool) -> dict[FilmKey, _Rated]:
    """The current rating of each (name, year); rows whose rating is none are rejected."""
    latest: dict[FilmKey, _Rated] = {}
    for row in table.rows:
        try:
            rating = table.rating(row)
            if rating is None and not blank_is_watched:
                raise ValueError("the rating is blank")
        except ValueError as error:
            table.reject(row.number, row.cells["rating"], str(error))
            continue
        if rating is None:
            continue
        logged = table.date(row, "date")
        date = table.date(row, "watcheddate") or logged
        rated = _Rated(row, rating, date, (date or "", logged or "", row.number))
        key = _film(row)
        if key not in latest or rated.age > latest[key].age:
            latest[key] = rated
    return latest


def _assemble(
    rated: dict[FilmKey, _Rated], matches: dict[FilmKey, Match], tables: dict[str, Table], film_ids: list[str]
) -> Export:
    def found(*files: str, rewatched: bool = False) -> list[int]:
        """Films that the files name, each once, in their order."""
        rows = [row for file in files if file in tables for row in tables[file].rows]
        indices = [
            matches[_film(row)].film_index
            for row in rows
            if not rewatched or row.cells.get("rewatch", "").casefold() in ("yes", "true", "1")
        ]
        return [index for index in dict.fromkeys(indices) if index is not None]

    liked, rewatch = set(found("likes/films.csv")), set(found("diary.csv", rewatched=True))
    export = Export()
    latest: dict[int, _Rated] = {}
    for key, one in sorted(rated.items(), key=lambda item: item[1].row.number):
        match = matches[key]
        if match.film_index is None:
            reason = match.reason or "not in the catalogue"
            export.unmatched.append(
                {"row": one.row.number, "name": one.row.name, "year": one.row.year, "reason": reason}
            )
        elif match.film_index not in latest or one.age > latest[match.film_index].age:
            latest[match.film_index] = one
    for index, one in sorted(latest.items(), key=lambda item: (item[1].date or "", item[1].row.number)):
        export.history.append(
            {
                "film_id": film_ids[index],
                "rating": one.rating,
                "date": one.date,
                "liked": index in liked,
                "rewatch": index in rewatch,
            }
        )
    export.watched = [film_ids[index] for index in found("watched.csv", "diary.csv")]
    export.watchlist = [film_ids[index] for index in found("watchlist.csv")]
    export.counts = {"rated": len(rated), "matched": len(rated) - len(export.unmatched), "rejected": 0}
    return export


def main(arguments: Sequence[str]) -> None:
    """`reel data export`: see the module's docstring."""
    parser = CommandParser(
        prog="reel data export",
        description="A Letterboxd account export as one history, matched to the films of a data set.",
    )
    parser.add_argument("file", type=Path, help="the export: its ZIP, the unpacked folder, ratings.csv or diary.csv")
    parser.add_argument(
        "--data", required=True, help="the data set whose films to match: a folder, or its id on the Hub"
    )
    parser.add_argument("--out", default="-", help="the JSON file to write; - (the default) is standard output")
    options = parser.parse_args(arguments)
    if options.out != "-":
        keep_sources(Path(options.out), [options.file, *(options.file / name for name in KNOWN_FILES)])

    from data_prep.dataset import load_films

    export = read_export(options.file, load_films(options.data), refuse_unrated=True)
    if options.out == "-":
        print_json(export.to_json())
    else:
        export.write(Path(options.out))
    report(export, str(options.file))


def report(export: Export, name: str) -> None:
    """One line of counts on stderr, then the unmatched and rejected rows, the first 20 of each."""
    counts = export.counts
    summary = f"{counts['rated']} rated, {counts['matched']} matched, {len(export.unmatched)} unmatched"
    print(f"{one_line(name)}: {summary}, {counts['rejected']} rejected", file=sys.stderr)
    report_rows(export.unmatched, export.rejected)


def report_rows(unmatched: Iterable[Unmatched], rejected: Iterable[Rejected]) -> None:
    """Unmatched and rejected rows on stderr, the first 20 of each."""
    names = [f"row {row['row']}: {row['name']} ({row['year'] or '?'}): {row['reason']}" for row in unmatched]
    values = [f"{row['file']}, row {row['row']}: {row['value']!r}: {row['reason']}" for row in rejected]
    _print_some("unmatched", names)
    _print_some("rejected", values)


def _print_some(title: str, lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        print(f"  {title} {one_line(line)}", file=sys.stderr)
    if len(lines) > _SHOWN:
        print(f"  ... and {len(lines) - _SHOWN} more {title}", file=sys.stderr)
