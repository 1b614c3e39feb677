"""
The user's tower before the rest of the model: trained by itself, as an autoencoder of ratings.

Of each history some ratings, any share of them, are read, and the others are predicted from what those add up to. One
reading serves for all of the others, so a pass over the ratings takes a fraction of what one of the whole model does,
and the tower has seen them more than twenty times when that has begun.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from data_prep.dataset import Histories
from modeling.film_token_gpt2 import FilmTokenGPT2Model
from training.schedule import warmup_and_cosine

PASSES = 24
LEAST_USERS = 20_000  # with 537 and 10,000 it made the model worse, with 40,002 better
USERS_PER_STEP = 256
RATINGS_PER_USER = 600  # or so, drawn anew in every pass from longer histories
LEARNING_RATE, WARMUP_STEPS, BETAS = 6e-3, 50, (0.9, 0.99)
DROPOUT = 0.3  # of the numbers in users' vectors
# Spread of the films' vectors and of what ratings add at the beginning, and the weights of their products.
INITIAL_SPREAD, INITIAL_WEIGHT = 0.1, 0.3
# How much the tower's expectation counts when the rest of the model begins to learn.
HEED = 0.15


def fit_user_tower(
    model: FilmTokenGPT2Model,
    histories: Histories,
    intercepts: torch.Tensor,
    *,
    passes: int = PASSES,
    seconds: float = math.inf,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """
    Train a new model's tower, and films' own vectors, in place.

    Args:
        model (`FilmTokenGPT2Model`): with its film tables.
        histories (`Histories`): of training users.
        intercepts (`torch.Tensor` of shape `(folds, films)`): films' intercepts without the ratings of every
            `folds`-th user.
        passes (`int`): over the users.
        seconds (`float`): the longest it may take; where that ends it, the learning rate falls by the clock.
        seed (`int`): of all draws.
        progress: called after every pass.
    """
    draw = torch.Generator().manual_seed(seed)
    tower, size = model.user_tower, model.config.tower_size
    # Of every film what having been rated adds, what having been chosen adds, and what it is met by: apart while they
    # learn, which is faster than as the thirds of one table.
    tables = [torch.randn(model.config.num_films, size, generator=draw) * INITIAL_SPREAD for _ in range(3)]
    tables = [table.to(model.device).requires_grad_() for table in tables]
    with torch.no_grad():
        events = tower.event_rating.weight
        events.copy_(torch.randn(events.shape, generator=draw) * INITIAL_SPREAD)
        tower.deviation_head.weight.fill_(INITIAL_WEIGHT)
        # Tokens are not trained here: what the tower is to read of them starts at zero.
        for layer in (tower.event_projection, model.vector_projection):
            for weights in layer.parameters():
                weights.zero_()
        model.tower_weights.copy_(torch.tensor([HEED, 0.0]))
    examples = _Examples(model, tables, histories, intercepts, draw)
    optimizer = torch.optim.Adam([*tables, *tower.parameters()], betas=BETAS, fused=True)
    steps_per_pass = -(-len(histories) // USERS_PER_STEP)
    begun = time.monotonic()
    for step in range(passes * steps_per_pass):
        if step % steps_per_pass == 0:
            shuffled = torch.randperm(len(histories), generator=draw).split(USERS_PER_STEP)
        over = max(step / (passes * steps_per_pass), (time.monotonic() - begun) / seconds)
        if over >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * warmup_and_cosine(step, WARMUP_STEPS, over)
        loss = examples.loss(shuffled[step % steps_per_pass])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % steps_per_pass == 0:
            progress()
    model.zero_grad()
    with torch.no_grad():
        model.vector_embedding.weight.copy_(torch.cat(tables, dim=1))


class _Examples:
    """All training ratings, one user after the other, and what the tower makes of some users'."""

    def __init__(
        self,
        model: FilmTokenGPT2Model,
        tables: list[torch.Tensor],
        histories: Histories,
        intercepts: torch.Tensor,
        draw: torch.Generator,
    ):
        self.tower, self.tables, self.draw = model.user_tower, tables, draw
        self.device = model.device
        self.lengths, self.films, self.ratings = (
            torch.from_numpy(column.astype(np.int64)).to(self.device)
            for column in (histories.lengths(), histories.film_indices, histories.ratings)
        )
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.intercepts = intercepts.to(self.device)
        self.trust = model.film_trust(leave_one_out=True)[:, None]

    def loss(self, users: torch.Tensor) -> torch.Tensor:
        """Mean squared error, in points of ten, of those ratings of `users` (batch,) that are not read."""
        users = users.to(self.device)
        lengths = self.lengths[users]
        rows = torch.repeat_interleave(lengths)
        places = (
            self.starts[users][rows]
            + torch.arange(len(rows), device=self.device)
            - (lengths.cumsum(0) - lengths)[rows]
        )
        kept = self._chance(RATINGS_PER_USER / lengths.clamp(min=1), rows)
        rows, places = rows[kept], places[kept]
        read = self._chance(self._random(len(users)), rows)
        films, ratings = self.films[places], self.ratings[places]
        deviations = ratings - self.intercepts[users[rows] % len(self.intercepts), films]

        counts = torch.bincount(rows[read], minlength=len(users))
        offsets = counts.cumsum(0) - counts
        rated, chosen, vectors = (self.trust * table for table in self.tables)
        sums = (
            F.embedding_bag(films[read], rated, offsets, mode="sum", per_sample_weights=deviations[read] / 2)
            + F.embedding_bag(films[read], chosen, offsets, mode="sum")
            + F.embedding_bag(ratings[read] - 1, self.tower.event_rating.weight, offsets, mode="sum")
        )
        towers = self.tower(sums, counts)
        towers = towers * (self._random(*towers.shape) >= DROPOUT) / (1 - DROPOUT)
        # `F.embedding`, as the gradient of indexing takes much longer on CPUs.
        met = F.embedding(rows[~read], towers), F.embedding(films[~read], vectors)
        errors = self.tower.deviations(*met) - deviations[~read]
        return errors.square().sum() / max(1, len(errors))  # a few short histories may have been read whole

    def _chance(self, chances: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Which of some ratings, each of user `rows`, a coin falls on, `(ratings,)`; chances are users'."""
        return self._random(len(rows)) < chances[rows]

    def _random(self, *shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=self.draw).to(self.device)
