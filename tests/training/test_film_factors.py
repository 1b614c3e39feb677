"""The factor model of ratings: it finds what made-up ratings were made from; users have no part in their factors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from data_prep.dataset import Histories
from training.film_factors import FilmFactors, fit_film_factors

USERS, FILMS, RANK, FEATURES = 600, 60, 3, 4


@pytest.fixture(scope="module")
def made_up() -> tuple[Histories, np.ndarray, np.ndarray]:
    """Ratings of a factor model, features that tell of its films, and the expected rating of every user and film."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(FILMS, FEATURES)).astype(np.float32)
    loadings = features @ draw.normal(size=(FEATURES, RANK)) * 0.4
    expected = 6 + features @ draw.normal(size=FEATURES) * 0.3 + draw.normal(size=(USERS, RANK)) @ loadings.T
    lengths = draw.integers(15, 40, size=USERS)
    films = np.concatenate([draw.permutation(FILMS - 1)[:length] for length in lengths])  # nobody has seen the last
    users = np.repeat(np.arange(USERS), lengths)
    ratings = np.clip(np.round(expected[users, films] + draw.normal(size=len(films)) * 0.5), 1, 10)
    histories = Histories(
        user_ids=[f"user-{user}" for user in range(USERS)],
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        film_indices=films.astype(np.int32),
        ratings=ratings.astype(np.int8),
        dates=None,
        ordered=np.zeros(USERS, dtype=bool),
    )
    return histories, features, expected


@pytest.fixture(scope="module")
def fitted(made_up) -> FilmFactors:
    histories, features, _ = made_up
    return fit_film_factors(histories, features, RANK)


def test_ratings_are_explained(made_up, fitted):
    histories, _, expected = made_up
    table = fitted.films.numpy()
    intercepts, loadings, noise = table[:, 0], table[:, 1 : RANK + 1], table[:, -1]
    errors = []
    for user, (films, ratings) in enumerate(histories):
        precision = np.eye(RANK) + loadings[films].T @ (loadings[films] / noise[films, None])
        taste = np.linalg.solve(precision, loadings[films].T @ ((ratings - intercepts[films]) / noise[films]))
        unseen = np.setdiff1d(np.arange(FILMS - 1), films)
        errors.append(intercepts[unseen] + loadings[unseen] @ taste - expected[user, unseen].clip(1, 10))
    assert np.square(np.concatenate(errors)).mean() ** 0.5 < 0.45
    assert 0.2 < np.median(noise[:-1]) < 0.6  # made with .25, and rounding adds .08


def test_tastes_are_standard(made_up, fitted):
    """The loadings carry the scale: over films they explain what users differ in."""
    _, _, expected = made_up
    loadings = fitted.films[:-1, 1 : RANK + 1].double().numpy()
    truth = np.cov((expected - expected.mean(0))[:, :-1].T)
    found = loadings @ loadings.T
    assert np.abs(found - truth).mean() < 0.2 * np.abs(truth).mean()


def test_a_film_that_nobody_rated_is_what_its_features_say(made_up, fitted):
    _, features, expected = made_up
    told = torch.cat([torch.ones(FILMS, 1), torch.from_numpy(features)], dim=1) @ fitted.feature_weights
    torch.testing.assert_close(fitted.films[-1, : RANK + 1], told[-1, : RANK + 1], rtol=0, atol=0.25)
    assert abs(float(told[-1, 0]) - expected[:, -1].mean()) < 0.4
    assert float(told[-1, -1]) >= float(fitted.films[:-1, -1].median())


def test_users_had_no_part_in_the_factors_of_their_fold(made_up, fitted):
    histories, features, _ = made_up
    films, _ = histories.history(3)
    changed = histories.ratings.copy()
    span = slice(histories.offsets[3], histories.offsets[4])
    changed[span] = 11 - changed[span]
    other = fit_film_factors(replace(histories, ratings=changed), features, RANK)
    own_fold, other_fold = (
        (fitted.by_fold[fold, films, : RANK + 1] - other.by_fold[fold, films, : RANK + 1]).abs().mean()
        for fold in (3, 4)
    )
    # What is left reaches the user's films only through what the others' tastes are taken to be.
    assert own_fold < 0.95 * other_fold


def test_fewer_users_than_folds(made_up):
    histories, features, _ = made_up
    few = replace(
        histories,
        user_ids=histories.user_ids[:5],
        offsets=histories.offsets[:6],
        film_indices=histories.film_indices[: histories.offsets[5]],
        ratings=histories.ratings[: histories.offsets[5]],
        ordered=histories.ordered[:5],
    )
    factors = fit_film_factors(few, features, RANK)
    for table in (factors.films, factors.by_fold, factors.feature_weights):
        assert torch.isfinite(table).all()
    torch.testing.assert_close(factors.by_fold[7], factors.films, rtol=0, atol=2e-3)  # nobody is in that fold
