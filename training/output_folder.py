"""The folder a training run writes: checkpoints while it goes on, in the end a model with its film catalogue."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel
from transformers.trainer_utils import get_last_checkpoint

from data_prep.catalogue import Catalogue
from data_prep.dataset import Histories
from data_prep.errors import UserError
from training.quiet import without_bars


def prepare_output_folder(folder: Path, *, overwrite: bool = False, resume: bool = False) -> str | None:
    """
    Make sure that nothing is overwritten by mistake.

    Returns:
        The checkpoint to go on from, with `resume`.

    Raises:
        UserError: when the folder holds something and neither `overwrite` nor `resume` is given, or cannot be made,
        or has no
            checkpoint to resume.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; --output-dir wants a folder")
    if resume:
        checkpoint = get_last_checkpoint(str(folder)) if folder.is_dir() else None
        if checkpoint is None:
            raise UserError(f"{folder}: no checkpoint to resume; leave out --resume to start anew")
        return checkpoint
    if folder.is_dir() and any(folder.iterdir()):
        if not overwrite:
            raise UserError(
                f"{folder}: is not empty; add --overwrite to replace it or --resume to go on, or name another"
            )
        if not any((folder / name).exists() for name in ("config.json", "trainer_state.json")) and not list(
            folder.glob("checkpoint-*")
        ):
            raise UserError(
                f"{folder}: holds something that is no model, so it is not overwritten; name another folder"
            )
        for checkpoint in folder.glob("checkpoint-*"):
            shutil.rmtree(checkpoint)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror})") from error
    return None


def rating_histogram(histories: Histories, num_films: int) -> np.ndarray:
    """How often each rating was given to each film: `(num_films, 10)` float32."""
    cells = histories.film_indices.astype(np.int64) * 10 + histories.ratings - 1
    return np.bincount(cells, minlength=num_films * 10).reshape(num_films, 10).astype(np.float32)


def save_model(model: PreTrainedModel, catalogue: Catalogue, folder: Path) -> None:
    """
    Write a model and its catalogue into `folder`: first all of it beside, then file by file in place, so that a run
    that is killed leaves either the old model or the new one.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as beside:
        with without_bars():
            model.save_pretrained(beside)
        catalogue.save(Path(beside))
        for path in sorted(Path(beside).rglob("*")):
            if path.is_file():
                target = folder / path.relative_to(beside)
                target.parent.mkdir(exist_ok=True)
                os.replace(path, target)
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
