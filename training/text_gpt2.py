"""
Train a GPT-2 that reads rated films as text, from OpenAI's weights or from scratch.

    reel train text-gpt2 --data data/letterboxd --output-dir models/text --objective weighted --lora-rank 16

    reel train text-gpt2 --data data/letterboxd --output-dir models/small --max-minutes 25 \\
        --hidden-size 64 --num-hidden-layers 2 --num-attention-heads 4 --max-film-tokens 50 \\
        --per-device-train-batch-size 8 --learning-rate 3e-3

    accelerate launch --config_file training/recipes/eight_gpus.yaml -m training.text_gpt2 \\
        --data data/letterboxd --output-dir models/text
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from data_prep.dataset import Histories
from data_prep.errors import UserError, exit_status
from modeling.text_gpt2 import FilmTokens, GPT2ForRating, GPT2ForRatingConfig
from training.arguments import parse_arguments
from training.output_folder import save_model
from training.publish.record import TrainingRecord, settings_of
from training.quiet import quiet_transformers
from training.run import announce, check_same, check_same_shape, run, start
from training.text_films import FEWEST_FILM_TOKENS, RATING_ENDING, tokenise_films
from training.text_pretrained import GPT2_REPOSITORY, WEIGHTS, find_files, find_tokenizer
from training.text_trainer import TextRatingTrainer, TextRatingTrainingArguments
from training.trajectories import TrajectoryCollator, TrajectoryDataset, rows_by_rating, rows_by_user

if TYPE_CHECKING:
    from peft import PeftModel

ADAPTER = "adapter"  # the folder of the LoRA adapter beside the merged model
SHORT_WINDOWS_FROM_SCRATCH = 16_000
VALIDATION_USERS = 500  # with ten ratings each, their reward accuracy has a standard error of .007
GPT2_SHAPE: dict[str, Any] = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}


@dataclass
class TextGPT2Arguments:
    """
    Args:
        data (`str`): a rating data set, a folder or the id of one on the Hub.
        pretrained (`str`): a GPT-2 to start from, a folder or the id of a repository on the Hub.
        hidden_size, num_hidden_layers, num_attention_heads (`int`, *optional*): one of them given, the model starts
            from scratch in that shape, the rest being GPT-2's.
        dropout (`float`): dropout in embeddings, attention and residual branches, a probability.
        max_film_tokens (`int`): tokens of a film's block; longer ones are cut inside the overview. With 100, ten films
            always fit into the context; with 1024 films are whole and windows are cut at the context's end, as the
            paper has it.
        users (`str`): `"uniform"`, every user once an epoch, or `"ratings"`, in proportion to their ratings, as the
            paper has it.
        short_windows (`int`, *optional*): the first so many windows are cut into pieces, of one film at first and of
            more and more, so that a model from scratch learns to read a film before it reads ten;
            `SHORT_WINDOWS_FROM_SCRATCH` of them by default, and none for a model with pretrained weights.
        lora_rank (`int`): rank of LoRA adapters that are trained in the place of all weights; 0 trains all weights.
    """

    data: str = field(metadata={"help": "a rating data set: a folder, or the id of one on the Hub"})
    pretrained: str = field(
        default=GPT2_REPOSITORY, metadata={"help": "a GPT-2 to start from: a folder, or the id of one on the Hub"}
    )
    hidden_size: int | None = field(default=None, metadata={"help": "width of a model that starts from scratch"})
    num_hidden_layers: int | None = field(default=None, metadata={"help": "blocks of a model from scratch"})
    num_attention_heads: int | None = field(default=None, metadata={"help": "heads of a model from scratch"})
    dropout: float = field(default=0.0, metadata={"help": "dropout probability"})
    max_film_tokens: int = field(
        default=100, metadata={"help": "tokens of a film's block; 1024 leaves films whole, as the paper has it"}
    )
    users: str = field(
        default="uniform",
        metadata={"help": "users uniformly, or in proportion to their ratings", "choices": ["uniform", "ratings"]},
    )
    short_windows: int | None = field(
        default=None,
        metadata={"help": f"windows until they are whole ({SHORT_WINDOWS_FROM_SCRATCH:,} from scratch, else 0)"},
    )
    lora_rank: int = field(default=0, metadata={"help": "rank of LoRA adapters; 0 trains all weights"})

    def __post_init__(self):
        if self.users not in ("uniform", "ratings"):
            raise ValueError(f'users is "uniform" or "ratings", got {self.users!r}')
        for name in ("lora_rank", "short_windows"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        # Refuses what does not fit together before anything is loaded.
        config = GPT2ForRatingConfig(**self.settings(), **(self.shape or {}))
        if not FEWEST_FILM_TOKENS <= self.max_film_tokens <= config.n_positions:
            raise ValueError(
                f"max_film_tokens must be {FEWEST_FILM_TOKENS} to {config.n_positions}, got {self.max_film_tokens}"
            )

    @property
    def shape(self) -> dict[str, Any] | None:
        """The shape of a model that starts from scratch; None for one with pretrained weights."""
        given = {name: getattr(self, name) for name in GPT2_SHAPE if getattr(self, name) is not None}
        return {**GPT2_SHAPE, **given} if given else None

    def settings(self) -> dict[str, Any]:
        return dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), self.dropout)


def find_weights(model_args: TextGPT2Arguments) -> Path | None:
    """
    The folder of the weights to start from; None for a model that starts from scratch.

    Raises:
        UserError: when the weights that were asked for cannot be had.
    """
    if model_args.shape is not None:
        return None
    folder = find_files(model_args.pretrained, WEIGHTS)
    if folder is None and model_args.pretrained != GPT2_REPOSITORY:
        raise UserError(f"{model_args.pretrained}: no GPT-2 there ({', '.join(WEIGHTS)}), nor on the Hub")
    return folder


def initial_model(
    model_args: TextGPT2Arguments, weights: Path | None, tokenizer: PreTrainedTokenizerBase, films: FilmTokens
) -> tuple[GPT2ForRating, str]:
    """The model before training, with `weights` as `find_weights` gives them, and where they are from, in words."""
    settings = {
        **model_args.settings(),
        "rating_token_ids": [ids[0] for ids in tokenizer([f" {rating}" for rating in range(11)])["input_ids"]],
        "rating_ending_ids": tokenizer(RATING_ENDING)["input_ids"],
        "num_films": len(films.offsets) - 1,
        "num_film_tokens": len(films.tokens),
    }
    if weights is None:
        model = GPT2ForRating(GPT2ForRatingConfig(**(model_args.shape or GPT2_SHAPE), **settings))
        why = "as was asked for" if model_args.shape else f"as {GPT2_REPOSITORY} cannot be had here"
        origin = f"from a config, {why}"
    else:
        model = load_gpt2(weights, settings)
        origin = f"from {model_args.pretrained}"
    if len(tokenizer) > model.config.vocab_size:
        raise UserError(f"{model_args.pretrained}: {model.config.vocab_size} tokens, its tokenizer has more")
    if model_args.max_film_tokens > model.config.n_positions:
        raise UserError(
            f"{model_args.pretrained}: reads {model.config.n_positions} tokens, fewer than max_film_tokens "
            f"{model_args.max_film_tokens}"
        )
    model.set_films(films)
    return model, origin


def load_gpt2(folder: Path, settings: dict[str, Any]) -> GPT2ForRating:
    """
    A plain GPT-2's weights (config.json and model.safetensors, as on the Hub) in a `GPT2ForRating`.

    Raises:
        UserError: when the folder holds something else.
    """
    try:
        shape = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        activation = shape.pop("activation_function", "gelu_new")
        if activation != "gelu_new":  # of which the default is the fused kernel
            settings = {**settings, "activation_function": activation}
        config = GPT2ForRatingConfig(**{**shape, **settings})
        with quiet_transformers():
            loaded: Any = GPT2ForRating.from_pretrained(
                folder, config=config, use_safetensors=True, output_loading_info=True
            )
        model, loading = loaded
    except Exception as error:  # no end to what a damaged folder makes of transformers, safetensors and torch
        raise UserError(f"{folder}: no GPT-2 can be read there ({error})") from error
    missing = set(loading["missing_keys"]) - {"film_tokens", "film_offsets"}
    if missing:
        raise UserError(f"{folder}: no GPT-2, it lacks weights such as {min(missing)}")
    return model


def with_adapters(model: GPT2ForRating, rank: int, pretrained: str) -> PeftModel:
    """The model with LoRA adapters (Hu et al., 2021) of `rank` on all its linear layers, which alone are trained."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True)
    adapted = get_peft_model(model, config)
    # Neither the path of a cache nor that of a folder, but its name: it travels with the adapter.
    name = Path(pretrained).resolve().name if Path(pretrained).is_dir() else pretrained
    adapted.peft_config["default"].base_model_name_or_path = name
    return adapted


