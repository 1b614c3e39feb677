"""DeepFM's training: exact under accumulation and resuming, learns, stops early, and what it saves works."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from data_prep.dataset import Histories, load_histories
from data_prep.errors import UserError
from modeling.deepfm import DeepFMConfig, DeepFMModel
from modeling.deepfm.configuration_deepfm import HEADS
from tests.modeling.toy_deepfm import toy_deepfm
from training.deepfm import main
from training.deepfm_trainer import DeepFMTrainer, DeepFMTrainingArguments
from training.rating_blocks import BLOCK_SIZE, Block, RatingBlocks, join_blocks
from training.user_prior import AUDIENCE_SHRINKAGE, fit_film_audiences, fit_user_prior

SMALL = ["--user-size", "3", "--embedding-size", "4", "--mlp-sizes", "8", "--use-cpu", "True"]
FAST = ["--per-device-train-batch-size", "1", "--learning-rate", "0.03", "--warmup-steps", "0", "--logging-steps", "1"]


def log_of(folder: Path, name: str = "loss") -> list[float]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry[name] for entry in history if name in entry]


def test_an_epoch_is_every_rating_once_in_an_order_of_its_own(tiny_dataset):
    histories = load_histories(str(tiny_dataset), "train")
    blocks = RatingBlocks.of(histories, seed=3)
    epochs = [join_blocks([blocks[Block(epoch, row)] for row in range(len(blocks))]) for epoch in (0, 1, 0)]
    owners = np.repeat(np.arange(len(histories)), histories.lengths())
    rows = Counter(zip(owners.tolist(), histories.film_indices.tolist(), histories.ratings.tolist(), strict=True))
    for epoch in epochs:
        columns = (epoch[name].tolist() for name in ("user_ids", "film_ids", "labels"))
        assert Counter(zip(*columns, strict=True)) == rows
        assert epoch["user_shares"].sum().item() == pytest.approx(len(histories), rel=1e-4)
    assert torch.equal(epochs[0]["film_ids"], epochs[2]["film_ids"])
    assert not torch.equal(epochs[0]["film_ids"], epochs[1]["film_ids"])
    keys, sizes = blocks.examples(0, 0, np.arange(len(blocks)))
    assert keys[-1] == Block(0, len(blocks) - 1)
    assert sizes.sum() == len(histories.ratings)
    assert sizes[:-1].tolist() == [BLOCK_SIZE] * (len(blocks) - 1)


@pytest.mark.parametrize("head", HEADS)
def test_two_small_steps_accumulated_equal_one_large(tiny_dataset, tmp_path, head):
    histories = load_histories(str(tiny_dataset), "train")
    models, losses = [], []
    for batch, accumulated in ((1, 2), (2, 1)):
        args = DeepFMTrainingArguments(
            output_dir=str(tmp_path),
            use_cpu=True,
            max_steps=3,
            logging_steps=1,
            save_strategy="no",
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulated,
        )
        torch.manual_seed(0)
        model = DeepFMModel(DeepFMConfig(num_films=80, num_features=5, num_users=len(histories), head=head))
        model.set_tables(torch.randn(80, 5), torch.ones(10))
        validation = load_histories(str(tiny_dataset), "validation")
        trainer = DeepFMTrainer(model=model, args=args, histories=histories, validation=validation)
        trainer.train()
        models.append(model)
        losses.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("head", HEADS)
def test_learns_and_saves_a_model_that_predicts(tiny_dataset, tmp_path, capsys, head):
    out = tmp_path / "model"
    main(["--data", str(tiny_dataset), "--output-dir", str(out), *SMALL, *FAST, "--head", head, "--max-steps", "150"])
    printed = capsys.readouterr()
    assert "10 ratings each after the others" in printed.out
    assert "ratings a second" in printed.err
    losses = log_of(out)
    assert np.mean(losses[-10:]) < np.mean(losses[:3]) * 0.9

    from reel import Recommender

    recommender = Recommender.from_pretrained(out)
    assert len(recommender.recommend([("film-03", 9)], top=5)) == 5
    films = [f"film-{number:02d}" for number in range(0, 80, 4)]
    kind, harsh = (recommender.predict([(film, rating) for film in films], films) for rating in (10, 1))
    assert (kind[:, 6:].sum(1) > harsh[:, 6:].sum(1)).mean() > 0.8
    np.testing.assert_allclose(kind.sum(1), 1, rtol=1e-5)
    assert recommender.model.film_audiences.any()


def test_evaluate_and_predict_take_it(tiny_dataset, tmp_path):
    from reel import evaluate, predict

    out, report = tmp_path / "model", tmp_path / "report.json"
    main(["--data", str(tiny_dataset), "--output-dir", str(out), *SMALL, *FAST, "--max-steps", "20"])
    lengths = ["--context-lengths", "0,1,5"]
    evaluate.main(["--model", str(out), "--data", str(tiny_dataset), *lengths, "--out", str(report)])
    (model,) = [model for model in json.loads(report.read_text())["models"] if model["name"] == "model"]
    assert {result["context_length"] for result in model["results"]} >= {0, 1, 5}
    cases = pl.DataFrame(
        {
            "case_id": ["a", "b"],
            "history_film_ids": [[], ["film-02", "film-03"]],
            "history_ratings": [[], [9, 2]],
            "film_id": ["film-09", "film-09"],
        },
        schema_overrides={"history_film_ids": pl.List(pl.String), "history_ratings": pl.List(pl.Int64)},
    )
    cases.write_parquet(tmp_path / "cases.parquet")
    answers = tmp_path / "answers.parquet"
    predict.main(["--model", str(out), "--cases", str(tmp_path / "cases.parquet"), "--out", str(answers)])
    assert pl.read_parquet(answers)["probabilities"].arr.sum().to_list() == pytest.approx([1, 1], rel=1e-5)


def test_resuming_gives_the_losses_of_an_uninterrupted_run(tiny_dataset, tmp_path, monkeypatch):
    common = ["--data", str(tiny_dataset), *SMALL, *FAST, "--num-train-epochs", "2"]
    main([*common, "--output-dir", str(tmp_path / "whole")])
    cut = tmp_path / "cut"

    class PowerCut(Exception):
        pass

    steps = iter(range(100))
    training_step = DeepFMTrainer.training_step

    def stop_at_eight(self, *args, **kwargs):
        if next(steps) == 8:
            raise PowerCut
        return training_step(self, *args, **kwargs)

    monkeypatch.setattr(DeepFMTrainer, "training_step", stop_at_eight)
    with pytest.raises(PowerCut):
        main([*common, "--save-steps", "5", "--output-dir", str(cut)])
    monkeypatch.undo()
    main([*common, "--save-steps", "5", "--output-dir", str(cut), "--resume"])
    assert log_of(cut) == pytest.approx(log_of(tmp_path / "whole"), rel=1e-6)
    with pytest.raises(UserError, match="no checkpoint"):
        main([*common, "--output-dir", str(cut), "--resume"])


def test_stops_early_and_keeps_the_best_weights(tiny_dataset, tmp_path):
    out = tmp_path / "model"
    arguments = ["--data", str(tiny_dataset), "--output-dir", str(out), *SMALL, *FAST, "--user-penalty", "0"]
    arguments += ["--learning-rate", "0.3", "--early-stopping-patience", "2", "--num-train-epochs", "100"]
    main(arguments)
    validated = log_of(out, "eval_nll")
    assert len(validated) < 60
    best, last = int(np.argmin(validated)), len(validated) - 1
    assert last - best >= 2
    assert not list(out.glob("checkpoint-*"))


def test_stops_early_at_the_same_step_when_resumed(tiny_dataset, tmp_path, monkeypatch):
    arguments = ["--data", str(tiny_dataset), "--use-cpu", "True", "--user-size", "4", "--embedding-size", "4"]
    arguments += ["--per-device-train-batch-size", "1", "--warmup-steps", "0", "--user-penalty", "0"]
    arguments += ["--learning-rate", "0.3", "--early-stopping-patience", "2", "--num-train-epochs", "20"]
    main([*arguments, "--output-dir", str(tmp_path / "whole")])
    validated = log_of(tmp_path / "whole", "eval_nll")
    assert len(validated) < 20  # ended before its time
    steps, training_step = iter(range(1000)), DeepFMTrainer.training_step
    until = json.loads((tmp_path / "whole" / "trainer_state.json").read_text())["global_step"] - 1

    class PowerCut(Exception):
        pass

    def stop_in_the_last_epoch(self, *args, **kwargs):
        if next(steps) == until:
            raise PowerCut
        return training_step(self, *args, **kwargs)

    monkeypatch.setattr(DeepFMTrainer, "training_step", stop_in_the_last_epoch)
    with pytest.raises(PowerCut):
        main([*arguments, "--output-dir", str(tmp_path / "cut")])
    monkeypatch.undo()
    main([*arguments, "--output-dir", str(tmp_path / "cut"), "--resume"])
    assert log_of(tmp_path / "cut", "eval_nll") == pytest.approx(validated, rel=1e-6)


def test_a_large_penalty_keeps_users_at_zero(tiny_dataset, tmp_path):
    lengths = []
    for penalty in ("0.001", "1000"):
        out = tmp_path / penalty
        arguments = ["--data", str(tiny_dataset), "--output-dir", str(out), *SMALL, *FAST, "--max-steps", "60"]
        main([*arguments, "--user-penalty", penalty])
        lengths.append(DeepFMModel.from_pretrained(out).user_vectors.weight.norm(dim=1).mean().item())
    assert lengths[1] < lengths[0] / 5


@pytest.mark.parametrize(
    ("option", "weight"),
    [("--film-penalty", "film_vectors_own"), ("--feature-penalty", "film_linear")],
)
def test_a_large_penalty_keeps_what_films_have_at_zero(tiny_dataset, tmp_path, option, weight):
    lengths = []
    for penalty in ("0.001", "10000"):
        out = tmp_path / penalty
        arguments = ["--data", str(tiny_dataset), "--output-dir", str(out), *SMALL, *FAST, "--max-steps", "60"]
        main([*arguments, option, penalty])
        lengths.append(getattr(DeepFMModel.from_pretrained(out), weight).weight.norm().item())
    assert lengths[1] < lengths[0] / 5


def test_the_prior_is_found_again():
    # Users drawn from a known Gaussian rate by the model itself; the prior is searched for from another one.
    model = toy_deepfm(head="ratings", user_size=2, use_mlp=False)
    torch.manual_seed(5)
    mean, spread = torch.tensor([1.0, -0.5]), torch.tensor([0.8, 0.3])
    vectors = mean + spread * torch.randn(300, 2)
    films = torch.randint(0, 30, (300, 60))
    logits = model._logits(model._films(films), model._users(vectors).beside_films())
    ratings = torch.distributions.Categorical(logits=logits.detach()).sample() + 1
    fit_user_prior(model, films, ratings, precision=1.0, rounds=12)
    torch.testing.assert_close(model.user_mean, mean, rtol=0, atol=0.2)
    found = torch.linalg.inv(model.user_precision).diagonal().sqrt()
    torch.testing.assert_close(found, spread, rtol=0.35, atol=0.0)


def test_a_films_audience_is_the_mean_of_its_users():
    model = toy_deepfm(head="ratings", user_size=2)
    users = np.repeat(np.arange(12), 25)
    films = np.random.default_rng(0).integers(0, 10, len(users))
    histories = Histories(
        user_ids=[str(user) for user in range(12)],
        offsets=np.arange(0, len(users) + 1, 25),
        film_indices=films.astype(np.int32),
        ratings=np.ones(len(users), dtype=np.int8),
        dates=None,
        ordered=np.zeros(12, dtype=bool),
    )
    fit_film_audiences(model, histories)
    vectors = model.user_vectors.weight.detach().numpy()[users]
    of_film = vectors[films == 4]
    expected = (of_film - vectors.mean(0)).sum(0) / (len(of_film) + AUDIENCE_SHRINKAGE)
    np.testing.assert_allclose(model.film_audiences[4].numpy(), expected, atol=1e-6)
    assert not model.film_audiences[10:].any()  # nobody rated these


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--user-size", "0"], "user_size must be at least 1, got 0"),
        (["--head", "stars"], "stars"),
        (["--user-penalty", "-1"], "user_penalty must be a number from 0 on"),
        (["--feature-penalty", "nan"], "feature_penalty must be a number from 0 on, got nan"),
        (["--early-stopping-patience", "-1"], "early_stopping_patience"),
        (["--use-linear", "False", "--use-pairwise", "False", "--use-mlp", "False"], "nothing is left"),
    ],
)
def test_wrong_arguments_are_one_line(tiny_dataset, tmp_path, extra, message):
    with pytest.raises(UserError, match=message) as error:
        main(["--data", str(tiny_dataset), "--output-dir", str(tmp_path / "model"), *extra])
    assert "\n" not in str(error.value)
