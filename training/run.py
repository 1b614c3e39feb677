"""A training run from its first step to its score, the same for every model that learns by gradients."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from data_prep.catalogue import Catalogue
from data_prep.dataset import Histories, load_histories
from data_prep.errors import UserError
from training.output_folder import check_output_folder, claim_output_folder
from training.quiet import quiet_transformers
from training.trainer import RatingTrainer, RatingTrainingArguments


class Start(NamedTuple):
    """What every run has in hand before it has a model."""

    histories: Histories  # of training users
    validation: Histories
    catalogue: Catalogue
    checkpoint: str | None  # to go on from


def start(data: str, args: RatingTrainingArguments, *, crowd: bool = True) -> Start:
    """
    Check and claim the output folder, and load the data; what is missing of it is made by the first process, and read
    by the others.

    Args:
        data (`str`): a rating data set, a folder or the id of one on the Hub.
        args (`RatingTrainingArguments`): whose output folder it is.
        crowd (`bool`): whether the film features have TMDB's vote average, vote count and popularity. The catalogue
            that is saved with the model keeps to it, for films that are added later.

    Raises:
        UserError: when the folder holds something else, or the data cannot be read.
    """
    folder = Path(args.output_dir or "")
    checkpoint = check_output_folder(folder, overwrite=args.overwrite, resume=args.resume)
    with args.main_process_first(local=False):
        histories = load_histories(data, "train")
        if args.max_train_users is not None:
            histories = histories.first(args.max_train_users)
        found = Start(
            histories,
            load_histories(data, "validation"),
            Catalogue.from_dataset(data, histories=histories, crowd=crowd),
            checkpoint,
        )
        if args.process_index == 0 and checkpoint is None:
            claim_output_folder(folder)
    return found


def announce(start: Start, args: RatingTrainingArguments, model: PreTrainedModel, origin: str) -> None:
    """Say on stderr what is trained, how large it is, and where its weights are from."""
    if args.process_index:
        return
    print(
        f"training on {len(start.histories):,} users, {len(start.histories.ratings):,} ratings, "
        f"{len(start.catalogue):,} films, in {args.world_size} process{'es' if args.world_size > 1 else ''}; "
        f"{model.num_parameters(only_trainable=True):,} weights of {model.num_parameters():,}, {origin}",
        file=sys.stderr,
    )


def check_same_shape(config: PreTrainedConfig, checkpoint: str, names: Sequence[str]) -> None:
    """
    Raises:
        UserError: when the checkpoint to resume is of a model of another shape: one of the entries `names` of its
            config differs.
    """
    before = type(config).from_pretrained(checkpoint)
    check_same(checkpoint, *({name: getattr(each, name) for name in names} for each in (before, config)))


def check_same(checkpoint: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """
    Raises:
        UserError: when a setting of the checkpoint to resume is not what it is now.
    """
    for name in wanted:
        if found[name] != wanted[name]:
            raise UserError(
                f"{checkpoint}: has {name} {found[name]}, not {wanted[name]}; resume with the options and the data of "
                "the run, or start anew with --overwrite"
            )


def run(
    trainer: RatingTrainer, checkpoint: str | None, save: Callable[[Path, dict[str, Any] | None], None]
) -> dict[str, float]:
    """
    Train, save the model and the learning curve, score it on the validation users, and say how it went. With
    `push_to_hub`, each save goes to the Hub too.

    Args:
        trainer (`RatingTrainer`): with its model and data.
        checkpoint (`str`, *optional*): the checkpoint to go on from.
        save: writes the model into a folder; called on the first process alone, with the model's weights where FSDP
            has shared them out over the processes, otherwise with None.

    Returns:
        The validation metrics: `eval_nll`, `eval_rmse`, `eval_reward_accuracy` by the trainer's validation protocol.
    """
    started = time.monotonic()
    trainer.save_folder = save
    try:
        with quiet_transformers():
            result = trainer.train(resume_from_checkpoint=checkpoint)
    except torch.linalg.LinAlgError as error:
        raise UserError(f"training has diverged; lower --learning-rate ({error})") from error
    trainer.save_state()  # the learning curve
    weights = trainer.gathered_weights()
    folder = Path(trainer.args.output_dir or "")
    if trainer.is_world_process_zero():
        save(folder, weights)
        print(
            f"{result.global_step:,} steps in {time.monotonic() - started:,.0f} s; model saved in "
            f"{trainer.args.output_dir}"
            + ("; interrupted, --resume goes on from here" if trainer.clock.interrupted else ""),
            file=sys.stderr,
        )
    if trainer.pushes is not None:
        published = trainer.pushes.push_last(folder)
        print(f"pushed to {published.url} revision {published.revision} tag {published.tag}", file=sys.stderr)
    scores = trainer.evaluate()
    if trainer.is_world_process_zero():
        print(
            f"validation users, {trainer.validation_protocol}: RMSE {scores['eval_rmse']:.3f} (1..10), "
            f"reward accuracy {scores['eval_reward_accuracy']:.3f}, NLL {scores['eval_nll']:.3f}"
        )
    # Together and in order: a process that just leaves takes the connection from the others, one of which may abort.
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()
    return scores
