"""Alternating least squares: each half against a regression written out, and a taste that must be found."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import training.rating_groups
from data_prep.dataset import Histories
from training.baselines.als import ResidualRatings, _solve, fit_film_vectors
from training.rating_groups import RatingGroups


def histories(films: list[list[int]], ratings: list[list[int]]) -> Histories:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in films])])
    return Histories(
        [str(user) for user in range(len(films))],
        offsets,
        np.concatenate(films).astype(np.int32),
        np.concatenate(ratings).astype(np.int8),
        None,
        np.zeros(len(films), dtype=bool),
    )


@pytest.mark.parametrize("rows_per_batch", [4, 1 << 19])
def test_one_side_is_a_ridge_regression_per_row(rows_per_batch, monkeypatch):
    monkeypatch.setattr(training.rating_groups, "RATINGS_PER_BATCH", rows_per_batch)
    rng = np.random.default_rng(0)
    rows, columns, values = rng.integers(0, 6, 40), rng.integers(0, 5, 40), rng.normal(size=40).astype(np.float32)
    rows[rows == 3] = 4  # row 3 has nothing
    other = rng.normal(size=(5, 3)).astype(np.float32)
    solved = _solve(RatingGroups.of(rows, columns, values), torch.from_numpy(other), 7, penalty=0.7).numpy()
    for row in range(7):
        vectors, targets = other[columns[rows == row]], values[rows == row]
        expected = np.linalg.solve(vectors.T @ vectors + 0.7 * np.eye(3), vectors.T @ targets)
        np.testing.assert_allclose(solved[row], expected, atol=1e-5)
    assert (solved[[3, 6]] == 0).all()


def test_residuals_are_what_film_and_user_leave():
    ratings = ResidualRatings.after_bias(histories([[0, 1], [1]], [[8, 4], [6]]), np.array([6.0, 5.0]), 2.0)
    # The first user is (2 - 1) / 4 above the films, the second 1 / 3.
    by_user = {int(row): values for row, _, values in _rows(ratings.by_user)}
    np.testing.assert_allclose(by_user[0], [1.75, -1.25], atol=1e-6)
    np.testing.assert_allclose(by_user[1], [1 - 1 / 3], atol=1e-6)
    by_film = {int(row): values for row, _, values in _rows(ratings.by_film)}
    np.testing.assert_allclose(by_film[1], [-1.25, 2 / 3], atol=1e-6)


def _rows(groups):
    for rows, columns, values in groups.batches():
        for row, column, value in zip(rows, columns, values, strict=True):
            yield row, column[column >= 0].numpy(), value[column >= 0].numpy()


def test_a_hidden_taste_is_found():
    rng = np.random.default_rng(1)
    users, films, rank = 300, 60, 2
    truth = rng.normal(size=(users, rank)) @ rng.normal(size=(rank, films))
    chosen = [rng.choice(films, 40, replace=False) for _ in range(users)]
    groups = [np.repeat(np.arange(users), 40), np.concatenate(chosen)]
    residuals = truth[groups[0], groups[1]].astype(np.float32)
    ratings = ResidualRatings(
        RatingGroups.of(groups[0], groups[1], residuals),
        RatingGroups.of(groups[1], groups[0], residuals),
        users,
        films,
    )
    sweeps = []
    vectors = fit_film_vectors(ratings, rank, 0.1, 8, progress=lambda: sweeps.append(1)).numpy()
    assert len(sweeps) == 8
    for user in range(20):  # folded in from twenty films, the others follow
        known, unknown = chosen[user][:20], chosen[user][20:]
        taste = np.linalg.solve(
            vectors[known].T @ vectors[known] + 0.1 * np.eye(2), vectors[known].T @ truth[user, known]
        )
        assert np.abs(vectors[unknown] @ taste - truth[user, unknown]).mean() < 0.15


def test_the_seed_decides():
    data = ResidualRatings.after_bias(histories([[0, 1], [1, 2]], [[8, 4], [6, 9]]), np.array([6.0, 5.0, 5.0]), 2.0)
    first, again, other = (fit_film_vectors(data, 2, 0.1, 2, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
