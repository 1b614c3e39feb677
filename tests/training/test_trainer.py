"""The trainer: exact under accumulation, processes and resuming; ends by the clock; learns; says what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from data_prep.dataset import load_histories
from data_prep.errors import UserError
from modeling.film_token_gpt2 import FilmTokenGPT2Model
from tests.modeling.toy import toy_factors, toy_model
from training.arguments import parse_arguments
from training.film_token_gpt2 import FilmTokenTrainer, FilmTokenTrainingArguments, main
from training.histories import HistoryCollator, HistoryDataset
from training.output_folder import last_checkpoint
from training.trainer import RatingTrainingArguments

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = ["--hidden-size", "16", "--num-hidden-layers", "1", "--num-attention-heads", "2", "--film-dropout", "0"]


def tiny_model(num_films: int) -> FilmTokenGPT2Model:
    model = toy_model(film_dropout=0.0)
    model.config.num_films = num_films
    model = FilmTokenGPT2Model(model.config)
    model.set_film_tables(
        torch.ones(num_films, 7), torch.ones(num_films, 10), *toy_factors(num_films, 7, model.config)
    )
    return model


def trained(
    dataset: Path, folder: Path, muon: bool = True, multiple: int = 1, **settings
) -> tuple[FilmTokenGPT2Model, list[float]]:
    """A run of three steps over 48 histories, and its losses."""
    torch.manual_seed(0)
    arguments = RatingTrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        max_steps=3,
        warmup_steps=0,
        logging_steps=1,
        save_strategy="no",
        max_history_length=32,
        **settings,
    )
    histories = load_histories(str(dataset), "train")
    trainer = FilmTokenTrainer(
        muon=muon,
        model=tiny_model(80),
        args=arguments,
        train_dataset=HistoryDataset(histories, 32, leave_one_out=True),
        data_collator=HistoryCollator(pad_to_multiple_of=multiple),
    )
    trainer.train()
    return trainer.model, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("muon", [False, True])
@pytest.mark.parametrize("targets", ["hard", "soft"])
def test_eight_small_steps_accumulated_equal_one_large(tiny_dataset, tmp_path, targets, muon):
    small, small_losses = trained(
        tiny_dataset, tmp_path, muon, targets=targets, per_device_train_batch_size=1, gradient_accumulation_steps=8
    )
    large, large_losses = trained(tiny_dataset, tmp_path, muon, targets=targets, per_device_train_batch_size=8)
    assert small_losses == pytest.approx(large_losses, rel=1e-5)
    if muon:  # works in bfloat16, in which gradients equal to seven digits give steps equal to three
        return
    for one, other in zip(small.parameters(), large.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-5)


def test_more_padding_changes_nothing(tiny_dataset, tmp_path):
    plain, plain_losses = trained(tiny_dataset, tmp_path, muon=False, per_device_train_batch_size=8)
    padded, losses = trained(tiny_dataset, tmp_path, muon=False, per_device_train_batch_size=8, multiple=64)
    assert losses == pytest.approx(plain_losses, rel=1e-5)
    for one, other in zip(plain.parameters(), padded.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("able", "gpu", "options", "bf16", "use_cpu"),
    [
        ({"avx512_bf16": True}, False, [], True, True),
        ({"amx_bf16": True}, False, [], True, True),
        ({"avx2": True}, False, [], False, True),
        ({"avx2": True}, False, ["--bf16"], True, True),
        ({"avx512_bf16": True}, False, ["--bf16", "False"], False, True),
        ({"avx512_bf16": True}, True, [], False, False),
        ({"avx512_bf16": True}, True, ["--use-cpu", "True"], True, True),
    ],
)
def test_bfloat16_is_the_default_on_processors_made_for_it(tmp_path, monkeypatch, able, gpu, options, bf16, use_cpu):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: gpu)
    (args,) = parse_arguments((FilmTokenTrainingArguments,), ["--output-dir", str(tmp_path), *options], "train", None)
    assert (args.bf16, args.use_cpu) == (bf16, use_cpu)


def test_a_torch_that_cannot_tell_trains_in_float32(tmp_path, monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not FilmTokenTrainingArguments(str(tmp_path), use_cpu=True).bf16


def test_bfloat16_trains_alike(tiny_dataset, tmp_path):
    settings = {"per_device_train_batch_size": 8, "learning_rate": 0.01}
    _, half = trained(tiny_dataset, tmp_path, bf16=True, **settings)
    model, losses = trained(tiny_dataset, tmp_path, **settings)
    assert half != losses
    assert half == pytest.approx(losses, rel=1e-2)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_two_processes_equal_one(tiny_dataset, tmp_path):
    common = ["-m", "training.film_token_gpt2", "--data", str(tiny_dataset), *SMALL, "--max-steps", "4"]
    common += ["--logging-steps", "1", "--save-steps", "4", "--use-cpu", "True", "--bf16", "False"]
    common += ["--tower-passes", "2", "--company-size", "3"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    losses, restraints, openings = {}, {}, {}
    for name, config, batch in (
        ("one", "accelerate_config.yaml", "8"),
        ("two", "training/recipes/two_cpu_processes.yaml", "4"),
    ):
        out = tmp_path / name
        command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", config, *common]
        command += ["--per-device-train-batch-size", batch, "--output-dir", str(out)]
        result = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=240)
        assert result.returncode == 0, result.stderr[-2000:]
        assert {"one": "in 1 process;", "two": "in 2 processes;"}[name] in result.stderr
        losses[name] = losses_of(out)
        restraints[name] = restraint_of(out)
        openings[name] = FilmTokenGPT2Model.from_pretrained(out).opening
    assert len(losses["one"]) == 4
    assert losses["two"] == pytest.approx(losses["one"], rel=1e-5)
    assert (restraints["one"] != 0).all()
    torch.testing.assert_close(restraints["two"], restraints["one"], rtol=0.01, atol=1e-3)
    assert openings["two"] == openings["one"]


def test_two_processes_go_on_within_the_second_epoch(tiny_dataset, tmp_path):
    common = ["--data", str(tiny_dataset), *SMALL, "--num-train-epochs", "2", "--logging-steps", "1"]
    common += ["--save-steps", "8", "--per-device-train-batch-size", "4", "--use-cpu", "True", "--bf16", "False"]
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        "from training.film_token_gpt2 import FilmTokenTrainer, main\n"
        "step = FilmTokenTrainer.training_step\n"
        "def cut_off(self, *args, **kwargs):\n"
        "    if self.state.global_step == 9:\n"
        "        os._exit(7)\n"
        "    return step(self, *args, **kwargs)\n"
        "if 'CUT' in os.environ:\n"
        "    FilmTokenTrainer.training_step = cut_off\n"
        "main(sys.argv[1:])\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}

    def launch(*options: str, **variables: str) -> int:
        command = [sys.executable, "-m", "accelerate.commands.launch"]
        command += ["--config_file", "training/recipes/two_cpu_processes.yaml", str(program), *common, *options]
        variables = {**environment, **variables}
        return subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, timeout=240).returncode

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert launch("--output-dir", str(whole)) == 0
    assert launch("--output-dir", str(cut), CUT="1") != 0
    assert [path.name for path in cut.glob("checkpoint-*")] == ["checkpoint-8"]
    assert launch("--output-dir", str(cut), "--resume") == 0
    assert len(losses_of(whole)) == 12
    assert losses_of(cut) == pytest.approx(losses_of(whole), rel=1e-5)


def restraint_of(folder: Path) -> torch.Tensor:
    return FilmTokenGPT2Model.from_pretrained(folder).restraint


def losses_of(folder: Path) -> list[float]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry]


def test_learns_and_saves_a_model_that_recommends(tiny_dataset, tmp_path, capsys):
    out = tmp_path / "model"
    arguments = ["--data", str(tiny_dataset), "--output-dir", str(out), *SMALL, "--per-device-train-batch-size", "8"]
    arguments += ["--company-size", "3"]
    main([*arguments, "--max-steps", "150", "--warmup-steps", "10", "--learning-rate", "0.01"])
    assert "validation users" in capsys.readouterr().out
    losses = losses_of(out)
    assert losses[-1] < losses[0] - 0.1
    assert not list(out.glob("checkpoint-*"))

    from reel import Recommender

    recommender = Recommender.from_pretrained(out)
    assert len(recommender.recommend([("film-03", 9)], top=5)) == 5


def test_a_run_by_the_clock_ends_by_the_clock(tiny_dataset, tmp_path):
    out = tmp_path / "model"
    started = time.monotonic()
    main(
        [
            "--data",
            str(tiny_dataset),
            "--output-dir",
            str(out),
            *SMALL,
            "--max-minutes",
            "0.05",
            "--logging-steps",
            "1",
        ]
    )
    assert 3 <= time.monotonic() - started < 15
    rates = [
        entry["learning_rate"]
        for entry in json.loads((out / "trainer_state.json").read_text())["log_history"]
        if "learning_rate" in entry
    ]
    assert max(rates) > 1e-3
    assert rates[-1] < max(rates) / 4


def test_resuming_gives_the_losses_of_an_uninterrupted_run(tiny_dataset, tmp_path, monkeypatch):
    common = ["--data", str(tiny_dataset), *SMALL, "--logging-steps", "1", "--per-device-train-batch-size", "8"]
    common += ["--num-train-epochs", "2", "--use-cpu", "True", "--tower-passes", "2"]
    common += ["--company-size", "3"]
    main([*common, "--output-dir", str(tmp_path / "whole")])
    interrupted = tmp_path / "interrupted"

    class PowerCut(Exception):
        pass

    steps = iter(range(100))
    training_step = FilmTokenTrainer.training_step

    def stop_at_eight(self, *args, **kwargs):
        if next(steps) == 8:
            raise PowerCut
        return training_step(self, *args, **kwargs)

    monkeypatch.setattr(FilmTokenTrainer, "training_step", stop_at_eight)
    with pytest.raises(PowerCut):
        main([*common, "--save-steps", "5", "--output-dir", str(interrupted)])
    monkeypatch.undo()
    monkeypatch.setattr("training.film_token_gpt2.fit_user_tower", None)  # it was trained before the checkpoint
    assert (interrupted / "checkpoint-5").is_dir()
    main([*common, "--save-steps", "5", "--output-dir", str(interrupted), "--resume"])
    logs = losses_of(tmp_path / "whole"), losses_of(interrupted)
    assert len(logs[0]) == 12
    assert logs[1] == pytest.approx(logs[0], rel=1e-6)


def test_an_interrupted_run_is_saved_and_goes_on_where_it_was(tiny_dataset, tmp_path):
    out = tmp_path / "model"
    command = [sys.executable, "-m", "training.film_token_gpt2", "--data", str(tiny_dataset), "--output-dir", str(out)]
    process = subprocess.Popen(
        # At the full rate from the first step: what little is learned is enough to be restrained.
        [*command, *SMALL, "--max-minutes", "30", "--save-steps", "3", "--warmup-steps", "0"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 120
    while not list(out.glob("checkpoint-*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors[-2000:]
    assert b"--resume goes on" in errors
    assert (out / "model.safetensors").is_file()
    assert (restraint_of(out) == 0).all()  # it is to end now
    (checkpoint,) = out.glob("checkpoint-*")
    steps = int(checkpoint.name.split("-")[1])
    seconds = json.loads((checkpoint / "trainer_state.json").read_text())["stateful_callbacks"]["Clock"]["args"]

    # A budget that is over but for one step: the run goes on, and ends.
    budget = str(seconds["elapsed_before"] / 60 + 1e-4)
    arguments = ["--data", str(tiny_dataset), "--output-dir", str(out), *SMALL]
    main([*arguments, "--max-minutes", budget, "--resume"])
    after = json.loads((out / "trainer_state.json").read_text())
    assert steps < after["global_step"] < steps + 20
    assert (restraint_of(out) != 0).all()
    assert not list(out.glob("checkpoint-*"))


def test_half_a_checkpoint_is_passed_over_and_logs_are_kept(tiny_dataset, tmp_path):
    out = tmp_path / "model"
    for name in ("checkpoint-2", "checkpoint-10", "runs"):
        (out / name).mkdir(parents=True)
    assert last_checkpoint(out) is None
    (out / "checkpoint-2" / "trainer_state.json").write_text("{}")
    assert last_checkpoint(out) == str(out / "checkpoint-2")
    (out / "runs" / "events").write_text("logged")
    main(["--data", str(tiny_dataset), "--output-dir", str(out), *SMALL, "--max-steps", "1", "--overwrite"])
    assert (out / "runs" / "events").read_text() == "logged"


def test_a_checkpoint_of_another_shape_is_not_resumed(tiny_dataset, tmp_path):
    arguments = ["--data", str(tiny_dataset), "--output-dir", str(tmp_path / "model")]
    toy_model().save_pretrained(tmp_path / "model" / "checkpoint-5")
    (tmp_path / "model" / "checkpoint-5" / "trainer_state.json").write_text("{}")
    with pytest.raises(UserError, match="num_films 30, not 80"):
        main([*arguments, *SMALL, "--resume"])


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--max-minutes", "0"], "max_minutes must be above 0, got 0"),
        (["--max-minutes", "nan"], "max_minutes must be above 0, got nan"),
        (["--max-steps", "0"], "no training in 0 steps"),
        (["--learning-rate", "nan"], "learning_rate must be a number"),
        (["--report-to", "the-moon"], "the-moon"),
        (["--output-dir", ""], "output_dir is empty"),
        (["--per-device-train-batch-size", "0"], "per_device_train_batch_size must be at least 1"),
        (["--hidden-size", "30", "--num-attention-heads", "4"], "num_attention_heads=4 does not divide"),
        (["--no-such-option", "1"], "--no-such-option"),
        (["--gradient-checkpointing"], "gradient_checkpointing is not for this model"),
        (["--restore-callback-states-from-checkpoint", "True"], "callbacks restore themselves"),
        (["--targets", "fuzzy"], "fuzzy"),
        (["--company-size", "-1"], "company_size must be at least 0, got -1"),
        (["--tower-passes", "-1"], "tower_passes must be at least 0, got -1"),
        (["--resume"], "no checkpoint to resume"),
        (["--seed", "20261101123000"], "seed must be from 0 to 4294967295"),
        (["--resume", "--overwrite"], "exclude each other"),
    ],
)
def test_wrong_arguments_are_one_line(tiny_dataset, tmp_path, extra, message):
    with pytest.raises(UserError, match=message) as error:
        main(["--data", str(tiny_dataset), "--output-dir", str(tmp_path / "model"), *extra])
    assert "\n" not in str(error.value)


def test_a_full_output_folder_is_not_overwritten_by_mistake(tiny_dataset, tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    arguments = ["--data", str(tiny_dataset), "--output-dir", str(tmp_path)]
    with pytest.raises(UserError, match="--overwrite"):
        main(arguments)
    with pytest.raises(UserError, match="no model"):
        main([*arguments, "--overwrite"])
    assert (tmp_path / "diary.txt").read_text() == "mine"


def test_a_project_of_another_kind_is_not_overwritten(tiny_dataset, tmp_path):
    (tmp_path / "config.json").write_text('{"port": 80}')
    with pytest.raises(UserError, match="no model"):
        main(["--data", str(tiny_dataset), "--output-dir", str(tmp_path), "--overwrite"])
    assert (tmp_path / "config.json").read_text() == '{"port": 80}'


def test_a_training_that_diverges_says_so_and_saves_nothing(tiny_dataset, tmp_path):
    arguments = ["--data", str(tiny_dataset), "--output-dir", str(tmp_path / "model"), *SMALL]
    with pytest.raises(UserError, match=r"training has diverged.*lower --learning-rate") as error:
        main([*arguments, "--learning-rate", "1e9", "--max-steps", "8"])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "model" / "model.safetensors").exists()


def test_a_data_set_that_is_none(tmp_path):
    with pytest.raises(UserError, match="reel data sample"):
        main(["--data", str(tmp_path / "nowhere"), "--output-dir", str(tmp_path / "model")])
