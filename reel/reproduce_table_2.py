"""The paper's last table: reward accuracy by context length 0..9, for both objectives of its GPT-2, beside baselines.

    reel reproduce table-2 --weighted runs/weighted --unweighted runs/unweighted --data data/letterboxd \\
        --out table-2.json --figures figures

Every model is scored on the same ratings of test users, whom no model has seen, under `stratified` sampling (at most
100 cases per true rating, as the paper did) and at `natural` frequencies. `training/reproduction/table_2.py` says how
the cases are drawn; --figures draws figures 2 to 5 of the paper. Any two saved models will do.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.answers import print_tables
from data_prep.errors import CommandParser, UserError
from data_prep.folders import new_file
from reel.evaluate import new_figures, scoring_progress, strangers, unique_names
from reel.report_tables import with_interval

if TYPE_CHECKING:
    from rich.table import Table

    from data_prep.dataset import Histories
    from training.cases import ProtocolCases
    from training.figures import LearningCurve
    from training.reproduction.table_2 import Table2

SPLIT = "test"
PIPE_WIDTH = 200  # columns of a table where stdout is no terminal
SAMPLINGS = {
    "stratified": "stratified: at most 100 cases per true rating, as in the paper",
    "natural": "natural: ratings as frequent as they are",
}

Row = dict[str, Any]


def main(arguments: Sequence[str]) -> None:
    """Run `reel reproduce table-2`.

    Raises:
        UserError: an argument, a model folder or the data set is wrong.
    """
    options = _parser().parse_args(arguments)
    for name, least in (("users", 1), ("max_cases", 1), ("seed", 0)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise UserError(f"--{name.replace('_', '-')} {value}: must be {least} or more")
    written = [options.out] if options.out is not None else []
    # What is written is begun before the long work, so that a place that cannot be written is told at once.
    with new_file(options.out) if options.out is not None else nullcontext() as building, new_figures(options.figures):
        table = _measure(options)
        if options.figures is not None:
            from training.reproduction.figures import draw_figures

            written += draw_figures(table, _learning_curves(options), options.figures)
        if building is not None:
            building.write_text(json.dumps(table.report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if written:
        print("wrote " + ", ".join(map(str, written)), file=sys.stderr)
    print_report(table.report)


def print_report(report: Row) -> None:
    """Print the table of either sampling."""
    tables = [_table(report, sampling, title) for sampling, title in SAMPLINGS.items()]
    print_tables(tables, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    print(
        "In brackets: 95 % intervals, by bootstrap over users. * the difference's interval excludes zero. "
        "In parentheses: as published."
    )


def _table(report: Row, sampling: str, title: str) -> Table:
    from rich import box
    from rich.table import Table

    from training.reproduction.table_2 import sampled

    names = [model["name"] for model in report["models"]]
    results = {name: sampled(report, name, sampling) for name in names}
    published = report["paper"]
    users = report["protocol"]["users"]
    table = Table(
        title=f"Reward accuracy, {users:,} users; {title}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for column in ("context", "cases"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in (*names, "weighted - unweighted"):
        table.add_column(column)
    differences = {
        row["context_length"]: row
        for row in report["paired"]
        if (row["model"], row["baseline"]) == ("weighted", "unweighted")
        and (row["sampling"], row["metric"]) == (sampling, "reward_accuracy")
    }
    for place, length in enumerate(report["protocol"]["context_lengths"]):
        rows = {name: results[name][place] for name in names}
        cells = {"cases": f"{rows[names[0]]['n']:,}"} | {
            name: with_interval(row["metrics"]["reward_accuracy"], "value", "{:.3f}") for name, row in rows.items()
        }
        if sampling == published["sampling"]:
            cells["cases"] += f" ({published['n'][place]})"
            for name, values in published["reward_accuracy"].items():
                cells[name] += f" ({values[place]:.3f})"
        difference = differences[length]
        mark = "*" if difference["better"] else " "
        table.add_row(str(length), *cells.values(), with_interval(difference, "difference", "{:+.3f}", mark))
    return table


def _measure(options: argparse.Namespace) -> Table2:
    """Load the models, compute the baselines where none are given, and score them all."""
    from data_prep.catalogue import Catalogue
    from data_prep.dataset import load_histories
    from training.reproduction import paper
    from training.reproduction.table_2 import draw_cases, table_2

    paths = _paths(options)
    train = load_histories(options.data, "train")
    test = load_histories(options.data, SPLIT)
    check_unseen(options.data, train, test)
    catalogue = Catalogue.from_dataset(options.data, histories=train)
    cases = _cases(options, test, catalogue.film_ids)

    from modeling.baselines.configuration_rating_baseline import KINDS
    from reel.recommender import Recommender
    from training.baseline import fit

    models = {name: Recommender.from_pretrained(path) for name, path in paths.items()}
    for name in strangers(models, options.data, catalogue.film_ids):
        print(
            f"warning: {paths[name]} was not trained on the training users of {options.data}: "
            "it may have seen the ones scored here",
            file=sys.stderr,
        )
    if not options.baselines:
        validation = load_histories(options.data, "validation")
        print(f"computing the baselines {', '.join(KINDS)}", file=sys.stderr)
        features = catalogue.features.dense(catalogue.film_ids)
        for kind in KINDS:
            models[kind] = Recommender(fit(kind, train, validation, len(catalogue), features=features), catalogue)

    chosen = draw_cases(cases, options.max_cases)
    with scoring_progress(len(chosen) * len(models) * len(paper.CONTEXT_LENGTHS)) as advance:
        table = table_2(models, cases, chosen, split=SPLIT, seed=options.seed, advance=advance)
    table.report["models"] = [
        {"name": model["name"], "path": paths.get(model["name"]), "results": model["results"]}
        for model in table.report["models"]
    ]
    table.report = {"data": options.data} | table.report
    return table


def _paths(options: argparse.Namespace) -> dict[str, str]:
    """The saved models by the names they have in the table."""
    paths = {"weighted": options.weighted, "unweighted": options.unweighted}
    for name, path in zip(unique_names(options.baselines), options.baselines, strict=True):
        if name in paths:
            raise UserError(f"--baselines {path}: {name!r} is the name of an objective's column; rename the folder")
        paths[name] = path
    return paths


def check_unseen(data: str, train: Histories, test: Histories) -> None:
    """
    Raises:
        UserError: a user of `test` is one of `train` too.
    """
    if both := set(train.user_ids) & set(test.user_ids):
        raise UserError(
            f"{data}: {len(both)} of the {len(test)} {SPLIT} users are training users too, such as {min(both)}; "
            "build the data set again with `reel data tables`"
        )


def _cases(options: argparse.Namespace, test: Histories, film_ids: Sequence[str]) -> ProtocolCases:
    from training.cases import NUM_TARGETS, ProtocolCases
    from training.reproduction import paper

    cases = ProtocolCases(test, film_ids, seed=options.seed, max_users=options.users)
    longest = max(paper.CONTEXT_LENGTHS)
    if not len(cases.users_with_room(longest)):
        raise UserError(
            f"{options.data}: none of its {SPLIT} users has {NUM_TARGETS + longest} ratings, which the table needs "
            f"({longest} of context and {NUM_TARGETS} to predict)"
        )
    return cases


def _learning_curves(options: argparse.Namespace) -> dict[str, LearningCurve]:
    """The losses of each objective's training run, where its folder has kept them."""
    from training.reproduction import paper

    curves = {name: _learning_curve(getattr(options, name)) for name in paper.OBJECTIVES}
    for name, curve in curves.items():
        if not curve:
            print(f"note: no learning curve in {getattr(options, name)}: figure 4 is without it", file=sys.stderr)
    return {name: curve for name, curve in curves.items() if curve}


