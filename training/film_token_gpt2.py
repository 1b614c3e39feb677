"""
Train a film-token GPT-2 on rating histories.

    reel train film-token-gpt2 --data data/sample --output-dir models/sample --max-minutes 2

    accelerate launch --config_file accelerate_config.yaml -m training.film_token_gpt2 \\
        --data data/letterboxd --output-dir models/letterboxd --max-minutes 15
"""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast, parse_flag_from_env
from torch import nn

from data_prep.dataset import Histories
from data_prep.errors import exit_status
from modeling.film_token_gpt2 import FilmTokenGPT2Config, FilmTokenGPT2Model
from training.arguments import parse_arguments
from training.film_company import COMPANY_SIZE, FilmCompany, company_size, fit_film_company
from training.film_factors import CONTENT_SIZE, STEPS, FilmFactors, fit_film_factors
from training.histories import HistoryCollator, HistoryDataset
from training.optimizer import MuonAndOther
from training.output_folder import rating_histogram, save_model
from training.progress import progress
from training.publish.record import TrainingRecord, settings_of
from training.restraint import fit_opening, fit_restraint, num_batches
from training.run import Start, announce, check_same_shape, run, start
from training.trainer import RatingTrainer, RatingTrainingArguments
from training.user_tower import LEAST_USERS, PASSES, fit_user_tower

# Weights that Muon is for: inside the model, neither tables nor what makes its output.
MATRICES = re.compile(r"\.h\.|_projection\.")
# Products in half precision are planned anew for every length of a batch, which takes a CPU about as long as one of
# them; and GPUs are at their best with such lengths.
HALF_PRECISION_MULTIPLE = 16
# What the tower may have by itself of a run's minutes, and at most in seconds: other processes wait for it, and give
# up after half an hour. A run of so many steps is not timed, so that its seed alone decides.
TOWER_SHARE, TOWER_SECONDS = 0.1, 900.0
# Entries of a config that a checkpoint's weights depend on.
SHAPE = (
    "num_films",
    "num_features",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "factor_size",
    "tower_size",
    "company_size",
)


@dataclass
class FilmTokenGPT2Arguments:
    """
    Args:
        data (`str`): a rating data set, a folder or the id of one on the Hub.
        crowd (`bool`): whether the film features have TMDB's vote average, vote count and popularity, which a new
            film does not have yet.
        hidden_size, num_hidden_layers, num_attention_heads, factor_size, tower_size, dropout, tower_dropout,
            film_dropout, embedding_shrinkage: see `FilmTokenGPT2Config`.
        company_size (`int`, *optional*): numbers that tell which films the same people have rated. Unless told
            otherwise 64, and with fewer than 512 users one for every eight of them.
        tower_passes (`int`, *optional*): passes over the users, some 600 ratings of each at most, in which the user's
            tower is trained by itself before all else; with `max_minutes` in a tenth of those, and a quarter of an
            hour at most. Unless told otherwise 24, and none with fewer than 20,000 users, of whom it learns too much
            by heart.
        muon (`bool`): whether the matrices inside transformer and tower, and of what they read, are trained by Muon in
            the place of `--optim`'s optimizer. Not where FSDP shares them out, as Muon needs them whole.
    """

    data: str = field(metadata={"help": "a rating data set: a folder, or the id of one on the Hub"})
    crowd: bool = field(default=True, metadata={"help": "film features with vote average, vote count and popularity"})
    hidden_size: int = field(default=128, metadata={"help": "width of the transformer"})
    num_hidden_layers: int = field(default=3, metadata={"help": "transformer blocks"})
    num_attention_heads: int = field(default=4, metadata={"help": "attention heads"})
    factor_size: int = field(default=32, metadata={"help": "numbers in a user's taste, in the factor model"})
    tower_size: int = field(default=128, metadata={"help": "width of the user's tower and of films' vectors"})
    company_size: int | None = field(
        default=None,
        metadata={
            "help": f"numbers that tell which films the same people have rated; {COMPANY_SIZE}, fewer with few users"
        },
    )
    tower_passes: int | None = field(
        default=None,
        metadata={"help": f"passes for the user's tower alone; {PASSES} with {LEAST_USERS:,} users or more, else 0"},
    )
    dropout: float = field(default=0.0, metadata={"help": "dropout probability"})
    tower_dropout: float = field(default=0.0, metadata={"help": "dropout probability in the user's tower"})
    film_dropout: float = field(default=0.02, metadata={"help": "share of films read as new ones in a batch"})
    embedding_shrinkage: float = field(
        default=50.0, metadata={"help": "training ratings at which what is learned of a film by itself counts half"}
    )
    muon: bool = field(default=True, metadata={"help": "train the matrices of transformer and tower by Muon"})

    def __post_init__(self):
        if self.tower_passes is not None and self.tower_passes < 0:
            raise ValueError(f"tower_passes must be at least 0, got {self.tower_passes}")
        self.model_config(num_films=1, num_features=1)  # refuses what does not fit together before anything is loaded

    def model_config(self, num_films: int, num_features: int) -> FilmTokenGPT2Config:
        return FilmTokenGPT2Config(
            num_films=num_films,
            num_features=num_features,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            factor_size=self.factor_size,
            tower_size=self.tower_size,
            content_size=min(CONTENT_SIZE, num_features + (self.company_size or 0)),
            company_size=self.company_size or 0,
            dropout=self.dropout,
            tower_dropout=self.tower_dropout,
            film_dropout=self.film_dropout,
            embedding_shrinkage=self.embedding_shrinkage,
        )


