"""The key that user names are hashed with."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from data_prep.errors import UserError
from data_prep.user_keys import hash_users, user_key


def test_the_key_is_made_once_and_kept_to_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REEL_CONFIG_DIR", str(tmp_path / "config"))
    key = user_key()
    assert len(key) == 32
    assert user_key() == key
    path = tmp_path / "config" / "user_id.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_hashes_depend_on_the_key() -> None:
    one, two = hash_users(["ann", "bob", "ann"], b"1" * 32), hash_users(["ann", "bob"], b"2" * 32)
    assert one[0] == one[2] != one[1]
    assert not set(one) & set(two)
    assert all(len(text) == 32 for text in one)


def test_a_damaged_key_and_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REEL_CONFIG_DIR", str(tmp_path))
    (tmp_path / "user_id.key").write_bytes(b"short")
    with pytest.raises(UserError, match="5 bytes where a key of 32"):
        user_key()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REEL_CONFIG_DIR", str(tmp_path / "file"))
    with pytest.raises(UserError, match="REEL_CONFIG_DIR"):
        user_key()
