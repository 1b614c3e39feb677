"""
A linear contextual bandit over what is known of film and user: ridge regression, one rating at a time.

    rating ~ context(film, user) @ weights

Every user has a posterior over the weights, `Normal(weights, noise * covariance)`. It starts from what training users
taught and takes in the user's ratings by Sherman and Morrison's formula. The greedy policy ranks by the mean of the
posterior, Thompson sampling by one draw from it (S. Agrawal and N. Goyal, 2013, Thompson Sampling for Contextual
Bandits with Linear Payoffs).
"""

from dataclasses import dataclass

import torch


def context_size(rank: int) -> int:
    """Numbers in a context, of films with vectors of that length."""
    return 3 + 2 * rank


@dataclass
class Known:
    """
    What the bandit knows of a user besides its weights, or of a user without each rating of theirs in turn.

    Attributes:
        bias (`torch.FloatTensor` of shape `(batch, n)`): how far the user's ratings lie from the films' estimates.
        taste (`torch.FloatTensor` of shape `(batch, n, rank)`): mean film vector, weighted by what the user's ratings
            are above or below that.
    """

    bias: torch.Tensor
    taste: torch.Tensor

    @classmethod
    def of(
        cls, vectors: torch.Tensor, residuals: torch.Tensor, rated: torch.Tensor, shrinkage: float, without: bool
    ) -> "Known":
        """
        Args:
            vectors (`torch.FloatTensor` of shape `(batch, length, rank)`): of the films of the history.
            residuals (`torch.FloatTensor` of shape `(batch, length)`): ratings less estimates; 0 where padded.
            rated (`torch.BoolTensor` of shape `(batch, length)`): false where padded.
            shrinkage (`float`): ratings of prior weight that pull both to zero.
            without (`bool`): for each rating of the history, what the others say (n = length); otherwise what all
                say (n = 1).
        """
        vectors = vectors * rated[..., None]
        weighted = vectors * residuals[..., None]
        count, total = rated.sum(1, keepdim=True).to(residuals.dtype), residuals.sum(1, keepdim=True)
        vector_sum, weighted_sum = vectors.sum(1, keepdim=True), weighted.sum(1, keepdim=True)
        if without:
            count, total = (count - 1).clamp(min=0), total - residuals
            vector_sum, weighted_sum = vector_sum - vectors, weighted_sum - weighted
        bias = total / (count + shrinkage)
        taste = (weighted_sum - bias[..., None] * vector_sum) / (count + shrinkage)[..., None]
        return cls(bias, taste)


def contexts(vectors: torch.Tensor, deviations: torch.Tensor, known: Known) -> torch.Tensor:
    """
    The joint vector of film and user: 1, the film's estimate, the user's bias, the film's vector, and how far each of
    its numbers is to the user's taste.

    Args:
        vectors (`torch.FloatTensor` of shape `(batch, films, rank)`): of the films.
        deviations (`torch.FloatTensor` of shape `(batch, films)`): their estimates, less the mean of all ratings.
        known (`Known`): of the users.

    Returns:
        `torch.FloatTensor` of shape `(batch, films, context_size(rank))`.
    """
    bias = known.bias.expand(deviations.shape)
    parts = torch.stack([torch.ones_like(deviations), deviations, bias], dim=-1)
    return torch.cat([parts, vectors, vectors * known.taste], dim=-1)


@dataclass
class Posterior:
    """
    What the bandit believes of the weights.

    Attributes:
        weights (`torch.FloatTensor` of shape `(batch, size)`): their mean.
        covariance (`torch.FloatTensor` of shape `(batch, size, size)`): the inverse of penalty + sum of the contexts'
            outer products; times the noise's variance it is their covariance.
    """

    weights: torch.Tensor
    covariance: torch.Tensor

    def update(self, context: torch.Tensor, rating: torch.Tensor, seen: torch.Tensor) -> "Posterior":
        """
        The posterior after one more rating of every user, by Sherman and Morrison's formula

            (A + x x')^-1 = A^-1 - A^-1 x x' A^-1 / (1 + x' A^-1 x)

        Args:
            context (`torch.FloatTensor` of shape `(batch, size)`): x, of the film that was rated.
            rating (`torch.FloatTensor` of shape `(batch,)`): the rating.
            seen (`torch.BoolTensor` of shape `(batch,)`): false for users who have given none: theirs stays.
        """
        spread = (self.covariance @ context[..., None])[..., 0]
        gain = spread / (1 + (spread * context).sum(-1, keepdim=True)) * seen[..., None]
        surprise = rating - (self.weights * context).sum(-1)
        return Posterior(
            self.weights + gain * surprise[..., None], self.covariance - gain[..., None] * spread[..., None, :]
        )

    def draw(self, noise: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Weights drawn from the posterior, `(batch, size)`; `noise` is the variance of a rating around its mean."""
        normal = torch.randn(self.weights.shape, generator=generator).to(self.weights)
        scaled = torch.linalg.cholesky(self.covariance) @ normal[..., None]
        return self.weights + noise.sqrt() * scaled[..., 0]
