"""Files that are no export, damaged or hostile: each is one clear `UserError`, and nothing is written."""

from __future__ import annotations

import io
import json
import os
import stat
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.errors import UserError
from data_prep.matching import Match, TitleMatcher
from data_prep.member import archive, export
from data_prep.member.export import main, read_export, read_history
from tests.data_prep.member.export_cases import DIARY, FILMS, HEAT, RATINGS, WATCHED, adds_up, rows, zipped
from tests.data_prep.member.feed_cases import entry, feed

SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def lying_bomb() -> bytes:
    """30 MB of zeros in ratings.csv that both of its headers declare as 100 bytes."""
    data = zipped({"ratings.csv": RATINGS.encode() + b"0" * 30_000_000})
    size = len(RATINGS) + 30_000_000
    assert data.count(size.to_bytes(4, "little")) == 2
    return data.replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))


def symlink() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        info = zipfile.ZipInfo("ratings.csv")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        target.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped({"ratings.csv": RATINGS}))
    data[6] |= 1  # local header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # central header
    return bytes(data)


def bad_crc() -> bytes:
    return zipped({"ratings.csv": RATINGS + HEAT}, zipfile.ZIP_STORED).replace(b"Heat", b"Beat")


GOOD = zipped({"ratings.csv": RATINGS + HEAT})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.zip", b"", "the file is empty"),
        ("empty.csv", b"", "the file is empty"),
        ("blank.csv", b"\r\n \r\n", "not even a header"),
        ("nul.csv", b"\0" * 5000, "nothing but NUL bytes"),
        ("text.zip", b"hello", "not a ZIP archive, it starts with 'hello'"),
        ("a.pdf", b"%PDF-1.7\n\x00\xff\xfe stream", "the first line is '%PDF-1.7'"),
        ("binary", bytes(range(256)) * 9, "expected Date,Name,Year"),
        (
            "kaggle.csv",
            b"_id,movie_id,rating_val,user_id\n1,a,2,b\n",
            "the first line is '_id,movie_id,rating_val,user_id'",
        ),
        ("reviews.csv", DIARY.strip().encode() + b",Review\n", "this is a reviews.csv"),
        ("watched.csv", WATCHED.encode(), "no Rating column"),
        ("long.csv", RATINGS.encode() + b"x" * 200_000, "has more than 131,072 letters"),
        ("quote.csv", RATINGS.encode() + b'2022-01-01,"' + b"never closed\n" * 20_000, "unclosed quotation mark"),
        ("huge.csv", b"x" * 20_000_001, "larger than 20 MB"),
        ("rows.csv", RATINGS.encode() + b"2022-01-01,Heat,1995,u,4\n" * 100_001, "more than 100,000 rows"),
        ("no-members.zip", zipped({}), "the ZIP archive is empty"),
        ("other.zip", zipped({"readme.txt": "hi"}), "neither ratings.csv nor diary.csv"),
        ("deleted.zip", zipped({"deleted/diary.csv": DIARY}), "neither ratings.csv nor diary.csv"),
        ("deep.zip", zipped({"a/b/ratings.csv": RATINGS}), "neither ratings.csv nor diary.csv"),
        ("two.zip", zipped({"a/ratings.csv": RATINGS, "b/ratings.csv": RATINGS}), "neither ratings.csv nor diary.csv"),
        ("many.zip", zipped({f"{n}": "" for n in range(10_000)}), "more than 2,000 members"),
        ("climb.zip", zipped({"../ratings.csv": RATINGS, "ratings.csv": RATINGS}), "points out of the archive"),
        ("absolute.zip", zipped({"/etc/ratings.csv": RATINGS}), "points out of the archive"),
        ("drive.zip", zipped({"C:/ratings.csv": RATINGS}), "points out of the archive"),
        ("backslash.zip", zipped({"..\\ratings.csv": RATINGS}), "points out of the archive"),
        ("symlink.zip", symlink(), "points out of the archive"),
        ("encrypted.zip", encrypted(), "is encrypted"),
        ("lzma.zip", zipped({"ratings.csv": RATINGS}, zipfile.ZIP_LZMA), "packed by an unusual method"),
        ("crc.zip", bad_crc(), "damaged"),
        ("cut.zip", GOOD[:-30], "damaged"),
        ("lies.zip", lying_bomb(), "damaged"),
        ("large.zip", zipped({"ratings.csv": b"0" * 20_000_001}), "larger than 20 MB"),
        ("nul.zip", zipped({"ratings.csv": b"\0" * 900}), "nothing but NUL bytes"),
        ("header.zip", zipped({"ratings.csv": WATCHED, "diary.csv": "a,b\n"}), "no Rating column"),
        ("broken.json", b'{"history": [', "broken JSON"),
        ("deep.json", b"[" * 200_000, "broken JSON"),
        ("list.json", b"[]", "another JSON than expected"),
        ("other.json", b'{"films": []}', "another JSON than expected"),
        ("entry.json", b'{"history": [{"film": "heat", "rating": 3}]}', "entry 1 of history"),
        ("date.json", b'{"history": [{"film_id": "heat", "rating": 3, "date": "1/2/2020"}]}', "1/2/2020"),
        ("watched.json", b'{"history": [], "watched": [1]}', "watched is no list of film ids"),
        ("unmatched.json", b'{"history": [], "unmatched": [{}]}', "unmatched is no list of rows"),
        (
            "rejected.json",
            b'{"history": [], "rejected": [{"file": "a", "row": [1], "value": "", "reason": ""}]}',
            "rejected is no list of rows",
        ),
    ],
)
def test_wrong_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    started = time.perf_counter()
    with pytest.raises(UserError) as raised:
        read_history(path, FILMS)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert time.perf_counter() - started < 3
    assert os.listdir(tmp_path) == [name]


