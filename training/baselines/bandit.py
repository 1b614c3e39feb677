"""What training users teach the bandit: the weights every user's posterior starts from, and how sure they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from modeling.baselines.linear_bandit import Known, context_size, contexts
from training.baselines.bias import Biases
from training.baselines.drawn_cases import DrawnCases
from training.cases import NUM_TARGETS

RIDGE = 1.0
USERS_AT_ONCE = 1000


@dataclass
class Population:
    """
    Ridge regression of training users' ratings on their contexts.

    Attributes:
        weights (`torch.DoubleTensor` of shape `(size,)`): of the numbers of a context.
        covariance (`torch.DoubleTensor` of shape `(size, size)`): inverse of the contexts' mean outer product.
        noise (`float`): mean squared error of the ratings.
    """

    weights: torch.Tensor
    covariance: torch.Tensor
    noise: float


def learn_population(cases: DrawnCases, biases: Biases, vectors: np.ndarray, seed: int) -> Population:
    """
    Learn from targets of training users, after histories of every length. A target's own rating is taken out of its
    film's estimate.

    Args:
        cases (`DrawnCases`): of training users.
        biases (`Biases`): of the same users.
        vectors (`np.ndarray` of shape `(films, rank)`): the films' features.
        seed (`int`): of the histories' lengths.
    """
    known = cases.cut_histories(seed)
    targets, ratings = cases.films[:, :NUM_TARGETS], cases.ratings[:, :NUM_TARGETS]
    deviations = biases.without(targets, ratings, biases.user_bias[cases.users][:, None]) - biases.mean

    size = context_size(vectors.shape[1])
    gram, product, square = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64), 0.0
    films = torch.from_numpy(vectors)
    for first in range(0, len(cases), USERS_AT_ONCE):
        some = slice(first, first + USERS_AT_ONCE)
        history, given = cases.films[some, NUM_TARGETS:], known[some]
        residuals = torch.from_numpy(((given - biases.estimates[history]) * (given > 0)).astype(np.float32))
        rated = torch.from_numpy(given > 0)
        user = Known.of(films[history], residuals, rated, biases.user_shrinkage, without=False)
        film_deviations = torch.from_numpy(deviations[some].astype(np.float32))
        joint = contexts(films[targets[some]], film_deviations, user).double().flatten(0, 1)
        truth = torch.from_numpy(ratings[some]).double().flatten()
        gram, product, square = gram + joint.T @ joint, product + joint.T @ truth, square + float(truth @ truth)
    number = targets.size
    inverse = torch.linalg.inv(gram + RIDGE * torch.eye(size, dtype=torch.float64))
    weights = inverse @ product
    noise = (square - 2 * float(weights @ product) + float(weights @ gram @ weights)) / number
    return Population(weights, inverse * number, noise)
