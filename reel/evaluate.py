"""Score models on the ratings of people unseen in training, all on the same cases.

    reel evaluate --model runs/film-token runs/shrunk-bias --data runs/letterboxd --out report.json --figures figures

The report (JSON) has every metric with its 95 % interval and every paired difference; RMSE and reward accuracy by
history length are printed too. Histories without an order are also read in several, and the report says by how much
predictions differ. Films that the data set keeps back (`--cold-films`) are scored as split cold_<split>. With
`--policy` the report also says what the models' rankings are worth. `training/cases.py` and `training/policy.py` say
what is measured and for whom, `training/metrics.py` how.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.answers import print_tables
from data_prep.errors import CommandParser, UserError
from data_prep.folders import new_file
from reel.policies import DEFAULT_POLICY_HISTORY, evaluate_policies, policy_cases, print_policies
from reel.report_tables import PIPE_WIDTH, with_interval

if TYPE_CHECKING:
    from rich.table import Table

    from reel.recommender import Recommender
    from training.cases import LengthPlan, ProtocolCases
    from training.cold import ColdTables
    from training.evaluation import Advance

PRINTED_METRICS = {"rmse": "RMSE (lower is better)", "reward_accuracy": "Reward accuracy (higher is better)"}

Row = dict[str, Any]
CasesKey = tuple[str, str, int | str]  # split, population, context length


def main(arguments: Sequence[str]) -> None:
    """Run `reel evaluate`.

    Raises:
        UserError: an argument, a model folder or the data set is wrong.
    """
    options = _parser().parse_args(arguments)
    requested = _context_lengths(options.context_lengths)
    written = [options.out]
    # What is written is begun before the long work, so that a place that cannot be written is told at once.
    with new_file(options.out) as building, new_figures(options.figures):
        report = _report(options, requested)
        if options.figures is not None:
            from training.figures import draw_figures

            written += draw_figures(report, options.figures)
        building.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print("wrote " + ", ".join(map(str, written)), file=sys.stderr)
    print_report(report)
    if "policy" in report:
        print_policies(report["policy"])


def _report(options: argparse.Namespace, requested: Sequence[int] | None) -> Row:
    """Score the models and put together what the file holds."""
    cases, plan, cold = _cases(options, requested)
    paths = dict(zip(unique_names(options.model), options.model, strict=True))
    policy = policy_cases(options, cases, list(paths))
    for note in plan.notes:
        print(f"note: {note}", file=sys.stderr)
    if options.figures is not None and not plan.curve:
        raise UserError("--figures: there is no curve to draw; have lengths of at most 200 in --context-lengths")

    from reel.recommender import Recommender
    from training.cold import evaluate_cold
    from training.evaluation import evaluate
    from training.order_effects import OrderCases
    from training.publish.results import weights_digest

    models = {name: Recommender.from_pretrained(path) for name, path in paths.items()}
    for name in strangers(models, options.data, cases.film_ids.to_pylist()):
        print(
            f"warning: {name} was not trained on the training users of {options.data}: "
            "it may have seen the ones scored here",
            file=sys.stderr,
        )
    run = {"split": options.split, "seed": options.seed}
    ranked = 0 if policy is None else len(policy.candidate_films)
    orders = OrderCases(cases, seed=options.seed)
    with scoring_progress(len(models) * (_count(cases, plan, cold) + len(orders) + ranked)) as advance:
        report = evaluate(models, cases, plan, **run, advance=advance)
        if cold is not None:
            _add_cold(report, evaluate_cold(models, cold, **run, advance=advance))
        spreads = {name: orders.spread(name, model, advance) for name, model in models.items() if len(orders)}
        if policy is not None:
            report["policy"] = evaluate_policies(models, policy, options.data, cases.film_ids, options.seed, advance)
    report["protocol"] |= {"split": options.split, "max_users": options.max_users, "orders": orders.protocol}
    report["models"] = [
        {
            "name": model["name"],
            "path": paths[model["name"]],
            "weights": weights_digest(Path(paths[model["name"]]).expanduser()),
            "results": model["results"],
            "order_effects": spreads.get(model["name"]),
        }
        for model in report["models"]
    ]
    return {"data": options.data} | report


def unique_names(paths: Sequence[str]) -> list[str]:
    """The base name of each model folder or repository, with as many parents as tell them apart.

    >>> unique_names(["runs/film-token", "runs/a/final", "runs/b/final/"])
    ['film-token', 'a/final', 'b/final']
    """
    parts = [Path(os.path.normpath(path) if path.strip("./") else os.path.abspath(path)).parts for path in paths]
    names: list[str] = []
    for own in parts:
        others = [other for other in parts if other != own]
        longest = len(own)
        kept = next((kept for kept in range(1, longest) if all(own[-kept:] != o[-kept:] for o in others)), longest)
        name = "/".join(own[-kept:])
        repeats = sum(taken == name or taken.startswith(f"{name}#") for taken in names)
        names.append(f"{name}#{repeats + 1}" if repeats else name)
    return names


def print_report(report: Mapping[str, Any]) -> None:
    """Print RMSE and reward accuracy of every model by history length, with paired differences beside them."""
    tables = [_table(report, metric, title) for metric, title in PRINTED_METRICS.items()]
    if report["protocol"]["orders"]["users"]:
        tables.append(_order_table(report))
    print_tables(tables, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    print("In brackets: 95 % intervals, by bootstrap over users. * the difference's interval excludes zero.")


def _order_table(report: Mapping[str, Any]) -> Table:
    """What the order of an unordered history changes, for every model."""
    from rich import box
    from rich.table import Table

    orders = report["protocol"]["orders"]
    title = (
        f"Spread over {orders['orders']} orders of the same {orders['context_length']} ratings, "
        f"{orders['users']:,} users without an order (0: the order is not read)"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("model", "expected rating", "P(reward)", "verdicts that change"):
        table.add_column(column, no_wrap=True)
    for model in report["models"]:
        effects = model["order_effects"]
        table.add_row(
            model["name"],
            with_interval(effects["expected_rating"], "value", "{:.3f}"),
            with_interval(effects["reward_probability"], "value", "{:.3f}"),
            f"{effects['changed_rewards']:.1%}",
        )
    return table


def _table(report: Mapping[str, Any], metric: str, title: str) -> Table:
    from rich import box
    from rich.table import Table

    names = [model["name"] for model in report["models"]]
    rivals = names[1:]
    users = report["protocol"]["users"]
    table = Table(
        title=f"{title}, {users['curve']:,} users", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("history", justify="right", no_wrap=True)
    for column in ["model", title.split(" (")[0], *(f"minus {rival}" for rival in rivals)]:
        table.add_column(column, no_wrap=True)
    paired = {
        (row["model"], row["baseline"], row["split"], row["population"], row["context_length"]): row
        for row in report["paired"]
        if (row["sampling"], row["metric"]) == ("natural", metric)
    }
    for label, cases in _printed_cases(report["protocol"]):
        for model in report["models"]:
            row = _find(model["results"], cases)
            differences = [paired.get((model["name"], rival, *cases)) for rival in rivals]
            table.add_row(
                label,
                model["name"],
                with_interval(row["metrics"][metric], "value", "{:.3f}"),
                *("" if row is None else _difference(row) for row in differences),
                end_section=model is report["models"][-1],
            )
            label = ""
    return table


def _printed_cases(protocol: Row) -> list[tuple[str, CasesKey]]:
    """Label and key of the cases that the tables show: the curve, longer histories, new films."""
    split, users = protocol["split"], protocol["users"]
    curve = [(f"{length}", (split, "curve", length)) for length in protocol["curve_lengths"]]
    longer = [
        (f"{number:,} users: {length}", (split, "all", int(length)))
        for length, number in users["all"].items()
        if int(length) not in protocol["curve_lengths"]
    ]
    cold = [
        (f"new films: {length}", (f"cold_{split}", "all", int(length) if length.isdigit() else length))
        for length, number in protocol.get("cold", {"cases": {}})["cases"].items()
        if number
    ]
    return [*curve, *longer, *cold]


def _find(results: Sequence[Row], cases: CasesKey) -> Row:
    wanted = (*cases, "natural")
    keys = ("split", "population", "context_length", "sampling")
    return next(row for row in results if tuple(row[key] for key in keys) == wanted)


def _difference(row: Row) -> str:
    return with_interval(row, "difference", "{:+.3f}", mark="*" if row["better"] else " ")


def strangers(models: Mapping[str, Recommender], data: str, film_ids: Sequence[str]) -> list[str]:
    """Names of the models whose catalogue does not count exactly the ratings of the data set's training users. Films
    without ratings make no difference: some may have been added to the model."""
    import numpy as np

    from data_prep.dataset import load_histories

    counts = np.bincount(load_histories(data, "train").film_indices, minlength=len(film_ids))

    def rated(ids: Sequence[str], counts: Sequence[int]) -> dict[str, int]:
        return {film_id: count for film_id, count in zip(ids, counts, strict=True) if count}

    expected = rated(film_ids, counts.tolist())
    return [
        name
        for name, model in models.items()
        if rated(model.catalogue.film_ids, model.catalogue.films["rating_count"].to_list()) != expected
    ]


def _parser() -> CommandParser:
    parser = CommandParser(prog="reel evaluate", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--model", required=True, nargs="+", metavar="DIR", help="model folders or Hub repositories, baselines last"
    )
    parser.add_argument("--data", required=True, metavar="DIR", help="rating data set: a folder or a Hub repository")
    parser.add_argument("--split", default="test", help="the split whose users are scored (test)")
    parser.add_argument(
        "--context-lengths",
        metavar="K,K...",
        help="history lengths (0,1,2,5,10,20,50,100,200; to 50 where under 30 users have room for 200); those over "
        "200 are scored for all users who have them, apart from the curve",
    )
    parser.add_argument(
        "--policy",
        type=int,
        nargs="?",
        const=DEFAULT_POLICY_HISTORY,
        metavar="K",
        help="also let every model rank all films that a user has rated besides their first K "
        f"({DEFAULT_POLICY_HISTORY}), and say what its top ten are worth",
    )
    parser.add_argument("--max-users", type=int, metavar="N", help="score a seeded draw of N users")
    parser.add_argument("--seed", type=int, default=0, help="of targets, histories and resamples (0)")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="the report, JSON")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="draw the curves and a calibration plot into DIR")
    return parser


def _context_lengths(text: str | None) -> list[int] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if wrong := [part for part in parts if not (part.isascii() and part.isdigit())]:
        raise UserError(f"--context-lengths {text}: {wrong[0]!r} is no number of ratings; write them like 0,5,50")
    return [int(part) for part in parts]


def _cases(
    options: argparse.Namespace, requested: Sequence[int] | None
) -> tuple[ProtocolCases, LengthPlan, ColdTables | None]:
    from data_prep.dataset import load_cold_cases, load_films, load_histories
    from training.cases import NUM_TARGETS, ProtocolCases, plan_lengths
    from training.cold import ColdTables

    if options.max_users is not None and options.max_users < 1:
        raise UserError(f"--max-users {options.max_users}: at least one user is needed")
    if options.seed < 0:
        raise UserError(f"--seed {options.seed}: must be 0 or more")
    film_ids = load_films(options.data)["film_id"].to_list()
    histories = load_histories(options.data, options.split)
    cases = ProtocolCases(histories, film_ids, seed=options.seed, max_users=options.max_users)
    where = f"split {options.split} of {options.data}"
    if not len(cases):
        raise UserError(f"{where}: none of its {len(histories)} users has the {NUM_TARGETS} ratings that are scored")
    plan = plan_lengths(cases.room, requested)
    if not plan.all:
        longest = int(cases.room.max())
        raise UserError(f"--context-lengths {options.context_lengths}: the longest history in {where} is {longest}")
    if not _has_cold_cases(options.data, options.split):
        return cases, plan, None
    cold = load_cold_cases(options.data, options.split)
    return cases, plan, ColdTables(cold, histories, film_ids, seed=options.seed, users=cases.user_ids)


def _has_cold_cases(data: str, split: str) -> bool:
    """Whether the data set, which has been read already, was built with films kept back."""
    import datasets

    folder = Path(data).expanduser()
    name = str(folder.resolve()) if folder.exists() else data
    configs = datasets.get_dataset_config_names(name)
    return "cold_cases" in configs and split in datasets.get_dataset_split_names(name, "cold_cases")


def _add_cold(report: Row, cold: Row) -> None:
    for model in report["models"]:
        model["results"] += cold["results"][model["name"]]
    report["paired"] += cold["paired"]
    report["protocol"]["cold"] = cold["protocol"]


def _count(cases: ProtocolCases, plan: LengthPlan, cold: ColdTables | None) -> int:
    """How many cases one model is scored on."""
    from training.cases import NUM_TARGETS
    from training.cold import CONTEXT_LENGTHS

    number = NUM_TARGETS * sum(len(cases.users_with_room(length)) for length in plan.all)
    return number + (sum(len(cold.with_room(length)) for length in CONTEXT_LENGTHS) if cold is not None else 0)


@contextmanager
def scoring_progress(total: int) -> Iterator[Advance]:
    """A bar on stderr over the cases that are to be scored."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("scoring", total=total)
        yield lambda model, num_cases: progress.update(task, advance=num_cases, description=f"scoring {model}")


@contextmanager
def new_figures(folder: Path | None) -> Iterator[None]:
    """Make the folder of `--figures`; on an error take away again what was not there before."""
    if folder is None:
        yield
        return
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--figures {folder}: no folder can be made there ({error.strerror})") from error
    try:
        yield
    except BaseException:
        if missing:
            shutil.rmtree(missing[-1], ignore_errors=True)
        raise
