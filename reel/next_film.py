"""Which film to ask a person about: the one whose rating is expected to teach most about all the others.

Ratings of a person are read as a Gaussian process over the films: they covary as far as the model spreads them for
somebody unknown (its predictive standard deviations) and as near as they are in its film space; a part is common to
all films, because some people rate everything higher. Having seen some ratings, the posterior covariance K says what a
further one is worth: knowing film c takes

    sum over films s of  K[s, c]^2 / (K[c, c] + noise)

off the summed predictive variance of the films s (the criterion of active learning by Cohn, ALC), times the chance
that the person has seen c, for which the number of its ratings stands. It needs no run of the model, so it answers
while somebody clicks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from training.metrics import RATING_VALUES as RATINGS

if TYPE_CHECKING:
    from reel.recommender import Recommender

ASKED_OF = 400  # best-known films that may be asked about, and whose variance is to fall
REMEMBERED = 150  # ratings that the covariance is conditioned on, the latest
COMMON = 0.3  # share of the variance that all films have in common: a person's bias
NOISE = 1.0  # variance of a rating that no other rating tells of, as a share of a film's own


class NextFilm:
    """
    Args:
        recommender (`Recommender`): the model whose film space and uncertainty are used.

    Example:

    ```python
    from reel import Recommender
    from reel.next_film import NextFilm

    asking = NextFilm(Recommender.from_pretrained("models/sample"))
    asking.suggest([("ml-1", 9)], passed=["ml-260"], top=3)  # film ids, the most telling first
    ```
    """

    def __init__(self, recommender: Recommender):
        self.recommender = recommender
        counts = recommender.catalogue.films["rating_count"].to_numpy()
        best_known = np.argsort(-counts, kind="stable")
        self.rows = best_known[counts[best_known] > 0][:ASKED_OF]
        self.seen_by = counts / max(1, counts.max())

    def suggest(self, history: Sequence[tuple[str, int]], passed: Sequence[str] = (), top: int = 1) -> list[str]:
        """
        Films to ask about.

        Args:
            history: film ids and ratings, as for `Recommender.predict`.
            passed: film ids not to ask about: seen without a rating, or said to be unseen.
            top: how many, at most.

        Returns:
            Film ids, the most telling first.
        """
        index = self.recommender.catalogue.index
        rated = np.array([index[film] for film in dict(history)], dtype=np.int64)
        gone = self.recommender.groups[np.concatenate([rated, np.array([index[f] for f in passed], dtype=np.int64)])]
        covariance = self._posterior(rated[-REMEMBERED:])
        variances = np.diag(covariance)
        gain = (covariance**2).sum(0) / (variances + self._noise) * self.seen_by[self.rows]
        gain[np.isin(self.recommender.groups[self.rows], gone)] = -1
        order = [place for place in np.argsort(-gain, kind="stable")[:top] if gain[place] >= 0]
        return [self.recommender.catalogue.film_ids[self.rows[place]] for place in order]

    @cached_property
    def _spread(self) -> np.ndarray:
        """The predictive standard deviation of every film's rating by somebody unknown: `(films,)`."""
        probabilities = self.recommender.predict([], self.recommender.catalogue.film_ids)
        mean = probabilities @ RATINGS
        return np.sqrt(np.maximum(probabilities @ RATINGS**2 - mean**2, 1e-6))

    @cached_property
    def _noise(self) -> float:
        return NOISE * float(np.mean(self._spread[self.rows] ** 2))

    def _covariance(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        space = self.recommender.film_space
        likeness = COMMON + (1 - COMMON) * (space[left] @ space[right].T)
        return self._spread[left][:, None] * likeness * self._spread[right]

    def _posterior(self, rated: np.ndarray) -> np.ndarray:
        """The covariance of `self.rows` once the ratings of `rated` are known; it does not depend on what they are."""
        if not len(rated):
            return self._prior.copy()
        across = self._covariance(self.rows, rated)
        known = self._covariance(rated, rated) + self._noise * np.eye(len(rated))
        return self._prior - across @ np.linalg.solve(known, across.T)

    @cached_property
    def _prior(self) -> np.ndarray:
        return self._covariance(self.rows, self.rows)
