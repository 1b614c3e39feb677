"""A small site on 127.0.0.1 that serves members' diaries, reviews and films, counts who asks for what, and can be told
to misbehave."""

from __future__ import annotations

import contextlib
import datetime
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from data_prep.pages import FilmPage
from tests.data_prep.pages.markup import diary_page, film_page, review, reviews_page, viewing

Crawl = Callable[..., tuple[int, str]]  # the fixture: crawl(*members, options=...) gives exit status and stderr
DIARY_SIZE, REVIEWS_SIZE = 5, 3
ROBOTS = "User-agent: *\nDisallow: /*/by/*\nDisallow: /*/popular/this/*\n"


@dataclass(frozen=True)
class Viewing:
    """One diary entry of a member; also a review when it has a text."""

    number: int
    film: str
    text: str | None = None

    @property
    def date(self) -> str:
        return str(datetime.date(2020, 1, 1) + datetime.timedelta(days=self.number))


@dataclass
class Fault:
    """What to answer in place of the page, `times` times.

    Attributes:
        truncate: announce more bytes than are sent.
        trickle: seconds between single bytes, of the body and of the head.
        wait: seconds before anything is sent.
    """

    status: int = 200
    body: bytes = b"<html><head><title>Oh</title></head><body><p>Oh</p></body></html>"
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1_000_000
    truncate: bool = False
    trickle: float = 0.0
    wait: float = 0.0


class LocalSite:
    """Serves while the `with` block lasts.

    Attributes:
        members: their viewings, newest first.
        robots: text of robots.txt.
        faults: by path.
        latency: seconds before each answer.
        asked: paths in the order they were asked for, also of what went wrong.
        moments: when each was asked for, in seconds.
        agents, cookies: the User-Agent and Cookie headers that came.
    """

    def __init__(self, members: dict[str, list[Viewing]]):
        self.members = members
        self.robots = ROBOTS
        self.faults: dict[str, Fault] = {}
        self.latency = 0.0
        self.asked: list[str] = []
        self.moments: list[float] = []
        self.agents: set[str] = set()
        self.cookies: set[str | None] = set()
        self.connections = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.asked)

    def __enter__(self) -> LocalSite:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> Fault:
        """What to send for a path."""
        fault = self.faults.get(path)
        if fault is not None and fault.times > 0:
            fault.times -= 1
            return fault
        if path == "/robots.txt":
            return Fault(body=self.robots.encode(), headers={"Content-Type": "text/plain"})
        if match := re.fullmatch(r"/film/([a-z0-9-]+)/", path):
            return Fault(body=film_page(FilmPage(match[1], match[1].title(), 1999, 7, "movie")).encode())
        if match := re.fullmatch(r"/(\w+)/(diary|reviews)/(?:(?:films/)?page/(\d+)/)?", path):
            name, kind, number = match[1], match[2], int(match[3] or 1)
            if name in self.members:
                return self._list_page(name, kind, number)
        return Fault(404)

    def _list_page(self, name: str, kind: str, number: int) -> Fault:
        seen = [entry for entry in self.members[name] if kind == "diary" or entry.text]
        size = DIARY_SIZE if kind == "diary" else REVIEWS_SIZE
        pages = max(1, -(-len(seen) // size))
        if number > pages:
            return Fault(403)  # as the real one does past the end
        seen = seen[(number - 1) * size : number * size]
        if kind == "diary":
            entries = [viewing(entry.film, entry.date, 7, number=entry.number) for entry in seen]
            return Fault(body=diary_page(name, entries, page=number, pages=pages).encode())
        reviews = [
            review(entry.film, entry.text or "", entry.date, 7, number=entry.number, username=name) for entry in seen
        ]
        return Fault(body=reviews_page(name, reviews, page=number, pages=pages).encode())


def _handler(site: LocalSite) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            site.connections += 1

        def do_GET(self) -> None:
            site.asked.append(self.path)
            site.moments.append(time.monotonic())
            site.agents.add(self.headers["User-Agent"])
            site.cookies.add(self.headers["Cookie"])
            answer = site.answer(self.path)
            time.sleep(answer.wait + site.latency)
            head = {"Content-Type": "text/html; charset=utf-8", "Set-Cookie": "seen=1; Path=/"} | answer.headers
            head["Content-Length"] = str(len(answer.body) + answer.truncate)
            lines = [f"HTTP/1.1 {answer.status} Whatever", *(f"{name}: {value}" for name, value in head.items())]
            data = "\r\n".join([*lines, "", ""]).encode() + answer.body
            try:
                if answer.trickle:
                    for byte in data:
                        self.wfile.write(bytes([byte]))
                        time.sleep(answer.trickle)
                self.wfile.write(b"" if answer.trickle else data)
            except OSError:  # the crawler has gone, or was killed
                self.close_connection = True
            self.close_connection = self.close_connection or answer.truncate

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):
                super().handle()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
