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
from training.sampler import LikeSizeSampler
from training.trajectories import (
    TrajectoryCollator,
    TrajectoryDataset,
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


def dataset(histories: Histories, short_windows: int = 0, seed: int = 0) -> TrajectoryDataset:
    lengths = toy_films().offsets.diff().numpy()
    return TrajectoryDataset(histories, rows_by_user(histories), 5, lengths, short_windows=short_windows, seed=seed)


def whole(epoch: int, row: int) -> Window:
    return Window(epoch, row, piece=5)


def test_dated_windows_are_runs_and_undated_ones_draws(histories):
    data = dataset(histories)
    ((short, _),) = data[whole(0, 0)]
    assert short.tolist() == [0, 1, 2, 3]
    starts, draws = set(), set()
    for epoch in range(60):
        ((films, ratings),) = data[whole(epoch, 1)]
        assert (np.diff(films) == 1).all()
        assert len(films) == 5
        assert (ratings == films % 10 + 1).all()
        starts.add(int(films[0]))
        draws.add(tuple(data[whole(epoch, 2)][0][0].tolist()))
    assert {0, 13} <= starts
    assert len(draws) == 60
    assert all(len(set(films)) == 5 for films in draws)


def test_a_window_depends_on_seed_epoch_and_row_alone(histories):
    one, other = dataset(histories), dataset(histories)
    other[whole(3, 1)]
    for epoch in range(4):
        for row in range(3):
            assert one[whole(epoch, row)][0][0].tolist() == other[whole(epoch, row)][0][0].tolist()
    seeded = dataset(histories, seed=1)
    assert any(one[whole(e, 2)][0][0].tolist() != seeded[whole(e, 2)][0][0].tolist() for e in range(3))


def test_users_come_uniformly_or_in_proportion_to_their_ratings(histories):
    assert rows_by_user(histories).tolist() == [0, 1, 2]
    assert Counter(rows_by_rating(histories, 5).tolist()) == {0: 1, 1: 3, 2: 4}


@pytest.fixture
def many() -> Histories:
    """103 users with 20 undated ratings each."""
    films = np.concatenate([np.arange(20)] * 103).astype(np.int32)
    ratings = (films % 10 + 1).astype(np.int8)
    return Histories([""] * 103, np.arange(104) * 20, films, ratings, None, np.zeros(103, dtype=bool))


def test_every_window_once_an_epoch_and_steps_of_like_length(many):
    data = dataset(many)
    sampler = LikeSizeSampler(data, group_size=4, groups_sorted=5)
    epochs = []
    for epoch in range(2):
        sampler.set_epoch(epoch)
        windows = list(sampler)
        assert sorted(window.row for window in windows) == list(range(103))
        assert {window[::2] for window in windows} == {(epoch, 5)}
        epochs.append([window.row for window in windows])
        lengths = [data.film_lengths[data[window][0][0]].sum() for window in windows]
        spread = [np.ptp(lengths[i : i + 4]) for i in range(0, 100, 4)]
        assert np.mean(spread) < np.ptp(lengths) / 4
    assert epochs[0] != epochs[1]
    assert len(sampler) == 103


def test_the_first_windows_are_cut_into_growing_pieces(many):
    data = dataset(many, short_windows=120)
    sampler = LikeSizeSampler(data, group_size=2, groups_sorted=2)
    first = list(sampler)
    sampler.set_epoch(1)
    pieces = [window.piece for window in [*first, *sampler]]
    assert pieces[:40] == [1] * 40
    assert pieces[40:80] == [2] * 40
    assert pieces[80:103] == [4] * 23
    assert pieces[103:119] == [4] * 16  # the next epoch goes on where the first has ended
    assert pieces[123:] == [5] * 83
    cut, uncut = data[Window(0, 7, piece=2)], data[whole(0, 7)]
    assert [len(films) for films, _ in cut] == [2, 2, 1]
    for part in range(2):
        assert np.concatenate([piece[part] for piece in cut]).tolist() == uncut[0][part].tolist()


def test_pieces_are_rows_of_their_own(histories):
    data = dataset(histories)
    collator = TrajectoryCollator(toy_films(), toy_text_model().config)
    apart = collator([data[Window(0, 0, piece=1)]])
    assert apart["labels"].tolist() == [[1], [2], [3], [4]]
    together = collator([data[whole(0, 0)]])
    assert together["labels"].tolist() == [[1, 2, 3, 4]]
    assert apart["input_ids"].shape[0] == apart["rating_positions"].shape[0] == 4


def test_a_batch_is_cut_at_the_end_of_the_context():
    config = toy_text_model(n_positions=30).config
    films = toy_films()
    window = np.arange(8), np.full(8, 7)
    batch = TrajectoryCollator(films, config, token_labels=True)([[window], [(np.array([2]), np.array([3]))]])
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
