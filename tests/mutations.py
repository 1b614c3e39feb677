"""Damage to files, for tests of what reads them: reproducible from a seed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

_ODD = (
    b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", "\u202e".encode(), "\U0001f3ac".encode(), "½★".encode(),
    b"-1", b"0", b"11", b"99999999999999999999", b"1e999", b"NaN", b"null", b"2026-02-30", b"\r\n", b'"', b"'", b"<",
    b">", b"&", b"&#x110000;", b"<b>", b"</div>", b"<table>", b"<!--", b"<script>", b"<li class=griditem>", b"{", b"[",
    b"]]>", b"<![CDATA[", b"<!DOCTYPE x [", b",", b";",
)  # fmt: skip
_ATTRIBUTE = re.compile(rb'\s[\w:-]{1,40}="[^"]{0,2000}"')


def mutate(seeds: Sequence[bytes], number: int) -> bytes:
    """Case `number` of the damage to `seeds`: one of them with one to eight injuries, each of a random sort."""
    chance = random.Random(number)
    data = chance.choice(seeds)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        data = chance.choice(_INJURIES)(data, chance, seeds)
    return data


def _flip(data: bytes, chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 4, 40))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _delete(data: bytes, chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    start, end = _span(data, chance)
    return data[:start] + data[end:]


def _duplicate(data: bytes, chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    start, end = _span(data, chance)
    return data[:end] + data[start:end] * chance.choice((1, 2, 30)) + data[end:]


def _truncate(data: bytes, chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _splice(data: bytes, chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    other = chance.choice(seeds)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def _insert(data: bytes, chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.choice(_ODD) * chance.choice((1, 1, 3, 300)) + data[place:]


def _replace_number(data: bytes, chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    found = list(re.finditer(rb"[0-9]+", data))
    if not found:
        return data
    match = chance.choice(found)
    return data[: match.start()] + chance.choice(_ODD) + data[match.end() :]


def _remove_attribute(data: bytes, chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One attribute, or all of that name: what a change of the markup looks like."""
    found = list(_ATTRIBUTE.finditer(data))
    if not found:
        return data
    match = chance.choice(found)
    if chance.random() < 0.5:
        return data[: match.start()] + data[match.end() :]
    return data.replace(match[0].partition(b"=")[0] + b"=", b" data-gone=")


def _span(data: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.choice((1, 10, 100, 3_000)))


_INJURIES: tuple[Callable[[bytes, random.Random, Sequence[bytes]], bytes], ...] = (
    _flip,
    _delete,
    _duplicate,
    _truncate,
    _splice,
    _insert,
    _replace_number,
    _remove_attribute,
)
