"""
What does it cost, and bring, to let well-known films gain in a list (`Recommender.rank(popularity=...)`)?

    python -m benchmarks.popularity --model models/mine --data data/mine [--users 300] [--known 50]

The whole catalogue is ranked for validation users after some of their ratings. Of the films on top it prints what the
model expects of them, how many of them the user did rate besides, and how: films of which nobody knows whether they
would have been watched on advice, but which were at least chosen.
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table

from data_prep.dataset import load_histories
from data_prep.progress import tracked
from reel import Recommender
from reel.ranking import renown
from training.metrics import REWARD_RATING

POINTS = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0)
TOP = 20  # films, as on the page


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", required=True)
    options.add_argument("--data", required=True)
    options.add_argument("--users", type=int, default=300, help="at most (300)")
    options.add_argument("--known", type=int, default=50, help="ratings that the list is made from (50)")
    args = options.parse_args()
    recommender = Recommender.from_pretrained(args.model)
    ids = recommender.catalogue.film_ids
    counts = recommender.catalogue.films["rating_count"].to_numpy()
    renowns = renown(counts)
    histories = load_histories(args.data, "validation")
    long_enough = [user for user in range(len(histories)) if len(histories.history(user)[0]) >= args.known + TOP]
    expected: dict[float, list[float]] = {points: [] for points in POINTS}
    raters: dict[float, list[float]] = {points: [] for points in POINTS}
    found: dict[float, list[int]] = {points: [] for points in POINTS}
    for user in tracked(long_enough[: args.users], "lists"):
        rated = [(ids[film], int(rating)) for film, rating in zip(*histories.history(user), strict=True)]
        order = np.random.default_rng((11, user)).permutation(len(rated))
        known = [rated[place] for place in order[: args.known]]
        held_out = dict(rated[place] for place in order[args.known :])
        ranking = recommender.rank(known, hidden=[film for film, _ in known])
        for points in POINTS:
            top = np.argsort(-(ranking.expected + points * renowns[ranking.rows]), kind="stable")[:TOP]
            rows = ranking.rows[top]
            expected[points].append(float(ranking.expected[top].mean()))
            raters[points].append(float(np.median(counts[rows])))
            found[points] += [held_out[ids[row]] for row in rows if ids[row] in held_out]
    users = len(expected[0.0])
    table = Table(box=None, title=f"{users:,} validation users, {args.known} ratings known: the first {TOP} films")
    for heading in (
        "popularity",
        "expected rating",
        "ratings of a film",
        "rated besides",
        "of them 7 or more",
        "mean",
    ):
        table.add_column(heading, justify="right")
    for points in POINTS:
        given = np.array(found[points])
        table.add_row(
            f"{points:g}",
            f"{np.mean(expected[points]):.2f}",
            f"{np.median(raters[points]):,.0f}",
            f"{len(given) / users:.2f}",
            f"{np.sum(given >= REWARD_RATING) / users:.2f}",
            f"{given.mean():.2f}" if len(given) else "",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
