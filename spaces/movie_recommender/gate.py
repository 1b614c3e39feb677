"""What is refused before Gradio looks at it: files that were not uploaded here, large bodies, too many uploads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio_client.utils import is_file_obj_with_meta, traverse
from limits import Busy, Limits
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_FILE = 20 * 1024**2  # bytes
LARGEST_BODY = LARGEST_FILE + 2**16  # with what a form puts around a file
MEGABYTE = 1_000_000
LEAST = 0.1  # megabytes that an upload counts for, however small
UPLOAD = "/gradio_api/upload"
TOO_LARGE = f"This is larger than {LARGEST_FILE // 1024**2} MB."
NO_FILES = "Files are taken by the upload alone."
NOT_UPLOADED = "Only a file that was just uploaded here is read, and no address."
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

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """What Gradio asks before it looks at the values sent. Any of them may name a file, not only those of file
        inputs, and Gradio would fetch an address before a handler is asked."""
        if len(inputs) < len(block_fn.inputs):  # Gradio's own error prints what was sent
            raise gr.Error(TOO_FEW, print_exception=False)
        traverse(inputs, self._check, is_file_obj_with_meta)

    def _check(self, file: Mapping[str, Any]) -> None:
        try:
            path = Path(file["path"]).resolve()  # an address becomes a path that is nowhere
            uploaded = path.parent.parent == self.folder and path.is_file()
        except (OSError, ValueError):  # no path at all
            uploaded = False
        if not uploaded:
            raise gr.Error(NOT_UPLOADED, print_exception=False)


class Door:
    """Every request's way in: counts what one address uploads, and the bytes of a body."""

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
        left = LARGEST_BODY

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, TOO_LARGE)
            return message

        await self.app(scope, counted, send)

    def _look_at(self, scope: Scope) -> None:
        """Raises HTTPException for what is refused by its head alone."""
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        size = int(length) if length.isdecimal() else LARGEST_BODY  # in pieces: as much as it may be
        if length and size > LARGEST_BODY:
            raise HTTPException(413, TOO_LARGE)
        if scope["path"] == UPLOAD:
            try:
                self.limits.megabytes.take(scope["client"][0] if scope["client"] else "", max(LEAST, size / MEGABYTE))
            except Busy as error:
                raise HTTPException(429, str(error)) from None
        elif "multipart" in headers.get("content-type", "").lower():
            # Gradio's other routes that take files leave them in the machine's temporary folder.
            raise HTTPException(415, NO_FILES)


def trust_proxies() -> None:
    """On a Space, let uvicorn believe the host's proxies whom they ask for. They append the address that they were
    asked from to X-Forwarded-For, and uvicorn takes the last one there that is no proxy's, so what a visitor writes
    into it counts for nothing. Elsewhere anybody may ask directly, so nobody but this machine is believed; whoever
    puts a proxy in front names it in FORWARDED_ALLOW_IPS."""
    if os.environ.get("SPACE_ID"):
        os.environ.setdefault("FORWARDED_ALLOW_IPS", PRIVATE_NETWORKS)
