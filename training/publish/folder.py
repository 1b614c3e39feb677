"""A model's folder on its way to the Hub: which files travel, the card they get, and the commit."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from data_prep.building.card import CARD_TAG
from data_prep.errors import UserError
from data_prep.publish.hub import check_no_place, check_repo_id, push_files
from training.publish.card import LEARNING_CURVE, ModelCard, read_learning_curve
from training.publish.figures import draw_card_figures
from training.publish.record import TRAINING_RECORD
from training.publish.results import REPORT, Results

CARD = "README.md"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
# Patterns of the files that travel as they are; the card, the report and the learning curve are made anew.
TRAVELLING = (
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "*.py",
    "tokenizer*.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    TRAINING_RECORD,
    "catalogue/*",
    "adapter/*.json",
    "adapter/*.safetensors",
)
REMEDY = "take it out of that file"
TEXTS = (".json", ".py", ".md", ".txt")
FOLDERS = ("catalogue", "figures", "adapter")


@dataclass
class Published:
    """
    Args:
        url (`str`): the repository's address.
        revision (`str`): the sha of the commit.
        tag (`str`): its git tag, which the card's examples pin.
        evaluated (`bool`): whether the card has numbers.
    """

    url: str
    revision: str
    tag: str
    evaluated: bool


def publish_model(
    folder: Path,
    repo_id: str,
    *,
    report: Path | None = None,
    private: bool = False,
    licence: str = "other",
    message: str | None = None,
    token: str | None = None,
) -> Published:
    """
    Check a model's folder and publish it, in one commit.

    Args:
        folder (`Path`): as `reel train` wrote it.
        repo_id (`str`): `user/name`.
        report (`Path`, *optional*): of `reel evaluate`; report.json in the folder where there is one.
        private (`bool`): make the repository private.
        licence (`str`): the Hub's id of a licence.
        message (`str`, *optional*): of the commit.
        token (`str`, *optional*): of the account; the one that is logged in when None.

    Raises:
        UserError: when the folder is no model or lacks something, the report does not tell of it, a file names a
            place on this machine, or the Hub refuses.
    """
    check_repo_id(repo_id)
    card = card_of(folder, repo_id=repo_id, licence=licence, report=report)
    with tempfile.TemporaryDirectory() as drawn:
        files, tag = model_files(folder, card, Path(drawn))
        url, revision = push_files(
            repo_id,
            files,
            kind="model",
            folders=FOLDERS,
            message=message or f"{card.title}, {card.films:,} films, {card.record.ratings:,} training ratings",
            tag=CARD_TAG,
            private=private,
            version=tag,
            token=token,
        )
    return Published(url, revision, tag, evaluated=card.results is not None)


def card_of(folder: Path, *, repo_id: str, licence: str, report: Path | None = None) -> ModelCard:
    """The card of a folder that is to be published, still without figures and revision; arguments as in
    `publish_model`."""
    if report is None and (folder / REPORT).is_file():
        report = folder / REPORT
    results = Results.read(report, folder) if report is not None else None
    return ModelCard.of(folder, repo_id=repo_id, licence=licence, results=results)


def model_files(folder: Path, card: ModelCard, drawn: Path) -> tuple[dict[str, Path | bytes], str]:
    """
    Everything that travels, by its path in the repository, and the git tag that it gets.

    Args:
        folder (`Path`): the model.
        card (`ModelCard`): its card, without figures and revision.
        drawn (`Path`): a folder for the figures, which are read from there when they are sent.

    Raises:
        UserError: when a file is missing, or names a place on this machine.
    """
    files: dict[str, Path | bytes] = {**travelling_files(folder)}
    curve = read_learning_curve(folder)
    if curve is not None:
        files[LEARNING_CURVE] = json.dumps(curve, indent=1).encode()
    if card.results is not None:
        files[REPORT] = (json.dumps(card.results.report, indent=1, allow_nan=False) + "\n").encode()
    figures = draw_card_figures(card.results, curve, drawn)
    files |= {f"figures/{name}": drawn / name for name in figures}
    card = replace(card, figures=figures)
    tag = "reel-" + _digest(files | {CARD: replace(card, revision="").render().encode()})
    files[CARD] = replace(card, revision=tag).render().encode()
    for name, content in files.items():
        if isinstance(content, bytes):
            check_no_place(content.decode(), f"{folder}: {name}", folder, REMEDY)
    return files, tag


def travelling_files(folder: Path) -> dict[str, Path]:
    """
    The files of a model's folder that travel as they are, by their path in it.

    Raises:
        UserError: when one is missing, or names a place on this machine.
    """
    files = {
        path.relative_to(folder).as_posix(): path
        for pattern in TRAVELLING
        for path in sorted(folder.glob(pattern))
        if path.is_file()
    }
    if "config.json" not in files:
        raise UserError(f"{folder}: no model there (no config.json); train one with `reel train`")
    if not any(name in files for name in WEIGHTS):
        raise UserError(f"{folder}: no model.safetensors there; train the model again")
    if not any(name.startswith("modeling_") for name in files):
        raise UserError(f"{folder}: no code of the model there (modeling_*.py); train the model again")
    for name, path in files.items():
        if name.endswith(TEXTS):
            check_no_place(path.read_text(encoding="utf-8"), str(path), folder, REMEDY)
    return files


def _digest(files: Mapping[str, Path | bytes]) -> str:
    """A hash of the names and contents of files."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        if isinstance(content, bytes):
            hashed = hashlib.sha256(content)
        else:
            with content.open("rb") as file:
                hashed = hashlib.file_digest(file, "sha256")
        digest.update(f"{name}\0{hashed.hexdigest()}\0".encode())
    return digest.hexdigest()[:12]
