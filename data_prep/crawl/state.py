"""What a crawl has read and has yet to read, kept so that killing it at any moment loses nothing.

    DIR/pages/KIND/NAME/NUMBER.html   the pages, as the site sent them; KIND is diary, reviews or film,
                                      NAME a member or a film's slug, NUMBER counts from 1
    DIR/state.sqlite                  the queue (tables below)
    DIR/unreadable/                   pages that could not be read, for whoever mends the parser

A page's file is on disk before one transaction says that it is kept and queues all that it led to. A process killed
between the two leaves a page that is asked for once more. SQLite's write-ahead log, brought to the disk with every
transaction, does the rest.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from data_prep.errors import UserError

MEMBER_KINDS = ("diary", "reviews")
KINDS = (*MEMBER_KINDS, "film")

_VERSION = 1
_SCHEMA = f"""
BEGIN EXCLUSIVE;
CREATE TABLE site (
    base_url TEXT NOT NULL,
    robots TEXT,                             -- text of robots.txt; null until it was read
    robots_time REAL NOT NULL DEFAULT 0      -- when, in seconds since 1970
);
CREATE TABLE pages (
    kind TEXT NOT NULL,                      -- diary, reviews or film
    name TEXT NOT NULL,                      -- the member, or the film's slug
    number INTEGER NOT NULL,                 -- of the file; a later refresh counts on
    path TEXT NOT NULL,                      -- what to ask the site for
    found_on TEXT,                           -- path of the page that led here; null: the file of members
    status TEXT NOT NULL DEFAULT 'waiting',  -- waiting, kept, missing, private, disallowed or oversized
    redirects INTEGER NOT NULL DEFAULT 0,    -- how often the site sent us on to another path
    failures INTEGER NOT NULL DEFAULT 0,     -- how many runs stopped at this page; the next one tries others first
    PRIMARY KEY (kind, name, number)
);
-- The order of the crawl: diaries, reviews, films.
CREATE INDEX waiting ON pages (failures, kind = 'film', kind, name, number) WHERE status = 'waiting';
-- What the members' pages held, to know a page that brings nothing new.
CREATE TABLE entries (
    kind TEXT NOT NULL, name TEXT NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (kind, name, entry)
) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
COMMIT;
"""
# What this run is about: pages of the chosen members, and all films when films are wanted.
_CHOSEN = """
CREATE TEMP TABLE chosen (kind TEXT, name TEXT, PRIMARY KEY (kind, name));
CREATE TEMP VIEW queue AS
    SELECT * FROM pages WHERE (kind, name) IN chosen OR (kind = 'film' AND ('film', '') IN chosen);
