"""The trainer that all models which learn by gradients share, and its arguments."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import EvalPrediction, PrinterCallback, Trainer, TrainingArguments
from transformers.integrations import get_reporting_integration_callbacks
from transformers.trainer import TRAINER_STATE_NAME

from modeling.losses import IGNORED, NUM_RATINGS, TARGETS, RatingCrossEntropy
from training import metrics
from training.publish.record import Setting, settings_of
from training.publish.while_training import HubPushes, check_push_arguments
from training.sampler import EpochTeller, LikeSizeSampler, SameSampler, SizedExamples
from training.schedule import Clock, ProgressBar, warmup_and_cosine

HYPERPARAMETERS = (
    "targets",
    "squared_error",
    "max_history_length",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "learning_rate",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "warmup_steps",
    "bf16",
    "fp16",
    "seed",
)


@dataclass
class RatingTrainingArguments(TrainingArguments):
    r"""
    Arguments of a [`RatingTrainer`]: those of `transformers.TrainingArguments` and these.

    Args:
        max_minutes (`float`, *optional*): minutes of training. The learning rate then follows the clock instead of
            the step, and training ends, saved, when they are over; `num_train_epochs` and `max_steps` are ignored.
        targets (`str`, defaults to `"hard"`): the loss's targets, `"hard"`, `"soft"` (the paper's soft labels) or
            `"hl-gauss"`.
        squared_error (`float`, defaults to 0.3): weight in the loss of the squared error of the expected rating.
        max_history_length (`int`, defaults to 256): ratings of a history that one training example holds, at most.
            Says nothing about predicting, which reads histories of any length.
        max_train_users (`int`, *optional*): users to train on, at most, a random draw of the training users.
        overwrite (`bool`, defaults to `False`): whether a non-empty output folder may be replaced.
        resume (`bool`, defaults to `False`): go on from the last checkpoint in the output folder.

    Changed defaults: batches of 32 histories, AdamW at 2e-3 with weight decay 0.05 and beta2 0.98, 100 warm-up steps,
    one epoch where no minutes are given, a checkpoint every 1,000 steps of which one is kept, no reports to outside
    services.
    """

    per_device_train_batch_size: int = field(default=32, metadata={"help": "histories in a batch, per process"})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "histories in a validation batch"})
    learning_rate: float = field(default=2e-3, metadata={"help": "peak learning rate"})
    weight_decay: float = field(default=0.05, metadata={"help": "decoupled weight decay"})
    adam_beta2: float = field(default=0.98, metadata={"help": "decay of AdamW's second moment"})
    warmup_steps: float = field(default=100, metadata={"help": "optimiser steps to the peak learning rate"})
    num_train_epochs: float = field(default=1.0, metadata={"help": "epochs, where no --max-minutes are given"})
    logging_steps: float = field(default=20, metadata={"help": "optimiser steps between two logged losses"})
    save_steps: float = field(default=1000, metadata={"help": "optimiser steps between two checkpoints"})
    save_total_limit: int | None = field(default=1, metadata={"help": "checkpoints to keep"})
    report_to: str = field(
        default="none", metadata={"help": "where else to send the logs: tensorboard, wandb, trackio, none"}
    )
    disable_tqdm: bool | None = field(default=True, metadata={"help": "the project draws its own progress bar"})
    ddp_broadcast_buffers: bool | None = field(
        default=False, metadata={"help": "send the films' tables, which never change, to all processes at every step"}
    )
    dataloader_pin_memory: bool = field(default=False, metadata={"help": "pin batches for the copy to a GPU"})

    max_minutes: float | None = field(
        default=None, metadata={"help": "minutes of training; the schedule follows the clock"}
    )
    targets: str = field(
        default="hard", metadata={"help": "hard labels, soft: the paper's, or hl-gauss", "choices": list(TARGETS)}
    )
    squared_error: float = field(
        default=0.3, metadata={"help": "weight of the expected rating's squared error in the loss"}
    )
    max_history_length: int = field(default=256, metadata={"help": "ratings in a training example, at most"})
    max_train_users: int | None = field(default=None, metadata={"help": "users to train on, at most"})
    overwrite: bool = field(default=False, metadata={"help": "replace a non-empty output folder"})
    resume: bool = field(default=False, metadata={"help": "go on from the last checkpoint of the output folder"})

    def __post_init__(self):
        if not str(self.output_dir or "").strip():
            raise ValueError("output_dir is empty: name a folder")
        if self.max_minutes is not None and not 0 < self.max_minutes < math.inf:
            raise ValueError(f"max_minutes must be above 0, got {self.max_minutes}")
        if self.max_steps == 0 or not self.num_train_epochs > 0:
            raise ValueError(f"no training in {self.max_steps} steps and {self.num_train_epochs} epochs")
        for name in ("learning_rate", "weight_decay", "squared_error"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number from 0 on, got {getattr(self, name)}")
        for callback in get_reporting_integration_callbacks(self.report_to):  # refuses what it does not know
            try:
                callback()
            except (ImportError, RuntimeError) as error:
                raise ValueError(f"report_to {self.report_to}: {error}") from error
        if self.restore_callback_states_from_checkpoint:
            raise ValueError("restore_callback_states_from_checkpoint is not needed: callbacks restore themselves")
        for name in ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.seed < 2**32:  # numpy's range
            raise ValueError(f"seed must be from 0 to {2**32 - 1}, got {self.seed}")
        if self.targets not in TARGETS:
            raise ValueError(f"targets is one of {', '.join(TARGETS)}, got {self.targets!r}")
        if self.max_train_users is not None and self.max_train_users < 1:
            raise ValueError(f"max_train_users must be at least 1, got {self.max_train_users}")
        if self.max_history_length < 1:
            raise ValueError(f"max_history_length must be at least 1, got {self.max_history_length}")
        if self.overwrite and self.resume:
            raise ValueError("overwrite and resume exclude each other: a folder is replaced or gone on with")
        if self.max_minutes is not None:
            self.num_train_epochs, self.max_steps = 10_000, -1  # the clock ends it
        # Columns are what the collator makes of them, and the labels are ours to name.
        self.remove_unused_columns = False
        self.label_names = ["labels"]
        super().__post_init__()
        if self.push_to_hub:
            check_push_arguments(self)

    def hyperparameters(self) -> dict[str, Setting]:
        """The settings that make a difference to the model, for its card."""
        ended_by = ("max_steps",) if self.max_steps > 0 else ("num_train_epochs",)
        return {
            **settings_of(self, HYPERPARAMETERS),
            **settings_of(self, ("max_minutes",) if self.max_minutes is not None else ended_by),
            **settings_of(self, ("max_train_users",) if self.max_train_users is not None else ()),
            "processes": self.world_size,
        }


def keep_what_metrics_need(outputs: Any, labels: torch.Tensor) -> torch.Tensor:
    """Of a model's outputs, the probabilities of the ratings 1..10: what `compute_metrics` gets to see."""
    return outputs[0][..., -NUM_RATINGS:].softmax(-1)


