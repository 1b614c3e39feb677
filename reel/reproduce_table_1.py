"""The paper's table 1: reward accuracy of DeepFM on films it has and has not seen, beside honest baselines.

    reel reproduce table-1 --data data/letterboxd --out outputs/table_1

Films are split, as the paper has it: test films are unseen, test users are known. The paper's configurations are
trained on its features, faults and all, and stand beside its numbers; then come the baselines, and a DeepFM with
correct features and priors that hold its weights back. Two more tables tell of DeepFM where films are known: unseen
ratings of training users, and unseen users.

Every run is a JSON file in OUT/runs; what is there is not made again. `training/reproduction/table_1.py` says how the
splits are drawn.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.answers import print_tables
from data_prep.errors import CommandParser, UserError
from data_prep.folders import new_file
from reel.report_tables import with_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table

    from training.reproduction.experiments import Laboratory
    from training.reproduction.table_1 import Plan

PIPE_WIDTH = 160  # columns of a table where stdout is no terminal
ROWS = ("30/0", "500/100", "1000/125", "9000/1000")
KNOWN = "known-films"

Row = dict[str, Any]


def main(arguments: Sequence[str]) -> None:
    """Run `reel reproduce table-1`.

    Raises:
        UserError: an argument or the data set is wrong.
    """
    options = _parser().parse_args(arguments)
    for name, least in (("seeds", 1), ("epochs", 1), ("users", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise UserError(f"--{name} {value}: must be {least} or more")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {options.out}: no folder can be made there ({error.strerror})") from error
    report = _measure(options)
    file = options.out / "table_1.json"
    with new_file(file) as building:
        building.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(f"wrote {file}", file=sys.stderr)
    print_report(report)


def _measure(options: argparse.Namespace) -> Row:
    from training.reproduction.experiments import Laboratory
    from training.reproduction.table_1 import Plan, table_1

    laboratory = Laboratory(options.data, options.out / "runs")
    plan = Plan(options.rows, options.seeds, options.epochs, faults=not options.correct_features)
    with _progress(laboratory, plan) as advance:
        report = table_1(laboratory, plan, advance)
    if not options.films_only:
        report["known_films"] = laboratory.kept(
            KNOWN, {"users": options.users}, partial(_known_films, laboratory, options.users)
        )
    return report


@contextmanager
def _progress(laboratory: Laboratory, plan: Plan) -> Iterator[Callable[[], None]]:
    """A bar on stderr over the epochs that are to be made."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    epochs = sum(run.settings.epochs for run in plan.experiments() if not laboratory.is_kept(run))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield partial(bar.advance, bar.add_task("epochs", total=epochs))


def _known_films(laboratory: Laboratory, max_users: int | None) -> Row:
    """DeepFM where films are known: on unseen ratings of training users, and on unseen users."""
    from data_prep.dataset import load_histories
    from reel.evaluate import scoring_progress
    from reel.recommender import Recommender
    from training.cases import ProtocolCases, plan_lengths
    from training.evaluation import evaluate
    from training.reproduction.experiments import Features
    from training.reproduction.known_films import score_warm, train_on_known_films

    print("films that are known: training DeepFM, computing film mean, shrunk bias and ALS", file=sys.stderr)
    validation = load_histories(laboratory.data, "validation")
    known = train_on_known_films(laboratory.pairs, validation, laboratory.features(Features()), seed=0)
    catalogue = laboratory.catalogue
    models = {name: Recommender(model, catalogue) for name, model in known.models.items()}
    test = load_histories(laboratory.data, "test")
    cases = ProtocolCases(test, catalogue.film_ids, seed=0, max_users=max_users)
    plan = plan_lengths(cases.room)
    scored = sum(len(cases.users_with_room(length)) for length in plan.all) * cases.target_ratings.shape[1]
    with scoring_progress(scored * len(models)) as advance:
        unseen = evaluate(models, cases, plan, advance=advance)
    warm = score_warm(known, seed=0)
    return {"warm": warm, "unseen_users": unseen}


