"""The folder a training run writes: checkpoints while it goes on, in the end a model with its film catalogue."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from transformers import PreTrainedModel

from data_prep.catalogue import Catalogue
from data_prep.dataset import Histories
from data_prep.errors import UserError
from data_prep.folders import link, new_folder
from training.publish.card import LEARNING_CURVE, ModelCard
from training.publish.record import TrainingRecord
from training.quiet import quiet_transformers


def check_output_folder(folder: Path, *, overwrite: bool = False, resume: bool = False) -> str | None:
    """
    Make sure that nothing will be overwritten by mistake. Changes nothing.

    Returns:
        The checkpoint to go on from, with `resume`.

    Raises:
        UserError: when the folder cannot be written, when it holds something and neither `overwrite` nor `resume` is
            given, when what it holds is no model, or when it has no checkpoint to resume.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; --output-dir wants a folder")
    nearest = next(place for place in (folder, *folder.resolve().parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UserError(f"{folder}: cannot be written, as {nearest} cannot; name another --output-dir")
    checkpoint = last_checkpoint(folder)
    if resume and checkpoint is None:
        raise UserError(f"{folder}: no checkpoint to resume; leave out --resume to start anew")
    if resume:
        return checkpoint
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            choices = "--overwrite to replace it" + (" or --resume to go on" if checkpoint else "")
            raise UserError(f"{folder}: is not empty; add {choices}, or name another folder")
        ours = (folder / "config.json").is_file() and (folder / "catalogue").is_dir()
        if checkpoint is None and not ours:
            raise UserError(
                f"{folder}: holds something that is no model, so it is not overwritten; name another folder"
            )
    return None


def last_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end: of one that was not, the trainer's state is missing."""
    whole = [state.parent for state in folder.glob(f"checkpoint-*/{LEARNING_CURVE}")]
    steps = {int(number): path for path in whole if (number := path.name.removeprefix("checkpoint-")).isdigit()}
    return str(steps[max(steps)]) if steps else None


def claim_output_folder(folder: Path) -> None:
    """
    Make the folder, without the checkpoints of an earlier run.

    Raises:
        UserError: when it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for checkpoint in folder.glob("checkpoint-*"):
            shutil.rmtree(checkpoint)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})") from error


def rating_histogram(histories: Histories, num_films: int) -> np.ndarray:
    """How often each rating was given to each film: `(num_films, 10)` float32."""
    cells = histories.film_indices.astype(np.int64) * 10 + histories.ratings - 1
    return np.bincount(cells, minlength=num_films * 10).reshape(num_films, 10).astype(np.float32)


def not_finite(weights: Mapping[str, torch.Tensor]) -> str | None:
    """The name of the first of the weights that has something else than numbers in it."""
    floating = ((name, weight) for name, weight in weights.items() if weight.is_floating_point())
    return next((name for name, weight in floating if not torch.isfinite(weight).all()), None)


class Saveable(Protocol):
    """What writes itself into a folder: models, adapters, tokenizers."""

    def save_pretrained(self, save_directory: Any) -> Any: ...


def save_model(
    model: PreTrainedModel,
    catalogue: Catalogue,
    folder: Path,
    record: TrainingRecord,
    *,
    state_dict: dict[str, Any] | None = None,
    beside: Mapping[str, Saveable] | None = None,
    keep_checkpoints: bool = False,
) -> None:
    """
    Put a folder with the model, its catalogue and its card in the place of `folder`, all at once: a run that is killed
    leaves the old one or the new one. The learning curve and TensorBoard's logs are kept, checkpoints where
    `keep_checkpoints` says so.

    Args:
        model (`PreTrainedModel`): the model.
        catalogue (`Catalogue`): its films.
        folder (`Path`): where to.
        record (`TrainingRecord`): how the model came about, for its card.
        state_dict (`dict`, *optional*): the weights, where the model's own are shared out over processes.
        beside (`dict`, *optional*): what else belongs to the model, by the path in the folder that it is saved to.
        keep_checkpoints (`bool`): whether checkpoints in `folder` stay.

    Raises:
        UserError: when the disk is full, the place cannot be written, or weights are no numbers any more.
    """
    if name := not_finite(model.state_dict() if state_dict is None else state_dict):
        raise UserError(f"{folder}: not saved, as training has diverged ({name}); lower --learning-rate")
    folder = folder.resolve()
    model.config.catalogue_digest = catalogue.digest
    with new_folder(folder) as building:
        with quiet_transformers():
            model.save_pretrained(building, state_dict=state_dict)
            for place, part in (beside or {}).items():
                part.save_pretrained(building / place)
        catalogue.save(building)
        record.save(building)
        if (folder / LEARNING_CURVE).is_file():
            shutil.copy2(folder / LEARNING_CURVE, building)
        if (folder / "runs").is_dir():  # TensorBoard, which goes on writing to the files that it has open
            shutil.copytree(folder / "runs", building / "runs", copy_function=link)
        (building / "README.md").write_text(ModelCard.of(building, catalogue).render(), encoding="utf-8")
        if keep_checkpoints:
            for checkpoint in folder.glob("checkpoint-*"):
                shutil.copytree(checkpoint, building / checkpoint.name)
