"""Attention in blocks of queries is attention: PyTorch's own is what it is held against."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from modeling.film_token_gpt2.causal_attention import BLOCK, causal_attention
from tests.modeling.toy import toy_history, toy_model


@pytest.mark.parametrize("length", [1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 5])
def test_equals_pytorchs_and_so_do_its_gradients(length):
    torch.manual_seed(length)
    projections = torch.randn(3, 2, 4, length, 8, dtype=torch.float64, requires_grad=True)
    ours, weights = causal_attention(torch.nn.Identity(), *projections, None)
    theirs = F.scaled_dot_product_attention(*projections, is_causal=True).transpose(1, 2)
    assert weights is None
    torch.testing.assert_close(ours, theirs)
    upstream = torch.randn_like(ours)
    gradients = [torch.autograd.grad((mixed * upstream).sum(), projections)[0] for mixed in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_scores_are_scaled_as_told():
    projections = torch.randn(3, 2, 4, 9, 8)
    ours, _ = causal_attention(torch.nn.Identity(), *projections, None, scaling=0.7)
    theirs = F.scaled_dot_product_attention(*projections, is_causal=True, scale=0.7)
    torch.testing.assert_close(ours, theirs.transpose(1, 2))


def test_what_comes_after_is_not_seen():
    projections = torch.randn(3, 1, 2, BLOCK + 40, 8)
    changed = projections.clone()
    changed[:, :, :, BLOCK + 7 :] += 5
    one, other = (causal_attention(torch.nn.Identity(), *each, None)[0] for each in (projections, changed))
    assert torch.equal(one[:, : BLOCK + 7], other[:, : BLOCK + 7])
    assert not torch.equal(one[:, BLOCK + 7 :], other[:, BLOCK + 7 :])


def test_masks_and_shorter_queries_are_pytorchs():
    projections = torch.randn(3, 2, 2, 6, 8)
    mask = torch.zeros(2, 1, 6, 6).masked_fill(torch.rand(2, 1, 6, 6) < 0.3, float("-inf"))
    mask[..., 0] = 0
    module = torch.nn.Identity()
    module.is_causal = True
    ours, _ = causal_attention(module, *projections, mask)
    torch.testing.assert_close(ours, F.scaled_dot_product_attention(*projections, attn_mask=mask).transpose(1, 2))
    query, key, value = projections
    last, _ = causal_attention(module, query[:, :, -1:], key, value, None)
    torch.testing.assert_close(
        last, F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)[:, -1:]
    )


def test_dropout_takes_weights_out():
    torch.manual_seed(0)
    query, key = torch.randn(2, 1, 1, 50, 8)
    value = torch.ones(1, 1, 50, 8)
    whole, _ = causal_attention(torch.nn.Identity(), query, key, value, None)
    dropped, _ = causal_attention(torch.nn.Identity(), query, key, value, None, dropout=0.5)
    torch.testing.assert_close(whole, torch.ones_like(whole))
    assert dropped.std() > 0.1
    assert abs(dropped.mean() - 1) < 0.3


def test_in_bfloat16_it_is_as_near_as_bfloat16_can_be():
    torch.manual_seed(0)
    exact = torch.randn(3, 2, 4, BLOCK + 9, 16, requires_grad=True)
    rounded = exact.detach().bfloat16().requires_grad_()
    ours, _ = causal_attention(torch.nn.Identity(), *rounded, None)
    theirs = F.scaled_dot_product_attention(*exact, is_causal=True).transpose(1, 2)
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours.float(), theirs, rtol=0.02, atol=0.03)
    upstream = torch.randn_like(theirs)
    (gradient,) = torch.autograd.grad((ours * upstream.bfloat16()).sum(), rounded)
    (exact_gradient,) = torch.autograd.grad((theirs * upstream).sum(), exact)
    assert (gradient.float() - exact_gradient).norm() < 0.02 * exact_gradient.norm()


def test_the_model_attends_by_it(monkeypatch):
    model = toy_model()
    films, ratings = toy_history(BLOCK + 5)
    implementation = model.transformer.config._attn_implementation
    with monkeypatch.context() as patch:
        # A mask, or anything else that would send the model elsewhere, shows.
        patch.setattr("modeling.film_token_gpt2.causal_attention.sdpa_attention_forward", None)
        ours = model(films, ratings).rating_logits
    for other in ("eager", "sdpa"):
        assert implementation != other
        model.transformer.config._attn_implementation = other
        torch.testing.assert_close(model(films, ratings).rating_logits, ours)
