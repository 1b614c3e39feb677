"""A user's vector from the ratings that are known, everything else held fixed."""

from collections.abc import Callable
from typing import NamedTuple

import torch

HALVINGS = 6  # of a step that makes the fit worse
# In standard deviations of the prior. Where all predictions are sure and wrong the Fisher information is next to
# nothing, and the step that it asks for would leave the region where it means anything.
LONGEST_STEP = 3.0
TOLERANCE = 1e-3  # in standard deviations of the prior: users with a shorter step are done


class UserFit(NamedTuple):
    """Users' vectors and what the ratings leave open of them."""

    vectors: torch.Tensor  # (batch, user_size)
    precisions: torch.Tensor  # (batch, user_size, user_size): inverse covariances around the vectors


def fit_user_vectors(
    logits_of: Callable[[torch.Tensor], torch.Tensor],
    jacobian_of: Callable[[torch.Tensor], torch.Tensor],
    classes: torch.Tensor,
    known: torch.Tensor,
    means: torch.Tensor,
    precision: torch.Tensor,
    max_steps: int = 8,
) -> UserFit:
    """
    The most probable vectors under a Gaussian prior, by damped Gauss-Newton steps: minimises

        sum of cross-entropies of the known classes + (v - mean)' precision (v - mean) / 2

    for every user of a batch. A step solves with the Fisher information in the place of the Hessian, which is never
    indefinite, and is halved until it makes no user's fit worse; a user without ratings stays at the mean.

    Args:
        logits_of: from vectors `(batch, user_size)` to logits `(batch, length, classes)`.
        jacobian_of: from vectors to the logits' derivatives, `(batch, length, classes, user_size)`.
        classes (`torch.LongTensor` of shape `(batch, length)`): what was observed.
        known (`torch.BoolTensor` of shape `(batch, length)`): False is padding, and counts for nothing.
        means (`torch.FloatTensor` of shape `(batch, user_size)`): of the prior.
        precision (`torch.FloatTensor` of shape `(user_size, user_size)`): inverse covariance of the prior.
        max_steps (`int`): Gauss-Newton steps, at most.
    """
    vectors = means

    def loss(vectors: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        chosen = logits.log_softmax(-1).gather(-1, classes[..., None])[..., 0]
        offsets = vectors - means
        return ((offsets @ precision) * offsets).sum(-1) / 2 - (chosen * known).sum(-1)

    logits = logits_of(vectors)
    current = loss(vectors, logits)
    for _ in range(max_steps):
        gradient, information = _derivatives(logits, jacobian_of(vectors), classes, known)
        gradient = gradient + (vectors - means) @ precision
        step = torch.linalg.solve(information + precision, gradient)
        length = ((step @ precision) * step).sum(-1).clamp(min=0).sqrt()
        step = step * (LONGEST_STEP / length.clamp(min=LONGEST_STEP))[:, None]
        sizes = torch.ones_like(current)
        for _ in range(HALVINGS):
            new_vectors = vectors - sizes[:, None] * step
            new_logits = logits_of(new_vectors)
            new = loss(new_vectors, new_logits)
            worse = ~(new <= current)
            if not worse.any():
                break
            sizes = torch.where(worse, sizes / 2, sizes)
        vectors = torch.where(worse[:, None], vectors, new_vectors)
        logits = torch.where(worse[:, None, None], logits, new_logits)
        current = torch.where(worse, current, new)
        done = length < TOLERANCE
        if (done | worse).all():
            break
    _, information = _derivatives(logits, jacobian_of(vectors), classes, known)
    return UserFit(vectors, information + precision)


def _derivatives(
    logits: torch.Tensor, jacobian: torch.Tensor, classes: torch.Tensor, known: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradient `(batch, user_size)` and Fisher information `(batch, user_size, user_size)` of the cross-entropies."""
    probabilities = logits.softmax(-1) * known[..., None]
    expected = (probabilities[..., None, :] @ jacobian)[..., 0, :]
    observed = jacobian.gather(2, classes[..., None, None].expand(*classes.shape, 1, jacobian.shape[-1]))[..., 0, :]
    gradient = (expected - observed * known[..., None]).sum(1)
    # The covariance of the derivatives under the predicted classes, as a product of a matrix with itself.
    spread = probabilities.sqrt()[..., None] * (jacobian - expected[..., None, :])
    spread = spread.flatten(1, 2)
    return gradient, spread.mT @ spread
