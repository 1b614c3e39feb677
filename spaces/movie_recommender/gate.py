"""What is refused before Gradio looks at it: files that were not uploaded here, large bodies, too many of them, and
routes on which Gradio would fetch an address or hand out a file. And what Gradio remembers, less what it need not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.state_holder import StateHolder
from gradio_client.utils import is_file_obj_with_meta, traverse
from limits import Busy, Limits, Visitors, address
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_FILE = 20 * 1024**2  # bytes
LARGEST_BODY = LARGEST_FILE + 2**16  # with what a form puts around a file
LARGEST_JSON = 3 * 1024**2  # the ratings of two people who have rated ten thousand films each
SMALL_JSON = 2**16
MEGABYTE = 1_000_000
LEAST = 0.1  # megabytes that an upload counts for, however small
JSON_WEIGHT = 10  # everybody waits while Gradio looks through a JSON; nobody does while a file is written
UPLOAD = "/gradio_api/upload"
CLOSED = ("file=", "file/", "proxy=")  # Gradio's routes that fetch addresses or hand out files; the page uses none
TOO_LARGE = "This is larger than {} MB."
NO_FILES = "Files are taken by the upload alone."
NOT_UPLOADED = (
    "This upload is gone, or was none: only a file that was just uploaded here is read. Please bring it again."
)
TOO_FEW = "There are fewer values than this takes."
# Networks that no visitor comes from; a Space's host reaches it from one of them.
PRIVATE_NETWORKS = "127.0.0.0/8,10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,::1,fc00::/7"


class Gate(gr.Blocks):
    """A page that takes no file but those in its folder of uploads.

    Args:
        folder: the private folder that uploads arrive in, each in a folder of its own.
        limits: of the page.
    """

    def __init__(self, folder: Path, limits: Limits, **options: Any) -> None:
        super().__init__(**options)
        self.folder = folder
        self.limits = limits
        self.begun = Visitors()  # those whose page holds ratings

    async def process_api(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        """An event. Gradio notes every value that was sent and drawn in its record of the session, for links that
        this page does not offer."""
        state = named.get("state")
        try:
            return await super().process_api(*arguments, **named)
        finally:
            if state is not None:
                state.config_values.clear()

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """What Gradio asks before it looks at the values sent. Any of them may name a file, not only those of file
        inputs, and Gradio would fetch an address before a handler is asked."""
        if len(inputs) < len(block_fn.inputs):  # Gradio's own error prints what was sent
            raise gr.Error(TOO_FEW, print_exception=False)
        try:
            traverse(inputs, self._check, is_file_obj_with_meta)
        except AttributeError:  # something that is neither a file's description nor anything else
            raise gr.Error(NOT_UPLOADED, print_exception=False) from None
        for block, value in zip(block_fn.inputs, inputs, strict=False):
            if isinstance(block, gr.File) and value is not None and not is_file_obj_with_meta(value):
                raise gr.Error(NOT_UPLOADED, print_exception=False)

    def _check(self, file: Mapping[str, Any]) -> None:
        try:
            path = Path(file["path"]).resolve()  # an address becomes a path that is nowhere
            uploaded = path.parent.parent == self.folder and path.is_file()
        except (OSError, ValueError):  # no path at all
            uploaded = False
        if not uploaded:
            raise gr.Error(NOT_UPLOADED, print_exception=False)


class Sessions(StateHolder):
    """Gradio's record of sessions, from which those go first that hold nothing of a visitor's: every call of the API
    makes one."""

    def __init__(self, begun: Visitors) -> None:
        super().__init__()
        self.begun = begun

    def update(self, session_id: str) -> None:
        """Note that a session is used; of too many, drop one."""
        with self.lock:
            if session_id in self.session_data:
                self.session_data.move_to_end(session_id)
            if len(self.session_data) > self.capacity:
                others = (name for name in self.session_data if name not in self.begun and name != session_id)
                dropped = next(others, next(iter(self.session_data)))
                del self.session_data[dropped]
                self.time_last_used.pop(dropped, None)


class Door:
    """Every request's way in: counts what one address sends, and the bytes of a body."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app = app
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        try:
            self._look_at(scope)
        except HTTPException as error:
            return await PlainTextResponse(error.detail, error.status_code)(scope, receive, send)
        largest = left = _largest(scope)

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, TOO_LARGE.format(largest // 1024**2))
            return message

        await self.app(scope, counted, send)

    def _look_at(self, scope: Scope) -> None:
        """Raises HTTPException for what is refused by its head alone."""
        if scope["path"].removeprefix("/gradio_api").removeprefix("/").startswith(CLOSED):
            raise HTTPException(404, "Not found.")
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return
        headers, largest = Headers(scope=scope), _largest(scope)
        length = headers.get("content-length", "")
        size = int(length) if length.isdecimal() else largest  # in pieces: as much as it may be
        if size > largest:
            raise HTTPException(413, TOO_LARGE.format(largest // 1024**2))
        if scope["path"] == UPLOAD:
            self._count(scope, max(LEAST, size / MEGABYTE))
        elif "multipart" in headers.get("content-type", "").lower():
            # Gradio's other routes that take files leave them in the machine's temporary folder.
            raise HTTPException(415, NO_FILES)
        elif size > SMALL_JSON:
            self._count(scope, JSON_WEIGHT * size / MEGABYTE)

    def _count(self, scope: Scope, megabytes: float) -> None:
        try:
            self.limits.megabytes.take(address(HTTPConnection(scope)), megabytes)
        except Busy as error:
            raise HTTPException(429, str(error)) from None


def _largest(scope: Scope) -> int:
    return LARGEST_BODY if scope["path"] == UPLOAD else LARGEST_JSON


def trust_proxies() -> None:
    """On a Space, let uvicorn believe the host's proxies whom they ask for. They append the address that they were
    asked from to X-Forwarded-For, and uvicorn takes the last one there that is no proxy's, so what a visitor writes
    into it counts for nothing. Elsewhere anybody may ask directly, so nobody but this machine is believed; whoever
    puts a proxy in front names it in FORWARDED_ALLOW_IPS."""
    if os.environ.get("SPACE_ID"):
        os.environ.setdefault("FORWARDED_ALLOW_IPS", PRIVATE_NETWORKS)
