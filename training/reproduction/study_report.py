"""The study of DeepFM's overfitting as a document: tables with intervals and pictures, written from runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.errors import UserError
from data_prep.folders import new_file
from training.reproduction.attribution import SIDES, Estimate, attribution
from training.reproduction.deepfm_runs import Run
from training.reproduction.experiments import accuracy, gap_interval, mean_interval

DOCUMENT = "deepfm-overfitting.md"
RIDGE = "user mean + ridge, with crowd"

# What may make the paper's DeepFM fail, and how a model that has it differs from one that has not.
CHARACTERS, SHIFTED, UNSCALED, NO_PRIORS = "characters", "shifted rows", "unscaled numbers", "no priors"
CAUSES = {
    CHARACTERS: "genres, countries and languages are told by the characters of their lists, not by their values",
    SHIFTED: "most films have the features of another film",
    UNSCALED: "popularity, minutes and votes go in as they are, hundreds beside zeros and ones",
    NO_PRIORS: "users' vectors begin large, and nothing pulls them or the weights of film features to zero",
}


def named(causes: Iterable[str]) -> str:
    """The name of a combination of causes."""
    causes = set(causes)
    return ", ".join(cause for cause in CAUSES if cause in causes) or "none of them"


PUBLISHED, CLEAN, CORRECT, CURED = named(CAUSES), named([NO_PRIORS]), named([UNSCALED, NO_PRIORS]), "cured"
CURVES = (PUBLISHED, CORRECT, CLEAN, named([]), CURED)  # the variants whose curves are drawn
# What the rows of a table are compared with, and what the table is about.
HEADINGS = {
    "causes": (PUBLISHED, "Every combination of the causes; the first row is the model as published."),
    "features": (
        CLEAN,
        "Correct features, scaled, nothing held back; and the same without the embeddings of title and overview.",
    ),
    "user vectors": (CLEAN, "Vectors of 64 in the first row."),
    "parts": (CLEAN, "All three parts in the first row."),
    "held back": (CLEAN, "Nothing in the first row; below, one thing at a time."),
    "cured": (CURED, "The cured model, and one thing of it taken away or changed at a time."),
}


@dataclass
class Row:
    """
    A variant.

    Args:
        size: of its splits, by name.
        heading: of the table it belongs to.
        name: its own.
        runs: one for every split that is there.
        baselines: on the same splits.
        causes: which it has, where it is one of the combinations.
        ridge: the baseline that it is held against.
    """

    size: str
    heading: str
    name: str
    runs: list[Run]
    baselines: list[Run]
    causes: frozenset[str] | None = None
    ridge: str = RIDGE

    @property
    def train(self) -> float:
        """Mean accuracy on training ratings."""
        return _mean([run["train"] for run in self.runs])

    @property
    def test(self) -> float:
        """Mean accuracy on films not seen."""
        return _mean(self.runs)

    @property
    def gap(self) -> Estimate:
        """What lies between the two."""
        return Estimate(self.train - self.test, *gap_interval([run["train"] for run in self.runs], self.runs))

    @property
    def against_ridge(self) -> Estimate:
        """Difference to the ridge regression on new films, paired."""
        return _difference(self.runs, [baselines[self.ridge] for baselines in self.baselines])

    def against(self, other: Row) -> Estimate:
        """Difference to another variant on new films, paired, on the splits that both were run on."""
        theirs = {run["seed"]: run for run in other.runs}
        shared = [run for run in self.runs if run["seed"] in theirs]
        return _difference(shared, [theirs[run["seed"]] for run in shared])


def _mean(answers: Sequence[Run]) -> float:
    return float(np.mean([accuracy(answer) for answer in answers]))


def _difference(answers: Sequence[Run], others: Sequence[Run]) -> Estimate:
    return Estimate(_mean(answers) - _mean(others), *mean_interval(answers, others))


def write_report(rows: Sequence[Row], folder: Path) -> list[Path]:
    """
    Write the document and its pictures.

    Args:
        rows: all variants that were run, in order.
        folder: gets `DOCUMENT` and `images/`.

    Returns:
        The files written.

    Raises:
        UserError: there is no run.
    """
    if not rows:
        raise UserError("no run of the study is there yet")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    text, written = [_INTRODUCTION], []
    for size in dict.fromkeys(row.size for row in rows):
        parts, pictures = _size(size, [row for row in rows if row.size == size], folder / "images")
        text += parts
        written += pictures
    document = folder / DOCUMENT
    with new_file(document) as building:
        building.write_text("\n".join(text), encoding="utf-8")
    return [document, *written]


def _size(size: str, rows: Sequence[Row], images: Path) -> tuple[list[str], list[Path]]:
    """What the runs at one size of the splits show, and its pictures."""
    counts = sorted({len(row.runs) for row in rows})
    epochs = next(len(row.runs[0]["curve"]) for row in rows)
    words = re.sub(r"\W+", "_", size)
    text = [
        f"## {size}\n",
        f"Splits by film behind a row: {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))}. Passes over "
        f"the training ratings: {epochs}; of the cured model {_epochs(rows, CURED)}.\n",
    ]
    written = []
    combinations = [row for row in rows if row.causes is not None]
    found = attribution({row.causes: row.runs for row in rows if row.causes is not None})
    if shares := {cause: found[cause] for cause in CAUSES if cause in found}:
        picture = images / f"deepfm_causes_{words}.png"
        _draw_shares(shares, picture)
        written.append(picture)
        text += [_told(shares, combinations), f"![What each cause does, {size}](images/{picture.name})\n"]
    if drawn := [row for row in rows if row.name in CURVES]:
        picture = images / f"deepfm_curves_{words}.png"
        _draw_curves(drawn, rows[0].baselines, picture)
        written.append(picture)
        text.append(f"![Accuracy after every epoch on training and on test ratings, {size}](images/{picture.name})\n")
    for heading in dict.fromkeys(row.heading for row in rows):
        base, words = HEADINGS[heading]
        compared = next((row for row in rows if row.name == base), None)
        below = [row for row in rows if row.heading == heading]
        if compared is not None and compared not in below:
            below = [compared, *below]
        text += [f"### {heading.capitalize()}\n", f"{words}\n", _table(below, compared)]
    return [*text, _baselines(rows[0].baselines)], written


def _epochs(rows: Sequence[Row], name: str) -> str:
    return next((str(len(row.runs[0]["curve"])) for row in rows if row.name == name), "not run")


_INTRODUCTION = """# Why DeepFM failed on new films, and what cures it

