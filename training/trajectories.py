"""Trajectories: windows of users' rated films as training examples, and their batches of tokens (section 5.3 of the
paper)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from modeling.losses import IGNORED
from modeling.text_gpt2 import FilmTokens, GPT2ForRatingConfig
from training.sampler import SizedExamples

if TYPE_CHECKING:
    from data_prep.dataset import Histories


class Window(NamedTuple):
    """The window that row `row` of a [`TrajectoryDataset`] shows in an epoch, in pieces of `piece` films."""

    epoch: int
    row: int
    piece: int


# Film indices and ratings of a piece of a window, `(films,)` each.
Piece = tuple[np.ndarray, np.ndarray]


def rows_by_user(histories: Histories) -> np.ndarray:
    """Every user once: `(users,)` int64."""
    return np.arange(len(histories))


def rows_by_rating(histories: Histories, window: int) -> np.ndarray:
    """Every user as often as windows of `window` films fit into the history, but at least once: `(rows,)` int64."""
    return np.repeat(np.arange(len(histories)), np.maximum(1, histories.lengths() // window))


class TrajectoryDataset(SizedExamples):
    """
    Windows of rating histories, drawn anew in every epoch. What a row shows depends on `(seed, epoch, row)` alone.

    A dated history's window is a run of consecutive films; an undated one is a set, of which a window is a random draw
    in random order.

    The first `short_windows` windows are cut into pieces that do not see one another: at first single films, then two,
    four, eight together. A model that starts from scratch finds what a film's text says of its ratings within minutes
    where it reads that text alone; among ten films it hardly begins to, as its attention is spread over all of them.

    Args:
        histories (`Histories`): the rating histories.
        rows (`np.ndarray` of shape `(rows,)`): the user of each row, as `rows_by_user` or `rows_by_rating` gives them.
        window (`int`): films in a window; all of a shorter history.
        film_lengths (`np.ndarray` of shape `(films,)`): tokens of each film's text, by which windows of like length
            are found.
        short_windows (`int`): windows until they are whole; 0 never cuts them.
        seed (`int`): the seed of every draw.
    """

    def __init__(
        self,
        histories: Histories,
        rows: np.ndarray,
        window: int,
        film_lengths: np.ndarray,
        *,
        short_windows: int = 0,
        seed: int = 0,
    ):
        self.histories = histories
        self.rows = rows
        self.window = window
        self.film_lengths = film_lengths
        self.short_windows = short_windows
        self.seed = seed

    def __len__(self) -> int:
        return len(self.rows)

    def examples(self, epoch: int, start: int, rows: np.ndarray) -> tuple[Sequence[Window], np.ndarray]:
        piece = self._piece(epoch * len(self) + start)
        windows = [Window(epoch, row, piece) for row in rows.tolist()]
        return windows, np.array([self.film_lengths[self._films(window)[0]].sum() for window in windows])

    def _piece(self, seen: int) -> int:
        """Films in a piece after so many windows: one, then twice as many whenever an equal share of `short_windows`
        has come, in the end all of a window."""
        if seen >= self.short_windows:
            return self.window
        doublings = math.ceil(math.log2(self.window))
        return 2 ** (doublings * seen // self.short_windows)

    def __getitem__(self, window: Window) -> list[Piece]:
        films, ratings = self._films(window)
        return [
            (films[start : start + window.piece], ratings[start : start + window.piece])
            for start in range(0, len(films), window.piece)
        ]

    def _films(self, window: Window) -> Piece:
        """Film indices and ratings of a whole window, `(films,)` each."""
        user = self.rows[window.row]
        films, ratings = self.histories.history(user)
        draw = np.random.default_rng((self.seed, window.epoch, window.row))
        if self.histories.ordered[user]:
            start = int(draw.integers(0, max(1, len(films) - self.window + 1)))
            chosen = np.arange(start, min(start + self.window, len(films)))
        else:
            chosen = draw.permutation(len(films))[: self.window]
        return films[chosen], ratings[chosen]


@dataclass
class TrajectoryCollator:
    """
    Windows as a batch of tokens, a row for each of their pieces, padded on the right and cut at the end of the model's
    context.

    Args:
        films (`FilmTokens`): the films' texts.
        config (`GPT2ForRatingConfig`): the model's.
        token_labels (`bool`): whether the batch also holds the token that follows each position.

    Example:

    ```python
    >>> films = FilmTokens(torch.tensor([5, 6, 7], dtype=torch.int32), torch.tensor([0, 1, 3]))
    >>> config = GPT2ForRatingConfig(rating_token_ids=list(range(20, 31)), rating_ending_ids=[40])
    >>> windows = [[(np.array([0, 1]), np.array([9, 2]))], [(np.array([1]), np.array([4]))]]
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

    def __call__(self, windows: list[list[Piece]]) -> dict[str, torch.Tensor]:
        context = self.config.n_positions
        input_ids, positions, labels = [], [], []
        for piece in chain.from_iterable(windows):
            films, ratings = (torch.from_numpy(part).long() for part in piece)
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
