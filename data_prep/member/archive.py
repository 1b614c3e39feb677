"""The files of an account export, out of a ZIP, a folder or one CSV that anybody may have made.

Nothing here trusts what it reads: sizes are counted while reading, only the five known files are ever opened, nothing
is written to disk, and whatever is wrong ends in a `UserError`.
"""

from __future__ import annotations

import io
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from data_prep.errors import UserError, writable

# What is read of an export. deleted/ and orphaned/ hold files of the same names that are not the member's history.
KNOWN_FILES = ("ratings.csv", "diary.csv", "watched.csv", "watchlist.csv", "likes/films.csv")
_OTHER_FOLDERS = {"deleted", "orphaned", "lists", "likes", "__MACOSX"}
REMEDY = "give the ZIP from Letterboxd's settings (Data, Export your data), or its ratings.csv or diary.csv"

MAX_FILE_BYTES = 20_000_000  # of the given file, and of each CSV; large exports have about 2 MB
MAX_UNPACKED_BYTES = 100_000_000  # of all members together
MAX_MEMBERS = 2_000  # most members are lists, one file each
MAX_ROWS = 100_000  # of all files together
MAX_NAME = 500  # letters of a title; in a CSV, a longer one is a quotation mark that nobody closed
MAX_SECONDS = 5.0  # of reading and matching
_CHUNK = 1 << 18
_Thing = TypeVar("_Thing")


@dataclass
class Budget:
    """What reading one export may still cost in bytes, rows and time."""

    path: Path
    bytes_left: int = MAX_UNPACKED_BYTES
    rows_left: int = MAX_ROWS
    deadline: float = field(default_factory=lambda: time.monotonic() + MAX_SECONDS)

    def take(self, *, size: int = 0, rows: int = 0) -> None:
        """Spend `size` bytes and `rows` rows; raises UserError when bytes, rows or time are used up."""
        self.bytes_left -= size
        self.rows_left -= rows
        if self.bytes_left < 0:
            limit = f"more than {MAX_UNPACKED_BYTES // 1_000_000} MB when unpacked"
        elif self.rows_left < 0:
            limit = f"more than {MAX_ROWS:,} rows"
        elif time.monotonic() > self.deadline:
            limit = f"more than {MAX_SECONDS:.0f} seconds to read"
        else:
            return
        raise UserError(f"{self.path}: {limit}, so it is no member's export; {REMEDY}")

    def watched(self, things: Iterable[_Thing]) -> Iterator[_Thing]:
        """The things as they are asked for; raises UserError once the time is used up."""
        for thing in things:
            self.take()
            yield thing


def read_files(path: Path, budget: Budget, names: Sequence[str] = KNOWN_FILES) -> tuple[dict[str, bytes], bool]:
    """The files called `names` under `path`, by their name in an export; and whether `path` itself is one CSV of any
    name.

    Raises:
        UserError: there is nothing to read, or it is no export.
    """
    try:
        if path.is_dir():
            return _from_folder(path, budget, names), False
        if not path.exists():
            raise UserError(f"{path}: no such file or folder; {REMEDY}")
        if not path.is_file():
            raise UserError(f"{path}: neither a file nor a folder; {REMEDY}")
        data = read_limited(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); {REMEDY}") from error
    if not data:
        raise UserError(f"{path}: the file is empty; {REMEDY}")
    if data.startswith(b"PK"):
        return _from_zip(path, data, budget, names), False
    if path.suffix.lower() == ".zip":
        raise UserError(f"{path}: not a ZIP archive, it starts with {glimpse(data)}; {REMEDY}")
    return {writable(path.name): data}, True


def read_limited(path: Path) -> bytes:
    """All of a file; raises UserError when it is larger than `MAX_FILE_BYTES`, OSError when it cannot be read."""
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise UserError(f"{path}: larger than {MAX_FILE_BYTES // 1_000_000} MB, so it is no export; {REMEDY}")
    return data


def glimpse(data: bytes) -> str:
    """The first bytes, safe to print on one line."""
    return ascii(data[:40].decode("utf-8", "replace"))


def _from_folder(path: Path, budget: Budget, names: Sequence[str]) -> dict[str, bytes]:
    files = {}
    for name in names:
        if (path / name).is_file():
            files[name] = read_limited(path / name)
            budget.take(size=len(files[name]))
    return _with_history(path, files)


def _with_history(path: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    if "ratings.csv" not in files and "diary.csv" not in files:
        raise UserError(f"{path}: holds neither ratings.csv nor diary.csv; {REMEDY}")
    return files


def _from_zip(path: Path, data: bytes, budget: Budget, names: Sequence[str]) -> dict[str, bytes]:
    # Counted before zipfile makes an object of each; a central header cannot do without these four bytes.
    if data.count(b"PK\x01\x02") > MAX_MEMBERS:
        raise UserError(f"{path}: more than {MAX_MEMBERS:,} members, so it is no export; {REMEDY}")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _known_members(path, archive.infolist(), names)
            files = {name: _read_member(path, archive, member, budget) for name, member in members.items()}
    # All that zipfile and zlib were seen to raise on damaged archives.
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError) as error:
        what = " ".join(ascii(str(error)).split())[:80]
        raise UserError(f"{path}: the ZIP archive is damaged ({what}); {REMEDY}") from error
    return _with_history(path, files)


def _known_members(path: Path, infos: list[zipfile.ZipInfo], names: Sequence[str]) -> dict[str, zipfile.ZipInfo]:
    """The members to read, by their name in an export; of a re-zipped folder, without the folder's name."""
    if not infos:
        raise UserError(f"{path}: the ZIP archive is empty; {REMEDY}")
    for info in infos:
        if _points_outside(info):
            name = ascii(info.filename)[:80]
            raise UserError(f"{path}: the member {name} points out of the archive, so it is no export; {REMEDY}")
    declared = sum(info.file_size for info in infos)
    if declared > MAX_UNPACKED_BYTES:  # an honest bomb is refused unread; one that lies, while it is read
        raise UserError(f"{path}: {declared // 1_000_000:,} MB when unpacked, so it is no export; {REMEDY}")

    prefix = ""
    if not any(info.filename in names for info in infos):
        tops = {info.filename.partition("/")[0] for info in infos if "/" in info.filename} - _OTHER_FOLDERS
        prefix = f"{tops.pop()}/" if len(tops) == 1 else ""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename.removeprefix(prefix)
        if name not in names or not info.filename.startswith(prefix):
            continue
        if name in members:
            raise UserError(f"{path}: holds {name} twice; {REMEDY}")
        if info.flag_bits & 0x1:
            raise UserError(f"{path}: {name} is encrypted; unpack it with its password and give the folder")
        if info.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):  # with LZMA the archive sets the memory
            raise UserError(f"{path}: {name} is packed by an unusual method; unpack it and give the folder")
        members[name] = info
    return members


def _points_outside(info: zipfile.ZipInfo) -> bool:
    name = info.filename
    climbs = name.startswith("/") or "\\" in name or name[1:2] == ":" or ".." in name.split("/")
    return climbs or stat.S_ISLNK(info.external_attr >> 16)


def _read_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> bytes:
    data = bytearray()
    with archive.open(info) as member:
        while chunk := member.read(_CHUNK):
            budget.take(size=len(chunk))
            data += chunk
            if len(data) > MAX_FILE_BYTES:
                raise UserError(f"{path}: {info.filename} is larger than {MAX_FILE_BYTES // 1_000_000} MB; {REMEDY}")
    return bytes(data)
