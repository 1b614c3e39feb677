"""
Matrix factorisation by alternating least squares: film vectors such that a user's ratings are a linear function of
them.

    residual(user, film) ~ user_vector @ film_vector

With one side fixed the other is a ridge regression per row with a closed form; `fit_film_vectors` alternates between
the two (Y. Zhou et al., 2008, Large-scale Parallel Collaborative Filtering for the Netflix Prize; here with a plain
penalty, not one in proportion to the number of ratings). A new user is folded in by the same regression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from data_prep.dataset import Histories
from training.rating_groups import RatingGroups

INITIAL_SPREAD = 0.1


def _solve(ratings: RatingGroups, other: torch.Tensor, size: int, penalty: float) -> torch.Tensor:
    """
    The ridge regression of every row's residuals on the vectors of the other side.

    Args:
        ratings (`RatingGroups`): grouped by the rows to solve for.
        other (`torch.FloatTensor` of shape `(columns, rank)`): vectors of the other side.
        size (`int`): number of rows; those without ratings get zeros.
        penalty (`float`): weight of the squared length of a vector.

    Returns:
        `torch.FloatTensor` of shape `(size, rank)`.
    """
    rank = other.shape[1]
    padded = torch.cat([other, other.new_zeros(1, rank)])  # row -1: padding adds nothing
    solved = other.new_zeros(size, rank)
    ridge = penalty * torch.eye(rank)
    for rows, columns, values in ratings.batches():
        vectors = padded[columns]
        gram = vectors.mT @ vectors + ridge
        solved[rows] = torch.cholesky_solve(vectors.mT @ values[..., None], torch.linalg.cholesky(gram))[..., 0]
    return solved


@dataclass
class ResidualRatings:
    """
    What biases leave of the ratings, ready to be factorised.

    Attributes:
        by_user (`RatingGroups`), by_film (`RatingGroups`): the residuals, grouped either way.
        num_users (`int`), num_films (`int`): rows of either side.
    """

    by_user: RatingGroups
    by_film: RatingGroups
    num_users: int
    num_films: int

    @classmethod
    def after_bias(cls, histories: Histories, film_estimates: np.ndarray, user_shrinkage: float) -> ResidualRatings:
        """
        Ratings minus the film's estimate minus the user's shrunk bias.

        Args:
            histories (`Histories`): of training users.
            film_estimates (`np.ndarray` of shape `(films,)`): what each film is worth to everyone.
            user_shrinkage (`float`): ratings of prior weight that pull a user's bias to zero.
        """
        lengths = histories.lengths()
        users = np.repeat(np.arange(len(histories)), lengths)
        residuals = histories.ratings - film_estimates[histories.film_indices]
        bias = np.bincount(users, residuals, len(histories)) / (lengths + user_shrinkage)
        residuals = (residuals - bias[users]).astype(np.float32)
        return cls(
            RatingGroups.of(users, histories.film_indices, residuals),
            RatingGroups.of(histories.film_indices, users, residuals),
            len(histories),
            len(film_estimates),
        )


def sample_users(histories: Histories, number: int, seed: int = 0) -> Histories:
    """Undated histories of so many users, drawn at random; the given ones where there are no more."""
    if len(histories) <= number:
        return histories
    users = np.sort(np.random.default_rng(seed).choice(len(histories), number, replace=False))
    lengths = histories.lengths()[users]
    ends = np.cumsum(lengths)
    rows = np.repeat(histories.offsets[users] - (ends - lengths), lengths) + np.arange(ends[-1])
    return replace(
        histories,
        user_ids=[histories.user_ids[user] for user in users],
        offsets=np.concatenate([[0], ends]),
        film_indices=histories.film_indices[rows],
        ratings=histories.ratings[rows],
        dates=None,
        ordered=histories.ordered[users],
    )


def fit_film_vectors(
    ratings: ResidualRatings,
    rank: int,
    penalty: float,
    sweeps: int,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> torch.Tensor:
    """
    Film vectors by alternating least squares.

    Args:
        ratings (`ResidualRatings`): of training users.
        rank (`int`): length of a vector.
        penalty (`float`): on the squared length of every vector of either side.
        sweeps (`int`): how often both sides are solved.
        seed (`int`): of the start, a Gaussian draw.
        progress: called after every sweep.

    Returns:
        `torch.FloatTensor` of shape `(films, rank)`; zeros for films without ratings.
    """
    generator = torch.Generator().manual_seed(seed)
    films = torch.randn(ratings.num_films, rank, generator=generator) * INITIAL_SPREAD
    for _ in range(sweeps):
        users = _solve(ratings.by_user, films, ratings.num_users, penalty)
        films = _solve(ratings.by_film, users, ratings.num_films, penalty)
        progress()
    return films
