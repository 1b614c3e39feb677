"""
What each part of the film-token GPT-2 is worth, and what more data and larger models would bring.

    python benchmarks/film_token_study.py --data data/letterboxd --out outputs/film_token_study [--minutes 5]

Every run starts from the defaults of `reel train film-token-gpt2`, with one seed, and is scored on the validation
users, every rating after those before it. What is there already is not run again, so a study can be stopped and gone
on with.

`--steps N` ends every run after N optimiser steps in the place of `--minutes`, and `--side-by-side N` runs N of them
at a time with an equal share of the cores: then the runs have seen equally much, whatever else the machine was doing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from data_prep.errors import exit_status
from data_prep.folders import new_file
from training.arguments import parse_arguments
from training.film_token_gpt2 import FilmTokenGPT2Arguments, FilmTokenTrainingArguments, train

DEFAULTS = "as it is"
GROUPS: dict[str, dict[str, str]] = {
    "parts": {
        DEFAULTS: "",
        "AdamW in the place of Muon": "--muon False",
        "no squared error in the loss": "--squared-error 0",
        "soft labels": "--targets soft",
        "HL-Gauss": "--targets hl-gauss",
        "the user's tower not trained first": "--tower-passes 0",
        "films without an embedding of their own": "--embedding-shrinkage 1e9",
        "a taste of 8 numbers": "--factor-size 8",
        "a taste of 64 numbers": "--factor-size 64",
    },
    "sizes": {
        "1 x 128": "--num-hidden-layers 1",
        "2 x 64": "--num-hidden-layers 2 --hidden-size 64",
        "4 x 192": "--num-hidden-layers 4 --hidden-size 192",
    },
    "data": {f"{users:,} users": f"--max-train-users {users}" for users in (2_600, 7_800, 26_000)},
}


def run(name: str, options: str, data: str, folder: Path, length: list[str]) -> dict:
    """Train and score one variant; the result is also in `folder`.json."""
    arguments = ["--data", data, "--output-dir", str(folder), "--overwrite", *length, *options.split()]
    parsed = parse_arguments((FilmTokenGPT2Arguments, FilmTokenTrainingArguments), arguments, "film_token_study", None)
    started = time.monotonic()
    scores = train(*parsed)
    state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    result = {
        "name": name,
        "options": options,
        "steps": state["global_step"],
        "weights": record["weights"],
        "ratings": record["ratings"],
        "seconds": round(time.monotonic() - started),
        **{metric: scores[f"eval_{metric}"] for metric in ("rmse", "reward_accuracy", "nll")},
    }
    with new_file(folder.with_suffix(".json")) as building:
        building.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result


def show(results: dict[str, dict], console: Console) -> None:
    for group, variants in GROUPS.items():
        table = Table(title=group, box=None)
        for heading in ("what", "options", "ratings", "weights", "steps", "RMSE", "reward accuracy", "NLL"):
            table.add_column(heading)
        for name in dict.fromkeys([DEFAULTS, *variants]):
            if name in results:
                found = results[name]
                numbers = (f"{found[key]:,}" for key in ("ratings", "weights", "steps"))
                scores = (f"{found[key]:.4f}" for key in ("rmse", "reward_accuracy", "nll"))
                table.add_row(name, found["options"], *numbers, *scores)
        console.print(table)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a rating data set")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs and their results")
    parser.add_argument("--groups", nargs="+", choices=list(GROUPS), default=list(GROUPS), help="what to run (all)")
    parser.add_argument("--minutes", type=float, default=5.0, help="of training for every run")
    parser.add_argument("--steps", type=int, help="optimiser steps of every run, in the place of minutes")
    parser.add_argument("--side-by-side", type=int, default=1, help="runs at a time, with an equal share of the cores")
    args = parser.parse_args(arguments)
    length = ["--max-steps", str(args.steps)] if args.steps else ["--max-minutes", str(args.minutes)]
    threads = max(1, (os.cpu_count() or 1) // args.side_by_side)
    args.out.mkdir(parents=True, exist_ok=True)

    results = {}
    wanted = {name: options for group in args.groups for name, options in GROUPS[group].items()}
    # A process of its own for every run: memory and threads begin anew.
    with ProcessPoolExecutor(
        args.side_by_side, get_context("spawn"), torch.set_num_threads, (threads,), max_tasks_per_child=1
    ) as pool:
        waiting = []
        for name, options in {DEFAULTS: "", **wanted}.items():
            folder = args.out / name.replace(" ", "-").replace(",", "")
            if folder.with_suffix(".json").is_file():
                results[name] = json.loads(folder.with_suffix(".json").read_text(encoding="utf-8"))
            else:
                waiting.append(pool.submit(run, name, options, args.data, folder, length))
        for finished in as_completed(waiting):
            results[finished.result()["name"]] = finished.result()
    show(results, Console(width=150))


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
