"""The command `reel train text-gpt2`: from scratch, from a GPT-2's weights, with adapters, in two processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2Model

from data_prep.catalogue import Catalogue
from data_prep.errors import UserError
from modeling.text_gpt2 import GPT2ForRating
from reel import Recommender
from training.text_films import tokenise_films
from training.text_gpt2 import main
from training.text_trainer import TextRatingTrainer

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = ["--hidden-size", "16", "--num-hidden-layers", "1", "--num-attention-heads", "2"]
QUICK = ["--max-film-tokens", "60", "--max-history-length", "4", "--use-cpu", "True", "--logging-steps", "1"]


def losses_of(folder: Path) -> list[float]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry]


@pytest.fixture(scope="module")
def trained(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that was trained for a few steps."""
    out = tmp_path_factory.mktemp("text") / "model"
    arguments = ["--data", str(tiny_dataset), "--output-dir", str(out), *SMALL, *QUICK, "--learning-rate", "1e-2"]
    main([*arguments, "--max-steps", "30", "--warmup-steps", "0", "--per-device-train-batch-size", "8"])
    return out


@pytest.fixture(scope="module")
def plain_gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the format of `openai-community/gpt2`, but small and random, and with no tokenizer."""
    folder = tmp_path_factory.mktemp("gpt2")
    torch.manual_seed(1)
    model = GPT2Model(GPT2Config(n_embd=16, n_layer=1, n_head=2))
    model.config.save_pretrained(folder)
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_it_learns_and_its_folder_is_whole(trained, tiny_dataset):
    curve = losses_of(trained)
    assert np.mean(curve[-5:]) < curve[0] - 0.1
    names = {path.name for path in trained.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "catalogue", "trainer_state.json"} <= names
    assert not [name for name in names if name.startswith("checkpoint")]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(trained), AutoTokenizer.from_pretrained(trained)
    assert type(model) is GPT2ForRating
    # What the model holds of the films can be made again from the catalogue and the tokenizer beside it.
    films = tokenise_films(Catalogue.load(trained).films, tokenizer, 60)
    assert torch.equal(films.tokens, model.film_tokens)
    assert torch.equal(films.offsets, model.film_offsets)
    assert model.config.catalogue_digest == Catalogue.load(trained).digest


def test_it_predicts_and_recommends_through_the_recommender(trained):
    recommender = Recommender.from_pretrained(trained)
    history = [("film-03", 9), ("film-10", 2), ("film-22", 7)]
    probabilities = recommender.predict(history, recommender.catalogue.film_ids)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    cases = {
        "history_film_ids": pa.array([[film for film, _ in history], []], pa.list_(pa.string())),
        "history_ratings": pa.array([[rating for _, rating in history], []], pa.list_(pa.int8())),
        "film_id": ["film-05", "film-06"],
    }
    together = recommender.predict_cases(pa.table(cases))
    np.testing.assert_allclose(together[0], recommender.predict(history, ["film-05"])[0], atol=1e-6)
    np.testing.assert_allclose(together[1], recommender.predict([], ["film-06"])[0], atol=1e-6)
    films = recommender.recommend(history, top=5)
    assert len(films) == 5
    assert all(film.because == recommender.explain(history, film.film_id) for film in films)
    # Of three films none may be near to the one best liked; to some film of the catalogue one is.
    assert any(film.because for film in recommender.recommend(history, top=100))


def test_recommending_ranks_a_shortlist_of_the_best_liked(trained, monkeypatch):
    recommender = Recommender.from_pretrained(trained)
    everything = {film.film_id for film in recommender.recommend([], top=100)}
    monkeypatch.setattr("reel.recommender.SHORTLISTS", {"text_gpt2": 12})
    means = recommender.catalogue.films.sort("rating_mean", descending=True, nulls_last=True)
    shortlist = means["film_id"].head(12).to_list()
    found = {film.film_id for film in recommender.recommend([], top=6)}
    assert len(found) == 6
    assert found <= set(shortlist) < everything | {"film-00", "film-01"}
    assert len(recommender.recommend([], top=40)) >= 39  # more than the shortlist, where more are asked for


def test_it_starts_from_a_gpt2s_weights(plain_gpt2, tiny_dataset, tmp_path, capsys):
    arguments = ["--data", str(tiny_dataset), *QUICK, "--max-steps", "1", "--pretrained", str(plain_gpt2)]
    main([*arguments, "--output-dir", str(tmp_path / "model"), "--learning-rate", "0"])
    assert f"from {plain_gpt2}" in capsys.readouterr().err
    plain = GPT2Model.from_pretrained(plain_gpt2)
    model = GPT2ForRating.from_pretrained(tmp_path / "model")
    assert torch.equal(model.transformer.h[0].attn.c_attn.weight, plain.h[0].attn.c_attn.weight)
    assert torch.equal(model.lm_head.weight, plain.wte.weight)


def test_without_weights_it_starts_from_a_config_and_says_so(tiny_dataset, tmp_path, capsys, monkeypatch):
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    monkeypatch.setattr("training.text_gpt2.GPT2_SHAPE", shape)
    main(["--data", str(tiny_dataset), *QUICK, "--max-steps", "1", "--output-dir", str(tmp_path / "model")])
    assert "from a config, as openai-community/gpt2 cannot be had here" in capsys.readouterr().err


def test_adapters_are_saved_beside_the_merged_model(plain_gpt2, tiny_dataset, tmp_path):
    from peft import PeftModel

    out = tmp_path / "model"
    arguments = ["--data", str(tiny_dataset), *QUICK, "--pretrained", str(plain_gpt2), "--lora-rank", "2"]
    main([*arguments, "--max-steps", "5", "--learning-rate", "1e-2", "--warmup-steps", "0", "--output-dir", str(out)])
    merged = Recommender.from_pretrained(out).model
    assert type(merged) is GPT2ForRating
    base = GPT2ForRating.from_pretrained(plain_gpt2, config=merged.config, ignore_mismatched_sizes=True)
    assert torch.equal(base.lm_head.weight, merged.lm_head.weight)
    adapted = PeftModel.from_pretrained(base, out / "adapter").eval()
    ids, positions = torch.randint(0, 50_000, (1, 40)), torch.tensor([[10, 39]])
    expected = adapted(ids, positions).rating_logits
    torch.testing.assert_close(merged(ids, positions).rating_logits, expected, rtol=0, atol=1e-5)
    adapter = json.loads((out / "adapter" / "adapter_config.json").read_text())
    assert adapter["r"] == 2


def test_two_processes_equal_one(tiny_dataset, tmp_path):
    common = ["-m", "training.text_gpt2", "--data", str(tiny_dataset), *SMALL, *QUICK, "--max-steps", "4"]
    common += ["--objective-weight", "0.9", "--learning-rate", "1e-2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    losses = {}
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
    assert len(losses["one"]) == 4
    assert losses["two"] == pytest.approx(losses["one"], rel=1e-5)


def test_a_run_that_was_cut_off_goes_on_with_the_same_losses(tiny_dataset, tmp_path, monkeypatch):
    common = ["--data", str(tiny_dataset), *SMALL, *QUICK, "--per-device-train-batch-size", "8"]
    common += ["--num-train-epochs", "2", "--users", "ratings", "--max-steps", "30"]
    main([*common, "--output-dir", str(tmp_path / "whole")])

    class PowerCut(Exception):
        pass

    steps = iter(range(100))
    training_step = TextRatingTrainer.training_step

    def stop_at_twenty(self, *args, **kwargs):
        if next(steps) == 20:
            raise PowerCut
        return training_step(self, *args, **kwargs)

    monkeypatch.setattr(TextRatingTrainer, "training_step", stop_at_twenty)
    cut = [*common, "--save-steps", "12", "--output-dir", str(tmp_path / "cut")]
    with pytest.raises(PowerCut):
        main(cut)
    monkeypatch.undo()
    with pytest.raises(UserError, match="has hidden_size 16, not 32"):
        main([*cut, "--resume", "--hidden-size", "32"])
    with pytest.raises(UserError, match="has lora_rank 0, not 4"):
        main([*cut, "--resume", "--lora-rank", "4"])
    main([*cut, "--resume"])
    assert losses_of(tmp_path / "cut") == pytest.approx(losses_of(tmp_path / "whole"), rel=1e-6)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--objective", "sideways"], "sideways"),
        (["--objective-weight", "2"], "objective_weight is a share, 0..1, got 2"),
        (["--max-film-tokens", "2000"], "max_film_tokens must be 20 to 1024, got 2000"),
        (["--max-film-tokens", "3"], "max_film_tokens must be 20 to 1024, got 3"),
        (["--users", "nobody"], "nobody"),
        (["--lora-rank", "-1"], "lora_rank must be at least 0, got -1"),
        (["--short-windows", "-1"], "short_windows must be at least 0, got -1"),
        (["--dropout", "1"], "resid_pdrop is a probability below 1, got 1"),
        (["--hidden-size", "30"], "got 30, 12 and 12"),
        (["--pretrained", "no/such-gpt2"], "no/such-gpt2: no GPT-2 there"),
        (["--resume"], "no checkpoint to resume"),
    ],
)
def test_wrong_arguments_are_one_line(tiny_dataset, tmp_path, extra, message):
    with pytest.raises(UserError, match=message) as error:
        main(["--data", str(tiny_dataset), "--output-dir", str(tmp_path / "model"), *extra])
    assert "\n" not in str(error.value)


def test_a_gpt2_that_reads_too_few_tokens(tiny_dataset, plain_gpt2, tmp_path):
    shutil.copytree(plain_gpt2, tmp_path / "short")
    config = json.loads((tmp_path / "short" / "config.json").read_text())
    weights = load_file(plain_gpt2 / "model.safetensors")
    weights["wpe.weight"] = weights["wpe.weight"][:32].clone()
    (tmp_path / "short" / "config.json").write_text(json.dumps(config | {"n_positions": 32}))
    save_file(weights, tmp_path / "short" / "model.safetensors", metadata={"format": "pt"})
    arguments = ["--data", str(tiny_dataset), "--output-dir", str(tmp_path / "m"), "--max-film-tokens", "40"]
    with pytest.raises(UserError, match="reads 32 tokens, fewer than max_film_tokens 40"):
        main([*arguments, "--pretrained", str(tmp_path / "short")])


def test_a_folder_that_holds_no_gpt2(tiny_dataset, tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "config.json").write_text("{}")
    (weights / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match="no GPT-2 can be read there"):
        main(["--data", str(tiny_dataset), "--output-dir", str(tmp_path / "m"), "--pretrained", str(weights)])
