"""Why a film is recommended: the rated films whose removal changes its prediction most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reel.cases import EncodedCases
from training.metrics import RATING_VALUES as RATINGS

if TYPE_CHECKING:
    from reel.recommender import Recommender

TRIED = 16  # rated films that are taken away, one at a time
REMEMBERED = 200  # ratings around them, the latest: more would cost seconds and change little
NOTICEABLE = 0.02  # of a rating point; less is no reason


def influences(
    recommender: Recommender, history_films: np.ndarray, history_ratings: np.ndarray, films: np.ndarray, top: int
) -> list[list[tuple[int, float]]]:
    """
    For every film the places in the history that matter most to it, and by how many rating points (1..10) the expected
    rating falls when the rating there is taken away; negative where it rises. The most influential comes first.

    Of a long history, the 16 rated films nearest to any of the `films` in the model's film space are tried.

    Args:
        history_films, history_ratings (`np.ndarray` of shape `(length,)`): catalogue rows and ratings.
        films (`np.ndarray` of shape `(films,)`): catalogue rows.
        top (`int`): places for each film, at most.
    """
    if not len(history_films) or not len(films):
        return [[] for _ in films]
    space = recommender.film_space
    nearness = (space[films] @ space[history_films].T).max(0)
    tried = np.sort(np.argsort(-nearness, kind="stable")[:TRIED])
    kept = np.union1d(tried, np.arange(max(0, len(history_films) - REMEMBERED), len(history_films)))
    histories = [kept, *(kept[kept != place] for place in tried)]
    encoded = EncodedCases(
        films=np.tile(films, len(histories)),
        history=np.repeat(np.arange(len(histories)), len(films)),
        history_films=[history_films[places] for places in histories],
        history_ratings=[history_ratings[places] for places in histories],
    )
    expected = (recommender.predict_encoded(encoded) @ RATINGS).reshape(len(histories), len(films))
    change = expected[0] - expected[1:]  # (tried, films)
    change[history_films[tried][:, None] == films] = 0  # a film is no reason for itself
    found = []
    for column in change.T:
        order = np.argsort(-np.abs(column), kind="stable")[:top]
        found.append([(int(tried[i]), float(column[i])) for i in order if abs(column[i]) >= NOTICEABLE])
    return found
