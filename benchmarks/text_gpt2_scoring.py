"""
What reading a history once is worth: 50 candidate films after a history of seven films, scored against the history's
cached keys and values as `predict` does, and by one full pass per candidate; same model and films, one process.

    python benchmarks/text_gpt2_scoring.py --data data/letterboxd --out report.json

The model is of GPT-2 small's size with random weights; the time does not depend on them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from data_prep.dataset import load_films, load_histories
from modeling.text_gpt2 import FilmTokens, GPT2ForRating, GPT2ForRatingConfig
from modeling.text_gpt2.modeling_text_gpt2 import rating_probabilities
from training.text_films import tokenise_films
from training.text_pretrained import find_tokenizer

HISTORY, CANDIDATES, MAX_FILM_TOKENS = 7, 50, 100
MARK = 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a rating data set")
    parser.add_argument("--repeats", type=int, default=3, help="histories scored either way, after a first one")
    parser.add_argument("--out", type=Path, required=True, help="where the report goes, as JSON")
    options = parser.parse_args()

    films = tokenise_films(load_films(options.data), find_tokenizer(), MAX_FILM_TOKENS)
    torch.manual_seed(0)
    model = GPT2ForRating(
        GPT2ForRatingConfig(num_films=len(films.offsets) - 1, num_film_tokens=len(films.tokens))
    ).eval()
    model.set_films(films)
    long_enough = (history for history in load_histories(options.data, "test") if len(history[0]) > 60)
    seconds: dict[str, list[float]] = {"cached": [], "plain": []}
    difference = 0.0
    for _ in range(options.repeats + 1):
        rated_films, ratings = (torch.from_numpy(part).long() for part in next(long_enough))
        history, candidates = (rated_films[:HISTORY], ratings[:HISTORY]), rated_films[HISTORY:][:CANDIDATES]
        cached = timed(
            seconds["cached"], lambda h=history, c=candidates: model.predict(*(x[None] for x in h), c[None])[0]
        )
        plain = timed(seconds["plain"], lambda h=history, c=candidates: one_by_one(model, films, h, c))
        difference = max(difference, float((cached - plain).abs().max()))
    report = {
        "history": HISTORY,
        "candidates": CANDIDATES,
        "seconds": {name: float(np.median(times[1:])) for name, times in seconds.items()},
        "largest_difference": difference,
    }
    report["speed"] = report["seconds"]["plain"] / report["seconds"]["cached"]
    report["passed"] = report["speed"] >= MARK and difference <= 1e-4
    options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(
        f"{CANDIDATES} candidates after {HISTORY} films: {report['seconds']['plain']:.2f} s by one pass each, "
        f"{report['seconds']['cached']:.2f} s against the cached history, {report['speed']:.1f} times as fast (mark "
        f"{MARK:g}); probabilities differ by {difference:.1e} at most"
    )


def timed(seconds: list[float], call: Callable[[], torch.Tensor]) -> torch.Tensor:
    started = time.perf_counter()
    answer = call()
    seconds.append(time.perf_counter() - started)
    return answer


@torch.no_grad()
def one_by_one(
    model: GPT2ForRating, films: FilmTokens, history: tuple[torch.Tensor, torch.Tensor], candidates: torch.Tensor
) -> torch.Tensor:
    """Rating probabilities `(candidates, 10)`, the whole text read anew for each."""
    scored = []
    for film in candidates:
        film_ids, ratings = torch.cat([history[0], film[None]]), torch.cat([history[1], history[1][:1]])
        trajectory = films.join(film_ids, ratings, model.config)
        last = trajectory.rating_positions[-1]
        output = model(trajectory.input_ids[None, : last + 1], last[None, None])
        scored.append(rating_probabilities(output.rating_logits)[0, 0])
    return torch.stack(scored)


if __name__ == "__main__":
    main()
