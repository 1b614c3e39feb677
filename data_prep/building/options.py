"""The options that the commands which build a data set share."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep.building.splits import parse_fold, parse_splits


def add_build_options(
    parser: argparse.ArgumentParser,
    *,
    splits: dict[str, float] | None,
    splits_help: str,
    seed_help: str = "seed of the splits and the cold films",
    out_required: bool = True,
    fold: bool = False,
) -> None:
    """Add --out, --splits, --cold-films and --seed to the options of a command.

    Args:
        parser: of the command.
        splits: what `--splits` is by default.
        splits_help: what it says of `--splits`.
        seed_help: what it says of `--seed`.
        out_required: False for a command that can do something else than build.
        fold: with `--fold` in the place of `--splits`.
    """
    parser.add_argument(
        "--out", type=Path, required=out_required, help="folder of the data set; an older one is replaced"
    )
    users = parser.add_mutually_exclusive_group()
    users.add_argument("--splits", type=parse_splits, default=splits, help=splits_help)
    if fold:
        users.add_argument(
            "--fold", type=parse_fold, help="I/K: fold I of K users is the test set (instead of --splits)"
        )
    parser.add_argument(
        "--cold-films", type=int, default=0, metavar="N", help="films to keep back as new (default: 0)"
    )
    parser.add_argument("--seed", type=int, default=0, help=f"{seed_help} (default: 0)")