Written by `python benchmarks/deepfm_study.py --data DIR --out DIR --docs docs`; every number is from its runs.

The paper's first system reached 52 to 57 % on films that it had not seen, and up to 99 % on its training ratings. The
split is by film: test films are unseen, test users are known; headings give training/test films. *train* and *test*
are the accuracies of the reward (a rating of 7 or more) on training ratings and on new films; *gap* is what lies
between them. *change* is the paired difference on new films to the row that the table compares with, *against ridge*
that to the user's mean rating plus a ridge regression on correct film features, without the crowd's numbers where the
variant has none. In brackets: 95 % intervals, by bootstrap over splits and the films in them.
"""


def _told(shares: Mapping[str, Mapping[str, Estimate]], rows: Sequence[Row]) -> str:
    """What explains the gap, in words and numbers, from the runs themselves."""
    most, least = max(rows, key=_num_causes), min(rows, key=_num_causes)
    sentences = [
        f"As published, the model is right on {most.train:.1%} of its training ratings and on {most.test:.1%} of the "
        f"ratings of new films, a gap of {most.gap:.1%}; against ridge {most.against_ridge:+.1%}. Causes that it may "
        "have:\n",
        *(f"- *{cause}*: {CAUSES[cause]}" for cause in shares),
        "",
        f"Every combination of them was trained ({len(rows)} models a split). A cause's share is what it changes, "
        "averaged over all orders in which the causes can be added (its Shapley value); so the shares add up to the "
        "difference between the first and the last row.\n",
        "| | train | test | gap |",
        "|---|---|---|---|",
        f"| with {least.name} | {least.train:.3f} | {least.test:.3f} | {least.gap:+.3f} |",
        *(f"| {cause} | " + " | ".join(f"{shares[cause][side]:+.3f}" for side in SIDES) + " |" for cause in shares),
        f"| with {most.name} | {most.train:.3f} | {most.test:.3f} | {most.gap:+.3f} |",
        "",
        _verdict("The gap is made by", "gap", shares, 1),
        _verdict("New films lose by", "test", shares, -1),
        "",
    ]
    return "\n".join(sentences)


def _num_causes(row: Row) -> int:
    return len(row.causes or ())


def _verdict(opening: str, side: str, shares: Mapping[str, Mapping[str, Estimate]], sign: int) -> str:
    """Which causes have a clear share, the largest first, which have one the other way, and which have none."""
    ordered = sorted(shares, key=lambda cause: -sign * shares[cause][side].value)

    def told(wanted: int) -> str:
        chosen = [cause for cause in ordered if shares[cause][side].sign == wanted]
        return ", ".join(f"*{cause}* ({shares[cause][side]:+.1%})" for cause in chosen)

    sentences = [f"{opening} {told(sign) or 'none of them clearly'}."]
    if against := told(-sign):
        sentences.append(f"The other way: {against}.")
    if unclear := told(0):
        sentences.append(f"Not clearly different from nothing: {unclear}.")
    return " ".join(sentences)


def _table(rows: Sequence[Row], base: Row | None) -> str:
    lines = ["| variant | train | test | gap | change | against ridge |", "|---|---|---|---|---|---|"]
    for row in rows:
        test = Estimate(row.test, *mean_interval(row.runs))
        change = "" if base is None or row is base else f"{row.against(base):+.3f}"
        lines.append(
            f"| {row.name} | {row.train:.3f} | {test:.3f} | {row.gap:+.3f} | {change} | {row.against_ridge:+.3f} |"
        )
    return "\n".join([*lines, ""])


def _baselines(splits: Sequence[Mapping[str, Run]]) -> str:
    lines = ["### Baselines\n", "| baseline | test |", "|---|---|"]
    lines.append(
        f"| the paper's, an oracle: it looks at the answers | {np.mean([s['oracle_test'] for s in splits]):.3f} |"
    )
    for name in (name for name, answer in splits[0].items() if isinstance(answer, dict)):
        answers = [split[name] for split in splits]
        lines.append(f"| {name} | {Estimate(_mean(answers), *mean_interval(answers)):.3f} |")
    return "\n".join([*lines, ""])


def _draw_shares(shares: Mapping[str, Mapping[str, Estimate]], picture: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1 + 0.7 * len(shares)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, (side, label) in enumerate(SIDES.items()):
        estimates = [shares[cause][side] for cause in shares]
        values = np.array([estimate.value for estimate in estimates])
        errors = [values - [e.low for e in estimates], [e.high for e in estimates] - values]
        places = np.arange(len(shares)) + 0.25 * number
        axes.barh(places, 100 * values, 0.22, xerr=100 * np.maximum(errors, 0), label=label, color=f"C{number}")
    axes.set_yticks(np.arange(len(shares)) + 0.25, list(shares))
    axes.invert_yaxis()
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set(xlabel="what the cause changes, points of reward accuracy")
    axes.legend(fontsize="small")
    _save(figure, picture)


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
    ridge = _mean([split[RIDGE] for split in baselines])
    axes.axhline(ridge, color="grey", linestyle=":", label="user mean + ridge, test")
    axes.set(xlabel="epoch", ylabel="accuracy of the reward", xscale="log")
    figure.legend(fontsize="small", loc="outside lower center", ncols=2)
    _save(figure, picture)


def _save(figure, picture: Path) -> None:
    with new_file(picture) as building:
        figure.savefig(building, format="png", dpi=120)
