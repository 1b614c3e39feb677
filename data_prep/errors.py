"""What every command does with a person's mistake: one clear line on stderr and exit status 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn


class UserError(ValueError):
    """A mistake that the person at the keyboard can mend. The message names the file, the row, the value and the
    remedy."""


def exit_status(command: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> int:
    """Run `command(arguments)`; 0 when it returns, 2 with one line on stderr when it raises `UserError`, 130 on
    Ctrl-C."""
    try:
        command(arguments)
    except UserError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader (`| head`) has gone; nothing is wrong
        sys.stderr.close()
    return 0


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line too."""

    def __init__(self, **settings: Any):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `{self.prog} --help`")
