"""
Films as vectors: a factor model of ratings whose users are integrated out.

    rating(user, film) = intercept_film + loadings_film @ taste_user + noise
    taste_user ~ N(0, identity),  noise ~ N(0, variance_film)
    intercept_film, loadings_film ~ N(what the film's features say, a spread for each)

Expectation maximisation alternates between every user's taste, mean and covariance, given the films, and every film's
regression of its ratings on the tastes of those who rated it (D. Rubin and D. Thayer, 1982, EM algorithms for ML
factor analysis; films' means from features as in D. Agarwal and B.-C. Chen, 2009, Regression-based latent factor
models). Alternating least squares is the same without the covariances, which is why it needs a penalty, and a tuned
one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from data_prep.dataset import Histories
from modeling.film_token_gpt2.taste_process import CHOICE_SHRINKAGE
from training.baselines.film_space import of_features, principal_axes, regress_on_features
from training.film_company import FilmCompany
from training.rating_groups import RatingGroups

SWEEPS = 12
SWEEPS_BETWEEN_REGRESSIONS = 3
FOLDS = 8
STEPS = SWEEPS + FOLDS  # that `fit_film_factors` tells of
# Users whose covariances are averaged: those with about as many ratings are about as uncertain.
USERS_ALIKE = 32
# Ratings of prior weight in a film's noise variance; at so many, a film counts half in what is said of all films.
FILM_SHRINKAGE = 20.0
INITIAL_SPREAD, INITIAL_NOISE = 0.15, 2.0
CONTENT_SIZE = 64  # numbers that stand for a film's features and company
# Of the regression of tastes on choices: penalty in users, and ratings that a taste must rest on.
CHOICE_PENALTY, LEAST_JUDGED = 1.0, 20


@dataclass
class FilmFactors:
    """
    Films as intercept (1..10), loadings, choices (what having chosen the film tells of a taste, whatever its rating)
    and noise variance: `2 * rank + 2` numbers a film.

    Attributes:
        films (`torch.FloatTensor` of shape `(films, 2 * rank + 2)`): by all training users' ratings. The variance
            holds what is unknown of the film itself beside the noise of its ratings.
        by_fold (`torch.FloatTensor` of shape `(folds, films, 2 * rank + 2)`): the same without the ratings of every
            `folds`-th user, of user `i` those in row `i % folds`: what a training user had no part in. (But for
            choices: one user of thousands had next to no part in those.)
        feature_weights (`torch.FloatTensor` of shape `(features + company + 1, 2 * rank + 2)`): of the constant and
            the features, for films without ratings. Those of company are zeros: of a new film, features alone speak.
        content_weights (`torch.FloatTensor` of shape `(features + company + 1, CONTENT_SIZE)`, or fewer columns where
            there are fewer features): of the constant, the features and the company, for their principal components.
    """

    films: torch.Tensor
    by_fold: torch.Tensor
    feature_weights: torch.Tensor
    content_weights: torch.Tensor

    @classmethod
    def empty(cls, num_films: int, num_inputs: int, rank: int, folds: int = FOLDS) -> FilmFactors:
        """Zeros in the shapes that `fit_film_factors` fills; `num_inputs` are features and company."""
        width = 2 * rank + 2
        return cls(
            torch.zeros(num_films, width),
            torch.zeros(folds, num_films, width),
            torch.zeros(num_inputs + 1, width),
            torch.zeros(num_inputs + 1, min(CONTENT_SIZE, num_inputs)),
        )


@dataclass
class _Tastes:
    """What the ratings say of users: means `(users, rank)`, and covariances averaged over users with about as many
    ratings, `(USERS_ALIKE, rank, rank)`."""

    means: torch.Tensor
    covariances: torch.Tensor


@dataclass
class _Sums:
    """
    What films' regressions rest on: `[1, taste] [1, taste]'`, `[1, taste] rating` and squared ratings, summed over
    those who rated a film.
    """

    grams: torch.Tensor  # (films, rank + 1, rank + 1)
    moments: torch.Tensor  # (films, rank + 1)
    squares: torch.Tensor  # (films,)
    counts: torch.Tensor  # (films,)

    def without(self, others: _Sums) -> _Sums:
        return _Sums(
            self.grams - others.grams,
            self.moments - others.moments,
            self.squares - others.squares,
            self.counts - others.counts,
        )


class _FactorModel:
    """Factors while they are fitted: ratings as deviations from their mean, film vectors `[intercept, loadings]`."""

    def __init__(self, histories: Histories, features: np.ndarray, company: FilmCompany, rank: int, seed: int):
        self.num_films, self.num_users, self.rank = len(features), len(histories), rank
        self.features, self.inputs = features, company.beside(features)
        lengths = histories.lengths()
        self.users, self.films = np.repeat(np.arange(len(lengths)), lengths), histories.film_indices
        self.mean = float(histories.ratings.mean(dtype=np.float64))
        self.deviations = histories.ratings.astype(np.float32) - self.mean
        self.by_user = RatingGroups.of(self.users, self.films, self.deviations)
        self.by_film = RatingGroups.of(self.films, self.users, self.deviations)
        edges = np.quantile(lengths, np.linspace(0, 1, USERS_ALIKE + 1)[1:-1])
        self.alike = np.searchsorted(edges, lengths)
        self.share_alike = torch.from_numpy(np.bincount(self.alike, minlength=USERS_ALIKE) / len(lengths)).float()
        counts = np.bincount(self.films, minlength=self.num_films).astype(np.float32)
        self.counts, self.weight = counts, counts / (counts + FILM_SHRINKAGE)
        self.content_weights = principal_axes(self.inputs, counts > 0, min(CONTENT_SIZE, self.inputs.shape[1]))

        generator = torch.Generator().manual_seed(seed)
        self.vectors = torch.randn(self.num_films, rank + 1, generator=generator) * INITIAL_SPREAD
        sums = np.bincount(self.films, self.deviations, self.num_films)
        self.vectors[:, 0] = torch.from_numpy(sums / (counts + FILM_SHRINKAGE))
        self.vectors[:, 1] = 1.0  # to begin with, the first number of a taste is generosity
        self.variance = torch.full((self.num_films,), INITIAL_NOISE)
        # By features and company, and by features alone; and variances around either.
        self.expected = torch.zeros(2, *self.vectors.shape)
        self.expected[..., 1] = 1.0
        self.spread = torch.full((2, rank + 1), INITIAL_SPREAD).square()
        self.spread[:, 0] = 1.0

    def tastes(self, ratings: RatingGroups | None = None) -> _Tastes:
        """The E-step: what is known of every user, by all their ratings or those given."""
        precision = torch.cat([self.variance.rsqrt(), torch.zeros(1)])  # row -1: padding adds nothing
        vectors = torch.cat([self.vectors, torch.zeros(1, self.rank + 1)])
        intercepts, loadings = vectors[:, 0].contiguous(), vectors[:, 1:] * precision[:, None]
        means = torch.zeros(self.num_users, self.rank)
        covariances = torch.zeros(USERS_ALIKE, self.rank, self.rank)
        alike = torch.from_numpy(self.alike)
        for rows, columns, values in (ratings or self.by_user).batches():
            inputs = loadings[columns]
            targets = (values - intercepts[columns]) * precision[columns]
            factor = torch.linalg.cholesky(inputs.mT @ inputs + torch.eye(self.rank))
            means[rows] = torch.cholesky_solve(inputs.mT @ targets[..., None], factor)[..., 0]
            covariances.index_add_(0, alike[rows], torch.cholesky_inverse(factor))
        users = self.share_alike * self.num_users
        return _Tastes(means, covariances / users.clamp(min=1)[:, None, None])

    def standardise(self, tastes: _Tastes) -> _Tastes:
        """
        Make users' tastes N(0, identity) again, films' vectors to match: the scale of either side would otherwise be
        found very slowly (C. Liu, D. Rubin and Y. Wu, 1998, Parameter expansion to accelerate EM).
        """
        centre = tastes.means.mean(0)
        offsets = tastes.means - centre
        covariance = offsets.T @ offsets / self.num_users
        covariance = covariance + (tastes.covariances * self.share_alike[:, None, None]).sum(0)
        factor = torch.linalg.cholesky(covariance)
        for vectors in (self.vectors, *self.expected):
            vectors[:, 0] += vectors[:, 1:] @ centre
            vectors[:, 1:] = vectors[:, 1:] @ factor
        inverse = torch.linalg.inv(factor)
        return _Tastes(offsets @ inverse.T, inverse @ tastes.covariances @ inverse.T)

    def sums(self, tastes: _Tastes, chosen: np.ndarray | None = None) -> _Sums:
        """Films' sums over all ratings, or those that `chosen` (ratings, bool) is true for."""
        films, users, values, groups = self.films, self.users, self.deviations, self.by_film
        if chosen is not None:
            films, users, values = films[chosen], users[chosen], values[chosen]
            groups = RatingGroups.of(films, users, values)
        inputs = torch.cat([torch.ones(self.num_users, 1), tastes.means], dim=1)
        inputs = torch.cat([inputs, torch.zeros(1, self.rank + 1)])  # row -1: padding adds nothing
        grams = torch.zeros(self.num_films, self.rank + 1, self.rank + 1)
        moments = torch.zeros(self.num_films, self.rank + 1)
        for rows, columns, batch in groups.batches():
            vectors = inputs[columns]
            grams[rows] = vectors.mT @ vectors
            moments[rows] = (vectors.mT @ batch[..., None])[..., 0]
        cells = films.astype(np.int64) * USERS_ALIKE + self.alike[users]
        raters = np.bincount(cells, minlength=self.num_films * USERS_ALIKE).reshape(self.num_films, USERS_ALIKE)
        raters_alike = torch.from_numpy(raters.astype(np.float32))
        grams[:, 1:, 1:] += (raters_alike @ tastes.covariances.flatten(1)).unflatten(1, (self.rank, self.rank))
        squares = np.bincount(films, np.square(values, dtype=np.float64), self.num_films)
        return _Sums(grams, moments, torch.from_numpy(squares).float(), raters_alike.sum(1))

    def regress(self, sums: _Sums) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """
        The M-step: films' vectors `(films, rank + 1)`, how uncertain each number of them is, as a variance of the same
        shape, and their noise variance `(films,)`.
        """
        trust = torch.from_numpy(self.weight)[:, None]
        expected, spread = (trust * known + (1 - trust) * new for known, new in (self.expected, self.spread))
        ridge = self.variance[:, None] / spread
        factor = torch.linalg.cholesky(sums.grams + torch.diag_embed(ridge))
        vectors = torch.cholesky_solve((sums.moments + ridge * expected)[..., None], factor)[..., 0]
        explained = 2 * (vectors * sums.moments).sum(1) - ((sums.grams @ vectors[..., None])[..., 0] * vectors).sum(1)
        errors = (sums.squares - explained).clamp(min=0)
        overall = errors.sum() / sums.counts.sum().clamp(min=1)  # no ratings: all users are in the fold left out
        noise = (errors + FILM_SHRINKAGE * overall) / (sums.counts + FILM_SHRINKAGE)
        uncertainty = torch.cholesky_inverse(factor).diagonal(dim1=1, dim2=2) * noise[:, None]
        return vectors, uncertainty, noise

    def heed_features(self) -> None:
        """Let features, and company, say what to expect of a film."""
        vectors = self.vectors.double().numpy()
        left_out = [regress_on_features(vectors, self.weight, by).left_out for by in (self.inputs, self.features)]
        self.expected = torch.from_numpy(np.stack(left_out)).float()

    def choices(self, seed: int) -> torch.Tensor:
        """
        What having chosen a film tells of a taste, `(films, rank)`: of every user's ratings some, any number of them,
        are drawn, and the tastes by the others are regressed on the mean loadings and features of those films.
        """
        draw = np.random.default_rng(seed)
        lengths = np.bincount(self.users, minlength=self.num_users)
        share = np.maximum(lengths, 1) ** -draw.random(self.num_users)  # any order of magnitude
        drawn = draw.random(len(self.users)) < share[self.users]
        tastes = self.tastes(RatingGroups.of(self.users[~drawn], self.films[~drawn], self.deviations[~drawn])).means

        popularity = torch.from_numpy(self.counts).double()
        directions = self.vectors[:, 1:] / self.vectors[:, 1:].norm(dim=1, keepdim=True).clamp(min=1e-6)
        content = of_features(self.inputs, self.content_weights)
        films = torch.cat([directions.double(), torch.from_numpy(content)], dim=1)
        films = films - popularity @ films / popularity.sum()
        counts = np.bincount(self.users[drawn], minlength=self.num_users)
        offsets = torch.from_numpy(np.cumsum(counts) - counts)
        chosen = torch.from_numpy(self.films[drawn].astype(np.int64))
        profiles = F.embedding_bag(chosen, films, offsets, mode="sum")
        profiles = profiles / torch.from_numpy(counts + CHOICE_SHRINKAGE)[:, None]
        judged = torch.from_numpy((lengths - counts >= LEAST_JUDGED) & (counts > 0))
        inputs, targets = profiles[judged], tastes[judged].double()
        ridge = CHOICE_PENALTY * torch.eye(inputs.shape[1], dtype=torch.float64)
        return (films @ torch.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ targets)).float()

    def unrated(self, choices: torch.Tensor, uncertainty: torch.Tensor, noise: torch.Tensor) -> np.ndarray:
        """
        What features say of films that nobody has rated: weights `(features + 1, 2 * rank + 2)`, of the constant and
        the features, for what `FilmFactors` has of a film; the variance is a constant. Films that many see are worth
        more than their features tell, and are most of what people ask about, so a film counts by the root of how many
        ratings it has.

        Args:
            choices (`torch.Tensor` of shape `(films, rank)`): as `choices` returns them.
            uncertainty, noise (`torch.Tensor`): as `regress` returns them.
        """
        weight = np.sqrt(self.counts / self.counts.mean())
        regression = regress_on_features(torch.cat([self.vectors, choices], 1).double().numpy(), weight, self.features)
        errors = self.vectors.numpy() - regression.left_out[:, : self.rank + 1]
        variances = noise.numpy() + (np.square(errors) + uncertainty.numpy()).sum(1)
        weights = np.pad(regression.weights, ((0, 0), (0, 1)))
        weights[0, 0] += self.mean
        weights[0, -1] = np.average(variances, weights=weight)
        return weights

    def film_factors(self, sums: _Sums, choices: torch.Tensor) -> torch.Tensor:
        """Films as `FilmFactors` has them."""
        vectors, uncertainty, noise = self.regress(sums)
        variance = noise + uncertainty.sum(1)
        return torch.cat([vectors[:, :1] + self.mean, vectors[:, 1:], choices, variance[:, None]], dim=1)


@torch.no_grad()
def fit_film_factors(
    histories: Histories,
    features: np.ndarray,
    company: FilmCompany,
    rank: int,
    *,
    sweeps: int = SWEEPS,
    folds: int = FOLDS,
    seed: int = 0,
    progress: Callable[[], None] = lambda: None,
) -> FilmFactors:
    """
    Fit the factor model to training users' ratings.

    Args:
        histories (`Histories`): of training users.
        features (`np.ndarray` of shape `(films, features)`): as `FilmFeatures.dense` gives them.
        company (`FilmCompany`): the films'; of those that have ratings it says more than features do.
        rank (`int`): numbers in a taste.
        sweeps (`int`): of expectation maximisation.
        folds (`int`): parts of the users that are left out in turn.
        seed (`int`): of the start, a Gaussian draw.
        progress: called after every sweep and every fold.
    """
    model = _FactorModel(histories, features, company, rank, seed)
    for sweep in range(sweeps):
        tastes = model.standardise(model.tastes())
        if (sweeps - 1 - sweep) % SWEEPS_BETWEEN_REGRESSIONS == 0:
            model.heed_features()
        sums = model.sums(tastes)
        model.vectors, uncertainty, noise = model.regress(sums)
        model.variance = noise + uncertainty.sum(1)
        model.spread = ((model.vectors - model.expected).square() + uncertainty)[:, sums.counts > 0].mean(1)
        progress()

    factors = FilmFactors.empty(len(features), model.inputs.shape[1], rank, folds)
    choices = model.choices(seed)
    factors.films = model.film_factors(sums, choices)
    for fold in range(folds):
        others = sums.without(model.sums(tastes, model.users % folds == fold))
        factors.by_fold[fold] = model.film_factors(others, choices)
        progress()
    unrated = model.unrated(choices, uncertainty, noise)
    factors.feature_weights[: len(unrated)] = torch.from_numpy(unrated)
    nobody = model.counts == 0
    told = torch.from_numpy(of_features(features[nobody], unrated)).float()
    factors.films[nobody], factors.by_fold[:, nobody] = told, told
    factors.content_weights = torch.from_numpy(model.content_weights).float()
    return factors
