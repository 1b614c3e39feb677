"""A bar for work that takes more than a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import Progress


@contextmanager
def progress(task: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr, and what moves it on by one."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        yield partial(bar.advance, bar.add_task(task, total=total))
