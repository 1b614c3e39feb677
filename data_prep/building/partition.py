"""Rows in buckets of users, so that a data set of any size is arranged a bucket at a time.

Within its split a user stands where the keyed hash of the name puts it. So the users whose hashes start with a few
neighbouring bytes stand together in every split, and such a bucket can be made out before all users are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.user_keys import KEYED_HASH, hash_users

# Rows that are held and arranged at a time. Each takes about 100 bytes while it is arranged.
ROWS_IN_MEMORY = 20_000_000
_PREFIXES = 256


class UserIndex:
    """Codes for the names of users, in order of first appearance.

    Args:
        key: of the hashes; None when the names are keyed hashes themselves.
    """

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self._codes: dict[str, int] = {}
        self._hashes: list[str] = []
        self._prefixes = bytearray()

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def names(self) -> list[str]:
        """The name of every code."""
        return list(self._codes)

    @property
    def hashes(self) -> np.ndarray:
        """bytes32 [users]: the hash of every code, in hexadecimal."""
        return np.array(self._hashes, dtype="S32")

    @property
    def prefixes(self) -> np.ndarray:
        """uint8 [users]: the first byte of the hash of every code."""
        return np.array(self._prefixes)

    def add(self, names: Sequence[str]) -> np.ndarray:
        """int32 [names]: their codes, new ones for new names."""
        new = [name for name in dict.fromkeys(names) if name not in self._codes]
        hashes = new if self._key is None else hash_users(new, self._key)
        if self._key is None and not all(map(KEYED_HASH.fullmatch, new)):
            raise ValueError("a user id is no keyed hash")
        self._codes.update(zip(new, range(len(self), len(self) + len(new)), strict=True))
        self._hashes += hashes
        self._prefixes += bytes(int(digits[:2], 16) for digits in hashes)
        return np.array([self._codes[name] for name in names], dtype=np.int32)


class Partition:
    """Records by the first byte of the hashes of their users: in memory, or, once they are more than
    `ROWS_IN_MEMORY`, in a file for each byte.

    Args:
        folder: an empty folder for the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: list[tuple[np.ndarray, np.ndarray]] = []
        self._rows = np.zeros(_PREFIXES, dtype=np.int64)
        self._dtype = np.dtype([])

    def add(self, records: np.ndarray, prefixes: np.ndarray) -> None:
        """Take in records and the first bytes (uint8 [rows]) of their users' hashes."""
        self._dtype = records.dtype
        self._rows += np.bincount(prefixes, minlength=_PREFIXES)
        self._held.append((records, prefixes))
        if self._rows.sum() > ROWS_IN_MEMORY:
            self._spill()

    def buckets(self) -> np.ndarray:
        """int64 [256]: the bucket of every first byte. Neighbours share one while it holds no more than
        `ROWS_IN_MEMORY` rows."""
        buckets = np.zeros(_PREFIXES, dtype=np.int64)
        rows = 0
        for prefix in range(1, _PREFIXES):
            rows += self._rows[prefix - 1]
            full = rows + self._rows[prefix] > ROWS_IN_MEMORY
            buckets[prefix] = buckets[prefix - 1] + full
            rows = 0 if full else rows
        return buckets

    def take(self, bucket: int) -> np.ndarray:
        """The records of a bucket, those of one user in the order in which they came. They are gone from here then."""
        if self._held:  # nothing was ever spilled, and there is but one bucket
            records = np.concatenate([records for records, _ in self._held])
            self._held.clear()
            return records
        prefixes = np.flatnonzero((self.buckets() == bucket) & (self._rows > 0))
        records = np.empty(self._rows[prefixes].sum(), dtype=self._dtype)
        first = 0
        for prefix in prefixes.tolist():
            last = first + int(self._rows[prefix])
            with self._file(prefix).open("rb") as file:
                file.readinto(records[first:last].view(np.uint8).data)
            self._file(prefix).unlink()
            first = last
        return records

    def _spill(self) -> None:
        for records, prefixes in self._held:
            order = np.argsort(prefixes, kind="stable")
            ends = np.cumsum(np.bincount(prefixes, minlength=_PREFIXES))
            parts = np.split(records[order], ends[:-1])
            for prefix, part in enumerate(parts):
                if len(part):
                    with self._file(prefix).open("ab") as file:
                        file.write(part.view(np.uint8).data)
        self._held.clear()

    def _file(self, prefix: int) -> Path:
        return self._folder / f"{prefix:02x}.records"
