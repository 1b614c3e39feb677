"""
What a person's ratings add up to, meeting films' own vectors: an expectation beside the process's.

An autoencoder of ratings (S. Sedhain et al., 2015, AutoRec) whose encoder is a sum, as in SVD++ (Y. Koren, 2008,
Factorization meets the neighborhood), read by a small network. After many passes over the ratings it knows much of
them by heart, and says far better things of people it has learned from than of others. So there are several, each
trained without some of the users, and the model, while it learns how far to trust them, hears of every training user
the one that has never seen that user.
"""

from collections.abc import Callable, Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

# Ratings of prior weight in a user's sum.
SUM_SHRINKAGE = 10.0
# A sum grows with the root of how many ratings it is of, up to as many as training practises by default; it is then a
# mean, as larger sums would be unlike any in training.
LONGEST_SUM = 256


class SumReader(nn.Module):
    """
    A small network that reads what ratings add up to.

    Args:
        size (`int`): of what each rating adds, and of what comes out.
    """

    def __init__(self, size: int):
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.up_projection = nn.Linear(size, 2 * size)
        self.down_projection = nn.Linear(2 * size, size)

    def forward(self, sums: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Vectors `(..., size)` from sums of the same shape, and of how many ratings those are `(...)`."""
        weight = (counts.clamp(max=LONGEST_SUM) + SUM_SHRINKAGE).sqrt() / (counts + SUM_SHRINKAGE)
        pooled = sums * weight[..., None]
        return pooled + self.down_projection(F.silu(self.up_projection(self.norm(pooled))))


class RatingAutoencoder(nn.Module):
    """
    Args:
        num_films (`int`): films in the catalogue.
        size (`int`): of users' and films' vectors.
        num_ratings (`int`): ratings that there are.
    """

    def __init__(self, num_films: int, size: int, num_ratings: int):
        super().__init__()
        # Of every film: what it adds by having been rated above what an average user would give, and by having been
        # chosen, and what a user's vector meets.
        self.rated, self.chosen, self.vectors = (nn.Embedding(num_films, size) for _ in range(3))
        self.event_rating = nn.Embedding(num_ratings, size)
        self.reader = SumReader(size)
        self.deviation_head = nn.Linear(size, 1, bias=False)

    def events(
        self, film_ids: torch.Tensor, trust: torch.Tensor, deviations: torch.Tensor, ratings: torch.Tensor
    ) -> torch.Tensor:
        """
        What each rating adds: `(..., size)`.

        Args:
            film_ids (`torch.Tensor` of shape `(...)`): catalogue rows, none of them padding.
            trust (`torch.Tensor` of shape `(...)`): how much the films' vectors count.
            deviations (`torch.Tensor` of shape `(...)`): how far above films' intercepts they were rated, in stars.
            ratings (`torch.Tensor` of shape `(...)`): 1..10, and 0 for padding.
        """
        of_films = self.rated(film_ids) * deviations[..., None] + self.chosen(film_ids)
        return trust[..., None] * of_films + self.event_rating((ratings - 1).clamp(min=0))

    def forward(self, sums: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Users' vectors `(..., size)` from the sums of their events, of the same shape, and how many those are."""
        return self.reader(sums, counts)

    def deviations(self, users: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """How far above a film's intercept it is expected to be rated, in points of ten `(...)`, by users' vectors and
        films' `(..., size)`. The layer is not called, as autocast would round its product."""
        return (users * vectors * self.deviation_head.weight[0]).sum(-1)


class RatingAutoencoders(nn.ModuleList):
    """
    Some of them, of which `i` was trained without every user whose number modulo how many there are is `i`. In what
    follows `unseen_by` (batch,) tells of every history which one is to be heard, and `members` is 1; without it all
    are, and `members` is how many those are.

    Args:
        members (`int`): autoencoders.
        num_films, size, num_ratings: see `RatingAutoencoder`.
    """

    def __init__(self, members: int, num_films: int, size: int, num_ratings: int):
        super().__init__(RatingAutoencoder(num_films, size, num_ratings) for _ in range(members))

    def __iter__(self) -> Iterator[RatingAutoencoder]:
        return cast(Iterator[RatingAutoencoder], super().__iter__())

    def events(
        self,
        film_ids: torch.Tensor,
        trust: torch.Tensor,
        deviations: torch.Tensor,
        ratings: torch.Tensor,
        unseen_by: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """What ratings add, `(batch, length, members, size)`; everything about them is `(batch, length)`, as for one
        autoencoder."""
        parts = (film_ids, trust, deviations, ratings)
        return self._ask(lambda one, rows, _: one.events(*(part[rows] for part in parts)), unseen_by)

    def users(self, sums: torch.Tensor, counts: torch.Tensor, unseen_by: torch.Tensor | None = None) -> torch.Tensor:
        """Users' vectors, of the shape of `sums` (batch, length, members, size); counts are `(batch, length)`."""
        return self._ask(lambda one, rows, slot: one(sums[rows][:, :, slot], counts[rows]), unseen_by)

    def deviations(
        self,
        users: torch.Tensor,
        film_ids: torch.Tensor,
        trust: torch.Tensor,
        unseen_by: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """How far above their intercepts films are expected to be rated, in points of ten, by all that are heard:
        `(batch, length)`, the shape of `film_ids` and `trust`; users are `(batch, length or 1, members, size)`."""

        def ask(one: RatingAutoencoder, rows: torch.Tensor | slice, slot: int) -> torch.Tensor:
            return trust[rows] * one.deviations(users[rows][:, :, slot], one.vectors(film_ids[rows]))

        return self._ask(ask, unseen_by).mean(2)

    def _ask(
        self,
        ask: Callable[[RatingAutoencoder, torch.Tensor | slice, int], torch.Tensor],
        unseen_by: torch.Tensor | None,
    ) -> torch.Tensor:
        """Answers `(batch, length, members, ...)` of `ask`, who is told whom to ask, for which rows of the batch, and
        their place among the members."""
        if unseen_by is None:
            return torch.stack([ask(one, slice(None), slot) for slot, one in enumerate(self)], dim=2)
        rows = [(unseen_by == index).nonzero()[:, 0] for index in range(len(self))]
        answers = torch.cat([ask(one, chosen, 0) for one, chosen in zip(self, rows, strict=True)])
        return answers[torch.cat(rows).argsort()][:, :, None]
