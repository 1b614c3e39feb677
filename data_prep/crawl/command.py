"""Letterboxd's terms of use (6.11) forbid robots, scrapers and every other automated gathering of its pages without
Letterboxd's permission. This command is for people who have that permission. Its robots.txt, which is obeyed whatever
the permission says, shuts every robot out of films by date (/*/by/*) and of what is popular this week
(/*/popular/this/*), and AI companies' robots out of everything. Without permission there are two open ways to a rating
history: the member's own account export (`reel data export`) and a feed that the member hands over (`reel data rss`).

    reel data crawl --users members.txt --out crawl --i-have-permission --contact you@example.org
    reel data pages crawl/pages --out data

It reads the diary pages of each member, then their reviews pages, then the page of every film seen there, once, and
keeps them as they came in DIR/pages. It says who it is (User-Agent reel-recommendations/VERSION with your contact),
uses one connection, pauses 3 s and up to a third more between requests (longer if robots.txt asks for that), takes no
cookies, leaves the host for no redirect, and never poses as a browser or solves a challenge.

The whole run ends at the first 403, 429, challenge or block page, when robots.txt cannot be had, when a page cannot be
read, and when the server or the line still fails at the fourth attempt. A member or film that is gone (404) is noted
and passed over. However a run ends (also by Ctrl-C, kill -9 or a power cut) its state is kept: start the same command
again and it goes on where it was. When everything has been read, starting it again asks for nothing, unless members
were added to the file; --refresh looks for new entries. Pages of members who were taken out of the file are no longer
asked for.
"""

from __future__ import annotations

import math
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from data_prep.crawl.crawler import Crawler
from data_prep.crawl.fetch import Fetcher
from data_prep.crawl.state import KINDS, CrawlState, QueuedPage
from data_prep.errors import CommandParser, UserError, one_line

TERMS = """\
Letterboxd's terms of use (6.11) forbid automated gathering of its pages without Letterboxd's permission.
If you have it, say so with --i-have-permission, and how to reach you with --contact.
If not: `reel data export` reads a member's own account export, `reel data rss` a feed that a member hands over."""

_MEMBER = re.compile(r"[A-Za-z0-9_]{1,40}")
_CONTACT = re.compile(r"[^@\s()<>]+@[^@\s()<>]+\.[^@\s()<>]+|https?://[^\s()<>]+")
_BASE_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?/?")
_SHOWN = 20  # addresses that the report lists of a kind
_OUTCOMES = {
    "missing": "gone (404)",
    "private": "private",
    "disallowed": "shut to robots by robots.txt, not asked for",
    "oversized": "too large, not kept",
}


def main(arguments: Sequence[str]) -> None:
    """The command `reel data crawl`."""
    options = _parser().parse_args(arguments)
    if not options.i_have_permission:
        print(TERMS, file=sys.stderr)
        raise UserError("nothing was asked for: --i-have-permission is missing; see the terms above")
    if options.contact is None:
        raise UserError("--contact is missing: an e-mail address or URL by which the site's people can reach you")
    members = read_members(options.users)

    with (
        CrawlState(options.out, options.base_url) as state,
        Fetcher(options.base_url, options.contact, options.delay) as fetcher,
    ):
        begun = state.choose(members, options.kinds, refresh=options.refresh)
        if options.refresh and not begun:
            print("pages wait from before: these first; --refresh begins when nothing waits", file=sys.stderr)
        crawler = Crawler(state, fetcher, max_pages=options.max_pages, max_bytes=options.max_bytes)
        try:
            with _progress(state, fetcher) as show:
                crawler.run(show)
        finally:
            _report(state, crawler)