def _learning_curve(model: str) -> LearningCurve:
    from huggingface_hub import try_to_load_from_cache

    from training.publish.card import LEARNING_CURVE

    folder = Path(model).expanduser()
    file = str(folder / LEARNING_CURVE) if folder.is_dir() else try_to_load_from_cache(model, LEARNING_CURVE)
    if not isinstance(file, str):  # the repository on the Hub has none
        return []
    try:
        logged = json.loads(Path(file).read_text(encoding="utf-8"))["log_history"]
        return [(int(entry["step"]), float(entry["loss"])) for entry in logged if "loss" in entry]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _parser() -> CommandParser:
    parser = CommandParser(prog="reel reproduce table-2", description=__doc__)
    for name in ("weighted", "unweighted"):
        parser.add_argument(
            f"--{name}",
            required=True,
            metavar="DIR",
            help=f"model trained with the {name} objective: folder or Hub id",
        )
    parser.add_argument(
        "--baselines",
        nargs="+",
        default=[],
        metavar="DIR",
        help="saved models to stand beside them (default: film mean, shrunk bias and ALS are computed, which takes "
        "minutes for millions of ratings)",
    )
    parser.add_argument("--data", required=True, metavar="DIR", help="rating data set: a folder or a Hub repository")
    parser.add_argument("--users", type=int, metavar="N", help="score a seeded draw of N test users")
    parser.add_argument(
        "--max-cases", type=int, metavar="N", help="score a seeded draw of N of their cases, at every context length"
    )
    parser.add_argument("--seed", type=int, default=0, help="of targets, contexts, draws and resamples (0)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the report, JSON")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="draw the paper's figures 2 to 5 into DIR")
    return parser
