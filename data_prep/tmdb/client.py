"""A client of TMDB's API, version 3: one connection, at most 40 requests a second, every answer cached.

with AnswerCache(path) as cache, TmdbClient(cache, token_from_environment()) as client:
    film = client.film(603)
"""

from __future__ import annotations

import datetime
import email.utils
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import httpx
import tenacity
from pydantic import ValidationError

from data_prep.errors import UserError, one_line
from data_prep.tmdb.cache import AnswerCache, CachedAnswer
from data_prep.tmdb.records import Answer, Film, FoundById, Page, Refusal

API_URL = "https://api.themoviedb.org/3"
TOKEN_VARIABLE = "TMDB_TOKEN"
_TOKEN_REMEDY = (
    "get an API Read Access Token (v4, the long one) at https://www.themoviedb.org/settings/api and put it into "
    f"{TOKEN_VARIABLE}"
)

REQUESTS_PER_SECOND = 40.0  # TMDB's ceiling lies between 40 and 50
ATTEMPTS = 6
LONGEST_WAIT = 60.0  # seconds between two attempts, whatever Retry-After asks for
TIMEOUT = httpx.Timeout(20.0, connect=10.0)
LONGEST_ANSWER = 60.0  # seconds until the last byte: a body that trickles never meets TIMEOUT
LARGEST_ANSWER = 8 << 20  # bytes; a film has about 2,000, a page 20,000
_NO_SUCH = (6, 34)  # TMDB's status codes for an id that does not exist

_A = TypeVar("_A", bound=Answer)


class NotCached(Exception):
    """A request that a client without a token would have to make."""


class _Passing(Exception):
    """A failure that another attempt may mend; `wait` is what Retry-After asks for, in seconds."""

    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


class TmdbClient:
    """Films by id, by IMDb id, by title, by date.

    Failures that pass (429, 5xx, timeouts, answers cut short) are retried with growing pauses or those that
    Retry-After asks for; "no such film" is an answer like any other, and remembered.

    Args:
        cache: where answers are looked up and kept.
        token: the API Read Access Token; without one only the cache answers, and `NotCached` is raised past it.
        base_url: where the API answers.
        sleep, clock: for tests; seconds.

    Attributes:
        requests: how many were made.
        cached: how many answers the cache gave.

    Every method raises UserError for a token that TMDB refuses, a request that it refuses, an answer that is none, and
    a server that does not answer.
    """

    def __init__(
        self,
        cache: AnswerCache,
        token: str | None,
        *,
        base_url: str = API_URL,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.requests = self.cached = 0
        self._cache, self._token = cache, token
        self._sleep, self._clock = sleep, clock
        self._next_request = clock()
        headers = {"Accept": "application/json", "User-Agent": "reel-recommendations"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(
            base_url=_checked_url(base_url),
            headers=headers,
            timeout=TIMEOUT,
            limits=httpx.Limits(max_connections=1),
        )

    def __enter__(self) -> TmdbClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def film(self, tmdb_id: int) -> Film | None:
        """Every field of a film; None when TMDB has no film of that id."""
        return self._get(Film, f"/movie/{tmdb_id}")

    def find(self, imdb_id: str) -> list[Film]:
        """The films (not series) of an IMDb id such as tt0133093, one or none, with few of their fields."""
        found = self._get(FoundById, f"/find/{imdb_id}", external_source="imdb_id")
        return found.films if found else []

    def search(self, title: str, year: int | None = None) -> list[Film]:
        """The first 20 films that a search by title finds, with few of their fields.

        Args:
            title: words of the title, in any language.
            year: a year in which the film was released anywhere.
        """
        years = {} if year is None else {"year": str(year)}
        page = self._get(Page, "/search/movie", query=title, **years)
        return page.films if page else []

    def discover(self, first: datetime.date, last: datetime.date, page: int) -> Page:
        """One page (from 1 to 500) of the films first released from `first` to `last`, in the order of that date."""
        dates = {"primary_release_date.gte": first.isoformat(), "primary_release_date.lte": last.isoformat()}
        found = self._get(Page, "/discover/movie", **dates, sort_by="primary_release_date.asc", page=str(page))
        return found or Page(results=[], total_pages=0)

    def _get(self, kind: type[_A], path: str, **parameters: str) -> _A | None:
        cached = self._cache.get(path, parameters)
        if cached is not None:
            try:
                answer = _parse(kind, cached)
            except ValidationError:
                pass  # a damaged cache is worth one request more, no trouble
            else:
                self.cached += 1
                return answer
        return self._ask(kind, path, parameters)

    def _ask(self, kind: type[_A], path: str, parameters: Mapping[str, str]) -> _A | None:
        if self._token is None:
            raise NotCached(str(httpx.URL(path, params=parameters)))
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Passing),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_wait,
            sleep=self._sleep,
            before_sleep=_say_wait,
            reraise=True,
        )
        try:
            return attempts(self._attempt, kind, path, parameters)
        except _Passing as error:
            raise UserError(
                f"{self._http.base_url}: no answer to {path} after {ATTEMPTS} attempts ({error}); run the command "
                "again later: what was fetched is kept"
            ) from error

    def _attempt(self, kind: type[_A], path: str, parameters: Mapping[str, str]) -> _A | None:
        wait = self._next_request - self._clock()
        if wait > 0:
            self._sleep(wait)
        self._next_request = self._clock() + 1 / REQUESTS_PER_SECOND
        self.requests += 1
        try:
            with self._http.stream("GET", path, params=parameters) as response:
                answer = CachedAnswer(response.status_code, self._read(response))
        except httpx.HTTPError as error:
            raise _Passing(str(error) or type(error).__name__) from error
        if answer.status != 200:
            self._check_refusal(path, answer, response.headers)
        try:
            parsed = _parse(kind, answer)
        except ValidationError as error:
            (first, *_) = error.errors()
            if first["type"] == "json_invalid":
                raise _Passing("an answer cut short or damaged") from error
            where = ".".join(map(str, first["loc"])) or "the whole"
            raise UserError(
                f"{path}: TMDB answers something else than a {kind.__name__} ({where}: {first['msg']})"
            ) from error
        self._cache.put(path, parameters, answer)
        return parsed

    def _read(self, response: httpx.Response) -> bytes:
        body, started = bytearray(), self._clock()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > LARGEST_ANSWER:
                raise UserError(f"{response.url.path}: an answer of over {LARGEST_ANSWER >> 20} MiB is not TMDB's")
            if self._clock() - started > LONGEST_ANSWER:
                raise _Passing(f"an answer that takes over {LONGEST_ANSWER:g} s")
        return bytes(body)

    def _check_refusal(self, path: str, answer: CachedAnswer, headers: httpx.Headers) -> None:
        """Raise what a status other than 200 means; nothing for "no such film"."""
        status, refusal = answer.status, _parse_refusal(answer.body)
        said = (refusal.status_message or "no reason given")[:200].replace(self._token or "\0", "***")
        if status == 404 and refusal.status_code in _NO_SUCH:
            return
        if status == 429 or status >= 500:
            raise _Passing(f"HTTP {status}: {said}", _retry_after(headers.get("Retry-After", "")))
        if status == 401:
            raise UserError(f"TMDB refuses the token (status_code {refusal.status_code}: {said}); {_TOKEN_REMEDY}")
        raise UserError(
            f"{self._http.base_url}: HTTP {status} for {path} (status_code {refusal.status_code}: {said}); mend the "
            "request, or --base-url if that is no address of TMDB's API"
        )


