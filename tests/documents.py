"""The documentation's code blocks and commands, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DOCUMENTS = tuple(
    path.relative_to(REPOSITORY).as_posix()
    for pattern in ("*.md", "docs/*.md", "spaces/*/README.md")
    for path in sorted(REPOSITORY.glob(pattern))
)
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_SPAN = re.compile(r"`([^`]+)`")
# What may stand before a command: variables, and programs that take the time.
_BEFORE = re.compile(r"(?:\w+=\S* +|(?:/usr/bin/)?time (?:-v )?)*")


def text_of(document: str) -> str:
    """A document with its continued lines joined."""
    return (REPOSITORY / document).read_text(encoding="utf-8").replace("\\\n", " ")


def blocks(document: str, language: str) -> list[str]:
    """The code blocks of a language."""
    return [code for name, code in _FENCED.findall(text_of(document)) if name == language]


def shell_commands(document: str) -> list[str]:
    """The lines of a document's shell blocks, without comments."""
    lines = "".join(blocks(document, "bash")).splitlines()
    stripped = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return [line for line in stripped if line]


def mentions(document: str) -> list[str]:
    """What stands in backticks in a document's running text and in comments of its Python, each on one line."""
    text = _FENCED.sub(lambda block: block[2] if block[1] == "python" else "", text_of(document))
    return [" ".join(span.split()) for span in _SPAN.findall(text)]


def calls_of(program: str, lines: list[str]) -> list[str]:
    """Those of the lines that call a program, from its name on."""
    bare = (line[_BEFORE.match(line).end() :] for line in lines)  # type: ignore[union-attr]
    return [line for line in bare if line == program or line.startswith(f"{program} ")]
