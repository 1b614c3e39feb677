"""Every command of ours that the documentation names exists, and so do its options."""

from __future__ import annotations

import contextlib
import io
import re
from functools import cache
from pathlib import Path

import pytest

from reel.cli import VERBS, run

REPOSITORY = Path(__file__).resolve().parents[1]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")),
)
_BLOCK = re.compile(r"^```bash\n(.*?)^```", re.M | re.S)
_INLINE = re.compile(r"`(reel [^`]+)`")


def text_of(document: str) -> str:
    """A document with its continued lines joined."""
    return (REPOSITORY / document).read_text(encoding="utf-8").replace("\\\n", " ")


def commands(document: str) -> list[str]:
    """The commands of a document's shell blocks and of its running text, each on one line."""
    text = text_of(document)
    lines = "\n".join(_BLOCK.findall(text)).splitlines()
    inline = (" ".join(found.split()) for found in _INLINE.findall(_BLOCK.sub("", text)))
    return [line.split(" #")[0].strip() for line in (*lines, *inline) if line.startswith("reel ")]


@cache
def help_of(verb: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        run([*verb.split(), "--help"])
    return out.getvalue()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_exist(document: str) -> None:
    for command in commands(document):
        words = command.split()[1:]
        if words[0].startswith("-") or words[0] == "VERB":  # reel --help, reel VERB --help
            continue
        verb = next((name for name in (" ".join(words[:2]), words[0]) if name in VERBS), None)
        families = {name.split()[0] for name in VERBS if " " in name}
        if verb is None and words[0] in families and len(words) == 1:
            continue
        assert verb is not None, f"{document}: {command}"
        for option in re.findall(r"(?<!\S)--[a-z][\w-]*", command):
            assert option in help_of(verb), f"{document}: {command}: no {option}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_programs_exist(document: str) -> None:
    """`python -m benchmarks.NAME`, `python benchmarks/NAME.py`: there is such a file, and it names the options."""
    programs = r"python (?:-m (benchmarks\.\w+)|(benchmarks/\w+\.py))([^`\n#]*)"
    for module, path, rest in re.findall(programs, text_of(document)):
        file = REPOSITORY / (path or module.replace(".", "/") + ".py")
        assert file.is_file(), f"{document}: {file.name}"
        source = file.read_text(encoding="utf-8")
        for option in re.findall(r"(?<!\S)--[a-z][\w-]*", rest):
            assert f'"{option}"' in source, f"{document}: {file.name}: no {option}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_recipes_exist(document: str) -> None:
    """`accelerate launch --config_file RECIPE -m training.NAME`: there is such a recipe, and NAME has the options."""
    launches = re.compile(r"accelerate launch --config_file (\S+) -m training\.(\w+)(.*)$", re.M)
    for recipe, name, rest in launches.findall(text_of(document)):
        assert (REPOSITORY / recipe).is_file(), f"{document}: {recipe}"
        for option in re.findall(r"(?<!\S)--[a-z][\w-]*", rest):
            assert option in help_of(f"train {name.replace('_', '-')}"), f"{document}: {name}: no {option}"
