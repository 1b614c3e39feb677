"""
Autoencoders of ratings, trained by themselves before the rest of the model.

Of each history some ratings, any share of them, are read, and the others are predicted from what those add up to. One
reading serves for all of the others, so a pass over the ratings takes a fraction of what one of the whole model does,
and an autoencoder has seen them more than twenty times when that begins to learn how far to trust it.
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
from modeling.film_token_gpt2.autoencoders import RatingAutoencoder
from training.schedule import warmup_and_cosine

PASSES = 24
USERS_PER_STEP = 256
RATINGS_PER_USER = 600  # or so, drawn anew in every pass from longer histories
LEARNING_RATE, WARMUP_STEPS, BETAS = 6e-3, 50, (0.9, 0.99)
DROPOUT = 0.3  # of the numbers in users' vectors
# Spread of the films' vectors and of what ratings add at the beginning, and the weights of their products.
INITIAL_SPREAD, INITIAL_WEIGHT = 0.1, 0.3


def fit_autoencoders(
    model: FilmTokenGPT2Model,
    histories: Histories,
    *,
    passes: int = PASSES,
    seconds: float = math.inf,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """
    Train a new model's autoencoders, in place, each without the users that are to be unseen by it.

    Args:
        model (`FilmTokenGPT2Model`): with its film tables.
        histories (`Histories`): of training users.
        passes (`int`): over the users.
        seconds (`float`): the longest it may take; where that ends it, the learning rate falls by the clock.
        seed (`int`): of all draws.
        progress: called after every pass of every autoencoder.
    """
    members = len(model.autoencoders)
    users = np.arange(len(histories)) % members
    for index, autoencoder in enumerate(model.autoencoders):
        examples = _Examples(model, autoencoder, histories.of(users != index), seed=seed + index)
        examples.fit(passes, seconds / members, progress)


class _Examples:
    """The ratings of some users, one user after the other, as an autoencoder learns from them."""

    def __init__(self, model: FilmTokenGPT2Model, autoencoder: RatingAutoencoder, histories: Histories, seed: int):
        self.autoencoder = autoencoder
        self.draw = torch.Generator().manual_seed(seed)
        self.device = model.device
        self.lengths, self.films, self.ratings = (
            torch.from_numpy(column.astype(np.int64)).to(self.device)
            for column in (histories.lengths(), histories.film_indices, histories.ratings)
        )
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.intercepts = model.film_factors[:, 0]
        self.trust = model.film_trust()[:, None]

    def fit(self, passes: int, seconds: float, progress: Callable[[], None]) -> None:
        """As in `fit_autoencoders`, one of them."""
        self._start()
        weights = [parameter.requires_grad_() for parameter in self.autoencoder.parameters()]
        optimizer = torch.optim.Adam(weights, betas=BETAS, fused=True)
        steps_per_pass = -(-len(self.lengths) // USERS_PER_STEP)
        begun = time.monotonic()
        for step in range(passes * steps_per_pass):
            if step % steps_per_pass == 0:
                shuffled = torch.randperm(len(self.lengths), generator=self.draw).split(USERS_PER_STEP)
            over = max(step / (passes * steps_per_pass), (time.monotonic() - begun) / seconds)
            if over >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * warmup_and_cosine(step, WARMUP_STEPS, over)
            loss = self.loss(shuffled[step % steps_per_pass])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if (step + 1) % steps_per_pass == 0:
                progress()
        optimizer.zero_grad()
        self.autoencoder.requires_grad_(False)

    @torch.no_grad()
    def _start(self) -> None:
        one = self.autoencoder
        for table in (one.rated, one.chosen, one.vectors, one.event_rating):
            table.weight.copy_(torch.randn(table.weight.shape, generator=self.draw) * INITIAL_SPREAD)
        one.deviation_head.weight.fill_(INITIAL_WEIGHT)

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
        deviations = ratings - self.intercepts[films]

        # What `RatingAutoencoder.events` says, summed as it is looked up.
        one, counts = self.autoencoder, torch.bincount(rows[read], minlength=len(users))
        offsets = counts.cumsum(0) - counts
        rated, chosen, vectors = (self.trust * table.weight for table in (one.rated, one.chosen, one.vectors))
        sums = (
            F.embedding_bag(films[read], rated, offsets, mode="sum", per_sample_weights=deviations[read] / 2)
            + F.embedding_bag(films[read], chosen, offsets, mode="sum")
            + F.embedding_bag(ratings[read] - 1, one.event_rating.weight, offsets, mode="sum")
        )
        towers = one(sums, counts)
        towers = towers * (self._random(*towers.shape) >= DROPOUT) / (1 - DROPOUT)
        # `F.embedding`, as the gradient of indexing takes much longer on CPUs.
        met = F.embedding(rows[~read], towers), F.embedding(films[~read], vectors)
        errors = one.deviations(*met) - deviations[~read]
        return errors.square().sum() / max(1, len(errors))  # a few short histories may have been read whole

    def _chance(self, chances: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Which of some ratings, each of user `rows`, a coin falls on, `(ratings,)`; chances are users'."""
        return self._random(len(rows)) < chances[rows]

    def _random(self, *shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=self.draw).to(self.device)
