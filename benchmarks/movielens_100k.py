"""
ALS, shrunk bias and film mean on MovieLens-100k, five folds by rating.

    pip download --no-deps recbole==1.2.1 --dest downloads
    python benchmarks/movielens_100k.py downloads/recbole-1.2.1-py3-none-any.whl

The package carries the 100,000 ratings. Every rating is predicted once, by models of the four other folds, after the
user's ratings in those as history. Shrinkages, rank and penalty are chosen in every fold by a tenth of the training
ratings that is held out; then the models are fitted to all of them. Ratings are doubled, as everywhere here, and
errors halved: RMSE is that of 1..5 stars.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import torch
from rich.console import Console
from rich.table import Table
from torch.nn.utils.rnn import pad_sequence

from data_prep.dataset import Histories
from data_prep.errors import UserError, exit_status
from modeling.baselines import RatingBaselineConfig, RatingBaselineModel
from training.baseline import ALS_GRID, SHRINKAGES, SWEEPS, TUNING_SWEEPS
from training.baselines.als import ResidualRatings, fit_film_vectors
from training.baselines.bias import film_estimates, film_means

MEMBER = "recbole/dataset_example/ml-100k/ml-100k.inter"
FOLDS = 5
HELD_OUT = 0.1  # of a fold's training ratings, to choose by
KINDS = ("film mean", "shrunk bias", "als")


@dataclass
class Ratings:
    """
    Attributes:
        users, films, ratings: [n], users and films numbered from 0; ratings 2, 4 .. 10.
        num_users, num_films: of the whole data set.
    """

    users: np.ndarray
    films: np.ndarray
    ratings: np.ndarray
    num_users: int
    num_films: int

    @classmethod
    def read(cls, wheel: Path) -> Ratings:
        """
        Raises:
            UserError: the file is no wheel that holds the ratings.
        """
        try:
            with zipfile.ZipFile(wheel) as archive:
                content = archive.read(MEMBER)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(f"{wheel}: {error}; pip download --no-deps recbole==1.2.1 gets the file") from error
        table = pl.read_csv(io.BytesIO(content), separator="\t")
        users, films = (
            np.unique(table[column].to_numpy(), return_inverse=True) for column in ("user_id:token", "item_id:token")
        )
        stars = table["rating:float"].to_numpy()
        return cls(users[1], films[1], (2 * stars).astype(np.int8), len(users[0]), len(films[0]))

    def __getitem__(self, rows: np.ndarray) -> Ratings:
        return Ratings(self.users[rows], self.films[rows], self.ratings[rows], self.num_users, self.num_films)

    def histories(self) -> Histories:
        """Of all users, those without ratings too."""
        order = np.argsort(self.users, kind="stable")
        return Histories(
            user_ids=[str(user) for user in range(self.num_users)],
            offsets=np.searchsorted(self.users[order], np.arange(self.num_users + 1)),
            film_indices=self.films[order].astype(np.int32),
            ratings=self.ratings[order],
            dates=None,
            ordered=np.zeros(self.num_users, dtype=bool),
        )


def rmse(model: RatingBaselineModel, known: Ratings, asked: Ratings) -> float:
    """Of what the model says of the ratings asked for, after each user's known ones; in stars."""
    known_rows, asked_rows = known.histories(), asked.histories()

    def padded(arrays: list[np.ndarray], padding: int) -> torch.Tensor:
        tensors = [torch.from_numpy(array.astype(np.int64)) for array in arrays]
        return pad_sequence(tensors, batch_first=True, padding_value=padding)

    films, ratings = (list(part) for part in zip(*known_rows, strict=True))
    candidates, truth = (list(part) for part in zip(*asked_rows, strict=True))
    estimates = model.estimate(padded(films, -1), padded(ratings, 0), padded(candidates, -1))
    answers = padded(truth, 0)
    errors = (estimates.clamp(2, 10) - answers)[answers > 0] / 2
    return float(errors.square().mean().sqrt())


def fit_bias(train: Ratings, shrinkages: tuple[float, float]) -> RatingBaselineModel:
    """Film and user biases, each with its shrinkage (ratings of prior weight)."""
    config = RatingBaselineConfig(kind="shrunk-bias", num_films=train.num_films, user_shrinkage=shrinkages[1])
    model = RatingBaselineModel(config)
    model.film_estimates.copy_(torch.from_numpy(film_estimates(train.histories(), train.num_films, *shrinkages)))
    return model


def fit_als(
    train: Ratings, bias: RatingBaselineModel, rank: int, penalty: float, *, sweeps: int, seed: int
) -> RatingBaselineModel:
    """Film vectors of that rank and penalty for what the biases leave."""
    shrinkage = bias.config.user_shrinkage
    config = {"num_films": train.num_films, "user_shrinkage": shrinkage, "rank": rank, "penalty": penalty}
    model = RatingBaselineModel(RatingBaselineConfig(kind="als", **config))
    model.film_estimates.copy_(bias.film_estimates)
    residuals = ResidualRatings.after_bias(train.histories(), bias.film_estimates.numpy(), shrinkage)
    model.factors.copy_(fit_film_vectors(residuals, rank, penalty, sweeps, seed))
    return model


def fit_mean(train: Ratings) -> RatingBaselineModel:
    model = RatingBaselineModel(RatingBaselineConfig(kind="film-mean", num_films=train.num_films))
    model.film_estimates.copy_(torch.from_numpy(film_means(train.histories(), train.num_films)))
    return model


def choose(train: Ratings, seed: int) -> tuple[tuple[float, float], tuple[int, float]]:
    """Shrinkages of film and user, then rank and penalty, by held-out ratings of the training ones."""
    held_out = np.random.default_rng(seed).random(len(train.users)) < HELD_OUT
    kept, asked = train[~held_out], train[held_out]
    shrinkages = min(product(SHRINKAGES, SHRINKAGES), key=lambda pair: rmse(fit_bias(kept, pair), kept, asked))
    bias = fit_bias(kept, shrinkages)

    def error(choice: tuple[int, float]) -> float:
        return rmse(fit_als(kept, bias, *choice, sweeps=TUNING_SWEEPS, seed=seed), kept, asked)

    return shrinkages, min(product(*ALS_GRID), key=error)


@torch.no_grad()
def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="the package recbole, which holds the ratings")
    parser.add_argument("--seed", type=int, default=0, help="of folds, held-out ratings and starts (0)")
    options = parser.parse_args(arguments)
    whole = Ratings.read(options.wheel)
    fold_of = np.random.default_rng(options.seed).permutation(len(whole.users)) % FOLDS
    table = Table("fold", "test ratings", *KINDS, "shrinkage of films, users", "rank, penalty")
    values = []
    for fold in range(FOLDS):
        train, test = whole[fold_of != fold], whole[fold_of == fold]
        shrinkages, choice = choose(train, options.seed)
        bias = fit_bias(train, shrinkages)
        models = fit_mean(train), bias, fit_als(train, bias, *choice, sweeps=SWEEPS, seed=options.seed)
        values.append([rmse(model, train, test) for model in models])
        chosen = ("{:g}, {:g}".format(*pair) for pair in (shrinkages, choice))
        print(f"fold {fold + 1} of {FOLDS}: done", file=sys.stderr)
        table.add_row(str(fold + 1), f"{len(test.users):,}", *(f"{value:.4f}" for value in values[-1]), *chosen)
    table.add_section()
    table.add_row("mean", "", *(f"{value:.4f}" for value in np.mean(values, axis=0)))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
