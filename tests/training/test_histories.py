"""Which piece of a history an example holds: the same whoever loads it, dated ones in order, all of it in the end."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch

import training.histories
from data_prep.dataset import Histories
from training.histories import HistoryCollator, HistoryDataset, Piece
from training.sampler import LikeSizeSampler


def histories(lengths: list[int], ordered: bool = False) -> Histories:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Histories(
        user_ids=[f"user-{i}" for i in range(len(lengths))],
        offsets=offsets,
        film_indices=np.concatenate([np.arange(length) for length in lengths]).astype(np.int32),
        ratings=np.concatenate([np.arange(length) % 10 + 1 for length in lengths]).astype(np.int8),
        dates=None,
        ordered=np.full(len(lengths), ordered),
    )


def test_an_example_depends_on_the_seed_and_itself_alone():
    first, second = (HistoryDataset(histories([40, 7]), max_length=16, leave_one_out=True, seed=3) for _ in range(2))
    second[Piece(9, 1, 0, 5)]  # having loaded something else changes nothing
    for piece in (Piece(0, 0, 0, 16), Piece(4, 0, 1, 9), Piece(0, 1, 0, 7)):
        np.testing.assert_array_equal(first[piece]["film_ids"], second[piece]["film_ids"])
    other = HistoryDataset(histories([40, 7]), max_length=16, leave_one_out=True, seed=4)
    assert not np.array_equal(first[Piece(0, 0, 0, 16)]["film_ids"], other[Piece(0, 0, 0, 16)]["film_ids"])
    assert not np.array_equal(first[Piece(0, 0, 0, 16)]["film_ids"], first[Piece(1, 0, 0, 16)]["film_ids"])


def test_films_keep_their_ratings():
    example = HistoryDataset(histories([40]), max_length=16, leave_one_out=True)[Piece(0, 0, 0, 16)]
    np.testing.assert_array_equal(example["ratings"], example["film_ids"] % 10 + 1)


def test_undated_histories_are_reordered_and_every_rating_comes_round():
    dataset = HistoryDataset(histories([40]), max_length=16, leave_one_out=True)
    seen = [dataset[Piece(epoch, 0, 0, 16)]["film_ids"] for epoch in range(30)]
    assert set(np.concatenate(seen)) == set(range(40))
    assert not any(np.array_equal(films, np.sort(films)) for films in seen)
    assert all(len(set(films)) == 16 for films in seen)


def test_dated_histories_keep_their_order():
    dataset = HistoryDataset(histories([40], ordered=True), max_length=16, leave_one_out=True)
    starts = set()
    for epoch in range(60):
        films = dataset[Piece(epoch, 0, 0, 16)]["film_ids"]
        np.testing.assert_array_equal(films, np.arange(films[0], films[0] + 16))
        starts.add(int(films[0]))
    assert {0, 24} <= starts <= set(range(25))


def test_pieces_are_cut_at_random_lengths():
    dataset = HistoryDataset(histories([1, 5, 300] * 200), max_length=64, leave_one_out=True)
    longest = np.minimum(dataset.histories.lengths(), 64)[dataset.users]
    lengths = dataset.lengths(epoch=0)
    assert (lengths >= 1).all()
    assert (lengths <= longest).all()
    assert 0.65 < (lengths / longest)[longest == 64].mean() < 0.8
    assert 0.02 < (lengths < 8)[longest == 64].mean() < 0.2
    assert set(lengths[longest == 5]) >= {2, 3, 4, 5}
    assert not np.array_equal(lengths, dataset.lengths(epoch=1))
    whole = HistoryDataset(dataset.histories, 64, leave_one_out=True, cut=False)
    np.testing.assert_array_equal(whole.lengths(0), np.minimum(dataset.histories.lengths(), 64))


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_epoch_has_every_history_as_often_as_it_fills_a_piece(epoch):
    sampler = LikeSizeSampler(HistoryDataset(histories([3, 40] * 50), max_length=16, leave_one_out=True), group_size=8)
    sampler.set_epoch(epoch)
    pieces = list(sampler)
    expected = [(user, part) for user in range(100) for part in range(1 + user % 2)]
    assert sorted((piece.user, piece.part) for piece in pieces) == expected
    assert {piece.epoch for piece in pieces} == {epoch}


def test_pieces_of_an_undated_history_share_no_rating():
    dataset = HistoryDataset(histories([40]), max_length=16, leave_one_out=True)
    first, second = (dataset[Piece(2, 0, part, 16)]["film_ids"] for part in (0, 1))
    assert not set(first) & set(second)
    dated = HistoryDataset(histories([400], ordered=True), max_length=16, leave_one_out=True)
    assert len({int(dated[Piece(0, 0, part, 16)]["film_ids"][0]) for part in range(25)}) > 10


def test_groups_do_not_depend_on_how_they_are_shared_out():
    dataset = HistoryDataset(histories([3, 30, 9] * 40), max_length=16, leave_one_out=True)
    assert list(LikeSizeSampler(dataset, group_size=8)) == list(LikeSizeSampler(dataset, group_size=8))


def test_groups_hold_pieces_of_about_the_same_length():
    dataset = HistoryDataset(histories(list(range(1, 201))), max_length=200, leave_one_out=True, cut=False)
    pieces = list(LikeSizeSampler(dataset, group_size=8))
    groups = [[piece.length for piece in pieces[i : i + 8]] for i in range(0, 200, 8)]
    assert sum(max(group) * len(group) for group in groups) < 1.1 * sum(map(sum, groups))


def test_the_collators_example():
    assert doctest.testmod(training.histories).failed == 0


def test_batches_are_padded_to_a_multiple():
    pieces = [{"user": 0, "film_ids": [4, 7, 1], "ratings": [9, 2, 3], "leave_one_out": True}]
    plain, padded = (HistoryCollator(torch.rand(2, 9, 3), multiple)(pieces) for multiple in (1, 4))
    lengths = {name: part.shape[1] for name, part in padded.items() if name != "leave_one_out"}
    assert lengths == {"film_ids": 4, "ratings": 4, "labels": 4, "film_factors": 4}
    assert (padded["film_ids"][0, 3], padded["ratings"][0, 3], padded["labels"][0, 3]) == (-1, 0, -100)
    assert plain["film_ids"].shape == (1, 3)
