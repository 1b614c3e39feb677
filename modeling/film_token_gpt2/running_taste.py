"""What a history says of its user's taste under a factor model of ratings, after every rating."""

from typing import NamedTuple

import torch
import torch.nn.functional as F

# Ratings that are read in one go; the cost of a block grows with the third power of its size.
BLOCK = 256
# Ratings of prior weight in the mean of what the choice of films tells.
CHOICE_SHRINKAGE = 10.0


class RatedFilms(NamedTuple):
    """The films of a history as the factor model has them, zeros where there is padding."""

    loadings: torch.Tensor  # (batch, length, rank)
    choices: torch.Tensor  # (batch, length, rank), what having chosen a film tells of a taste, whatever its rating
    noise: torch.Tensor  # (batch, length), variances; above zero, for padding as well
    real: torch.Tensor  # (batch, length), 1 or, for padding, 0


class Taste(NamedTuple):
    """A Gaussian belief about a user's taste: by the ratings alone, with what the choice of films tells apart."""

    by_ratings: torch.Tensor  # (batch, rank), its mean
    covariance: torch.Tensor  # (batch, rank, rank)
    told: torch.Tensor  # (batch, rank), sum of `choices`
    counts: torch.Tensor  # (batch), ratings

    def mean(self) -> torch.Tensor:
        """The mean by both, `(batch, rank)`: what choices tell is where the belief began, and counts as far as the
        ratings have left it open."""
        expected = self.told / (self.counts + CHOICE_SHRINKAGE)[:, None]
        return self.by_ratings + (self.covariance @ expected[..., None])[..., 0]


class Reading(NamedTuple):
    """What was believed before each rating of a history, and after the last."""

    tastes: torch.Tensor  # (batch, length + 1, rank), mean tastes
    means: torch.Tensor  # (batch, length), what was expected of each rating
    variances: torch.Tensor  # (batch, length)
    surprises: torch.Tensor  # (batch, length), ratings minus what was expected, in standard deviations
    taste: Taste  # after the last


def newcomer(batch: int, rank: int, like: torch.Tensor) -> Taste:
    """What is believed of users who have rated nothing."""
    nothing = like.new_zeros(batch, rank)
    identity = torch.eye(rank, dtype=like.dtype, device=like.device)
    return Taste(nothing, identity.expand(batch, -1, -1), nothing, like.new_zeros(batch))


def read_ratings(taste: Taste, films: RatedFilms, ratings: torch.Tensor) -> Reading:
    """
    Update a belief rating by rating, where `rating = loadings @ taste + N(0, noise)`.

    One Cholesky factor of the ratings' covariance holds the predictions from all prefixes of the history: its row `t`
    knows of the ratings up to `t` alone. A taste that was expected to be `m` from the start, not zero, adds
    `covariance_t @ m` to the mean after `t` ratings, so what the choice of films tells may change as the history goes
    on.

    Args:
        taste (`Taste`): the belief to begin with.
        films (`RatedFilms`): the rated films.
        ratings (`torch.Tensor` of shape `(batch, length)`): ratings minus the films' intercepts; zeros are padding.
    """
    readings = []
    blocks = zip(*(part.split(BLOCK, 1) for part in films), strict=True)
    for block, block_ratings in zip(blocks, ratings.split(BLOCK, 1), strict=True):
        readings.append(_read_block(taste, RatedFilms(*block), block_ratings))
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


def _read_block(taste: Taste, films: RatedFilms, ratings: torch.Tensor) -> Reading:
    if not ratings.shape[1]:
        return Reading(taste.mean()[:, None], ratings, ratings, ratings, taste)
    # By the ratings alone.
    residuals = ratings - (films.loadings @ taste.by_ratings[..., None])[..., 0]
    shared = films.loadings @ taste.covariance
    factor = torch.linalg.cholesky(shared @ films.loadings.mT + torch.diag_embed(films.noise))
    whitened = torch.linalg.solve_triangular(factor, torch.cat([residuals[..., None], shared], -1), upper=False)
    innovations, gains = whitened[..., 0], whitened[..., 1:]
    by_ratings = taste.by_ratings[:, None] + F.pad((gains * innovations[..., None]).cumsum(1), (0, 0, 1, 0))

    # What choices tell, less what the ratings before in this block have taken from it.
    counts = taste.counts[:, None] + F.pad(films.real.cumsum(1), (1, 0))
    told = taste.told[:, None] + F.pad(films.choices.cumsum(1), (0, 0, 1, 0))
    expected = told / (counts + CHOICE_SHRINKAGE)[..., None]
    taken = (expected @ gains.mT).tril(-1) @ gains
    tastes = by_ratings + expected @ taste.covariance - taken

    deviations = factor.diagonal(dim1=-2, dim2=-1)
    means = (films.loadings * tastes[:, :-1]).sum(-1)
    after = Taste(by_ratings[:, -1], taste.covariance - gains.mT @ gains, told[:, -1], counts[:, -1])
    return Reading(tastes, means, deviations.square(), (ratings - means) / deviations, after)


def expect(taste: Taste, loadings: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Mean and variance, `(batch, films)` each, of ratings that would come next, less the films' intercepts.

    Args:
        taste (`Taste`): what is believed of the users.
        loadings (`torch.Tensor` of shape `(batch, films, rank)`), noise (`torch.Tensor` of shape `(batch, films)`): of
            the films.
    """
    variances = ((loadings @ taste.covariance) * loadings).sum(-1).clamp(min=0) + noise
    return (loadings @ taste.mean()[..., None])[..., 0], variances
