"""How a model came about: the facts for its card that neither its config nor its catalogue holds."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from transformers import PreTrainedModel

from data_prep.building.card import DatasetCard
from data_prep.dataset import Histories, is_dataset_folder
from data_prep.errors import UserError

TRAINING_RECORD = "training.json"
FRAMEWORKS = ("reel-recommendations", "transformers", "torch", "accelerate", "datasets", "huggingface_hub", "numpy")

Setting = str | int | float | bool | list[int] | None


@dataclass
class TrainingRecord:
    """
    Args:
        data (`str`): where the ratings come from, in words.
        data_repository (`str`, *optional*): the data set's id, where it was read from the Hub.
        users (`int`): training users.
        ratings (`int`): their ratings.
        weights (`int`): numbers in the model, trained and counted ones.
        origin (`str`): where the weights before training came from, in words.
        base_model (`str`, *optional*): the id on the Hub of the model that training started from.
        hyperparameters (`dict`): the settings that make a difference, by name.
        versions (`dict`): versions of Python and of the packages that trained it, by name.
    """

    data: str
    data_repository: str | None
    users: int
    ratings: int
    weights: int
    origin: str
    base_model: str | None
    hyperparameters: dict[str, Setting]
    versions: dict[str, str]

    @classmethod
    def of(
        cls,
        model: PreTrainedModel,
        data: str,
        histories: Histories,
        hyperparameters: Mapping[str, Setting],
        *,
        origin: str = "from a config",
        base_model: str | None = None,
    ) -> TrainingRecord:
        """
        The record of a run that is about to begin.

        Args:
            model (`PreTrainedModel`): the model.
            data (`str`): the data set, a folder or the id of one on the Hub.
            histories (`Histories`): of its training users.
            hyperparameters (`dict`): the settings that make a difference; those that are None are left out.
            origin, base_model: as in the record.
        """
        folder = Path(data)
        if not folder.exists():
            source, repository = f"the data set {data} on the Hugging Face Hub", data
        else:
            source = DatasetCard.read(folder).source if is_dataset_folder(folder) else "a rating data set"
            repository = None
        return cls(
            data=source,
            data_repository=repository,
            users=len(histories),
            ratings=len(histories.ratings),
            weights=model.num_parameters(),
            origin=origin,
            base_model=base_model,
            hyperparameters={name: value for name, value in hyperparameters.items() if value is not None},
            versions={"python": platform.python_version(), **_versions(FRAMEWORKS)},
        )

    def save(self, folder: Path) -> None:
        """Write it into the folder of its model."""
        from pydantic import TypeAdapter

        (folder / TRAINING_RECORD).write_bytes(TypeAdapter(TrainingRecord).dump_json(self, indent=2) + b"\n")

    @classmethod
    def load(cls, folder: Path) -> TrainingRecord:
        """
        Read what `save` wrote.

        Raises:
            UserError: when there is none, or it is broken.
        """
        from pydantic import TypeAdapter

        path = folder / TRAINING_RECORD
        try:
            return TypeAdapter(cls).validate_json(path.read_bytes())
        except OSError:
            raise UserError(
                f"{path}: no record of its training there; name a folder that `reel train` wrote"
            ) from None
        except ValueError as error:
            raise UserError(f"{path}: broken record of its training ({error}); train the model again") from error


def settings_of(arguments: object, names: Iterable[str] | None = None) -> dict[str, Setting]:
    """
    The named fields of a dataclass of arguments.

    Args:
        arguments: the instance.
        names: which; without, all but those that name files and data.
    """
    if names is None:
        fields = dataclasses.fields(arguments)  # type: ignore[arg-type]
        names = [field.name for field in fields if field.name not in ("data", "output_dir", "pretrained", "overwrite")]
    return {name: getattr(arguments, name) for name in names}


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a Space holds the code, not the installed package
            continue
    return found
