"""
What a history says of its user under a Gaussian process over films, after every rating.

    rating(film) = intercept + loadings @ taste + liking(film) + N(0, noise)

`taste` is a few numbers, of unit variance around what the choice of films tells; `liking` is what a user feels about
films of one corner of the film space, alike for films whose places there are near, and stronger for some films than
for others. What is to be believed of both is computed exactly after any number of ratings.

Anything else about a rating that varies over people and films as ratings do can be predicted along with it, from the
same factorisation: a reading takes several targets, of which the rating is the first.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F

# Ratings of prior weight in the mean of what the choice of films tells.
CHOICE_SHRINKAGE = 10.0


class ProcessFilms(NamedTuple):
    """Films as the process has them; `real` is 0 for padding, whose loadings, choices and strengths are zeros."""

    loadings: torch.Tensor  # (batch, length, rank)
    choices: torch.Tensor  # (batch, length, rank), what having chosen a film tells of a taste, whatever its rating
    places: torch.Tensor  # (batch, length, size), unit vectors
    strengths: torch.Tensor  # (batch, length), of likings
    noise: torch.Tensor  # (batch, length), variances; above zero, for padding as well
    real: torch.Tensor  # (batch, length)

    def at(self, rows: torch.Tensor) -> "ProcessFilms":
        """Those in some rows of what the process has of all films."""
        return ProcessFilms(*(part[rows] for part in self))


class Kernel(NamedTuple):
    """The covariance of `liking`: both films' strengths times `variance * exp((cosine of the places - 1) / reach)`."""

    variance: torch.Tensor  # of no dimensions, like the next
    reach: torch.Tensor


class Belief(NamedTuple):
    """What is known of users after their histories."""

    films: ProcessFilms
    # (batch, length, length), inverse of the Cholesky factor of the ratings' covariance: for a whole catalogue, a
    # product with it takes half as long as solving.
    whitener: torch.Tensor
    innovations: torch.Tensor  # (batch, length, targets), targets that it has whitened
    gains: torch.Tensor  # (batch, length, rank), loadings that it has whitened

    def told(self, chosen: torch.Tensor | None = None) -> torch.Tensor:
        """The taste that the choice of films tells of, `(batch, 1, rank)`; with each of `chosen` (batch, films, rank),
        `choices` of one more film, `(batch, films, rank)`."""
        total, counts = self.films.choices.sum(1, keepdim=True), self.films.real.sum(1)[:, None, None]
        if chosen is not None:
            total, counts = total + chosen, counts + 1
        return total / (counts + CHOICE_SHRINKAGE)

    def taste(self) -> torch.Tensor:
        """The mean taste, `(batch, rank)`. What the choice tells is where it began, and counts as far as the ratings
        have left it open."""
        told = self.told()
        ratings = self.innovations[..., 0]
        return ((ratings[:, None] - told @ self.gains.mT) @ self.gains + told)[:, 0]


class Reading(NamedTuple):
    """What was believed before each rating of a history, and after the last."""

    tastes: torch.Tensor  # (batch, length + 1, rank), mean tastes
    means: torch.Tensor  # (batch, length, targets), what was expected of each target
    variances: torch.Tensor  # (batch, length), of the rating
    surprises: torch.Tensor  # (batch, length), ratings minus what was expected, in standard deviations
    factor: torch.Tensor  # (batch, length, length), Cholesky factor of the ratings' covariance
    innovations: torch.Tensor  # (batch, length, targets), targets that it has whitened
    gains: torch.Tensor  # (batch, length, rank), loadings that it has whitened

    def belief(self, films: ProcessFilms) -> Belief:
        """What is known after the last rating; `films` are those that were read."""
        identity = torch.eye(self.factor.shape[-1]).to(self.factor).expand_as(self.factor)
        whitener = torch.linalg.solve_triangular(self.factor, identity, upper=False)
        return Belief(films, whitener, self.innovations, self.gains)


def covariance(one: ProcessFilms, other: ProcessFilms, kernel: Kernel) -> torch.Tensor:
    """Of ratings in advance, without noise: `(batch, films, other films)`."""
    strengths = (kernel.variance * one.strengths)[..., None] * other.strengths[:, None]
    return torch.baddbmm(_nearness(one, other, kernel) * strengths, one.loadings, other.loadings.mT)


def _nearness(one: ProcessFilms, other: ProcessFilms, kernel: Kernel) -> torch.Tensor:
    """How alike likings of films are, 0..1, whatever their strengths: `(batch, films, other films)`."""
    # In place where a gradient allows it: fresh memory for so many numbers costs more than they do.
    return ((one.places @ other.places.mT).sub_(1) / kernel.reach).exp_()


def _variances(films: ProcessFilms, kernel: Kernel) -> torch.Tensor:
    """In advance, and without noise: `(batch, length)`."""
    return films.loadings.square().sum(-1) + kernel.variance * films.strengths.square()


def _with_choice(means: torch.Tensor, by_choice: torch.Tensor) -> torch.Tensor:
    """The means of all targets, what the choice of films tells added to the first, the ratings."""
    return torch.cat([means[..., :1] + by_choice[..., None], means[..., 1:]], dim=-1)


