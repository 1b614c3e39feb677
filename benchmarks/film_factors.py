"""
What the factor model under the film-token GPT-2 is worth by itself: by rank, and with what the choice of films tells.

    python benchmarks/film_factors.py --data data/letterboxd --ranks 16,32,64

Validation users' ratings in one random order; every rating is predicted from those before it. Nothing is trained by
gradients.
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from data_prep.catalogue import Catalogue
from data_prep.dataset import Histories, load_histories
from modeling.film_token_gpt2.running_taste import RatedFilms, newcomer, read_ratings
from training.film_factors import FilmFactors, fit_film_factors

LENGTH = 256
PLACES = ((0, 0), (1, 1), (5, 15), (40, 60), (90, 110), (180, 220), (0, LENGTH - 1))


class Errors(NamedTuple):
    """Squared errors and counts by place in the history, `(LENGTH,)` each."""

    squares: np.ndarray
    counts: np.ndarray

    def rmse(self, first: int, last: int) -> float:
        places = slice(first, last + 1)
        return float(np.sqrt(self.squares[places].sum() / self.counts[places].sum()))


@torch.no_grad()
def errors(factors: FilmFactors, histories: Histories, *, choices: bool, seed: int = 0) -> Errors:
    """Of every rating predicted from those before it."""
    rank = (factors.films.shape[1] - 2) // 2
    draw = np.random.default_rng(seed)
    found = Errors(np.zeros(LENGTH), np.zeros(LENGTH))
    for films, ratings in histories:
        order = draw.permutation(len(films))[:LENGTH]
        told = torch.from_numpy(ratings[order].astype(np.float32))[None]
        table = factors.films[torch.from_numpy(films[order].astype(np.int64))][None]
        intercepts, loadings, chosen, noise = table.split([1, rank, rank, 1], dim=-1)
        rated = RatedFilms(loadings, chosen * choices, noise[..., 0], torch.ones_like(told))
        reading = read_ratings(newcomer(1, rank, told), rated, told - intercepts[..., 0])
        expected = (reading.means + intercepts[..., 0]).clamp(1, 10)
        found.squares[: len(order)] += (expected - told).square()[0].numpy()
        found.counts[: len(order)] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a rating data set")
    parser.add_argument("--ranks", default="16,32,64", help="numbers in a taste, separated by commas")
    parser.add_argument("--seed", type=int, default=0, help="of the start and of the order of the ratings")
    args = parser.parse_args()
    train, validation = (load_histories(args.data, split) for split in ("train", "validation"))
    catalogue = Catalogue.from_dataset(args.data, histories=train)
    features = catalogue.features.dense(catalogue.film_ids)
    table = Table("rank", "choices", "seconds", *(f"{low}-{high}" for low, high in PLACES))
    for rank in map(int, args.ranks.split(",")):
        started = time.monotonic()
        factors = fit_film_factors(train, features, rank, seed=args.seed)
        seconds = f"{time.monotonic() - started:.0f}"
        for choices in (False, True):
            found = errors(factors, validation, choices=choices, seed=args.seed)
            cells = (f"{found.rmse(*places):.4f}" for places in PLACES)
            table.add_row(str(rank), "yes" if choices else "no", seconds, *cells)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
