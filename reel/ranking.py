"""Films in the order in which a person would want to see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from data_prep.errors import UserError
from training.metrics import RATING_VALUES as RATINGS
from training.metrics import REWARD_RATING

# What films are ranked by: the expected rating, or P(rating >= 7).
AIMS = ("rating", "reward")
# A probability spans 1 where ratings span ten points.
POINTS_PER_PROBABILITY = 10.0
MOST_CAUTION = 10  # standard deviations
# Films, from the best on, among which maximal marginal relevance chooses; those below keep their places.
DIVERSE_POOL = 500
ORDERS = ("best", "newest", "oldest", "best known", "least known", "title")


@dataclass(frozen=True)
class Ranking:
    """Catalogue rows, best first `(films,)`, and the probabilities of their ratings 1..10 `(films, 10)`."""

    rows: np.ndarray
    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def expected(self) -> np.ndarray:
        """Expected ratings 1..10, `(films,)`."""
        return self.probabilities @ RATINGS

    def taken(self, places: np.ndarray | slice) -> Ranking:
        """The films at some places."""
        return Ranking(self.rows[places], self.probabilities[places])

    def sorted_by(self, order: str, films: pl.DataFrame) -> Ranking:
        """
        The same films in another order; equal ones stay best first, and films without a year come last.

        Raises:
            UserError: for an order that is not one of `ORDERS`.
        """
        if order not in ORDERS:
            raise UserError(f"order {order!r}: must be one of {', '.join(ORDERS)}")
        if order == "best":
            return self
        own = films[self.rows]
        if order == "title":
            keys = np.unique(own["title"].str.to_lowercase().to_numpy(), return_inverse=True)[1]
        elif order in ("newest", "oldest"):
            sign = -1 if order == "newest" else 1
            keys = (sign * own["year"]).fill_null(9999).to_numpy()
        else:
            keys = own["rating_count"].to_numpy() * (-1 if order == "best known" else 1)
        return self.taken(np.argsort(keys, kind="stable"))


def worth(probabilities: np.ndarray, caution: float = 0.0, by: str = "rating") -> np.ndarray:
    """
    What films are ranked by: the expected rating less `caution` standard deviations of its distribution, or P(rating
    >= 7).

    Caution above 0 prefers a sure 7 to a gamble with the same mean; below 0 it is a taste for adventure, which counts
    the chance of a favourite for more than the risk of a bad evening.

    Args:
        probabilities (`np.ndarray` of shape `(films, 10)`): of the ratings 1..10.
        caution (`float`): in standard deviations; of the expected rating alone.
        by (`str`): one of `AIMS`.

    Returns:
        `np.ndarray` of shape `(films,)`, in rating points; ten points for a probability of 1.

    Raises:
        UserError: for another aim, for caution beyond 10 either way, or with P(rating >= 7).
    """
    if by not in AIMS:
        raise UserError(f"films are ranked by {' or '.join(AIMS)}, not by {by!r}")
    if not -MOST_CAUTION <= caution <= MOST_CAUTION:
        raise UserError(f"caution {caution:g}: must be from -{MOST_CAUTION} to {MOST_CAUTION} standard deviations")
    if by == "reward":
        if caution:
            raise UserError(f"caution {caution:g} is for ranking by rating; by reward a film is worth its probability")
        return POINTS_PER_PROBABILITY * probabilities[:, REWARD_RATING - 1 :].sum(1)
    mean = probabilities @ RATINGS
    spread = np.sqrt(np.maximum(probabilities @ RATINGS**2 - mean**2, 0))
    return mean - caution * spread


def renown(rating_counts: np.ndarray) -> np.ndarray:
    """How well known films are, `(films,)`: the log of one plus their number of ratings, less its mean over the
    catalogue, in standard deviations."""
    logs = np.log1p(rating_counts)
    return (logs - logs.mean()) / max(float(logs.std()), 1e-6)


def points_of_renown(rating_counts: np.ndarray, popularity: float) -> np.ndarray:
    """
    Rating points that films gain for being well known, or for being little seen, `(films,)`.

    Args:
        rating_counts (`np.ndarray` of shape `(films,)`): of the whole catalogue.
        popularity (`float`): -1..1, points for every standard deviation of `renown`.

    Raises:
        UserError: another popularity.
    """
    if not -1 <= popularity <= 1:
        raise UserError(f"popularity {popularity:g}: must be from -1 (little seen) to 1 (well known)")
    return popularity * renown(rating_counts)


def diverse_order(worths: np.ndarray, vectors: np.ndarray, diversity: float) -> np.ndarray:
    """
    Maximal marginal relevance (Carbonell and Goldstein, 1998): one film after another, each the one with the largest
    `(1 - diversity) * relevance - diversity * (its largest similarity to a film before it)`.

    Relevance is worth, laid out from 0 for the last film to 1 for the first; similarity is the cosine.

    Args:
        worths (`np.ndarray` of shape `(films,)`): best first.
        vectors (`np.ndarray` of shape `(films, width)`): unit vectors of the same films.
        diversity (`float`): 0 keeps the order, 1 looks at differences alone (after the best film).

    Returns:
        `np.ndarray` of shape `(films,)`: places of the films, in their new order.
    """
    relevance = (worths - worths.min()) / max(float(np.ptp(worths)), 1e-6)
    similarity = vectors @ vectors.T
    nearest = np.zeros(len(worths))
    left = np.ones(len(worths), dtype=bool)
    order = np.empty(len(worths), dtype=np.int64)
    for place in range(len(worths)):
        gains = (1 - diversity) * relevance - diversity * nearest
        # The best film comes first whatever the diversity: before it there is nothing to differ from.
        chosen = 0 if place == 0 else int(np.where(left, gains, -np.inf).argmax())
        order[place], left[chosen] = chosen, False
        nearest = similarity[chosen] if place == 0 else np.maximum(nearest, similarity[chosen])
    return order
