"""
Which settings suit DeepFM where films are known? Chosen on ratings held out of the training ratings.

    python benchmarks/deepfm_known_films.py --data data/letterboxd --users 9000

The ratings that `reel reproduce table-1` scores are put aside first and never looked at; a tenth of the others is held
out in turn. Every variant is scored as there, beside the same baselines.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.dataset import load_histories
from data_prep.errors import exit_status
from training.reproduction.experiments import Features, Laboratory
from training.reproduction.film_split import split_by_rating
from training.reproduction.known_films import (
    HELD_OUT_SHARE,
    KNOWN_FILMS,
    fit_deepfm,
    score_warm,
    train_on_known_films,
)

# What is changed of the settings taken.
VARIANTS: dict[str, dict[str, Any]] = {
    "two passes": {"epochs": 2},
    "six passes": {"epochs": 6},
    "soft labels": {"targets": "soft"},
    "squared error, weight .2": {"squared_error": 0.2},
    "vectors of 32": {"user_size": 32, "embedding_size": 32},
    "vectors of 64": {"user_size": 64, "embedding_size": 64},
    "users' precision 3": {"user_penalty": 3.0},
    "two embeddings each": {"film_embeddings": 2, "user_embeddings": 2},
}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="rating data set: a folder or a Hub repository")
    parser.add_argument("--users", type=int, default=9_000, help="training users that are taken (9,000)")
    parser.add_argument("--variants", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    options = parser.parse_args(arguments)

    with tempfile.TemporaryDirectory() as folder:
        laboratory = Laboratory(options.data, Path(folder))
        features = laboratory.features(Features())
    pairs = split_by_rating(laboratory.pairs, HELD_OUT_SHARE, seed=0).train
    pairs = pairs[pairs.users < options.users]
    known = train_on_known_films(pairs, load_histories(options.data, "validation"), features, seed=1)
    print("| model | RMSE | NLL | reward accuracy |\n|---|---|---|---|")
    for name, rows in score_warm(known, seed=1)["results"].items():
        _print(name, rows)
    for name in options.variants:
        deepfm = fit_deepfm(known.histories, features, 1, KNOWN_FILMS.but(**VARIANTS[name]))
        changed = replace(known, deepfm=deepfm, baselines={})
        _print(f"deepfm, {name}", score_warm(changed, seed=1)["results"]["deepfm"])


def _print(name: str, rows: list[dict[str, Any]]) -> None:
    metrics = next(row for row in rows if row["sampling"] == "natural")["metrics"]
    cells = [f"{metrics[metric]['value']:.4f}" for metric in ("rmse", "nll", "reward_accuracy")]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
