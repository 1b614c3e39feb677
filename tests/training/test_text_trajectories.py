"""Windows of histories: which films they show, in which order they come, and what a batch of them holds."""

from __future__ import annotations

import doctest
from collections import Counter

import numpy as np
import pytest
import torch

from data_prep.dataset import Histories
from modeling.losses import IGNORED
from tests.modeling.toy_text import RATING_TOKENS, toy_films, toy_text_model
from training import trajectories
from training.trajectories import (
    TrajectoryCollator,
    TrajectoryDataset,
    TrajectorySampler,
    Window,
    rows_by_rating,
    rows_by_user,
)


@pytest.fixture
def histories() -> Histories:
    """Three users: 4 dated ratings, 18 dated ones, 20 undated ones. A film's rating is its number, modulo 10."""
    lengths = [4, 18, 20]
    films = np.concatenate([np.arange(length) for length in lengths]).astype(np.int32)
    return Histories(
        user_ids=["a", "b", "c"],
        offsets=np.cumsum([0, *lengths]),
        film_indices=films,
        ratings=(films % 10 + 1).astype(np.int8),
        dates=None,
        ordered=np.array([True, True, False]),
    )


def dataset(histories: Histories, rows: np.ndarray | None = None, seed: int = 0) -> TrajectoryDataset:
    rows = rows_by_user(histories) if rows is None else rows
    return TrajectoryDataset(histories, rows, 5, toy_films().offsets.diff().numpy(), seed=seed)


def test_dated_windows_are_runs_and_undated_ones_draws(histories):
    data = dataset(histories)
    short, _ = data[Window(0, 0)]
    assert short.tolist() == [0, 1, 2, 3]
    starts, draws = set(), set()
    for epoch in range(60):
        films, ratings = data[Window(epoch, 1)]
        assert (np.diff(films) == 1).all()
        assert len(films) == 5
        assert (ratings == films % 10 + 1).all()
        starts.add(int(films[0]))
        draws.add(tuple(data[Window(epoch, 2)][0].tolist()))
    assert {0, 13} <= starts
    assert len(draws) == 60
    assert all(len(set(films)) == 5 for films in draws)


def test_a_window_depends_on_seed_epoch_and_row_alone(histories):
    one, other = dataset(histories), dataset(histories)
    other[Window(3, 1)]
    for epoch in range(4):
        for row in range(3):
            assert one[Window(epoch, row)][0].tolist() == other[Window(epoch, row)][0].tolist()
    seeded = dataset(histories, seed=1)
    assert any(one[Window(e, 2)][0].tolist() != seeded[Window(e, 2)][0].tolist() for e in range(3))


def test_users_come_uniformly_or_in_proportion_to_their_ratings(histories):
    assert rows_by_user(histories).tolist() == [0, 1, 2]
    assert Counter(rows_by_rating(histories, 5).tolist()) == {0: 1, 1: 3, 2: 4}


def test_every_window_once_an_epoch_and_steps_of_like_length():
    lengths = np.full(103, 20)
    films = np.concatenate([np.arange(20)] * 103).astype(np.int32)
    ratings = np.ones(len(films), dtype=np.int8)
    ordered = np.zeros(103, dtype=bool)
    users = Histories([""] * 103, np.concatenate([[0], np.cumsum(lengths)]), films, ratings, None, ordered)
    data = dataset(users)
    sampler = TrajectorySampler(data, group_size=4, groups_sorted=5)
    epochs = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        windows = list(sampler)
        assert sorted(window.row for window in windows) == list(range(103))
        assert {window.epoch for window in windows} == {epoch}
        epochs.append([window.row for window in windows])
        spread = [np.ptp([data.length(window) for window in windows[i : i + 4]]) for i in range(0, 100, 4)]
        everywhere = np.ptp([data.length(window) for window in windows])
        assert np.mean(spread) < everywhere / 4
    assert epochs[0] != epochs[1]
    assert len(sampler) == 103


def test_a_batch_is_cut_at_the_end_of_the_context():
    config = toy_text_model(n_positions=30).config
    films = toy_films()
    window = np.arange(8), np.full(8, 7)
    batch = TrajectoryCollator(films, config, token_labels=True)([window, (np.array([2]), np.array([3]))])
    whole = films.join(torch.arange(8), torch.full((8,), 7), config)
    assert len(whole.input_ids) > 30
    assert batch["input_ids"][0].tolist() == whole.input_ids[:30].tolist()
    kept = whole.rating_positions[whole.rating_positions < 29]
    assert batch["rating_positions"][0].tolist() == kept.tolist()
    assert batch["labels"].tolist() == [[7] * len(kept), [3] + [IGNORED] * (len(kept) - 1)]
    assert (batch["input_ids"][0, kept + 1] == RATING_TOKENS[7]).all()
    assert batch["token_labels"][0].tolist() == [*whole.input_ids[1:30].tolist(), IGNORED]
    short = len(films.join(torch.tensor([2]), torch.tensor([3]), config).input_ids)
    assert (batch["token_labels"][1] != IGNORED).sum() == short - 1


def test_the_examples_in_the_docstrings():
    assert doctest.testmod(trajectories).failed == 0
