"""
The film-token GPT-2 against the baselines on the built-in sample, five folds over users.

    python benchmarks/sample_folds.py --out outputs/sample_folds [--minutes 1]

Every user is scored once, by models that were trained without them; the cases of all folds are then scored together,
with intervals over users. The model is trained as `make demo` trains it. Writes report.json, in the form of `reel
evaluate`, and prints RMSE and paired differences by history length. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from data_prep.dataset import load_films, load_histories
from reel import Recommender
from training.cases import DEFAULT_LENGTHS, NUM_TARGETS, SMALL_DATA_LENGTH, ProtocolCases
from training.evaluation import Scoreboard

MODELS = ("film-token-gpt2", "als", "shrunk-bias", "film-mean")
LENGTHS = [length for length in DEFAULT_LENGTHS if length <= SMALL_DATA_LENGTH]
FOLDS = 5


def demo_options() -> list[str]:
    """How `make demo` trains, read from the Makefile, so that the two cannot drift apart."""
    makefile = (Path(__file__).resolve().parents[1] / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    match = re.search(r"^SAMPLE_MODEL := (.*)$", makefile, re.MULTILINE)
    assert match is not None, "the Makefile has no SAMPLE_MODEL"
    return shlex.split(match[1])


def reel(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "reel.cli", *map(str, arguments)], check=True)


def prepare(folder: Path, minutes: float) -> None:
    """The data set and the models of one fold."""
    fold, data = folder.name.removeprefix("fold-"), folder / "data"
    if not data.is_dir():
        reel("data", "sample", "--fold", f"{fold}/{FOLDS}", "--out", data)
    for kind in MODELS[1:]:
        if not (folder / kind).is_dir():
            reel("train", "baseline", "--kind", kind, "--data", data, "--output-dir", folder / kind)
    if not (folder / MODELS[0] / "model.safetensors").is_file():
        common = ("--data", data, "--output-dir", folder / MODELS[0], "--overwrite", "--max-minutes", minutes)
        reel("train", "film-token-gpt2", *common, *demo_options())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the folds and the report")
    parser.add_argument("--minutes", type=float, default=1.0, help="of training for each fold (1, as make demo)")
    args = parser.parse_args()

    folds = []
    for number in range(1, FOLDS + 1):
        folder = args.out / f"fold-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        prepare(folder, args.minutes)
        film_ids = load_films(str(folder / "data"))["film_id"].to_list()
        cases = ProtocolCases(load_histories(str(folder / "data"), "test"), film_ids)
        folds.append((cases, {name: Recommender.from_pretrained(folder / name) for name in MODELS}))

    scoreboard = Scoreboard(MODELS, seed=0)
    for population in ("curve", "all"):
        for length in LENGTHS:
            users = [cases.users_with_room(max(LENGTHS) if population == "curve" else length) for cases, _ in folds]
            fold_of_user = np.repeat(np.arange(FOLDS), [len(chosen) for chosen in users])
            tables = [cases.table(chosen, length) for (cases, _), chosen in zip(folds, users, strict=True)]
            scoreboard.add(
                {
                    name: np.concatenate(
                        [models[name].predict_cases(table) for (_, models), table in zip(folds, tables, strict=True)]
                    )
                    for name in MODELS
                },
                np.concatenate([c.target_ratings[u].ravel() for (c, _), u in zip(folds, users, strict=True)]),
                groups=np.repeat(fold_of_user * 10_000 + np.concatenate(users), NUM_TARGETS),
                sample_keys=np.concatenate([c.sample_keys[u].ravel() for (c, _), u in zip(folds, users, strict=True)]),
                labels={"split": "test", "population": population, "context_length": length},
            )
    report = {
        "data": f"the built-in sample, {FOLDS} folds over users",
        "models": [{"name": name, "results": rows} for name, rows in scoreboard.results.items()],
        "paired": scoreboard.paired,
    }
    (args.out / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    show(scoreboard)


def show(scoreboard: Scoreboard) -> None:
    """RMSE by history length, and the model's paired difference to each baseline."""
    for population in ("curve", "all"):
        table = Table(title=f"RMSE (1..10), {population}", box=None)
        for heading in ("k", "cases", *MODELS, *(f"minus {name}" for name in MODELS[1:])):
            table.add_column(heading, justify="right")
        for length in LENGTHS:
            wanted = {"population": population, "sampling": "natural", "context_length": length}
            rows = [next(row for row in scoreboard.results[name] if wanted.items() <= row.items()) for name in MODELS]
            pairs = [
                next(
                    row
                    for row in scoreboard.paired
                    if {**wanted, "model": MODELS[0], "baseline": name, "metric": "rmse"}.items() <= row.items()
                )
                for name in MODELS[1:]
            ]
            table.add_row(
                str(length),
                f"{rows[0]['n']:,}",
                *(f"{row['metrics']['rmse']['value']:.3f}" for row in rows),
                *(f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]" for row in pairs),
            )
        Console(width=200).print(table)


if __name__ == "__main__":
    main()
