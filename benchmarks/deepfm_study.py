"""
Why does DeepFM fail on films it has not seen, and what cures it? The runs behind docs/deepfm-overfitting.md.

    python benchmarks/deepfm_study.py --data data/letterboxd --out outputs/deepfm_study [--only sweep] [--seeds 3]

Every run is a JSON file of its own in OUT; what is there is not made again, so that the study can be stopped and gone
on with. All variants are run on one split before the next; after each split the document and its pictures are written
from the files: into OUT, or where --docs says.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from data_prep.errors import exit_status
from training.reproduction.deepfm_runs import CURED, LARGE, SIMPLIFIED, Settings
from training.reproduction.experiments import Experiment, Features, Laboratory
from training.reproduction.film_split import SplitSize
from training.reproduction.study_report import Study, write_report
from training.reproduction.table_1 import SIZES

PUBLISHED = Features.as_published()
CORRECT = Features(paper=True, scaled=False)
CATALOGUE = Features()

KINDS = {"with crowd": CATALOGUE, "without crowd": Features(crowd=False)}  # of features, of the baselines

# What is changed: (heading of the table it belongs to, name, features, settings).
Variant = tuple[str, str, Features, Settings]


# Passes over the training ratings of the paper's configurations: enough for training accuracy to leave that of new
# films far behind. `reel reproduce table-1` goes on to 200.
SWEEP_EPOCHS, LARGE_EPOCHS = 30, 12


def sweep() -> list[Variant]:
    """At 1,000 training and 125 test films: the paper's large configuration, and one thing changed at a time."""
    base, cured, scaled = LARGE.but(epochs=SWEEP_EPOCHS), CURED, Features(paper=True)
    variants: list[Variant] = [
        ("features", "as published: characters, shifted rows", PUBLISHED, base),
        ("features", "characters only", Features.as_published(shifted=False), base),
        ("features", "shifted rows only", Features.as_published(characters=False), base),
        ("features", "correct", CORRECT, base),
        ("features", "correct, scaled", scaled, base),
        ("features", "correct, scaled, without text", Features(paper=True, text=False), base),
        ("configuration", "the paper's simplified one, as published", PUBLISHED, SIMPLIFIED.but(epochs=SWEEP_EPOCHS)),
    ]
    variants += [("user vectors", f"of {size}", scaled, base.but(user_size=size)) for size in (1, 16)]
    parts = ("use_linear", "use_pairwise", "use_mlp")
    variants += [
        ("parts", f"{part.removeprefix('use_')} alone", scaled, base.but(**{other: other == part for other in parts}))
        for part in parts
    ]
    small = base.but(user_initial_spread=0.1)
    variants += [
        ("held back", "dropout .5", scaled, base.but(dropout=0.5)),
        ("held back", "weight decay .1", scaled, base.but(weight_decay=0.1)),
        ("held back", "small initial user vectors", scaled, small),
        ("held back", "prior on user vectors", scaled, small.but(user_penalty=10.0)),
        ("held back", "prior on features' weights", scaled, base.but(feature_penalty=150.0)),
        ("held back", "both priors", scaled, small.but(user_penalty=10.0, feature_penalty=150.0)),
        ("held back", "early stopping", scaled, base.but(early_stopping=True)),
        ("cured", "cured", CATALOGUE, cured),
        ("cured", "cured, without text", Features(text=False), cured),
        ("cured", "cured, without vote average, vote count, popularity", Features(crowd=False), cured),
        ("cured", "cured, published features", PUBLISHED, cured),
        ("cured", "cured, with the perceptron", CATALOGUE, cured.but(use_mlp=True)),
        ("cured", "cured, without the prior on user vectors", CATALOGUE, cured.but(user_penalty=0.0)),
        ("cured", "cured, without the prior on features' weights", CATALOGUE, cured.but(feature_penalty=0.0)),
        ("cured", "cured, the reward alone", CATALOGUE, cured.but(head="reward-cross-entropy")),
    ]
    return variants


def large_runs() -> list[Variant]:
    """At 9,000 training and 1,000 test films, the paper's size: the four feature variants and the cured model."""
    named = {
        "as published: characters, shifted rows": PUBLISHED,
        "characters only": Features.as_published(shifted=False),
        "shifted rows only": Features.as_published(characters=False),
        "correct": CORRECT,
    }
    simplified = SIMPLIFIED.but(epochs=LARGE_EPOCHS)
    variants: list[Variant] = [("features", name, features, simplified) for name, features in named.items()]
    return [
        *variants,
        ("cured", "cured", CATALOGUE, CURED),
        ("cured", "cured, without vote average, vote count, popularity", Features(crowd=False), CURED),
    ]


def films_runs() -> list[Variant]:
    """At every number of films: as published, and cured."""
    return [
        ("films", "as published: characters, shifted rows", PUBLISHED, LARGE.but(epochs=SWEEP_EPOCHS)),
        ("films", "cured", CATALOGUE, CURED),
    ]


# part: (name of the size, its variants). The number of films is swept with those of 500 and 2,000.
PARTS: dict[str, list[tuple[str, list[Variant]]]] = {
    "sweep": [("1000/125", sweep())],
    "large": [("9000/1000", large_runs())],
    "films": [("500/100", films_runs()), ("2000/250", films_runs())],
}


def experiments(part: str, seeds: int, epochs: int | None, scale: float) -> list[tuple[str, str, list[Experiment]]]:
    """Of a part of the study: for every variant its heading, its name, and a run for every seed."""
    found = []
    for size_name, variants in PARTS[part]:
        size = scaled_size(SIZES[size_name], scale)
        for heading, name, features, settings in variants:
            if epochs is not None:
                settings = settings.but(epochs=min(epochs, settings.epochs))
            slug = "".join(letter if letter.isalnum() else "-" for letter in name.lower())
            file = f"{part}-{size_name.replace('/', '-')}-{heading.replace(' ', '-')}-{slug}"
            runs = [Experiment(f"{file}-{seed}", size, features, settings, seed) for seed in range(seeds)]
            found.append((f"{size_name}: {heading}", name, runs))
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
    planned = {part: experiments(part, options.seeds, options.epochs, options.scale) for part in options.only}
    if options.variants:
        wanted = {
            part: [row for row in rows if any(word in row[1] for word in options.variants)]
            for part, rows in planned.items()
        }
        planned = {part: rows for part, rows in wanted.items() if rows}
    if options.report:
        _report(planned, laboratory, options, options.seeds)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    todo = [run for rows in planned.values() for _, _, runs in rows for run in runs if not laboratory.is_kept(run)]
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("epochs", total=sum(run.settings.epochs for run in todo))
        for seed in range(options.seeds):
            for _, name, runs in (row for rows in planned.values() for row in rows):
                bar.update(task, description=f"seed {seed}: {name}")
                laboratory.run(runs[seed], partial(bar.advance, task))
            _report(planned, laboratory, options, seed + 1)


def _report(
    planned: dict[str, list[tuple[str, str, list[Experiment]]]],
    laboratory: Laboratory,
    options: argparse.Namespace,
    seeds: int,
) -> None:
    """Write the document from those runs of the first seeds that are there."""
    study = Study(data=options.data)
    for heading, name, runs in (row for rows in planned.values() for row in rows):
        done = [run for run in runs[:seeds] if laboratory.is_kept(run)]
        if done:
            beside = [laboratory.baselines(run.size, run.seed, KINDS) for run in done]
            study.add(heading, name, [laboratory.run(run) for run in done], beside)
    for file in write_report(study, options.docs or options.out):
        print(f"wrote {file}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
