"""The order in which training examples come: all once an epoch, those of about the same size together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence, Sized
from typing import Any

import numpy as np
from torch.utils.data import Dataset, Sampler
from transformers import TrainerCallback


class SizedExamples(Dataset, Sized):
    """
    A data set whose rows show another example in every epoch. Keys are looked up in it, not row numbers, so that what
    an example holds does not depend on the process that loads it, nor on what was loaded before.

    Attributes:
        seed (`int`): the seed of every draw.
    """

    seed: int

    @abstractmethod
    def examples(self, epoch: int, start: int, rows: np.ndarray) -> tuple[Sequence[Any], np.ndarray]:
        """
        What some rows show in an epoch.

        Args:
            epoch (`int`): the epoch.
            start (`int`): how many rows have come in this epoch before these.
            rows (`np.ndarray` of shape `(rows,)`): which they are.

        Returns:
            The keys that `__getitem__` takes, and the examples' sizes, `(rows,)`.
        """


class LikeSizeSampler(Sampler):
    """
    Every row once an epoch, examples of about the same size together, so that little of a batch is padding.

    Args:
        dataset (`SizedExamples`): whose examples to order.
        group_size (`int`): examples of one optimiser step over all processes and accumulation steps. Groups are
            shuffled whole, so how a step is shared out over processes and parts does not change what it holds.
        groups_sorted (`int`): how many groups are sorted by size together.
    """

    def __init__(self, dataset: SizedExamples, group_size: int, groups_sorted: int = 50):
        self.dataset = dataset
        self.group_size = group_size
        self.groups_sorted = groups_sorted
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[Any]:
        draw = np.random.default_rng((self.dataset.seed, self.epoch, len(self.dataset)))
        order = draw.permutation(len(self.dataset))
        together = self.group_size * self.groups_sorted
        for start in range(0, len(order), together):
            keys, sizes = self.dataset.examples(self.epoch, start, order[start : start + together])
            by_size = np.argsort(sizes, kind="stable").tolist()
            groups = [by_size[i : i + self.group_size] for i in range(0, len(by_size), self.group_size)]
            # The epoch's last group may be smaller than the others, and so stays at the end.
            rest = [groups.pop()] if len(groups[-1]) < self.group_size else []
            for group in [groups[i] for i in draw.permutation(len(groups))] + rest:
                yield from (keys[place] for place in group)


class SameSampler(LikeSizeSampler):
    """For validation: what is drawn in the first epoch, whichever it is."""

    def set_epoch(self, epoch: int) -> None:
        pass


class EpochTeller(TrainerCallback):
    """Tells a sampler which epoch it is. Trainer does too, but not where several processes go on within an epoch: the
    sampler is then wrapped more deeply than it looks."""

    def __init__(self, sampler: LikeSizeSampler):
        self.sampler = sampler

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.sampler.set_epoch(int(state.epoch or 0))
