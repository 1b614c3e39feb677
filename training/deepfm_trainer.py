"""The trainer of DeepFM, and its arguments."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import EarlyStoppingCallback

from data_prep.dataset import Histories
from modeling.deepfm import DeepFMModel
from modeling.losses import RewardLoss
from training import metrics
from training.baselines.drawn_cases import DrawnCases
from training.cases import NUM_TARGETS
from training.rating_blocks import RatingBlocks, join_blocks
from training.schedule import saved_state
from training.trainer import RatingTrainer, RatingTrainingArguments
from training.user_prior import fit_for_new_users


@dataclass
class DeepFMTrainingArguments(RatingTrainingArguments):
    r"""
    Arguments of a [`DeepFMTrainer`]: those of [`RatingTrainingArguments`] and these.

    Args:
        user_penalty (`float`, defaults to 10.0): precision of the prior that pulls every training user's vector to
            zero: half of this times its squared length counts as much as one rating's loss, once a user.
        film_penalty (`float`, defaults to 10.0): the same for the vector of a film's own, where films have one.
        feature_penalty (`float`, defaults to 150.0): the same for the weights by which a film's features make its
            linear terms and dense embeddings, once for all: the ridge that keeps what is learned of some thousand
            films true of new ones.
        early_stopping_patience (`int`, defaults to 0): validations without a lower NLL of validation users after which
            training ends; the best weights are kept. 0 trains to the end.

    `targets` and `squared_error` matter to the head `"ratings"` alone. `weight_decay` is for what has no prior of its
    own. `max_history_length` is how many ratings of a validation user are known.

    Changed defaults: batches of 64 blocks of 256 ratings, four epochs, AdamW at 5e-3 with no weight decay and beta2
    0.999, a rate that falls along a cosine, no squared error, histories of 100 ratings.
    """

    per_device_train_batch_size: int = field(
        default=64, metadata={"help": "blocks of 256 ratings in a batch, per process; the paper's batches are 2 to 4"}
    )
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "validation users fitted together"})
    learning_rate: float = field(default=5e-3, metadata={"help": "peak learning rate of AdamW"})
    lr_scheduler_type: str = field(default="cosine", metadata={"help": "how the rate changes, without --max-minutes"})
    weight_decay: float = field(default=0.0, metadata={"help": "decoupled weight decay of AdamW"})
    adam_beta2: float = field(default=0.999, metadata={"help": "decay of AdamW's second moment"})
    num_train_epochs: float = field(default=4.0, metadata={"help": "epochs, where no --max-minutes are given"})
    squared_error: float = field(
        default=0.0, metadata={"help": "weight of the expected rating's squared error in the loss"}
    )
    max_history_length: int = field(default=100, metadata={"help": "known ratings of a validation user, at most"})

    user_penalty: float = field(default=10.0, metadata={"help": "precision of the prior of training users' vectors"})
    film_penalty: float = field(default=10.0, metadata={"help": "precision of the prior of films' own vectors"})
    feature_penalty: float = field(default=150.0, metadata={"help": "precision of the prior of features' weights"})
    early_stopping_patience: int = field(
        default=0, metadata={"help": "validations without a better one until training ends; 0: never"}
    )

    def __post_init__(self):
        for name in ("user_penalty", "film_penalty", "feature_penalty"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a number from 0 on, got {getattr(self, name)}")
        if self.early_stopping_patience < 0:
            raise ValueError(f"early_stopping_patience must be at least 0, got {self.early_stopping_patience}")
        if self.early_stopping_patience:
            if self.eval_strategy == "no":
                self.eval_strategy = "epoch"
            # The best weights can be kept only where a checkpoint goes with every validation.
            self.save_strategy = self.eval_strategy
            self.save_steps = self.eval_steps or self.logging_steps
            self.load_best_model_at_end, self.metric_for_best_model, self.greater_is_better = True, "nll", False
        if self.gradient_checkpointing:
            raise ValueError("gradient_checkpointing is for transformers, and DeepFM is none")
        super().__post_init__()


class EarlyStopping(EarlyStoppingCallback):
    """An `EarlyStoppingCallback` that remembers, when a run is resumed, how long it has been patient."""

    def on_train_begin(self, args, state, control, **kwargs):
        if saved := saved_state(self, state):
            self.early_stopping_patience_counter = saved["attributes"]["early_stopping_patience_counter"]
        super().on_train_begin(args, state, control, **kwargs)


class RatingBlocksTrainer(RatingTrainer):
    """
    A [`RatingTrainer`] of DeepFM over single ratings: the loss of the model's head, and Gaussian priors, of which
    every rating carries its share.

    Args:
        model (`DeepFMModel`): the model.
        args (`DeepFMTrainingArguments`): how to train.
        blocks (`RatingBlocks`): training ratings, of the model's users.
        kwargs: as for `transformers.Trainer`.
    """

    args: DeepFMTrainingArguments

    def __init__(self, *, model: DeepFMModel, args: DeepFMTrainingArguments, blocks: RatingBlocks, **kwargs):
        super().__init__(model=model, args=args, train_dataset=blocks, data_collator=join_blocks, **kwargs)
        head = model.config.head
        feature_weights, num_ratings = model.feature_weights(), len(blocks.ratings)
        reward_loss = None if head == "ratings" else RewardLoss(head.removeprefix("reward-"))

        def compute_loss(outputs, labels, num_items_in_batch=None):
            if reward_loss is None:
                loss = self.rating_loss(outputs.rating_logits, labels, num_items_in_batch)
            else:
                loss = reward_loss(outputs.logits[..., 0], labels, num_items_in_batch)
            penalty = args.user_penalty * outputs.user_penalties.sum()
            if outputs.film_penalties is not None:
                penalty = penalty + args.film_penalty * outputs.film_penalties.sum()
            if args.feature_penalty:
                squares = sum(weight.square().sum() for weight in feature_weights)
                penalty = penalty + args.feature_penalty * squares / 2 * labels.numel() / num_ratings
            items = labels.numel() if num_items_in_batch is None else num_items_in_batch
            return loss + penalty / items

        self.compute_loss_func = compute_loss

    def get_decay_parameter_names(self, model) -> list[str]:
        own = ("user_vectors.weight", "film_vectors_own.weight", "film_linear.weight", "film_embedding.weight")
        return [name for name in super().get_decay_parameter_names(model) if not name.endswith(own)]


class DeepFMTrainer(RatingBlocksTrainer):
    """
    A [`RatingBlocksTrainer`] whose validation users are new users: their vectors are fitted to their known ratings as
    `predict` does it, under the prior of training users, which is found anew before every validation.

    Args:
        model (`DeepFMModel`): the model.
        args (`DeepFMTrainingArguments`): how to train.
        histories (`Histories`): of training users, in the order of the model's users.
        validation (`Histories`): of validation users.
        kwargs: as for `transformers.Trainer`.
    """

    @property
    def validation_protocol(self) -> str:
        return f"{NUM_TARGETS} ratings each after the others"

    def __init__(
        self,
        *,
        model: DeepFMModel,
        args: DeepFMTrainingArguments,
        histories: Histories,
        validation: Histories,
        **kwargs,
    ):
        self.cases = DrawnCases.draw(validation, args.max_history_length, args.seed)
        self.histories = histories
        blocks = RatingBlocks.of(histories, args.seed)
        super().__init__(model=model, args=args, blocks=blocks, eval_dataset=self.cases, **kwargs)
        if args.early_stopping_patience:
            self.add_callback(EarlyStopping(args.early_stopping_patience))

    def fit_for_new_users(self) -> DeepFMModel:
        """The model, its prior of users' vectors and its films' audiences as the weights of now have them."""
        model = self.accelerator.unwrap_model(self.model)
        fit_for_new_users(model, self.histories, self.args.seed, precision=self.args.user_penalty)
        return model

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix: str = "eval") -> dict[str, float]:
        """NLL, RMSE and reward accuracy of `NUM_TARGETS` ratings of every validation user, given the others."""
        model = self.fit_for_new_users()
        training = model.training
        model.eval()
        history = slice(NUM_TARGETS, NUM_TARGETS + self.args.max_history_length)
        films, ratings = torch.from_numpy(self.cases.films), torch.from_numpy(self.cases.ratings)
        probabilities = torch.cat(
            [
                model.predict(*(part.to(self.args.device) for part in batch))
                for batch in zip(
                    *(
                        part.split(self.args.eval_batch_size)
                        for part in (films[:, history], ratings[:, history], films[:, :NUM_TARGETS])
                    ),
                    strict=True,
                )
            ]
        )
        model.train(training)
        predicted = probabilities.flatten(0, 1).cpu().numpy()
        truth: np.ndarray = ratings[:, :NUM_TARGETS].flatten().numpy()
        scores = {
            f"{metric_key_prefix}_{name}": float(metric(predicted, truth))
            for name, metric in (
                ("nll", metrics.negative_log_likelihood),
                ("rmse", metrics.rmse),
                ("reward_accuracy", metrics.reward_accuracy),
            )
        }
        self.log(scores)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, scores)
        return scores
