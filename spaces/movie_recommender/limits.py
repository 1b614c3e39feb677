"""How much one visitor may ask for, and how long anybody waits. What is remembered is in memory and holds no data."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from dataclasses import dataclass, field
from typing import Any

from reel import UserError

REMEMBERED = 10_000  # visitors; of more, the one that was quiet longest is forgotten
TOO_FAST = "That was very much at once. Please wait a moment and try again."
TOO_SLOW = "The server is busy and this took too long. Please try again in a minute."


class Busy(UserError):
    """A visitor asked for too much, or the server cannot keep up; the message is a sentence for the page."""


@dataclass
class RateLimit:
    """A bucket of `burst` requests for every visitor, refilled with `per_second`."""

    per_second: float
    burst: float
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, visitor: str) -> None:
        """Count a request of a visitor.

        Raises:
            Busy: the bucket is empty.
        """
        now = time.monotonic()
        with self._lock:
            left, before = self._left.pop(visitor, (self.burst, now))
            left = min(self.burst, left + (now - before) * self.per_second)
            self._left[visitor] = (max(0.0, left - 1), now)
            if len(self._left) > REMEMBERED:
                self._left.popitem(last=False)
        if left < 1:
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
    """The page's limits: changes, what is drawn anew (every change draws), uploads and calls of the API, each for one
    visitor; searches for one address, behind which a proxy may stand; seconds for a run."""

    edits: RateLimit = field(default_factory=lambda: RateLimit(10, 60))
    views: RateLimit = field(default_factory=lambda: RateLimit(20, 120))
    searches: RateLimit = field(default_factory=lambda: RateLimit(50, 300))
    uploads: RateLimit = field(default_factory=lambda: RateLimit(0.2, 10))
    calls: RateLimit = field(default_factory=lambda: RateLimit(5, 60))
    seconds: float = 20.0
    runs: int = 2  # of the model at the same time

    def __post_init__(self) -> None:
        self._workers = ThreadPoolExecutor(self.runs, thread_name_prefix="reel-model")

    def within(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """The result of `work`.

        Raises:
            Busy: after `seconds`. What is still waiting then is never begun.
        """
        running = self._workers.submit(work, *arguments)
        try:
            return running.result(timeout=self.seconds)
        except TimeoutError:
            running.cancel()
            raise Busy(TOO_SLOW) from None
