"""
Compute a rating baseline: nothing is trained by gradients.

    reel train baseline --kind shrunk-bias --data data/sample --output-dir models/shrunk-bias
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_prep.catalogue import Catalogue
from data_prep.dataset import Histories, load_histories
from data_prep.errors import exit_status
from modeling.baselines import RatingBaselineConfig, RatingBaselineModel
from modeling.baselines.configuration_rating_baseline import KINDS
from training.arguments import parse_arguments
from training.baselines.als import ResidualRatings, fit_film_vectors, sample_users
from training.baselines.bandit import learn_population
from training.baselines.bias import Biases, film_estimates, film_means
from training.baselines.drawn_cases import DrawnCases, Judge
from training.baselines.film_space import informed_estimates, of_features, principal_axes
from training.output_folder import check_output_folder, claim_output_folder, save_model
from training.progress import progress
from training.publish.record import TrainingRecord, settings_of

# Shrinkages of films and of users tried on validation users, in ratings of prior weight.
SHRINKAGES = (2.0, 4.0, 8.0)
# Ranks and penalties, tuned together.
ALS_GRID = ((8, 16, 24), (10.0, 20.0, 40.0))
RIDGE_GRID = ((8, 16, 32), (5.0, 10.0, 20.0, 40.0))
BANDIT_GRID = ((4, 8, 16), (100.0, 200.0, 400.0, 800.0))
# For als few sweeps over some of the users tell which is best, more over all make the model.
TUNING_USERS, TUNING_SWEEPS, SWEEPS = 20_000, 4, 10
BANDIT_HISTORY = 200  # ratings of the histories after which the bandit learns from training users, at most


@dataclass
class BaselineArguments:
    """
    Args:
        data (`str`): a rating data set, a folder or the id of one on the Hub.
        output_dir (`str`): where the model goes.
        kind (`str`): `film-mean`, `shrunk-bias`, `als`, `ridge` or `bandit`; see `RatingBaselineConfig`.
        crowd (`bool`): whether ridge and bandit know TMDB's vote average, vote count and popularity of a film.
        seed (`int`): of the draws from users' histories.
        overwrite (`bool`): whether a non-empty output folder may be replaced.
    """

    data: str = field(metadata={"help": "a rating data set: a folder, or the id of one on the Hub"})
    output_dir: str = field(metadata={"help": "folder for the model"})
    kind: str = field(default="shrunk-bias", metadata={"help": "which", "choices": list(KINDS)})
    crowd: bool = field(
        default=True, metadata={"help": "ridge, bandit: film features with vote average, vote count and popularity"}
    )
    seed: int = field(default=0, metadata={"help": "seed of the draws from users' histories"})
    overwrite: bool = field(default=False, metadata={"help": "replace a non-empty output folder"})

    def __post_init__(self):
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")


class _Fitter:
    """Fits one kind after another to the same users; what several kinds need is computed once."""

    def __init__(self, train: Histories, validation: Histories, features: np.ndarray, seed: int):
        self.train, self.features, self.seed = train, features, seed
        self.num_films = len(features)
        self.judge = Judge(validation, seed)

    @torch.no_grad()
    def fit(self, kind: str) -> RatingBaselineModel:
        """The best baseline of a kind, its spreads measured and ready for new films."""
        fits = {
            "film-mean": self._film_mean,
            "shrunk-bias": self._shrunk_bias,
            "als": self._als,
            "ridge": self._ridge,
            "bandit": self._bandit,
        }
        model = fits[kind]()
        self.judge.measure_spreads(model)
        return model

    def _film_mean(self) -> RatingBaselineModel:
        return self._model("film-mean", film_means(self.train, self.num_films))

    def _shrunk_bias(self) -> RatingBaselineModel:
        return self._model("shrunk-bias", self._biases.estimates, user_shrinkage=self._biases.user_shrinkage)

    @cached_property
    def _biases(self) -> Biases:
        """With the shrinkages that suit validation users best."""

        def error(shrinkages: tuple[float, float]) -> float:
            estimates = film_estimates(self.train, self.num_films, *shrinkages)
            return self.judge.error(self._model("shrunk-bias", estimates, user_shrinkage=shrinkages[1]))

        return Biases.fit(self.train, self.num_films, *min(product(SHRINKAGES, SHRINKAGES), key=error))

    def _als(self) -> RatingBaselineModel:
        biases, sample = self._biases, sample_users(self.train, TUNING_USERS, self.seed)
        # The same two sides pull at each other with the same force when the penalty goes with the root of the number
        # of users: user vectors of fewer users are longer, film vectors shorter.
        share = len(sample) / len(self.train)
        residuals = ResidualRatings.after_bias(sample, biases.estimates, biases.user_shrinkage)
        sweeps = TUNING_SWEEPS * len(ALS_GRID[0]) * len(ALS_GRID[1]) + SWEEPS
        with progress("alternating least squares", sweeps) as advance:

            def error(choice: tuple[int, float]) -> float:
                rank, penalty = choice[0], choice[1] * share**0.5
                vectors = fit_film_vectors(residuals, rank, penalty, TUNING_SWEEPS, self.seed, advance)
                return self.judge.error(self._with_vectors("als", biases, vectors.numpy(), penalty))

            rank, penalty = min(product(*ALS_GRID), key=error)
            residuals = ResidualRatings.after_bias(self.train, biases.estimates, biases.user_shrinkage)
            vectors = fit_film_vectors(residuals, rank, penalty, SWEEPS, self.seed, advance)
            return self._with_vectors("als", biases, vectors.numpy(), penalty)

    def _ridge(self) -> RatingBaselineModel:
        def candidates() -> Iterator[RatingBaselineModel]:
            for rank in self._feature_ranks(RIDGE_GRID[0]):
                for penalty in RIDGE_GRID[1]:
                    yield self._with_axes("ridge", self._axes(rank), penalty)

        return min(candidates(), key=self.judge.error)

    def _bandit(self) -> RatingBaselineModel:
        cases = DrawnCases.draw(self.train, BANDIT_HISTORY, self.seed)

        def candidates() -> Iterator[RatingBaselineModel]:
            for rank in self._feature_ranks(BANDIT_GRID[0]):
                axes = self._axes(rank)
                vectors = of_features(self.features, axes).astype(np.float32)
                population = learn_population(cases, self._informed, vectors, self.seed)
                for penalty in BANDIT_GRID[1]:
                    model = self._with_axes("bandit", axes, penalty)
                    model.mean.fill_(self._informed.mean)
                    model.noise.fill_(population.noise)
                    model.weights.copy_(population.weights)
                    model.covariance.copy_(population.covariance)
                    yield model

        return min(candidates(), key=self.judge.error)

    @cached_property
    def _informed(self) -> Biases:
        """The biases, those of films shrunk to what their features say."""
        return replace(self._biases, estimates=self._informed_estimates[0])

    @cached_property
    def _informed_estimates(self) -> tuple[np.ndarray, np.ndarray]:
        return informed_estimates(self._biases, self.train, self.features)

    def _feature_ranks(self, ranks: Sequence[int]) -> list[int]:
        """Those of the ranks that are not above the number of features."""
        return sorted({min(rank, self.features.shape[1]) for rank in ranks})

    def _axes(self, rank: int) -> np.ndarray:
        return principal_axes(self.features, self._biases.counts > 0, rank)

    def _with_axes(self, kind: str, axes: np.ndarray, penalty: float) -> RatingBaselineModel:
        """A baseline in which what a film is like, and what it is worth without ratings, is what its features say."""
        model = self._with_vectors(kind, self._informed, of_features(self.features, axes), penalty)
        model.feature_weights.copy_(torch.from_numpy(np.column_stack([self._informed_estimates[1], axes])))
        return model

    def _with_vectors(self, kind: str, biases: Biases, vectors: np.ndarray, penalty: float) -> RatingBaselineModel:
        shape = {"user_shrinkage": biases.user_shrinkage, "rank": vectors.shape[1], "penalty": penalty}
        model = self._model(kind, biases.estimates, **shape)
        model.factors.copy_(torch.from_numpy(vectors))
        return model

    def _model(self, kind: str, estimates: np.ndarray, **shape: Any) -> RatingBaselineModel:
        config = RatingBaselineConfig(
            kind=kind,
            num_films=self.num_films,
            num_features=self.features.shape[1] if kind in ("ridge", "bandit") else 0,
            spread_lengths=list(self.judge.lengths),
            **shape,
        )
        model = RatingBaselineModel(config)
        model.film_estimates.copy_(torch.from_numpy(estimates))
        model.feature_weights[0, 0] = float(self.train.ratings.mean())  # of a film of which nothing is known
        return model


def fit(
    kind: str,
    train: Histories,
    validation: Histories,
    num_films: int,
    seed: int = 0,
    *,
    features: np.ndarray | None = None,
) -> RatingBaselineModel:
    """
    The baseline of a kind: tables from training users; shrinkages, rank, penalty, and the spread at every history
    length, from validation users.

    Args:
        kind (`str`): see `RatingBaselineConfig`.
        train (`Histories`), validation (`Histories`): of the two splits.
        num_films (`int`): films of the catalogue.
        seed (`int`): of the draws from users' histories, and of the start of als.
        features (`np.ndarray` of shape `(films, features)`, *optional*): of the catalogue's films, as
            `FilmFeatures.dense` gives them; ridge and bandit need them.

    Raises:
        ValueError: when ridge or bandit are given no features.
    """
    if features is None:
        if kind in ("ridge", "bandit"):
            raise ValueError(f"{kind} needs the films' features")
        features = np.zeros((num_films, 0), dtype=np.float32)
    return _Fitter(train, validation, features, seed).fit(kind)


def main(arguments: Sequence[str]) -> None:
    """The command line; see the top of the file."""
    (args,) = parse_arguments((BaselineArguments,), arguments, "reel train baseline", __doc__)
    folder = Path(args.output_dir)
    check_output_folder(folder, overwrite=args.overwrite)
    train = load_histories(args.data, "train")
    # Makes the features that are missing.
    catalogue = Catalogue.from_dataset(args.data, histories=train, crowd=args.crowd)
    features = catalogue.features.dense(catalogue.film_ids)
    validation = load_histories(args.data, "validation")
    model = fit(args.kind, train, validation, len(catalogue), args.seed, features=features)
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
