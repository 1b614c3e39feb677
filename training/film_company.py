"""
The company that films are in: which others the people who rated them have rated too, whatever the ratings.

A film's company is a short vector, near that of films that draw the same people. Truncated singular value
decomposition of who rated what (latent semantic indexing, S. Deerwester et al., 1990), popular films and busy people
weighed down. It tells of a film's tastes sooner than ratings do, and sees what features do not name.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from data_prep.dataset import Histories
from training.baselines.film_space import of_features, regress_on_features

COMPANY_SIZE = 64
USERS_PER_NUMBER = 8  # at least; fewer people say less
COMPANY_WEIGHT = 4.0  # length of the vectors beside that of the films' features, all together
# Ratings of prior weight in how far users and films are weighed down, and of what features say of a film's company.
USER_SHRINKAGE, FILM_SHRINKAGE = 10.0, 20.0
OVERSAMPLING, POWER_ITERATIONS = 16, 4  # of the decomposition, which is randomised


class FilmCompany(NamedTuple):
    """
    Attributes:
        vectors (`np.ndarray` of shape `(films, size)`): float32; of films without ratings, what features say.
        feature_weights (`np.ndarray` of shape `(features + 1, size)`): of the constant and the features, for films
            without ratings; float32.
    """

    vectors: np.ndarray
    feature_weights: np.ndarray

    @classmethod
    def empty(cls, features: np.ndarray, size: int) -> FilmCompany:
        """Zeros in the shapes that `fit_film_company` fills."""
        return cls(*(np.zeros((rows, size), np.float32) for rows in (len(features), features.shape[1] + 1)))

    def beside(self, features: np.ndarray) -> np.ndarray:
        """Films' features and then their company: `(films, features + size)`."""
        return np.concatenate([features, self.vectors], axis=1)


def company_size(wanted: int | None, num_users: int, num_films: int) -> int:
    """
    How many numbers of the films' company to find: those `wanted`, as far as so many users and films can have them;
    where none are said, `COMPANY_SIZE`, or fewer with few users.
    """
    if wanted is None:
        wanted = min(COMPANY_SIZE, num_users // USERS_PER_NUMBER)
    return min(wanted, num_users - 1, num_films - 1)


def fit_film_company(histories: Histories, features: np.ndarray, size: int, seed: int = 0) -> FilmCompany:
    """
    Find the company that films are in.

    Args:
        histories (`Histories`): of training users.
        features (`np.ndarray` of shape `(films, features)`): as `FilmFeatures.dense` gives them.
        size (`int`): of the vectors; as `company_size` allows.
        seed (`int`): of the decomposition.
    """
    if size == 0:
        return FilmCompany.empty(features, size)
    counts = np.bincount(histories.film_indices, minlength=len(features))
    axes, strengths = _principal_axes(histories, counts, size, seed)
    vectors = axes * np.sqrt(strengths) / np.sqrt(counts + FILM_SHRINKAGE)[:, None]
    vectors -= np.average(vectors, axis=0, weights=counts)
    length, own = (_length(each[counts > 0]) for each in (features, vectors))
    vectors *= COMPANY_WEIGHT * length / max(own, 1e-6)

    trust = counts / (counts + FILM_SHRINKAGE)
    weights = regress_on_features(vectors, trust, features).weights
    vectors = trust[:, None] * vectors + (1 - trust)[:, None] * of_features(features, weights)
    return FilmCompany(vectors.astype(np.float32), weights.astype(np.float32))


def _length(vectors: np.ndarray) -> float:
    """Root mean squared length of vectors `(films, size)`, as deviations from their mean."""
    return float(np.sqrt(vectors.var(axis=0).sum()))


def _principal_axes(histories: Histories, counts: np.ndarray, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Right singular vectors `(films, size)` of who rated what, and their singular values; without the first, which is
    how popular films are."""
    lengths = torch.from_numpy(histories.lengths().astype(np.int64))
    users = torch.arange(len(lengths)).repeat_interleave(lengths)
    films = torch.from_numpy(histories.film_indices.astype(np.int64))
    weight = (torch.from_numpy(counts) + FILM_SHRINKAGE).rsqrt()[films] * (lengths + USER_SHRINKAGE).rsqrt()[users]
    shape = (len(lengths), len(counts))
    matrix = torch.sparse_coo_tensor(torch.stack([users, films]), weight.float(), shape, check_invariants=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _, strengths, axes = torch.svd_lowrank(matrix, q=min(size + 1 + OVERSAMPLING, *shape), niter=POWER_ITERATIONS)
    return axes[:, 1 : size + 1].double().numpy(), strengths[1 : size + 1].double().numpy()
