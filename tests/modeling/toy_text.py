"""A small text GPT-2 with its weights away from zero, over films of made-up tokens."""

from __future__ import annotations

import torch

from modeling.text_gpt2 import FilmTokens, GPT2ForRating, GPT2ForRatingConfig

NUM_FILMS, VOCABULARY = 20, 60
RATING_TOKENS = list(range(40, 51))


def toy_films(seed: int = 0, longest: int = 12) -> FilmTokens:
    """Texts of 3 to `longest` tokens below 40."""
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, longest + 1, (NUM_FILMS,), generator=draw)
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    return FilmTokens(torch.randint(0, 40, (int(offsets[-1]),), generator=draw, dtype=torch.int32), offsets)


def toy_text_model(films: FilmTokens | None = None, seed: int = 0, **settings) -> GPT2ForRating:
    films = films or toy_films()
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "n_positions": 256, **settings}
    config = GPT2ForRatingConfig(
        vocab_size=VOCABULARY,
        bos_token_id=None,
        eos_token_id=None,
        rating_token_ids=RATING_TOKENS,
        rating_ending_ids=[51, 52],
        num_films=NUM_FILMS,
        num_film_tokens=len(films.tokens),
        **shape,
    )
    torch.manual_seed(seed)
    model = GPT2ForRating(config)
    model.set_films(films)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def toy_ratings(length: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Different films and their ratings 1..10, `(length,)` each."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randperm(NUM_FILMS, generator=draw)[:length], torch.randint(1, 11, (length,), generator=draw)
