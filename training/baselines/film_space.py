"""What film features say: where a film lies among others, and what a film with few ratings is likely worth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from data_prep.dataset import Histories
from training.baselines.bias import Biases

PENALTIES = (1.0, 10.0, 100.0, 1000.0)  # on the weights of features, in films
FOLDS = 5


def of_features(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What `weights` `(1 + features, columns)`, constants in row 0, make of features `(films, features)`: `(films,
    columns)`."""
    return weights[0] + features @ weights[1:]


def principal_axes(features: np.ndarray, rated: np.ndarray, rank: int) -> np.ndarray:
    """
    Weights that make of films' features their coordinates on the principal axes of the features of rated films, scaled
    to a mean squared length of 1.

    Args:
        features (`np.ndarray` of shape `(films, features)`): as `FilmFeatures.dense` gives them.
        rated (`np.ndarray` of shape `(films,)`): bool, the films that the axes are made for.
        rank (`int`): number of axes, at most the number of features.

    Returns:
        `np.ndarray` of shape `(1 + features, rank)`, for `of_features`.
    """
    centre = features[rated].mean(0, dtype=np.float64)
    centred = features[rated] - centre
    _, axes = np.linalg.eigh(centred.T @ centred)  # ascending
    axes = axes[:, ::-1][:, :rank]
    axes /= max(np.sqrt(np.square(centred @ axes).sum(1).mean()), 1e-6)
    return np.vstack([-centre @ axes, axes])


def informed_estimates(biases: Biases, histories: Histories, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Films' estimates shrunk to what their features say in place of the mean of all films, and the weights that say it.

    The features' weights are a ridge regression of the films' biases, a film counting `n / (n + shrinkage)`; its
    penalty is chosen on films left out.

    Args:
        biases (`Biases`): of training users.
        histories (`Histories`): their ratings.
        features (`np.ndarray` of shape `(films, features)`): as `FilmFeatures.dense` gives them.

    Returns:
        `np.ndarray` of shape `(films,)`, and one of shape `(1 + features,)` for `of_features`.
    """
    user_bias = np.repeat(biases.user_bias, histories.lengths())
    sums = np.bincount(histories.film_indices, histories.ratings - biases.mean - user_bias, len(features))
    weight = biases.counts / (biases.counts + biases.film_shrinkage)
    target = np.divide(sums, biases.counts, out=np.zeros(len(sums)), where=biases.counts > 0)
    weights = regress_on_features(target[:, None], weight, features).weights[:, 0]
    shrinkage = biases.film_shrinkage
    estimates = biases.mean + (sums + shrinkage * of_features(features, weights)) / (biases.counts + shrinkage)
    return estimates, np.append(biases.mean + weights[0], weights[1:])


class FeatureRegression(NamedTuple):
    """What films' features say of some quantities.

    Attributes:
        weights (`np.ndarray` of shape `(features + 1, targets)`): of the features and, first, of the constant.
        left_out (`np.ndarray` of shape `(films, targets)`): what a regression on other films says of each film.
    """

    weights: np.ndarray
    left_out: np.ndarray


def regress_on_features(targets: np.ndarray, weight: np.ndarray, features: np.ndarray) -> FeatureRegression:
    """
    A ridge regression of what is known of films on their features; its penalty is the one that does best on films left
    out, over all targets together.

    Args:
        targets (`np.ndarray` of shape `(films, targets)`): what is known.
        weight (`np.ndarray` of shape `(films,)`): how much a film counts.
        features (`np.ndarray` of shape `(films, features)`): as `FilmFeatures.dense` gives them.
    """
    centre = np.average(features, axis=0, weights=weight)
    inputs = np.column_stack([np.ones(len(features)), features - centre])
    folds = np.random.default_rng(0).permutation(len(features)) % FOLDS
    parts = [
        _normal_equations(inputs[folds == fold], targets[folds == fold], weight[folds == fold])
        for fold in range(FOLDS)
    ]
    gram = np.sum([part[0] for part in parts], axis=0)
    product = np.sum([part[1] for part in parts], axis=0)

    def left_out(penalty: float) -> np.ndarray:
        guesses = np.empty_like(targets, dtype=np.float64)
        for fold, (own_gram, own_product) in enumerate(parts):
            guesses[folds == fold] = inputs[folds == fold] @ _solve(gram - own_gram, product - own_product, penalty)
        return guesses

    def error(penalty: float) -> float:
        return float((weight[:, None] * np.square(left_out(penalty) - targets)).sum())

    penalty = min(PENALTIES, key=error)
    weights = _solve(gram, product, penalty)
    weights[0] -= centre @ weights[1:]
    return FeatureRegression(weights, left_out(penalty))


def _normal_equations(inputs: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weighted = inputs * weight[:, None]
    return weighted.T @ inputs, weighted.T @ target


def _solve(gram: np.ndarray, product: np.ndarray, penalty: float) -> np.ndarray:
    """Weights of the inputs; the first, of the constant, goes free."""
    ridge = np.full(len(gram), penalty)
    ridge[0] = 1e-6
    return np.linalg.solve(gram + np.diag(ridge), product)
