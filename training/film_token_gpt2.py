"""
Train a film-token GPT-2 on rating histories.

    reel train film-token-gpt2 --data data/sample --output-dir models/sample --max-minutes 2

    accelerate launch --config_file accelerate_config.yaml -m training.film_token_gpt2 \\
        --data data/letterboxd --output-dir models/letterboxd --max-minutes 15
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from data_prep.errors import exit_status
from modeling.film_token_gpt2 import FilmTokenGPT2Config, FilmTokenGPT2Model
from training.arguments import parse_arguments
from training.histories import HistoryDataset, collate
from training.output_folder import rating_histogram, save_model
from training.publish.record import TrainingRecord, settings_of
from training.run import announce, check_same_shape, run, start
from training.trainer import RatingTrainer, RatingTrainingArguments

# Entries of a config that a checkpoint's weights depend on.
SHAPE = ("num_films", "num_features", "hidden_size", "num_hidden_layers", "num_attention_heads")


@dataclass
class FilmTokenGPT2Arguments:
    """
    Args:
        data (`str`): a rating data set, a folder or the id of one on the Hub.
        hidden_size, num_hidden_layers, num_attention_heads, dropout, film_dropout, embedding_shrinkage: see
            `FilmTokenGPT2Config`.
    """

    data: str = field(metadata={"help": "a rating data set: a folder, or the id of one on the Hub"})
    hidden_size: int = field(default=128, metadata={"help": "width of the transformer"})
    num_hidden_layers: int = field(default=3, metadata={"help": "transformer blocks"})
    num_attention_heads: int = field(default=4, metadata={"help": "attention heads"})
    dropout: float = field(default=0.0, metadata={"help": "dropout probability"})
    film_dropout: float = field(default=0.02, metadata={"help": "share of films read as new ones in a batch"})
    embedding_shrinkage: float = field(
        default=50.0, metadata={"help": "training ratings at which a film's learned embedding counts half"}
    )

    def __post_init__(self):
        self.model_config(num_films=1, num_features=1)  # refuses what does not fit together before anything is loaded

    def model_config(self, num_films: int, num_features: int) -> FilmTokenGPT2Config:
        return FilmTokenGPT2Config(
            num_films=num_films,
            num_features=num_features,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            dropout=self.dropout,
            film_dropout=self.film_dropout,
            embedding_shrinkage=self.embedding_shrinkage,
        )


def train(model_args: FilmTokenGPT2Arguments, args: RatingTrainingArguments) -> dict[str, float]:
    """
    Train, save the model with its catalogue in `args.output_dir`, and score it on the validation users.

    Returns:
        The validation metrics: `eval_nll`, `eval_rmse`, `eval_reward_accuracy` over all positions of the histories.
    """
    started = start(model_args.data, args)
    histories, validation, catalogue, checkpoint = started

    torch.manual_seed(args.seed)
    dense = catalogue.features.dense(catalogue.film_ids)
    histogram = rating_histogram(histories, len(catalogue))
    config = model_args.model_config(*dense.shape)
    if checkpoint is not None:
        check_same_shape(config, checkpoint, SHAPE)
    model = FilmTokenGPT2Model(config)
    model.set_film_tables(torch.from_numpy(dense), torch.from_numpy(histogram))
    announce(started, args, model, "from a config, as there are no pretrained ones")

    trainer = RatingTrainer(
        model=model,
        args=args,
        train_dataset=HistoryDataset(histories, args.max_history_length, leave_one_out=True, seed=args.seed),
        eval_dataset=HistoryDataset(
            validation, args.max_history_length, leave_one_out=False, seed=args.seed, cut=False
        ),
        data_collator=collate,
    )

    record = TrainingRecord.of(
        model, model_args.data, histories, {**settings_of(model_args), **args.hyperparameters()}
    )

    def save(folder: Path, weights: dict[str, Any] | None) -> None:
        model = trainer.accelerator.unwrap_model(trainer.model)
        save_model(model, catalogue, folder, record, state_dict=weights, keep_checkpoints=trainer.clock.interrupted)

    return run(trainer, checkpoint, save)


def main(arguments: Sequence[str]) -> None:
    """The command line; see the top of the file."""
    train(
        *parse_arguments(
            (FilmTokenGPT2Arguments, RatingTrainingArguments), arguments, "reel train film-token-gpt2", __doc__
        )
    )


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
