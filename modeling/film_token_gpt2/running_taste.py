"""What ratings say of a user's taste under a factor model of ratings, after every one of them."""

from typing import NamedTuple

import torch
import torch.nn.functional as F

# Ratings that are read in one go; the cost of a block grows with the third power of its size.
BLOCK = 256


class Taste(NamedTuple):
    """A Gaussian belief about a user's taste."""

    mean: torch.Tensor  # (batch, rank)
    covariance: torch.Tensor  # (batch, rank, rank)


class Reading(NamedTuple):
    """What was believed before each rating of a history, and after the last."""

    tastes: torch.Tensor  # (batch, length + 1, rank), mean tastes
    means: torch.Tensor  # (batch, length), what was expected of each rating
    variances: torch.Tensor  # (batch, length)
    surprises: torch.Tensor  # (batch, length), ratings minus what was expected, in standard deviations
    taste: Taste  # after the last


def prior_taste(batch: int, rank: int, like: torch.Tensor) -> Taste:
    """What is believed of users who have rated nothing."""
    return Taste(
        like.new_zeros(batch, rank), torch.eye(rank, dtype=like.dtype, device=like.device).expand(batch, -1, -1)
    )


def read_ratings(taste: Taste, loadings: torch.Tensor, noise: torch.Tensor, ratings: torch.Tensor) -> Reading:
    """
    Update a belief rating by rating, where `rating = loadings @ taste + N(0, noise)`.

    One Cholesky factor of the ratings' covariance holds the predictions from all prefixes of the history: its row `t`
    knows of the ratings up to `t` alone.

    Args:
        taste (`Taste`): the belief to begin with.
        loadings (`torch.Tensor` of shape `(batch, length, rank)`): of the rated films; zeros are padding.
        noise (`torch.Tensor` of shape `(batch, length)`): variances; above zero, for padding as well.
        ratings (`torch.Tensor` of shape `(batch, length)`): ratings minus the films' intercepts; zeros are padding.
    """
    readings = []
    for block in zip(loadings.split(BLOCK, 1), noise.split(BLOCK, 1), ratings.split(BLOCK, 1), strict=True):
        readings.append(_read_block(taste, *block))
        taste = readings[-1].taste
    if len(readings) == 1:
        return readings[0]
    return Reading(
        torch.cat([readings[0].tastes, *(reading.tastes[:, 1:] for reading in readings[1:])], 1),
        torch.cat([reading.means for reading in readings], 1),
        torch.cat([reading.variances for reading in readings], 1),
        torch.cat([reading.surprises for reading in readings], 1),
        taste,
    )


def _read_block(taste: Taste, loadings: torch.Tensor, noise: torch.Tensor, ratings: torch.Tensor) -> Reading:
    if not ratings.shape[1]:
        return Reading(taste.mean[:, None], ratings, ratings, ratings, taste)
    residuals = ratings - (loadings @ taste.mean[..., None])[..., 0]
    shared = loadings @ taste.covariance
    factor = torch.linalg.cholesky(shared @ loadings.mT + torch.diag_embed(noise))
    whitened = torch.linalg.solve_triangular(factor, torch.cat([residuals[..., None], shared], -1), upper=False)
    surprises, gains = whitened[..., 0], whitened[..., 1:]
    deviations = factor.diagonal(dim1=-2, dim2=-1)
    tastes = taste.mean[:, None] + F.pad((gains * surprises[..., None]).cumsum(1), (0, 0, 1, 0))
    after = Taste(tastes[:, -1], taste.covariance - gains.mT @ gains)
    return Reading(tastes, ratings - deviations * surprises, deviations.square(), surprises, after)


def expect(taste: Taste, loadings: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Mean and variance, `(batch, films)` each, of ratings that would come next, less the films' intercepts.

    Args:
        taste (`Taste`): what is believed of the users.
        loadings (`torch.Tensor` of shape `(batch, films, rank)`), noise (`torch.Tensor` of shape `(batch, films)`): of
            the films.
    """
    variances = ((loadings @ taste.covariance) * loadings).sum(-1).clamp(min=0) + noise
    return (loadings @ taste.mean[..., None])[..., 0], variances