def check_same_run(model: GPT2ForRating, lora_rank: int, checkpoint: str) -> None:
    """
    Raises:
        UserError: when the checkpoint to resume is of a model of another shape, or of other adapters.
    """
    adapter = Path(checkpoint) / "adapter_config.json"
    rank = json.loads(adapter.read_text(encoding="utf-8"))["r"] if adapter.is_file() else 0
    check_same(checkpoint, {"lora_rank": rank}, {"lora_rank": lora_rank})
    if not rank:
        check_same_shape(model.config, checkpoint, (*GPT2_SHAPE, "num_films", "num_film_tokens"))


def record_of(
    model_args: TextGPT2Arguments,
    args: TextRatingTrainingArguments,
    model: GPT2ForRating,
    histories: Histories,
    origin: str,
) -> TrainingRecord:
    """The record of a run: with the id of the model that it starts from, but not with the path of a folder."""
    base_model = None
    if origin == f"from {model_args.pretrained}":
        if Path(model_args.pretrained).is_dir():
            origin = "from a GPT-2's weights in a folder"
        else:
            base_model = model_args.pretrained
    settings = {**settings_of(model_args), **args.hyperparameters()}
    return TrainingRecord.of(model, model_args.data, histories, settings, origin=origin, base_model=base_model)


def train(model_args: TextGPT2Arguments, args: TextRatingTrainingArguments) -> dict[str, float]:
    """
    Train, save the model with its tokenizer and catalogue in `args.output_dir`, and score it on validation users. LoRA
    adapters are saved merged into the model, and beside it.

    Returns:
        The validation metrics: `eval_nll`, `eval_rmse`, `eval_reward_accuracy` over all films of the trajectories.
    """
    started = start(model_args.data, args)
    histories, validation, catalogue, checkpoint = started
    with args.main_process_first(local=False):  # it tokenises the films, the others read the result
        tokenizer = find_tokenizer(model_args.pretrained)
        films = tokenise_films(catalogue.films, tokenizer, model_args.max_film_tokens)

    torch.manual_seed(args.seed)
    weights = find_weights(model_args)
    model, origin = initial_model(model_args, weights, tokenizer, films)
    record = record_of(model_args, args, model, histories, origin)
    if checkpoint is not None:
        check_same_run(model, model_args.lora_rank, checkpoint)
    trained = with_adapters(model, model_args.lora_rank, model_args.pretrained) if model_args.lora_rank else model
    announce(started, args, model, origin)

    window = args.max_history_length
    film_lengths = films.offsets.diff().numpy()
    rows = rows_by_user(histories) if model_args.users == "uniform" else rows_by_rating(histories, window)
    short_windows = model_args.short_windows
    if short_windows is None:
        short_windows = SHORT_WINDOWS_FROM_SCRATCH if weights is None else 0
    scored = np.random.default_rng(args.seed).permutation(len(validation))[:VALIDATION_USERS]
    trainer = TextRatingTrainer(
        model=trained,
        args=args,
        train_dataset=TrajectoryDataset(
            histories, rows, window, film_lengths, short_windows=short_windows, seed=args.seed
        ),
        eval_dataset=TrajectoryDataset(validation, scored, window, film_lengths, seed=args.seed),
        data_collator=TrajectoryCollator(films, model.config, token_labels=args.rating_weight < 1),
    )
    if trainer.is_fsdp_enabled and model_args.lora_rank:
        raise UserError("--lora-rank: adapters are small enough for data parallel training; use eight_gpus.yaml")

    def save(folder: Path, state: dict[str, Any] | None) -> None:
        whole = trainer.accelerator.unwrap_model(trainer.model)
        beside: dict[str, Any] = {".": tokenizer}
        if model_args.lora_rank:
            beside[ADAPTER] = whole
            whole = copy.deepcopy(whole).merge_and_unload()
        save_model(
            whole,
            catalogue,
            folder,
            record,
            state_dict=state,
            beside=beside,
            keep_checkpoints=trainer.clock.interrupted,
        )

    return run(trainer, checkpoint, save)


def main(arguments: Sequence[str]) -> None:
    """The command line; see the top of the file."""
    train(
        *parse_arguments((TextGPT2Arguments, TextRatingTrainingArguments), arguments, "reel train text-gpt2", __doc__)
    )


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
