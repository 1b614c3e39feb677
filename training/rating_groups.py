"""Ratings grouped by user or by film, in dense batches: what regressions per user or per film read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

RATINGS_PER_BATCH = 1 << 19  # with padding: 64 MB of vectors at rank 32


@dataclass
class RatingGroups:
    """
    Ratings grouped by row (users or films), longest group first, so that groups of like size share a batch.

    Attributes:
        rows (`torch.LongTensor` of shape `(groups,)`): which row each group belongs to.
        offsets (`torch.LongTensor` of shape `(groups + 1,)`): where each group begins in what follows.
        columns (`torch.LongTensor` of shape `(total,)`): the other side of each rating.
        values (`torch.FloatTensor` of shape `(total,)`): the ratings, or what a model leaves of them.
    """

    rows: torch.Tensor
    offsets: torch.Tensor
    columns: torch.Tensor
    values: torch.Tensor

    @classmethod
    def of(cls, rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> RatingGroups:
        counts = np.bincount(rows)
        present = np.flatnonzero(counts)
        present = present[np.argsort(-counts[present], kind="stable")]
        rank = np.empty(len(counts), dtype=np.int32)
        rank[present] = np.arange(len(present), dtype=np.int32)
        order = np.argsort(rank[rows], kind="stable")
        return cls(
            torch.from_numpy(present),
            torch.from_numpy(np.concatenate([[0], np.cumsum(counts[present])])),
            torch.from_numpy(columns[order].astype(np.int64)),
            torch.from_numpy(values[order].astype(np.float32)),
        )

    def batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Rows `(batch,)`, columns `(batch, longest)` and values `(batch, longest)`; padding is column -1, value 0."""
        lengths = self.offsets.diff()
        first = 0
        while first < len(lengths):
            longest = int(lengths[first])
            last = min(len(lengths), first + max(1, RATINGS_PER_BATCH // longest))
            positions = self.offsets[first:last, None] + torch.arange(longest)
            inside = torch.arange(longest) < lengths[first:last, None]
            positions = positions.clamp(max=len(self.values) - 1)
            columns = torch.where(inside, self.columns[positions], -1)
            yield self.rows[first:last], columns, torch.where(inside, self.values[positions], 0.0)
            first = last
