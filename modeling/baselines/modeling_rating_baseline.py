"""Rating baselines: a point estimate made into a distribution over the ratings 1..10."""

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init

from .configuration_rating_baseline import RatingBaselineConfig
from .discretised_gaussian import discretised_gaussian
from .fold_in import ridge_regression, shrunk_bias
from .linear_bandit import Known, Posterior, context_size, contexts


class RatingBaselineModel(PreTrainedModel):
    """
    A film's estimate, plus what the kind knows of the user, spread as a Gaussian whose width depends on how many
    ratings are known. Nothing here is trained by gradients: `training/baseline.py` computes the tables.
    """

    config_class = RatingBaselineConfig
    config: RatingBaselineConfig

    def __init__(self, config: RatingBaselineConfig):
        super().__init__(config)
        self.film_estimates = nn.Parameter(torch.zeros(config.num_films), requires_grad=False)
        if config.rank:
            self.factors = nn.Parameter(torch.zeros(config.num_films, config.rank), requires_grad=False)
        if config.num_features is not None:
            # What features say of a film that nobody has rated: constants in row 0, a slope for each feature below;
            # the first column makes its estimate, the others its vector.
            self.feature_weights = nn.Parameter(
                torch.zeros(1 + config.num_features, 1 + config.rank), requires_grad=False
            )
        if config.kind == "bandit":
            size = context_size(config.rank)
            self.mean = nn.Parameter(torch.zeros(()), requires_grad=False)  # of all ratings
            self.noise = nn.Parameter(torch.ones(()), requires_grad=False)  # variance of a rating around its estimate
            self.weights = nn.Parameter(torch.zeros(size), requires_grad=False)
            # of weights learned from a single rating with a context such as training users have
            self.covariance = nn.Parameter(torch.eye(size), requires_grad=False)
        self.spreads = nn.Parameter(torch.ones(len(config.spread_lengths)), requires_grad=False)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        if isinstance(module, RatingBaselineModel):
            init.zeros_(module.film_estimates)
            if module.config.rank:
                init.zeros_(module.factors)
            if module.config.num_features is not None:
                init.zeros_(module.feature_weights)
            if module.config.kind == "bandit":
                init.zeros_(module.mean)
                init.ones_(module.noise)
                init.zeros_(module.weights)
                init.eye_(module.covariance)
            init.ones_(module.spreads)

    @torch.no_grad()
    def add_films(self, film_features: torch.Tensor) -> None:
        """
        Append films that nobody has rated: rows `num_films` and on of every table of films.

        Args:
            film_features (`torch.Tensor` of shape `(films, features)`): as those that the model was fitted with; kinds
                that know nothing of a film but its ratings read none of them.

        Raises:
            ValueError: for a model that takes no new films.
        """
        if self.config.num_features is None:
            raise ValueError("this baseline does not say what it makes of new films; fit it again")
        features = film_features.to(self.feature_weights)[:, : self.config.num_features]
        made = self.feature_weights[0] + features @ self.feature_weights[1:]
        self.film_estimates = nn.Parameter(torch.cat([self.film_estimates, made[:, 0]]), requires_grad=False)
        if self.config.rank:
            self.factors = nn.Parameter(torch.cat([self.factors, made[:, 1:]]), requires_grad=False)
        self.config.num_films += len(film_features)

    def film_vectors(self) -> torch.Tensor | None:
        """Vectors of all films whose directions say which are alike, `(films, rank)`; None for kinds that only know
        how well films are liked."""
        return self.factors.detach() if self.config.rank else None

    def _spread(self, lengths: torch.Tensor) -> torch.Tensor:
        """Spread at each history length: linear in log(1 + length) between the measured ones, constant beyond them."""
        known = torch.tensor(self.config.spread_lengths, dtype=self.spreads.dtype, device=lengths.device).log1p()
        if len(known) == 1:
            return self.spreads.expand(lengths.shape)
        wanted = lengths.to(known.dtype).log1p().clamp(known[0], known[-1])
        right = torch.searchsorted(known, wanted).clamp(1, len(known) - 1)
        share = (wanted - known[right - 1]) / (known[right] - known[right - 1])
        return self.spreads[right - 1].lerp(self.spreads[right], share)

    @torch.no_grad()
    def estimate(
        self, history_films: torch.Tensor, history_ratings: torch.Tensor, candidate_films: torch.Tensor
    ) -> torch.Tensor:
        """The point estimates, `(batch, candidates)`, on the 1..10 scale but not clipped to it; arguments as in
        `predict`."""
        estimates = self.film_estimates[candidate_films.clamp(min=0)]
        if self.config.kind == "film-mean":
            return estimates
        if self.config.kind == "bandit":
            posterior = self.posterior(history_films, history_ratings)
            return self._value(posterior.weights, history_films, history_ratings, candidate_films)
        rated, residuals = self._residuals(history_films, history_ratings)
        bias = shrunk_bias(residuals, rated, self.config.user_shrinkage)
        if self.config.rank:
            user = self.fold_in(history_films, (residuals - bias) * rated)
            estimates = estimates + (self.factors[candidate_films.clamp(min=0)] @ user[..., None])[..., 0]
        return estimates + bias

    def _residuals(
        self, history_films: torch.Tensor, history_ratings: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What is no padding, and ratings less the films' estimates (0 where padded): `(batch, length)` each."""
        rated = history_ratings > 0
        return rated, (history_ratings - self.film_estimates[history_films.clamp(min=0)]) * rated

    def fold_in(self, history_films: torch.Tensor, residuals: torch.Tensor) -> torch.Tensor:
        """
        User vectors of als and ridge by ridge regression of the residuals on the vectors of the films.

        Args:
            history_films (`torch.Tensor` of shape `(batch, length)`): catalogue rows, -1 is padding.
            residuals (`torch.Tensor` of shape `(batch, length)`): what the biases leave; 0 where padded.

        Returns:
            `torch.FloatTensor` of shape `(batch, rank)`.
        """
        vectors = self.factors[history_films.clamp(min=0)] * (history_films >= 0)[..., None]
        return ridge_regression(vectors, residuals, self.config.penalty)

    @torch.no_grad()
    def posterior(self, history_films: torch.Tensor, history_ratings: torch.Tensor) -> Posterior:
        """What the bandit believes after a history, taken in one rating at a time; each rating's context holds what
        the other ratings say of the user."""
        rated, residuals = self._residuals(history_films, history_ratings)
        vectors = self.factors[history_films.clamp(min=0)]
        deviations = self.film_estimates[history_films.clamp(min=0)] - self.mean
        others = Known.of(vectors, residuals, rated, self.config.user_shrinkage, without=True)
        seen = contexts(vectors, deviations, others)
        batch = len(history_films)
        posterior = Posterior(
            self.weights.expand(batch, -1), (self.covariance / self.config.penalty).expand(batch, -1, -1)
        )
        for step in range(history_films.shape[1]):
            posterior = posterior.update(seen[:, step], history_ratings[:, step].to(seen.dtype), rated[:, step])
        return posterior

    def _value(
        self,
        weights: torch.Tensor,
        history_films: torch.Tensor,
        history_ratings: torch.Tensor,
        candidate_films: torch.Tensor,
    ) -> torch.Tensor:
        """What the bandit's weights `(batch, size)` make of candidate films: `(batch, candidates)`."""
        rated, residuals = self._residuals(history_films, history_ratings)
        vectors = self.factors[history_films.clamp(min=0)]
        known = Known.of(vectors, residuals, rated, self.config.user_shrinkage, without=False)
        candidates = candidate_films.clamp(min=0)
        joint = contexts(self.factors[candidates], self.film_estimates[candidates] - self.mean, known)
        return (joint @ weights[..., None])[..., 0]

    @torch.no_grad()
    def thompson(
        self,
        history_films: torch.Tensor,
        history_ratings: torch.Tensor,
        candidate_films: torch.Tensor,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """
        What Thompson sampling ranks by: the candidates' estimates under weights drawn once for every user.

        Args:
            history_films, history_ratings, candidate_films: as in `predict`.
            generator (`torch.Generator`): of the draws, on the CPU.

        Returns:
            `torch.FloatTensor` of shape `(batch, candidates)`.

        Raises:
            ValueError: for a kind that is no bandit.
        """
        if self.config.kind != "bandit":
            raise ValueError(f"Thompson sampling is the bandit's, and this is {self.config.kind}")
        weights = self.posterior(history_films, history_ratings).draw(self.noise, generator)
        return self._value(weights, history_films, history_ratings, candidate_films)

    @torch.no_grad()
    def predict(
        self, history_films: torch.Tensor, history_ratings: torch.Tensor, candidate_films: torch.Tensor
    ) -> torch.Tensor:
        """
        Probabilities of the ratings 1..10 for candidate films after a history.

        Args:
            history_films (`torch.Tensor` of shape `(batch, length)`): catalogue rows, -1 is padding.
            history_ratings (`torch.Tensor` of shape `(batch, length)`): 1..10, 0 is padding.
            candidate_films (`torch.Tensor` of shape `(batch, candidates)`): catalogue rows; -1 is padding.

        Returns:
            `torch.FloatTensor` of shape `(batch, candidates, 10)`.
        """
        spreads = self._spread((history_ratings > 0).sum(1))[:, None].expand(candidate_films.shape)
        return discretised_gaussian(self.estimate(history_films, history_ratings, candidate_films), spreads)


RatingBaselineConfig.register_for_auto_class()
RatingBaselineModel.register_for_auto_class("AutoModel")
