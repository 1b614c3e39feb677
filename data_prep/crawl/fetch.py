"""Asking the site for pages as a guest who was invited: by name, one at a time, slowly, and gone at the first no."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version

import httpx
import tenacity

from data_prep.errors import UserError
from data_prep.pages import BlockedPage, ChallengePage, Page, PageError, parse_page
from data_prep.pages.read import MAX_PAGE_BYTES

ROBOT = "reel-recommendations"  # what robots.txt may call us
JITTER = 1 / 3  # of the delay, at most
REQUEST_SECONDS = 60.0  # one request, from connecting to the last byte
ATTEMPTS = 4
BACKOFF_SECONDS = 5.0  # before the second attempt, doubled before each further one
MAX_BACKOFF_SECONDS = 60.0
_REFUSALS = (403, 429)


class Stopped(UserError):
    """The site does not want us, or cannot be understood: the whole run ends here, with its state kept."""


class OversizedPage(Exception):
    """A page of more than `MAX_PAGE_BYTES`."""


@dataclass(frozen=True)
class Answer:
    """What the site answered.

    Attributes:
        status: of HTTP, neither 403, 429 nor a server's error.
        body: unpacked.
        redirect: the path to ask for instead; None when the answer is no redirect.
    """

    status: int
    body: bytes
    redirect: str | None = None


class _ServerError(Exception):
    """A 5xx: the site may be well again in a while."""


class Fetcher:
    """One connection to one site.

    Args:
        base_url: scheme and host, such as https://letterboxd.com.
        contact: e-mail address or URL by which the site's people can reach whoever crawls.
        delay: seconds between the end of a request and the start of the next; up to a third more is added at random.
            May be raised later.

    Attributes:
        bytes_read: all that came so far, unpacked, also of attempts that failed.
    """

    def __init__(self, base_url: str, contact: str, delay: float):
        self.base_url = base_url
        self.delay = delay
        self.bytes_read = 0
        self._last_end = -math.inf  # of a request, on the monotonic clock
        self._client = httpx.AsyncClient(
            headers={"User-Agent": f"{ROBOT}/{version(ROBOT)} (+{contact})", "Accept-Encoding": "gzip"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # takes none
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            timeout=None,  # would begin anew with every byte that trickles in; asyncio's is for the whole request
        )
        self._runner = asyncio.Runner()
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((_ServerError, TimeoutError, httpx.TransportError)),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=tenacity.wait_exponential(multiplier=BACKOFF_SECONDS, max=MAX_BACKOFF_SECONDS),
            reraise=True,
        )

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def get(self, path: str) -> Answer:
        """Ask for a path of the site, after the delay; again, a few times, where the server or the line fails.

        Raises:
            Stopped: refused (403, 429, a challenge or a block page), sent to another host, or every attempt failed.
            OversizedPage: too much came.
        """
        url = self.base_url + path
        try:
            return self._retrying(self._attempt, url)
        except _ServerError as error:
            raise Stopped(f"{url}: the site answered {error} {ATTEMPTS} times; try again later") from error
        except TimeoutError as error:
            raise Stopped(
                f"{url}: no whole answer in {REQUEST_SECONDS:.0f} s, {ATTEMPTS} times; try again later"
            ) from error
        except httpx.TransportError as error:
            why = str(error) or type(error).__name__
            raise Stopped(f"{url}: cannot be reached ({why}), {ATTEMPTS} times; try again later") from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise Stopped(f"{url}: the answer cannot be read ({error})") from error

    def _attempt(self, url: str) -> Answer:
        delay = self.delay * (1 + random.uniform(0, JITTER))
        time.sleep(max(0.0, self._last_end + delay - time.monotonic()))
        try:
            response, body = self._runner.run(self._exchange(url))
        finally:
            self._last_end = time.monotonic()
        if not response.is_success:
            _look_for_refusal(url, response.status_code, body)
        if response.status_code >= 500:
            raise _ServerError(response.status_code)
        if len(body) > MAX_PAGE_BYTES:
            raise OversizedPage
        return Answer(response.status_code, body, self._redirect(url, response))

    async def _exchange(self, url: str) -> tuple[httpx.Response, bytes]:
        """The answer with as much of its body as tells whether it is oversized."""
        body = bytearray()
        async with asyncio.timeout(REQUEST_SECONDS), self._client.stream("GET", url) as response:
            status = response.status_code
            if status in _REFUSALS or response.headers.get("cf-mitigated") == "challenge":  # whatever else may come
                raise refusal(url, status)
            async for chunk in response.aiter_bytes():
                body += chunk
                self.bytes_read += len(chunk)
                if len(body) > MAX_PAGE_BYTES:
                    break
        return response, bytes(body)

    def _redirect(self, url: str, response: httpx.Response) -> str | None:
        if not response.has_redirect_location:
            return None
        here = response.request.url
        there = here.join(response.headers["location"])
        if (there.scheme, there.netloc) != (here.scheme, here.netloc):
            raise Stopped(f"{url}: the site sends us on to {there}, which is elsewhere")
        return there.raw_path.decode("ascii")


def refusal(url: str, status: int, page: str = "") -> Stopped:
    """The error for a site that says no, with `page` for what it shows."""
    hint = "; if it is a member's private page, take the member out of the file" if status == 403 else ""
    return Stopped(
        f"{url}: the site answered {status}{page and f' with {page}'}. The run ends at the first refusal, and its "
        f"state is kept: start it again only when you know that the site lets you{hint}"
    )


def read_page(html: bytes, url: str, status: int) -> Page:
    """`parse_page`, with `Stopped` in the place of the errors for a challenge and a block page."""
    try:
        return parse_page(html, url)
    except ChallengePage as error:
        raise refusal(url, status, "a challenge page") from error
    except BlockedPage as error:
        raise refusal(url, status, "a page that shuts us out") from error


def _look_for_refusal(url: str, status: int, body: bytes) -> None:
    with contextlib.suppress(PageError):
        read_page(body, url, status)
