"""How much one visitor may ask for, how long anybody waits, and what is said when something goes wrong. What is
remembered is in memory and holds no data."""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from starlette.requests import HTTPConnection

from reel import UserError

logger = logging.getLogger("reel.space")

REMEMBERED = 10_000  # visitors; of more, the one that was quiet longest is forgotten
SHARED = 30  # visitors that one address may stand for: a household, a school, or whoever makes up names of sessions
OTHER_THREADS = 4  # for what runs no model; two of them may be reading exports
TOO_FAST = "That was very much at once. Please wait a moment and try again."
TOO_SLOW = "The server is busy and this took too long. Please try again in a minute."
SORRY = "That did not work, and it is our fault, not yours. Please try again."


class Busy(UserError):
    """A visitor asked for too much, or the server cannot keep up; the message is a sentence for the page."""


@dataclass
class RateLimit:
    """A bucket of `burst` requests for every visitor, refilled with `per_second`. Of those that run the model
    (`runs_model`), only a few are worked on at the same time."""

    per_second: float
    burst: float
    runs_model: bool = False
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, visitor: str, cost: float = 1) -> None:
        """Count a request of a visitor; `cost` is what it takes out of the bucket.

        Raises:
            Busy: there is less in it.
        """
        now = time.monotonic()
        with self._lock:
            left, before = self._left.pop(visitor, (self.burst, now))
            left = min(self.burst, left + (now - before) * self.per_second)
            enough = left >= cost
            # A refused request costs nothing: one who will not stop must not shut out others of the same address.
            self._left[visitor] = (left - cost if enough else left, now)
            if len(self._left) > REMEMBERED:
                self._left.popitem(last=False)
        if not enough:
            raise Busy(TOO_FAST)


class Visitors:
    """Those of the last visitors whose page holds something of theirs: names of sessions, nothing else."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, visitor: str) -> bool:
        return visitor in self._names

    def note(self, visitor: str, holds: bool) -> None:
        """Whether a visitor's page holds something now."""
        with self._lock:
            self._names.pop(visitor, None)
            if holds:
                self._names[visitor] = None
            if len(self._names) > REMEMBERED:
                self._names.popitem(last=False)


@dataclass
class Limits:
    """The page's limits: changes, what is drawn anew (every change draws), what is typed into the search box, exports,
    files taken home and calls of the API, each for one session, and `SHARED` times as much for one address; the
    megabytes that one address may send; seconds for any of it."""

    edits: RateLimit = field(default_factory=lambda: RateLimit(10, 60))
    views: RateLimit = field(default_factory=lambda: RateLimit(20, 120, runs_model=True))
    searches: RateLimit = field(default_factory=lambda: RateLimit(2, 10))  # they name no session: the address counts
    exports: RateLimit = field(default_factory=lambda: RateLimit(0.2, 10))
    saves: RateLimit = field(default_factory=lambda: RateLimit(2, 20))
    calls: RateLimit = field(default_factory=lambda: RateLimit(5, 60, runs_model=True))
    megabytes: RateLimit = field(default_factory=lambda: RateLimit(2, 200))
    seconds: float = 20.0
    runs: int = 2  # of the model at the same time

    def __post_init__(self) -> None:
        self._model = ThreadPoolExecutor(self.runs, thread_name_prefix="reel-model")
        self._others = ThreadPoolExecutor(OTHER_THREADS, thread_name_prefix="reel-page")

    def answer(self, limit: RateLimit, request: gr.Request, work: Callable[..., Any], *arguments: Any) -> Any:
        """The result of `work`: every event and call goes this way.

        Raises:
            gr.Error: whatever went wrong, as a sentence; the log has the kind of an unexpected error, and no data.
        """
        try:
            limit.take(f"address {address(request)}", 1 / SHARED)
            if session := getattr(request, "session_hash", None):
                limit.take(f"session {session:.64}")
            return self._within(self._model if limit.runs_model else self._others, work, *arguments)
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception as error:
            logger.error("%s failed: %s", work.__qualname__, type(error).__name__)
            raise gr.Error(SORRY, print_exception=False) from None

    def _within(self, threads: ThreadPoolExecutor, work: Callable[..., Any], *arguments: Any) -> Any:
        """Raises Busy after `seconds`. What is still waiting then is never begun."""
        running = threads.submit(work, *arguments)
        try:
            return running.result(timeout=self.seconds)
        except TimeoutError:
            running.cancel()
            raise Busy(TOO_SLOW) from None


def network(host: str) -> str:
    """Whom an address belongs to: itself, or of IPv6, where one customer has them by the billion, its /64."""
    try:
        known = ipaddress.ip_address(host)
    except ValueError:
        return host
    if known.version == 4:
        return host
    if known.ipv4_mapped:  # as a server that listens on IPv6 writes IPv4
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((int(known), 64), strict=False))


def address(request: gr.Request | HTTPConnection) -> str:
    """Where a request comes from; behind proxies, see `gate.trust_proxies`."""
    return network(request.client.host) if request.client else ""


def visitor(request: gr.Request) -> str:
    """Who asks: the tab or the client, else the address."""
    return (request.session_hash or address(request))[:64]  # names that programs choose may be of any length
