"""A small TMDB on this machine: invented films, and any answer that a test puts in a path's way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "a-token-that-nobody-may-see"
PER_PAGE = 3


@dataclass
class Reply:
    """An answer: `cut` bytes are kept back at the end of the body, `pause` seconds lie before each of its bytes."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    pause: float = 0.0


def refusal(status: int, code: int, message: str, **headers: str) -> Reply:
    body = {"success": False, "status_code": code, "status_message": message}
    return Reply(status, json.dumps(body).encode(), {name.replace("_", "-"): value for name, value in headers.items()})


def film(number: int, title: str, date: str = "2001-02-03", **fields: Any) -> dict[str, Any]:
    """A film as `/movie/{id}` gives it."""
    return {
        "adult": False,
        "id": number,
        "imdb_id": f"tt{number:07d}",
        "title": title,
        "original_title": title,
        "release_date": date,
        "runtime": 60 + number % 100,
        "genres": [{"id": 18, "name": "Drama"}, {"id": 27, "name": "Horror"}],
        "production_countries": [{"iso_3166_1": "IS", "name": "Iceland"}],
        "spoken_languages": [{"english_name": "Icelandic", "iso_639_1": "is", "name": "Íslenska"}],
        "original_language": "is",
        "overview": f"What became of number {number}.",
        "popularity": 1.5 + number,
        "vote_average": 6.25,
        "vote_count": 10 + number,
        "poster_path": f"/poster{number}.jpg",
        **fields,
    }


class FakeTmdb:
    """Attributes: `films` by id; `scripted` replies by path, each given once; `pages_on` announced pages by day;
    `requests` as (path, parameters)."""

    def __init__(self, films: list[dict[str, Any]]) -> None:
        self.films = {film["id"]: dict(film) for film in films}
        self.scripted: dict[str, list[Reply]] = {}
        self.pages_on: dict[str, int] = {}
        self.last_page = 500
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    def answer(self, path: str, parameters: dict[str, str], authorization: str | None) -> Reply:
        self.requests.append((path, parameters))
        if self.scripted.get(path):
            return self.scripted[path].pop(0)
        if authorization != f"Bearer {TOKEN}":
            return refusal(401, 7, "Invalid API key: You must be granted a valid key.")
        kind, _, last = path.removeprefix("/3/").partition("/")
        if kind == "movie" and int(last) in self.films:
            return self._json(self.films[int(last)])
        if kind == "find":
            return self._json({"movie_results": [film for film in self.films.values() if film["imdb_id"] == last]})
        if kind == "search":
            return self._json(self._page(self._search(**parameters), 1))
        if kind == "discover":
            return self._discover(parameters)
        return refusal(404, 34, "The resource you requested could not be found.")

    def _search(self, query: str, year: str = "") -> list[dict[str, Any]]:
        return [
            film
            for film in self.films.values()
            if query.casefold() in film["title"].casefold() and film["release_date"].startswith(year)
        ]

    def _discover(self, parameters: dict[str, str]) -> Reply:
        first, last = parameters["primary_release_date.gte"], parameters["primary_release_date.lte"]
        page = int(parameters["page"])
        if not 1 <= page <= self.last_page:
            return refusal(400, 22, "Invalid page.")
        found = sorted(
            (film for film in self.films.values() if first <= film["release_date"] <= last),
            key=lambda film: (film["release_date"], film["id"]),
        )
        answer = self._page(found, page)
        announced = sum(pages for day, pages in self.pages_on.items() if first <= day <= last)
        return self._json({**answer, "total_pages": max(announced, answer["total_pages"])})

    def _page(self, films: list[dict[str, Any]], page: int) -> dict[str, Any]:
        excerpts = [
            {key: value for key, value in film.items() if key not in ("runtime", "genres", "imdb_id")}
            for film in films[(page - 1) * PER_PAGE : page * PER_PAGE]
        ]
        return {"page": page, "results": excerpts, "total_pages": -(-len(films) // PER_PAGE)}

    def _json(self, content: Any) -> Reply:
        return Reply(200, json.dumps(content).encode())


@contextmanager
def serving(fake: FakeTmdb) -> Iterator[FakeTmdb]:
    """Serve `fake` at `fake.url` while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body go out apart, which else costs 40 ms

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            reply = fake.answer(parts.path, dict(parse_qsl(parts.query)), self.headers["Authorization"])
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            body = reply.body[: len(reply.body) - reply.cut]
            for piece in [body[i : i + 1] for i in range(len(body))] if reply.pause else [body]:
                time.sleep(reply.pause)
                self.wfile.write(piece)
            self.close_connection |= bool(reply.cut)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass  # a client that was killed

    server = Server(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/3"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
