"""
What a person's ratings add up to, in a vector that meets films' vectors.

The tokens of the transformer hold the film that is to be rated, so what it makes of a history is about that film. A
user's tower knows of no film to come: every rating adds a vector, a small network reads their sum, and the product
with a film's vector, number by number, goes to the ratings' scores. It is what an autoencoder of ratings does (see
`autoencoders`), learned along with the rest of the model.
"""

import torch
from torch import nn

from .autoencoders import SumReader


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
        self.reader = SumReader(size)

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
        return self.reader(sums, counts)
