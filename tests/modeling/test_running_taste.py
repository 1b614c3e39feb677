"""Beliefs about tastes: against the textbook formula, whatever the order of blocks."""

from __future__ import annotations

import pytest
import torch

from modeling.film_token_gpt2 import running_taste
from modeling.film_token_gpt2.running_taste import expect, prior_taste, read_ratings

RANK, LENGTH = 3, 9


@pytest.fixture
def history() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    loadings = torch.randn(2, LENGTH, RANK, dtype=torch.float64)
    return loadings, torch.rand(2, LENGTH, dtype=torch.float64) + 0.5, torch.randn(2, LENGTH, dtype=torch.float64)


def direct(loadings, noise, ratings):
    """Posterior mean and covariance of one user's taste by the normal equations."""
    precision = torch.eye(RANK, dtype=torch.float64) + loadings.T @ (loadings / noise[:, None])
    covariance = torch.linalg.inv(precision)
    return covariance @ (loadings.T @ (ratings / noise)), covariance


@pytest.mark.parametrize("block", [1, 4, 256])
def test_every_prefix_equals_the_normal_equations(history, block, monkeypatch):
    monkeypatch.setattr(running_taste, "BLOCK", block)
    loadings, noise, ratings = history
    reading = read_ratings(prior_taste(2, RANK, loadings), loadings, noise, ratings)
    for user in range(2):
        for length in range(LENGTH + 1):
            mean, covariance = direct(*(part[user, :length] for part in history))
            torch.testing.assert_close(reading.tastes[user, length], mean)
            if length == LENGTH:
                torch.testing.assert_close(reading.taste.mean[user], mean)
                torch.testing.assert_close(reading.taste.covariance[user], covariance)
                continue
            film, variance = loadings[user, length], noise[user, length]
            torch.testing.assert_close(reading.means[user, length], film @ mean)
            torch.testing.assert_close(reading.variances[user, length], film @ covariance @ film + variance)
            surprise = (ratings[user, length] - film @ mean) / (film @ covariance @ film + variance).sqrt()
            torch.testing.assert_close(reading.surprises[user, length], surprise)


def test_padding_teaches_nothing(history):
    loadings, noise, ratings = history
    loadings[:, 4:], ratings[:, 4:] = 0, 0
    reading = read_ratings(prior_taste(2, RANK, loadings), loadings, noise, ratings)
    mean, covariance = direct(*(part[0, :4] for part in history))
    for place in range(4, LENGTH + 1):
        torch.testing.assert_close(reading.tastes[0, place], mean)
    torch.testing.assert_close(reading.taste.covariance[0], covariance)


def test_what_is_expected_after_a_history(history):
    loadings, noise, ratings = history
    taste = read_ratings(prior_taste(2, RANK, loadings), loadings, noise, ratings).taste
    films = torch.randn(2, 5, RANK, dtype=torch.float64)
    means, variances = expect(taste, films, torch.ones(2, 5, dtype=torch.float64))
    mean, covariance = direct(*(part[1] for part in history))
    torch.testing.assert_close(means[1], films[1] @ mean)
    torch.testing.assert_close(variances[1], torch.einsum("fr,rs,fs->f", films[1], covariance, films[1]) + 1)
