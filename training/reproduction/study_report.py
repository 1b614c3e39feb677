"""The study of DeepFM's overfitting as a document: tables with intervals, train and test curves, written from runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from data_prep.errors import UserError
from data_prep.folders import new_file
from training.reproduction.deepfm_runs import Run
from training.reproduction.experiments import accuracy, mean_interval

DOCUMENT = "deepfm-overfitting.md"
RIDGE = "user mean + ridge, with crowd"
PUBLISHED, CORRECT, SCALED, CURED = "as published: characters, shifted rows", "correct", "correct, scaled", "cured"
CURVES = (PUBLISHED, CORRECT, SCALED, CURED)  # the variants whose curves are drawn


@dataclass
class Row:
    """A variant: its name, a run for every seed, and the baselines on the same splits."""

    name: str
    runs: list[Run]
    baselines: list[Run]

    @property
    def train(self) -> float:
        """Mean accuracy on training ratings at the epoch taken."""
        return float(np.mean([run["curve"][run["epoch"] - 1]["train_accuracy"] for run in self.runs]))

    @property
    def test(self) -> float:
        """Mean accuracy on films not seen, at the epoch taken."""
        return float(np.mean([accuracy(run) for run in self.runs]))

    def cells(self) -> list[str]:
        """A row of the document's tables."""
        low, high = mean_interval(self.runs)
        ridge = [baselines[RIDGE] for baselines in self.baselines]
        difference = self.test - float(np.mean([accuracy(answer) for answer in ridge]))
        worst, best = mean_interval(self.runs, ridge)
        return [
            self.name,
            f"{self.train:.3f}",
            f"{self.test:.3f} [{low:.3f}, {high:.3f}]",
            f"{self.train - self.test:+.3f}",
            f"{difference:+.3f} [{worst:+.3f}, {best:+.3f}]",
        ]


@dataclass
class Study:
    """What has been run: heading -> its variants, in order."""

    data: str
    tables: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, heading: str, name: str, runs: list[Run], baselines: list[Run]) -> None:
        self.tables.setdefault(heading, []).append(Row(name, runs, baselines))

    def sizes(self) -> dict[str, list[Row]]:
        """All variants by the size of their split."""
        found: dict[str, list[Row]] = {}
        for heading, rows in self.tables.items():
            found.setdefault(heading.split(":")[0], []).extend(rows)
        return found


def write_report(study: Study, folder: Path) -> list[Path]:
    """Write the document and its pictures into `folder`; returns the files."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    if not study.tables:
        raise UserError("no run of the study is there yet")
    text = [_INTRODUCTION]
    written = []
    for size, rows in study.sizes().items():
        picture = images / f"deepfm_curves_{size.replace('/', '_')}.png"
        counts = sorted({len(row.runs) for row in rows})
        text.append(f"## {size} films\n")
        text.append(f"Splits by film behind a row: {' to '.join(map(str, {counts[0]: 0, counts[-1]: 0}))}.\n")
        text.append(_told(rows))
        if drawn := [row for row in rows if row.name in CURVES]:
            _draw_curves(drawn, rows[0].baselines, picture)
            written.append(picture)
            text.append(
                f"![Accuracy after every epoch on training and on test ratings, {size}](images/{picture.name})\n"
            )
        for heading in (heading for heading in study.tables if heading.startswith(f"{size}:")):
            text.append(_table(heading.split(": ")[1], study.tables[heading]))
        text.append(_baselines(rows[0].baselines))
    document = folder / DOCUMENT
    with new_file(document) as building:
        building.write_text("\n".join(text), encoding="utf-8")
    return [document, *written]


_INTRODUCTION = """# Why DeepFM failed on new films, and what cures it

Written by `python benchmarks/deepfm_study.py --data DIR --out DIR --docs docs`; every number is from its runs.

The paper's first system reached 52 to 57 % on films that it had not seen, and up to 99 % on its training ratings. The
split is by film: test films are unseen, test users are known. The tables change one thing at a time. *test* is the
accuracy of the reward (a rating of 7 or more) on unseen films, with a 95 % interval by bootstrap over splits and
films; *gap* is training accuracy less that; *against ridge* is the paired difference to the user's mean rating plus a
ridge regression on correct film features.
"""


# From the published model to the cured one, each step against the one before: what it changes, in plain words.
STEPS = {
    CORRECT: "every film has its own features, and values in the place of characters",
    SCALED: "numbers are scaled, so that vote counts and minutes no longer drown the rest",
    "both priors": "users' vectors and features' weights are held back: what is learned by heart has a price",
    CURED: "also ten ratings with soft labels, no perceptron, few passes at a falling rate",
}


def _told(rows: Sequence[Row]) -> str:
    """What explains the gap, in words, from the runs themselves."""
    by_name = {row.name: row for row in rows}
    if PUBLISHED not in by_name:
        return ""
    before = by_name[PUBLISHED]
    sentences = [
        f"As published, the model is right on {before.train:.1%} of its training ratings and on {before.test:.1%} of "
        "the ratings of new films. Step by step, each against the one before:",
        "",
    ]
    for name, words in STEPS.items():
        if (row := by_name.get(name)) is None:
            continue
        shared = min(len(row.runs), len(before.runs))
        here, there = row.runs[:shared], before.runs[:shared]
        low, high = mean_interval(here, there)
        difference = np.mean([accuracy(run) for run in here]) - np.mean([accuracy(run) for run in there])
        sentences.append(
            f"- *{name}*: {words}. New films {difference:+.1%} [{low:+.1%}, {high:+.1%}], to {row.test:.1%}; training "
            f"{row.train:.1%}."
        )
        before = row
    return "\n".join([*sentences, ""])


def _table(heading: str, rows: Sequence[Row]) -> str:
    lines = [
        f"### {heading.capitalize()}\n",
        "| variant | train | test | gap | against ridge |",
        "|---|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    return "\n".join([*lines, ""])


def _baselines(splits: Sequence[Mapping[str, Run]]) -> str:
    lines = ["### Baselines\n", "| baseline | test |", "|---|---|"]
    lines.append(
        f"| the paper's, an oracle: it looks at the answers | {np.mean([s['oracle_test'] for s in splits]):.3f} |"
    )
    for name in (name for name, answer in splits[0].items() if isinstance(answer, dict)):
        answers = [split[name] for split in splits]
        low, high = mean_interval(answers)
        value = np.mean([accuracy(answer) for answer in answers])
        lines.append(f"| {name} | {value:.3f} [{low:.3f}, {high:.3f}] |")
    return "\n".join([*lines, ""])


def _draw_curves(rows: Sequence[Row], baselines: Sequence[Mapping[str, Run]], picture: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, row in enumerate(rows):
        epochs = min(len(run["curve"]) for run in row.runs)
        for kind, style in (("train", "--"), ("test", "-")):
            curves = [[point[f"{kind}_accuracy"] for point in run["curve"][:epochs]] for run in row.runs]
            axes.plot(
                range(1, epochs + 1), np.mean(curves, axis=0), style, color=f"C{number}", label=f"{row.name}, {kind}"
            )
    ridge = float(np.mean([accuracy(split[RIDGE]) for split in baselines]))
    axes.axhline(ridge, color="grey", linestyle=":", label="user mean + ridge, test")
    axes.set(xlabel="epoch", ylabel="accuracy of the reward", xscale="log")
    axes.legend(fontsize="small")
    with new_file(picture) as building:
        figure.savefig(building, format="png", dpi=120)
