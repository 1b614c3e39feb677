"""Dataclasses of arguments read from a command line, with a person's mistakes told in one line."""

from __future__ import annotations

from argparse import Action, ArgumentDefaultsHelpFormatter, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any, NoReturn

from transformers import HfArgumentParser

from data_prep.errors import UserError


class _Help(ArgumentDefaultsHelpFormatter, RawDescriptionHelpFormatter):
    pass


class _Parser(HfArgumentParser):
    def add_argument(self, *names: str, **kwargs: Any) -> Action:
        if kwargs.get("action") == "store_false" and "help" in kwargs:  # `--no-muon`, which has the help of `--muon`
            kwargs["help"] = f"not: {kwargs['help']}"
        return super().add_argument(*names, **kwargs)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `{self.prog} --help`")


def parse_arguments(
    classes: Sequence[type], arguments: Sequence[str], program: str, description: str | None
) -> tuple[Any, ...]:
    """
    One instance of every dataclass of `classes` from `arguments`.

    Raises:
        UserError: for an unknown argument or a value that a dataclass refuses.
    """
    parser = _Parser(
        classes,  # type: ignore[arg-type]
        prog=program,
        description=description,
        formatter_class=_Help,
    )
    try:
        return parser.parse_args_into_dataclasses(list(arguments))
    except ValueError as error:
        raise UserError(f"{error}; see `{program} --help`") from error
