"""
Other people's recommenders beside ours, on the same cases (needs the extra `peers`).

    python benchmarks/peers.py --data data/letterboxd --model models/als models/shrunk-bias --out outputs/peers.json

LensKit's bias, biased matrix factorisation and item-kNN, and scikit-learn's gradient-boosted trees on statistics of
user and film learn from the training users (`--train-users` of them, drawn at random), have the spread of their
errors measured on validation users as our baselines do, and are scored on the test users beside the models given.
Writes a report in the form of `reel evaluate`; prints how long each peer took to learn and, in Markdown, RMSE and
reward accuracy on the users of the curve, and what each model's RMSE is minus that of the first.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data_prep.catalogue import Catalogue
from data_prep.dataset import Histories, load_histories
from data_prep.errors import UserError, exit_status
from data_prep.folders import new_file
from reel import Recommender
from reel.evaluate import scoring_progress, unique_names
from reel.report_tables import with_interval
from training.baselines.als import sample_users
from training.baselines.drawn_cases import Judge
from training.cases import NUM_TARGETS, ProtocolCases, plan_lengths
from training.evaluation import evaluate
from training.peers import lenskit_models
from training.peers.boosted import BoostedModel
from training.peers.peer import PeerModel


def peers(train: Histories, num_films: int, lengths: list[int], seed: int) -> Iterator[tuple[str, PeerModel]]:
    """Every peer, fitted as it is asked for."""
    for kind in lenskit_models.KINDS:
        yield f"lenskit {kind}", lenskit_models.LensKitModel(kind, train, num_films, lengths, seed=seed)
    yield "boosted trees", BoostedModel(train, num_films, lengths, seed=seed)


def tables(report: Mapping[str, Any]) -> str:
    """RMSE / reward accuracy of every model by history length, and the paired differences in RMSE to the first."""
    models, first = report["models"], report["models"][0]["name"]

    def scores(model: Mapping[str, Any], length: int) -> str:
        metrics = _row(model["results"], length)["metrics"]
        return f"{metrics['rmse']['value']:.3f} / {metrics['reward_accuracy']['value']:.3f}"

    def difference(model: Mapping[str, Any], length: int) -> str:
        row = _row(report["paired"], length, model=model["name"], baseline=first, metric="rmse")
        return with_interval(row, "difference", "{:+.3f}")

    lines = []
    for title, shown, cell in (
        ("RMSE / reward accuracy", models, scores),
        (f"RMSE minus that of {first}", models[1:], difference),
    ):
        lines += [f"{title}, {report['protocol']['users']['curve']:,} users\n"]
        lines += [f"| k | {' | '.join(model['name'] for model in shown)} |", "|---" * (len(shown) + 1) + "|"]
        for length in report["protocol"]["curve_lengths"]:
            lines.append(f"| {length} | {' | '.join(cell(model, length) for model in shown)} |")
        lines.append("")
    return "\n".join(lines)


def _row(rows: list[dict[str, Any]], length: int, **labels: str) -> dict[str, Any]:
    """Of the users of the curve, at natural frequencies."""
    wanted = {"population": "curve", "sampling": "natural", "context_length": length, **labels}
    return next(row for row in rows if wanted.items() <= row.items())


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="rating data set")
    parser.add_argument("--model", nargs="*", default=[], help="saved models to score beside them")
    parser.add_argument("--train-users", type=int, default=10_000, help="training users that the peers see (10000)")
    parser.add_argument("--max-users", type=int, help="score a seeded draw of so many test users")
    parser.add_argument("--seed", type=int, default=0, help="of draws, starts and resamples (0)")
    parser.add_argument("--out", type=Path, required=True, help="the report, JSON")
    options = parser.parse_args(arguments)
    try:
        import lenskit  # noqa: F401
    except ImportError as error:
        raise UserError(f"{error}; pip install -c constraints-peers.txt 'reel-recommendations[peers]'") from error

    with new_file(options.out) as building:
        whole = load_histories(options.data, "train")
        train = sample_users(whole, options.train_users, options.seed)
        catalogue = Catalogue.from_dataset(options.data, histories=whole)
        judge = Judge(load_histories(options.data, "validation"), options.seed)
        names = unique_names(options.model)
        models = {name: Recommender.from_pretrained(path) for name, path in zip(names, options.model, strict=True)}
        seconds = {}
        started = time.monotonic()
        for name, peer in peers(train, len(catalogue), judge.lengths, options.seed):
            seconds[name] = round(time.monotonic() - started, 1)
            print(f"{name}: learned in {seconds[name]} s", file=sys.stderr)
            judge.measure_spreads(peer)
            models[name] = Recommender(peer, catalogue)
            started = time.monotonic()
        test = load_histories(options.data, "test")
        cases = ProtocolCases(test, catalogue.film_ids, seed=options.seed, max_users=options.max_users)
        plan = plan_lengths(cases.room)
        total = sum(len(cases.users_with_room(length)) for length in plan.all) * NUM_TARGETS * len(models)
        with scoring_progress(total) as advance:
            report = evaluate(models, cases, plan, seed=options.seed, advance=advance)
        report["protocol"] |= {"split": "test", "max_users": options.max_users}
        report["peers"] = {
            "training_users": len(train),
            "training_ratings": len(train.ratings),
            "seconds": seconds,
            "versions": {name: version(name) for name in ("lenskit", "scikit-learn")},
        }
        building.write_text(json.dumps({"data": options.data} | report, indent=1) + "\n", encoding="utf-8")
    print(tables(report))


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
