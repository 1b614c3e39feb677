"""The crawl itself: one page after another, from the members' diaries and reviews to the films that they name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache

from protego import Protego

from data_prep.crawl.fetch import ROBOT, Answer, Fetcher, OversizedPage, Stopped, read_page
from data_prep.crawl.state import CrawlState, QueuedPage
from data_prep.pages import DiaryEntry, MarkupChanged, Page, PageError, PrivatePage, Review, UnknownPage

ROBOTS_SECONDS = 24 * 3600.0  # how long what robots.txt said holds
MAX_CRAWL_DELAY = 3600.0
MAX_REDIRECTS = 5
_GONE = (404, 410)
_LIST_PAGE = re.compile(r"(/[\w-]+)+/page/[1-9]\d{0,8}/?", re.ASCII)
_SLUG = re.compile(r"\w[\w.:~%-]{0,199}", re.ASCII)  # it names a folder


class Crawler:
    """Asks for every page that waits in a state.

    Args:
        max_pages: pages to ask for in this run, not counting robots.txt and further attempts.
        max_bytes: unpacked bytes to read in this run, which ends after the page that reaches them.

    Attributes:
        pages_asked: asked for so far, counted as for `max_pages`.
    """

    def __init__(
        self, state: CrawlState, fetcher: Fetcher, *, max_pages: float = math.inf, max_bytes: float = math.inf
    ):
        self.state = state
        self.fetcher = fetcher
        self.max_pages = max_pages
        self.max_bytes = max_bytes
        self.pages_asked = 0

    def run(self, on_page: Callable[[QueuedPage], None]) -> None:
        """Crawl until everything has been read or a cap is reached.

        Args:
            on_page: called with each page before it is asked for.

        Raises:
            Stopped: the site refuses, fails, or sends what cannot be read. The page still waits.
        """
        while (page := self.state.next()) is not None:
            if self.pages_asked >= self.max_pages or self.fetcher.bytes_read >= self.max_bytes:
                return
            on_page(page)
            rules = self._rules()
            try:
                self._visit(page, rules)
            except Stopped:
                self.state.fail(page)
                raise

    def _visit(self, page: QueuedPage, rules: Protego) -> None:
        url = self.fetcher.base_url + page.path
        if not rules.can_fetch(url, ROBOT):
            self.state.settle(page, "disallowed")
            return
        try:
            answer = self.fetcher.get(page.path)
        except OversizedPage:
            self.state.settle(page, "oversized")
            return
        finally:
            self.pages_asked += 1
        if answer.redirect is not None:
            if page.redirects >= MAX_REDIRECTS:
                raise Stopped(f"{url}: the site sent us on more than {MAX_REDIRECTS} times")
            self.state.redirect(page, answer.redirect)
        elif answer.status in _GONE:
            self.state.settle(page, "missing")
        elif answer.status != 200:
            raise Stopped(f"{url}: the site answered {answer.status}, which this crawler has no use for")
        else:
            self._read(page, answer, url)

    def _read(self, page: QueuedPage, answer: Answer, url: str) -> None:
        try:
            self._keep(page, answer.body, read_page(answer.body, url, answer.status), url)
        except PrivatePage:
            self.state.settle(page, "private")
        except PageError as error:
            kept = self.state.keep_unreadable(page, answer.body)
            raise Stopped(
                f"{error}. The run ends here and its state is kept; the page is in {kept}, to mend the parser"
            ) from error

    def _keep(self, page: QueuedPage, html: bytes, content: Page, url: str) -> None:
        """Hand the page to the state, once all that it leads to is known to be sound."""
        if content.kind != page.kind:
            raise UnknownPage(f"{url}: a {content.kind} page came where a {page.kind} page was asked for")
        entries = [entry for entry in content.entries if isinstance(entry, DiaryEntry | Review)]
        films = list(dict.fromkeys(entry.film_id for entry in entries if entry.film_id is not None))
        for film in films:
            if not _SLUG.fullmatch(film):
                raise MarkupChanged(f"{url}: {film!r} is no film's slug")
        if content.next_page is not None and not _LIST_PAGE.fullmatch(content.next_page):
            raise MarkupChanged(f"{url}: {content.next_page!r} is no path of a next page")
        self.state.keep(
            page,
            html,
            entries=[entry.viewing_id for entry in entries],
            films=films,
            next_path=content.next_page,
        )

    def _rules(self) -> Protego:
        """What robots.txt says: as read in the last 24 hours, otherwise asked for now. A longer delay that it wants
        is the fetcher's from now on."""
        text = self.state.robots(ROBOTS_SECONDS)
        if text is None:
            text = self._fetch_robots()
            self.state.keep_robots(text)
        rules = _parse_robots(text)
        wanted = rules.crawl_delay(ROBOT) or 0.0
        if wanted > MAX_CRAWL_DELAY:
            raise Stopped(
                f"{self.fetcher.base_url}/robots.txt: it wants {wanted:g} s between requests, too slow to go on"
            )
        self.fetcher.delay = max(self.fetcher.delay, wanted)
        return rules

    def _fetch_robots(self) -> str:
        url = f"{self.fetcher.base_url}/robots.txt"
        try:
            answer = self.fetcher.get("/robots.txt")
        except OversizedPage as error:
            raise Stopped(f"{url}: too large to be one, so nothing is known to be allowed") from error
        if answer.status in _GONE:
            return ""
        text = answer.body.decode("utf-8", "replace")
        if answer.status != 200 or text.lstrip("\ufeff \t\r\n").startswith("<"):
            raise Stopped(f"{url}: no robots.txt came (status {answer.status}), so nothing is known to be allowed")
        return text


@lru_cache(maxsize=1)
def _parse_robots(text: str) -> Protego:
    return Protego.parse(text)
