"""Losses over ratings and tokens. They belong to trainers; a model returns logits and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

NUM_RATINGS = 10
HIGHEST_RATING = 10
IGNORED = -100  # the label of padding, as everywhere in transformers
TARGETS = ("hard", "soft", "hl-gauss")
REWARD_LOSSES = ("linear", "mse", "cross-entropy")
REWARD_RATING = 7  # from this rating on, the reward is 1
HL_GAUSS_SPREAD = 0.75  # of a bin's width, as its authors found best


def soft_labels(num_ratings: int = NUM_RATINGS) -> torch.Tensor:
    """
    The paper's soft targets (section 4.2): half the mass on the rating, a quarter on each neighbour; what would fall
    off an end is left out and the rest rescaled to one, so that at the ends it is 2/3 and 1/3.

    Returns:
        `torch.FloatTensor` of shape `(num_ratings, num_ratings)`: row `i` is the target distribution of the `i`-th
        rating.
    """
    neighbour = torch.full((num_ratings - 1,), 0.25)
    targets = torch.eye(num_ratings) / 2 + neighbour.diag(1) + neighbour.diag(-1)
    return targets / targets.sum(-1, keepdim=True)


def hl_gauss_labels(num_ratings: int = NUM_RATINGS) -> torch.Tensor:
    """
    HL-Gauss targets (Imani and White, 2018; Farebrother et al., 2024): the mass that a Gaussian around the rating puts
    on each rating's unit interval, rescaled to one; in the shape of `soft_labels`.
    """
    edges = torch.arange(num_ratings + 1) - 0.5
    below = torch.special.ndtr((edges - torch.arange(num_ratings)[:, None]) / HL_GAUSS_SPREAD)
    targets = below.diff(dim=-1)
    return targets / targets.sum(-1, keepdim=True)


def rating_targets(kind: str, num_ratings: int = NUM_RATINGS) -> torch.Tensor:
    """
    The target distribution of every rating, in the shape of `soft_labels`.

    Args:
        kind (`str`): `"hard"`, all the mass on the rating, `"soft"`, the paper's `soft_labels`, or `"hl-gauss"`.
        num_ratings (`int`): 10 for the ratings 1..10, 11 for 0..10.
    """
    if kind not in TARGETS:
        raise ValueError(f"targets is one of {', '.join(TARGETS)}, got {kind!r}")
    if kind == "hard":
        return torch.eye(num_ratings)
    return soft_labels(num_ratings) if kind == "soft" else hl_gauss_labels(num_ratings)


class RatingCrossEntropy(nn.Module):
    """
    Cross-entropy between rating logits and the true ratings.

    Args:
        targets (`str`): as in `rating_targets`.
        squared_error (`float`): weight of (expected rating - rating)^2 beside the cross-entropy; 0 leaves it out.
        num_ratings (`int`): 10 for logits of the ratings 1..10, 11 for 0..10.
    """

    targets: torch.Tensor
    ratings: torch.Tensor

    def __init__(self, targets: str = "hard", squared_error: float = 0.0, num_ratings: int = NUM_RATINGS):
        super().__init__()
        self.squared_error = squared_error
        self.register_buffer("targets", rating_targets(targets, num_ratings))
        self.register_buffer("ratings", torch.arange(HIGHEST_RATING + 1)[-num_ratings:].float())

    def forward(
        self, rating_logits: torch.Tensor, labels: torch.Tensor, num_items: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """
        Args:
            rating_logits (`torch.FloatTensor` of shape `(..., num_ratings)`): scores of the ratings.
            labels (`torch.LongTensor` of shape `(...)`): ratings, or -100 where there is none.
            num_items (`int`): what the summed loss is divided by; the number of labels when `None`. Gradient
                accumulation passes the labels of all its parts, so that 1 x 8 equals 8 x 1.
        """
        labelled = labels != IGNORED
        log_probabilities = rating_logits[labelled].log_softmax(-1)
        ratings = labels[labelled]
        total = -(self.targets[ratings - int(self.ratings[0])] * log_probabilities).sum()
        if self.squared_error:
            expected = log_probabilities.exp() @ self.ratings
            total = total + self.squared_error * (expected - ratings).square().sum()
        return total / (labelled.sum() if num_items is None else num_items)


class RewardLoss(nn.Module):
    """
    Loss of the reward, 1 for the ratings from 7 on and 0 below.

    Args:
        kind (`str`): `"mse"`, the squared error of the logit's sigmoid (the paper, section 5.1), `"linear"`, that of
            the logit itself, or `"cross-entropy"`.
    """

    def __init__(self, kind: str = "mse"):
        super().__init__()
        if kind not in REWARD_LOSSES:
            raise ValueError(f"kind is one of {', '.join(REWARD_LOSSES)}, got {kind!r}")
        self.kind = kind

    def forward(
        self, logits: torch.Tensor, labels: torch.Tensor, num_items: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """
        Args:
            logits (`torch.FloatTensor` of shape `(...)`): of the reward.
            labels (`torch.LongTensor` of shape `(...)`): ratings, or -100 where there is none.
            num_items (`int`): what the summed loss is divided by; the number of labels when `None`.
        """
        labelled = labels != IGNORED
        rewards = (labels[labelled] >= REWARD_RATING).to(logits.dtype)
        if self.kind == "linear":
            total = (logits[labelled] - rewards).square().sum()
        elif self.kind == "mse":
            total = (logits[labelled].sigmoid() - rewards).square().sum()
        else:
            total = F.binary_cross_entropy_with_logits(logits[labelled], rewards, reduction="sum")
        return total / (labelled.sum() if num_items is None else num_items)


class NextTokenCrossEntropy(nn.Module):
    """
    Cross-entropy of the next token over the whole vocabulary at every position, where a rating follows against the
    rating's target distribution over the eleven rating tokens (`"soft"` is what the paper describes, section 5.3,
    `"hard"` what its code computes).

    The logits of all positions are never in memory together: they are made chunk by chunk, and each chunk's gradient
    at once, which recomputes nothing.

    Args:
        rating_token_ids (`list[int]`): the tokens of the ratings 0..10.
        targets (`str`): as in `rating_targets`.
        chunk_size (`int`): positions whose logits are in memory together.
    """

    targets: torch.Tensor
    rating_token_ids: torch.Tensor

    def __init__(self, rating_token_ids: Sequence[int], targets: str = "soft", chunk_size: int = 512):
        super().__init__()
        self.chunk_size = chunk_size
        self.register_buffer("targets", rating_targets(targets, len(rating_token_ids)))
        self.register_buffer("rating_token_ids", torch.tensor(rating_token_ids))

    def forward(
        self,
        hidden: torch.Tensor,
        head: torch.Tensor,
        token_labels: torch.Tensor,
        rating_positions: torch.Tensor,
        ratings: torch.Tensor,
        num_items: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """
        Args:
            hidden (`torch.FloatTensor` of shape `(batch, length, hidden_size)`): last hidden states.
            head (`torch.FloatTensor` of shape `(vocabulary, hidden_size)`): the language model's head.
            token_labels (`torch.LongTensor` of shape `(batch, length)`): the token that follows each position, or
                -100.
            rating_positions (`torch.LongTensor` of shape `(batch, films)`): positions that a rating follows.
            ratings (`torch.LongTensor` of shape `(batch, films)`): those ratings, 0..10, or -100.
            num_items (`int`): what the summed loss is divided by; the number of token labels when `None`.
        """
        rated = ratings != IGNORED
        rows = torch.arange(len(ratings), device=ratings.device)[:, None].expand_as(ratings)[rated]
        target_ids = token_labels.clamp(min=0)[..., None].repeat(1, 1, len(self.rating_token_ids))
        shares = torch.zeros(target_ids.shape, device=hidden.device)
        shares[..., 0] = 1
        target_ids[rows, rating_positions[rated]] = self.rating_token_ids
        shares[rows, rating_positions[rated]] = self.targets[ratings[rated]]

        labelled = token_labels != IGNORED
        if not torch.is_grad_enabled():
            hidden, head = hidden.detach(), head.detach()
        total = _SparseTargetCrossEntropy.apply(
            hidden[labelled], head, target_ids[labelled], shares[labelled], self.chunk_size
        )
        return total / (labelled.sum() if num_items is None else num_items)


class _SparseTargetCrossEntropy(torch.autograd.Function):
    """
    Sum over positions of the cross-entropy between the softmax of `hidden @ head.T` and a target distribution that has
    its mass on few classes: `shares` `(positions, k)` on the classes `target_ids` `(positions, k)`.
    """

    @staticmethod
    def forward(ctx, hidden, head, target_ids, shares, chunk_size):  # type: ignore[override]
        precise = torch.promote_types(hidden.dtype, torch.float)  # whatever autocast makes of the products
        shares = shares.to(precise)
        total = torch.zeros((), device=hidden.device, dtype=precise)
        ctx.hidden_gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        ctx.head_gradient = torch.zeros_like(head) if ctx.needs_input_grad[1] else None
        for start in range(0, len(hidden), chunk_size):
            chunk = slice(start, start + chunk_size)
            raw = F.linear(hidden[chunk], head)
            logits = raw.to(precise)
            normaliser = logits.logsumexp(-1)
            total += normaliser.sum() - (shares[chunk] * logits.gather(1, target_ids[chunk])).sum()
            if not any(ctx.needs_input_grad):
                continue
            # Of the logits, in their place: softmax - targets.
            gradient = logits.sub_(normaliser[:, None]).exp_().scatter_add_(1, target_ids[chunk], -shares[chunk])
            gradient = gradient.to(raw.dtype)
            if ctx.hidden_gradient is not None:
                ctx.hidden_gradient[chunk] = gradient @ head.to(raw.dtype)
            if ctx.head_gradient is not None:
                ctx.head_gradient += gradient.T @ hidden[chunk].to(raw.dtype)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx, scale):  # type: ignore[override]
        hidden = None if ctx.hidden_gradient is None else ctx.hidden_gradient.mul_(scale)
        head = None if ctx.head_gradient is None else ctx.head_gradient.mul_(scale)
        ctx.hidden_gradient = ctx.head_gradient = None
        return hidden, head, None, None, None
