"""
Why does DeepFM fail on films it has not seen, and what cures it? The runs behind docs/deepfm-overfitting.md.

    python benchmarks/deepfm_study.py --data data/letterboxd --out outputs/deepfm_study [--only sweep] [--seeds 3]

Every run is a JSON file of its own in OUT; what is there is not made again, so that the study can be stopped and gone
on with. All variants are run on one split before the next; after each split the document and its pictures are written
from the files: into OUT, or where --docs says.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from data_prep.errors import exit_status
from training.reproduction.deepfm_runs import CURED, CURED_SMALL, LARGE, SIMPLIFIED, Settings
from training.reproduction.experiments import Experiment, Features, Laboratory
from training.reproduction.film_split import SplitSize
from training.reproduction.study_report import (
    CAUSES,
    CHARACTERS,
    NO_PRIORS,
    SHIFTED,
    UNSCALED,
    Row,
    named,
    write_report,
)
from training.reproduction.table_1 import SIZES

CATALOGUE = Features()
KINDS = {"with crowd": CATALOGUE, "without crowd": Features(crowd=False)}  # of features, of the baselines

# Passes over the training ratings of the paper's configurations: enough for training accuracy to leave that of new
# films far behind. `reel reproduce table-1` goes on to 200. The longest are as many as the paper's first row has.
SWEEP_EPOCHS, LARGE_EPOCHS, LONG_EPOCHS = 30, 12, 100
# What holds the paper's large configuration back, in the place of nothing; chosen on films held out of the training
# films of the first split.
PRIORS: dict[str, Any] = {"user_initial_spread": 0.1, "user_penalty": 30.0, "feature_penalty": 40_000.0}


@dataclass(frozen=True)
class Variant:
    """
    What is changed.

    Args:
        heading: of the table it belongs to.
        name: of its row.
        features: of the films.
        settings: of the model and its training.
        causes: which of `CAUSES` it has, where it is one of their combinations.
    """

    heading: str
    name: str
    features: Features
    settings: Settings
    causes: frozenset[str] | None = None


def with_causes(causes: frozenset[str], base: Settings) -> Variant:
    """The paper's model with some of the causes that its failure may have."""
    features = Features(
        paper=True, characters=CHARACTERS in causes, shifted=SHIFTED in causes, scaled=UNSCALED not in causes
    )
    settings = base if NO_PRIORS in causes else base.but(**PRIORS)
    return Variant("causes", named(causes), features, settings, causes)


def combinations(causes: Sequence[str]) -> list[frozenset[str]]:
    """All of them, from all causes to none."""
    return [
        frozenset(some) for number in range(len(causes), -1, -1) for some in itertools.combinations(causes, number)
    ]


def sweep() -> list[Variant]:
    """At 1,000 training and 125 test films: the paper's large configuration with every combination of the causes; and
    from correct and scaled features, which hold nothing back, one thing changed at a time."""
    base, scaled = LARGE.but(epochs=SWEEP_EPOCHS), Features(paper=True)
    variants = [with_causes(causes, base) for causes in combinations(CAUSES)]
    variants += [
        Variant("features", "without text", Features(paper=True, text=False), base),
        Variant("user vectors", "of 1", scaled, base.but(user_size=1)),
    ]
    parts = ("use_linear", "use_pairwise", "use_mlp")
    variants += [
        Variant(
            "parts",
            f"{part.removeprefix('use_')} alone",
            scaled,
            base.but(**{other: other == part for other in parts}),
        )
        for part in parts
    ]
    users, films = ({name: value for name, value in PRIORS.items() if word in name} for word in ("user", "feature"))
    variants += [
        Variant("held back", "dropout .5", scaled, base.but(dropout=0.5)),
        Variant("held back", "weight decay .1", scaled, base.but(weight_decay=0.1)),
        Variant("held back", "prior on user vectors", scaled, base.but(**users)),
        Variant("held back", "prior on features' weights", scaled, base.but(**films)),
        Variant("held back", "early stopping", scaled, base.but(early_stopping=True)),
        Variant("cured", "cured", CATALOGUE, CURED_SMALL),
        Variant("cured", "without text", Features(text=False), CURED_SMALL),
        Variant("cured", "without vote average, vote count, popularity", Features(crowd=False), CURED_SMALL),
        Variant("cured", "published features", Features.as_published(), CURED_SMALL),
        Variant("cured", "with the perceptron", CATALOGUE, CURED_SMALL.but(use_mlp=True)),
        Variant("cured", "without the prior on user vectors", CATALOGUE, CURED_SMALL.but(user_penalty=0.0)),
        Variant("cured", "without the prior on features' weights", CATALOGUE, CURED_SMALL.but(feature_penalty=0.0)),
        Variant("cured", "the reward alone", CATALOGUE, CURED_SMALL.but(head="reward-cross-entropy")),
    ]
    return variants


