"""
What ranking a whole catalogue costs a person who waits for it: after a history of 300 films, after one more rating, in
two stages, and with 100,000 films.

    python benchmarks/catalogue_scoring.py --model models/letterboxd --data data/letterboxd --out report.json

Everything goes through `Recommender.rank`, as on the page: seconds hold reading the history, scoring and sorting, the
median over test users with over 300 ratings, the first of whom warms up. The large catalogue is the model's own,
repeated with noise in the features.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
import torch

from data_prep.catalogue import Catalogue
from data_prep.dataset import load_films, load_histories
from reel import Recommender
from reel.recommender import History

HISTORY, TOP = 300, 50
MARKS = {"exact": 0.6, "one_more_two_stages": 0.06, "share_of_exact_top": 0.95}  # seconds, seconds, at least
NOISE = 0.1  # standard deviation of what is added to the features of repeated films

Answer = TypeVar("Answer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a trained model's folder")
    parser.add_argument("--data", required=True, help="the data set it was trained on")
    parser.add_argument("--users", type=int, default=10, help="users measured, after a first one (10)")
    parser.add_argument(
        "--shortlist", type=int, default=300, help="films scored in full in two stages (300, as on the page)"
    )
    parser.add_argument("--films", type=int, default=100_000, help="films of the large catalogue (100,000)")
    parser.add_argument("--threads", type=int, default=2, help="processor cores (2)")
    parser.add_argument("--out", type=Path, required=True, help="where the report goes, as JSON")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    recommender = Recommender.from_pretrained(options.model)
    users = list(long_histories(options.data, options.users + 1))
    report = {
        "history": HISTORY,
        "films": len(recommender.catalogue),
        "users": len(users) - 1,
        "threads": options.threads,
        "shortlist": options.shortlist,
        **own_catalogue(recommender, users, options.shortlist),
        "large": large_catalogue(recommender, users[:3], options.films),
    }
    report["passed"] = {
        name: report[name] >= mark if name == "share_of_exact_top" else report[name] <= mark
        for name, mark in MARKS.items()
    }
    options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    large = report["large"]
    print(
        f"{report['films']:,} films after {HISTORY} ratings, {options.threads} cores, {len(users) - 1} users\n"
        f"exactly: {report['exact']:.3f} s (mark {MARKS['exact']:g})\n"
        f"after one more rating, exactly: {report['one_more_exact']:.3f} s\n"
        f"after one more rating, in two stages: {1000 * report['one_more_two_stages']:.0f} ms (mark "
        f"{1000 * MARKS['one_more_two_stages']:g}), {report['share_of_exact_top']:.1%} of the exact top {TOP} (mark "
        f"{MARKS['share_of_exact_top']:.0%}; {report['least_share']:.0%} for one user)\n"
        f"{large['films']:,} films: {large['seconds']:.2f} s, {large['megabytes']:,.0f} MB more than before it"
    )


def long_histories(data: str, count: int) -> Iterator[History]:
    """Histories of `HISTORY + 2` ratings of test users who have as many."""
    film_ids = load_films(data)["film_id"].to_list()
    for films, ratings in load_histories(data, "test"):
        if len(films) >= HISTORY + 2 and count:
            count -= 1
            rated = zip(films[: HISTORY + 2].tolist(), ratings.tolist(), strict=False)
            yield [(film_ids[film], rating) for film, rating in rated]


def own_catalogue(recommender: Recommender, users: list[History], shortlist: int) -> dict[str, float]:
    """Median seconds over all users but the first, and how much of the exact top a ranking in two stages has."""
    seconds: dict[str, list[float]] = {"exact": [], "one_more_two_stages": [], "one_more_exact": []}
    shares = []
    for history in users:
        timed(seconds["exact"], lambda h=history: recommender.rank(h[:HISTORY]))
        two_stages = timed(
            seconds["one_more_two_stages"], lambda h=history: recommender.rank(h[: HISTORY + 1], exact=shortlist)
        )
        exact = recommender.rank(history[: HISTORY + 1])
        timed(seconds["one_more_exact"], lambda h=history: recommender.rank(h[: HISTORY + 2]))
        shares.append(len(np.intersect1d(two_stages.rows[:TOP], exact.rows[:TOP])) / TOP)
    medians = {name: float(np.median(times[1:])) for name, times in seconds.items()}
    return {**medians, "share_of_exact_top": float(np.mean(shares[1:])), "least_share": min(shares[1:])}


def large_catalogue(recommender: Recommender, users: list[History], num_films: int) -> dict[str, float]:
    """Median seconds of an exact ranking of so many films, and by how much the process's peak of memory rises."""
    larger = repeated(recommender, num_films)
    before = peak_megabytes()
    seconds: list[float] = []
    for history in users:
        timed(seconds, lambda h=history: larger.rank(h[:HISTORY]))
    return {
        "films": len(larger.catalogue),
        "seconds": float(np.median(seconds[1:])),
        "megabytes": peak_megabytes() - before,
    }


def repeated(recommender: Recommender, num_films: int) -> Recommender:
    """The same model with its films repeated as new ones, up to `num_films`; the recommender is of no use after it."""
    catalogue, model = recommender.catalogue, recommender.model
    own = torch.from_numpy(catalogue.features.dense(catalogue.film_ids))
    draw = torch.Generator().manual_seed(0)
    films, copy = catalogue.films, 0
    while len(films) < num_films:
        copy += 1
        further = catalogue.films.head(num_films - len(films)).with_columns(
            pl.format("{}-{}", "film_id", pl.lit(copy)).alias("film_id"),
            pl.format("{}-{}", "film_group", pl.lit(copy)).alias("film_group"),
        )
        features = own[: len(further)]
        model.add_films(features + NOISE * torch.randn(features.shape, generator=draw))
        films = pl.concat([films, further])
    larger = Catalogue(films, catalogue.features)
    model.config.catalogue_digest = larger.digest
    return Recommender(model, larger)


def timed(seconds: list[float], call: Callable[[], Answer]) -> Answer:
    started = time.perf_counter()
    answer = call()
    seconds.append(time.perf_counter() - started)
    return answer


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes on Linux


if __name__ == "__main__":
    main()
