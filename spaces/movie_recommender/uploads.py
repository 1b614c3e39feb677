"""The private folder that uploads pass through, and how they leave it: at once, or at the latest after ten minutes.

Gradio writes an upload to disk before any code of ours sees it, and its File component adds an empty temporary file.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ABANDONED_AFTER = 600  # seconds; an upload that no handler ever picked up


@functools.cache  # Gradio has one temporary folder in a process: a second would take the uploads of the first away
def private_folder() -> Path:
    """The folder of this process that only this user can read, known to Gradio as its temporary folder, and gone when
    the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="reel-space-")).resolve()  # mkdtemp gives it mode 700
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextmanager
def discarded(upload: str | None, folder: Path) -> Iterator[None]:
    """Whatever happens in between, an upload is gone afterwards."""
    try:
        yield
    finally:
        if upload is not None:
            discard(Path(upload), folder)
        sweep(folder)


def discard(upload: Path, folder: Path) -> None:
    """Delete an upload and the folder Gradio made for it; anything outside `folder` is left alone."""
    upload = upload.resolve()
    if folder not in upload.parents:
        return
    upload.unlink(missing_ok=True)
    if upload.parent != folder:
        shutil.rmtree(upload.parent, ignore_errors=True)


def sweep(folder: Path, older_than: float = ABANDONED_AFTER) -> None:
    """Delete what is left in `folder`: empty files now, everything else once it is `older_than` seconds old."""
    oldest = time.time() - older_than
    for entry in folder.iterdir():
        try:
            status = entry.lstat()
            if entry.is_dir() and not entry.is_symlink():
                if status.st_mtime < oldest:
                    shutil.rmtree(entry, ignore_errors=True)
            elif status.st_size == 0 or status.st_mtime < oldest:
                entry.unlink(missing_ok=True)
        except FileNotFoundError:  # another session swept it first
            continue