def large_runs() -> list[Variant]:
    """At 9,000 training and 1,000 test films, the paper's size: the four feature variants and the cured model."""
    base = SIMPLIFIED.but(epochs=LARGE_EPOCHS)
    return [
        *(with_causes(faults | {UNSCALED, NO_PRIORS}, base) for faults in combinations((CHARACTERS, SHIFTED))),
        Variant("cured", "cured", CATALOGUE, CURED),
        Variant("cured", "without vote average, vote count, popularity", Features(crowd=False), CURED),
    ]


def long_runs() -> list[Variant]:
    """The same for as long as the paper's, the cured model too, which has been given few passes."""
    base = SIMPLIFIED.but(epochs=LONG_EPOCHS)
    return [
        *(with_causes(faults | {UNSCALED, NO_PRIORS}, base) for faults in combinations((CHARACTERS, SHIFTED))),
        Variant("cured", "cured", CATALOGUE, CURED.but(epochs=LONG_EPOCHS)),
    ]


def films_runs() -> list[Variant]:
    """At every number of films: as published, and cured."""
    return [
        with_causes(frozenset(CAUSES), LARGE.but(epochs=SWEEP_EPOCHS)),
        Variant("cured", "cured", CATALOGUE, CURED_SMALL),
    ]


# part: (name of the size, with what else sets its runs apart; its variants). The number of films is swept with those
# of 500 and 2,000.
PARTS: dict[str, list[tuple[str, list[Variant]]]] = {
    "sweep": [("1000/125", sweep())],
    "large": [("9000/1000", large_runs())],
    "long": [(f"9000/1000, {LONG_EPOCHS} passes", long_runs())],
    "films": [("500/100", films_runs()), ("2000/250", films_runs())],
}


@dataclass(frozen=True)
class Planned:
    """A variant on splits of one size: a run for every seed."""

    size_name: str
    variant: Variant
    runs: list[Experiment]


def experiments(part: str, seeds: int, epochs: int | None, scale: float) -> list[Planned]:
    """Of a part of the study."""
    found = []
    for size_name, variants in PARTS[part]:
        size = scaled_size(SIZES[size_name.partition(",")[0]], scale)
        for variant in variants:
            settings = variant.settings
            if epochs is not None:
                settings = settings.but(epochs=min(epochs, settings.epochs))
            words = re.sub("[^a-z0-9]+", "-", f"{size_name} {variant.heading} {variant.name}".lower()).strip("-")
            runs = [
                Experiment(f"{part}-{words}-{seed}", size, variant.features, settings, seed) for seed in range(seeds)
            ]
            found.append(Planned(size_name, variant, runs))
    return found


def scaled_size(size: SplitSize, scale: float) -> SplitSize:
    """A split smaller by `scale`, for a quick try."""
    if scale == 1:
        return size
    counts = (size.train_films, size.test_films, size.users, size.train_ratings, size.test_ratings)
    return SplitSize(*(None if count is None else max(2, round(count * scale)) for count in counts))  # type: ignore[arg-type]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="rating data set: a folder or a Hub repository")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--docs", type=Path, help="folder for deepfm-overfitting.md and images/ (default: OUT)")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="parts of the study")
    parser.add_argument("--seeds", type=int, default=3, help="splits by film for every variant (3)")
    parser.add_argument("--epochs", type=int, help="at most so many, for a quick try")
    parser.add_argument("--scale", type=float, default=1.0, help="of the splits, for a quick try (1)")
    parser.add_argument("--variants", nargs="+", metavar="WORD", help="only variants with one of these in their name")
    parser.add_argument("--report", action="store_true", help="make no run: write the document from those there are")
    options = parser.parse_args(arguments)

    laboratory = Laboratory(options.data, options.out / "runs")
    planned = [row for part in options.only for row in experiments(part, options.seeds, options.epochs, options.scale)]
    if options.variants:
        planned = [row for row in planned if any(word in row.variant.name for word in options.variants)]
    if options.report:
        _report(planned, laboratory, options, options.seeds)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    todo = [run for row in planned for run in row.runs if not laboratory.is_kept(run)]
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("epochs", total=sum(run.settings.epochs for run in todo))
        for seed in range(options.seeds):
            for row in planned:
                bar.update(task, description=f"seed {seed}: {row.size_name}, {row.variant.name}")
                laboratory.run(row.runs[seed], partial(bar.advance, task))
            _report(planned, laboratory, options, seed + 1)


def _report(planned: list[Planned], laboratory: Laboratory, options: argparse.Namespace, seeds: int) -> None:
    """Write the document from those runs of the first seeds that are there."""
    rows = []
    for row in planned:
        done = [run for run in row.runs[:seeds] if laboratory.is_kept(run)]
        if done:
            beside = [laboratory.baselines(run.size, run.seed, KINDS) for run in done]
            runs = [laboratory.run(run) for run in done]
            variant = row.variant
            kind = "with crowd" if variant.features.crowd else "without crowd"
            ridge = f"user mean + ridge, {kind}"
            rows.append(Row(row.size_name, variant.heading, variant.name, runs, beside, variant.causes, ridge))
    for file in write_report(rows, options.docs or options.out):
        print(f"wrote {file}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
