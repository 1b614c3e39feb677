"""Trajectories: windows of users' rated films as training examples, and their batches of tokens (section 5.3 of the
paper)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset, Sampler

from modeling.losses import IGNORED
from modeling.text_gpt2 import FilmTokens, GPT2ForRatingConfig

if TYPE_CHECKING:
    from data_prep.dataset import Histories


class Window(NamedTuple):
    """The window that row `row` of a [`TrajectoryDataset`] shows in an epoch."""

    epoch: int
    row: int


def rows_by_user(histories: Histories) -> np.ndarray:
    """Every user once: `(users,)` int64."""
    return np.arange(len(histories))


def rows_by_rating(histories: Histories, window: int) -> np.ndarray:
    """Every user as often as windows of `window` films fit into the history, but at least once: `(rows,)` int64."""
    return np.repeat(np.arange(len(histories)), np.maximum(1, histories.lengths() // window))


class TrajectoryDataset(Dataset):
    """
    Windows of rating histories, drawn anew in every epoch. What a row shows depends on `(seed, epoch, row)` alone.

    A dated history's window is a run of consecutive films; an undated one is a set, of which a window is a random draw
    in random order.

    Args:
        histories (`Histories`): the rating histories.
        rows (`np.ndarray` of shape `(rows,)`): the user of each row, as `rows_by_user` or `rows_by_rating` gives them.
        window (`int`): films in a window; all of a shorter history.
        film_lengths (`np.ndarray` of shape `(films,)`): tokens of each film's text, by which windows of like length
            are found.
        seed (`int`): the seed of every draw.
    """

    def __init__(
        self, histories: Histories, rows: np.ndarray, window: int, film_lengths: np.ndarray, *, seed: int = 0
    ):
        self.histories = histories
        self.rows = rows
        self.window = window
        self.film_lengths = film_lengths
        self.seed = seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Film indices and ratings, `(films,)` each."""
        user = self.rows[window.row]
        films, ratings = self.histories.history(user)
        draw = np.random.default_rng((self.seed, window.epoch, window.row))
        if self.histories.ordered[user]:
            start = int(draw.integers(0, max(1, len(films) - self.window + 1)))
            chosen = np.arange(start, min(start + self.window, len(films)))
        else:
            chosen = draw.permutation(len(films))[: self.window]
        return films[chosen], ratings[chosen]

    def length(self, window: Window) -> int:
        """Tokens of the films' texts in a window."""
        return int(self.film_lengths[self[window][0]].sum())


class TrajectorySampler(Sampler[Window]):
    """
    Every row once an epoch, windows of about the same number of tokens together, so that little of a batch is padding.

    Args:
        dataset (`TrajectoryDataset`): whose windows to order.
        group_size (`int`): windows of one optimiser step over all processes and accumulation steps. Groups are
            shuffled whole, so how a step is shared out over processes and parts does not change what it holds.
        groups_sorted (`int`): how many groups are sorted by length together.
    """

    def __init__(self, dataset: TrajectoryDataset, group_size: int, groups_sorted: int = 25):
        self.dataset = dataset
        self.group_size = group_size
        self.groups_sorted = groups_sorted
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[Window]:
        draw = np.random.default_rng((self.dataset.seed, self.epoch, len(self.dataset)))
        order = draw.permutation(len(self.dataset)).tolist()
        sorted_together = self.group_size * self.groups_sorted
        for start in range(0, len(order), sorted_together):
            windows = [Window(self.epoch, row) for row in order[start : start + sorted_together]]
            windows.sort(key=self.dataset.length)
            groups = [windows[i : i + self.group_size] for i in range(0, len(windows), self.group_size)]
            whole = [group for group in groups if len(group) == self.group_size]
            for number in draw.permutation(len(whole)).tolist():
                yield from whole[number]
            if len(whole) < len(groups):  # the epoch's last windows
                yield from groups[-1]


@dataclass
class TrajectoryCollator:
    """
    Windows as a batch of tokens, padded on the right and cut at the end of the model's context.

    Args:
        films (`FilmTokens`): the films' texts.
        config (`GPT2ForRatingConfig`): the model's.
        token_labels (`bool`): whether the batch also holds the token that follows each position.

    Example:

    ```python
    >>> films = FilmTokens(torch.tensor([5, 6, 7], dtype=torch.int32), torch.tensor([0, 1, 3]))
    >>> config = GPT2ForRatingConfig(rating_token_ids=list(range(20, 31)), rating_ending_ids=[40])
    >>> windows = [(np.array([0, 1]), np.array([9, 2])), (np.array([1]), np.array([4]))]
    >>> batch = TrajectoryCollator(films, config)(windows)
    >>> batch["input_ids"].tolist()
    [[5, 29, 40, 6, 7, 22, 40], [6, 7, 24, 40, 0, 0, 0]]
    >>> batch["rating_positions"].tolist(), batch["labels"].tolist()
    ([[0, 4], [1, -1]], [[9, 2], [4, -100]])

    ```
    """

    films: FilmTokens
    config: GPT2ForRatingConfig
    token_labels: bool = False

    def __call__(self, windows: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, torch.Tensor]:
        context = self.config.n_positions
        input_ids, positions, labels = [], [], []
        for window in windows:
            films, ratings = (torch.from_numpy(part).long() for part in window)
            trajectory = self.films.join(films, ratings, self.config)
            kept = trajectory.rating_positions + 1 < context  # the rating itself is in the context
            input_ids.append(trajectory.input_ids[:context])
            positions.append(trajectory.rating_positions[kept])
            labels.append(ratings[kept])
        batch = {
            "input_ids": pad_sequence(input_ids, batch_first=True),
            "rating_positions": pad_sequence(positions, batch_first=True, padding_value=-1),
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
        }
        if self.token_labels:
            following = [torch.cat([ids[1:], ids.new_tensor([IGNORED])]) for ids in input_ids]
            batch["token_labels"] = pad_sequence(following, batch_first=True, padding_value=IGNORED)
        return batch