"""


@dataclass(frozen=True)
class QueuedPage:
    """A page to ask for; the columns of the table `pages`."""

    kind: str
    name: str
    number: int
    path: str
    redirects: int


class CrawlState:
    """The state in one folder, locked while it is open: two crawls at once would ask for every page twice.

    Args:
        folder: made when absent.
        base_url: the site, such as https://letterboxd.com. A state is of one site.

    Raises:
        UserError: another process has it open, it is of another site, or the file is no state of a crawl.
    """

    def __init__(self, folder: Path, base_url: str):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.pages = folder / "pages"
        self.file = folder / "state.sqlite"
        with self._clear_errors():
            self._database = sqlite3.connect(self.file, timeout=0)
            try:
                self._open(base_url)
            except BaseException:
                self._database.close()
                raise

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> CrawlState:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, base_url: str) -> None:
        database = self._database
        database.execute("PRAGMA locking_mode = EXCLUSIVE")  # the lock is ours until close, or until we are killed
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript("BEGIN EXCLUSIVE; COMMIT;")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0 and not database.execute("SELECT 1 FROM sqlite_master").fetchone():
            database.executescript(_SCHEMA)
        elif version != _VERSION:
            raise UserError(f"{self.file}: no state of a crawl by this version; name another folder with --out")
        with database:
            database.execute("INSERT INTO site (base_url) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM site)", (base_url,))
        (known,) = database.execute("SELECT base_url FROM site").fetchone()
        if known != base_url:
            raise UserError(f"{self.file}: a crawl of {known}, not of {base_url}; name another folder with --out")
        database.executescript(_CHOSEN)

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise UserError(f"{self.folder}: another crawl is using this folder; wait for its end") from error
            raise UserError(
                f"{self.file}: the state of the crawl cannot be used ({error}); mend that, or name another folder"
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._clear_errors(), self._database:
            yield self._database

    def choose(self, members: Sequence[str], kinds: Iterable[str], *, refresh: bool = False) -> bool:
        """Say what this run is about, and queue the first pages of members that are new.

        Args:
            members: their names. Pages of others stay in the state and are not asked for.
            kinds: of `KINDS`.
            refresh: ask again for the first diary and reviews page of every member that has been read to the end.

        Returns:
            Whether a refresh was wanted and could begin: one begins only when nothing waits from before, so that
            starting a killed one again does not begin it anew.
        """
        wanted = set(kinds)
        with self._transaction() as database:
            database.execute("DELETE FROM chosen")
            if "film" in wanted:
                database.execute("INSERT INTO chosen VALUES ('film', '')")
            starts = [(kind, member) for member in members for kind in MEMBER_KINDS if kind in wanted]
            database.executemany("INSERT INTO chosen VALUES (?, ?)", starts)
            refresh = refresh and not database.execute("SELECT 1 FROM queue WHERE status = 'waiting'").fetchone()
            for kind, member in starts:
                newest = self._newest(kind, member)
                if newest == 0 or refresh:
                    self._queue(kind, member, newest + 1, f"/{member}/{kind}/", None)
        return refresh

    def next(self) -> QueuedPage | None:
        """The page to ask for now; None when everything has been read."""
        with self._clear_errors():
            row = self._database.execute(
                "SELECT kind, name, number, path, redirects FROM queue WHERE status = 'waiting' "
                "ORDER BY failures, kind = 'film', kind, name, number LIMIT 1"
            ).fetchone()
        return QueuedPage(*row) if row else None

    def keep(
        self,
        page: QueuedPage,
        html: bytes,
        *,
        entries: Iterable[str] = (),
        films: Iterable[str] = (),
        next_path: str | None = None,
    ) -> None:
        """Write a page's file, then mark it as kept and queue what it leads to.

        Args:
            html: the page as it came.
            entries: what tells the entries of a member's page apart.
            films: slugs of the films that it names.
            next_path: path of the list's next page. Queued only if the page brought an entry that none of the
                member's pages had: so a refresh ends where it meets what is known, and a list that goes in circles
                ends too.
        """
        _write(self.pages / page.kind / page.name / f"{page.number}.html", html)
        with self._transaction() as database:
            before = database.total_changes
            rows = [(page.kind, page.name, entry) for entry in entries]
            database.executemany("INSERT OR IGNORE INTO entries VALUES (?, ?, ?)", rows)
            if next_path is not None and database.total_changes > before:
                self._queue(page.kind, page.name, self._newest(page.kind, page.name) + 1, next_path, page.path)
            for film in films:
                self._queue("film", film, 1, f"/film/{film}/", page.path)
            self._set(page, status="kept")

    def keep_unreadable(self, page: QueuedPage, html: bytes) -> Path:
        """Write a page that could not be read beside the others; it still waits. Returns its file."""
        path = self.folder / "unreadable" / page.kind / page.name / f"{page.number}.html"
        _write(path, html)
        return path

    def settle(self, page: QueuedPage, status: str) -> None:
        """Record that there is no page to keep, and why: missing, private, disallowed or oversized."""
        with self._transaction():
            self._set(page, status=status)

    def redirect(self, page: QueuedPage, path: str) -> None:
        """Record that the page is to be asked for elsewhere."""
        with self._transaction():
            self._set(page, path=path, redirects=page.redirects + 1)

    def fail(self, page: QueuedPage) -> None:
        """Record that the run stops at this page, so that the next run tries the others first."""
        with self._transaction() as database:
            key = (page.kind, page.name, page.number)
            database.execute(
                "UPDATE pages SET failures = failures + 1 WHERE kind = ? AND name = ? AND number = ?", key
            )

    def robots(self, max_age: float) -> str | None:
        """The text of robots.txt, if it was read in the last `max_age` seconds."""
        with self._clear_errors():
            text, read = self._database.execute("SELECT robots, robots_time FROM site").fetchone()
        return text if 0 <= time.time() - read < max_age else None

    def keep_robots(self, text: str) -> None:
        with self._transaction() as database:
            database.execute("UPDATE site SET robots = ?, robots_time = ?", (text, time.time()))

    def counts(self) -> dict[str, int]:
        """Pages that this run is about, by status."""
        with self._clear_errors():
            return dict(self._database.execute("SELECT status, count(*) FROM queue GROUP BY status"))

    def paths(self, status: str) -> list[str]:
        """Paths of the pages that this run is about and that have this status."""
        with self._clear_errors():
            rows = self._database.execute("SELECT path FROM queue WHERE status = ? ORDER BY path", (status,))
            return [path for (path,) in rows]

    def _newest(self, kind: str, name: str) -> int:
        query = "SELECT max(number) FROM pages WHERE kind = ? AND name = ?"
        return self._database.execute(query, (kind, name)).fetchone()[0] or 0

    def _queue(self, kind: str, name: str, number: int, path: str, found_on: str | None) -> None:
        self._database.execute(
            "INSERT OR IGNORE INTO pages (kind, name, number, path, found_on) VALUES (?, ?, ?, ?, ?)",
            (kind, name, number, path, found_on),
        )

    def _set(self, page: QueuedPage, **values: str | int) -> None:
        columns = ", ".join(f"{column} = ?" for column in values)
        self._database.execute(
            f"UPDATE pages SET {columns} WHERE kind = ? AND name = ? AND number = ?",
            (*values.values(), page.kind, page.name, page.number),
        )


def _write(path: Path, html: bytes) -> None:
    """Put a file in place whole, and on the disk before we say so. Its name while unfinished can be a fixed one: the
    state is locked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(html)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
