"""The text trainer: exact under accumulation and through resuming, frugal, and at home with Trainer's own options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from data_prep.dataset import Histories
from modeling.losses import RatingCrossEntropy
from modeling.text_gpt2 import GPT2ForRating
from tests.modeling.toy_text import NUM_FILMS, toy_films, toy_text_model
from training.text_gpt2 import with_adapters
from training.text_trainer import TextRatingTrainer, TextRatingTrainingArguments
from training.trajectories import TrajectoryCollator, TrajectoryDataset, Window, rows_by_user


def toy_dataset(users: int = 24) -> TrajectoryDataset:
    draw = np.random.default_rng(0)
    films = np.concatenate([draw.permutation(NUM_FILMS)[:8] for _ in range(users)]).astype(np.int32)
    ratings = draw.integers(1, 11, len(films)).astype(np.int8)
    ordered = np.arange(users) % 2 == 0
    histories = Histories(
        [str(user) for user in range(users)], np.arange(users + 1) * 8, films, ratings, None, ordered
    )
    return TrajectoryDataset(histories, rows_by_user(histories), 5, toy_films().offsets.diff().numpy())


def toy_trainer(folder: Path, model: nn.Module | None = None, **settings) -> TextRatingTrainer:
    args = TextRatingTrainingArguments(
        output_dir=str(folder),
        **{
            "use_cpu": True,
            "max_steps": 3,
            "warmup_steps": 0,
            "logging_steps": 1,
            "save_strategy": "no",
            "learning_rate": 1e-3,
            **settings,
        },
    )
    model = toy_text_model() if model is None else model
    collator = TrajectoryCollator(toy_films(), model.config, token_labels=args.rating_weight < 1)
    data = toy_dataset()
    return TextRatingTrainer(model=model, args=args, train_dataset=data, eval_dataset=data, data_collator=collator)


def losses(trainer: TextRatingTrainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def trained(folder: Path, **settings) -> TextRatingTrainer:
    trainer = toy_trainer(folder, **settings)
    trainer.train()
    return trainer


OBJECTIVES = [
    {"objective": "weighted"},
    {"objective": "unweighted"},
    {"objective_weight": 0.7},
    {"objective": "unweighted", "targets": "hard"},
]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_eight_small_steps_accumulated_equal_one_large(tmp_path, objective):
    # AdamW would make a step of the rounding errors of key biases, whose gradients are zero.
    settings = {**objective, "optim": "sgd", "learning_rate": 0.1}
    small = trained(tmp_path, **settings, per_device_train_batch_size=1, gradient_accumulation_steps=8)
    large = trained(tmp_path, **settings, per_device_train_batch_size=8)
    assert losses(small) == pytest.approx(losses(large), rel=1e-6)
    for one, other in zip(small.model.parameters(), large.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_first_loss_is_what_the_formula_gives(tmp_path, objective):
    """The whole head, a dense target at every position, and the mean over what the objective looks at."""
    trainer = toy_trainer(tmp_path, **objective, per_device_train_batch_size=24, max_steps=1)
    model, args = toy_text_model(), trainer.args
    rows, data = [], toy_dataset()
    for row in range(24):
        films, ratings = (torch.from_numpy(part).long() for part in data[Window(0, row, 5)][0])
        rows.append((toy_films().join(films, ratings, model.config), ratings))
    rating_loss = RatingCrossEntropy(args.targets, num_ratings=11)
    rating_tokens = torch.tensor(model.config.rating_token_ids)
    by_rating, by_token = [], []
    for (input_ids, positions), ratings in rows:
        logits = model(input_ids[None]).logits[0]
        by_rating += [rating_loss(logits[p][rating_tokens], r) for p, r in zip(positions, ratings, strict=True)]
        wanted = nn.functional.one_hot(input_ids[1:], model.config.vocab_size).float()
        wanted[positions] = 0
        wanted[positions[:, None], rating_tokens] = rating_loss.targets[ratings]
        by_token += list(-(wanted * logits[:-1].log_softmax(-1)).sum(-1))
    weight = args.rating_weight
    expected = weight * torch.stack(by_rating).mean() + (1 - weight) * torch.stack(by_token).mean()
    trainer.train()
    assert losses(trainer)[0] == pytest.approx(expected.item(), rel=1e-5)


def test_the_weighted_objective_never_computes_the_whole_head(tmp_path):
    trainer = toy_trainer(tmp_path)

    def refuse(*_):
        raise AssertionError("the head over the whole vocabulary was computed")

    trainer.model.lm_head.register_forward_hook(refuse)
    trainer.token_loss.register_forward_hook(refuse)
    trainer.train()
    trainer.evaluate()


@pytest.mark.parametrize("objective", OBJECTIVES[:2])
def test_it_learns(tmp_path, objective):
    trainer = trained(tmp_path, **objective, max_steps=40, per_device_train_batch_size=12, learning_rate=1e-2)
    curve = losses(trainer)
    assert np.mean(curve[-5:]) < np.mean(curve[:5]) - 0.2


@pytest.mark.parametrize(
    "options",
    [
        {"bf16": True},
        {"activation_checkpointing": True},
        {"torch_compile": True, "torch_compile_backend": "aot_eager"},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.parametrize("objective", OBJECTIVES[1:3])
def test_trainers_own_options_change_the_losses_by_no_more_than_rounding(tmp_path, objective, options):
    plain = trained(tmp_path, **objective, seed=3)
    other = trained(tmp_path, **objective, seed=3, **options)
    tolerance = 0.02 if "bf16" in options else 1e-5
    assert losses(other) == pytest.approx(losses(plain), rel=tolerance)


def test_evaluation_is_over_the_ratings_1_to_10(tmp_path):
    scores = toy_trainer(tmp_path).evaluate()
    assert 0 < scores["eval_reward_accuracy"] < 1
    assert scores["eval_nll"] > 1


@pytest.mark.parametrize("lora", [False, True])
def test_resuming_gives_the_losses_of_an_uninterrupted_run(tmp_path, lora):
    def model() -> nn.Module:
        torch.manual_seed(5)
        return with_adapters(toy_text_model(), 2, "a-gpt2") if lora else toy_text_model()

    settings = {"max_steps": 8, "per_device_train_batch_size": 5, "objective_weight": 0.5}
    whole = toy_trainer(tmp_path / "whole", model(), **settings)
    whole.train()
    first = toy_trainer(tmp_path / "cut", model(), **settings, save_strategy="steps", save_steps=4, save_total_limit=2)
    first.train()
    second = toy_trainer(tmp_path / "cut", model(), **settings)
    second.train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoint-4"))
    assert second.state.global_step == 8
    assert losses(second) == pytest.approx(losses(whole), rel=1e-6)


def test_lora_trains_its_adapters_alone_and_merges_them(tmp_path):
    from peft import PeftModel

    base = {name: weight.clone() for name, weight in toy_text_model().state_dict().items()}
    trainer = toy_trainer(tmp_path, with_adapters(toy_text_model(), 2, "a-gpt2"), learning_rate=1e-2)
    trainer.train()
    adapted = trainer.model.eval()
    batch = TrajectoryCollator(toy_films(), adapted.config)([toy_dataset()[Window(0, 0, 5)]])
    inputs = batch["input_ids"], batch["rating_positions"]
    expected = adapted(*inputs).rating_logits
    assert not torch.allclose(toy_text_model()(*inputs).rating_logits, expected, atol=1e-3)

    adapted.save_pretrained(tmp_path / "adapter")
    loaded = PeftModel.from_pretrained(toy_text_model(), tmp_path / "adapter").eval()
    assert torch.equal(loaded(*inputs).rating_logits, expected)
    merged = loaded.merge_and_unload()
    assert type(merged) is GPT2ForRating
    torch.testing.assert_close(merged(*inputs).rating_logits, expected, rtol=0, atol=1e-5)
    for name, weight in merged.state_dict().items():
        adapted_layer = name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
        assert torch.equal(weight, base[name]) != adapted_layer, name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "sideways"}, "objective is one of weighted, unweighted, got 'sideways'"),
        ({"objective_weight": 1.5}, "objective_weight is a share, 0..1, got 1.5"),
        ({"targets": "fuzzy"}, "targets is one of hard, soft, hl-gauss, got 'fuzzy'"),
    ],
)
def test_arguments_refuse_nonsense(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        TextRatingTrainingArguments(output_dir=str(tmp_path), **settings)
