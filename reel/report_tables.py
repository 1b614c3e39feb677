"""Numbers of a report as tables on the terminal."""

from __future__ import annotations

from typing import Any

PIPE_WIDTH = 160  # columns of a table where stdout is no terminal

Row = dict[str, Any]


def with_interval(row: Row, key: str, form: str, mark: str = "") -> str:
    """The number under `key` of a report's row, formatted, with its interval in brackets."""
    value, low, high = ("-" if row[name] is None else form.format(row[name]) for name in (key, "low", "high"))
    return f"{value}{mark} [{low}, {high}]"
