"""The tables of the baselines on small data: biases without their own ratings, film features, the bandit's start."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data_prep.dataset import Histories
from training.baselines.als import sample_users
from training.baselines.bandit import learn_population
from training.baselines.bias import Biases, film_means
from training.baselines.drawn_cases import DrawnCases
from training.baselines.film_space import informed_estimates, of_features, principal_axes


def histories(films: list[list[int]], ratings: list[list[int]]) -> Histories:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in films])])
    flat = [np.concatenate(rows) for rows in (films, ratings)]
    names = [str(user) for user in range(len(films))]
    return Histories(
        names, offsets, flat[0].astype(np.int32), flat[1].astype(np.int8), None, np.zeros(len(films), bool)
    )


def test_film_means_by_hand():
    assert film_means(histories([[0, 1], [1]], [[8, 4], [6]]), 3).tolist() == [8, 5, 6]


def test_an_estimate_without_a_rating_is_the_one_of_the_others():
    biases = Biases(6.0, np.array([6.0, 6.5]), np.array([0, 4]), np.array([0.5, 1.0]), 2.0, 5.0)
    # A bias of .5 over 4 + 2 is a sum of 3; a rating of 9 by a user of bias 1 is 2 of it, which leaves 1 over 3 + 2.
    left = biases.without(np.array([1]), np.array([9]), np.array([1.0]))
    np.testing.assert_allclose(left, [6.2])


def test_principal_vectors_keep_distances_and_have_length_one_on_average():
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(40, 2)) @ rng.normal(size=(2, 6)) + 3).astype(np.float32)
    rated = np.arange(40) < 30
    vectors = of_features(features, principal_axes(features, rated, 2))
    assert np.square(vectors[rated]).sum(1).mean() == pytest.approx(1, abs=1e-5)
    assert np.abs(vectors[rated].mean(0)).max() < 1e-5
    ratio = np.linalg.norm(features[3] - features[38]) / np.linalg.norm(features[1] - features[2])
    own = np.linalg.norm(vectors[3] - vectors[38]) / np.linalg.norm(vectors[1] - vectors[2])
    assert own == pytest.approx(ratio, rel=1e-4)


def test_a_film_without_ratings_is_worth_what_its_features_say():
    rng = np.random.default_rng(1)
    num_films, num_users = 120, 200
    features = rng.normal(size=(num_films, 3)).astype(np.float32)
    worth = 6 + features @ np.array([1.0, -0.5, 0.0])
    rows = [rng.choice(100, 30, replace=False) for _ in range(num_users)]  # the last twenty films are new
    ratings = [np.clip(np.rint(worth[row] + rng.normal(0, 0.5, 30)), 1, 10).astype(int) for row in rows]
    train = histories([row.tolist() for row in rows], [row.tolist() for row in ratings])
    biases = Biases.fit(train, num_films, 4.0, 4.0)
    informed, weights = informed_estimates(biases, train, features)
    new = np.arange(num_films) >= 100
    assert np.abs(biases.estimates[new] - worth[new]).mean() > 0.6
    assert np.abs(informed[new] - worth[new]).mean() < 0.15
    np.testing.assert_allclose(of_features(features, weights)[new], informed[new], atol=1e-6)
    assert np.abs(informed[~new] - biases.estimates[~new]).mean() < 0.1  # where there are ratings, they speak


def test_the_population_finds_the_weights_that_made_the_ratings():
    rng = np.random.default_rng(2)
    num_users, num_films, length = 400, 50, 30
    vectors = rng.normal(size=(num_films, 1)).astype(np.float32)
    estimates = 6 + rng.normal(0, 1, num_films)
    user_bias = rng.normal(0, 1, num_users)
    films = np.stack([rng.choice(num_films, length, replace=False) for _ in range(num_users)])
    ratings = np.rint(
        estimates[films] + user_bias[:, None] + 0.7 * vectors[films][..., 0] + rng.normal(0, 0.3, films.shape)
    )
    biases = Biases(6.0, estimates, np.full(num_films, 10_000), user_bias, 4.0, 0.5)
    population = learn_population(DrawnCases(np.arange(num_users), films, ratings.astype(int)), biases, vectors, 0)
    constant, deviation, bias, vector, _ = population.weights.tolist()
    assert constant == pytest.approx(6, abs=0.1)
    assert deviation == pytest.approx(1, abs=0.05)
    assert bias == pytest.approx(1, abs=0.2)  # of histories down to no rating
    assert vector == pytest.approx(0.7, abs=0.1)
    assert population.noise > 0.09
    eigenvalues = torch.linalg.eigvalsh(population.covariance)
    assert (eigenvalues > 0).all()


def test_a_sample_of_users_keeps_their_ratings():
    whole = histories([[0, 1], [2], [3, 4, 5]], [[1, 2], [3], [4, 5, 6]])
    assert sample_users(whole, 3) is whole
    some = sample_users(whole, 2, seed=1)
    assert len(some) == 2
    for name, (films, ratings) in zip(some.user_ids, some, strict=True):
        expected = whole.history(int(name))
        assert films.tolist() == expected[0].tolist()
        assert ratings.tolist() == expected[1].tolist()
