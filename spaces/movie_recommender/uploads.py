"""The private folder that uploads pass through, and how they leave it: at once, or at the latest after ten minutes.

Gradio writes an upload to disk before any code of ours sees it, and leaves it there when a visitor goes away halfway.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import gradio as gr

ABANDONED_AFTER = 540  # seconds; an upload that no handler ever picked up, or that broke off
SWEPT_EVERY = 60  # seconds


@functools.cache  # Gradio has one temporary folder in a process: a second would take the uploads of the first away
def private_folder() -> Path:
    """The folder of this process that only this user can read, known to Gradio as its temporary folder, and gone when
    the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="reel-space-")).resolve()  # mkdtemp gives it mode 700
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def upload_field(**options: Any) -> gr.File:
    """A file input whose handlers get the upload's path. Gradio's own leaves an empty temporary file beside it."""
    field = gr.File(**options)
    field.preprocess = lambda upload: upload and upload.path  # type: ignore[method-assign]
    return field


@contextmanager
def discarded(upload: str | None, folder: Path) -> Iterator[None]:
    """Whatever happens in between, an upload and the folder that Gradio made for it are gone afterwards; anything
    outside `folder` is left alone."""
    try:
        yield
    finally:
        path = Path(upload).resolve() if upload is not None else folder
        if folder in path.parents:
            path.unlink(missing_ok=True)
            if path.parent != folder:
                shutil.rmtree(path.parent, ignore_errors=True)


def sweep(folder: Path, older_than: float = ABANDONED_AFTER) -> None:
    """Delete what has been in `folder` for `older_than` seconds."""
    oldest = time.time() - older_than
    for entry in folder.iterdir():
        with suppress(FileNotFoundError):  # its handler was faster
            if entry.lstat().st_mtime >= oldest:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink()


@asynccontextmanager
async def swept(folder: Path, every: float = SWEPT_EVERY) -> AsyncIterator[None]:
    """While the page is served, `sweep` its folder again and again."""

    async def sweeping() -> None:
        while True:
            await asyncio.sleep(every)
            await asyncio.to_thread(sweep, folder)

    task = asyncio.create_task(sweeping())
    try:
        yield
    finally:
        task.cancel()
