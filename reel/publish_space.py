"""`reel publish space SOURCE REPO_ID`: a Space to the Hugging Face Hub, as one commit.

    reel publish space spaces/movie_recommender user/reel --model user/film-ratings-gpt2
    reel publish space spaces/rating_metrics user/rating_metrics

What goes there: the folder, the packages of the project that it imports, and exact versions of the others. A model on
the Hub is named to the Space by its variable REEL_MODEL; a model folder is put into the Space.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from data_prep.building.card import CARD_TAG
from data_prep.errors import CommandParser, UserError
from data_prep.publish.hub import check_repo_id, claim_repository, hub_errors, push_files
from reel.space_bundle import PACKAGES, make_bundle

MODEL_VARIABLE = "REEL_MODEL"
MODEL_FOLDER = "model"  # in a Space that holds its model
FOLDERS = (*PACKAGES, MODEL_FOLDER)


def main(arguments: Sequence[str]) -> None:
    """The command `reel publish space`."""
    parser = CommandParser(prog="reel publish space", description="A Space to the Hugging Face Hub.")
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="the Space's folder, such as spaces/movie_recommender"
    )
    parser.add_argument("repo_id", metavar="REPO_ID", help="where to, as user/name; made when there is none")
    parser.add_argument(
        "--model",
        metavar="REPO_OR_DIR",
        help="the model it shows: a repository on the Hub, or a folder to put into it",
    )
    parser.add_argument("--private", action="store_true", help="make it private")
    options = parser.parse_args(arguments)
    url, revision = publish_space(options.source, options.repo_id, model=options.model, private=options.private)
    print(f"{url} revision {revision}")


def publish_space(source: Path, repo_id: str, *, model: str | None = None, private: bool = False) -> tuple[str, str]:
    """
    Make a Space's folder whole and publish it.

    Args:
        source (`Path`): the Space's folder.
        repo_id (`str`): `user/name`.
        model (`str`, *optional*): the model it shows, for a Space that shows one: a repository on the Hub or a folder.
        private (`bool`): make the repository private.

    Returns:
        The repository's address and the revision, the sha of the commit.

    Raises:
        UserError: when the folder is no Space's, the model is missing, not wanted or not there, or the Hub refuses.
    """
    check_repo_id(repo_id)
    app = source / "app.py"
    wants_model = app.is_file() and MODEL_VARIABLE in app.read_text(encoding="utf-8")
    if wants_model and model is None:
        raise UserError(f"{source}: this Space shows a model; name it with --model")
    if model is not None and not wants_model:
        raise UserError(f"--model {model}: {source} shows no model; leave it out")
    in_space = model is not None and Path(model).expanduser().is_dir()
    if model is not None and not in_space:
        _check_model(model)
    with tempfile.TemporaryDirectory() as place:
        bundle = Path(place)
        make_bundle(source, bundle, model_repo=None if in_space else model)
        files: dict[str, Path | bytes] = {
            path.relative_to(bundle).as_posix(): path for path in sorted(bundle.rglob("*")) if path.is_file()
        }
        if model is not None and in_space:
            from training.publish.folder import travelling_files

            files |= {
                f"{MODEL_FOLDER}/{name}": path for name, path in travelling_files(Path(model).expanduser()).items()
            }
        claim_repository(repo_id, kind="space", tag=CARD_TAG, private=private)
        if model is not None:
            _set_variable(repo_id, MODEL_FOLDER if in_space else model)
        return push_files(
            repo_id,
            files,
            kind="space",
            folders=FOLDERS,
            message=f"{source.resolve().name}, with the packages it imports",
            tag=CARD_TAG,
            private=private,
        )


def _check_model(model: str) -> None:
    """
    Raises:
        UserError: when the Hub has no model of the project by that name.
    """
    check_repo_id(model)
    with hub_errors(model):
        from huggingface_hub import HfApi

        info = HfApi().model_info(model)
        if CARD_TAG not in (info.tags or ()):
            raise UserError(f"{model}: no model that reel published; `reel publish model DIR {model}` does")


def _set_variable(repo_id: str, model: str) -> None:
    """Tell the Space which model it shows; a Space that runs starts anew."""
    with hub_errors(repo_id):
        from huggingface_hub import HfApi

        HfApi().add_space_variable(repo_id, MODEL_VARIABLE, model)