def print_report(report: Row) -> None:
    """Print the tables."""
    tables = [_films_table(report)]
    if known := report.get("known_films"):
        tables += [_warm_table(known["warm"]), _unseen_table(known["unseen_users"])]
    print_tables(tables, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    print(
        "In brackets: 95 % intervals, by bootstrap over splits and films, or over users. * the difference's interval "
        "excludes zero. In parentheses: as published. oracle: the paper's baseline, the film's majority among the "
        "very ratings that are scored, which no model can know."
    )


def _films_table(report: Row) -> Table:
    table = _new_table("Reward accuracy by split of films (training/test)", "split", "what", "train", "test")
    for row in report["rows"]:
        split = f"{row['split']}, {row['users']:,} users, {row['train_ratings']:,} + {row['test_ratings']:,} ratings"
        lines = []
        for epochs in sorted({int(name.split()[1]) for name in row["deepfm"]}):
            cells = [_beside(row["deepfm"], row["paper"], f"{side} {epochs}") for side in ("train", "test")]
            lines.append([f"the paper's DeepFM, {epochs} epochs", *cells])
        oracle = {name.removeprefix("oracle_"): value for name, value in row["baselines"].items() if "oracle" in name}
        cells = [f"{oracle[side]['value']:.3f}" if side in oracle else "-" for side in ("train", "test")]
        lines.append([f"oracle ({row['paper']['oracle']:.3f})", *cells])
        for name, value in row["baselines"].items():
            if "low" in value:
                lines.append([name, "-", with_interval(value, "value", "{:.3f}")])
        for kind, cured in row["cured"].items():
            test = with_interval(cured["test"], "value", "{:.3f}")
            lines.append([f"cured DeepFM, {kind}", f"{cured['train']:.3f}", test])
            difference = cured["minus_ridge"]
            mark = "*" if difference["better"] else " "
            lines.append(["  minus ridge", "", with_interval(difference, "difference", "{:+.3f}", mark)])
        for number, line in enumerate(lines):
            table.add_row("" if number else split, *line, end_section=number == len(lines) - 1)
    return table


def _beside(ours: Row, published: Row, name: str) -> str:
    """Our accuracy, and the published one in parentheses."""
    if name not in ours:
        return "-"
    return f"{ours[name]:.3f}" + (f" ({published[name]:.3f})" if name in published else "")


def _warm_table(warm: Row) -> Table:
    table = _new_table("Unseen ratings of training users", "model", "cases", "reward accuracy", "RMSE")
    for name, rows in warm["results"].items():
        row = next(row for row in rows if row["sampling"] == "natural")
        cells = (with_interval(row["metrics"][metric], "value", "{:.3f}") for metric in ("reward_accuracy", "rmse"))
        table.add_row(name, f"{row['n']:,}", *cells)
    for name in list(warm["results"])[1:]:
        table.add_row(f"deepfm - {name}", "", *_differences(warm["paired"], name))
    return table


def _unseen_table(unseen: Row) -> Table:
    table = _new_table("Unseen users, all with room", "ratings known", "baseline", "reward accuracy", "RMSE")
    names = [model["name"] for model in unseen["models"]][1:]
    lengths = sorted({row["context_length"] for row in unseen["paired"]})
    for length in lengths:
        for number, name in enumerate(names):
            cells = _differences(unseen["paired"], name, population="all", context_length=length)
            table.add_row("" if number else str(length), f"deepfm - {name}", *cells)
    return table


def _differences(paired: list[Row], baseline: str, **labels: Any) -> list[str]:
    from training.reproduction.known_films import compared

    rows = [compared(paired, baseline, metric, **labels) for metric in ("reward_accuracy", "rmse")]
    return [with_interval(dict(row), "difference", "{:+.3f}", "*" if row["better"] else " ") for row in rows]


def _new_table(title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def _parser() -> CommandParser:
    parser = CommandParser(prog="reel reproduce table-1", description=__doc__)
    parser.add_argument("--data", required=True, metavar="DIR", help="rating data set: a folder or a Hub repository")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the runs and table_1.json")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="splits by film (all)")
    parser.add_argument("--seeds", type=int, default=1, help="splits by film for every row (1)")
    parser.add_argument("--epochs", type=int, default=200, help="of the paper's configurations (200)")
    parser.add_argument("--correct-features", action="store_true", help="the paper's features without their faults")
    parser.add_argument("--films-only", action="store_true", help="leave out the tables where films are known")
    parser.add_argument("--users", type=int, metavar="N", help="score a seeded draw of N unseen users")
    return parser