@dataclass
class FilmTokenTrainingArguments(RatingTrainingArguments):
    """
    Arguments of a [`FilmTokenTrainer`]: those of a `RatingTrainer`, and a default of its own for `bf16`.

    Args:
        bf16 (`bool`, *optional*): whether the transformer's products are in bfloat16 (weights, sums and the Gaussian
            process stay in float32). Unless told otherwise, where the processor that trains is made for it.
    """

    bf16: bool | None = field(  # type: ignore[assignment]
        default=None,
        metadata={
            "help": "products in bfloat16; unless told otherwise, where training on a processor made for it",
            "nargs": "?",
            "const": True,
        },
    )

    def __post_init__(self):
        # `accelerate launch` tells of `use_cpu` in its configuration by a variable.
        told = parse_flag_from_env("ACCELERATE_USE_CPU")
        self.use_cpu = self.use_cpu or told or not torch.accelerator.is_available()
        if self.bf16 is None:
            self.bf16 = self.use_cpu and not self.fp16 and multiplies_in_bfloat16()
        if self.gradient_checkpointing:
            raise ValueError("gradient_checkpointing is not for this model; lower --per-device-train-batch-size")
        super().__post_init__()


def multiplies_in_bfloat16() -> bool:
    """Whether this is an x86 processor with instructions for products in bfloat16; false where torch cannot tell."""
    has: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(has.get("avx512_bf16") or has.get("amx_bf16"))


class FilmTokenTrainer(RatingTrainer):
    """A `RatingTrainer` that trains matrices by Muon, with `muon`, and fits the trained model's `restraint` and
    `opening` to the users of `eval_dataset`."""

    def __init__(self, *, muon: bool, **kwargs):
        self.muon = muon
        super().__init__(**kwargs)

    def train(self, *args, **kwargs) -> Any:
        model: Any = self.accelerator.unwrap_model(self.model)
        model.restraint.zero_()
        model.opening.zero_()
        result = super().train(*args, **kwargs)
        # Not where FSDP has shared the weights out: the first process alone does not have them.
        if self.eval_dataset is not None and not self.clock.interrupted and not self.is_fsdp_enabled:
            if self.save_folder is not None and self.is_world_process_zero():
                self.save_folder(Path(self.args.output_dir or ""), None)  # whatever happens while it is fitted
            self.restrain(model, self.eval_dataset)
        return result

    def restrain(self, model: FilmTokenGPT2Model, validation: Any) -> None:
        """Fit a model's `restraint` and `opening` to validation users, on the first process, and send them to the
        others."""
        if self.args.process_index == 0:
            with progress("restraint", num_batches(validation)) as advance:
                fit_restraint(model, validation, self.rating_loss, progress=advance)
                fit_opening(model, validation, self.rating_loss)
        for numbers in (model.restraint, model.opening):
            numbers.copy_(broadcast(numbers))

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None and self.muon and not self.is_fsdp_enabled:
            other = super().create_optimizer(model)
            trained: Any = self.model if model is None else model
            weights = trained.named_parameters()
            matrices = [weight for name, weight in weights if weight.ndim == 2 and MATRICES.search(name)]
            taken = set(map(id, matrices))
            for group in other.param_groups:
                group["params"] = [weight for weight in group["params"] if id(weight) not in taken]
            self.optimizer = MuonAndOther(matrices, other, self.args.learning_rate, self.args.weight_decay)
        return super().create_optimizer(model)


def make_trainer(
    model_args: FilmTokenGPT2Arguments,
    args: FilmTokenTrainingArguments,
    started: Start,
    features: np.ndarray,
    company: FilmCompany,
    factors: FilmFactors,
) -> FilmTokenTrainer:
    """
    A new model, and what trains it.

    Args:
        model_args (`FilmTokenGPT2Arguments`), args (`FilmTokenTrainingArguments`): the settings.
        started (`Start`): users and films.
        features (`np.ndarray` of shape `(num_films, num_features)`): the films' features, dense.
        company (`FilmCompany`): the films' company.
        factors (`FilmFactors`): the films' factors.
    """
    torch.manual_seed(args.seed)
    model = FilmTokenGPT2Model(model_args.model_config(*features.shape))
    model.set_film_tables(
        torch.from_numpy(company.beside(features)),
        torch.from_numpy(rating_histogram(started.histories, len(started.catalogue))),
        factors.films,
        factors.feature_weights,
        factors.content_weights,
        torch.from_numpy(company.feature_weights),
    )
    train, validation = (
        HistoryDataset(histories, args.max_history_length, leave_one_out=training, seed=args.seed, cut=training)
        for histories, training in ((started.histories, True), (started.validation, False))
    )
    return FilmTokenTrainer(
        muon=model_args.muon,
        model=model,
        args=args,
        train_dataset=train,
        eval_dataset=validation,
        data_collator=HistoryCollator(factors.by_fold, HALF_PRECISION_MULTIPLE if args.bf16 or args.fp16 else 1),
    )


