"""What a film is worth to everyone: its mean rating, and its bias beside those of the users who rated it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_prep.dataset import Histories

ALTERNATIONS = 5


def film_means(histories: Histories, num_films: int) -> np.ndarray:
    """Mean training rating of every film, `(num_films,)`; the overall mean where there is none."""
    counts = np.bincount(histories.film_indices, minlength=num_films)
    sums = np.bincount(histories.film_indices, weights=histories.ratings, minlength=num_films)
    return np.where(counts > 0, sums / np.maximum(counts, 1), histories.ratings.mean())


def film_estimates(histories: Histories, num_films: int, film_shrinkage: float, user_shrinkage: float) -> np.ndarray:
    """
    Mean plus film bias of every film, `(num_films,)`, where film and user biases are fitted to one another: a film
    seen by harsh users is better than its mean says.

    Alternating means, `bias_f = sum(r - mean - bias_u) / (n_f + shrinkage)` and the same for users.
    """
    users = np.repeat(np.arange(len(histories)), histories.lengths())
    films, user_counts = histories.film_indices, histories.lengths()
    film_counts = np.bincount(films, minlength=num_films)
    mean = histories.ratings.mean()
    deviations = histories.ratings - mean
    user_bias = np.zeros(len(histories))
    for _ in range(ALTERNATIONS):
        film_bias = np.bincount(films, deviations - user_bias[users], num_films) / (film_counts + film_shrinkage)
        user_bias = np.bincount(users, deviations - film_bias[films], len(histories)) / (user_counts + user_shrinkage)
    return mean + film_bias


@dataclass
class Biases:
    """
    The biases of a fitted shrunk-bias model, and what they rest on.

    Attributes:
        mean (`float`): of all training ratings.
        estimates (`np.ndarray` of shape `(films,)`): mean plus film bias.
        counts (`np.ndarray` of shape `(films,)`): training ratings of every film.
        user_bias (`np.ndarray` of shape `(users,)`): of the training users.
        film_shrinkage (`float`), user_shrinkage (`float`): ratings of prior weight.
    """

    mean: float
    estimates: np.ndarray
    counts: np.ndarray
    user_bias: np.ndarray
    film_shrinkage: float
    user_shrinkage: float

    @classmethod
    def fit(cls, histories: Histories, num_films: int, film_shrinkage: float, user_shrinkage: float) -> Biases:
        """Both biases of training users' ratings; see `film_estimates`."""
        estimates = film_estimates(histories, num_films, film_shrinkage, user_shrinkage)
        users, lengths = np.repeat(np.arange(len(histories)), histories.lengths()), histories.lengths()
        residuals = histories.ratings - estimates[histories.film_indices]
        return cls(
            float(histories.ratings.mean()),
            estimates,
            np.bincount(histories.film_indices, minlength=num_films),
            np.bincount(users, residuals, len(histories)) / (lengths + user_shrinkage),
            film_shrinkage,
            user_shrinkage,
        )

    def without(self, films: np.ndarray, ratings: np.ndarray, user_bias: np.ndarray) -> np.ndarray:
        """
        The films' estimates had each of these ratings not been among the training ratings.

        A bias is `sum / (n + shrinkage)`; less a rating that deviates by x it is `bias - (x - bias) / (n + shrinkage -
        1)`.

        Args:
            films, ratings, user_bias (`np.ndarray` of one shape): training ratings, and their users' biases.
        """
        bias = self.estimates[films] - self.mean
        deviation = ratings - self.mean - user_bias
        return self.mean + bias - (deviation - bias) / (self.counts[films] + self.film_shrinkage - 1)
