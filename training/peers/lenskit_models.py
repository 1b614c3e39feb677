"""LensKit's rating predictors (M. Ekstrand, 2020, LensKit for Python): bias, biased matrix factorisation, item-kNN.

A new user is a query that carries a history: LensKit makes the user's bias, vector or neighbours of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from data_prep.dataset import Histories
from training.peers.peer import PeerModel

KINDS = ("bias", "biased-mf", "item-knn")
DAMPING = 5.0  # ratings of prior weight; LensKit's own default for its factorisation, and none for bias alone


def _scorers(kind: str) -> list[Any]:
    """LensKit's scorers, the first that has a score wins; all else is as the library has it."""
    from lenskit.als import BiasedMFScorer
    from lenskit.basic import BiasScorer
    from lenskit.knn import ItemKNNScorer

    bias = BiasScorer(damping=DAMPING)
    return {"bias": [bias], "biased-mf": [BiasedMFScorer(), bias], "item-knn": [ItemKNNScorer(), bias]}[kind]


class LensKitModel(PeerModel):
    """
    Args:
        kind (`str`): `bias`, `biased-mf` or `item-knn`; the last two give their place to bias where a user has no
            ratings or a film no neighbours among them.
        train (`Histories`): of training users.
        num_films (`int`): films in the catalogue.
        spread_lengths (`list[int]`): history lengths at which the spread is going to be measured.
        seed (`int`): of the factorisation's start.
    """

    def __init__(
        self, kind: str, train: Histories, num_films: int, spread_lengths: Sequence[int], *, seed: int = 0
    ) -> None:
        import pandas as pd
        from lenskit.data import from_interactions_df
        from lenskit.training import TrainingOptions

        super().__init__(train, num_films, list(spread_lengths))
        rows = {
            "user_id": np.repeat(np.arange(len(train)), train.lengths()),
            "item_id": train.film_indices,
            "rating": train.ratings.astype(np.float32),
        }
        # With films nobody has rated: item-kNN breaks on a history that holds a film it has never heard of.
        ratings = from_interactions_df(pd.DataFrame(rows), items=np.arange(num_films))
        self.scorers = _scorers(kind)
        for scorer in self.scorers:
            scorer.train(ratings, TrainingOptions(rng=seed))

    def peer_estimates(
        self, history_films: np.ndarray, history_ratings: np.ndarray, candidate_films: np.ndarray
    ) -> np.ndarray:
        estimates = [
            self._user(films[ratings > 0], ratings[ratings > 0], candidates)
            for films, ratings, candidates in zip(history_films, history_ratings, candidate_films, strict=True)
        ]
        return np.array(estimates).reshape(candidate_films.shape)

    def _user(self, films: np.ndarray, ratings: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        from lenskit.data import ItemList, RecQuery

        query = RecQuery(user_items=ItemList(item_ids=films, rating=ratings.astype(np.float32)))
        # A list of items may hold each only once, and padding repeats.
        distinct, place = np.unique(candidates, return_inverse=True)
        items, scores = ItemList(item_ids=distinct), np.full(len(distinct), np.nan)
        for scorer in self.scorers:
            if np.isnan(scores).any():
                scores = np.where(np.isnan(scores), scorer(query, items).scores("numpy"), scores)
        return scores[place]
