"""The multilayer perceptron of DeepFM, with derivatives by the user."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import nn


class FeedForward(nn.Module):
    """
    Reads the dense embeddings of a film and of a user; hidden layers with ReLU.

    The first layer's sum over its inputs is taken apart, so that a film's share of it is computed once for all its
    ratings.

    Args:
        film_width (`int`), user_width (`int`): numbers in all dense embeddings of a film and of a user.
        sizes (`list[int]`): widths of the hidden layers.
        num_logits (`int`): width of the output.
        dropout (`float`): of the hidden layers, a probability.
    """

    def __init__(self, film_width: int, user_width: int, sizes: Sequence[int], num_logits: int, dropout: float):
        super().__init__()
        self.film_input = nn.Linear(film_width, sizes[0])
        self.user_input = nn.Linear(user_width, sizes[0], bias=False)
        widths = [*sizes, num_logits]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """From the first layer's sum, `(..., sizes[0])`, to the logits, `(..., num_logits)`."""
        for layer in self.layers:
            hidden = layer(self.dropout(hidden.relu()))
        return hidden

    def jacobian(self, hidden: torch.Tensor) -> torch.Tensor:
        """Derivatives of the logits by the first layer's sum, without dropout: `(..., num_logits, sizes[0])`."""
        active = []
        for layer in self.layers:
            active.append((hidden > 0).to(hidden.dtype))
            hidden = layer(hidden.relu())
        *before, last = (cast(torch.Tensor, layer.weight) for layer in self.layers)
        derivatives = last * active.pop()[..., None, :]
        for weight in reversed(before):
            derivatives = (derivatives @ weight) * active.pop()[..., None, :]
        return derivatives
