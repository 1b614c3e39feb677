"""
Compute a rating baseline: nothing is trained by gradients.

    reel train baseline --kind shrunk-bias --data data/sample --output-dir models/shrunk-bias
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from data_prep.catalogue import Catalogue
from data_prep.dataset import Histories, load_histories
from data_prep.errors import UserError, exit_status
from modeling.baselines import RatingBaselineConfig, RatingBaselineModel
from modeling.baselines.configuration_rating_baseline import KINDS
from training.als import ResidualRatings, fit_film_vectors
from training.arguments import parse_arguments
from training.cases import NUM_TARGETS
from training.output_folder import check_output_folder, claim_output_folder, save_model
from training.publish.record import TrainingRecord, settings_of

# Shrinkages of films and of users tried on validation users, in ratings of prior weight, and the history lengths they
# are judged at.
SHRINKAGES = (2.0, 4.0, 8.0)
# Ranks and penalties of als, tuned together; few sweeps tell which is best, more make the model.
RANKS, PENALTIES = (8, 16, 24), (10.0, 20.0, 40.0)
TUNING_SWEEPS, SWEEPS = 4, 10
SPREAD_LENGTHS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)
ALTERNATIONS = 5
FEW_USERS = 30


@dataclass
class BaselineArguments:
    """
    Args:
        data (`str`): a rating data set, a folder or the id of one on the Hub.
        output_dir (`str`): where the model goes.
        kind (`str`): `film-mean`, `shrunk-bias` or `als`; see `RatingBaselineConfig`.
        seed (`int`): of the draws from validation users' histories.
        overwrite (`bool`): whether a non-empty output folder may be replaced.
    """

    data: str = field(metadata={"help": "a rating data set: a folder, or the id of one on the Hub"})
    output_dir: str = field(metadata={"help": "folder for the model"})
    kind: str = field(default="shrunk-bias", metadata={"help": "which", "choices": list(KINDS)})
    seed: int = field(default=0, metadata={"help": "seed of the draws from validation users"})
    overwrite: bool = field(default=False, metadata={"help": "replace a non-empty output folder"})

    def __post_init__(self):
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")


def film_means(histories: Histories, num_films: int) -> np.ndarray:
    """Mean training rating of every film, `(num_films,)`; the overall mean where there is none."""
    counts = np.bincount(histories.film_indices, minlength=num_films)
    sums = np.bincount(histories.film_indices, weights=histories.ratings, minlength=num_films)
    return np.where(counts > 0, sums / np.maximum(counts, 1), histories.ratings.mean())


def film_estimates(histories: Histories, num_films: int, film_shrinkage: float, user_shrinkage: float) -> np.ndarray:
    """
    Mean plus film bias of every film, `(num_films,)`, where film and user biases are fitted to one another: a film
    seen by harsh users is better than its mean says.

    Alternating means, `bias_f = sum(r - mean - bias_u) / (n_f + shrinkage)` and the same for users.
    """
    users = np.repeat(np.arange(len(histories)), histories.lengths())
    films, user_counts = histories.film_indices, histories.lengths()
    film_counts = np.bincount(films, minlength=num_films)
    mean = histories.ratings.mean()
    deviations = histories.ratings - mean
    user_bias = np.zeros(len(histories))
    for _ in range(ALTERNATIONS):
        film_bias = np.bincount(films, deviations - user_bias[users], num_films) / (film_counts + film_shrinkage)
        user_bias = np.bincount(users, deviations - film_bias[films], len(histories)) / (user_counts + user_shrinkage)
    return mean + film_bias


@dataclass
class ValidationCases:
    """Targets of validation users and the ratings known before them, drawn once: `(users, NUM_TARGETS + longest)`
    each."""

    films: np.ndarray
    ratings: np.ndarray  # 0 where a history has ended

    @classmethod
    def draw(cls, histories: Histories, seed: int) -> ValidationCases:
        rows = [(films, ratings) for films, ratings in histories if len(films) > NUM_TARGETS]
        if not rows:
            raise UserError(
                f"no validation user has over {NUM_TARGETS} ratings; build the data set with a larger validation split"
            )
        width = NUM_TARGETS + SPREAD_LENGTHS[-1]
        films = np.zeros((len(rows), width), dtype=np.int64)
        ratings = np.zeros((len(rows), width), dtype=np.int64)
        draw = np.random.default_rng(seed)
        for row, (row_films, row_ratings) in enumerate(rows):
            order = draw.permutation(len(row_films))[:width]
            films[row, : len(order)], ratings[row, : len(order)] = row_films[order], row_ratings[order]
        return cls(films, ratings)

    def users(self, length: int) -> np.ndarray:
        """Rows of the users with `length` ratings beside their targets."""
        return np.flatnonzero(self.ratings[:, NUM_TARGETS + length - 1] > 0)

    def errors(self, model: RatingBaselineModel, length: int) -> np.ndarray:
        """Estimate minus rating of the targets of users with `length` ratings beside them: `(users, NUM_TARGETS)`."""
        users = self.users(length)
        films, ratings = torch.from_numpy(self.films[users]), torch.from_numpy(self.ratings[users])
        history = slice(NUM_TARGETS, NUM_TARGETS + length)
        return (
            model.estimate(films[:, history], ratings[:, history], films[:, :NUM_TARGETS]) - ratings[:, :NUM_TARGETS]
        ).numpy()


class _Fitter:
    def __init__(self, train: Histories, validation: Histories, num_films: int, seed: int = 0):
        self.train, self.num_films, self.seed = train, num_films, seed
        self.cases = ValidationCases.draw(validation, seed)
        # A spread measured on a handful of users would be the spread of everyone with such a history.
        enough = min(FEW_USERS, len(self.cases.ratings))
        self.lengths = [length for length in SPREAD_LENGTHS if len(self.cases.users(length)) >= enough]

    @torch.no_grad()
    def fit(self, kind: str) -> RatingBaselineModel:
        """The best baseline of a kind, its spreads measured."""
        model = {"film-mean": self._film_mean, "shrunk-bias": self._shrunk_bias, "als": self._als}[kind]()
        model.spreads.copy_(torch.tensor([np.sqrt(self._squared_error(model, length)) for length in self.lengths]))
        return model

    def _film_mean(self) -> RatingBaselineModel:
        return self._model("film-mean", torch.from_numpy(film_means(self.train, self.num_films)))

    def _shrunk_bias(self) -> RatingBaselineModel:
        def candidate(film_shrinkage: float, user_shrinkage: float) -> RatingBaselineModel:
            estimates = film_estimates(self.train, self.num_films, film_shrinkage, user_shrinkage)
            return self._model("shrunk-bias", torch.from_numpy(estimates), user_shrinkage=user_shrinkage)

        return self._best(candidate(*shrinkages) for shrinkages in product(SHRINKAGES, SHRINKAGES))

    def _als(self) -> RatingBaselineModel:
        bias = self._shrunk_bias()
        ratings = ResidualRatings.after_bias(self.train, bias.film_estimates.numpy(), bias.config.user_shrinkage)
        sweeps = TUNING_SWEEPS * len(RANKS) * len(PENALTIES) + SWEEPS
        with Progress(console=Console(stderr=True), transient=True) as bar:
            advance = partial(bar.advance, bar.add_task("alternating least squares", total=sweeps))

            def candidate(rank: int, penalty: float, sweeps: int) -> RatingBaselineModel:
                shape = {"user_shrinkage": bias.config.user_shrinkage, "rank": rank, "penalty": penalty}
                model = self._model("als", bias.film_estimates, **shape)
                model.factors.copy_(fit_film_vectors(ratings, rank, penalty, sweeps, self.seed, advance))
                return model

            best = self._best(candidate(*choice, TUNING_SWEEPS) for choice in product(RANKS, PENALTIES)).config
            return candidate(best.rank, best.penalty, SWEEPS)

    def _model(self, kind: str, estimates: torch.Tensor, **shape: Any) -> RatingBaselineModel:
        config = RatingBaselineConfig(kind=kind, num_films=self.num_films, spread_lengths=list(self.lengths), **shape)
        model = RatingBaselineModel(config)
        model.film_estimates.copy_(estimates)
        return model

    def _best(self, candidates: Iterable[RatingBaselineModel]) -> RatingBaselineModel:
        """The one with the lowest mean of the squared errors at all history lengths."""
        return min(
            candidates,
            key=lambda model: np.mean([self._squared_error(model, length) for length in self.lengths]),
        )

    def _squared_error(self, model: RatingBaselineModel, length: int) -> float:
        return float(np.square(self.cases.errors(model, length)).mean())


def fit(kind: str, train: Histories, validation: Histories, num_films: int, seed: int = 0) -> RatingBaselineModel:
    """
    The baseline of a kind: tables from training users; shrinkages, rank, penalty, and the spread at every history
    length, from validation users.

    Args:
        kind (`str`): see `RatingBaselineConfig`.
        train (`Histories`), validation (`Histories`): of the two splits.
        num_films (`int`): films of the catalogue.
        seed (`int`): of the draws from validation users, and of the start of als.
    """
    return _Fitter(train, validation, num_films, seed).fit(kind)


def main(arguments: Sequence[str]) -> None:
    """The command line; see the top of the file."""
    (args,) = parse_arguments((BaselineArguments,), arguments, "reel train baseline", __doc__)
    folder = Path(args.output_dir)
    check_output_folder(folder, overwrite=args.overwrite)
    train = load_histories(args.data, "train")
    catalogue = Catalogue.from_dataset(args.data, histories=train)  # makes the features that are missing
    model = fit(args.kind, train, load_histories(args.data, "validation"), len(catalogue), args.seed)
    tuned = settings_of(model.config, ("user_shrinkage", "rank", "penalty")) if args.kind != "film-mean" else {}
    record = TrainingRecord.of(
        model, args.data, train, {**settings_of(args), **tuned}, origin="computed from the training ratings"
    )
    claim_output_folder(folder)
    save_model(model, catalogue, folder, record)
    spreads = ", ".join(
        f"{spread:.3f} at {length}"
        for length, spread in zip(model.config.spread_lengths, model.spreads.tolist(), strict=True)
    )
    shape = f", rank {model.config.rank}, penalty {model.config.penalty:g}" if model.config.rank else ""
    print(f"{args.kind}{shape} saved in {folder}; validation RMSE by history length: {spreads}")


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
