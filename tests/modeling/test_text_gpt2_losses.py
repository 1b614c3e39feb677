"""The weighted and the unweighted loss against plain references written from the paper's formula."""

from __future__ import annotations

import pytest
import torch

from modeling.losses import IGNORED, NextTokenCrossEntropy, RatingCrossEntropy, hl_gauss_labels, rating_targets

RATING_TOKENS = list(range(40, 51))
VOCABULARY, WIDTH = 60, 8


def paper_target(rating: int) -> dict[int, float]:
    """Section 4.2 word by word over the ratings 0..10: half on the rating, a quarter on each neighbour, rescaled."""
    mass = {rating - 1: 0.25, rating: 0.5, rating + 1: 0.25}
    kept = {place: share for place, share in mass.items() if 0 <= place <= 10}
    return {place: share / sum(kept.values()) for place, share in kept.items()}


@pytest.mark.parametrize("rating", range(11))
def test_the_weighted_loss_over_the_eleven_tokens(rating):
    logits = torch.randn(11, dtype=torch.float64, generator=torch.Generator().manual_seed(rating))
    log_probabilities = logits - logits.exp().sum().log()
    loss = RatingCrossEntropy("soft", num_ratings=11)(logits[None], torch.tensor([rating]))
    reference = -sum(share * log_probabilities[place].item() for place, share in paper_target(rating).items())
    assert loss.item() == pytest.approx(reference, abs=1e-6)
    hard = RatingCrossEntropy("hard", num_ratings=11)(logits[None], torch.tensor([rating]))
    assert hard.item() == pytest.approx(-log_probabilities[rating].item(), abs=1e-6)


def test_soft_targets_at_the_ends_of_the_eleven():
    targets = rating_targets("soft", 11)
    torch.testing.assert_close(targets[0, :3], torch.tensor([2 / 3, 1 / 3, 0.0]))
    torch.testing.assert_close(targets[10, -3:], torch.tensor([0.0, 1 / 3, 2 / 3]))


def test_hl_gauss_targets_are_centred_distributions():
    targets = hl_gauss_labels(11)
    torch.testing.assert_close(targets.sum(-1), torch.ones(11))
    assert (targets.argmax(-1) == torch.arange(11)).all()
    torch.testing.assert_close(targets[5], targets[5].flip(0))
    # Half a unit is two thirds of the spread: the normal distribution has .4950 of its mass within it.
    assert targets[5, 5].item() == pytest.approx(0.4950, abs=1e-4)


def test_unknown_targets_are_refused():
    with pytest.raises(ValueError, match="hl-gauss, got 'fuzzy'"):
        NextTokenCrossEntropy(RATING_TOKENS, "fuzzy")


class Batch:
    """Two sequences of which the second is padded, with ratings 0..10 after some of their positions."""

    def __init__(self, rating: int, padding: int, seed: int = 0):
        draw = torch.Generator().manual_seed(seed)
        self.hidden = torch.randn(2, 12, WIDTH, generator=draw, dtype=torch.float64)
        self.head = torch.randn(VOCABULARY, WIDTH, generator=draw, dtype=torch.float64)
        self.token_labels = torch.randint(0, 40, (2, 12), generator=draw)
        self.rating_positions = torch.tensor([[2, 6, 11], [4, -1, -1]])
        self.ratings = torch.tensor([[rating, 3, 10], [rating, IGNORED, IGNORED]])
        for row, films in enumerate(self.ratings.tolist()):
            for film, given in enumerate(films):
                if given != IGNORED:
                    self.token_labels[row, self.rating_positions[row, film]] = RATING_TOKENS[given]
        self.token_labels[1, 12 - padding :] = IGNORED

    def inputs(self) -> tuple[torch.Tensor, ...]:
        return self.hidden, self.head, self.token_labels, self.rating_positions, self.ratings

    def reference(self, soft: bool) -> torch.Tensor:
        """A dense target distribution over the vocabulary at every position, as the formula has it."""
        total, count = torch.zeros((), dtype=torch.float64), 0
        for row in range(2):
            for position in range(12):
                token = int(self.token_labels[row, position])
                if token == IGNORED:
                    continue
                target = torch.zeros(VOCABULARY, dtype=torch.float64)
                if soft and token in RATING_TOKENS:
                    for place, share in paper_target(RATING_TOKENS.index(token)).items():
                        target[RATING_TOKENS[place]] = share
                else:
                    target[token] = 1
                total = total - target @ (self.head @ self.hidden[row, position]).log_softmax(-1)
                count += 1
        return total / count


@pytest.mark.parametrize("padding", [0, 3, 7])
@pytest.mark.parametrize("rating", range(11))
def test_the_unweighted_loss_and_its_gradients(rating, padding):
    for targets, chunk_size in (("soft", 5), ("hard", 100)):
        ours, plain = Batch(rating, padding), Batch(rating, padding)
        for batch in (ours, plain):
            batch.hidden.requires_grad_()
            batch.head.requires_grad_()
        loss = NextTokenCrossEntropy(RATING_TOKENS, targets, chunk_size)(*ours.inputs())
        reference = plain.reference(soft=targets == "soft")
        assert loss.item() == pytest.approx(reference.item(), abs=1e-6)
        (3 * loss).backward()
        (3 * reference).backward()
        torch.testing.assert_close(ours.hidden.grad, plain.hidden.grad, rtol=0, atol=1e-6)
        torch.testing.assert_close(ours.head.grad, plain.head.grad, rtol=0, atol=1e-6)


def test_the_unweighted_loss_is_divided_by_what_it_is_told():
    batch = Batch(7, padding=3)
    loss = NextTokenCrossEntropy(RATING_TOKENS)
    torch.testing.assert_close(loss(*batch.inputs(), num_items=42), loss(*batch.inputs()) * 21 / 42)


def test_a_frozen_head_gets_no_gradient():
    """As with LoRA, where gradients of the vocabulary's size would be made for nothing."""
    batch = Batch(7, padding=0)
    batch.hidden.requires_grad_()
    NextTokenCrossEntropy(RATING_TOKENS)(*batch.inputs()).backward()
    assert batch.hidden.grad is not None
    assert batch.head.grad is None
    with torch.no_grad():
        batch.head.requires_grad_()
        assert not NextTokenCrossEntropy(RATING_TOKENS)(*batch.inputs()).requires_grad
