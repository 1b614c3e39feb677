"""Beliefs about users: against the textbook formula of Gaussian processes, at once and rating by rating."""

from __future__ import annotations

import pytest
import torch

from modeling.film_token_gpt2.taste_process import (
    CHOICE_SHRINKAGE,
    Kernel,
    ProcessFilms,
    add_rating,
    expect,
    expect_at_a_glance,
    read_ratings,
)

RANK, LENGTH, TARGETS = 3, 9, 3
KERNEL = Kernel(torch.tensor(0.7, dtype=torch.float64), torch.tensor(0.4, dtype=torch.float64))


def random_films(length: int) -> ProcessFilms:
    loadings, choices, places = torch.randn(3, 2, length, RANK, dtype=torch.float64)
    strengths, noise = torch.rand(2, 2, length, dtype=torch.float64) + 0.5
    places = torch.nn.functional.normalize(places, dim=-1)
    return ProcessFilms(loadings, choices, places, strengths, noise, torch.ones_like(noise))


@pytest.fixture
def history() -> tuple[ProcessFilms, torch.Tensor]:
    torch.manual_seed(0)
    return random_films(LENGTH), torch.randn(2, LENGTH, TARGETS, dtype=torch.float64)


def direct(history, film: ProcessFilms, user: int, length: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Means of all targets of `film` (of length 1) after a history, the rating's variance, and the mean taste."""
    films, targets = history
    ratings, others = targets[user, :length, 0], targets[user, :length, 1:]
    loadings, choices, places, strengths, noise, _ = (part[user, :length] for part in films)
    before = choices.sum(0) / (length + CHOICE_SHRINKAGE)
    told = (choices.sum(0) + film.choices[user, 0]) / (length + 1 + CHOICE_SHRINKAGE)

    def likings(one: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        return KERNEL.variance * ((one @ places.T - 1) / KERNEL.reach).exp() * strength[:, None] * strengths

    covariance = loadings @ loadings.T + likings(places, strengths) + torch.diag(noise)
    taste = before + loadings.T @ torch.linalg.solve(covariance, ratings - loadings @ before)
    own, strength = film.loadings[user], film.strengths[user]
    shared = own @ loadings.T + likings(film.places[user], strength)
    variance = own @ own.T + KERNEL.variance * strength.square() + film.noise[user]
    variance = variance - shared @ torch.linalg.solve(covariance, shared.T)
    mean = own @ told + shared @ torch.linalg.solve(covariance, ratings - loadings @ told)
    return torch.cat([mean, (shared @ torch.linalg.solve(covariance, others))[0]]), variance[0, 0], taste


def place(films: ProcessFilms, start: int) -> ProcessFilms:
    return ProcessFilms(*(part[:, start : start + 1] for part in films))


def test_every_prefix_equals_the_formula(history):
    films, targets = history
    reading = read_ratings(films, targets, KERNEL)
    for user in range(2):
        for length in range(LENGTH):
            mean, variance, taste = direct(history, place(films, length), user, length)
            torch.testing.assert_close(reading.means[user, length], mean)
            torch.testing.assert_close(reading.variances[user, length], variance)
            torch.testing.assert_close(reading.tastes[user, length], taste)
            surprise = (targets[user, length, 0] - mean[0]) / variance.sqrt()
            torch.testing.assert_close(reading.surprises[user, length], surprise)
        _, _, taste = direct(history, place(films, 0), user, LENGTH)
        torch.testing.assert_close(reading.tastes[user, LENGTH], taste)
        torch.testing.assert_close(reading.belief(films).taste()[user], taste)


def test_at_a_glance_the_means_are_the_same_and_likings_are_open(history):
    films, targets = history
    candidates = random_films(5)
    belief = read_ratings(films, targets, KERNEL).belief(films)
    means, _ = expect(belief, candidates, KERNEL)
    glanced, variances = expect_at_a_glance(belief, candidates, KERNEL)
    torch.testing.assert_close(glanced, means)
    assert (variances > candidates.noise + KERNEL.variance * candidates.strengths.square()).all()
    no_likings = KERNEL._replace(variance=torch.zeros((), dtype=torch.float64))
    belief = read_ratings(films, targets, no_likings).belief(films)
    for glance, whole in zip(
        *(by(belief, candidates, no_likings) for by in (expect_at_a_glance, expect)), strict=True
    ):
        torch.testing.assert_close(glance, whole)


def test_padding_teaches_nothing(history):
    films, targets = history
    candidate = random_films(1)
    mean, variance, taste = direct(history, candidate, 0, 4)
    for part in (films.loadings, films.choices, films.strengths, films.real, targets):
        part[:, 4:] = 0
    reading = read_ratings(films, targets, KERNEL)
    for position in range(4, LENGTH + 1):
        torch.testing.assert_close(reading.tastes[0, position], taste)
    means, variances = expect(reading.belief(films), candidate, KERNEL)
    torch.testing.assert_close(means[0, 0], mean)
    torch.testing.assert_close(variances[0, 0], variance)


@pytest.mark.parametrize("length", [0, 1, 6])
def test_reading_on_equals_reading_at_once(history, length):
    films, targets = history
    read = ProcessFilms(*(part[:, :length] for part in films))
    belief = read_ratings(read, targets[:, :length], KERNEL).belief(read)
    for position in range(length, LENGTH):
        belief = add_rating(belief, place(films, position), targets[:, position : position + 1], KERNEL)
    candidate = random_films(1)
    means, variances = expect(belief, candidate, KERNEL)
    for user in range(2):
        mean, variance, taste = direct(history, candidate, user, LENGTH)
        torch.testing.assert_close(means[user, 0], mean)
        torch.testing.assert_close(variances[user, 0], variance)
        torch.testing.assert_close(belief.taste()[user], taste)
