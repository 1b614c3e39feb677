"""
Speed of film-token GPT-2 training beside what the machine's matrix multiplication allows, and beside the text GPT-2's:
real steps, through the trainer of `reel train film-token-gpt2`, on an idle machine.

    python -m benchmarks.film_token_training --data data/letterboxd --out report.json

What counts as useful work: the products of weights and activations and the causal half of attention, forward and
backward, at the ratings alone and not at padding; what is said of a film's content once for each distinct film of a
batch; no gradient where none is needed; no look-ups, nothing element by element. The Gaussian process is counted
apart. Films' factors are fitted to few users, as time does not depend on their values. The mark is a share of the peak
in float32, whatever the precision of the steps; with those in bfloat16 the share of bfloat16's peak stands beside it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import TrainerCallback

from benchmarks import text_gpt2_training as text
from modeling.film_token_gpt2 import FilmTokenGPT2Config
from modeling.film_token_gpt2.own_scale import SIZE as OWN_SCALE_SIZE
from training.film_company import company_size, fit_film_company
from training.film_factors import fit_film_factors
from training.film_token_gpt2 import (
    FilmTokenGPT2Arguments,
    FilmTokenTrainer,
    FilmTokenTrainingArguments,
    make_trainer,
)
from training.histories import HistoryCollator
from training.run import start

MARK = 0.4  # of the machine's matrix-multiply peak in float32
USERS_FITTED = 1000
TEXT_SIZE, TEXT_OBJECTIVE = "4x128", "weighted"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a rating data set")
    parser.add_argument("--steps", type=int, default=100, help="steps that are measured (100)")
    parser.add_argument("--warm-up", type=int, default=10, help="steps before them (10)")
    parser.add_argument("--text-steps", type=int, default=20, help="steps of the text GPT-2, after a first one (20)")
    parser.add_argument("--hidden-size", type=int, default=128, help="width of the transformer (128)")
    parser.add_argument("--layers", type=int, default=3, help="transformer blocks (3)")
    parser.add_argument("--float32", action="store_true", help="steps in float32, not in training's default precision")
    parser.add_argument("--profile", action="store_true", help="print what the steps spend their time on, and end")
    parser.add_argument("--out", type=Path, required=True, help="where the report goes, as JSON")
    options = parser.parse_args()

    peak = text.matmul_peak()
    stopwatch = Stopwatch(options.warm_up, options.profile)
    with tempfile.TemporaryDirectory() as folder:
        settings = FilmTokenGPT2Arguments(
            options.data, hidden_size=options.hidden_size, num_hidden_layers=options.layers
        )
        args = FilmTokenTrainingArguments(
            folder,
            use_cpu=True,
            max_steps=options.warm_up + options.steps,
            save_strategy="no",
            bf16=False if options.float32 else None,
        )
        trainer, batches = counting_trainer(settings, args)
        trainer.add_callback(stopwatch)
        trainer.train()
    report = {
        "precision": "bfloat16" if args.bf16 else "float32",
        "matmul_gflops": max(peak, text.matmul_peak()),
        "threads": torch.get_num_threads(),
        "layers": options.layers,
        "hidden_size": options.hidden_size,
        "steps": options.steps,
        **speed(trainer.model.config, batches.seen[options.warm_up :], stopwatch.seconds),
    }
    report["share_of_peak"] = report["ratings_per_second"] * report["gflop_per_rating"] / report["matmul_gflops"]
    process = report["ratings_per_second"] * report["process_gflop_per_rating"] / report["matmul_gflops"]
    report["share_of_peak_with_process"] = report["share_of_peak"] + process
    report["passed"] = report["share_of_peak"] >= MARK
    print(f"matrix multiplication in float32: {report['matmul_gflops']:.0f} GFLOP/s")
    if args.bf16:
        report["matmul_gflops_bfloat16"] = text.matmul_peak(dtype="bfloat16")
        report["share_of_peak_bfloat16"] = (
            report["share_of_peak"] * report["matmul_gflops"] / report["matmul_gflops_bfloat16"]
        )
        print(
            f"in bfloat16: {report['matmul_gflops_bfloat16']:.0f} GFLOP/s, of which the steps, in bfloat16, reach "
            f"{report['share_of_peak_bfloat16']:.0%}"
        )
    print(
        f"{options.layers} layers of {options.hidden_size}: {report['ratings_per_second']:,.0f} ratings a second, "
        f"{1000 * report['seconds_per_step']:.0f} ms a step of {report['ratings_per_step']:,.0f} ratings ("
        f"{report['padding']:.1%} of positions are padding)\n"
        f"useful work: {1000 * report['gflop_per_rating']:.2f} MFLOP a rating, {report['share_of_peak']:.0%} of the "
        f"matrix-multiply peak (mark {MARK:.0%}); with the process {report['share_of_peak_with_process']:.0%}",
        flush=True,
    )
    if options.profile:
        print(stopwatch.profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=40))
        return
    report["text"] = text_speed(options.data, options.text_steps)
    report["times_as_fast_as_text"] = report["ratings_per_second"] * report["text"]["seconds_per_film"]
    options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(
        f"text GPT-2 at {TEXT_SIZE}, {TEXT_OBJECTIVE}: {1000 * report['text']['seconds_per_film']:.1f} ms a rated "
        f"film, {report['times_as_fast_as_text']:,.0f} times as long as the film-token GPT-2"
    )


class Batch(NamedTuple):
    """What is in a batch: `lengths` (rows,), the ratings of each row; how many distinct films; and its positions,
    padding among them."""

    lengths: np.ndarray
    distinct_films: int
    positions: int


class Batches:
    """A collator that remembers what is in each batch."""

    def __init__(self, collator: HistoryCollator):
        self.collator = collator
        self.seen: list[Batch] = []

    def __call__(self, pieces: list[dict[str, Any]]) -> dict[str, Any]:
        films = [np.asarray(piece["film_ids"]) for piece in pieces]
        batch: dict[str, Any] = self.collator(pieces)
        lengths, distinct = np.array([len(row) for row in films]), len(np.unique(np.concatenate(films)))
        self.seen.append(Batch(lengths, distinct, batch["film_ids"].numel()))
        return batch


class Stopwatch(TrainerCallback):
    """Seconds of the steps after the first `warm_up`, under a profiler where there is to be one."""

    def __init__(self, warm_up: int, profiled: bool = False):
        self.warm_up = warm_up
        self.profiler = profile(activities=[ProfilerActivity.CPU]) if profiled else None

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.warm_up:
            if self.profiler is not None:
                self.profiler.start()
            self.started = time.perf_counter()
        if state.global_step == state.max_steps:
            self.seconds = time.perf_counter() - self.started
            if self.profiler is not None:
                self.profiler.stop()


def counting_trainer(
    settings: FilmTokenGPT2Arguments, args: FilmTokenTrainingArguments
) -> tuple[FilmTokenTrainer, Batches]:
    """What `reel train film-token-gpt2` trains with, and its batches."""
    started = start(settings.data, args)
    features = started.catalogue.features.dense(started.catalogue.film_ids)
    few = started.histories.first(USERS_FITTED)
    size = company_size(settings.company_size, len(few), len(features))
    settings = replace(settings, company_size=size)
    company = fit_film_company(few, features, size)
    factors = fit_film_factors(few, features, company, settings.factor_size)
    trainer = make_trainer(settings, args, started, features, company, factors)
    trainer.eval_dataset = None  # steps are measured, not what is fitted after them
    batches = trainer.data_collator = Batches(trainer.data_collator)
    return trainer, batches


def speed(config: FilmTokenGPT2Config, batches: Sequence[Batch], seconds: float) -> dict[str, float]:
    """How fast steps on `batches` were, and what useful work is in them."""
    ratings = sum(int(batch.lengths.sum()) for batch in batches)
    useful = sum(useful_flop(config, batch.lengths, batch.distinct_films) for batch in batches)
    return {
        "ratings_per_second": ratings / seconds,
        "seconds_per_step": seconds / len(batches),
        "ratings_per_step": ratings / len(batches),
        "padding": 1 - ratings / sum(batch.positions for batch in batches),
        "gflop_per_rating": useful / ratings / 1e9,
        "process_gflop_per_rating": sum(process_flop(config, batch.lengths) for batch in batches) / ratings / 1e9,
    }


def useful_flop(config: FilmTokenGPT2Config, lengths: np.ndarray, distinct_films: int) -> float:
    """Operations of the products in a step on histories of `lengths` `(histories,)`, forward and backward."""
    width, size, tower = config.hidden_size, config.factor_size, config.tower_size
    numbers = (10 + size + 4) + (5 + size + 2 * 10 + OWN_SCALE_SIZE)  # read of a film's statistics, and of a user
    block = 12 * width**2
    of_tower = 3 * width * tower + 4 * tower**2 + width * tower + 10 * tower
    per_rating = config.num_hidden_layers * block + numbers * width + 3 * width**2 + 10 * width + 10**2 + of_tower
    attention = config.num_hidden_layers * width * int((lengths**2).sum())  # both products, halved
    # Features need no gradient, and what they say of places has no weights that are trained.
    inputs = config.num_features + config.company_size
    head = 1 + 3 * size + config.content_size + 2
    per_film = 2 * inputs * width + 3 * width * head + inputs * config.content_size
    return 2 * (3 * (per_rating * int(lengths.sum()) + attention) + per_film * distinct_films)


def process_flop(config: FilmTokenGPT2Config, lengths: np.ndarray) -> float:
    """Operations of the Gaussian process on the same, backward counted as twice the forward: covariances, Cholesky
    factors, what they whiten, and the predictions from every prefix; of what is symmetric or triangular, half."""
    size = config.factor_size
    covariance = size + (size + config.content_size)
    lengths = lengths.astype(np.float64)
    # Whitening ratings, which of the ten they are and loadings, predicting by them, and what the choice of films
    # tells: before a rating, and before and after one for the taste.
    per_pair = covariance + (size + 11) + 11 + 3 * size
    return 3 * float((lengths**3 / 3 + per_pair * lengths**2).sum())


def text_speed(data: str, steps: int) -> dict[str, float]:
    """Seconds of the text GPT-2's trainer per rated film, by the way of its own benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        text.prepare(data, [TEXT_SIZE], steps, Path(folder))
        row = text.run_ours(Path(folder), TEXT_SIZE, TEXT_OBJECTIVE, steps)
    return {"seconds_per_film": row["seconds"] / text.WINDOW, "gflop_per_film": row["gflop"] / text.WINDOW}


if __name__ == "__main__":
    main()
