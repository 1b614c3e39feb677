"""Losses over rating logits. They belong to trainers; a model returns logits and nothing else."""

import torch
from torch import nn

NUM_RATINGS = 10
IGNORED = -100  # the label of padding, as everywhere in transformers


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


class RatingCrossEntropy(nn.Module):
    """
    Cross-entropy between rating logits and the true ratings.

    Args:
        targets (`str`): `"hard"`, all the mass on the true rating, or `"soft"`, the paper's `soft_labels`.
        squared_error (`float`): weight of (expected rating - rating)^2 beside the cross-entropy; 0 leaves it out.
    """

    targets: torch.Tensor

    def __init__(self, targets: str = "hard", squared_error: float = 0.0):
        super().__init__()
        if targets not in ("hard", "soft"):
            raise ValueError(f'targets is "hard" or "soft", got {targets!r}')
        self.squared_error = squared_error
        self.register_buffer("targets", soft_labels() if targets == "soft" else torch.eye(NUM_RATINGS))

    def forward(
        self, rating_logits: torch.Tensor, labels: torch.Tensor, num_items: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """
        Args:
            rating_logits (`torch.FloatTensor` of shape `(..., 10)`): scores of the ratings 1..10.
            labels (`torch.LongTensor` of shape `(...)`): ratings 1..10, or -100 where there is none.
            num_items (`int`): what the summed loss is divided by; the number of labels when `None`. Gradient
                accumulation passes the labels of all its parts, so that 1 x 8 equals 8 x 1.
        """
        labelled = labels != IGNORED
        log_probabilities = rating_logits[labelled].log_softmax(-1)
        ratings = labels[labelled]
        total = -(self.targets[ratings - 1] * log_probabilities).sum()
        if self.squared_error:
            expected = log_probabilities.exp() @ torch.arange(1, NUM_RATINGS + 1, device=ratings.device).float()
            total = total + self.squared_error * (expected - ratings).square().sum()
        return total / (labelled.sum() if num_items is None else num_items)
