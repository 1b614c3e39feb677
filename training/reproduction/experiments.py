"""Experiments on splits by film, described so that each is made once: a folder keeps one JSON file for every run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from data_prep.catalogue import Catalogue
from data_prep.dataset import Histories, load_histories
from data_prep.errors import UserError
from data_prep.folders import new_file
from training.metrics import REWARD_RATING
from training.reproduction import split_baselines
from training.reproduction.deepfm_runs import Run, Settings, by_film, run
from training.reproduction.film_split import Pairs, Split, SplitSize, split_by_film
from training.reproduction.paper_features import paper_features

KEPT_IN_MEMORY = 3
FAULTS = {"characters": True, "shifted": True}  # of the paper's implementation


@dataclass(frozen=True)
class Features:
    """
    Which film vectors.

    Args:
        paper: the paper's, by `paper_features`; otherwise those of the catalogue, which the other models read.
        characters, shifted, scaled: see `paper_features`; the catalogue's have no faults and are scaled.
        crowd: with vote average, vote count and popularity.
        text: with the embeddings of title and overview, where the data set has some.
    """

    paper: bool = False
    characters: bool = False
    shifted: bool = False
    scaled: bool = True
    crowd: bool = True
    text: bool = True

    @classmethod
    def as_published(cls, **changed: bool) -> Features:
        """The paper's with both faults, unscaled."""
        return cls(**{"paper": True, **FAULTS, "scaled": False, **changed})


@dataclass(frozen=True)
class Experiment:
    """
    One DeepFM on one split.

    Args:
        name: of its file.
        size: of the split.
        features: of the films.
        settings: of the model and its training.
        seed: of the split, the weights and the order.
    """

    name: str
    size: SplitSize
    features: Features
    settings: Settings
    seed: int = 0


@dataclass(eq=False)
class Laboratory:
    """
    The data set that experiments are made on.

    Args:
        data: a rating data set, a folder or the id of one on the Hub.
        folder: where runs are kept; made where it is missing.
    """

    data: str
    folder: Path
    _splits: dict[tuple[SplitSize, int], Split] = field(default_factory=dict)
    _features: dict[Features, np.ndarray] = field(default_factory=dict)

    @cached_property
    def histories(self) -> Histories:
        """Of training users, whose ratings are split."""
        return load_histories(self.data, "train")

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue.from_dataset(self.data, histories=self.histories)

    @cached_property
    def pairs(self) -> Pairs:
        return Pairs.of(self.histories)

    @cached_property
    def digest(self) -> str:
        """Of the ratings and films: runs of other data are not taken for runs of these."""
        content = hashlib.blake2b(self.catalogue.digest.encode(), digest_size=8)
        for column in (self.histories.offsets, self.histories.film_indices, self.histories.ratings):
            content.update(np.ascontiguousarray(column).tobytes())
        return content.hexdigest()

    def split(self, size: SplitSize, seed: int) -> Split:
        """The split by film; the latest few are kept in memory."""
        if (size, seed) not in self._splits:
            while len(self._splits) >= KEPT_IN_MEMORY:
                self._splits.pop(next(iter(self._splits)))
            self._splits[size, seed] = split_by_film(self.pairs, size, seed)
        return self._splits[size, seed]

    def features(self, wanted: Features) -> np.ndarray:
        """Film vectors, float32 [films, width]; the latest few are kept in memory."""
        if wanted not in self._features:
            while len(self._features) >= KEPT_IN_MEMORY:
                self._features.pop(next(iter(self._features)))
            self._features[wanted] = self._made(wanted)
        return self._features[wanted]

    def _made(self, wanted: Features) -> np.ndarray:
        if not wanted.paper:
            dense = self.catalogue.features.dense
            return dense(self.catalogue.film_ids, crowd=wanted.crowd, text=wanted.text)
        text = None
        if wanted.text:
            with_text = self.catalogue.features.column_names(crowd=False, text=True)
            embedded = np.array([name.endswith("]") for name in with_text])
            text = self.catalogue.features.dense(self.catalogue.film_ids, crowd=False, text=True)[:, embedded]
        films: pl.DataFrame = self.catalogue.films
        kinds = {name: getattr(wanted, name) for name in ("characters", "shifted", "scaled", "crowd")}
        return paper_features(films, **kinds, text=text)

    def run(self, experiment: Experiment, advance: Callable[[], None] = lambda: None) -> Run:
        """An experiment's run, from its file where it has been made before."""

        def make() -> Run:
            split = self.split(experiment.size, experiment.seed)
            return run(split, self.features(experiment.features), experiment.settings, experiment.seed, advance)

        return self.kept(experiment.name, asdict(experiment), make)

    def is_kept(self, experiment: Experiment) -> bool:
        return _read(self._file(experiment.name), self._asked(asdict(experiment))) is not None

    def baselines(self, size: SplitSize, seed: int, features: Mapping[str, Features]) -> Run:
        """
        The baselines on a split, and user mean plus ridge on each kind of features: by name `accuracy` and, by film,
        what the bootstrap needs; `oracle` looks at the answers, of training and of test ratings.
        """

        def make() -> Run:
            split = self.split(size, seed)
            train, test = split.train, split.test
            answers: Run = {"oracle_train": _accuracy(split_baselines.oracle(train), train)}
            if not len(test):
                return answers
            answers["oracle_test"] = _accuracy(split_baselines.oracle(test), test)
            predicted = {"majority": split_baselines.majority(split), "user mean": split_baselines.user_mean(split)}
            for name, wanted in features.items():
                ridge = split_baselines.user_mean_and_ridge(split, self.features(wanted), seed)
                predicted[f"user mean + ridge, {name}"] = ridge
            for name, guesses in predicted.items():
                correct = guesses == (test.ratings >= REWARD_RATING)
                answers[name] = {"accuracy": float(correct.mean()), **by_film(correct, test)}
            return answers

        asked = {"size": asdict(size), "seed": seed, "features": {name: asdict(f) for name, f in features.items()}}
        return self.kept(f"baselines-{size.train_films}-{size.test_films}-{seed}", asked, make)

    def kept(self, name: str, asked: Mapping[str, Any], make: Callable[[], Run]) -> Run:
        """What `make` returns, from the file `name` where it holds the answer to the same question."""
        file, question = self._file(name), self._asked(asked)
        answer = _read(file, question)
        if answer is None:
            answer = make()
            file.parent.mkdir(parents=True, exist_ok=True)
            with new_file(file) as building:
                building.write_text(json.dumps({"asked": question, "answer": answer}, allow_nan=False) + "\n")
        return answer

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _asked(self, asked: Mapping[str, Any]) -> Run:
        return json.loads(json.dumps({"data": self.digest, **asked}))


