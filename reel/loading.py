"""Models from a folder or from the Hub, whole or with one sentence about what is wrong."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from transformers import AutoModel, PreTrainedModel

from data_prep.errors import UserError
from training.output_folder import not_finite
from training.quiet import quiet_transformers


def load_model(folder: Path) -> PreTrainedModel:
    """The model of a folder with every one of its weights: transformers would draw those that are missing."""
    try:
        with quiet_transformers():
            model, loading = AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are told of below, by name
            )
    except Exception as error:  # no end to what a damaged folder makes of transformers, safetensors and torch
        raise UserError(f"the model's weights cannot be read ({error})") from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if loading[kind]:
            example = min(map(str, loading[kind]))
            raise UserError(f"the weights do not fit config.json ({kind.replace('_', ' ')}, such as {example})")
    if name := not_finite(model.state_dict()):
        raise UserError(f"the weights are no numbers ({name})")
    return model


def from_hub(repo: str, revision: str | None) -> Path:
    """The folder of a snapshot of a model repository, with what a `Recommender` needs of it."""
    try:
        return Path(
            snapshot_download(repo, revision=revision, allow_patterns=["*.json", "*.safetensors", "catalogue/*"])
        )
    except HFValidationError:
        raise UserError(f"{repo}: no such folder; train a model with `reel train`") from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{repo}: no such folder, and the Hub has no such model for you ({reason})") from error
