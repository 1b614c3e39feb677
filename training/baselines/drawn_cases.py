"""Ratings of users drawn into targets and histories, once, so that all choices are judged by the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from data_prep.dataset import Histories
from data_prep.errors import UserError
from modeling.baselines import RatingBaselineModel
from training.cases import NUM_TARGETS

SPREAD_LENGTHS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)
FEW_USERS = 30
USERS_AT_ONCE = 64  # what a bandit holds of them stays within the processor's cache


@dataclass
class DrawnCases:
    """
    Targets of users and the ratings known before them, in random order.

    Attributes:
        users (`np.ndarray` of shape `(cases,)`): position of each in its histories.
        films, ratings (`np.ndarray` of shape `(cases, NUM_TARGETS + longest)`): the targets, then the history; the
            rating is 0 where a history has ended.
    """

    users: np.ndarray
    films: np.ndarray
    ratings: np.ndarray

    @classmethod
    def draw(cls, histories: Histories, longest: int, seed: int) -> DrawnCases:
        """
        Every user with more ratings than there are targets.

        Args:
            histories (`Histories`): of a split.
            longest (`int`): ratings of a history, at most.
            seed (`int`): of the draw.

        Raises:
            UserError: when there is none.
        """
        users = np.flatnonzero(histories.lengths() > NUM_TARGETS)
        if not len(users):
            raise UserError(
                f"none of the {len(histories)} users of a split has over {NUM_TARGETS} ratings; build larger splits"
            )
        films = np.zeros((len(users), NUM_TARGETS + longest), dtype=np.int64)
        ratings = np.zeros((len(users), NUM_TARGETS + longest), dtype=np.int64)
        draw = np.random.default_rng(seed)
        for row, user in enumerate(users):
            user_films, user_ratings = histories.history(int(user))
            order = draw.permutation(len(user_films))[: films.shape[1]]
            films[row, : len(order)], ratings[row, : len(order)] = user_films[order], user_ratings[order]
        return cls(users, films, ratings)

    def __len__(self) -> int:
        return len(self.users)

    def cut_histories(self, seed: int) -> np.ndarray:
        """The histories' ratings, each cut at a length whose logarithm is drawn evenly, from nothing to all there is:
        `(cases, longest)`."""
        known = self.ratings[:, NUM_TARGETS:]
        share = np.random.default_rng(seed).random(len(self))
        lengths = np.floor((1 + (known > 0).sum(1)) ** share) - 1
        return np.where(np.arange(known.shape[1]) < lengths[:, None], known, 0)

    def with_room(self, length: int) -> np.ndarray:
        """Rows of those with `length` ratings beside their targets."""
        return np.flatnonzero(self.ratings[:, NUM_TARGETS + length - 1] > 0)


class Judge:
    """
    Judges models by the targets of validation users.

    Args:
        validation (`Histories`): of the validation split.
        seed (`int`): of the draw.

    Attributes:
        lengths: the history lengths that models are judged at.

    Raises:
        UserError: when no validation user has enough ratings.
    """

    def __init__(self, validation: Histories, seed: int):
        self.cases = DrawnCases.draw(validation, SPREAD_LENGTHS[-1], seed)
        # A spread measured on a handful of users would be the spread of everyone with such a history.
        enough = min(FEW_USERS, len(self.cases))
        self.lengths = [length for length in SPREAD_LENGTHS if len(self.cases.with_room(length)) >= enough]

    def errors(self, model: RatingBaselineModel, length: int) -> np.ndarray:
        """Estimate minus rating of the targets of users with `length` ratings beside them: `(users, NUM_TARGETS)`."""
        rows = self.cases.with_room(length)
        films, ratings = torch.from_numpy(self.cases.films[rows]), torch.from_numpy(self.cases.ratings[rows])
        history = slice(NUM_TARGETS, NUM_TARGETS + length)
        estimates = [
            model.estimate(some[:, history], given[:, history], some[:, :NUM_TARGETS])
            for some, given in zip(films.split(USERS_AT_ONCE), ratings.split(USERS_AT_ONCE), strict=True)
        ]
        return (torch.cat(estimates) - ratings[:, :NUM_TARGETS]).numpy()

    def squared_error(self, model: RatingBaselineModel, length: int) -> float:
        """Mean squared error at one history length."""
        return float(np.square(self.errors(model, length)).mean())

    def error(self, model: RatingBaselineModel) -> float:
        """Mean of the mean squared errors at all history lengths."""
        return float(np.mean([self.squared_error(model, length) for length in self.lengths]))

    @torch.no_grad()
    def measure_spreads(self, model: RatingBaselineModel) -> None:
        """Write the root mean squared error at every history length into the model."""
        model.spreads.copy_(torch.tensor([np.sqrt(self.squared_error(model, length)) for length in self.lengths]))
