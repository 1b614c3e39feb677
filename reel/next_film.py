"""Which film to ask a person about: the one about which a question is expected to teach most of what else they rate.

Ratings of a person are read as a Gaussian process over the films (see `reel.covariance`). Having seen some ratings,
the posterior covariance K says what a further one is worth: knowing film c takes

    mean over films t of  K[t, c]^2 / (K[c, c] + noise[c])

off the predictive variance of what people rate (the criterion of active learning by Cohn, ALC), where the films t are
drawn as ratings are: a film with twice the ratings counts twice. Only who has seen c can answer. Having seen a film is
read as a second Gaussian process: how many people have rated it is the chance to begin with, and films that are near
in the model's film space have been seen by the same people. Ratings speak for having seen a film, and answers of "I
have not seen it" against. What a rating is worth, times the root of the chance to get one, says which film to ask
about. (The chance itself would give the expected gain of a question, but well-known films teach less than the process
expects.) It needs no run of the model, so it answers while somebody clicks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from reel.covariance import RatingCovariance, covariance_of

if TYPE_CHECKING:
    from reel.recommender import Recommender

ASKED_OF = 400  # best-known films that may be asked about
TARGETS = 600  # draws of films that are to be known better
REMEMBERED = 300  # ratings that are reckoned with, the latest; and of films that were seen, and that were not, each
# Who has seen which films, fitted to 4,000 training users of the Letterboxd data set and their 1,000 best-known films:
# the correlation of having seen two films is SEEN * exp((cosine of the film space - 1) / REACH).
SEEN, REACH = 0.7, 0.3
# Share of the people that have rated the best-known film: .51 there, .49 in the sample.
BEST_KNOWN = 0.5
# A film seen by fewer would be too great a surprise: the correlation is that of well-known films.
SELDOM = 0.1


class NextFilm:
    """
    Args:
        recommender (`Recommender`): the model whose film space and uncertainty are used.

    Example:

    ```python
    from reel import Recommender
    from reel.next_film import NextFilm

    asking = NextFilm(Recommender.from_pretrained("models/sample"))
    asking.suggest([("ml-1", 9)], unseen=["ml-260"], top=3)  # film ids, the most telling first
    ```
    """

    def __init__(self, recommender: Recommender):
        self.recommender = recommender
        counts = recommender.catalogue.films["rating_count"].to_numpy()
        best_known = np.argsort(-counts, kind="stable")
        best_known = best_known[counts[best_known] > 0]
        self.rows = best_known[:ASKED_OF]
        self.chances = BEST_KNOWN * counts / max(1, counts.max())
        # Draws at equal steps of the ratings: the better known a film is, the more often.
        reached = np.cumsum(counts[best_known]) / max(1, counts.sum())
        steps = (np.arange(TARGETS) + 0.5) / TARGETS
        drawn = best_known[np.searchsorted(reached, steps)] if len(best_known) else best_known
        self.targets, draws = np.unique(drawn, return_counts=True)
        self.shares = draws / TARGETS

    def suggest(
        self,
        history: Sequence[tuple[str, int]],
        unseen: Sequence[str] = (),
        seen: Sequence[str] = (),
        top: int = 1,
    ) -> list[str]:
        """
        Films to ask about.

        Args:
            history: film ids and ratings, as for `Recommender.predict`.
            unseen: ids of films that the person says not to have seen.
            seen: ids of films that were seen and not rated. Neither these nor those are asked about.
            top: how many, at most.

        Returns:
            Film ids, the most telling first.
        """
        # An export lists rated films among those that were seen; what was rated later has been seen after all.
        ratings = dict(history)
        others = [film for film in dict.fromkeys(seen) if film not in ratings]
        known = {*ratings, *others}
        not_seen = [film for film in unseen if film not in known]
        rated, unseen_rows, seen_rows = map(self.recommender.film_rows, (list(ratings), not_seen, others))
        chances = self._chance_of_seen(np.concatenate([seen_rows, rated])[-REMEMBERED:], unseen_rows[-REMEMBERED:])
        gain = self._worth(rated[-REMEMBERED:]) * np.sqrt(chances)
        groups = self.recommender.groups
        gone = groups[np.concatenate([rated, unseen_rows, seen_rows])]
        gain[np.isin(groups[self.rows], gone)] = -1
        order = [place for place in np.argsort(-gain, kind="stable")[:top] if gain[place] >= 0]
        return [self.recommender.catalogue.film_ids[self.rows[place]] for place in order]

    def _worth(self, rated: np.ndarray) -> np.ndarray:
        """By how much a rating of each of `self.rows` would lower the variance of what people rate, in squared rating
        points, once films have been rated; it does not depend on how."""
        to_targets, variances = self._prior
        if len(rated):
            known = self._covariance.between(rated, rated) + np.diag(self._covariance.noise(rated))
            told = self._covariance.between(rated, self.rows)
            weights = np.linalg.solve(known, told)
            to_targets = to_targets - self._covariance.between(self.targets, rated) @ weights
            variances = variances - (told * weights).sum(0)
        return self.shares @ to_targets**2 / (np.maximum(variances, 0) + self._covariance.noise(self.rows))

    @cached_property
    def _covariance(self) -> RatingCovariance:
        return covariance_of(self.recommender)

    @cached_property
    def _prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Before any rating: covariances of the targets with `self.rows`, and the variances of those."""
        between = self._covariance.between
        return between(self.targets, self.rows), np.diag(between(self.rows, self.rows))

    def _chance_of_seen(self, seen: np.ndarray, unseen: np.ndarray) -> np.ndarray:
        """The chance that each of `self.rows` has been seen by somebody of whom as much is known."""
        chances = self.chances[self.rows]
        known_of = np.concatenate([seen, unseen])
        if not len(known_of):
            return chances
        known = self._seen_together(known_of, known_of)
        np.fill_diagonal(known, 1)
        before = np.maximum(self.chances[known_of], SELDOM)
        surprises = (np.repeat([1.0, 0.0], [len(seen), len(unseen)]) - before) / np.sqrt(before * (1 - before))
        shift = self._seen_together(self.rows, known_of) @ np.linalg.solve(known, surprises)
        # It is an approximation that knows of no bounds; nobody is that sure.
        return np.clip(chances + np.sqrt(chances * (1 - chances)) * shift, 0.1 * chances, 0.9 + 0.1 * chances)

    def _seen_together(self, films: np.ndarray, others: np.ndarray) -> np.ndarray:
        space = self.recommender.film_space
        return SEEN * np.exp((space[films] @ space[others].T - 1) / REACH)
