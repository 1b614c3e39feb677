"""What a command answers on standard output, whatever encoding that has and whoever reads it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType


def print_json(content: Any) -> None:
    """Print JSON; outside UTF-8 with escapes, which every reader of JSON undoes."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(content, ensure_ascii=not utf8, indent=1))


def print_tables(tables: Iterable[RenderableType], *, width: int | None = None) -> None:
    """Print rich's tables, or texts, `width` columns wide (default: as wide as the terminal)."""
    from rich.console import Console

    console = Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)
    with console.capture() as capture:  # printed by ourselves: rich turns a closed pipe (`| head`) into exit status 1
        for table in tables:
            console.print(table)
    print(capture.get().rstrip())
