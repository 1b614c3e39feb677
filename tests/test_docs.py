"""What the documentation tells people to type: every command is read by the parser that will read it, `make` has every
target, and options that running text names alone exist."""

from __future__ import annotations

import argparse
import re
import shlex
from functools import cache

import pytest
from transformers import HfArgumentParser

from data_prep.errors import UserError
from reel.cli import VERBS, run
from tests.documents import DOCUMENTS, REPOSITORY, calls_of, mentions, shell_commands

FAMILIES = {verb.split()[0] for verb in VERBS if " " in verb}
ABSENT = {"--streaming"}  # docs/training.md says that there is none


class Parsed(Exception):
    """A command line has been read; what it asks for is not done. Holds the parser."""


def parse(verb: str, words: list[str], *, complete: bool = True) -> argparse.ArgumentParser:
    """
    Let a verb's own parser read its words: options by their whole names, values, and what is required.

    Args:
        complete: False for a mention in running text, which may leave out what is required.

    Raises:
        UserError: as the command would.
    """
    read_known = argparse.ArgumentParser.parse_known_args
    read, read_dataclasses = argparse.ArgumentParser.parse_args, HfArgumentParser.parse_args_into_dataclasses

    def parse_known_args(self, args=None, namespace=None):
        self.allow_abbrev = False  # which lets `--out` stand for `--output-dir`
        if complete:
            return read_known(self, args, namespace)
        for action in self._actions:
            action.required = False
        if unknown := read_known(self, args, namespace)[1]:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        raise Parsed(self)

    def parse_args(self, *args, **kwargs):
        read(self, *args, **kwargs)
        raise Parsed(self)

    def parse_args_into_dataclasses(self, *args, **kwargs):
        read_dataclasses(self, *args, **kwargs)
        raise Parsed(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_known_args", parse_known_args)
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
        patch.setattr(HfArgumentParser, "parse_args_into_dataclasses", parse_args_into_dataclasses)
        with pytest.raises(Parsed) as parsed:
            run([*verb.split(), *words])
    return parsed.value.args[0]


def check(command: str, *, complete: bool) -> None:
    """Let a command that begins with `reel` be parsed."""
    words = shlex.split(command)[1:]
    if not words or words[0].startswith("-") or words[0] == "VERB":  # reel --help, reel VERB --help
        return
    if words[0] in FAMILIES and len(words) == 1 and not complete:
        return
    verb = next((name for name in (" ".join(words[:2]), words[0]) if name in VERBS), None)
    assert verb is not None, command
    parse(verb, words[len(verb.split()) :], complete=complete)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_are_parsed(document: str) -> None:
    for command in calls_of("reel", shell_commands(document)):
        check(command, complete=True)
    for command in calls_of("reel", mentions(document)):
        check(re.sub(r"[][]| \.\.\.$", "", command), complete=False)  # [--optional], and so on


@pytest.mark.parametrize(
    "command",
    [
        "reel fly",
        "reel train film-token-gpt2 --data data/mine --out models/mine",
        "reel train film-token-gpt2 --data data/mine --output-dir models/mine --max-minutes soon",
        "reel train film-token-gpt2 --output-dir models/mine",
        "reel train baseline --kind median --data data/mine --output-dir models/mine",
        "reel evaluate --model models/mine --data data/mine",
        "reel data merge --out data/mine",
        "reel recommend --model models/mine --history you.zip --years 1989-1970",
    ],
)
def test_wrong_commands_are_noticed(command: str) -> None:
    with pytest.raises((UserError, AssertionError)):
        check(command, complete=True)


def test_commands_are_found() -> None:
    found = [command for document in DOCUMENTS for command in calls_of("reel", shell_commands(document))]
    assert any(command.startswith("reel train deepfm --data") for command in found)  # after OMP_NUM_THREADS=1
    assert len({command.split()[1] for command in found}) >= 6
    mentioned = [command for document in DOCUMENTS for command in calls_of("reel", mentions(document))]
    assert {"reel data tables ...", "reel demo"} <= set(mentioned)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_programs_exist(document: str) -> None:
    """`python -m benchmarks.NAME`, `python benchmarks/NAME.py`: there is such a file, and it names the options."""
    for command in calls_of("python", [*shell_commands(document), *mentions(document)]):
        program = re.match(r"python (?:-m (benchmarks\.\w+)|(benchmarks/\w+\.py))", command)
        assert program, f"{document}: {command}"
        file = REPOSITORY / (program[2] or program[1].replace(".", "/") + ".py")
        assert file.is_file(), f"{document}: {file.name}"
        source = file.read_text(encoding="utf-8")
        for option in re.findall(r"(?<!\S)--[a-z][\w-]*", command):
            assert f'"{option}"' in source, f"{document}: {file.name}: no {option}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_recipes_exist(document: str) -> None:
    """`accelerate launch --config_file RECIPE -m training.NAME`: there is such a recipe, and NAME takes the words."""
    for command in calls_of("accelerate", shell_commands(document)):
        launch = re.fullmatch(r"accelerate launch --config_file (\S+) -m training\.(\w+) (.*)", command)
        assert launch, f"{document}: {command}"
        assert (REPOSITORY / launch[1]).is_file(), f"{document}: {launch[1]}"
        parse(f"train {launch[2].replace('_', '-')}", shlex.split(launch[3]))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_has_the_targets(document: str) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    variables = set(re.findall(r"^([A-Z_]+) \?=", makefile, re.M))
    for command in calls_of("make", [*shell_commands(document), *mentions(document)]):
        for word in command.split()[1:]:
            name, is_variable, _ = word.partition("=")
            assert name in (variables if is_variable else targets), f"{document}: {command}"


@cache
def known_options() -> set[str]:
    """Every option of every verb and of every benchmark, and that of `accelerate launch`."""
    verbs = {option for verb in VERBS for option in parse(verb, [], complete=False)._option_string_actions}
    sources = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "benchmarks").glob("*.py")]
    benchmarks = {option for source in sources for option in re.findall(r'"(--[a-z][\w-]*)"', source)}
    return verbs | benchmarks | {"--config_file"}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_options_named_alone_exist(document: str) -> None:
    named = {word for span in mentions(document) if span.startswith("--") for word in span.split()}
    options = {word for word in named if word.startswith("--")}
    assert options - ABSENT <= known_options(), f"{document}: {options - known_options()}"
    assert not ABSENT & known_options()
