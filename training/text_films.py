"""Films as the text that a GPT-2 reads (section 5.3 of the paper), tokenised once."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import torch
from rich.console import Console
from rich.progress import track
from transformers import PreTrainedTokenizerBase

from data_prep.folders import new_file
from data_prep.user_keys import cache_folder
from modeling.text_gpt2 import FilmTokens

MISSING = "N/A"
RATING_PROMPT = "\n---\nRating:"
RATING_ENDING = " / 10\n"
TEXT_COLUMNS = (
    "title",
    "year",
    "genres",
    "runtime",
    "vote_average",
    "vote_count",
    "production_countries",
    "spoken_languages",
    "overview",
)
FEWEST_FILM_TOKENS = 20  # that leave room for any text beside the format
FILMS_AT_ONCE = 1000


def film_text(film: Mapping[str, Any]) -> str:
    """
    What a film's block says before `RATING_PROMPT`. The average rating is TMDB's, never one of the data set's ratings.

    Args:
        film (`Mapping`): the columns `TEXT_COLUMNS` of a data set's films.
    """
    year = MISSING if film["year"] is None else film["year"]
    votes = MISSING if film["vote_count"] is None else film["vote_count"]
    average = MISSING if film["vote_average"] is None else f"{film['vote_average']:.2f} ({votes} vote(s))"
    minutes = round(film["runtime"] or 0)
    lines = {
        "Title": f"{_plain(film['title'])} ({year})",
        "Genres": " and ".join(map(_plain, film["genres"] or ())).lower() or MISSING,
        "Runtime": f"{minutes // 60}h {minutes % 60}m" if minutes else MISSING,
        "Average rating": average,
        "Production countries": ", ".join(map(_plain, film["production_countries"] or ())) or MISSING,
        "Languages": ", ".join(map(_plain, film["spoken_languages"] or ())) or MISSING,
        "Overview": _plain(film["overview"]),
    }
    return "---\n" + "\n".join(f"{name}: {value}" for name, value in lines.items())


def _plain(text: str | None) -> str:
    """On one line, with single spaces: line breaks belong to the format."""
    return " ".join((text or "").split()) or MISSING


def tokenise_films(films: pl.DataFrame, tokenizer: PreTrainedTokenizerBase, max_film_tokens: int) -> FilmTokens:
    """
    The films' texts as tokens, each tokenised once on a machine: what was made is kept in the cache folder.

    Args:
        films (`pl.DataFrame`): with the columns `TEXT_COLUMNS`.
        tokenizer (`PreTrainedTokenizerBase`): a fast one.
        max_film_tokens (`int`): tokens of a film's whole block, `---` to `/ 10`, at most. Longer ones are cut at the
            end of a word of the overview, which comes last.

    Raises:
        ValueError: when there are fewer tokens than `FEWEST_FILM_TOKENS`.
    """
    if max_film_tokens < FEWEST_FILM_TOKENS:
        raise ValueError(f"max_film_tokens must be at least {FEWEST_FILM_TOKENS}, got {max_film_tokens}")
    limit = max_film_tokens - 1 - len(_tokens(tokenizer, RATING_ENDING))  # the rating is one token
    texts = [film_text(film) for film in films.select(TEXT_COLUMNS).iter_rows(named=True)]
    kept = cache_folder() / "film_tokens" / f"{_digest(texts, tokenizer, limit)}.arrow"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        _write(kept, _tokenise(texts, tokenizer, limit))
    return _read(kept)


def _tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text)["input_ids"]


def _digest(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, limit: int) -> str:
    digest = hashlib.blake2b(f"{limit}\0{RATING_PROMPT}\0".encode(), digest_size=16)
    digest.update(tokenizer.backend_tokenizer.to_str().encode())  # type: ignore[attr-defined]
    digest.update("\0".join(texts).encode())
    return digest.hexdigest()


def _tokenise(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, limit: int) -> list[np.ndarray]:
    """Tokens of every text with `RATING_PROMPT` after it, `limit` at most; int32."""
    prompt, newline = _tokens(tokenizer, RATING_PROMPT), _tokens(tokenizer, "\n")
    tokens = []
    starts = range(0, len(texts), FILMS_AT_ONCE)
    console = Console(file=sys.stderr)
    for start in track(starts, "tokenising films", console=console, transient=True, disable=len(starts) < 5):
        encodings = tokenizer(list(texts[start : start + FILMS_AT_ONCE])).encodings
        for encoding in encodings or ():
            ids, words = encoding.ids, encoding.word_ids
            end = limit - len(prompt)
            if len(ids) > end:  # a word's first tokens would not be the tokens of what is left of it
                while words[end - 1] == words[end] or ids[end - 1] in newline:
                    end -= 1
            tokens.append(np.array(ids[:end] + prompt, dtype=np.int32))
    return tokens


def _write(file: Path, tokens: list[np.ndarray]) -> None:
    offsets = np.cumsum([0, *map(len, tokens)])
    column = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(np.concatenate(tokens)))
    table = pa.table({"tokens": column})
    with new_file(file) as building, pa.ipc.new_file(str(building), table.schema) as writer:
        writer.write_table(table)


def _read(file: Path) -> FilmTokens:
    with pa.memory_map(str(file)) as source:
        (column,) = pa.ipc.open_file(source).read_all()["tokens"].chunks
        return FilmTokens(
            torch.from_numpy(column.values.to_numpy().copy()), torch.from_numpy(column.offsets.to_numpy().copy())
        )
