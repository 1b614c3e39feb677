"""DeepFM where films are known: unseen ratings of training users (the warm split), and the model for unseen users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from data_prep.dataset import Histories
from modeling.baselines import RatingBaselineModel
from training.baseline import fit as fit_baseline
from training.evaluation import Scoreboard
from training.reproduction.deepfm_runs import CURED, Settings, train
from training.reproduction.film_split import Pairs, Split, split_by_rating
from training.user_prior import fit_for_new_users

if TYPE_CHECKING:
    from modeling.deepfm import DeepFMModel

HELD_OUT_SHARE = 0.1  # of the training users' ratings
SCORED_USERS = 2_000  # of the warm split: some 70,000 ratings
USERS_AT_ONCE = 16  # the derivatives at thousands of ratings of each are in memory together
BASELINES = ("film-mean", "shrunk-bias", "als")
# Films have vectors of their own, so that features' weights need less of a prior; steps are as large as the ratings
# are many. Chosen on ratings held out of the training ratings of 9,000 users.
KNOWN_FILMS = CURED.but(
    use_film_ids=True,
    user_size=48,
    embedding_size=48,
    targets="hard",
    user_penalty=10.0,
    film_penalty=10.0,
    feature_penalty=150.0,
    per_device_train_batch_size=64,
    warmup_steps=100,
    epochs=4,
)


@dataclass
class KnownFilms:
    """The models of most ratings of the training users, and the ratings that were held out."""

    deepfm: DeepFMModel
    baselines: dict[str, RatingBaselineModel]
    histories: Histories  # what the models were trained on
    held_out: Pairs

    @property
    def models(self) -> dict[str, DeepFMModel | RatingBaselineModel]:
        """All models by name, DeepFM first."""
        return {"deepfm": self.deepfm, **self.baselines}


def train_on_known_films(
    pairs: Pairs, validation: Histories, features: np.ndarray, seed: int, settings: Settings = KNOWN_FILMS
) -> KnownFilms:
    """
    Train DeepFM and compute the baselines on nine tenths of the ratings.

    Args:
        pairs: of training users, user by user.
        validation: of validation users, whom the baselines are tuned on.
        features: float32 [films, width].
        seed: of the split, the weights and the order.
        settings: of DeepFM.
    """
    split = split_by_rating(pairs, HELD_OUT_SHARE, seed)
    histories = _histories(split)
    baselines = {kind: fit_baseline(kind, histories, validation, len(features), seed) for kind in BASELINES}
    return KnownFilms(fit_deepfm(histories, features, seed, settings), baselines, histories, split.test)


def fit_deepfm(histories: Histories, features: np.ndarray, seed: int, settings: Settings = KNOWN_FILMS) -> DeepFMModel:
    """DeepFM trained on all ratings of some users, ready for these and for new ones; the arguments are those of
    `train_on_known_films`."""
    deepfm = train(Pairs.of(histories), len(histories), features, settings, seed)
    fit_for_new_users(deepfm, histories, seed, precision=settings.training["user_penalty"])
    return deepfm.eval()


def _histories(split: Split) -> Histories:
    lengths = np.bincount(split.train.users, minlength=split.num_users)
    return Histories(
        user_ids=[str(user) for user in range(split.num_users)],
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        film_indices=split.train.films.astype(np.int32),
        ratings=split.train.ratings.astype(np.int8),
        dates=None,
        ordered=np.zeros(split.num_users, dtype=bool),
    )


def score_warm(known: KnownFilms, seed: int) -> dict[str, Any]:
    """
    All models on the held-out ratings of a draw of users, which no model has seen, after all other ratings of theirs:
    DeepFM too is told them again, as its vectors of training users are only as good as its last steps made them.

    Returns:
        `results` and `paired`, as in the report of `reel evaluate`, with the split "warm"; the bootstrap draws users.
    """
    draw = np.random.default_rng(seed)
    users = draw.permutation(np.unique(known.held_out.users))[:SCORED_USERS]
    cases = known.held_out[np.isin(known.held_out.users, users)]
    predictions = {name: _after_histories(model, known.histories, cases) for name, model in known.models.items()}
    scoreboard = Scoreboard(list(predictions), seed=seed)
    scoreboard.add(
        predictions,
        cases.ratings,
        groups=cases.users,
        sample_keys=draw.permutation(len(cases)),
        labels={"split": "warm", "population": "all", "context_length": "full"},
    )
    return {"results": scoreboard.results, "paired": scoreboard.paired}


def _after_histories(model: DeepFMModel | RatingBaselineModel, histories: Histories, cases: Pairs) -> np.ndarray:
    """Probabilities of the ratings 1..10 for cases sorted by user, each after the user's history: [n, 10]."""
    users, starts = np.unique(cases.users, return_index=True)
    ends = np.append(starts[1:], len(cases))
    parts = []
    for first in range(0, len(users), USERS_AT_ONCE):
        some = range(first, min(first + USERS_AT_ONCE, len(users)))
        rows = [(*histories.history(users[user]), cases.films[starts[user] : ends[user]]) for user in some]
        films, ratings, candidates = (
            _padded([row[column] for row in rows], padding) for column, padding in ((0, -1), (1, 0), (2, -1))
        )
        probabilities = model.predict(films, ratings, candidates).double().numpy()
        parts += [probabilities[place, : len(row[2])] for place, row in enumerate(rows)]
    return np.concatenate(parts)


def _padded(rows: list[np.ndarray], padding: int) -> torch.Tensor:
    padded = np.full((len(rows), max(map(len, rows))), padding, dtype=np.int64)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    return torch.from_numpy(padded)


def compared(paired: list[dict[str, Any]], baseline: str, metric: str, **labels: Any) -> Mapping[str, Any]:
    """The row of a report's paired differences of DeepFM to a baseline, at natural frequencies."""
    wanted = {"model": "deepfm", "baseline": baseline, "metric": metric, "sampling": "natural", **labels}
    return next(row for row in paired if wanted.items() <= row.items())
