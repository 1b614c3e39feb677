"""Histories that a model has read lately, so that one more rating is read on and not everything again."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

KEPT = 64  # histories
# Beside some 4 kB a rating, with the default model, a history of n ratings has a matrix of n x n: 9 MB for 1,500.
BYTES = 128 * 2**20


class Memories:
    """
    In memory alone: nothing is written, and the oldest is forgotten.

    Args:
        model (`PreTrainedModel`): a model with `read` and `read_on`.
        kept (`int`): histories to remember, at most.
        size (`int`): bytes they may take together; the one asked for last is remembered whatever it takes.
    """

    def __init__(self, model: PreTrainedModel, kept: int = KEPT, size: int = BYTES):
        self.model: Any = model
        self.kept = kept
        self.size = size
        self._memories: OrderedDict[bytes, Any] = OrderedDict()
        self._lock = Lock()  # a page serves several people at once

    def of(self, films: np.ndarray, ratings: np.ndarray) -> Any:
        """
        What the model keeps of a history.

        Args:
            films (`np.ndarray` of shape `(length,)`): catalogue rows.
            ratings (`np.ndarray` of shape `(length,)`): 1..10.
        """
        history = np.stack([films, ratings]).astype(np.int64)
        memory = self._recall(history)
        if memory is None and len(films):
            before = self._recall(history[:, :-1])
            if before is not None:
                memory = self.model.read_on(before, *self._tensors(history[:, -1:]))
        if memory is None:
            memory = self.model.read(*(tensor[None] for tensor in self._tensors(history)))
        with self._lock:
            self._memories[self._key(history)] = memory
            while len(self._memories) > 1 and not self._fits():
                self._memories.popitem(last=False)
        return memory

    def _fits(self) -> bool:
        return len(self._memories) <= self.kept and bytes_of(list(self._memories.values())) <= self.size

    def _tensors(self, history: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        films, ratings = torch.from_numpy(history).to(self.model.device)
        return films, ratings

    def _recall(self, history: np.ndarray) -> Any:
        key = self._key(history)
        with self._lock:
            if key in self._memories:
                self._memories.move_to_end(key)
            return self._memories.get(key)

    @staticmethod
    def _key(history: np.ndarray) -> bytes:
        return history.tobytes("F")


def bytes_of(memory: Any) -> int:
    """Bytes of all tensors in a memory, however they are nested in tuples and lists."""
    if isinstance(memory, torch.Tensor):
        return memory.nbytes
    return sum(map(bytes_of, memory)) if isinstance(memory, (tuple, list)) else 0
