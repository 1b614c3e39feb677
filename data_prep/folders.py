"""Files and folders that appear whole or not at all, and Parquet files in the shards that `datasets` expects."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.errors import UserError


@contextmanager
def new_file(out: Path) -> Iterator[Path]:
    """A file to fill, which takes the place of `out` when the block ends without an error.

    As with `new_folder` it stands beside `out` and is removed on an error. It is made at once, so that long work can
    go inside the block: whether its result can be written is known before it starts.

    Raises:
        UserError: when `out` is a folder, a device or a pipe, its folder does not exist or cannot be written, or the
            disk is full.
    """
    try:
        target = out.resolve()  # a link stays, what it leads to is replaced
        if target.is_dir():
            raise UserError(f"{out}: this is a folder; name a file in it")
        if target.exists() and not target.is_file():
            raise UserError(f"{out}: this is no regular file, so nothing is written there; name another")
        if not target.parent.is_dir():
            raise UserError(f"{out}: there is no folder {out.parent}; make it first")
        remove_leftovers(target)
        building = target.with_name(f".{target.name}.building-{os.getpid()}")
        building.touch()
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise _unwritable(out, error) from error
    try:
        yield building
        os.replace(building, target)
    except OSError as error:
        if error.filename not in (None, str(building)):  # the block's work failed, not its writing
            raise
        raise _unwritable(out, error) from error
    finally:
        building.unlink(missing_ok=True)


def keep_sources(out: Path, sources: Iterable[Path]) -> None:
    """Make sure that writing `out` replaces none of the files that are read.

    Raises:
        UserError: when `out` is one of `sources`, under this or another name.
    """
    for source in sources:
        if out.exists() and source.exists() and out.samefile(source):
            raise UserError(f"{out}: this file is read, so it is not written; name another")


def link(source: str, target: str) -> None:
    """For `shutil.copytree`: the same file under another name; a copy of it on file systems without hard links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `out` when the block ends without an error.

    It is made beside `out`, so that the last step is a rename; on an error it is removed and `out` is as it was. What
    a killed process left behind is removed by the next one.

    Raises:
        UserError: when `out` is something other than a folder, the disk is full or the place cannot be written.
    """
    building = out.with_name(f".{out.name}.building-{os.getpid()}")
    try:
        if out.exists() and not out.is_dir():
            raise UserError(f"{out}: this is no folder, so nothing is written there; name another")
        out.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(out)
        building.mkdir()
        yield building
        _put_in_place(building, out)
    except OSError as error:
        raise _unwritable(out, error) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _unwritable(out: Path, error: Exception) -> UserError:
    why = error.strerror if isinstance(error, OSError) and error.strerror else error
    return UserError(f"{out}: cannot be written ({why}); name another place")


def _put_in_place(building: Path, out: Path) -> None:
    old = out.with_name(f".{out.name}.replaced-{os.getpid()}")
    if not out.exists():
        os.rename(building, out)
        return
    os.rename(out, old)
    try:
        os.rename(building, out)
    except OSError:
        os.rename(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def remove_leftovers(out: Path) -> None:
    """Remove what killed builds of `out` left; bring the old folder back when one died between the two renames."""
    for leftover in out.parent.glob(f".{glob.escape(out.name)}.*-*"):
        kind, _, process = leftover.name.removeprefix(f".{out.name}.").rpartition("-")
        if kind not in ("building", "replaced") or not process.isdigit() or _is_alive(int(process)):
            continue
        if kind == "replaced" and not out.exists():
            os.rename(leftover, out)
        elif leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class ShardWriter:
    """Writes `split`-00000-of-0000n.parquet files into a folder, row group by row group, however the rows come.

    The files are the same however the rows were cut into tables. Used as a context manager; without any row it leaves
    one empty file.

    Args:
        folder: made when absent.
        split: name of the split.
        schema: schema of the tables. It is not stored: dictionaries are read back as plain strings.
        rows_per_group: rows in one Parquet row group, all that is in memory at a time.
        groups_per_file: row groups in one file.
    """

    def __init__(self, folder: Path, split: str, schema: pa.Schema, rows_per_group: int, groups_per_file: int) -> None:
        folder.mkdir(exist_ok=True)
        self._folder, self._split, self._schema = folder, split, schema
        self._rows_per_group, self._groups_per_file = rows_per_group, groups_per_file
        self._held: list[pa.Table] = []  # of the row group to come
        self._rows = 0  # of the held tables
        self._groups = 0  # in the file that is open
        self._files = 0
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and (self._rows or not self._files):
            self._write_group()
        if self._writer is not None:
            self._writer.close()
        if kind is None:
            for number in range(self._files):
                self._path(number).rename(self._path(number, f"-of-{self._files:05d}"))

    def write(self, rows: int, batch: Callable[[int, int], pa.Table]) -> None:
        """Append `rows` rows; `batch` gives the rows first:last of them, never more than a row group."""
        first = 0
        while first < rows:
            last = min(rows, first + self._rows_per_group - self._rows)
            self._held.append(batch(first, last))
            self._rows += last - first
            if self._rows == self._rows_per_group:
                self._write_group()
            first = last

    def _write_group(self) -> None:
        if self._writer is None or self._groups == self._groups_per_file:
            if self._writer is not None:
                self._writer.close()
            self._writer = pq.ParquetWriter(
                self._path(self._files), self._schema, compression="zstd", store_schema=False
            )
            self._files += 1
            self._groups = 0
        if self._held:
            self._writer.write_table(pa.concat_tables(self._held).unify_dictionaries().combine_chunks())
        self._held.clear()
        self._rows = 0
        self._groups += 1

    def _path(self, number: int, rest: str = "") -> Path:
        return self._folder / f"{self._split}-{number:05d}{rest}.parquet"


def write_shards(
    folder: Path,
    split: str,
    schema: pa.Schema,
    rows: int,
    batch: Callable[[int, int], pa.Table],
    rows_per_group: int,
    groups_per_file: int,
) -> None:
    """Write a split whose `rows` rows are all at hand; `batch` gives the rows first:last. The rest as in
    `ShardWriter`."""
    with ShardWriter(folder, split, schema, rows_per_group, groups_per_file) as shards:
        shards.write(rows, batch)


def digest_files(folder: Path) -> str:
    """A hash of the names and contents of all files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            digest.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\0".encode())
    return digest.hexdigest()[:32]