def train(model_args: FilmTokenGPT2Arguments, args: FilmTokenTrainingArguments) -> dict[str, float]:
    """
    Train, save the model with its catalogue in `args.output_dir`, and score it on the validation users.

    Returns:
        The validation metrics: `eval_nll`, `eval_rmse`, `eval_reward_accuracy` over all positions of the histories, of
        which up to `max_history_length` ratings are read.
    """
    started = start(model_args.data, args, crowd=model_args.crowd)
    histories, catalogue, checkpoint = started.histories, started.catalogue, started.checkpoint
    if model_args.tower_passes is None:
        model_args = replace(model_args, tower_passes=PASSES if len(histories) >= LEAST_USERS else 0)
    size = company_size(model_args.company_size, len(histories), len(catalogue))
    model_args = replace(model_args, company_size=size)

    begun = time.monotonic()
    features = catalogue.features.dense(catalogue.film_ids)
    if checkpoint is not None:
        check_same_shape(model_args.model_config(*features.shape), checkpoint, SHAPE)
    company = film_company(histories, features, size, args)
    factors = film_factors(histories, features, company, model_args.factor_size, args)
    trainer = make_trainer(model_args, args, started, features, company, factors)
    model: Any = trainer.model
    if checkpoint is None and model_args.tower_passes:
        train_user_tower(model, histories, factors, model_args.tower_passes, args)
    announce(started, args, model, "from a config, as there are no pretrained ones")
    trainer.clock.elapsed_before = time.monotonic() - begun  # the minutes are those of all that learns from ratings

    record = TrainingRecord.of(
        model, model_args.data, histories, {**settings_of(model_args), **args.hyperparameters()}
    )

    def save(folder: Path, weights: dict[str, Any] | None) -> None:
        model = trainer.accelerator.unwrap_model(trainer.model)
        save_model(model, catalogue, folder, record, state_dict=weights, keep_checkpoints=trainer.clock.interrupted)

    return run(trainer, checkpoint, save)


def film_company(histories: Histories, features: np.ndarray, size: int, args: RatingTrainingArguments) -> FilmCompany:
    """The company that films are in, found by the first process and sent to the others."""
    company = FilmCompany.empty(features, size)
    if size and args.process_index == 0:
        with progress("films' company", 1) as advance:
            company = fit_film_company(histories, features, size, seed=args.seed)
            advance()
    return FilmCompany(*(broadcast(torch.from_numpy(table).to(args.device)).cpu().numpy() for table in company))


def film_factors(
    histories: Histories, features: np.ndarray, company: FilmCompany, rank: int, args: RatingTrainingArguments
) -> FilmFactors:
    """The factor model of the training ratings, fitted by the first process and sent to the others."""
    factors = FilmFactors.empty(len(features), features.shape[1] + company.vectors.shape[1], rank)
    if args.process_index == 0:
        with progress("films' factors", STEPS) as advance:
            factors = fit_film_factors(histories, features, company, rank, seed=args.seed, progress=advance)
    for table in (factors.films, factors.by_fold, factors.feature_weights, factors.content_weights):
        sent = broadcast(table.to(args.device))
        table.copy_(sent)
    return factors


def train_user_tower(
    model: FilmTokenGPT2Model,
    histories: Histories,
    factors: FilmFactors,
    passes: int,
    args: RatingTrainingArguments,
) -> None:
    """Train the user's tower and films' own vectors on the first process, and send the model's weights to the others
    (not every way of sharing a model out does)."""
    if args.process_index == 0:
        minutes = args.max_minutes
        seconds = math.inf if minutes is None else min(TOWER_SECONDS, TOWER_SHARE * 60 * minutes)
        home = model.device
        nn.Module.to(model, args.device)  # PreTrainedModel hides the signature from type checkers
        with progress("user's tower", passes) as advance:
            intercepts = factors.by_fold[..., 0]
            fit_user_tower(
                model, histories, intercepts, passes=passes, seconds=seconds, seed=args.seed, progress=advance
            )
        nn.Module.to(model, home)
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(broadcast(weights.detach().to(args.device)))


def main(arguments: Sequence[str]) -> None:
    """The command line; see the top of the file."""
    train(
        *parse_arguments(
            (FilmTokenGPT2Arguments, FilmTokenTrainingArguments), arguments, "reel train film-token-gpt2", __doc__
        )
    )


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
