"""Rating baselines: a point estimate made into a distribution over the ratings 1..10."""

import math

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init

from .configuration_rating_baseline import RatingBaselineConfig

NUM_RATINGS = 10
CENTRING_STEPS = 8  # from the worst start, an expected rating of 9.9, to within 1e-3 of it


def discretised_gaussian(expected: torch.Tensor, spreads: torch.Tensor) -> torch.Tensor:
    """
    A Gaussian rounded to the ratings 1..10, its tails counted with the ratings at the ends, and centred so that the
    expected rating is the given one: cutting the tails off alone would pull it towards the middle, and cost a baseline
    accuracy.

    Args:
        expected (`torch.FloatTensor` of shape `(...)`): expected ratings, clipped to 1.1..9.9.
        spreads (`torch.FloatTensor` of shape `(...)`): standard deviations before rounding, above 0.

    Returns:
        `torch.FloatTensor` of shape `(..., 10)`.
    """
    edges = torch.arange(1, NUM_RATINGS, device=expected.device, dtype=expected.dtype) + 0.5
    expected = expected.clamp(1.1, 9.9)
    centres = expected
    for _ in range(CENTRING_STEPS):  # Newton's method on E[rating] = 10 - sum of P(rating <= 1..9)
        distances = (edges - centres[..., None]) / spreads[..., None]
        slope = (-distances.square() / 2).exp().sum(-1) / (spreads * math.sqrt(2 * math.pi))
        found = NUM_RATINGS - torch.special.ndtr(distances).sum(-1)
        centres = centres + ((expected - found) / slope.clamp(min=0.05)).clamp(-1.0, 1.0)
    below = torch.special.ndtr((edges - centres[..., None]) / spreads[..., None])
    zero, one = torch.zeros_like(below[..., :1]), torch.ones_like(below[..., :1])
    return torch.cat([zero, below, one], dim=-1).diff(dim=-1)


class RatingBaselineModel(PreTrainedModel):
    """
    A film's estimate, plus the user's bias where the kind has one, spread as a Gaussian whose width depends on how
    many ratings are known. Nothing here is trained by gradients: `training/baseline.py` computes the tables.
    """

    config_class = RatingBaselineConfig
    config: RatingBaselineConfig

    def __init__(self, config: RatingBaselineConfig):
        super().__init__(config)
        self.film_estimates = nn.Parameter(torch.zeros(config.num_films), requires_grad=False)
        if config.rank:
            self.factors = nn.Parameter(torch.zeros(config.num_films, config.rank), requires_grad=False)
        self.spreads = nn.Parameter(torch.ones(len(config.spread_lengths)), requires_grad=False)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        if isinstance(module, RatingBaselineModel):
            init.zeros_(module.film_estimates)
            if module.config.rank:
                init.zeros_(module.factors)
            init.ones_(module.spreads)

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
        rated = history_ratings > 0
        residuals = (history_ratings - self.film_estimates[history_films.clamp(min=0)]) * rated
        bias = residuals.sum(1, keepdim=True) / (rated.sum(1, keepdim=True) + self.config.user_shrinkage)
        if self.config.kind == "als":
            user = self.fold_in(history_films, (residuals - bias) * rated)
            estimates = estimates + (self.factors[candidate_films.clamp(min=0)] @ user[..., None])[..., 0]
        return estimates + bias

    def fold_in(self, history_films: torch.Tensor, residuals: torch.Tensor) -> torch.Tensor:
        """
        User vectors by ridge regression of the residuals on the vectors of the films.

        Args:
            history_films (`torch.Tensor` of shape `(batch, length)`): catalogue rows, -1 is padding.
            residuals (`torch.Tensor` of shape `(batch, length)`): what the biases leave; 0 where padded.

        Returns:
            `torch.FloatTensor` of shape `(batch, rank)`.
        """
        vectors = self.factors[history_films.clamp(min=0)] * (history_films >= 0)[..., None]
        gram = vectors.mT @ vectors + self.config.penalty * torch.eye(self.config.rank, device=vectors.device)
        return torch.linalg.solve(gram, (vectors.mT @ residuals[..., None])[..., 0])

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
