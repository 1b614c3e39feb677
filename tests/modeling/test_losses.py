"""The losses against the paper's formula, written out."""

from __future__ import annotations

import math

import pytest
import torch

from modeling.losses import IGNORED, RatingCrossEntropy, soft_labels


def paper_target(rating: int) -> dict[int, float]:
    """Section 4.2 word by word: half on the rating, a quarter on each neighbour that exists, rescaled to one."""
    mass = {rating - 1: 0.25, rating: 0.5, rating + 1: 0.25}
    kept = {place: share for place, share in mass.items() if 1 <= place <= 10}
    return {place: share / sum(kept.values()) for place, share in kept.items()}


@pytest.mark.parametrize("rating", range(1, 11))
def test_soft_labels_are_the_papers_formula(rating):
    expected = torch.tensor([paper_target(rating).get(place, 0.0) for place in range(1, 11)])
    torch.testing.assert_close(soft_labels()[rating - 1], expected)


def test_soft_labels_at_the_ends():
    torch.testing.assert_close(soft_labels()[0, :3], torch.tensor([2 / 3, 1 / 3, 0.0]))
    torch.testing.assert_close(soft_labels()[9, -3:], torch.tensor([0.0, 1 / 3, 2 / 3]))


@pytest.mark.parametrize("rating", range(1, 11))
def test_soft_loss_equals_a_plain_reference(rating):
    logits = torch.randn(10, generator=torch.Generator().manual_seed(rating))
    denominator = sum(math.exp(x) for x in logits.tolist())
    reference = -sum(
        share * math.log(math.exp(logits[place - 1].item()) / denominator)
        for place, share in paper_target(rating).items()
    )
    loss = RatingCrossEntropy("soft")(logits[None], torch.tensor([rating]))
    assert loss.item() == pytest.approx(reference, abs=1e-6)


def test_hard_loss_equals_torch():
    logits, labels = torch.randn(7, 10), torch.randint(1, 11, (7,))
    expected = torch.nn.functional.cross_entropy(logits, labels - 1)
    torch.testing.assert_close(RatingCrossEntropy("hard")(logits, labels), expected)


def test_ignored_labels_cost_nothing_and_count_for_nothing():
    logits, labels = torch.randn(2, 4, 10), torch.randint(1, 11, (2, 4))
    labels[1, 2:] = IGNORED
    loss = RatingCrossEntropy("soft")
    kept = labels != IGNORED
    torch.testing.assert_close(loss(logits, labels), loss(logits[kept], labels[kept]))
    torch.testing.assert_close(loss(logits, labels, num_items=12), loss(logits, labels) * 6 / 12)


def test_unknown_targets_are_refused():
    with pytest.raises(ValueError, match="'fuzzy'"):
        RatingCrossEntropy("fuzzy")
