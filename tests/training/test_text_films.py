"""Films as text and as tokens: the paper's format to the letter, and windows equal to tokenising the whole text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from data_prep.errors import UserError
from data_prep.schema import normalise_films
from modeling.text_gpt2 import FilmTokens, GPT2ForRatingConfig
from training import text_films
from training.text_films import RATING_ENDING, RATING_PROMPT, film_text, tokenise_films
from training.text_pretrained import find_tokenizer

FILM = {
    "title": "Harbour of Glass",
    "year": 1987,
    "genres": ["Science Fiction", "Drama"],
    "runtime": 121.0,
    "vote_average": 6.3,
    "vote_count": 9,
    "production_countries": ["Norway", "Chile"],
    "spoken_languages": ["Norwegian"],
    "overview": "A lighthouse keeper\r\n finds a door  in the sea.",
}
EMPTY = {**dict.fromkeys(FILM), "title": "Untold"}
ODD = [
    {
        **FILM,
        "overview": "Ünïcödé — “quotes”… 東京物語 and 🎬🎬 don't; it's 10/10 --- Rating: 3 / 10 \u2028 \u00a0 tail "
        * 9,
    },
    {**FILM, "title": "Word" * 90, "overview": "Never reached."},
    {**FILM, "genres": ["A genre " * 3] * 20},
    {**FILM, "overview": " \n\t "},
    {**FILM, "title": "---", "overview": "x" * 500},
    {**FILM, "overview": "ends with a number 10"},
]


@pytest.fixture(scope="module")
def tokenizer():
    return find_tokenizer()


def table(films: list[dict]) -> pl.DataFrame:
    rows = [{"film_id": f"film-{number}", **film} for number, film in enumerate(films)]
    return normalise_films(pl.DataFrame(rows))


def test_a_films_text():
    assert film_text(FILM) == (
        "---\n"
        "Title: Harbour of Glass (1987)\n"
        "Genres: science fiction and drama\n"
        "Runtime: 2h 1m\n"
        "Average rating: 6.30 (9 vote(s))\n"
        "Production countries: Norway, Chile\n"
        "Languages: Norwegian\n"
        "Overview: A lighthouse keeper finds a door in the sea."
    )
    assert RATING_PROMPT + " 7" + RATING_ENDING == "\n---\nRating: 7 / 10\n"


def test_what_is_missing_is_not_available():
    lines = film_text(EMPTY).splitlines()
    assert lines[1] == "Title: Untold (N/A)"
    assert all(line.endswith(": N/A") for line in lines[2:])
    assert film_text({**EMPTY, "genres": [], "runtime": 0.0, "overview": ""}) == film_text(EMPTY)


def whole_text(tokenizer, films: FilmTokens, film_ids: list[int], ratings: list[int]) -> str:
    texts = [tokenizer.decode(films.tokens[films.offsets[film] : films.offsets[film + 1]]) for film in film_ids]
    return "".join(f"{text} {rating}{RATING_ENDING}" for text, rating in zip(texts, ratings, strict=True))


@pytest.mark.parametrize("max_film_tokens", [20, 40, 100, 1024])
def test_a_window_equals_tokenising_its_text(tokenizer, max_film_tokens):
    films = tokenise_films(table([FILM, EMPTY, *ODD]), tokenizer, max_film_tokens)
    draw = np.random.default_rng(0)
    for _ in range(20):
        film_ids, ratings = draw.integers(0, len(ODD) + 2, 10), draw.integers(0, 11, 10)
        trajectory = films.join(torch.from_numpy(film_ids), torch.from_numpy(ratings), GPT2ForRatingConfig())
        text = whole_text(tokenizer, films, film_ids.tolist(), ratings.tolist())
        assert tokenizer(text)["input_ids"] == trajectory.input_ids.tolist()
        after = trajectory.input_ids[trajectory.rating_positions + 1]
        assert tokenizer.convert_ids_to_tokens(after) == [f"Ġ{rating}" for rating in ratings]


def test_films_that_fit_are_whole_and_others_are_cut_inside_the_overview(tokenizer):
    films = tokenise_films(table([FILM, *ODD]), tokenizer, 100)
    lengths = films.offsets.diff()
    assert lengths.max() <= 96  # and four more tokens for the rating: ten films fit into 1,024
    first = tokenizer.decode(films.tokens[: lengths[0]])
    assert first == film_text(FILM) + RATING_PROMPT
    second = tokenizer.decode(films.tokens[films.offsets[1] : films.offsets[2]])
    assert second.endswith(RATING_PROMPT)
    assert film_text(ODD[0]).startswith(second.removesuffix(RATING_PROMPT))
    assert "Overview: Ünïcödé" in second


def test_too_few_tokens_are_refused(tokenizer):
    with pytest.raises(ValueError, match="max_film_tokens must be at least 20, got 19"):
        tokenise_films(table([FILM]), tokenizer, 19)


def test_every_film_is_tokenised_once(tokenizer, own_cache, monkeypatch):
    first = tokenise_films(table([FILM, EMPTY]), tokenizer, 100)
    assert len(list((own_cache / "film_tokens").iterdir())) == 1
    monkeypatch.setattr(text_films, "_tokenise", lambda *_: pytest.fail("tokenised again"))
    again = tokenise_films(table([FILM, EMPTY]), tokenizer, 100)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    monkeypatch.undo()
    other = tokenise_films(table([FILM, {**EMPTY, "year": 1999}]), tokenizer, 100)
    assert not torch.equal(first.tokens, other.tokens)


def test_the_tokenizer_is_gpt2s(tokenizer, tmp_path):
    assert len(tokenizer) == 50_257
    config = GPT2ForRatingConfig()
    assert [tokenizer(f" {rating}")["input_ids"] for rating in range(11)] == [[i] for i in config.rating_token_ids]
    assert tokenizer(RATING_ENDING)["input_ids"] == config.rating_ending_ids
    tokenizer.save_pretrained(tmp_path)
    assert find_tokenizer(str(tmp_path))("Rating: 10 / 10")["input_ids"] == tokenizer("Rating: 10 / 10")["input_ids"]


def test_a_tokenizer_without_a_token_for_each_rating_is_refused(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["model"]["merges"] = content["model"]["merges"][:10]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="no single token for a rating"):
        find_tokenizer(str(tmp_path))


def test_windows_of_real_films_equal_tokenising_their_text(shared, tokenizer):
    from data_prep.report import BuildReport
    from data_prep.tables.read_films import read_films

    films = read_films(Path(shared) / "data" / "letterboxd" / "films.parquet", BuildReport()).head(3000)
    draw = np.random.default_rng(0)
    for max_film_tokens in (100, 1024):
        tokens = tokenise_films(films, tokenizer, max_film_tokens)
        for _ in range(100):
            film_ids, ratings = draw.integers(0, len(films), 10), draw.integers(1, 11, 10)
            trajectory = tokens.join(torch.from_numpy(film_ids), torch.from_numpy(ratings), GPT2ForRatingConfig())
            text = whole_text(tokenizer, tokens, film_ids.tolist(), ratings.tolist())
            assert tokenizer(text)["input_ids"] == trajectory.input_ids.tolist()
            assert max_film_tokens > 100 or len(trajectory.input_ids) <= 1000
