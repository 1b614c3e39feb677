"""What a command does with mistakes, readers that leave, and streams that cannot take its answer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.errors import CommandParser, UserError, exit_status, one_line, writable


def raising(error: BaseException):
    def command(arguments):
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("a.csv:\n row 3 \x1b[31mred"), "error: a.csv: row 3 \ufffd[31mred"),
        (FileNotFoundError(2, "No such file or directory", "a/b"), "error: a/b: No such file or directory"),
        (OSError(28, "No space left on device"), "error: No space left on device"),
        (MemoryError(), "error: this needs more memory than there is"),
        (
            UnicodeEncodeError("utf-8", "x" * 99 + "/a\udcff.csv" + "y" * 99, 101, 102, "surrogates not allowed"),
            f"error: {'x' * 38}/a\ufffd.csv{'y' * 36}: this cannot be written in utf-8; if it names a file, rename "
            "that",
        ),
    ],
)
def test_one_line_and_status_2(error: BaseException, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(raising(error), []) == 2
    assert capsys.readouterr().err == line + "\n"


def test_a_bug_is_no_mistake_of_the_person() -> None:
    with pytest.raises(ZeroDivisionError):
        exit_status(raising(ZeroDivisionError()), [])


def test_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(raising(KeyboardInterrupt()), []) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_type_of_an_argument_speaks_for_itself() -> None:
    def refuse(text: str) -> int:
        raise UserError(f"{text} is too odd")

    parser = CommandParser(prog="reel")
    parser.add_argument("--number", type=refuse)
    with pytest.raises(UserError, match="7 is too odd"):
        parser.parse_args(["--number", "7"])


def test_a_name_of_bytes_that_are_no_text() -> None:
    assert writable(os.fsdecode(b"d\xc3\xa9j\xc3\xa0 vu \xff.csv")) == "déjà vu \ufffd.csv"


def test_one_line() -> None:
    assert one_line(" a\r\n\tb\x07 é ") == "a b\ufffd é"


PROGRAM = """
import sys
from data_prep.answers import print_json, print_tables
from data_prep.errors import exit_status

def command(arguments):
    for _ in range(int(arguments[0])):
        print_tables(["Amélie ▁▂▃ [bold]", "\\ud800"])
        print_json({"title": "Amélie \\ud800"})

sys.exit(exit_status(command, sys.argv[1:]))
"""


def command(times: int, **settings) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", PROGRAM, str(times)], timeout=60, check=False, **settings)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_any_encoding_takes_the_answer(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    done = command(1, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    json_text = done.stdout.decode(encoding).partition("{")[2]
    assert "\\ud800" in json_text
    assert ("Am\\u00e9lie" if encoding == "ascii" else "Amélie") in json_text


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    line = f"{sys.executable} {tmp_path / 'program.py'} 20000 | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"


def test_a_full_disk_under_the_answer() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which this system lacks")
    with open("/dev/full", "wb") as full:
        done = command(1, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr == b"error: No space left on device\n"
