"""How far long work has come, on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

Item = TypeVar("Item")


def tracked(items: Iterable[Item], what: str) -> Iterator[Item]:
    """`items`, with a bar that names `what` is going on: on stderr, where that is a terminal, and gone at the end."""
    from rich.console import Console
    from rich.progress import track

    console = Console(file=sys.stderr)
    total = len(items) if isinstance(items, Sized) else None
    yield from track(items, what, total, console=console, transient=True, disable=not console.is_terminal)
