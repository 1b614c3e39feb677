"""`reel data rss FILE_OR_URL`: a member's Letterboxd feed as one rating history.

    reel data rss my-feed.xml --data DIR --out history.json
    reel data rss https://letterboxd.com/YOUR-NAME/rss/ --out history.json

A feed holds the newest 50 or so diary entries, with TMDB's ids; the account export (`reel data export`) has them all.
With --data the films are matched to those of a data set. Without it they keep the ids that the feed gives them, and
whoever reads the JSON (`reel recommend --history`) matches them. An address is for the member's own feed, asked for
once and as what this is, a program; where the site refuses programs, save the feed in a browser.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import httpx

from data_prep.answers import print_json
from data_prep.errors import CommandParser, UserError, one_line
from data_prep.folders import keep_sources
from data_prep.member.export import report, report_rows
from data_prep.member.feed import MAX_FEED_BYTES, REMEDY, parse_feed
from data_prep.member.history import match_history, write_json

MAX_SECONDS = 30  # for a download, all in all
MAX_REDIRECTS = 5
_OWN_MACHINE = ("127.0.0.1", "localhost")


def main(arguments: Sequence[str]) -> None:
    """The command `reel data rss`."""
    parser = CommandParser(prog="reel data rss", description=__doc__)
    parser.add_argument("feed", metavar="FILE_OR_URL", help="a saved feed, or the https address of your own")
    parser.add_argument("--data", help="match to the films of this data set: a folder, or its id on the Hub")
    parser.add_argument("--out", default="-", help="the JSON file to write; - (the default) is standard output")
    options = parser.parse_args(arguments)
    if options.out != "-":
        keep_sources(Path(options.out), [Path(options.feed)])

    feed = parse_feed(options.feed, read_feed(options.feed))
    if options.data is None:
        content = feed.to_json()
        counts = f"{len(feed.history)} films rated, {len(feed.watched)} watched without a rating"
        print(f"{one_line(options.feed)}: {counts}, matched to no data set (--data DIR)", file=sys.stderr)
        report_rows(feed.unmatched, feed.rejected)
    else:
        from data_prep.dataset import load_films

        export = match_history(Path(options.feed), feed.to_json(), load_films(options.data), feed.rows)
        content = export.to_json()
        report(export, options.feed)
    if options.out == "-":
        print_json(content)
    else:
        write_json(content, Path(options.out))


def read_feed(source: str) -> bytes:
    """The bytes of a feed, from a file or from an address.

    Raises:
        UserError: there is nothing to read, or the site does not hand it out.
    """
    if "://" in source:
        try:
            return asyncio.run(_fetch(source))
        except TimeoutError as error:
            raise UserError(f"{source}: no answer within {MAX_SECONDS} seconds; {REMEDY}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UserError(f"{source}: cannot be fetched ({error or type(error).__name__}); {REMEDY}") from error
    path = Path(source)
    if not path.is_file():
        raise UserError(f"{source}: no such file; {REMEDY}")
    with path.open("rb") as file:
        return file.read(MAX_FEED_BYTES + 1)


async def _fetch(address: str) -> bytes:
    headers = {
        "User-Agent": f"reel-recommendations/{version('reel-recommendations')}",
        "Accept": "application/rss+xml, application/xml",
        "Accept-Encoding": "identity",  # so that what is counted is what is kept
    }
    async with asyncio.timeout(MAX_SECONDS), httpx.AsyncClient(headers=headers, timeout=MAX_SECONDS) as client:
        url = httpx.URL(address)
        for _ in range(1 + MAX_REDIRECTS):
            if url.scheme != "https" and not (url.scheme == "http" and url.host in _OWN_MACHINE):
                raise UserError(f"{url}: only https addresses are fetched; {REMEDY}")
            async with client.stream("GET", url) as response:
                if response.next_request is None:
                    return await _body(address, response)
                if response.next_request.url.host != url.host:
                    raise UserError(f"{address}: leads to another site, {response.next_request.url.host}; {REMEDY}")
                url = response.next_request.url
    raise UserError(f"{address}: leads from address to address without end; {REMEDY}")


async def _body(address: str, response: httpx.Response) -> bytes:
    status = response.status_code
    if status in (403, 429) or "cf-mitigated" in response.headers:
        raise UserError(f"{address}: the site answers programs with {status}, so leave it at that; {REMEDY}")
    if status != 200:
        raise UserError(f"{address}: the answer is {status} {response.reason_phrase}; {REMEDY}")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_FEED_BYTES:
            break  # parse_feed refuses it
    return bytes(body)
