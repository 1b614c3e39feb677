"""Beliefs about tastes: against the textbook formula, however the history is cut into blocks."""

from __future__ import annotations

import pytest
import torch

from modeling.film_token_gpt2 import running_taste
from modeling.film_token_gpt2.running_taste import CHOICE_SHRINKAGE, RatedFilms, expect, newcomer, read_ratings

RANK, LENGTH = 3, 9


@pytest.fixture
def history() -> tuple[RatedFilms, torch.Tensor]:
    torch.manual_seed(0)
    loadings, choices = torch.randn(2, 2, LENGTH, RANK, dtype=torch.float64)
    noise = torch.rand(2, LENGTH, dtype=torch.float64) + 0.5
    return RatedFilms(loadings, choices, noise, torch.ones_like(noise)), torch.randn(2, LENGTH, dtype=torch.float64)


def direct(history, user: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of one user's taste by the normal equations, around what the choices tell."""
    films, ratings = history
    loadings, choices, noise = (part[user, :length] for part in films[:3])
    told = choices.sum(0) / (length + CHOICE_SHRINKAGE)
    covariance = torch.linalg.inv(torch.eye(RANK, dtype=torch.float64) + loadings.T @ (loadings / noise[:, None]))
    return told + covariance @ (loadings.T @ ((ratings[user, :length] - loadings @ told) / noise)), covariance


@pytest.mark.parametrize("block", [1, 4, 256])
def test_every_prefix_equals_the_normal_equations(history, block, monkeypatch):
    monkeypatch.setattr(running_taste, "BLOCK", block)
    films, ratings = history
    reading = read_ratings(newcomer(2, RANK, ratings), films, ratings)
    for user in range(2):
        for length in range(LENGTH + 1):
            mean, covariance = direct(history, user, length)
            torch.testing.assert_close(reading.tastes[user, length], mean)
            if length == LENGTH:
                torch.testing.assert_close(reading.taste.mean()[user], mean)
                torch.testing.assert_close(reading.taste.covariance[user], covariance)
                continue
            film, noise = films.loadings[user, length], films.noise[user, length]
            variance = film @ covariance @ film + noise
            torch.testing.assert_close(reading.means[user, length], film @ mean)
            torch.testing.assert_close(reading.variances[user, length], variance)
            surprise = (ratings[user, length] - film @ mean) / variance.sqrt()
            torch.testing.assert_close(reading.surprises[user, length], surprise)


def test_padding_teaches_nothing(history):
    films, ratings = history
    mean, covariance = direct(history, 0, 4)
    for part in (films.loadings, films.choices, films.real, ratings):
        part[:, 4:] = 0
    reading = read_ratings(newcomer(2, RANK, ratings), films, ratings)
    for place in range(4, LENGTH + 1):
        torch.testing.assert_close(reading.tastes[0, place], mean)
    torch.testing.assert_close(reading.taste.mean()[0], mean)
    torch.testing.assert_close(reading.taste.covariance[0], covariance)


def test_what_is_expected_after_a_history(history):
    taste = read_ratings(newcomer(2, RANK, history[1]), *history).taste
    films = torch.randn(2, 5, RANK, dtype=torch.float64)
    means, variances = expect(taste, films, torch.ones(2, 5, dtype=torch.float64))
    mean, covariance = direct(history, 1, LENGTH)
    torch.testing.assert_close(means[1], films[1] @ mean)
    torch.testing.assert_close(variances[1], torch.einsum("fr,rs,fs->f", films[1], covariance, films[1]) + 1)
