"""A visitor of the page without a browser: the same requests that the page's own script sends, over HTTP."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

TIMEOUT = 60.0  # seconds


class PageError(Exception):
    """The page answered an event with an error; the message is what a visitor would read."""


class Visitor:
    """
    One tab.

    Args:
        client (`httpx.AsyncClient`): with the page's address as its base.
        config (`dict`): what the page answers at `/config`.
    """

    def __init__(self, client: httpx.AsyncClient, config: dict[str, Any]):
        self.client = client
        self.session = uuid.uuid4().hex
        self.by_id = {part["id"]: part for part in config["components"]}
        self.parts = {part["props"].get("elem_id"): part for part in config["components"]}
        self.events = {
            (target, name): event
            for event in config["dependencies"]
            for target, name in event["targets"]
            if target and event["backend_fn"]
        }
        state = self.event("question", "edit")["inputs"][0]
        self.refresh = self.events[state, "change"]

    def event(self, part: str, name: str) -> dict[str, Any]:
        """What happens on an event of a part of the page, by its element's id."""
        return self.events[self.parts[part]["id"], name]

    async def fire(self, event: dict[str, Any], data: Any = None, **values: Any) -> dict[int, Any]:
        """
        Let an event happen, and wait for what it changes: new values by component.

        Args:
            event (`dict`): from `event`, or `refresh`.
            data: what comes with the event.
            **values: of inputs, by element id; the others have the values that the page came with.

        Raises:
            PageError: the page says that it went wrong.
        """
        sent = [
            values.get(part["props"].get("elem_id"), part["props"].get("value")) if part["type"] != "state" else None
            for part in (self.by_id[number] for number in event["inputs"])
        ]
        body = {"data": sent, "event_data": data, "fn_index": event["id"], "session_hash": self.session}
        joined = await self.client.post("/gradio_api/queue/join", json=body)
        if joined.status_code != 200:
            raise PageError(f"{joined.status_code}: {joined.text[:200]}")
        address = f"/gradio_api/queue/data?session_hash={self.session}"
        async with self.client.stream("GET", address) as stream:
            async for line in stream.aiter_lines():
                message = json.loads(line[5:]) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed":
                    if not message["success"]:
                        raise PageError(str(message["output"].get("error")))
                    return dict(zip(event["outputs"], message["output"]["data"], strict=True))
        raise PageError("the answer broke off")

    async def rate(self, film_id: str, rating: int) -> tuple[str, str]:
        """Rate a film on the card. Returns the next question and the new recommendations, as HTML."""
        edited = await self.fire(
            self.event("question", "edit"), {"action": "rate", "film_id": film_id, "rating": rating}
        )
        drawn = await self.fire(self.refresh)
        return edited[self.parts["question"]["id"]], drawn[self.parts["recommendations"]["id"]]

    async def bring(self, name: str, content: bytes) -> tuple[str, str]:
        """Bring an export. Returns the report and the recommendations, as HTML.

        Raises:
            PageError: the page refused it.
        """
        sent = await self.client.post("/gradio_api/upload", files={"files": (name, content)})
        if sent.status_code != 200:
            raise PageError(f"{sent.status_code}: {sent.text[:200]}")
        file = {"path": sent.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        brought = await self.fire(self.event("upload", "upload"), upload=file)
        drawn = await self.fire(self.refresh)
        return brought[self.parts["report"]["id"]], drawn[self.parts["recommendations"]["id"]]

    @property
    def first_question(self) -> str:
        """The card as the page comes."""
        return self.parts["question"]["props"]["value"]


def film_asked_about(question: str) -> str:
    """The film of a question's card."""
    found = re.search(r'data-film="([^"]+)"', question)
    if found is None:
        raise PageError("nothing is asked any more")
    return found[1]


@contextmanager
def served(model: str) -> Iterator[tuple[str, int]]:
    """`reel demo` in a process of its own: its address, and the process's number."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "reel.cli", "demo", "--model", model, "--port", str(port), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            if not any("http" in line for line in server.stdout):
                raise SystemExit(f"{model}: the page did not start")
            yield f"http://127.0.0.1:{port}", server.pid
        finally:
            server.terminate()
            server.wait(30)


def memory_of(process: int) -> float:
    """Resident memory of a process, MB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


async def open_page(client: httpx.AsyncClient) -> Visitor:
    """Load the page, and make a visitor of it."""
    (await client.get("/")).raise_for_status()
    return Visitor(client, (await client.get("/config")).json())


def client_of(address: str, connections: int) -> httpx.AsyncClient:
    """A client with as many connections as there are visitors; no proxy stands before this machine's own page."""
    # A connection is left before the server leaves it, after five seconds: a request in that moment would be lost.
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=2)
    return httpx.AsyncClient(base_url=address, timeout=TIMEOUT, limits=limits, trust_env=False)
