"""The benchmark of film-token GPT-2 training: it counts the work that is done, and times steps of the trainer's."""

from __future__ import annotations

import json

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import film_token_training
from tests.modeling.toy import toy_history, toy_model
from training.histories import HistoryCollator


def test_useful_work_is_what_the_products_of_a_step_without_padding_do():
    model = toy_model(film_dropout=0.0).train()
    films, ratings = toy_history(12, batch=3)
    with FlopCounterMode(display=False) as counter:
        model(films, ratings).rating_logits.sum().backward()
    # Products of weights and activations; those of the process and of attention come in batches.
    done = sum(flop for operator, flop in counter.get_flop_counts()["Global"].items() if "bmm" not in str(operator))
    lengths = np.full(3, 12)
    attention = 3 * 2 * model.config.num_hidden_layers * model.config.hidden_size * (lengths**2).sum()
    counted = film_token_training.useful_flop(model.config, lengths, len(films.unique()))
    assert counted - attention == pytest.approx(done, rel=0.01)


def test_padding_is_no_useful_work():
    config = toy_model().config
    unequal, equal = np.array([2, 30]), np.array([16, 16])
    ratings = 32
    measured = film_token_training.speed(config, [film_token_training.Batch(unequal, 20, 64)], seconds=2.0)
    assert measured["ratings_per_second"] == ratings / 2
    assert measured["padding"] == 0.5  # the longer history, and two positions more
    assert film_token_training.speed(config, [film_token_training.Batch(equal, 20, 32)], 1.0)["padding"] == 0
    # The same ratings and films: what differs is attention alone, by the squares of the lengths.
    more = film_token_training.useful_flop(config, unequal, 20) - film_token_training.useful_flop(config, equal, 20)
    assert more == 3 * 2 * config.num_hidden_layers * config.hidden_size * (2**2 + 30**2 - 2 * 16**2)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_measures_what_it_says(tiny_dataset, tmp_path, monkeypatch, capsys, precision):
    peaks = {"float32": 100.0, "bfloat16": 400.0}
    monkeypatch.setattr(film_token_training.text, "matmul_peak", lambda dtype="float32": peaks[dtype])
    monkeypatch.setattr("training.film_token_gpt2.multiplies_in_bfloat16", lambda: True)
    monkeypatch.setattr(film_token_training, "text_speed", lambda data, steps: {"seconds_per_film": 0.5})
    sizes = ["--steps", "3", "--warm-up", "1", "--hidden-size", "16", "--layers", "1"]
    arguments = ["--data", str(tiny_dataset), "--out", str(tmp_path / "report.json"), *sizes]
    arguments += ["--float32"] if precision == "float32" else []
    monkeypatch.setattr("sys.argv", ["film_token_training", *arguments])
    film_token_training.main()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["seconds_per_step"] * 3 == pytest.approx(
        3 * report["ratings_per_step"] / report["ratings_per_second"]
    )
    assert 0 <= report["padding"] < 1
    assert 0 < report["share_of_peak"] < report["share_of_peak_with_process"]
    assert report["precision"] == precision
    assert report.get("share_of_peak_bfloat16") == (
        pytest.approx(report["share_of_peak"] / 4) if precision == "bfloat16" else None
    )
    assert report["times_as_fast_as_text"] == report["ratings_per_second"] / 2
    assert "ratings a second" in capsys.readouterr().out


def test_batches_know_what_they_hold():
    pieces = [{"user": 0, "film_ids": row, "ratings": [5] * len(row), "leave_one_out": False} for row in ([1, 2], [2])]
    batches = film_token_training.Batches(HistoryCollator(pad_to_multiple_of=4))
    batches(pieces)
    (batch,) = batches.seen
    assert (batch.lengths.tolist(), batch.distinct_films, batch.positions) == ([2, 1], 2, 8)
