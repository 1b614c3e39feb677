"""Answers of TMDB on disk, so that every fetch goes on where it stopped."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from data_prep.errors import UserError

LONGEST_AGE = 180.0  # days: TMDB's terms let nobody keep its answers for over six months
_DAY = 86_400


class CachedAnswer(NamedTuple):
    """An answer as it came: HTTP status and body."""

    status: int
    body: bytes


class AnswerCache:
    """Answers by path and parameters in one SQLite file. Each is on disk before the next request goes out.

    Args:
        path: the file, made when absent.
        max_age: days after which an answer counts as absent. What is older than `LONGEST_AGE` is deleted.
        now: seconds since 1970.

    Raises:
        UserError: when the file is no cache, or cannot be read or written; or a `max_age` that the terms forbid.
    """

    def __init__(self, path: Path, max_age: float = LONGEST_AGE, now: Callable[[], float] = time.time) -> None:
        if not 0 <= max_age <= LONGEST_AGE:
            raise UserError(
                f"--max-age {max_age:g}: give 0 to {LONGEST_AGE:g} days; TMDB's terms let nobody keep its answers for "
                "over six months"
            )
        self._path, self._max_age, self._now = path, max_age * _DAY, now
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._trouble_told():
            self._database = sqlite3.connect(path, timeout=30, isolation_level=None)  # every statement is committed
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS answers (path TEXT, parameters TEXT, status INTEGER, body BLOB, "
                "fetched REAL, PRIMARY KEY (path, parameters))"
            )
            self._database.execute("DELETE FROM answers WHERE fetched < ?", [now() - LONGEST_AGE * _DAY])

    def __enter__(self) -> AnswerCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def get(self, path: str, parameters: Mapping[str, str]) -> CachedAnswer | None:
        """The answer to a request, or None when it is not there or too old."""
        with self._trouble_told():
            row = self._database.execute(
                "SELECT status, body FROM answers WHERE path = ? AND parameters = ? AND fetched > ?",
                [path, _key(parameters), self._now() - self._max_age],
            ).fetchone()
        return CachedAnswer(*row) if row else None

    def put(self, path: str, parameters: Mapping[str, str], answer: CachedAnswer) -> None:
        """Keep the answer to a request in place of an older one."""
        with self._trouble_told():
            self._database.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)",
                [path, _key(parameters), *answer, self._now()],
            )

    @contextmanager
    def _trouble_told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise UserError(
                f"{self._path}: no use as the cache of TMDB's answers ({error}); delete it or name another "
                "with --cache"
            ) from error


def _key(parameters: Mapping[str, str]) -> str:
    return urlencode(sorted(parameters.items()))
