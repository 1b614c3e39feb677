"""The trainer of models that read rating histories as text, and its arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from modeling.losses import IGNORED, NextTokenCrossEntropy
from training.publish.record import Setting
from training.trainer import RatingTrainer, RatingTrainingArguments

OBJECTIVES = {"weighted": 1.0, "unweighted": 0.0}


@dataclass
class TextRatingTrainingArguments(RatingTrainingArguments):
    r"""
    Arguments of a [`TextRatingTrainer`]: those of [`RatingTrainingArguments`] and these.

    Args:
        objective (`str`, defaults to `"weighted"`): `"weighted"`, the loss of the ratings alone, over the eleven
            rating tokens; or `"unweighted"`, that of every token, over the whole vocabulary (section 5.3 of the
            paper).
        objective_weight (`float`, *optional*): in the place of `objective` something in between: this share of the
            weighted loss and the rest of the unweighted one, each a mean over its own positions.

    Changed defaults: the paper's soft labels (with the unweighted objective, `targets="hard"` is what its code does at
    ratings), no squared error, trajectories of 10 films, 4 of them in a batch, AdamW at the paper's 1e-4 with weight
    decay 0.01 and beta2 0.999.
    """

    per_device_train_batch_size: int = field(default=4, metadata={"help": "trajectories in a batch, per process"})
    per_device_eval_batch_size: int = field(default=8, metadata={"help": "trajectories in a validation batch"})
    learning_rate: float = field(default=1e-4, metadata={"help": "peak learning rate of AdamW"})
    weight_decay: float = field(default=0.01, metadata={"help": "decoupled weight decay of AdamW"})
    adam_beta2: float = field(default=0.999, metadata={"help": "decay of AdamW's second moment"})
    targets: str = field(default="soft", metadata=RatingTrainingArguments.__dataclass_fields__["targets"].metadata)
    squared_error: float = field(
        default=0.0, metadata={"help": "weight of the expected rating's squared error in the loss"}
    )
    ddp_find_unused_parameters: bool | None = field(
        default=False, metadata={"help": "look for weights without a gradient at every step; there are none"}
    )
    max_history_length: int = field(default=10, metadata={"help": "films in a trajectory"})

    objective: str = field(
        default="weighted",
        metadata={"help": "learn the ratings alone, or every token of the text", "choices": list(OBJECTIVES)},
    )
    objective_weight: float | None = field(
        default=None, metadata={"help": "something in between: the weighted loss's share, 0..1"}
    )

    def __post_init__(self):
        if self.objective not in OBJECTIVES:
            raise ValueError(f"objective is one of {', '.join(OBJECTIVES)}, got {self.objective!r}")
        if self.objective_weight is not None and not 0 <= self.objective_weight <= 1:
            raise ValueError(f"objective_weight is a share, 0..1, got {self.objective_weight}")
        super().__post_init__()

    def hyperparameters(self) -> dict[str, Setting]:
        return {"rating_weight": self.rating_weight, **super().hyperparameters()}

    @property
    def rating_weight(self) -> float:
        """The weighted loss's share in the loss."""
        return OBJECTIVES[self.objective] if self.objective_weight is None else self.objective_weight


class TextRatingTrainer(RatingTrainer):
    """
    A [`RatingTrainer`] for a `GPT2ForRating`, or a LoRA adapter around one, on a [`TrajectoryDataset`].

    Args:
        args (`TextRatingTrainingArguments`): how to train.
        kwargs: as for `transformers.Trainer`.
    """

    args: TextRatingTrainingArguments
    model: Any  # a GPT2ForRating, or peft's wrapper of one
    num_ratings = 11
    # Each loss is divided by the ratings or tokens of the whole step, over all its parts and processes.
    loss_is_scaled_for_ga = True

    def __init__(self, *, args: TextRatingTrainingArguments, **kwargs):
        super().__init__(args=args, **kwargs)
        self.token_loss = NextTokenCrossEntropy(self.model.config.rating_token_ids, args.targets).to(args.device)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> torch.Tensor | None:
        """The ratings and the predicted tokens of a step, over all processes: `(2,)`."""
        if not batch_samples:
            return None
        counts = [
            [(batch[name] != IGNORED).sum() if name in batch else 0 for name in ("labels", "token_labels")]
            for batch in batch_samples
        ]
        total = self.accelerator.reduce(torch.tensor(counts).sum(0).to(device), "sum")
        return total.clamp(min=1)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ):
        """The weighted and the unweighted loss in their shares; `inputs` are a `TrajectoryCollator`'s batch."""
        num_ratings, num_tokens = num_items_in_batch  # type: ignore[misc]
        inputs = dict(inputs)
        ratings, token_labels = inputs.pop("labels"), inputs.pop("token_labels", None)
        outputs = model(**inputs)
        weight = self.args.rating_weight
        loss = weight * self.rating_loss(outputs.rating_logits, ratings, num_ratings)
        if token_labels is not None:
            head = self.model.get_output_embeddings().weight
            loss = loss + (1 - weight) * self.token_loss(
                outputs.last_hidden_state, head, token_labels, inputs["rating_positions"], ratings, num_tokens
            )
        loss = loss * self.accelerator.num_processes  # whose gradients are averaged
        return (loss, outputs) if return_outputs else loss
