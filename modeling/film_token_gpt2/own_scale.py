"""
Films on the scale that a person's own ratings make.

The ten ratings mean different things to different people: an 8 is everyday praise from one, the highest there is from
another, and never given by somebody who loves or hates. On a person's own scale ratings are normal scores: each
stands where the share of their ratings below it, and half of those equal to it, is below a standard normal variable.
"""

import torch

# How far, in standard deviations of the own scale, ratings may lie around what is expected of a film.
SPREADS = (0.4, 0.6, 0.8)
SIZE = 2 + len(SPREADS)  # numbers that `on_own_scale` returns
# Shares below and above which no threshold between two ratings lies: also what is never given has a place.
ENDS = (0.002, 0.998)
LEAST_DEVIATION = 0.2  # floor of the scores' standard deviation, for people who nearly always give the same rating


def on_own_scale(
    usage: torch.Tensor, film_shares: torch.Tensor, leanings: torch.Tensor, means: torch.Tensor
) -> torch.Tensor:
    """
    Args:
        usage (`torch.Tensor` of shape `(..., 10)`): how often the person gives each rating, none of them zero.
        film_shares (`torch.Tensor` of shape `(..., 10)`): shares of the ratings that everyone gives the film.
        leanings (`torch.Tensor` of shape `(..., 10)`): what the person's other ratings add to these shares.
        means (`torch.Tensor` of shape `(...)`): expected ratings, 1..10.

    Returns:
        `torch.Tensor` of shape `(..., SIZE)`: where the film is expected to lie on the person's scale, and where
        everyone's ratings lie there; then, for each of `SPREADS`, the expected rating, 1..10, that the first of these
        comes to, minus `means`.
    """
    own = usage / usage.sum(-1, keepdim=True)
    up_to = own.cumsum(-1)
    scores = torch.special.ndtri((up_to - own / 2).clamp(*ENDS))
    # Ties take from the scores' variance; films are placed by scores of mean zero and variance one.
    scores = scores - (scores * own).sum(-1, keepdim=True)
    scores = scores / (scores.square() * own).sum(-1, keepdim=True).sqrt().clamp(min=LEAST_DEVIATION)
    everyone = (scores * film_shares).sum(-1)
    person = everyone + (scores * leanings).sum(-1)
    distances = torch.special.ndtri(up_to[..., :-1].clamp(*ENDS)) - person[..., None]
    # The expectation of a rating is 10 minus the chances that it lies below each threshold.
    ratings = [own.shape[-1] - torch.special.ndtr(distances / spread).sum(-1) for spread in SPREADS]
    return torch.stack([person, everyone, *(rating - means for rating in ratings)], dim=-1)
