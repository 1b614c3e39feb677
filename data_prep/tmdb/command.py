"""`reel data tmdb`: films from TMDB as a table, or what a data set's films lack.

    export TMDB_TOKEN=...  # the API Read Access Token of https://www.themoviedb.org/settings/api
    reel data tmdb --ids 603,604 --imdb-ids tt0068646 --out films.parquet
    reel data tmdb --titles films.csv --format json
    reel data tmdb --discover 2020-01-01 2020-12-31 --out films.parquet
    reel data tmdb --fill DIR

TMDB's terms: use that earns nothing is free, commercial use needs an agreement; answers may be kept for at most six
months; whatever shows them says "This product uses the TMDB API but is not endorsed or certified by TMDB."

Every answer is kept in a cache, so a command that was stopped goes on where it was when it is run again.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from data_prep.answers import print_json
from data_prep.errors import CommandParser, UserError
from data_prep.folders import keep_sources, new_file
from data_prep.progress import tracked
from data_prep.tables.csv_rows import read_header, read_records
from data_prep.tables.table_files import find_columns, is_parquet
from data_prep.tmdb.cache import LONGEST_AGE, AnswerCache
from data_prep.tmdb.client import API_URL, NotCached, TmdbClient, token_from_environment
from data_prep.tmdb.fill import fill_dataset, incomplete_films, open_dataset
from data_prep.tmdb.lookup import Wanted, discover, find_film, find_films
from data_prep.tmdb.output import SUFFIXES, print_films, print_report, shown, write_films
from data_prep.tmdb.records import IMDB_ID, LARGEST_ID, Film
from data_prep.user_keys import cache_folder

_T = TypeVar("_T")


def main(arguments: Sequence[str]) -> None:
    """The command `reel data tmdb`."""
    options = _parse(arguments)
    cache_file = options.cache or cache_folder() / "tmdb.sqlite"
    token = None if options.dry_run else token_from_environment()
    with (
        AnswerCache(cache_file, options.max_age) as cache,
        TmdbClient(cache, token, base_url=options.base_url) as client,
    ):
        if options.dry_run:
            _dry_run(client, options)
        elif options.fill:
            print_report(fill_dataset(options.fill, client), options.fill, options.format)
        elif options.out:
            keep_sources(options.out, [options.titles] if options.titles else [])
            with new_file(options.out) as building:  # a place that cannot be written is known before anything is asked
                films = fetch_films(client, _wanted(options), options.discover)
                write_films(films, building, options.out.suffix)
        else:
            print_films(fetch_films(client, _wanted(options), options.discover), options.format)
        print(f"{client.requests:,} requests, {client.cached:,} answers from {cache_file}", file=sys.stderr)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = CommandParser(prog="reel data tmdb", description=__doc__)
    films = parser.add_argument_group("films to fetch, in any combination (@FILE: one a line)")
    films.add_argument("--ids", type=_list_of(_tmdb_id), default=[], metavar="603,604|@FILE", help="ids of TMDB")
    films.add_argument("--imdb-ids", type=_list_of(_imdb_id), default=[], metavar="tt0133093,...|@FILE")
    films.add_argument("--titles", type=Path, metavar="FILE.csv", help="a CSV file with the columns title and year")
    films.add_argument(
        "--discover",
        type=_date,
        nargs=2,
        metavar=("FROM", "TO"),
        help="first released from day to day (YYYY-MM-DD)",
    )
    films.add_argument("--out", type=Path, help="films.parquet, .csv or .json; without it they are printed")
    parser.add_argument("--fill", type=Path, metavar="DIR", help="a data set: fill what is null in its films")
    parser.add_argument("--dry-run", action="store_true", help="say what would be asked, and ask nothing")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="of what is printed")
    parser.add_argument("--cache", type=Path, metavar="FILE", help="answers so far (default: in your cache folder)")
    parser.add_argument(
        "--max-age",
        type=float,
        default=LONGEST_AGE,
        metavar="DAYS",
        help="ask again what is older (default: 180, about the six months that TMDB's terms allow)",
    )
    parser.add_argument("--base-url", default=API_URL, help=f"where the API answers (default: {API_URL})")
    options = parser.parse_args(arguments)
    fetch = bool(options.ids or options.imdb_ids or options.titles or options.discover)
    if fetch == bool(options.fill):
        raise UserError("name films with --ids, --imdb-ids, --titles or --discover; or a data set with --fill DIR")
    if options.out and (options.fill or options.out.suffix not in SUFFIXES):
        raise UserError(f"--out {options.out}: name a .parquet, .csv or .json file for the films that are fetched")
    if options.discover and options.discover[0] > options.discover[1]:
        raise UserError(f"--discover {options.discover[0]} {options.discover[1]}: the first day comes after the last")
    return options


def _list_of(read: Callable[[str], _T]) -> Callable[[str], list[_T]]:
    """A reader of `a,b,c`, or of `@FILE` with one a line."""

    def values(text: str) -> list[_T]:
        if text.startswith("@"):
            try:
                text = Path(text[1:]).read_text(encoding="utf-8-sig")
            except UnicodeDecodeError as error:
                raise UserError(f"{text[1:]}: no text file; write one id a line") from error
        found = [read(word) for word in re.split(r"[\s,]+", text) if word]
        if not found:
            raise UserError("no id is given; write 603,604 or @FILE")
        return found

    return values


def _tmdb_id(word: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", word) or not 0 < int(word) <= LARGEST_ID:
        raise UserError(f"{word[:80]!r} is no TMDB id, which is a whole number such as 603")
    return int(word)


def _imdb_id(word: str) -> str:
    if not re.fullmatch(IMDB_ID, word):
        raise UserError(f"{word[:80]!r} is no IMDb id of a film, such as tt0133093")
    return word


def _date(word: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(word)
    except ValueError:
        raise UserError(f"--discover {word[:80]}: no day; write YYYY-MM-DD") from None


def _wanted(options: argparse.Namespace) -> list[Wanted]:
    """The films that the options name one by one."""
    films = [Wanted(tmdb_id=tmdb_id) for tmdb_id in options.ids]
    films += [Wanted(imdb_id=imdb_id) for imdb_id in options.imdb_ids]
    return films + (read_titles(options.titles) if options.titles else [])


def read_titles(path: Path) -> list[Wanted]:
    """The films of a CSV file with the columns title and year; a year may be blank.

    Raises:
        UserError: when it is no such file, or a row of it is broken.
    """
    if is_parquet(path):
        raise UserError(f"{path}: Parquet; --titles takes CSV with the columns title and year")
    header, delimiter = read_header(path)
    names = [name.casefold() for name in header]
    found = find_columns(path, names, {"title": ("title",), "year": ("year",)}, {})
    films = []
    for row, fields in read_records(path, len(header), delimiter):
        if isinstance(fields, str):
            raise UserError(f"{path} row {row}: {len(header)} fields expected, as in the header")
        title, year = (fields[names.index(found[name])].strip() for name in ("title", "year"))
        if not title or any("\ud800" <= letter <= "\udfff" for letter in title):
            raise UserError(f"{path} row {row}: {'no title' if not title else 'the title is no UTF-8'}")
        if not re.fullmatch(r"([0-9]{4})?", year):
            raise UserError(f"{path} row {row}: {year[:80]!r} is no year; write four digits or nothing")
        films.append(Wanted(title=title, year=int(year) if year else None))
    return films


def fetch_films(
    client: TmdbClient, wanted: Sequence[Wanted], days: tuple[datetime.date, datetime.date] | None = None
) -> list[Film]:
    """The films wanted, then those first released between two days; each once, with every field.

    Those that are not found are listed on stderr.
    """
    if days:
        found = tracked(discover(client, *days), "discovering films")
        wanted = [*wanted, *(Wanted(tmdb_id=film.tmdb_id) for film in found)]
    wanted = list(dict.fromkeys(wanted))
    lookups = find_films(client, wanted)
    missing = [
        f"not found: {one}: {lookup.reason}" for one, lookup in zip(wanted, lookups, strict=True) if not lookup.film
    ]
    for line in shown(missing):
        print(line, file=sys.stderr)
    return list({lookup.film.tmdb_id: lookup.film for lookup in lookups if lookup.film}.values())


def _dry_run(client: TmdbClient, options: argparse.Namespace) -> None:
    """Print the first request that each film still needs; each may lead to one or two more."""
    wanted = list(incomplete_films(open_dataset(options.fill)[1]).values()) if options.fill else _wanted(options)
    requests = []
    if options.discover:
        try:
            wanted += [Wanted(tmdb_id=film.tmdb_id) for film in discover(client, *options.discover)]
        except NotCached as error:
            requests.append(f"{error} and what follows from it")
    for one in dict.fromkeys(wanted):
        try:
            find_film(client, one)
        except NotCached as error:
            requests.append(str(error))
    requests = list(dict.fromkeys(requests))
    if options.format == "json":
        print_json(requests)
        return
    print(f"{len(wanted):,} films; TMDB would be asked at least {len(requests):,} times")
    for line in shown(requests):
        print(line)
