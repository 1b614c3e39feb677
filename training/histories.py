"""Rating histories as training examples: pieces of histories, and how they become a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from modeling.losses import IGNORED
from training.sampler import SizedExamples

if TYPE_CHECKING:
    from data_prep.dataset import Histories

SHORT_SHARE = 0.1  # of the pieces are short


class Piece(NamedTuple):
    """A piece of a history: `length` ratings of history `user`, drawn anew in every epoch. The pieces of one history,
    which `part` tells apart, share no rating where the history is undated."""

    epoch: int
    user: int
    part: int
    length: int


class HistoryDataset(SizedExamples):
    """
    Pieces of rating histories. What a `Piece` holds depends on the piece and the seed alone.

    An undated history is a set, so its piece is a random draw in random order; of a dated one it is a random run of
    consecutive ratings. A history has as many pieces as it fills, so that long ones are not seen less; as pieces are
    `cut`, an epoch shows somewhat over half of the ratings.

    Args:
        histories (`Histories`): the rating histories.
        max_length (`int`): ratings in a piece, at most.
        leave_one_out (`bool`): whether these ratings are among the model's own statistics, as those of training
            users are.
        seed (`int`): the seed of every draw.
        cut (`bool`): whether pieces are cut at random lengths, most of them near the longest possible, so that short
            histories are practised as well; otherwise each history has one piece, as long as can be.
    """

    def __init__(self, histories: Histories, max_length: int, *, leave_one_out: bool, seed: int = 0, cut: bool = True):
        self.histories = histories
        self.max_length = max_length
        self.leave_one_out = leave_one_out
        self.seed = seed
        self.cut = cut
        pieces = np.maximum(1, histories.lengths() // max_length) if cut else np.ones(len(histories), dtype=np.int64)
        self.users = np.repeat(np.arange(len(histories)), pieces)  # whose every piece is
        self.parts = np.arange(len(self.users)) - np.repeat(np.cumsum(pieces) - pieces, pieces)

    def __len__(self) -> int:
        return len(self.users)

    def lengths(self, epoch: int) -> np.ndarray:
        """The length of every piece in an epoch: `(pieces,)` int64."""
        longest = np.minimum(self.histories.lengths()[self.users], self.max_length)
        if not self.cut:
            return longest
        draw = np.random.default_rng((self.seed, epoch))
        share = 1 - draw.random(len(longest))
        # A short piece is a cheap step of its own, and teaches what to say of people who have rated little.
        short = longest**share  # any order of magnitude
        long = longest * share**0.25  # four fifths of the longest on average
        return np.ceil(np.where(draw.random(len(longest)) < SHORT_SHARE, short, long)).astype(np.int64)

    def examples(self, epoch: int, start: int, rows: np.ndarray) -> tuple[Sequence[Piece], np.ndarray]:
        lengths = self.lengths(epoch)[rows]
        columns = (self.users[rows].tolist(), self.parts[rows].tolist(), lengths.tolist())
        return [Piece(epoch, *row) for row in zip(*columns, strict=True)], lengths

    def __getitem__(self, piece: Piece) -> dict[str, Any]:
        films, ratings = self.histories.history(piece.user)
        draw = np.random.default_rng((self.seed, piece.epoch, piece.user))
        if self.histories.ordered[piece.user]:
            start = int(draw.integers(0, len(films) - piece.length + 1, size=piece.part + 1)[-1])
            chosen = np.arange(start, start + piece.length)
        else:
            start = piece.part * self.max_length
            chosen = draw.permutation(len(films))[start : start + piece.length]
        return {
            "user": piece.user,
            "film_ids": films[chosen],
            "ratings": ratings[chosen],
            "leave_one_out": self.leave_one_out,
        }

    def batch(self, rows: np.ndarray) -> dict[str, Any]:
        """What some rows show in the first epoch, as `HistoryCollator` makes a batch of it."""
        pieces, _ = self.examples(0, 0, rows)
        return HistoryCollator()([self[piece] for piece in pieces])


@dataclass
class HistoryCollator:
    """
    Pads pieces on the right, to the longest of the batch or the next multiple of `pad_to_multiple_of`.

    Args:
        factors_by_fold (`torch.FloatTensor` of shape `(folds, films, width)`, *optional*): films' factors without the
            ratings of every `folds`-th training user. Pieces of training users come with those that they had no part
            in, zeros where there is no film.
        pad_to_multiple_of (`int`): what a batch's length is a multiple of.

    Example:

    ```python
    >>> pieces = [{"film_ids": [4, 7], "ratings": [9, 2]}, {"film_ids": [1], "ratings": [10]}]
    >>> batch = HistoryCollator()([{**piece, "user": 0, "leave_one_out": False} for piece in pieces])
    >>> batch["film_ids"].tolist(), batch["ratings"].tolist(), batch["labels"].tolist()
    ([[4, 7], [1, -1]], [[9, 2], [10, 0]], [[9, 2], [10, -100]])

    ```
    """

    factors_by_fold: torch.Tensor | None = None
    pad_to_multiple_of: int = 1

    def __call__(self, pieces: list[dict[str, Any]]) -> dict[str, torch.Tensor | bool]:
        longest = max(len(piece["film_ids"]) for piece in pieces)
        shape = (len(pieces), -(-longest // self.pad_to_multiple_of) * self.pad_to_multiple_of)
        film_ids = np.full(shape, -1, dtype=np.int64)
        ratings = np.zeros(shape, dtype=np.int64)
        for row, piece in enumerate(pieces):
            film_ids[row, : len(piece["film_ids"])] = piece["film_ids"]
            ratings[row, : len(piece["ratings"])] = piece["ratings"]
        leave_one_out = pieces[0]["leave_one_out"]
        batch: dict[str, torch.Tensor | bool] = {
            "film_ids": torch.from_numpy(film_ids),
            "ratings": torch.from_numpy(ratings),
            "labels": torch.from_numpy(np.where(ratings > 0, ratings, IGNORED)),
            "leave_one_out": leave_one_out,
        }
        if leave_one_out and self.factors_by_fold is not None:
            folds = torch.tensor([piece["user"] for piece in pieces]) % len(self.factors_by_fold)
            rows = torch.from_numpy(film_ids)
            factors = self.factors_by_fold[folds[:, None], rows.clamp(min=0)]
            batch["film_factors"] = factors.masked_fill((rows < 0)[..., None], 0.0)
        return batch
