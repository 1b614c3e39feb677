"""The paper's table 1: reward accuracy of DeepFM on films it has and has not seen, beside baselines and a cured model.

The paper says how many ratings and users its splits have for 9000/1000 and 1000/125. Our tables have more ratings a
film; those of the other splits are drawn to the same number a film as in 1000/125.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.reproduction import paper
from training.reproduction.deepfm_runs import CURED, CURED_SMALL, LARGE, SIMPLIFIED, Run, Settings
from training.reproduction.experiments import Experiment, Features, Laboratory, accuracy, mean_interval
from training.reproduction.film_split import SplitSize

SIZES = {
    "30/0": SplitSize(30, 0, users=2_999, train_ratings=3_000),
    "500/100": SplitSize(500, 100, users=2_999, train_ratings=16_000, test_ratings=3_200),
    "1000/125": SplitSize(1000, 125, users=2_999, train_ratings=32_000, test_ratings=4_000),
    "2000/250": SplitSize(2000, 250, users=2_999, train_ratings=64_000, test_ratings=8_000),
    "9000/1000": SplitSize(9000, 1000, users=6_280, train_ratings=371_712, test_ratings=40_000),
}
CONFIGURATIONS = {"30/0": LARGE, "500/100": LARGE, "1000/125": LARGE, "9000/1000": SIMPLIFIED}
EPOCHS = (50, 100, 200)  # after which the paper tells of accuracies; its learning rate is constant: one run has all
# The cured model, and which ridge it has to beat: the one on the same features.
CURED_FEATURES = {"with crowd": Features(), "without crowd": Features(crowd=False)}


@dataclass(frozen=True)
class Plan:
    """
    Which runs make the table.

    Args:
        rows: names of `SIZES`.
        seeds: splits by film for every row.
        epochs: of the paper's configurations.
        faults: whether films have the features of the paper's implementation, faults and all; otherwise correct ones.
    """

    rows: Sequence[str] = tuple(CONFIGURATIONS)
    seeds: int = 1
    epochs: int = max(EPOCHS)
    faults: bool = True

    def published(self, row: str) -> list[Experiment]:
        """Of the paper's configuration, a run for every seed."""
        features = Features.as_published() if self.faults else Features(paper=True, scaled=False)
        settings = CONFIGURATIONS[row].but(epochs=self.epochs)
        name = "published" if self.faults else "correct-features"
        return [self._experiment(name, row, features, settings, seed) for seed in range(self.seeds)]

    def cured(self, row: str) -> dict[str, list[Experiment]]:
        """Of the cured model, by the kind of features; none where nothing is held out."""
        if not SIZES[row].test_films:
            return {}
        settings = CURED if CONFIGURATIONS[row] is SIMPLIFIED else CURED_SMALL
        return {
            kind: [
                self._experiment(f"cured-{kind.replace(' ', '-')}", row, features, settings, seed)
                for seed in range(self.seeds)
            ]
            for kind, features in CURED_FEATURES.items()
        }

    def experiments(self) -> list[Experiment]:
        """All of them."""
        found = []
        for row in self.rows:
            found += [*self.published(row), *(run for runs in self.cured(row).values() for run in runs)]
        return found

    def _experiment(self, name: str, row: str, features: Features, settings: Settings, seed: int) -> Experiment:
        return Experiment(f"{row.replace('/', '-')}-{name}-{seed}", SIZES[row], features, settings, seed)


def table_1(laboratory: Laboratory, plan: Plan, advance: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """
    Make the runs that are missing, and the table of all.

    Args:
        laboratory: the data and the folder of runs.
        plan: which runs.
        advance: called after every epoch of a run that is made.

    Returns:
        `rows`: one a split, with `split`, `users`, `train_ratings`, `test_ratings`, the published numbers (`paper`),
        ours after the same epochs (`deepfm`), the `baselines` and the `cured` models; accuracies of unseen films with
        a 95 % interval by bootstrap over splits and films.
    """
    rows = []
    for name in plan.rows:
        runs = [laboratory.run(experiment, advance) for experiment in plan.published(name)]
        baselines = [laboratory.baselines(SIZES[name], seed, CURED_FEATURES) for seed in range(plan.seeds)]
        cured = {
            kind: [laboratory.run(experiment, advance) for experiment in experiments]
            for kind, experiments in plan.cured(name).items()
        }
        rows.append(
            {
                "split": name,
                **{key: runs[0][key] for key in ("users", "train_ratings", "test_ratings")},
                "paper": paper.TABLE_1[name],
                "deepfm": _after_epochs(runs),
                "baselines": _baselines(baselines),
                "cured": {kind: _cured(kind, answers, baselines) for kind, answers in cured.items()},
            }
        )
    return {"data": laboratory.data, "seeds": plan.seeds, "faults": plan.faults, "rows": rows}


def _after_epochs(runs: Sequence[Run]) -> dict[str, float]:
    """Mean accuracies after the epochs that the paper tells of and after the last, by names as in `paper.TABLE_1`."""
    found = {}
    for side in ("train", "test"):
        for epoch in sorted({*EPOCHS, len(runs[0]["curve"])}):
            points = [run["curve"][epoch - 1] for run in runs if len(run["curve"]) >= epoch]
            if points and f"{side}_accuracy" in points[0]:
                found[f"{side} {epoch}"] = float(np.mean([point[f"{side}_accuracy"] for point in points]))
    return found


def _baselines(splits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, first in splits[0].items():
        answers = [split[name] for split in splits]
        found[name] = _with_interval(answers) if isinstance(first, dict) else {"value": float(np.mean(answers))}
    return found


def _with_interval(answers: Sequence[Run]) -> dict[str, float]:
    low, high = mean_interval(answers)
    return {"value": float(np.mean([accuracy(answer) for answer in answers])), "low": low, "high": high}


def _cured(kind: str, runs: Sequence[Run], baselines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Accuracies on both sides, and against the ridge regression on the same features, paired."""
    ridge = [split[f"user mean + ridge, {kind}"] for split in baselines]
    test = _with_interval(runs)
    low, high = mean_interval(runs, ridge)
    difference = test["value"] - float(np.mean([accuracy(answer) for answer in ridge]))
    return {
        "train": float(np.mean([run["curve"][run["epoch"] - 1]["train_accuracy"] for run in runs])),
        "test": test,
        "minus_ridge": {"difference": difference, "low": low, "high": high, "better": low > 0},
    }
