"""
Train a DeepFM on single ratings, from film features and a vector for every user.

    reel train deepfm --data data/sample --output-dir models/deepfm --num-train-epochs 20

    accelerate launch --config_file accelerate_config.yaml -m training.deepfm \\
        --data data/letterboxd --output-dir models/deepfm --max-minutes 5
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_prep.errors import exit_status
from modeling.deepfm import DeepFMConfig, DeepFMModel
from modeling.deepfm.configuration_deepfm import HEADS
from training.arguments import parse_arguments
from training.deepfm_trainer import DeepFMTrainer, DeepFMTrainingArguments
from training.output_folder import save_model
from training.publish.record import TrainingRecord, settings_of
from training.rating_blocks import BLOCK_SIZE
from training.run import announce, check_same_shape, run, start

# Entries of a config that a checkpoint's weights depend on.
SIZES = ("user_size", "embedding_size", "film_embeddings", "user_embeddings", "mlp_sizes")
SHAPE = (
    "num_films",
    "num_features",
    "num_users",
    *SIZES,
    "use_linear",
    "use_pairwise",
    "use_mlp",
    "use_film_ids",
    "head",
)


@dataclass
class DeepFMArguments:
    """
    Args:
        data (`str`): a rating data set, a folder or the id of one on the Hub.
        crowd (`bool`): whether the film features have TMDB's vote average, vote count and popularity, which a new
            film does not have yet.
        head, user_size, embedding_size, film_embeddings, user_embeddings, mlp_sizes, use_linear, use_pairwise,
            use_mlp, use_film_ids, dropout: see `DeepFMConfig`. The defaults, and those of the training, are what
            `reel reproduce table-1` measures where films are known.
    """

    data: str = field(metadata={"help": "a rating data set: a folder, or the id of one on the Hub"})
    crowd: bool = field(default=True, metadata={"help": "film features with vote average, vote count and popularity"})
    head: str = field(
        default="ratings",
        metadata={
            "help": "ten ratings, or the reward by squared error (of the sum or its sigmoid) or cross-entropy",
            "choices": HEADS,
        },
    )
    user_size: int = field(default=48, metadata={"help": "length of a user's vector"})
    embedding_size: int = field(default=48, metadata={"help": "length of a dense embedding"})
    film_embeddings: int = field(default=1, metadata={"help": "dense embeddings of a film"})
    user_embeddings: int = field(default=1, metadata={"help": "dense embeddings of a user"})
    mlp_sizes: list[int] = field(
        default_factory=lambda: [32], metadata={"help": "widths of the perceptron's hidden layers"}
    )
    use_linear: bool = field(default=True, metadata={"help": "with the linear part"})
    use_pairwise: bool = field(default=True, metadata={"help": "with the inner products of embeddings"})
    use_mlp: bool = field(default=False, metadata={"help": "with the perceptron"})
    use_film_ids: bool = field(default=True, metadata={"help": "with terms and embeddings of each film's own"})
    dropout: float = field(default=0.0, metadata={"help": "dropout probability in embeddings and perceptron"})

    def __post_init__(self):
        self.model_config()  # refuses what does not fit together before anything is loaded

    def model_config(self, **sizes: Any) -> DeepFMConfig:
        return DeepFMConfig(
            user_size=self.user_size,
            embedding_size=self.embedding_size,
            film_embeddings=self.film_embeddings,
            user_embeddings=self.user_embeddings,
            mlp_sizes=self.mlp_sizes,
            use_linear=self.use_linear,
            use_pairwise=self.use_pairwise,
            use_mlp=self.use_mlp,
            use_film_ids=self.use_film_ids,
            head=self.head,
            dropout=self.dropout,
            **sizes,
        )


def train(model_args: DeepFMArguments, args: DeepFMTrainingArguments) -> dict[str, float]:
    """
    Train, save the model with its catalogue in `args.output_dir`, and score it on the validation users.

    Returns:
        The validation metrics: `eval_nll`, `eval_rmse`, `eval_reward_accuracy` of validation users fitted to a part of
        their ratings.
    """
    started = start(model_args.data, args, crowd=model_args.crowd)
    histories, validation, catalogue, checkpoint = started

    torch.manual_seed(args.seed)
    features = catalogue.features.dense(catalogue.film_ids)
    config = model_args.model_config(
        num_films=features.shape[0], num_features=features.shape[1], num_users=len(histories)
    )
    if checkpoint is not None:
        check_same_shape(config, checkpoint, SHAPE)
    model = DeepFMModel(config)
    model.set_tables(torch.from_numpy(features), torch.from_numpy(np.bincount(histories.ratings, minlength=11)[1:]))
    del features
    announce(started, args, model, "from a config, as there are no pretrained ones")

    trainer = DeepFMTrainer(model=model, args=args, histories=histories, validation=validation)

    record = TrainingRecord.of(
        model, model_args.data, histories, {**settings_of(model_args), **args.hyperparameters()}
    )

    def save(folder: Path, weights: dict[str, Any] | None) -> None:
        model = trainer.fit_for_new_users()
        save_model(model, catalogue, folder, record, state_dict=weights, keep_checkpoints=trainer.clock.interrupted)
        runtimes = [entry["train_runtime"] for entry in trainer.state.log_history if "train_runtime" in entry]
        if checkpoint is None and runtimes:
            batch = args.train_batch_size * args.gradient_accumulation_steps * args.world_size * BLOCK_SIZE
            rate = trainer.state.epoch * len(histories.ratings) / runtimes[-1]
            print(f"{rate:,.0f} ratings a second, {batch:,} a step", file=sys.stderr)

    return run(trainer, checkpoint, save)


def main(arguments: Sequence[str]) -> None:
    """The command line; see the top of the file."""
    train(*parse_arguments((DeepFMArguments, DeepFMTrainingArguments), arguments, "reel train deepfm", __doc__))


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
