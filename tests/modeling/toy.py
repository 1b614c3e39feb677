"""A small film-token GPT-2 with all its weights away from zero, and histories for it."""

from __future__ import annotations

import torch

from modeling.film_token_gpt2 import FilmTokenGPT2Config, FilmTokenGPT2Model

NUM_FILMS = 30


def toy_model(seed: int = 0, **settings) -> FilmTokenGPT2Model:
    torch.manual_seed(seed)
    shape = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "factor_size": 3,
        "tower_size": 6,
        "content_size": 4,
        "company_size": 2,
        **settings,
    }
    model = FilmTokenGPT2Model(FilmTokenGPT2Config(num_films=NUM_FILMS, num_features=5, **shape))
    known = 5 + model.config.company_size
    model.set_film_tables(
        torch.randn(NUM_FILMS, known),
        torch.randint(0, 20, (NUM_FILMS, 10)).float(),
        *toy_factors(NUM_FILMS, known, model.config),
        torch.randn(5 + 1, model.config.company_size),
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        model.restraint.copy_(torch.randn_like(model.restraint) * 0.2)
        model.opening.fill_(0.6)
    return model.eval()


def toy_factors(num_films: int, known: int, config: FilmTokenGPT2Config) -> tuple[torch.Tensor, ...]:
    """Intercepts around 6, loadings, choices and noise variances above 1; weights by which the numbers `known` of a
    film guess them; and their weights in films' places."""
    size = config.factor_size
    factors = torch.randn(num_films, 2 * size + 2) * 0.3
    weights = torch.randn(known + 1, 2 * size + 2) * 0.01
    for offsets in (factors, weights[0]):
        offsets[..., 0] += 6
        offsets[..., -1] = offsets[..., -1].abs() + 1
    return factors, weights, torch.randn(known + 1, config.content_size)


def toy_history(length: int, batch: int = 2, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    films = torch.randint(0, NUM_FILMS, (batch, length), generator=draw)
    return films, torch.randint(1, 11, (batch, length), generator=draw)
