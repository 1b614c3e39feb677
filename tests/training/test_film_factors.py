"""The factor model of ratings: it finds what made-up ratings were made from; users have no part in their factors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from data_prep.dataset import Histories
from training.film_company import FilmCompany
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
    return fit_film_factors(histories, features, FilmCompany.empty(features, 0), RANK)


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
    torch.testing.assert_close(fitted.films[-1], told[-1], rtol=0, atol=1e-5)
    assert (fitted.by_fold[:, -1] == fitted.films[-1]).all()
    assert abs(float(told[-1, 0]) - expected[:, -1].mean()) < 0.4
    assert float(told[-1, -1]) >= float(fitted.films[:-1, -1].median())


def test_company_tells_of_films_that_have_ratings(made_up, fitted):
    """What two of the four features say, said by company: a film with few ratings is what both say of it, and less is
    known of one without ratings."""
    histories, features, _ = made_up
    by_company = fit_film_factors(histories, features[:, :2], FilmCompany(features[:, 2:], np.zeros((3, 2))), RANK)
    torch.testing.assert_close(by_company.films[:-1, 0], fitted.films[:-1, 0], rtol=0, atol=0.1)
    assert not by_company.feature_weights[3:].any()
    told = by_company.feature_weights[0] + torch.from_numpy(features[-1, :2]) @ by_company.feature_weights[1:3]
    torch.testing.assert_close(by_company.films[-1], told, rtol=0, atol=1e-5)
    assert by_company.films[-1, -1] > 1.2 * fitted.films[-1, -1]


def test_what_features_say_of_new_films_is_mostly_of_films_that_many_see(made_up):
    """Half of the films are rated by few and bad, for a reason that no feature tells."""
    histories, features, _ = made_up
    seldom = np.arange(FILMS) % 2 == 1
    draw = np.random.default_rng(1)
    kept = ~seldom[histories.film_indices] | (draw.random(len(histories.film_indices)) < 0.1)
    users = np.repeat(np.arange(USERS), histories.lengths())[kept]
    films = histories.film_indices[kept]
    ratings = np.where(seldom[films], 2, 7) + draw.integers(-1, 2, len(films))
    few = replace(
        histories,
        offsets=np.concatenate([[0], np.cumsum(np.bincount(users, minlength=USERS))]),
        film_indices=films,
        ratings=ratings.astype(np.int8),
    )
    factors = fit_film_factors(few, features * 0, FilmCompany.empty(features, 0), RANK)
    intercepts = factors.films[:-1, 0]
    assert intercepts.mean() + 0.5 < factors.films[-1, 0] < 7


def test_users_had_no_part_in_the_factors_of_their_fold(made_up, fitted):
    histories, features, _ = made_up
    films, _ = histories.history(3)
    changed = histories.ratings.copy()
    span = slice(histories.offsets[3], histories.offsets[4])
    changed[span] = 11 - changed[span]
    other = fit_film_factors(replace(histories, ratings=changed), features, FilmCompany.empty(features, 0), RANK)
    own_fold, other_fold = (
        (fitted.by_fold[fold, films, : RANK + 1] - other.by_fold[fold, films, : RANK + 1]).abs().mean()
        for fold in (3, 4)
    )
    # What is left reaches the user's films only through what the others' tastes are taken to be.
    assert own_fold < 0.95 * other_fold


@pytest.mark.parametrize("users", [1, 5])
def test_fewer_users_than_folds(made_up, users):
    histories, features, _ = made_up
    few = replace(
        histories,
        user_ids=histories.user_ids[:users],
        offsets=histories.offsets[: users + 1],
        film_indices=histories.film_indices[: histories.offsets[users]],
        ratings=histories.ratings[: histories.offsets[users]],
        ordered=histories.ordered[:users],
    )
    factors = fit_film_factors(few, features, FilmCompany.empty(features, 0), RANK)
    for table in (factors.films, factors.by_fold, factors.feature_weights):
        assert torch.isfinite(table).all()
    torch.testing.assert_close(factors.by_fold[7], factors.films, rtol=0, atol=2e-3)  # nobody is in that fold
