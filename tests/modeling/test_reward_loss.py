"""The losses of the reward: their values, padding, and sums over parts."""

from __future__ import annotations

import pytest
import torch

from modeling.losses import REWARD_LOSSES, RewardLoss

LOGITS, RATINGS = torch.tensor([0.0, 2.0, -1.0, 5.0]), torch.tensor([7, 6, 1, -100])


def test_values_are_those_of_the_formulas():
    sigmoid = LOGITS.sigmoid()
    mse = ((sigmoid[0] - 1) ** 2 + sigmoid[1] ** 2 + sigmoid[2] ** 2) / 3
    torch.testing.assert_close(RewardLoss("mse")(LOGITS, RATINGS), mse)
    linear = ((LOGITS[0] - 1) ** 2 + LOGITS[1] ** 2 + LOGITS[2] ** 2) / 3
    torch.testing.assert_close(RewardLoss("linear")(LOGITS, RATINGS), linear)
    entropy = -(sigmoid[0].log() + (1 - sigmoid[1]).log() + (1 - sigmoid[2]).log()) / 3
    torch.testing.assert_close(RewardLoss("cross-entropy")(LOGITS, RATINGS), entropy)


@pytest.mark.parametrize("kind", REWARD_LOSSES)
def test_parts_sum_to_the_whole(kind):
    loss = RewardLoss(kind)
    parts = loss(LOGITS[:2], RATINGS[:2], num_items=3) + loss(LOGITS[2:], RATINGS[2:], num_items=3)
    torch.testing.assert_close(parts, loss(LOGITS, RATINGS))


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'mae'"):
        RewardLoss("mae")
