"""
Speed and memory of text GPT-2 training beside the published way, written plainly (one trajectory a step, every film
tokenised anew, a dense target over the whole vocabulary): same model size, trajectories and optimiser, one process
each, one after another on an idle machine.

    python benchmarks/text_gpt2_training.py --yardstick naive_rating_loop.py --data data/letterboxd --out report.json

The yardstick is a script that takes --trajectories, --tokenizer, --steps, --layers, --width and --heads, and prints
seconds per trajectory and its peak memory. Both sides train with their defaults; the yardstick's include dropout.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

# name: layers, width, heads, trajectories in a batch, batches in a step
SIZES = {"gpt2-small": (12, 768, 12, 1, 4), "4x128": (4, 128, 4, 1, 1)}
MARKS = {
    ("gpt2-small", "weighted"): {"speed": 1.7, "memory": 0.55},
    ("gpt2-small", "unweighted"): {"speed": 1.3},
    ("4x128", "weighted"): {"speed": 10.0, "memory": 0.40},
    ("4x128", "unweighted"): {"speed": 1.2},
}
WINDOW, MAX_FILM_TOKENS = 10, 100
VOCABULARY = 50_257


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yardstick", type=Path, help="the plain training script")
    parser.add_argument("--data", help="a rating data set")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--steps", type=int, default=5, help="steps of each run that are measured, after a first one")
    parser.add_argument("--out", type=Path, help="where the report goes, as JSON")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)  # a child process: size, objective, trajectories
    options = parser.parse_args()
    if options.run:
        print(json.dumps(train(*options.run, options.steps)))
        return
    if not (options.yardstick and options.data and options.out):
        parser.error("--yardstick, --data and --out are needed")
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: a child's peak memory begins with what its parent has in memory.
        arguments = options.data, options.sizes, options.steps, Path(folder)
        preparing = multiprocessing.get_context("spawn").Process(target=prepare, args=arguments)
        preparing.start()
        preparing.join()
        if preparing.exitcode:
            sys.exit(1)
        compare(options, Path(folder))


def compare(options: argparse.Namespace, folder: Path) -> None:
    report = {"matmul_gflops": matmul_peak(), "steps": options.steps, "runs": []}
    print(f"matrix multiplication: {report['matmul_gflops']:.0f} GFLOP/s")
    for size in options.sizes:
        plain = run_yardstick(options.yardstick, folder, size, options.steps)
        print(f"{size}: plain loop {plain['seconds']:.3f} s a trajectory, {plain['peak_mib']:.0f} MiB", flush=True)
        report["runs"].append({"size": size, "objective": "plain loop", **plain})
        for objective in ("weighted", "unweighted"):
            row = run_ours(folder, size, objective, options.steps)
            row["speed"] = plain["seconds"] / row["seconds"]
            row["memory"] = row["peak_mib"] / plain["peak_mib"]
            row["share_of_peak"] = row["gflop"] / row["seconds"] / report["matmul_gflops"]
            marks = MARKS[size, objective]
            row["passed"] = row["speed"] >= marks["speed"] and row["memory"] <= marks.get("memory", np.inf)
            report["runs"].append(row)
            print(
                f"{size}: {objective} {row['seconds']:.3f} s a trajectory, {row['speed']:.2f} times as fast (mark "
                f"{marks['speed']}); {row['peak_mib']:.0f} MiB, {row['memory']:.0%} (mark "
                f"{marks.get('memory', np.nan):.0%}); {row['share_of_peak']:.0%} of the matrix-multiply peak",
                flush=True,
            )
    options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def matmul_peak(size: int = 2048, repeats: int = 10, dtype: str = "float32") -> float:
    """GFLOP/s of a square product, the best of some."""
    import torch

    a, b = (torch.randn(size, size).to(getattr(torch, dtype)) for _ in range(2))
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds) / 1e9


def prepare(data: str, sizes: list[str], steps: int, folder: Path) -> None:
    """The first users' first films, as the yardstick reads them and as tokens: neither side's peak memory is that of
    reading the data set."""
    from data_prep.dataset import load_films, load_histories
    from training.text_films import RATING_PROMPT, tokenise_films
    from training.text_pretrained import find_tokenizer

    tokenizer = find_tokenizer()
    tokenizer.save_pretrained(folder)
    films = tokenise_films(load_films(data), tokenizer, MAX_FILM_TOKENS)
    count = (steps + 1) * max(SIZES[size][3] * SIZES[size][4] for size in sizes)
    histories = [history for history in load_histories(data, "train") if len(history[0]) >= WINDOW][:count]
    film_ids, ratings = (np.stack([part[:WINDOW] for part in parts]) for parts in zip(*histories, strict=True))
    shown, rows = np.unique(film_ids, return_inverse=True)
    texts = [films.tokens[slice(*films.offsets[film : film + 2])] for film in shown.tolist()]
    offsets = np.cumsum([0, *map(len, texts)])
    np.savez(
        folder / "trajectories.npz",
        film_ids=rows.reshape(film_ids.shape),
        ratings=ratings,
        tokens=np.concatenate(texts),
        offsets=offsets,
    )
    with (folder / "trajectories.jsonl").open("w", encoding="utf-8") as file:
        for row_films, row_ratings in zip(film_ids, ratings, strict=True):
            blocks = [tokenizer.decode(texts[place]) for place in np.searchsorted(shown, row_films)]
            blocks = [block.removeprefix("---\n").removesuffix(RATING_PROMPT) for block in blocks]
            file.write(json.dumps({"films": blocks, "ratings": row_ratings.tolist()}) + "\n")


def run_yardstick(script: Path, folder: Path, size: str, steps: int) -> dict[str, float]:
    layers, width, heads, *_ = SIZES[size]
    command = [sys.executable, str(script), "--trajectories", str(folder / "trajectories.jsonl")]
    command += ["--tokenizer", str(folder), "--steps", str(steps)]
    command += ["--layers", str(layers), "--width", str(width), "--heads", str(heads)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"seconds per trajectory: ([\d.]+).*peak MiB: (\d+)", printed)
    assert found, printed
    return {"seconds": float(found[1]), "peak_mib": float(found[2])}


def run_ours(folder: Path, size: str, objective: str, steps: int) -> dict:
    command = [sys.executable, __file__, "--steps", str(steps), "--run", size, objective]
    command += [str(folder / "trajectories.npz")]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def train(size: str, objective: str, trajectories: str, steps: int) -> dict:
    """Train as `reel train text-gpt2` does, on the yardstick's trajectories and as many more as the steps hold."""
    import torch
    from transformers import TrainerCallback

    from data_prep.dataset import Histories
    from modeling.text_gpt2 import FilmTokens, GPT2ForRating, GPT2ForRatingConfig
    from training.text_trainer import TextRatingTrainer, TextRatingTrainingArguments
    from training.trajectories import TrajectoryCollator, TrajectoryDataset, rows_by_user

    layers, width, heads, batch, accumulation = SIZES[size]
    per_step = batch * accumulation
    count = (steps + 1) * per_step
    inputs = np.load(trajectories)
    film_ids, ratings = inputs["film_ids"][:count], inputs["ratings"][:count]
    films = FilmTokens(torch.from_numpy(inputs["tokens"]), torch.from_numpy(inputs["offsets"]))
    # Dated histories of one window each: what is drawn of them is known.
    histories = Histories(
        user_ids=[str(user) for user in range(count)],
        offsets=np.arange(count + 1) * WINDOW,
        film_indices=film_ids.ravel().astype(np.int32),
        ratings=ratings.ravel(),
        dates=None,
        ordered=np.ones(count, dtype=bool),
    )
    config = GPT2ForRatingConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_films=len(films.offsets) - 1,
        num_film_tokens=len(films.tokens),
    )
    torch.manual_seed(0)
    model = GPT2ForRating(config)
    model.set_films(films)

    class Stopwatch(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 1:
                self.started = time.perf_counter()
            self.seconds = time.perf_counter() - self.started

    stopwatch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        trainer = TextRatingTrainer(
            model=model,
            args=TextRatingTrainingArguments(
                output_dir=folder,
                use_cpu=True,
                objective=objective,
                per_device_train_batch_size=batch,
                gradient_accumulation_steps=accumulation,
                max_steps=steps + 1,
                save_strategy="no",
            ),
            train_dataset=TrajectoryDataset(histories, rows_by_user(histories), WINDOW, films.offsets.diff().numpy()),
            data_collator=TrajectoryCollator(films, config, token_labels=objective == "unweighted"),
            callbacks=[stopwatch],
        )
        trainer.train()
    tokens = float(films.lengths(torch.from_numpy(film_ids).long()).sum(1).float().mean()) + 4 * WINDOW
    return {
        "size": size,
        "objective": objective,
        "seconds": stopwatch.seconds / steps / per_step,
        "trajectories_per_step": per_step,
        "gflop": gflop(layers, width, tokens, objective),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def gflop(layers: int, width: int, tokens: float, objective: str) -> float:
    """Operations of a trajectory's products, forward and twice as many backward; of attention, the causal half."""
    block = 24 * width**2 * tokens + 2 * width * tokens**2
    head = 2 * width * VOCABULARY * tokens if objective == "unweighted" else 0
    return 3 * (layers * block + head) / 1e9


if __name__ == "__main__":
    main()
