"""How users' vectors are spread, found out from training users: the prior that a new user's vector is fitted under."""

from __future__ import annotations

import numpy as np
import torch

from data_prep.dataset import Histories
from modeling.deepfm import DeepFMModel

MAX_USERS, MAX_RATINGS, USERS_AT_ONCE = 512, 100, 64
ROUNDS = 4
LEAST_VARIANCE = 1e-6
AUDIENCE_SHRINKAGE = 10.0  # ratings of prior weight that pull a film's audience to all users
RATINGS_AT_ONCE = 1 << 20  # whose users' vectors are in memory together: 200 MB at a length of 48


def draw_histories(histories: Histories, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Ratings of a draw of users, `MAX_USERS` and of each `MAX_RATINGS` at most.

    Returns:
        Catalogue rows, -1 is padding, and ratings 1..10, 0 is padding: `(users, longest)` each.
    """
    draw = np.random.default_rng((seed, len(histories)))
    users = draw.permutation(len(histories))[:MAX_USERS]
    width = min(MAX_RATINGS, int(histories.lengths()[users].max()))
    films = np.full((len(users), width), -1, dtype=np.int64)
    ratings = np.zeros((len(users), width), dtype=np.int64)
    for row, user in enumerate(users):
        user_films, user_ratings = histories.history(user)
        chosen = draw.permutation(len(user_films))[:width]
        films[row, : len(chosen)], ratings[row, : len(chosen)] = user_films[chosen], user_ratings[chosen]
    return torch.from_numpy(films), torch.from_numpy(ratings)


def fit_for_new_users(model: DeepFMModel, histories: Histories, seed: int, precision: float) -> None:
    """
    All that predicting for new users rests on, by the weights of now: the prior of users' vectors, then the films'
    audiences.

    Args:
        model (`DeepFMModel`): the model.
        histories (`Histories`): of its training users, in the order of the model's users.
        seed (`int`): of the draw of users that the prior is fitted to.
        precision (`float`): as in `fit_user_prior`.
    """
    fit_user_prior(model, *draw_histories(histories, seed), precision=precision)
    fit_film_audiences(model, histories)


@torch.no_grad()
def fit_film_audiences(model: DeepFMModel, histories: Histories) -> None:
    """
    Tell the model who rates which film: the mean of the vectors that training left the film's users with, less the
    mean over all ratings; films with few ratings are near all users.

    Args:
        model (`DeepFMModel`): the model.
        histories (`Histories`): of its training users, in the order of the model's users.
    """
    vectors = model.user_vectors.weight
    films = torch.from_numpy(histories.film_indices.astype(np.int64)).to(vectors.device)
    users = torch.from_numpy(np.repeat(np.arange(len(histories)), histories.lengths())).to(vectors.device)
    sums = vectors.new_zeros(model.config.num_films, model.config.user_size)
    for some_films, some_users in zip(films.split(RATINGS_AT_ONCE), users.split(RATINGS_AT_ONCE), strict=True):
        sums.index_add_(0, some_films, vectors[some_users])
    counts = films.bincount(minlength=len(sums))[:, None]
    mean = sums.sum(0) / counts.sum()
    model.set_film_audiences((sums - counts * mean) / (counts + AUDIENCE_SHRINKAGE))


@torch.no_grad()
def fit_user_prior(
    model: DeepFMModel, films: torch.Tensor, ratings: torch.Tensor, precision: float, rounds: int = ROUNDS
) -> None:
    """
    Set the model's prior of users' vectors by expectation maximisation, every weight held fixed: fit the users under
    the prior, then let the prior be the mean of their vectors and the vectors' covariance plus the mean of what the
    ratings leave open (Laplace's approximation). It is that of users of whose films nothing is known: films'
    audiences are set to zero, and `fit_film_audiences` comes after.

    Args:
        model (`DeepFMModel`): the model.
        films (`torch.LongTensor` of shape `(users, length)`), ratings (`torch.LongTensor`, same shape): of training
            users; -1 and 0 are padding.
        precision (`float`): the prior that training pulled the vectors with, mean zero and this times the identity:
            where the search begins.
        rounds (`int`): how often.
    """
    size, device = model.config.user_size, model.user_mean.device
    model.set_user_prior(torch.zeros(size), max(precision, 1e-3) * torch.eye(size))
    model.set_film_audiences(torch.zeros_like(model.film_audiences))
    for _ in range(rounds):
        fits = [
            model.fit_users(*(part.to(device) for part in batch))
            for batch in zip(films.split(USERS_AT_ONCE), ratings.split(USERS_AT_ONCE), strict=True)
        ]
        vectors = torch.cat([fit.vectors for fit in fits])
        open_ends = torch.cat([torch.linalg.inv(fit.precisions) for fit in fits]).mean(0)
        mean = vectors.mean(0)
        offsets = vectors - mean
        covariance = offsets.T @ offsets / len(vectors) + open_ends + LEAST_VARIANCE * torch.eye(size, device=device)
        precisions = torch.linalg.inv(covariance)
        model.set_user_prior(mean, (precisions + precisions.T) / 2)