def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """NLL, RMSE and reward accuracy over all positions of validation histories, each position one case."""
    labelled = np.asarray(prediction.label_ids) != IGNORED
    ratings = np.asarray(prediction.label_ids)[labelled]
    probabilities = np.asarray(prediction.predictions)[labelled]
    return {
        name: float(metric(probabilities, ratings))
        for name, metric in (
            ("nll", metrics.negative_log_likelihood),
            ("rmse", metrics.rmse),
            ("reward_accuracy", metrics.reward_accuracy),
        )
    }


class RatingTrainer(Trainer):
    """
    A `Trainer` for models that return `rating_logits`: the loss of `modeling/losses.py`, the same under gradient
    accumulation and several processes (which repeat a few histories where an epoch does not divide evenly); a schedule
    that can follow the clock; SIGINT and SIGTERM end training in order; pushes to the Hub are whole models, with their
    film catalogue and card.

    Args:
        args (`RatingTrainingArguments`): how to train.
        kwargs: as for `transformers.Trainer`.
    """

    args: RatingTrainingArguments
    num_ratings = NUM_RATINGS  # that the model's logits tell apart

    def __init__(self, *, args: RatingTrainingArguments, **kwargs):
        self.pushes: HubPushes | None = None  # on the first process, with push_to_hub
        # Writes the model's folder, with the weights that `gathered_weights` gave; `training.run` knows how.
        self.save_folder: Callable[[Path, dict[str, Any] | None], None] | None = None
        self.rating_loss = RatingCrossEntropy(args.targets, args.squared_error, self.num_ratings).to(args.device)

        def compute_loss(outputs, labels, num_items_in_batch=None):
            return self.rating_loss(outputs.rating_logits, labels, num_items_in_batch)

        super().__init__(
            args=args,
            compute_loss_func=compute_loss,
            compute_metrics=compute_metrics,
            preprocess_logits_for_metrics=keep_what_metrics_need,
            **kwargs,
        )
        self.clock = Clock(args.max_minutes)
        self.add_callback(self.clock)
        self.remove_callback(PrinterCallback)
        self.add_callback(ProgressBar(self.clock))

    def _get_train_sampler(self, train_dataset=None):
        dataset = self.train_dataset if train_dataset is None else train_dataset
        if not isinstance(dataset, SizedExamples):
            return super()._get_train_sampler(train_dataset)
        step = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        sampler = LikeSizeSampler(dataset, group_size=step)
        self.remove_callback(EpochTeller)  # of a training before this one
        self.add_callback(EpochTeller(sampler))
        return sampler

    def _get_eval_sampler(self, eval_dataset):
        if not isinstance(eval_dataset, SizedExamples):
            return super()._get_eval_sampler(eval_dataset)
        return SameSampler(eval_dataset, group_size=self.args.eval_batch_size)

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None):
        """Warm-up and then a cosine to zero by the clock with `max_minutes`; otherwise what Trainer makes."""
        if self.args.max_minutes is None:
            return super().create_scheduler(num_training_steps, optimizer)
        if self.lr_scheduler is None:
            warmup = self.args.get_warmup_steps(num_training_steps)
            self.lr_scheduler = LambdaLR(
                optimizer or self.optimizer,  # type: ignore[arg-type]
                lambda step: warmup_and_cosine(step, warmup, self.clock.progress),
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    @property
    def validation_protocol(self) -> str:
        """What `evaluate` scores, in words."""
        return f"every rating after those before it, of {self.args.max_history_length} ratings each at most"

    def gathered_weights(self) -> dict[str, Any] | None:
        """The model's weights where FSDP has shared them out, to be called on all processes; otherwise None."""
        return self.accelerator.get_state_dict(self.model_wrapped) if self.is_fsdp_enabled else None

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Make sure, before anything is trained, that the repository can be pushed to."""
        if self.is_world_process_zero():
            self.pushes = HubPushes(self.args)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """In the place of Trainer's, which would send the weights without catalogue and card."""
        weights = self.gathered_weights()
        if self.pushes is None or self.save_folder is None or not self.pushes.wanted:
            return
        save_folder = self.save_folder

        def write(folder: Path) -> None:
            folder.mkdir()
            shutil.copy2(Path(checkpoint_folder) / TRAINER_STATE_NAME, folder)  # the learning curve so far
            save_folder(folder, weights)

        self.pushes.push(write, f"Training in progress, step {self.state.global_step:,}")

    def _finish_current_push(self) -> None:
        if self.pushes is not None:
            self.pushes.finish()