def token_from_environment() -> str:
    """The API Read Access Token in `TMDB_TOKEN`.

    Raises:
        UserError: when it is not set or cannot be one.
    """
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise UserError(f"the environment variable {TOKEN_VARIABLE} is not set: {_TOKEN_REMEDY}")
    if not re.fullmatch(r"[!-~]+", token):
        raise UserError(f"{TOKEN_VARIABLE} holds spaces or letters that no token has: {_TOKEN_REMEDY}")
    return token


def _checked_url(base_url: str) -> httpx.URL:
    """`base_url`, when the token may be sent there."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise UserError(f"--base-url {base_url}: no address ({error}); the default is {API_URL}") from error
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise UserError(f"--base-url {base_url}: no address of an API; the default is {API_URL}")
    if url.scheme == "http" and url.host not in ("127.0.0.1", "localhost", "::1"):
        raise UserError(f"--base-url {base_url}: the token would travel in the clear; use https")
    return url


def _parse(kind: type[_A], answer: CachedAnswer) -> _A | None:
    """The answer as a record, None for "no such film". Raises ValidationError, of type json_invalid for no JSON."""
    return kind.model_validate_json(answer.body) if answer.status == 200 else None


def _parse_refusal(body: bytes) -> Refusal:
    try:
        return Refusal.model_validate_json(body)
    except ValidationError:
        return Refusal()


def _retry_after(value: str) -> float | None:
    """Seconds that a Retry-After header asks for, given as a number or as a date; None for neither."""
    if re.fullmatch(r"[0-9]+", value):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)
    return (date - datetime.datetime.now(datetime.UTC)).total_seconds()


_growing = tenacity.wait_exponential_jitter(initial=0.5, max=20)


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, _Passing) else None
    return _growing(state) if asked is None else min(max(asked, 0.0), LONGEST_WAIT)


def _say_wait(state: tenacity.RetryCallState) -> None:
    if state.outcome and state.upcoming_sleep >= 2:
        print(
            f"TMDB: {one_line(str(state.outcome.exception()))}; waiting {state.upcoming_sleep:.0f} s", file=sys.stderr
        )
