"""What a report of `reel evaluate` says of one model, for its card."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from huggingface_hub import EvalResult

from data_prep.errors import UserError

REPORT = "report.json"  # in a model's folder, and in its repository
METRICS = {
    "rmse": "RMSE",
    "mae": "MAE",
    "reward_accuracy": "Reward accuracy",
    "nll": "NLL",
    "rps": "RPS",
    "ece": "ECE",
    "auc": "AUC",
    "r2": "R²",
}
COMPARED = ("rmse", "reward_accuracy", "nll")  # those that the card gives for the other models too

Row = dict[str, Any]


@dataclass
class Cases:
    """
    One set of cases that all models of a report were scored on.

    Args:
        label (`str`): the history length, in words.
        config (`str`): the same as an identifier.
        split (`str`): the split, as the report has it.
        rows (`dict[str, Row]`): each model's result.
        differences (`dict[str, Row]`): for each other model, this one's RMSE minus its.
    """

    label: str
    config: str
    split: str
    rows: dict[str, Row]
    differences: dict[str, Row]


class Results:
    """
    The part of a report that concerns one model.

    Args:
        report (`dict`): of `reel evaluate`.
        name (`str`): the model's name in it.

    Attributes:
        report: the same without places on the machine that made it: what may be published.
        name: the model's name in it.
        others: names of the models that it was compared with.
        data: name of the data set.
        cases: every set of cases: the curve, longer histories, new films.
    """

    def __init__(self, report: Row, name: str):
        self.report, names = _without_places(report)
        self.name = names[name]
        self.others = [other for other in names.values() if other != self.name]
        self.data: str = self.report["data"]
        self.cases = list(self._all_cases())

    @classmethod
    def read(cls, path: Path, folder: Path) -> Results:
        """
        The results of the model in `folder`, from the report at `path`.

        Raises:
            UserError: when the report cannot be read, or has no such model.
        """
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            models = {model["name"]: model["path"] for model in report["models"]}
            found = [name for name, place in models.items() if Path(place).resolve() == folder.resolve()]
            found = found or [name for name in models if PurePath(name).name == folder.resolve().name]
            if len(found) == 1:
                (scored,) = (model.get("weights") for model in report["models"] if model["name"] == found[0])
                if scored not in (None, weights_digest(folder)):
                    raise UserError(f"{path}: scored other weights than {folder} has now; run `reel evaluate` again")
                return cls(report, found[0])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: no report of `reel evaluate` ({error or type(error).__name__})") from error
        raise UserError(f"{path}: tells of {', '.join(models)}, not of {folder}; evaluate that model")

    def eval_results(self, dataset_type: str) -> list[EvalResult]:
        """The same numbers as the Hub's metadata have them: this model's, and the others' under their names."""
        results = []
        for cases in self.cases:
            for model, row in cases.rows.items():
                own = model == self.name
                for metric in METRICS if own else COMPARED:
                    value = row["metrics"][metric]["value"]
                    if value is None:
                        continue
                    results.append(
                        EvalResult(
                            task_type="tabular-regression",
                            task_name="Rating prediction",
                            dataset_type=dataset_type,
                            dataset_name=f"{self.data}, {cases.label}",
                            dataset_config=cases.config,
                            dataset_split=cases.split,
                            metric_type=metric,
                            metric_name=METRICS[metric] if own else f"{METRICS[metric]} of {model}, for comparison",
                            metric_value=value,
                        )
                    )
        return results

    def _all_cases(self) -> Iterator[Cases]:
        protocol = self.report["protocol"]
        split, users = protocol["split"], protocol["users"]
        for length in protocol["curve_lengths"]:
            yield self._cases(_known(length), f"history-{length}", split, "curve", length)
        for length, number in users["all"].items():
            if int(length) not in protocol["curve_lengths"]:
                label = f"{_known(int(length))} ({number:,} users)"
                yield self._cases(label, f"history-{length}-all-users", split, "all", int(length))
        for length, number in protocol.get("cold", {"cases": {}})["cases"].items():
            if number:
                key = int(length) if length.isdigit() else length
                label = f"a new film, {_known(key) if length.isdigit() else 'the whole history known'}"
                yield self._cases(label, f"new-films-{length}", f"cold_{split}", "all", key)

    def _cases(self, label: str, config: str, split: str, population: str, length: int | str) -> Cases:
        wanted = {"split": split, "population": population, "context_length": length, "sampling": "natural"}
        rows = {model["name"]: _find(model["results"], wanted) for model in self.report["models"]}
        differences = {
            other: _find(self.report["paired"], wanted | {"model": self.name, "baseline": other, "metric": "rmse"})
            for other in self.others
        }
        return Cases(label, config, split, rows, differences)


def weights_digest(folder: Path) -> str | None:
    """A hash of the weights in a model's folder, by which a report knows what it scored; None where there are none."""
    digest = hashlib.sha256()
    files = sorted(folder.glob("model*.safetensors"))
    for path in files:
        with path.open("rb") as file:
            digest.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\0".encode())
    return digest.hexdigest()[:32] if files else None


def _known(length: int) -> str:
    return f"{length:,} rating{'' if length == 1 else 's'} known"


def _find(rows: Sequence[Row], wanted: Row) -> Row:
    for row in rows:
        if all(row[key] == value for key, value in wanted.items()):
            return row
    raise KeyError(f"no row with {wanted}")


def _without_places(report: Row) -> tuple[Row, dict[str, str]]:
    """The report with names in the place of paths, and each model's name in it by its name in `report`."""
    names: dict[str, str] = {}
    for model in report["models"]:
        short = PurePath(model["name"]).name or "model"
        taken = sum(re.sub(r"#\d+$", "", name) == short for name in names.values())
        names[model["name"]] = f"{short}#{taken + 1}" if taken else short
    report = copy.deepcopy(report)
    report["data"] = PurePath(report["data"]).name or "data"
    for model in report["models"]:
        model["path"] = model["name"] = names[model["name"]]
    for row in report["paired"]:
        row |= {"model": names[row["model"]], "baseline": names[row["baseline"]]}
    return report, names
