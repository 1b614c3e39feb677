"""Films in the order in which a person would want to see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from data_prep.errors import UserError
from training.metrics import RATING_VALUES as RATINGS

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


def worth(probabilities: np.ndarray, caution: float) -> np.ndarray:
    """
    What films are ranked by: the expected rating less `caution` standard deviations of its distribution.

    Caution above 0 prefers a sure 7 to a gamble with the same mean; below 0 it is a taste for adventure, which counts
    the chance of a favourite for more than the risk of a bad evening.

    Args:
        probabilities (`np.ndarray` of shape `(films, 10)`): of the ratings 1..10.
        caution (`float`): in standard deviations.

    Returns:
        `np.ndarray` of shape `(films,)`.
    """
    mean = probabilities @ RATINGS
    spread = np.sqrt(np.maximum(probabilities @ RATINGS**2 - mean**2, 0))
    return mean - caution * spread
