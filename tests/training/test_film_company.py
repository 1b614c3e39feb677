"""The company that films are in: those that draw the same people are near, whatever the ratings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data_prep.dataset import Histories
from training.film_company import COMPANY_WEIGHT, FilmCompany, company_size, fit_film_company

CIRCLES, FILMS_IN_CIRCLE, USERS, RATED, SIZE = 4, 20, 800, 12, 3
FILMS = CIRCLES * FILMS_IN_CIRCLE + 1  # nobody has seen the last


@pytest.fixture(scope="module")
def made_up() -> tuple[Histories, np.ndarray]:
    """Circles of people who mostly see the films of one circle, and features that tell of it, with noise."""
    draw = np.random.default_rng(0)
    circle_of_film = np.arange(FILMS) % CIRCLES
    films = []
    for user in range(USERS):
        chances = np.where(circle_of_film == user % CIRCLES, 10.0, 1.0)
        chances[-1] = 0
        films.append(draw.choice(FILMS, RATED, replace=False, p=chances / chances.sum()))
    histories = Histories(
        user_ids=[f"user-{user}" for user in range(USERS)],
        offsets=np.arange(USERS + 1) * RATED,
        film_indices=np.concatenate(films).astype(np.int32),
        ratings=draw.integers(1, 11, USERS * RATED).astype(np.int8),
        dates=None,
        ordered=np.zeros(USERS, dtype=bool),
    )
    features = np.eye(CIRCLES)[circle_of_film] + draw.normal(size=(FILMS, CIRCLES)) * 0.3
    return histories, features.astype(np.float32)


@pytest.fixture(scope="module")
def company(made_up) -> FilmCompany:
    return fit_film_company(*made_up, SIZE)


def cosines(vectors: np.ndarray) -> np.ndarray:
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return directions @ directions.T


def test_films_that_draw_the_same_people_are_near(company):
    near = cosines(company.vectors[:-1])
    circles = np.arange(FILMS - 1) % CIRCLES
    same = (circles[:, None] == circles) & ~np.eye(FILMS - 1, dtype=bool)
    assert near[same].min() > near[circles[:, None] != circles].max()


def test_ratings_make_no_difference(made_up, company):
    histories, features = made_up
    other = fit_film_company(replace(histories, ratings=histories.ratings[::-1]), features, SIZE)
    np.testing.assert_array_equal(other.vectors, company.vectors)


def test_a_film_without_ratings_is_what_its_features_say(made_up, company):
    _, features = made_up
    told = company.feature_weights[0] + features[-1] @ company.feature_weights[1:]
    np.testing.assert_allclose(company.vectors[-1], told, rtol=1e-5)
    own_circle = np.arange(FILMS - 1) % CIRCLES == (FILMS - 1) % CIRCLES
    near = cosines(company.vectors)[-1, :-1]
    assert near[own_circle].min() > near[~own_circle].max()


def test_it_is_as_long_as_it_is_to_be_beside_the_features(made_up):
    histories, features = made_up
    rated = fit_film_company(histories, features[:-1], SIZE)  # all films have been: hardly anything is shrunk
    length, own = (np.sqrt(each.var(axis=0).sum()) for each in (features[:-1], rated.vectors))
    assert 0.8 < own / (COMPANY_WEIGHT * length) <= 1
    assert rated.beside(features[:-1]).shape == (FILMS - 1, CIRCLES + SIZE)


def test_the_seed_decides(made_up, company):
    again = fit_film_company(*made_up, SIZE)
    np.testing.assert_array_equal(again.vectors, company.vectors)


def test_few_people_or_films_tell_of_little(made_up):
    histories, features = made_up
    assert company_size(None, 40_002, 13_290) == 64
    assert company_size(None, 80, 13_290) == 10
    assert company_size(None, 7, 13_290) == 0
    assert company_size(None, 40_002, 5) == 4
    assert company_size(20, 40_002, 13_290) == company_size(20, 70, 13_290) == 20
    assert company_size(20, 5, 13_290) == 4
    nothing = fit_film_company(histories, features, 0)
    assert nothing.vectors.shape == (FILMS, 0)
    np.testing.assert_array_equal(nothing.beside(features), features)
