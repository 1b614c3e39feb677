"""
What the film-token GPT-2 starts from: its prior alone, by the rank of its factor model, with and without what choices
of films tell, likings, and the company that films are in.

    python benchmarks/film_factors.py --data data/letterboxd --ranks 16,32,64

RMSE of validation users' ratings, each predicted from those before it in a random order, by how many those are; of
data with films kept out of training, also of their ratings of those, each predicted from fifty of other films. Nothing
is trained by gradients.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from data_prep.catalogue import Catalogue
from data_prep.dataset import ColdCases, list_splits, load_cold_cases, load_histories
from modeling.film_token_gpt2 import FilmTokenGPT2Config, FilmTokenGPT2Model
from training.film_company import COMPANY_SIZE, FilmCompany, company_size, fit_film_company
from training.film_factors import FilmFactors, fit_film_factors
from training.histories import HistoryDataset
from training.output_folder import rating_histogram

LENGTH, USERS_AT_ONCE = 256, 50
KNOWN, CASES, CASES_AT_ONCE = 50, 12_000, 200  # of new films: ratings that are known, and ratings predicted
PLACES = ((0, 0), (1, 1), (5, 15), (40, 60), (90, 110), (180, 220), (0, LENGTH - 1))


def untrained_model(
    features: np.ndarray,
    company: FilmCompany,
    histogram: np.ndarray,
    factors: FilmFactors,
    *,
    choices: bool,
    likings: bool,
) -> FilmTokenGPT2Model:
    """A model that is nothing but its prior."""
    rank = (factors.films.shape[1] - 2) // 2
    films = factors.films.clone()
    films[:, rank + 1 : -1] *= choices
    config = FilmTokenGPT2Config(
        *features.shape,
        factor_size=rank,
        content_size=factors.content_weights.shape[1],
        company_size=company.vectors.shape[1],
        num_hidden_layers=1,
    )
    config.liking_variance *= likings
    model = FilmTokenGPT2Model(config).eval()
    tables = (torch.from_numpy(company.beside(features)), torch.from_numpy(histogram), films)
    model.set_film_tables(
        *tables, factors.feature_weights, factors.content_weights, torch.from_numpy(company.feature_weights)
    )
    return model


@torch.no_grad()
def errors_by_place(model: FilmTokenGPT2Model, dataset: HistoryDataset) -> tuple[np.ndarray, np.ndarray]:
    """Summed squared errors of the expected rating, and how many, by place in the history: `(LENGTH,)` each."""
    squares, counts = np.zeros(LENGTH), np.zeros(LENGTH)
    rows = np.argsort(dataset.lengths(0), kind="stable")
    for start in range(0, len(rows), USERS_AT_ONCE):
        batch = dataset.batch(rows[start : start + USERS_AT_ONCE])
        films, ratings = batch["film_ids"], batch["ratings"]
        errors = (model(films, ratings).expected_rating - ratings).square() * (ratings > 0)
        squares[: ratings.shape[1]] += errors.sum(0).numpy()
        counts[: ratings.shape[1]] += (ratings > 0).sum(0).numpy()
    return squares, counts


@torch.no_grad()
def error_of_new_films(model: FilmTokenGPT2Model, cold: ColdCases) -> float:
    """RMSE of ratings of new films."""
    cases = np.flatnonzero(cold.histories.lengths() >= KNOWN)
    cases = np.random.default_rng(0).permutation(cases)[:CASES]
    squares = 0.0
    for start in range(0, len(cases), CASES_AT_ONCE):
        some = cases[start : start + CASES_AT_ONCE]
        histories = [[part[:KNOWN] for part in cold.histories.history(case)] for case in some]
        films, ratings = (torch.from_numpy(np.stack(part).astype(np.int64)) for part in zip(*histories, strict=True))
        new = torch.from_numpy(cold.film_index[some].astype(np.int64))[:, None]
        expected = model.predict(films, ratings, new)[:, 0] @ torch.arange(1.0, 11)
        squares += float((expected - torch.from_numpy(cold.rating[some])).square().sum())
    return (squares / max(1, len(cases))) ** 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a rating data set")
    parser.add_argument("--ranks", default="16,32,64", help="numbers in a taste, separated by commas")
    parser.add_argument("--seed", type=int, default=0, help="of the start and of the order of the ratings")
    args = parser.parse_args()
    train, validation = (load_histories(args.data, split) for split in ("train", "validation"))
    catalogue = Catalogue.from_dataset(args.data, histories=train)
    features, histogram = catalogue.features.dense(catalogue.film_ids), rating_histogram(train, len(catalogue))
    dataset = HistoryDataset(validation, LENGTH, leave_one_out=False, seed=args.seed, cut=False)
    places = (f"{low}-{high}" for low, high in PLACES)
    cold = load_cold_cases(args.data, "validation") if list_splits(args.data, "cold_cases") else None
    table = Table("rank", "company", "choices", "likings", "seconds to fit", *places, *(["new films"] if cold else []))
    for rank, size in itertools.product(map(int, args.ranks.split(",")), (0, COMPANY_SIZE)):
        started = time.monotonic()
        company = fit_film_company(train, features, company_size(size, len(train), len(catalogue)), seed=args.seed)
        factors = fit_film_factors(train, features, company, rank, seed=args.seed)
        seconds = f"{time.monotonic() - started:.0f}"
        for choices, likings in ((False, False), (True, False), (True, True)):
            model = untrained_model(features, company, histogram, factors, choices=choices, likings=likings)
            squares, counts = errors_by_place(model, dataset)
            rmse = (np.sqrt(squares[low : high + 1].sum() / counts[low : high + 1].sum()) for low, high in PLACES)
            shown = ("yes" if part else "no" for part in (size, choices, likings))
            new = [f"{error_of_new_films(model, cold):.4f}"] if cold else []
            table.add_row(str(rank), *shown, seconds, *(f"{value:.4f}" for value in rmse), *new)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
