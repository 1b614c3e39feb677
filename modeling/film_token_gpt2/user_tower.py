"""
What a person's ratings add up to, in a vector that meets films' vectors.

The tokens of the transformer hold the film that is to be rated, so what it makes of a history is about that film. A
user's tower knows of no film to come: every rating adds a vector, as in SVD++ (Y. Koren, 2008, Factorization meets the
neighborhood), a small network reads their sum, and the product with a film's vector, number by number, goes to the
ratings' scores. The product's weighted sum is an expectation of its own, as an autoencoder of ratings has it (S.
Sedhain et al., 2015, AutoRec): a second opinion beside the process's.
"""

import torch
import torch.nn.functional as F
from torch import nn

# Ratings of prior weight in a user's sum.
SUM_SHRINKAGE = 10.0
# A sum grows with the root of how many ratings it is of, up to as many as training practises by default; it is then a
# mean, as larger sums would be unlike any in training.
LONGEST_SUM = 256


class UserTower(nn.Module):
    """
    Args:
        width (`int`): of a film's token.
        size (`int`): of the tower.
        num_ratings (`int`): ratings that there are.
    """

    def __init__(self, width: int, size: int, num_ratings: int):
        super().__init__()
        self.event_projection = nn.Linear(3 * width, size, bias=False)
        self.event_rating = nn.Embedding(num_ratings, size)
        self.norm = nn.LayerNorm(size)
        self.up_projection = nn.Linear(size, 2 * size)
        self.down_projection = nn.Linear(2 * size, size)
        self.deviation_head = nn.Linear(size, 1, bias=False)

    def events(
        self, read: torch.Tensor, own: torch.Tensor, deviations: torch.Tensor, ratings: torch.Tensor
    ) -> torch.Tensor:
        """
        What each rating adds: `(..., size)`.

        Args:
            read (`torch.Tensor` of shape `(..., 3 * width)`): what is read of the rated films and their ratings.
            own (`torch.Tensor` of shape `(..., 2, size)`): the films' own vectors, for having been rated above what an
                average user would give, and for having been chosen.
            deviations (`torch.Tensor` of shape `(...)`): how far above, in stars.
            ratings (`torch.Tensor` of shape `(...)`): 1..10, and 0 for padding.
        """
        rated, chosen = own.unbind(-2)
        told = self.event_projection(read) + self.event_rating((ratings - 1).clamp(min=0))
        return told + rated * deviations[..., None] + chosen

    def forward(self, sums: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Users' vectors `(..., size)` from the sums of their events, of the same shape, and how many those are."""
        weight = (counts.clamp(max=LONGEST_SUM) + SUM_SHRINKAGE).sqrt() / (counts + SUM_SHRINKAGE)
        pooled = sums * weight[..., None]
        return pooled + self.down_projection(F.silu(self.up_projection(self.norm(pooled))))

    def deviations(self, users: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """How far above a film's intercept it is expected to be rated, in points of ten `(...)`, by users' vectors and
        films' `(..., size)`. The layer is not called, as autocast would round its product."""
        return (users * vectors * self.deviation_head.weight[0]).sum(-1)
