"""One DeepFM trained on one split and measured after every epoch: a row of table 1, or a run of the study."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from modeling.deepfm import DeepFMConfig, DeepFMModel
from training.deepfm_trainer import DeepFMTrainingArguments, RatingBlocksTrainer
from training.metrics import REWARD_RATING
from training.quiet import quiet_transformers
from training.rating_blocks import RatingBlocks
from training.reproduction.film_split import Pairs, Split, hold_out_films
from training.schedule import ProgressBar

PAIRS_AT_ONCE = 65_536
MEASURED_TRAINING_PAIRS = 50_000  # a draw of them: an accuracy to a quarter of a point
HELD_OUT_SHARE = 0.1  # of the training films, for early stopping

Run = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """
    How a DeepFM is made and trained; the defaults are the paper's large configuration (section 5.1), for its smaller
    splits: 8 film and 4 user embeddings of 16, a perceptron of 16-16-1, user vectors of 64, no sigmoid, Adam at 1e-3,
    batches of 512, nothing that holds the weights back.

    Args:
        model: of `DeepFMConfig`, what differs from that.
        training: of `DeepFMTrainingArguments`, what differs from that.
        epochs: passes over the training ratings.
        early_stopping: whether the epoch is taken whose loss on a tenth of the training films is lowest, which are
            then not trained on; otherwise the last.
    """

    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    epochs: int = 100
    early_stopping: bool = False

    def but(self, *, epochs: int | None = None, early_stopping: bool | None = None, **changed: Any) -> Settings:
        """The same with some entries of the model's or of the training's changed."""
        model = {name: value for name, value in changed.items() if name in DeepFMConfig().to_dict()}
        training = {name: value for name, value in changed.items() if name not in model}
        return Settings(
            {**self.model, **model},
            {**self.training, **training},
            self.epochs if epochs is None else epochs,
            self.early_stopping if early_stopping is None else early_stopping,
        )


LARGE = Settings(
    model={
        "head": "reward-linear",
        "film_embeddings": 8,
        "user_embeddings": 4,
        "embedding_size": 16,
        "mlp_sizes": [16, 16],
        "user_size": 64,
        "user_initial_spread": 1.0,
    },
    training={
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "user_penalty": 0.0,
        "feature_penalty": 0.0,
        "per_device_train_batch_size": 2,
    },
)
SIMPLIFIED = LARGE.but(
    head="reward-mse",
    film_embeddings=1,
    user_embeddings=1,
    mlp_sizes=[32],
    user_size=16,
    per_device_train_batch_size=4,
)
# Correct features; priors that hold back features' weights and users' vectors; no perceptron; ten ratings with soft
# labels; few passes at a falling rate. Chosen on films held out of the training films.
CURED = Settings(
    model={"head": "ratings", "user_size": 16, "use_mlp": False, "dropout": 0.0},
    training={
        "targets": "soft",
        "learning_rate": 5e-3,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 30,
        "weight_decay": 0.0,
        "user_penalty": 10.0,
        "feature_penalty": 4000.0,
        "per_device_train_batch_size": 16,
    },
    epochs=5,
)
# The same for the smaller splits, in batches so much smaller that it makes hundreds of steps there too, not twenty.
CURED_SMALL = CURED.but(per_device_train_batch_size=1)


def run(
    split: Split,
    features: np.ndarray,
    settings: Settings,
    seed: int,
    advance: Callable[[], None] = lambda: None,
) -> Run:
    """
    Train, and measure after every epoch.

    Args:
        split: training and test ratings.
        features: float32 [films, width].
        settings: how.
        seed: of the weights and of the order of the ratings.
        advance: called after every epoch.

    Returns:
        `settings`, `seed`, `seconds`; `curve`: a dict an epoch, with `epoch`, `train_accuracy` and `train_loss` on a
        draw of training ratings, `test_accuracy` and `test_loss` where there are test ratings and `held_out_loss`
        with early stopping, losses being the mean squared error of P(reward); `epoch`, the one taken; of that epoch,
        by film, `films`, `cases` and `correct` of the test ratings and, in `train`, of the training ratings; and
        `rmse` of the expected rating of the test ratings.

    Raises:
        KeyboardInterrupt: training was stopped by a signal.
    """
    ratings, held_out = (
        hold_out_films(split.train, HELD_OUT_SHARE, seed) if settings.early_stopping else (split.train, None)
    )
    sample = ratings[np.sort(np.random.default_rng(seed).permutation(len(ratings))[:MEASURED_TRAINING_PAIRS])]
    measured = _Measured(sample, split.test, held_out, advance)
    started = time.monotonic()
    train(ratings, split.num_users, features, settings, seed, measured.measure)
    seconds = time.monotonic() - started
    return {
        "settings": asdict(settings),
        "seed": seed,
        "seconds": round(seconds, 1),
        "ratings_per_second": round(len(ratings) * settings.epochs / seconds),
        "train_ratings": len(ratings),
        "test_ratings": len(split.test),
        "users": split.num_users,
        "curve": measured.curve,
        **measured.taken,
    }


def train(
    ratings: Pairs,
    num_users: int,
    features: np.ndarray,
    settings: Settings,
    seed: int,
    measure: Callable[[DeepFMModel], None] = lambda model: None,
) -> DeepFMModel:
    """
    A DeepFM trained on some ratings.

    Args:
        ratings: to train on.
        num_users: users they are from.
        features: float32 [films, width].
        settings: how.
        seed: of the weights and of the order of the ratings.
        measure: called with the model after every epoch.

    Raises:
        KeyboardInterrupt: training was stopped by a signal.
    """
    torch.manual_seed(seed)
    num_films, num_features = features.shape
    config = DeepFMConfig(num_films=num_films, num_features=num_features, num_users=num_users, **settings.model)
    model = DeepFMModel(config)
    model.set_tables(torch.from_numpy(features), torch.from_numpy(np.bincount(ratings.ratings, minlength=11)[1:]))
    if settings.training.get("feature_penalty") == 0:
        # As PyTorch draws them, which the paper's implementation left to it; ours start where their prior has them.
        for layer in (module for module in model.children() if isinstance(module, nn.Linear)):
            layer.reset_parameters()
    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        args = DeepFMTrainingArguments(
            output_dir=folder,
            num_train_epochs=settings.epochs,
            seed=seed,
            save_strategy="no",
            eval_strategy="epoch",
            logging_strategy="no",
            **settings.training,
        )
        trainer = _SplitTrainer(model=model, args=args, ratings=ratings, measure=measure)
        trainer.train()
    if trainer.clock.interrupted:
        raise KeyboardInterrupt
    return model


class _Measured:
    """The curve of a run, and what its best epoch predicts."""

    def __init__(self, train: Pairs, test: Pairs, held_out: Pairs | None, advance: Callable[[], None]):
        self.train, self.test, self.held_out, self.advance = train, test, held_out, advance
        self.curve: list[dict[str, float]] = []
        self.taken: Run = {}

    def measure(self, model: DeepFMModel) -> None:
        probabilities = {"train": predict(model, self.train)}
        point: dict[str, float] = {"epoch": len(self.curve) + 1}
        if len(self.test):
            probabilities["test"] = predict(model, self.test)
        for name, predicted in probabilities.items():
            pairs = getattr(self, name)
            point[f"{name}_accuracy"] = float(_correct(predicted, pairs).mean())
            point[f"{name}_loss"] = _squared_error(predicted, pairs)
        if self.held_out is not None:
            point["held_out_loss"] = _squared_error(predict(model, self.held_out), self.held_out)
        self.curve.append(point)
        self.advance()
        if self.held_out is not None and point["held_out_loss"] > min(p["held_out_loss"] for p in self.curve):
            return
        self.taken = {
            "epoch": point["epoch"],
            "train": by_film(_correct(probabilities["train"], self.train), self.train),
        }
        if len(self.test):
            predicted = probabilities["test"]
            error = predicted @ np.arange(1, 11) - self.test.ratings
            self.taken |= {
                "rmse": float(np.sqrt(np.square(error).mean())),
                **by_film(_correct(predicted, self.test), self.test),
            }


def by_film(correct: np.ndarray, pairs: Pairs) -> Run:
    """`films` of some ratings, their `cases`, and how many of those are `correct` (bool [n]): what the bootstrap over
    films needs."""
    films, film_of_case = np.unique(pairs.films, return_inverse=True)
    return {
        "films": films.tolist(),
        "cases": np.bincount(film_of_case).tolist(),
        "correct": np.bincount(film_of_case, weights=correct).astype(int).tolist(),
    }


@torch.no_grad()
def predict(model: DeepFMModel, pairs: Pairs) -> np.ndarray:
    """Probabilities of the ratings 1..10 by the vectors of training users, float64 [n, 10]."""
    training = model.training
    model.eval()
    films, users = torch.from_numpy(pairs.films), torch.from_numpy(pairs.users)
    parts = [
        model(film_ids=some_films, user_ids=some_users).rating_logits.double().softmax(-1)
        for some_films, some_users in zip(films.split(PAIRS_AT_ONCE), users.split(PAIRS_AT_ONCE), strict=True)
    ]
    model.train(training)
    return torch.cat(parts).numpy()


def _correct(probabilities: np.ndarray, pairs: Pairs) -> np.ndarray:
    return (probabilities[:, REWARD_RATING - 1 :].sum(1) >= 0.5) == (pairs.ratings >= REWARD_RATING)


def _squared_error(probabilities: np.ndarray, pairs: Pairs) -> float:
    reward = pairs.ratings >= REWARD_RATING
    return float(np.square(probabilities[:, REWARD_RATING - 1 :].sum(1) - reward).mean())


class _SplitTrainer(RatingBlocksTrainer):
    """Measures after every epoch, in the place of a validation; draws no bar, as whoever makes many runs draws one."""

    def __init__(
        self,
        *,
        model: DeepFMModel,
        args: DeepFMTrainingArguments,
        ratings: Pairs,
        measure: Callable[[DeepFMModel], None],
    ):
        self.measure = measure
        blocks = RatingBlocks(ratings.users, ratings.films, ratings.ratings, args.seed)
        super().__init__(model=model, args=args, blocks=blocks, eval_dataset=blocks)
        self.remove_callback(ProgressBar)

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix: str = "eval") -> dict[str, float]:
        self.measure(self.accelerator.unwrap_model(self.model))
        return {}
