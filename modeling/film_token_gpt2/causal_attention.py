"""Causal attention in blocks of queries, which on a CPU takes less time than PyTorch's own."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "causal_blocks"
BLOCK = 128  # queries at a time; no more scores than theirs are ever held without a gradient


def causal_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """
    Attention of every position to itself and those before it, as `transformers` calls it.

    A block of queries reads the keys up to its last one and no further, so that hardly more scores are computed than
    are needed; scores and weights are in the precision of the projections. Elsewhere than on a CPU, or where there is
    a mask or the queries are not all positions, it is PyTorch's own.

    Args:
        query, key, value (`torch.Tensor` of shape `(batch, heads, length, head_size)`): projections.
        attention_mask (`torch.Tensor`, *optional*): beside the causal one.
        dropout (`float`): probability that a weight is dropped.
        scaling (`float`, *optional*): of the scores; one over the root of the head size if absent.

    Returns:
        `torch.Tensor` of shape `(batch, length, heads, head_size)`, and no weights.
    """
    if query.device.type != "cpu" or attention_mask is not None or query.shape[2] != key.shape[2]:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    batch, heads, length, size = query.shape
    query = query * (size**-0.5 if scaling is None else scaling)
    query, key, value = (part.reshape(batch * heads, length, size) for part in (query, key, value))
    mixed = []
    for start in range(0, length, BLOCK):
        end = min(start + BLOCK, length)
        # Minus infinity for what comes after a query; zero for the rest, to which products are added.
        mask = torch.full((end - start, end), float("-inf"), dtype=query.dtype).triu(start + 1)
        weights = torch.baddbmm(mask, query[:, start:end], key[:, :end].mT).softmax(-1)
        mixed.append(F.dropout(weights, dropout) @ value[:, :end])
    return torch.cat(mixed, dim=1).view(batch, heads, length, size).transpose(1, 2), None


AttentionInterface.register(NAME, causal_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
