"""`reel data pages`: saved Letterboxd pages as a data set, or what one page holds.

    reel data pages diary.html --format json
    reel data pages saved/ --out DIR

Folders are searched for .html, .htm and .html.gz. Diaries, films grids, reviews and lists with the owner's ratings
give ratings; film pages give titles, years and ids. A page that cannot be read is named with the reason and left out;
`--strict` makes it an error.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_prep.answers import print_json
from data_prep.building.build import check_replaceable, write_dataset
from data_prep.building.card import DatasetCard
from data_prep.building.options import add_build_options
from data_prep.building.splits import DEFAULT_SPLITS, check_splits, split_users
from data_prep.errors import CommandParser, UserError, one_line
from data_prep.pages.collect import Collection
from data_prep.pages.errors import PageError
from data_prep.pages.read import MAX_PAGE_BYTES, parse_page
from data_prep.pages.records import Page
from data_prep.progress import tracked
from data_prep.report import BuildReport

_SUFFIXES = (".html", ".htm", ".html.gz")
_SHOWN = 20  # pages left out that are named


def main(arguments: Sequence[str]) -> None:
    """The command `reel data pages`."""
    parser = CommandParser(
        prog="reel data pages",
        description="Saved Letterboxd pages as a data set (with --out), or what one page holds (without).",
    )
    parser.add_argument("pages", type=Path, nargs="+", help="files, and folders with .html, .htm or .html.gz files")
    parser.add_argument("--format", choices=["json"], help="print what one page holds, as JSON")
    add_build_options(
        parser,
        splits=None,
        splits_help="train=.9,validation=.05,test=.05 (the default, or everybody in train where users are too few)",
        out_required=False,
    )
    parser.add_argument("--strict", action="store_true", help="make any page that cannot be read an error")
    options = parser.parse_args(arguments)
    if (options.out is None) == (options.format is None):
        raise UserError("give either --format json to print what one page holds, or --out DIR to make a data set")
    files = find_pages(options.pages)
    if options.format:
        if len(files) != 1:
            raise UserError(f"--format json prints one page, not {len(files):,}; --out DIR makes a data set of many")
        print_json(to_json(read_page(files[0])))
        return
    card = build_from_pages(
        files,
        options.out,
        splits=options.splits,
        cold_films=options.cold_films,
        seed=options.seed,
        strict=options.strict,
    )
    print(f"{options.out}: {card.summary()}", file=sys.stderr)


def find_pages(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths`, and the pages in the folders among them, each once.

    Raises:
        UserError: when a path does not exist, or there is no page.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(file for file in path.rglob("*") if file.name.lower().endswith(_SUFFIXES))
        elif path.exists():
            files.append(path)
        else:
            raise UserError(f"{path}: no such file or folder")
    if not files:
        raise UserError(f"no {', '.join(_SUFFIXES)} file in {', '.join(map(str, paths))}")
    return list(dict.fromkeys(files))


def read_page(file: Path) -> Page:
    """`parse_page` of a file, packed by gzip or not.

    Raises:
        PageError: as `parse_page`.
        UserError: when the file cannot be read.
    """
    try:
        with gzip.open(file) if file.suffix.lower() == ".gz" else file.open("rb") as source:
            data = source.read(MAX_PAGE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    return parse_page(data, str(file))


def to_json(page: Page) -> dict[str, Any]:
    """A page as `--format json` prints it; entries of one kind of page have the same keys."""
    film = page.film
    entries = [asdict(entry) for entry in page.entries]
    for entry in entries:
        if "date" in entry:
            entry["date"] = entry["date"] and entry["date"].isoformat()
        for key in ("tmdb_id", "tmdb_type", "imdb_id"):  # of a film page, told once for the page
            entry.pop(key, None)
    return {
        "kind": page.kind,
        "entries": entries,
        "tmdb_id": film.tmdb_id if film else None,
        "tmdb_type": film.tmdb_type if film else None,
        "imdb_id": film.imdb_id if film else None,
        "next_page": page.next_page,
        "page_count": page.page_count,
    }


def build_from_pages(
    files: Sequence[Path],
    out: Path,
    *,
    splits: dict[str, float] | None = None,
    cold_films: int = 0,
    seed: int = 0,
    strict: bool = False,
) -> DatasetCard:
    """Read the pages, report on stderr what was left out, and write the data set. Arguments as in `write_dataset`,
    but for `splits`: None stands for the usual shares, or everybody in train where there are too few users.

    Raises:
        UserError: when no page can be read or none holds ratings; with `strict` also when any cannot be read.
    """
    if splits is not None:
        check_splits(splits)
    if cold_films < 0:
        raise UserError(f"--cold-films {cold_films}: must be 0 or more")
    check_replaceable(out)
    report = BuildReport()
    collection = _collect(files, report, strict=strict)
    tables = collection.tables()
    if unrated := collection.unrated():
        report.note(f"{unrated:,} viewings without a rating are not among the ratings")
    if television := collection.television():
        report.note(
            f"{television:,} of the films are television; their TMDB ids are left out, since TMDB counts it apart"
        )
    if splits is None:
        splits = _usual_splits(tables.ratings["user_id"].unique().to_list(), seed, report)
    for note in report.notes:
        print(note, file=sys.stderr)
    return write_dataset(
        out,
        tables.films,
        tables.ratings,
        source="saved Letterboxd pages",
        splits=splits,
        cold_films=cold_films,
        seed=seed,
        report=report,
        reviews=tables.reviews,
        rewatches=tables.rewatches,
    )


def _collect(files: Sequence[Path], report: BuildReport, *, strict: bool) -> Collection:
    collection = Collection()
    failures: list[UserError] = []
    unused: Counter[str] = Counter()
    for file in tracked(files, "reading pages"):
        try:
            page = read_page(file)
        except UserError as error:
            if strict:
                raise
            kind = type(error).__name__ if isinstance(error, PageError) else "unreadable file"
            report.reject("saved pages", f"page not read: {kind}", 1)
            failures.append(error)
            continue
        if not collection.add(page):
            unused[page.kind] += 1
    for failure in failures[:_SHOWN]:
        print(f"left out {one_line(str(failure))}", file=sys.stderr)
    if len(failures) > _SHOWN:
        print(f"... and {len(failures) - _SHOWN:,} more pages left out", file=sys.stderr)
    if len(failures) == len(files):
        raise UserError(f"none of {len(files):,} pages can be read; the first: {failures[0]}")
    if unused:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(unused.items()))
        report.note(f"{unused.total():,} pages hold no member's ratings and were not used ({kinds})")
    return collection


def _usual_splits(users: Sequence[str], seed: int, report: BuildReport) -> dict[str, float]:
    if not users:
        raise UserError("the pages hold no rating of a member; diaries, films grids and reviews do")
    try:
        split_users(users, DEFAULT_SPLITS, seed)
    except UserError:
        report.note(f"{len(users)} users are too few to split: everybody is in train")
        return {"train": 1.0}
    return DEFAULT_SPLITS
