"""DeepFM on splits: what a run says, that it is made once, and intervals over films and splits."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from data_prep.dataset import load_histories
from data_prep.errors import UserError
from training.deepfm import DeepFMArguments
from training.deepfm_trainer import DeepFMTrainingArguments
from training.reproduction import experiments
from training.reproduction.deepfm_runs import CURED, LARGE, SIMPLIFIED, Settings
from training.reproduction.experiments import Experiment, Features, Laboratory, accuracy, gap_interval, mean_interval
from training.reproduction.film_split import Pairs, SplitSize
from training.reproduction.known_films import KNOWN_FILMS, compared, score_warm, train_on_known_films

SIZE = SplitSize(50, 20, users=40, train_ratings=700, test_ratings=200)
KINDS = {"with crowd": Features(), "without crowd": Features(crowd=False)}


@pytest.fixture
def laboratory(tiny_dataset: Path, tmp_path: Path) -> Laboratory:
    return Laboratory(str(tiny_dataset), tmp_path / "runs")


@pytest.mark.parametrize(
    ("features", "settings"),
    [
        (Features.as_published(), LARGE),
        (Features.as_published(shifted=False), SIMPLIFIED),
        (Features(), CURED),
        (Features(crowd=False), CURED.but(early_stopping=True)),
    ],
)
def test_what_a_run_says(laboratory: Laboratory, features: Features, settings: Settings) -> None:
    run = laboratory.run(Experiment("a-run", SIZE, features, settings.but(epochs=3)))
    assert [point["epoch"] for point in run["curve"]] == [1, 2, 3]
    assert all(0 <= point[f"{side}_accuracy"] <= 1 for point in run["curve"] for side in ("train", "test"))
    taken = run["curve"][run["epoch"] - 1]
    assert accuracy(run) == pytest.approx(taken["test_accuracy"])
    assert sum(run["cases"]) == run["test_ratings"] == 200
    assert accuracy(run["train"]) == pytest.approx(taken["train_accuracy"])
    assert len(run["films"]) <= 20
    if settings.early_stopping:
        assert taken["held_out_loss"] == min(point["held_out_loss"] for point in run["curve"])
        assert run["train_ratings"] < 700
    else:
        assert run["epoch"] == 3


def test_a_run_is_made_once(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = Experiment("a-run", SIZE, Features(), CURED.but(epochs=1))
    assert not laboratory.is_kept(experiment)
    made = laboratory.run(experiment)
    assert laboratory.is_kept(experiment)
    monkeypatch.setattr(experiments, "run", lambda *args: pytest.fail("made again"))
    again = Laboratory(laboratory.data, laboratory.folder)
    assert again.run(experiment) == made
    assert not again.is_kept(dataclasses.replace(experiment, seed=1))
    assert not again.is_kept(dataclasses.replace(experiment, settings=CURED.but(epochs=2)))


def test_a_broken_file_is_named(laboratory: Laboratory) -> None:
    laboratory.folder.mkdir()
    (laboratory.folder / "a-run.json").write_text("{")
    with pytest.raises(UserError, match=r"a-run\.json: no run can be read there"):
        laboratory.run(Experiment("a-run", SIZE, Features(), CURED))


def test_without_test_films_the_curve_is_all(laboratory: Laboratory) -> None:
    size = SplitSize(30, 0, train_ratings=300)
    run = laboratory.run(Experiment("a-run", size, Features(paper=True), LARGE.but(epochs=60, learning_rate=1e-2)))
    accuracies = [point["train_accuracy"] for point in run["curve"]]
    assert accuracies[-1] > accuracies[0] + 0.1  # nothing keeps it from learning them by heart
    assert "films" not in run
    assert set(laboratory.baselines(size, 0, KINDS)) == {"oracle_train"}


def test_baselines_are_told_by_film(laboratory: Laboratory) -> None:
    answers = laboratory.baselines(SIZE, 0, KINDS)
    honest = [name for name, answer in answers.items() if isinstance(answer, dict)]
    assert honest == ["majority", "user mean", "user mean + ridge, with crowd", "user mean + ridge, without crowd"]
    for name in honest:
        assert accuracy(answers[name]) == pytest.approx(answers[name]["accuracy"])
        assert answers["oracle_test"] >= answers["majority"]["accuracy"]


def test_a_change_says_where_it_belongs() -> None:
    changed = LARGE.but(user_size=1, learning_rate=0.5, epochs=7)
    assert (changed.model["user_size"], changed.training["learning_rate"], changed.epochs) == (1, 0.5, 7)
    assert changed.model["film_embeddings"] == 8
    assert LARGE.model["user_size"] == 64


def test_intervals_over_films_and_splits() -> None:
    films = list(range(200))
    right = {"films": films, "cases": [4] * 200, "correct": [3] * 200}
    assert mean_interval([right]) == (0.75, 0.75)
    draw = np.random.default_rng(0)
    mixed = {**right, "correct": draw.integers(0, 5, 200).tolist()}
    low, high = mean_interval([mixed, mixed])
    assert low < accuracy(mixed) < high
    spread = np.std(np.array(mixed["correct"]) / 4) / np.sqrt(200)
    assert high - low == pytest.approx(2 * 1.96 * spread / np.sqrt(2), rel=0.25)
    low, high = mean_interval([mixed], [mixed])  # paired: nothing is left of the films' differences
    assert (low, high) == (0, 0)
    low, high = gap_interval([right], [mixed])  # on other films: nothing is paired
    assert low < accuracy(right) - accuracy(mixed) < high
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.25)
    with pytest.raises(AssertionError, match="other cases"):
        mean_interval([mixed], [{**mixed, "films": films[::-1]}])


def test_the_commands_defaults_are_what_is_measured(tmp_path: Path) -> None:
    config = DeepFMArguments("data").model_config()
    assert {name: getattr(config, name) for name in KNOWN_FILMS.model} == KNOWN_FILMS.model
    args = DeepFMTrainingArguments(output_dir=str(tmp_path))
    assert {name: getattr(args, name) for name in KNOWN_FILMS.training} == KNOWN_FILMS.training
    assert args.num_train_epochs == KNOWN_FILMS.epochs


def test_films_that_are_known(tiny_dataset: Path) -> None:
    histories, validation = (load_histories(str(tiny_dataset), split) for split in ("train", "validation"))
    features = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)
    settings = KNOWN_FILMS.but(epochs=30, per_device_train_batch_size=1, warmup_steps=5, learning_rate=0.02)
    known = train_on_known_films(Pairs.of(histories), validation, features, 0, settings)
    assert len(known.histories.ratings) + len(known.held_out) == len(histories.ratings)
    warm = score_warm(known, seed=0)
    assert list(warm["results"]) == ["deepfm", "film-mean", "shrunk-bias", "als"]
    assert {row["n"] for rows in warm["results"].values() for row in rows if row["sampling"] == "natural"} == {
        len(known.held_out)
    }
    assert compared(warm["paired"], "film-mean", "reward_accuracy")["difference"] > 0.02  # users differ in these data
    json.dumps(warm, allow_nan=False)
