"""User names become keyed hashes. The key stays with the person who builds: without it nobody can test a name."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from data_prep.errors import UserError

KEY_BYTES = 32
KEYED_HASH = re.compile("[0-9a-f]{32}")


def config_folder() -> Path:
    """The user's configuration folder for this program; `REEL_CONFIG_DIR` overrides it."""
    override = os.environ.get("REEL_CONFIG_DIR")
    return Path(override) if override else platformdirs.user_config_path("reel-recommendations")


def cache_folder() -> Path:
    """The user's cache folder for this program; `REEL_CACHE_DIR` overrides it."""
    override = os.environ.get("REEL_CACHE_DIR")
    return Path(override) if override else platformdirs.user_cache_path("reel-recommendations")


def user_key() -> bytes:
    """The 32 secret bytes that user names are hashed with: made on first use and kept, readable by the user alone.

    Raises:
        UserError: when the configuration folder cannot be written, or the key file has been damaged.
    """
    path = config_folder() / "user_id.key"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
            try:
                os.link(fresh, path)  # fails when another process was first: then its key is the key
            except FileExistsError:
                pass
            except OSError:  # file systems without hard links
                os.replace(fresh, path)
            fresh.unlink(missing_ok=True)
        key = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: the key for user names cannot be kept there ({error.strerror}); set REEL_CONFIG_DIR to a folder "
            "you can write"
        ) from error
    if len(key) != KEY_BYTES:
        raise UserError(
            f"{path}: {len(key)} bytes where a key of {KEY_BYTES} is expected; delete it to make a new one"
        )
    return key


def hash_users(user_ids: Sequence[str], key: bytes) -> list[str]:
    """Keyed BLAKE2b of each name, as 32 hexadecimal characters."""
    return [hashlib.blake2b(user_id.encode(), key=key, digest_size=16).hexdigest() for user_id in user_ids]
