"""What a model is worth as a policy: it ranks the films that a user has rated and it has not been told of.

A user's first k ratings (in order of date where dated, otherwise drawn) are the history; all others are the
candidates. The model ranks them by its score, and what the user truly gave says how good its top ten are. Only films
that the user chose to rate can be ranked, so this is the worth among those, not among all films.

Equal scores share their places: every number is its mean over all orders of the tied films. So equal scores for all
are the random policy, exactly, and the true ratings as scores are the best there is (the oracle).

>>> import numpy as np
>>> ratings = np.array([10, 1, 7])
>>> policy_worth(np.array([0.1, 0.9, 0.5]), ratings)["pairwise_accuracy"]
0.0
>>> policy_worth(ratings, ratings)["ndcg"]
1.0
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.bootstrap import Resamples, interval
from training.cases import ProtocolCases
from training.metrics import NUM_RATINGS, reward

TOP = 10
FEWEST_CANDIDATES = 20  # of fewer films, ten are hardly a choice
CANDIDATES_PER_CALL = 20_000  # bounds the memory of a table and lets progress be seen
METRICS = ("rating", "reward", "ndcg", "pairwise_accuracy")  # more is better
REFERENCES = ("random", "film mean", "oracle")

Row = dict[str, Any]
Floats = NDArray[np.float64]


def tied_weights(scores: np.ndarray, weights: np.ndarray) -> Floats:
    """
    The weight that each item gets by its place in the ranking, films of equal score sharing that of their places.

    Args:
        scores: [n], the highest comes first.
        weights: [places], of the first places; later ones weigh nothing.

    Returns:
        [n]

    >>> tied_weights(np.array([3.0, 5.0, 5.0, 1.0]), np.array([1.0, 0.5, 0.25])).tolist()
    [0.25, 0.75, 0.75, 0.0]
    """
    of_place = np.zeros(len(scores))
    of_place[: len(weights)] = weights[: len(scores)]
    _, group, sizes = np.unique(-np.asarray(scores), return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    total = np.concatenate([[0.0], np.cumsum(of_place)])
    return ((total[ends] - total[ends - sizes]) / sizes)[group]


def ndcg(scores: np.ndarray, ratings: np.ndarray, top: int = TOP) -> float:
    """Normalised discounted cumulative gain of the first `top` places: sum over places of rating / log2(1 + place),
    divided by the most that the ratings allow. The gain is the rating itself, 1..10 (K. Järvelin and J. Kekäläinen,
    2002, Cumulated Gain-Based Evaluation of IR Techniques)."""
    discounts = 1 / np.log2(np.arange(2, top + 2))
    best = tied_weights(ratings, discounts) @ ratings
    return float(tied_weights(scores, discounts) @ ratings / best)


def pairwise_accuracy(scores: np.ndarray, ratings: np.ndarray) -> float:
    """Of the pairs of films with different ratings, the share that the scores order rightly, equal scores counting one
    half; nan where all ratings are equal."""
    wins, pairs = 0.0, 0
    for rating in range(2, NUM_RATINGS + 1):
        better, worse = scores[ratings == rating], np.sort(scores[ratings < rating])
        wins += (np.searchsorted(worse, better, "left") + np.searchsorted(worse, better, "right")).sum() / 2
        pairs += len(better) * len(worse)
    return float(wins / pairs) if pairs else math.nan


def policy_worth(scores: np.ndarray, ratings: np.ndarray) -> dict[str, float]:
    """
    What a ranking of one user's films is worth.

    Args:
        scores: [n], the highest comes first.
        ratings: [n], what the user truly gave, 1..10.

    Returns:
        `rating` and `reward`, means over the top ten; `ndcg` of the top ten; `pairwise_accuracy` over all.
    """
    chosen = tied_weights(scores, np.full(min(TOP, len(scores)), 1 / min(TOP, len(scores))))
    return {
        "rating": float(chosen @ ratings),
        "reward": float(chosen @ reward(ratings)),
        "ndcg": ndcg(scores, ratings),
        "pairwise_accuracy": pairwise_accuracy(scores, ratings),
    }


@dataclass
class PolicyCases:
    """
    Users with the history that a policy is told and the films that it ranks.

    Attributes:
        history_films, history_ratings: [users, k], int32 film_index and int8 rating 1..10.
        candidate_films, candidate_ratings: [candidates], the users' candidates one after another.
        offsets: [users + 1], where each user's candidates begin.
    """

    history_films: np.ndarray
    history_ratings: np.ndarray
    candidate_films: np.ndarray
    candidate_ratings: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, cases: ProtocolCases, history_length: int) -> PolicyCases:
        """The users of a split who have rated at least `FEWEST_CANDIDATES` films besides a history of that length."""
        films, ratings, offsets = cases.whole_histories()
        lengths = np.diff(offsets)
        users = np.flatnonzero(lengths >= history_length + FEWEST_CANDIDATES)
        history = offsets[users, None] + np.arange(history_length)
        candidates = np.concatenate(
            [np.arange(offsets[user] + history_length, offsets[user + 1]) for user in users]
            or [np.zeros(0, dtype=np.int64)]
        )
        return cls(
            films[history],
            ratings[history],
            films[candidates],
            ratings[candidates],
            np.concatenate([[0], np.cumsum(lengths[users] - history_length)]),
        )

    def __len__(self) -> int:
        return len(self.history_films)

    def blocks(self) -> Iterator[slice]:
        """Runs of users with at most `CANDIDATES_PER_CALL` candidates together, or of a single user."""
        start = 0
        while start < len(self):
            within = np.searchsorted(self.offsets, self.offsets[start] + CANDIDATES_PER_CALL, "right") - 1
            yield slice(start, end := max(int(within), start + 1))
            start = end

    def table(self, users: slice, film_ids: pa.Array) -> pa.Table:
        """The candidates of some users as the table that `reel predict` reads, `film_ids` being the names of the
        films."""
        sizes = np.diff(self.offsets)[users]
        candidates = slice(self.offsets[users.start], self.offsets[users.stop])
        films = np.repeat(self.history_films[users], sizes, axis=0)
        ratings = np.repeat(self.history_ratings[users], sizes, axis=0)
        offsets = pa.array(np.arange(len(films) + 1) * films.shape[1], type=pa.int32())

        def named(films: np.ndarray) -> pa.DictionaryArray:
            return pa.DictionaryArray.from_arrays(pa.array(films, type=pa.int32()), film_ids)

        return pa.table(
            {
                "case_id": pa.array(np.arange(candidates.start, candidates.stop)),
                "history_film_ids": pa.ListArray.from_arrays(offsets, named(films.ravel())),
                "history_ratings": pa.ListArray.from_arrays(offsets, pa.array(ratings.ravel())),
                "film_id": named(self.candidate_films[candidates]),
            }
        )


def policy_values(cases: PolicyCases, scores: np.ndarray) -> dict[str, Floats]:
    """What `policy_worth` says of every user: metric -> [users]. `scores` are of the candidates."""
    spans = zip(cases.offsets[:-1], cases.offsets[1:], strict=True)
    worth = [policy_worth(scores[start:end], cases.candidate_ratings[start:end]) for start, end in spans]
    return {metric: np.array([values[metric] for values in worth]) for metric in METRICS}


def policy_report(values: Mapping[str, Mapping[str, np.ndarray]], *, seed: int = 0) -> Row:
    """
    Means over users with 95 % intervals by bootstrap over users, and the paired differences of all policies.

    Args:
        values: policy -> metric -> [users]; users where a metric has no value (nan) are left out of its mean.
        seed: of the bootstrap.

    Returns:
        `results`: [{"name", "metrics": {metric: {"value", "low", "high"}}}]; `paired`: [{"model", "baseline",
        "metric", "difference", "low", "high", "better"}], `better` naming one where the interval excludes 0.
    """
    users = len(next(iter(next(iter(values.values())).values())))
    resamples = Resamples(np.arange(users), seed=seed)
    results = [
        {"name": name, "metrics": {metric: _mean("value", own[metric], resamples) for metric in METRICS}}
        for name, own in values.items()
    ]
    paired = []
    for model, baseline in permutations(values, 2):
        for metric in METRICS:
            row = _mean("difference", values[model][metric] - values[baseline][metric], resamples)
            clear = row["low"] is not None and not row["low"] <= 0 <= row["high"]
            better = (model if row["difference"] > 0 else baseline) if clear else None
            paired.append({"model": model, "baseline": baseline, "metric": metric, **row, "better": better})
    return {"results": results, "paired": paired}


def _mean(key: str, values: np.ndarray, resamples: Resamples) -> Row:
    known = ~np.isnan(values)
    if not known.any():
        return {key: None, "low": None, "high": None}
    counts = resamples.counts[:, known].astype(np.float64)
    with np.errstate(invalid="ignore"):
        low, high = interval(counts @ values[known] / counts.sum(1))
    return {key: float(values[known].mean()), "low": low, "high": high}


def reference_scores(cases: PolicyCases, film_means: np.ndarray) -> dict[str, NDArray[Any]]:
    """The scores of the candidates by those of `REFERENCES`; `film_means` [films] are of the training users."""
    scores = np.zeros(len(cases.candidate_films)), film_means[cases.candidate_films], cases.candidate_ratings
    return dict(zip(REFERENCES, scores, strict=True))