def test_wrong_places(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_export(tmp_path / "absent.zip", FILMS)
    with pytest.raises(UserError, match="no such file"):
        read_history("nul\0byte", FILMS)
    with pytest.raises(UserError, match=r"neither ratings\.csv nor diary\.csv"):
        read_export(tmp_path, FILMS)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="neither a file nor a folder"):
        read_history(tmp_path / "pipe", FILMS)


def test_the_export_is_not_overwritten(tmp_path: Path) -> None:
    ratings = tmp_path / "ratings.csv"
    ratings.write_bytes((RATINGS + HEAT).encode())
    for source in (ratings, tmp_path):
        with pytest.raises(UserError, match="this file is read"):
            main([str(source), "--data", "unread", "--out", str(ratings)])
    assert ratings.read_bytes() == (RATINGS + HEAT).encode()


def test_an_honest_bomb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    chunk = b"\0" * (1 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for number in range(2):
            with target.open(f"ratings{number or ''}.csv", "w") as member:
                for _ in range(55):  # 110 MB in all: enough to pass the limit, quick to make
                    member.write(chunk)
    with pytest.raises(UserError, match="MB when unpacked"):
        read_export(path, FILMS)


def test_the_budget_of_bytes_and_time(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(zipped(dict.fromkeys(archive.KNOWN_FILES, WATCHED + "x" * 900)))
    with pytest.raises(UserError, match="MB when unpacked"):
        archive.read_files(path, archive.Budget(path, bytes_left=2000))
    late = archive.Budget(path, deadline=time.monotonic() - 1)
    with pytest.raises(UserError, match="seconds to read"):
        late.take()


NAMES = [f"Film {number}" for number in range(40)]
LONG = {
    "ratings.csv": (RATINGS + rows(*(f"2024-01-01,{name},1990,u,4" for name in NAMES))).encode(),
    "history.json": json.dumps({"history": [{"title": name, "year": 1990, "rating": 8} for name in NAMES]}).encode(),
    "feed.xml": feed(*(entry(name, 1990, movie=None, slug=f"film-{i}") for i, name in enumerate(NAMES))),
}


@pytest.mark.parametrize("name", LONG)
def test_the_time_of_matching_counts(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name
    path.write_bytes(LONG[name])
    adds_up(read_history(path, FILMS))
    asked = []

    def slow(*_: object) -> Match:
        asked.append(time.sleep(0.05))
        return Match(None, "not in the catalogue")

    monkeypatch.setattr(archive, "MAX_SECONDS", 0.5)
    monkeypatch.setattr(TitleMatcher, "identify", slow)
    with pytest.raises(UserError, match="seconds to read"):
        read_history(path, FILMS)
    assert 0 < len(asked) <= 11


@pytest.mark.parametrize(("name", "parser"), [("history.json", "parse_history"), ("feed.xml", "parse_feed")])
def test_the_time_of_parsing_counts(tmp_path: Path, name: str, parser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name
    path.write_bytes(LONG[name])
    quick = getattr(export, parser)

    def slow(*arguments: object) -> object:
        time.sleep(0.2)
        return quick(*arguments)

    monkeypatch.setattr(archive, "MAX_SECONDS", 0.1)
    monkeypatch.setattr(export, parser, slow)
    with pytest.raises(UserError, match="seconds to read"):
        read_history(path, FILMS)


def test_what_belongs_to_the_catalogue_takes_none_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ratings.csv"
    path.write_bytes((RATINGS + HEAT).encode())
    prepare = TitleMatcher.prepare
    monkeypatch.setattr(archive, "MAX_SECONDS", 0.2)
    monkeypatch.setattr(TitleMatcher, "prepare", lambda matcher: (time.sleep(0.3), prepare(matcher)))
    assert read_export(path, FILMS).history


def test_a_title_without_end_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_text(json.dumps({"history": [{"title": "a" * 10_000_000, "year": 1990, "rating": 8}]}))
    started = time.monotonic()
    with pytest.raises(UserError, match="entry 1 of history"):
        read_history(path, FILMS)
    assert time.monotonic() - started < 3


@SLOW
@given(
    data=st.binary(max_size=300), start=st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", RATINGS.encode(), b"{"])
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes, start: bytes) -> None:
    refused_or_adding_up(tmp_path / "any", start + data)


@settings(SLOW, max_examples=300)
@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6), cut=st.integers(0, 40))
def test_any_damage_to_a_zip_is_read_or_refused(tmp_path: Path, changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(zipped({"ratings.csv": RATINGS + rows(HEAT), "watched.csv": WATCHED, "x/y": "z"}))
    for position, byte in changes:
        data[position % len(data)] = byte
    refused_or_adding_up(tmp_path / "any.zip", bytes(data[: len(data) - cut]))


def refused_or_adding_up(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        found = read_history(path, FILMS)
    except UserError:
        return
    adds_up(found)
