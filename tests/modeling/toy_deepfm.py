"""A small DeepFM with all its weights away from zero, and histories for it."""

from __future__ import annotations

import torch

from modeling.deepfm import DeepFMConfig, DeepFMModel

NUM_FILMS, NUM_FEATURES, NUM_USERS = 30, 5, 12


def toy_deepfm(seed: int = 0, **settings) -> DeepFMModel:
    torch.manual_seed(seed)
    shape = {"user_size": 3, "embedding_size": 4, "film_embeddings": 3, "user_embeddings": 2, "mlp_sizes": [8, 6]}
    config = DeepFMConfig(num_films=NUM_FILMS, num_features=NUM_FEATURES, num_users=NUM_USERS, **{**shape, **settings})
    model = DeepFMModel(config)
    model.set_tables(torch.randn(NUM_FILMS, NUM_FEATURES), torch.arange(10.0))
    size = config.user_size
    spread = torch.randn(size, size) * 0.3
    model.set_user_prior(torch.randn(size) * 0.3, torch.eye(size) + spread @ spread.T)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.set_film_audiences(torch.randn(NUM_FILMS, size) * 0.2)
    return model.eval()


def toy_histories(length: int, batch: int = 4, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    films = torch.randint(0, NUM_FILMS, (batch, length), generator=draw)
    return films, torch.randint(1, 11, (batch, length), generator=draw)
