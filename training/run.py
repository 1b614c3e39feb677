"""A training run from its first step to its score, the same for every model that learns by gradients."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig

from data_prep.errors import UserError
from training.quiet import quiet_transformers
from training.trainer import RatingTrainer


def check_same_shape(config: PreTrainedConfig, checkpoint: str, names: Sequence[str]) -> None:
    """
    Raises:
        UserError: when the checkpoint to resume is of a model of another shape: one of the entries `names` of its
            config differs.
    """
    before = type(config).from_pretrained(checkpoint)
    for name in names:
        if getattr(before, name) != getattr(config, name):
            raise UserError(
                f"{checkpoint}: has {name} {getattr(before, name)}, not {getattr(config, name)}; resume with "
                "the options and the data of the run, or start anew with --overwrite"
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
    with quiet_transformers():
        result = trainer.train(resume_from_checkpoint=checkpoint)
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
    return scores
