"""Another library's recommender with the interface of our baselines, so that all that scores ours scores it."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch

from data_prep.dataset import Histories
from modeling.baselines import RatingBaselineConfig, RatingBaselineModel
from training.baselines.bias import film_means


class PeerModel(RatingBaselineModel):
    """
    A baseline whose estimates are a peer's; where the peer has none to give, the film's mean. It lives in memory
    alone: the peers' libraries have their own ways to save a model.

    Args:
        train (`Histories`): of training users.
        num_films (`int`): films in the catalogue.
        spread_lengths (`list[int]`): history lengths at which the spread is going to be measured.
    """

    def __init__(self, train: Histories, num_films: int, spread_lengths: list[int]):
        super().__init__(RatingBaselineConfig(kind="film-mean", num_films=num_films, spread_lengths=spread_lengths))
        with torch.no_grad():
            self.film_estimates.copy_(torch.from_numpy(film_means(train, num_films)))

    @abstractmethod
    def peer_estimates(
        self, history_films: np.ndarray, history_ratings: np.ndarray, candidate_films: np.ndarray
    ) -> np.ndarray:
        """
        The peer's estimates for several users.

        Args:
            history_films (`np.ndarray` of shape `(batch, length)`): film indices; whatever where padded.
            history_ratings (`np.ndarray` of shape `(batch, length)`): 1..10, 0 is padding.
            candidate_films (`np.ndarray` of shape `(batch, candidates)`): film indices.

        Returns:
            `np.ndarray` of shape `(batch, candidates)`, on the 1..10 scale; nan where it has none.
        """

    @torch.no_grad()
    def estimate(
        self, history_films: torch.Tensor, history_ratings: torch.Tensor, candidate_films: torch.Tensor
    ) -> torch.Tensor:
        candidates = candidate_films.clamp(min=0)
        arrays = (history_films.clamp(min=0).numpy(), history_ratings.numpy(), candidates.numpy())
        estimates = torch.from_numpy(self.peer_estimates(*arrays)).to(self.film_estimates.dtype)
        return torch.where(estimates.isnan(), self.film_estimates[candidates], estimates)
