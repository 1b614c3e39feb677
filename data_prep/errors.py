"""What every command does with a person's mistake: one clear line on stderr and exit status 2."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn


class UserError(Exception):
    """A mistake that the person at the keyboard can mend. The message names the file, the row, the value and the
    remedy.

    No `ValueError`: argparse would put a message of its own in the place of a `ValueError`'s.
    """


def exit_status(command: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> int:
    """Run `command(arguments)`; 0 when it returns, 2 with one line on stderr when it raises `UserError`, the system
    refuses something (a full disk, a folder without permission, no memory) or a text cannot be written, 130 on
    Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a title that the terminal's encoding lacks is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        command(arguments)
        sys.stdout.flush()
    except UserError as error:
        return _mistake(str(error))
    except BrokenPipeError:  # the reader (`| head`) has gone; nothing is wrong
        _drop_stdout()
        return 0
    except OSError as error:
        _drop_stdout()
        place = f"{error.filename}: " if error.filename else ""
        return _mistake(f"{place}{error.strerror or error}")
    except UnicodeEncodeError as error:  # most often a file's name, which came as bytes that are no UTF-8
        text = error.object[max(0, error.start - 40) : error.end + 40]
        return _mistake(f"{text}: this cannot be written in {error.encoding}; if it names a file, rename that")
    except MemoryError:
        return _mistake("this needs more memory than there is")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def one_line(text: str) -> str:
    """`text` on one line that is safe to print: what a file holds must not steer the terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split()))


def writable(name: str) -> str:
    """A file's name as text that can be written: U+FFFD stands for bytes that are no UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def _mistake(message: str) -> int:
    print(f"error: {one_line(message)}", file=sys.stderr)
    return 2


def _drop_stdout() -> None:
    """Forget what stdout still holds: written at exit, it would fail again, with a message of the interpreter's."""
    with contextlib.suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line too."""

    def __init__(self, **settings: Any):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see `{self.prog} --help`")
