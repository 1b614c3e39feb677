"""Gradient-boosted trees on statistics of user and film: what a data scientist tries first.

The trees are scikit-learn's (G. Ke et al., 2017, LightGBM, is what they follow), with its defaults.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_prep.dataset import Histories
from training.baselines.drawn_cases import DrawnCases
from training.cases import NUM_TARGETS
from training.metrics import REWARD_RATING
from training.peers.peer import PeerModel

SHRINKAGE = 5.0  # ratings of prior weight, for means of few
LONGEST_HISTORY = 200  # of the training cases
USERS_AT_ONCE = 2000


class BoostedModel(PeerModel):
    """
    Learns from ten targets of every training user, after histories of every length; a target's own rating is taken
    out of its film's statistics.

    Args:
        train (`Histories`): of training users.
        num_films (`int`): films in the catalogue.
        spread_lengths (`list[int]`): history lengths at which the spread is going to be measured.
        seed (`int`): of the draw of targets and of the trees.
    """

    def __init__(self, train: Histories, num_films: int, spread_lengths: Sequence[int], *, seed: int = 0) -> None:
        from sklearn.ensemble import HistGradientBoostingRegressor

        super().__init__(train, num_films, list(spread_lengths))
        ratings = train.ratings.astype(np.float64)
        powers = np.stack([np.ones_like(ratings), ratings, ratings**2, ratings >= REWARD_RATING])
        self.film_sums = np.stack([np.bincount(train.film_indices, power, num_films) for power in powers], axis=1)
        self.mean_sums = powers.mean(axis=1)  # what a rating is on average
        cases = DrawnCases.draw(train, LONGEST_HISTORY, seed)
        known = cases.cut_histories(seed)
        targets, truth = cases.films[:, :NUM_TARGETS], cases.ratings[:, :NUM_TARGETS]
        inputs = []
        for first in range(0, len(cases), USERS_AT_ONCE):
            some = slice(first, first + USERS_AT_ONCE)
            own = truth[some][..., None].astype(np.float64)
            left = self.film_sums[targets[some]] - np.concatenate(
                [np.ones_like(own), own, own**2, own >= REWARD_RATING], axis=-1
            )
            inputs.append(self._statistics(cases.films[some, NUM_TARGETS:], known[some], left))
        self.trees = HistGradientBoostingRegressor(random_state=seed)
        flat = np.concatenate(inputs)
        self.trees.fit(flat.reshape(-1, flat.shape[-1]), truth.reshape(-1))

    def peer_estimates(
        self, history_films: np.ndarray, history_ratings: np.ndarray, candidate_films: np.ndarray
    ) -> np.ndarray:
        inputs = self._statistics(history_films, history_ratings, self.film_sums[candidate_films])
        return self.trees.predict(inputs.reshape(-1, inputs.shape[-1])).reshape(candidate_films.shape)

    def _statistics(self, films: np.ndarray, ratings: np.ndarray, film_sums: np.ndarray) -> np.ndarray:
        """
        Of user and film: how many ratings, and their mean, spread and share of rewards; of the user also how far the
        ratings lie from the films' means.

        Args:
            films, ratings (`np.ndarray` of shape `(batch, length)`): histories; rating 0 is padding.
            film_sums (`np.ndarray` of shape `(batch, candidates, 4)`): of the candidates: number of ratings, their
                sum, sum of squares and number of rewards.

        Returns:
            `np.ndarray` of shape `(batch, candidates, 9)`.
        """
        rated, given = ratings > 0, ratings.astype(np.float64)
        sums = [rated.sum(1), given.sum(1), (given**2).sum(1), (given >= REWARD_RATING).sum(1)]
        user = self._moments(np.stack(sums, axis=1))
        means = self._moments(self.film_sums[films])[..., 1]
        bias = ((given - means) * rated).sum(1) / (rated.sum(1) + SHRINKAGE)
        both = np.concatenate([user, bias[:, None]], axis=1)[:, None]
        film = self._moments(film_sums)
        return np.concatenate([np.broadcast_to(both, (*film.shape[:2], both.shape[-1])), film], axis=-1)

    def _moments(self, sums: np.ndarray) -> np.ndarray:
        """Logarithm of the number, mean, spread and share of rewards, pulled to those of all ratings where few."""
        number = sums[..., :1]
        shrunk = (sums[..., 1:] + SHRINKAGE * self.mean_sums[1:]) / (number + SHRINKAGE)
        mean, square, share = shrunk[..., :1], shrunk[..., 1:2], shrunk[..., 2:]
        return np.concatenate([np.log1p(number), mean, np.sqrt(np.maximum(square - mean**2, 0)), share], axis=-1)