def _read(file: Path, question: Run) -> Run | None:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: no run can be read there ({error}); remove it") from error
    return kept["answer"] if isinstance(kept, dict) and kept.get("asked") == question else None


def _accuracy(guesses: np.ndarray, pairs: Pairs) -> float:
    return float((guesses == (pairs.ratings >= REWARD_RATING)).mean()) if len(pairs) else float("nan")


def accuracy(answer: Run) -> float:
    """Share of correct cases of an answer told by film."""
    return sum(answer["correct"]) / sum(answer["cases"])


def combined(answers: Sequence[Run], weights: Sequence[float]) -> Run:
    """The answer whose accuracy is the weighted sum of those of answers on the same cases."""
    assert all(answer["films"] == answers[0]["films"] for answer in answers), "answers on other cases"
    correct = np.tensordot(weights, [answer["correct"] for answer in answers], axes=1)
    return {"films": answers[0]["films"], "cases": answers[0]["cases"], "correct": correct.tolist()}


def mean_interval(
    answers: Sequence[Run], others: Sequence[Run] | None = None, *, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """
    The central 95 % of the mean accuracy of answers on several splits, or of its difference to that of others on the
    same cases, by bootstrap: splits are drawn with replacement, and films within each.
    """
    if others is not None:
        answers = [combined(pair, (1, -1)) for pair in zip(answers, others, strict=True)]
    draw = np.random.default_rng(seed)
    return _interval(_resampled(answers, resamples, draw), draw)


def gap_interval(
    answers: Sequence[Run], others: Sequence[Run], *, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The same of the difference to the mean accuracy of others on other films of the same splits, as training films
    are to test films: both are drawn."""
    draw = np.random.default_rng(seed)
    means = _resampled(answers, resamples, draw) - _resampled(others, resamples, draw)
    return _interval(means, draw)


def _resampled(answers: Sequence[Run], resamples: int, draw: np.random.Generator) -> np.ndarray:
    """Accuracies on films drawn with replacement, [resamples, answers]."""
    means = np.empty((resamples, len(answers)))
    for number, answer in enumerate(answers):
        correct, cases = (np.array(answer[name], dtype=np.float64) for name in ("correct", "cases"))
        for resample in range(resamples):
            films = draw.integers(len(cases), size=len(cases))
            means[resample, number] = correct[films].sum() / cases[films].sum()
    return means


def _interval(means: np.ndarray, draw: np.random.Generator) -> tuple[float, float]:
    """The central 95 % of the mean of as many splits as there are, drawn with replacement from [resamples, splits]."""
    splits = draw.integers(means.shape[1], size=means.shape)
    low, high = np.quantile(np.take_along_axis(means, splits, axis=1).mean(1), (0.025, 0.975))
    return float(low), float(high)
