"""How people's ratings of films covary: what the rating of one film tells of the others."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from training.metrics import RATING_VALUES as RATINGS

if TYPE_CHECKING:
    from reel.recommender import Recommender

COMMON = 0.3  # share of a rating's variance that all films have in common: a person's bias


class RatingCovariance(Protocol):
    """Ratings as a Gaussian process over the films of a catalogue; films are given by their rows."""

    def between(self, films: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Covariances of what people think of films, `(films, others)`, in squared rating points."""
        ...

    def noise(self, films: np.ndarray) -> np.ndarray:
        """Variances that a rating has beside, which tell of no other film: `(films,)`."""
        ...


class ProcessCovariance:
    """That of a model which is a Gaussian process itself.

    Args:
        recommender (`Recommender`): of such a model; see `covariance_of`.
    """

    def __init__(self, recommender: Recommender):
        self.model, self.films = recommender.model, recommender.known_films.process

    def between(self, films: np.ndarray, others: np.ndarray) -> np.ndarray:
        rows = (torch.from_numpy(part).to(self.model.device) for part in (films, others))
        return self.model.covariance(self.films, *rows).double().cpu().numpy()

    def noise(self, films: np.ndarray) -> np.ndarray:
        return self.films.noise[torch.from_numpy(films)].double().cpu().numpy()


class SpaceCovariance:
    """That of any other model: films covary as far as it spreads their ratings for somebody unknown, and as near as
    they are in its film space.

    Args:
        recommender (`Recommender`): of any model.
    """

    def __init__(self, recommender: Recommender):
        self.recommender = recommender

    def between(self, films: np.ndarray, others: np.ndarray) -> np.ndarray:
        space = self.recommender.film_space
        likeness = COMMON + (1 - COMMON) * (space[films] @ space[others].T)
        return self._spread[films][:, None] * likeness * self._spread[others]

    def noise(self, films: np.ndarray) -> np.ndarray:
        # As much as what people think of films on average: half of a rating tells of others.
        return np.full(len(films), np.mean(self._spread**2))

    @cached_property
    def _spread(self) -> np.ndarray:
        """The predictive standard deviation of every film's rating by somebody unknown: `(films,)`."""
        probabilities = self.recommender.predict([], self.recommender.catalogue.film_ids)
        mean = probabilities @ RATINGS
        return np.sqrt(np.maximum(probabilities @ RATINGS**2 - mean**2, 1e-6))


def covariance_of(recommender: Recommender) -> RatingCovariance:
    """The covariance by a model's own process, where it is one."""
    kind = ProcessCovariance if hasattr(recommender.model, "covariance") else SpaceCovariance
    return kind(recommender)
