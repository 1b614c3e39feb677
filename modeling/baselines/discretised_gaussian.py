"""A point estimate made into a distribution over the ratings 1..10."""

import math

import torch

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
