"""Finding out what a table file is, and which of its columns are ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.errors import UserError


def is_parquet(path: Path) -> bool:
    """Whether the file is Parquet; otherwise it is to be read as CSV.

    Raises:
        UserError: when there is no such file, it is a folder or a pipe, cannot be read, is empty, or is called
            .parquet and is not.
    """
    if path.is_dir():
        raise UserError(f"{path}: a folder; expected a Parquet or CSV file")
    if path.exists() and not path.is_file():  # it would be opened more than once
        raise UserError(f"{path}: no regular file; write it to the disk first")
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if not magic:
        raise UserError(f"{path}: empty; expected a Parquet or CSV file")
    if magic == b"PAR1":
        return True
    if path.suffix.lower() in (".parquet", ".pq"):
        raise UserError(f"{path}: not a Parquet file whatever its name says; call CSV files .csv")
    if magic[:2] == b"\x1f\x8b" or magic[:2] == b"PK":
        raise UserError(f"{path}: compressed; unpack it first")
    return False


def open_parquet(path: Path) -> pq.ParquetFile:
    """The opened Parquet file.

    Raises:
        UserError: when it is damaged or holds no row.
    """
    with damage_told(path):
        file = pq.ParquetFile(path)
    if file.metadata.num_rows == 0:
        raise UserError(f"{path}: holds no rows")
    return file


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Make a `UserError` of whatever Arrow finds wrong with the Parquet file `path` inside the block."""
    try:
        yield
    except pa.ArrowNotImplementedError as error:
        raise UserError(
            f"{path}: holds values that are neither text nor numbers where these are expected ({error})"
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: damaged Parquet file ({error})") from error


def python_values(array: pa.Array) -> list:
    """The values of an array; `bytes` where text is no UTF-8, text where Python has no such value (a date after the
    year 9999)."""
    try:
        return array.to_pylist()
    except (UnicodeDecodeError, OverflowError):
        return [_python_value(scalar) for scalar in array]


def _python_value(scalar: pa.Scalar) -> object:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        if isinstance(scalar, pa.ListScalar):
            return b", ".join(item for item in scalar.values.cast(pa.large_binary()).to_pylist() if item is not None)
        return scalar.cast(pa.large_binary()).as_py()
    except OverflowError:
        return scalar.cast(pa.string()).as_py()


def find_columns(
    path: Path,
    present: Sequence[str],
    required: Mapping[str, Sequence[str]],
    optional: Mapping[str, Sequence[str]],
) -> dict[str, str]:
    """Our name of each column: its name in the file.

    Args:
        path: for messages.
        present: the file's columns.
        required: our name: names it may have, the first that is present is taken.
        optional: the same for columns that may be absent.

    Raises:
        UserError: when a required column is absent; the message names those that are there.
    """
    found = {}
    for name, aliases in {**required, **optional}.items():
        column = next((alias for alias in aliases if alias in present), None)
        if column is not None:
            found[name] = column
        elif name in required:
            there = ", ".join(present[:20]) or "none"
            raise UserError(f"{path}: no column {' or '.join(aliases)}; the columns there are: {there}")
    return found