def _parser() -> CommandParser:
    parser = CommandParser(prog="reel data crawl", description=__doc__)
    add = parser.add_argument
    add("--users", type=Path, required=True, metavar="FILE", help="one member a line; # starts a comment")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the pages and of the crawl's state")
    add("--i-have-permission", action="store_true", help="you have Letterboxd's permission to gather these pages")
    add("--contact", type=_contact, metavar="EMAIL_OR_URL", help="how the site's people reach you; sent to them")
    add("--delay", type=_seconds, default=3.0, help="seconds between requests (default: 3)")
    add(
        "--max-pages",
        type=_count,
        default=math.inf,
        metavar="N",
        help="pages to ask for in this run (default: all)",
    )
    add(
        "--max-bytes",
        type=_count,
        default=math.inf,
        metavar="N",
        help="bytes to read in this run, unpacked (default: all)",
    )
    add("--kinds", type=_kinds, default="diary,reviews,film", help="what to read (default: diary,reviews,film)")
    add("--refresh", action="store_true", help="read the members' newest pages again, until one brings nothing new")
    add(
        "--base-url",
        type=_base_url,
        default="https://letterboxd.com",
        help="the site (default: https://letterboxd.com)",
    )
    return parser


def read_members(path: Path) -> list[str]:
    """The members named in a file, in lower case, each once.

    Raises:
        UserError: the file cannot be read, a line is no member's name, or there is none.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a path that can be none
        why = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read ({why}); give a text file with one member a line") from error
    members: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        name = line.partition("#")[0].strip()
        if not name:
            continue
        if not _MEMBER.fullmatch(name):
            raise UserError(
                f"{path} line {number}: {name[:60]!r} is no member's name (letters, digits and _, as in their address)"
            )
        members[name.lower()] = None
    if not members:
        raise UserError(f"{path}: names no member; write one a line")
    return list(members)


@contextmanager
def _progress(state: CrawlState, fetcher: Fetcher) -> Iterator[Callable[[QueuedPage], None]]:
    """A bar on stderr; gives what to call with each page that is about to be asked for."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(file=sys.stderr)
    text = TextColumn("{task.fields[size]} {task.fields[path]}", markup=False)
    columns = (BarColumn(bar_width=20), MofNCompleteColumn(), text)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=None, size="", path="")

        def show(page: QueuedPage) -> None:
            counts = state.counts()
            known = sum(counts.values())
            done = known - counts.get("waiting", 0)
            progress.update(bar, completed=done, total=known, size=_megabytes(fetcher.bytes_read), path=page.path)

        yield show


def _report(state: CrawlState, crawler: Crawler) -> None:
    """What this run did and what the state holds, on stderr."""
    counts = state.counts()
    kept, waiting = counts.get("kept", 0), counts.get("waiting", 0)
    lines = []
    for status, outcome in _OUTCOMES.items():
        if paths := state.paths(status):
            lines.append(f"{outcome}: {len(paths):,}")
            lines += [f"  {one_line(path)}" for path in paths[:_SHOWN]]
            if len(paths) > _SHOWN:
                lines.append(f"  and {len(paths) - _SHOWN:,} more (status {status} in {state.file})")
    lines.append(
        f"pages asked for in this run: {crawler.pages_asked:,} ({_megabytes(crawler.fetcher.bytes_read)}); "
        f"known in all: {sum(counts.values()):,}, kept: {kept:,}, waiting: {waiting:,}"
    )
    if waiting:
        lines.append("to go on, start the same command again")
    if kept:
        lines.append(f"to make a data set: reel data pages {shlex.quote(str(state.pages))} --out DATA")
    print("\n".join(lines), file=sys.stderr)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _contact(text: str) -> str:
    if not (_CONTACT.fullmatch(text) and text.isascii() and text.isprintable()):  # it goes into a header
        raise UserError(f"--contact: {text[:60]!r} is neither an e-mail address nor an http(s) URL")
    return text


def _base_url(text: str) -> str:
    if not _BASE_URL.fullmatch(text):
        raise UserError(f"--base-url: {text[:60]!r} is no scheme and host, such as https://letterboxd.com")
    return text.rstrip("/")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 3600:
        raise UserError(f"--delay: {text[:60]!r} is no number of seconds from 0 to 3600")
    return seconds


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,14}", text, re.ASCII):
        raise UserError(f"{text[:60]!r} is no whole number from 1 on; give --max-pages and --max-bytes one")
    return int(text)


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(text.split(","))
    if unknown := set(kinds) - set(KINDS):
        raise UserError(f"--kinds: {min(unknown)[:60]!r} is none of {', '.join(KINDS)}")
    return kinds
