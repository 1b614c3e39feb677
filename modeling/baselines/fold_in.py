"""What a history says of its user, with no training: a bias, and a vector by ridge regression."""

import torch


def shrunk_bias(residuals: torch.Tensor, rated: torch.Tensor, shrinkage: float) -> torch.Tensor:
    """
    `sum(residuals) / (n + shrinkage)`: how far a user's ratings lie from the films' estimates.

    Args:
        residuals (`torch.FloatTensor` of shape `(batch, length)`): ratings less estimates; 0 where padded.
        rated (`torch.BoolTensor` of shape `(batch, length)`): false where padded.
        shrinkage (`float`): ratings of prior weight that pull the bias to zero.

    Returns:
        `torch.FloatTensor` of shape `(batch, 1)`.
    """
    return residuals.sum(1, keepdim=True) / (rated.sum(1, keepdim=True) + shrinkage)


def ridge_regression(vectors: torch.Tensor, residuals: torch.Tensor, penalty: float) -> torch.Tensor:
    """
    Every user's vector u that makes `sum (residual - film vector @ u)^2 + penalty |u|^2` smallest, by Cholesky's
    factorisation of all users' Gram matrices at once.

    Args:
        vectors (`torch.FloatTensor` of shape `(batch, length, rank)`): of the films of the history; 0 where padded.
        residuals (`torch.FloatTensor` of shape `(batch, length)`): what the biases leave; 0 where padded.
        penalty (`float`): on the squared length of the user's vector, above 0.

    Returns:
        `torch.FloatTensor` of shape `(batch, rank)`; zeros without a history.
    """
    gram = vectors.mT @ vectors + penalty * torch.eye(vectors.shape[-1], device=vectors.device, dtype=vectors.dtype)
    return torch.cholesky_solve(vectors.mT @ residuals[..., None], torch.linalg.cholesky(gram))[..., 0]