def read_ratings(films: ProcessFilms, targets: torch.Tensor, kernel: Kernel) -> Reading:
    """
    Predict every rating of a history from those before it.

    One Cholesky factor of the ratings' covariance holds the predictions from all prefixes of the history: its row `t`
    knows of the ratings up to `t` alone. What the choice of films tells may change as the history goes on: a taste
    expected to be `m` from the start, in the place of zero, adds to each prediction what the ratings before it have
    left of `loadings @ m`. A film that is to be rated has been chosen too, and tells of itself: people see what they
    expect to like.

    Args:
        films (`ProcessFilms`): the rated films.
        targets (`torch.Tensor` of shape `(batch, length, targets)`): ratings minus the films' intercepts; then
            whatever else is to be predicted, of which the choice of films tells nothing. Zeros are padding.
        kernel (`Kernel`): of the likings.
    """
    factor = torch.linalg.cholesky(covariance(films, films, kernel) + torch.diag_embed(films.noise))
    whitened = torch.linalg.solve_triangular(factor, torch.cat([targets, films.loadings], -1), upper=False)
    innovations, gains = whitened.split([targets.shape[-1], films.loadings.shape[-1]], dim=-1)
    told = films.choices.cumsum(1) / (films.real.cumsum(1) + CHOICE_SHRINKAGE)[..., None]
    before = factor.tril(-1)
    taken = told @ gains.mT  # from what a choice tells, by each rating
    by_choice = (films.loadings * told).sum(-1) - (before * taken).sum(-1)
    means = _with_choice(before @ innovations, by_choice)

    tastes = (gains * innovations[..., :1]).cumsum(1) + told - taken.tril() @ gains
    tastes = F.pad(tastes, (0, 0, 1, 0))
    deviations = factor.diagonal(dim1=-2, dim2=-1)
    surprises = (targets - means)[..., 0] / deviations
    return Reading(tastes, means, deviations.square(), surprises, factor, innovations, gains)


def expect(belief: Belief, films: ProcessFilms, kernel: Kernel) -> tuple[torch.Tensor, torch.Tensor]:
    """What is expected, `(batch, films, targets)`, of ratings that would come next, and the variances `(batch, films)`
    of the ratings themselves."""
    known = belief.whitener @ covariance(belief.films, films, kernel)
    told = belief.told(films.choices)
    by_choice = ((films.loadings - known.mT @ belief.gains) * told).sum(-1)
    means = _with_choice(known.mT @ belief.innovations, by_choice)
    variances = _variances(films, kernel) - known.square().sum(1)
    return means, variances.clamp(min=0) + films.noise


def expect_at_a_glance(belief: Belief, films: ProcessFilms, kernel: Kernel) -> tuple[torch.Tensor, torch.Tensor]:
    """What `expect` returns, in a quarter of the time: the means are the same, the variances are those of somebody of
    whose likings nothing is known, and of whose taste what the ratings tell."""
    # The ratings are weighed first, so that a film is met by what they come to, and not by each of them: of their
    # covariance with it, only how near the films are is then needed for every pair.
    rated, weights = belief.films, belief.whitener.mT @ torch.cat([belief.innovations, belief.gains], dim=-1)
    likings = _nearness(films, rated, kernel) @ (rated.strengths[..., None] * weights)
    met = (kernel.variance * films.strengths)[..., None] * likings + films.loadings @ (rated.loadings.mT @ weights)
    means, taken = met.split([belief.innovations.shape[-1], belief.gains.shape[-1]], dim=-1)
    means = _with_choice(means, ((films.loadings - taken) * belief.told(films.choices)).sum(-1))
    known = ((films.loadings @ (belief.gains.mT @ belief.gains)) * films.loadings).sum(-1)
    return means, (_variances(films, kernel) - known).clamp(min=0) + films.noise


def add_rating(belief: Belief, film: ProcessFilms, targets: torch.Tensor, kernel: Kernel) -> Belief:
    """
    A belief after one more rating of each user; the whitener gets a row, nothing is computed again.

    Args:
        belief (`Belief`): before it.
        film (`ProcessFilms`): of length 1.
        targets (`torch.Tensor` of shape `(batch, 1, targets)`): as in `read_ratings`.
    """
    row = (belief.whitener @ covariance(belief.films, film, kernel)).mT  # of the Cholesky factor
    variance = _variances(film, kernel) + film.noise - row.square().sum(-1)
    deviation = variance.sqrt()[..., None]
    row_of_inverse = torch.cat([-row @ belief.whitener, torch.ones_like(deviation)], -1) / deviation
    whitener = torch.cat([F.pad(belief.whitener, (0, 1)), row_of_inverse], dim=1)
    innovation = (targets - row @ belief.innovations) / deviation
    gain = (film.loadings - row @ belief.gains) / deviation
    films = ProcessFilms(*(torch.cat(parts, dim=1) for parts in zip(belief.films, film, strict=True)))
    return Belief(films, whitener, torch.cat([belief.innovations, innovation], 1), torch.cat([belief.gains, gain], 1))
