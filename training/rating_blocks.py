"""Single ratings as training examples, a block of them at a time: whole arrays, no work per rating in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from training.sampler import SizedExamples

if TYPE_CHECKING:
    from data_prep.dataset import Histories

BLOCK_SIZE = 256  # ratings that are loaded together


class Block(NamedTuple):
    """The `row`-th block of an epoch's ratings."""

    epoch: int
    row: int


class RatingBlocks(SizedExamples):
    """
    All ratings of some users in an order drawn anew for every epoch, cut into blocks of `BLOCK_SIZE`. What a block
    holds depends on `(seed, epoch, row)` alone.

    Args:
        users (`np.ndarray` of shape `(ratings,)`): the model's users.
        films (`np.ndarray` of shape `(ratings,)`): catalogue rows.
        ratings (`np.ndarray` of shape `(ratings,)`): 1..10.
        seed (`int`): the seed of every draw.
    """

    def __init__(self, users: np.ndarray, films: np.ndarray, ratings: np.ndarray, seed: int = 0):
        self.users, self.films, self.ratings, self.seed = users, films, ratings, seed
        self.user_shares, self.film_shares = (
            (1 / np.maximum(np.bincount(ids), 1)).astype(np.float32) for ids in (users, films)
        )
        self._drawn: tuple[int, np.ndarray] | None = None

    @classmethod
    def of(cls, histories: Histories, seed: int = 0) -> RatingBlocks:
        """All ratings of some users; user `i` is the model's user `i`."""
        users = np.repeat(np.arange(len(histories), dtype=np.int32), histories.lengths())
        return cls(users, histories.film_indices, histories.ratings, seed)

    def __len__(self) -> int:
        return -(-len(self.ratings) // BLOCK_SIZE)

    def examples(self, epoch: int, start: int, rows: np.ndarray) -> tuple[Sequence[Block], np.ndarray]:
        sizes = np.minimum(BLOCK_SIZE, len(self.ratings) - rows * BLOCK_SIZE)
        return [Block(epoch, row) for row in rows.tolist()], sizes

    def _order(self, epoch: int) -> np.ndarray:
        if self._drawn is None or self._drawn[0] != epoch:
            draw = np.random.default_rng((self.seed, epoch))
            self._drawn = epoch, draw.permutation(np.arange(len(self.ratings), dtype=np.int32))
        return self._drawn[1]

    def __getitem__(self, block: Block) -> dict[str, np.ndarray]:
        start = block.row * BLOCK_SIZE
        chosen = self._order(block.epoch)[start : start + BLOCK_SIZE]
        users, films = self.users[chosen], self.films[chosen]
        return {
            "film_ids": films,
            "user_ids": users,
            "user_shares": self.user_shares[users],
            "film_shares": self.film_shares[films],
            "labels": self.ratings[chosen],
        }


def join_blocks(blocks: list[dict[str, np.ndarray]]) -> dict[str, torch.Tensor]:
    """
    Blocks end to end: each column `(ratings,)`, whole numbers as int64.

    Example:

    ```python
    >>> blocks = [{"labels": np.array([9, 2], dtype=np.int8)}, {"labels": np.array([10], dtype=np.int8)}]
    >>> join_blocks(blocks)["labels"].tolist()
    [9, 2, 10]

    ```
    """
    columns = {name: torch.from_numpy(np.concatenate([block[name] for block in blocks])) for name in blocks[0]}
    return {name: column if column.is_floating_point() else column.long() for name, column in columns.items()}
