"""The text GPT-2: what it may see, what it may not, and that saving and caching change nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, GPT2Model

from modeling.text_gpt2 import GPT2ForRating, GPT2ForRatingConfig
from tests.modeling.toy_text import NUM_FILMS, RATING_TOKENS, toy_films, toy_ratings, toy_text_model


@pytest.fixture(scope="module")
def model() -> GPT2ForRating:
    return toy_text_model()


def logits(model: GPT2ForRating, films: torch.Tensor, ratings: torch.Tensor) -> torch.Tensor:
    """Rating logits `(films, 11)` of one trajectory."""
    trajectory = toy_films().join(films, ratings, model.config)
    return model(trajectory.input_ids[None], trajectory.rating_positions[None]).rating_logits[0]


def plain_prediction(model: GPT2ForRating, films, ratings, candidate: int) -> torch.Tensor:
    """Rating probabilities of a candidate by one whole pass over its history and itself."""
    films, ratings = torch.cat([films, torch.tensor([candidate])]), torch.cat([ratings, torch.tensor([5])])
    return logits(model, films, ratings)[-1, 1:].softmax(-1)


def test_a_trajectory_is_its_films_and_ratings_end_to_end(model):
    films = toy_films()
    trajectory = films.join(torch.tensor([3, 0]), torch.tensor([10, 0]), model.config)
    first, second = (films.tokens[films.offsets[i] : films.offsets[i + 1]].tolist() for i in (3, 0))
    assert trajectory.input_ids.tolist() == [*first, RATING_TOKENS[10], 51, 52, *second, RATING_TOKENS[0], 51, 52]
    assert trajectory.rating_positions.tolist() == [len(first) - 1, len(first) + 3 + len(second) - 1]


def test_rating_logits_are_eleven_of_the_whole_heads(model):
    films, ratings = toy_ratings(5)
    trajectory = toy_films().join(films, ratings, model.config)
    whole = model(trajectory.input_ids[None]).logits[0]
    expected = whole[trajectory.rating_positions][:, RATING_TOKENS]
    torch.testing.assert_close(logits(model, films, ratings), expected, rtol=0, atol=1e-5)
    output = model(trajectory.input_ids[None], trajectory.rating_positions[None])
    rescaled = expected[:, 1:].softmax(-1) @ torch.arange(1.0, 11.0)
    torch.testing.assert_close(output.expected_rating[0], rescaled)


def test_without_rating_positions_it_is_a_plain_gpt2(model):
    plain = GPT2LMHeadModel(model.config).eval()
    plain.load_state_dict({name: weight for name, weight in model.state_dict().items() if "film_" not in name})
    ids = torch.randint(0, 40, (2, 9))
    ours, theirs = model(ids, labels=ids), plain(ids, labels=ids)
    assert torch.equal(ours.logits, theirs.logits)
    torch.testing.assert_close(ours.loss, theirs.loss)
    options = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    assert torch.equal(model.generate(ids, **options), plain.generate(ids, **options))


def test_padding_changes_no_prediction(model):
    films, ratings = toy_ratings(4)
    trajectory = toy_films().join(films, ratings, model.config)
    wide = torch.nn.functional.pad(trajectory.input_ids, (0, 7), value=33)
    positions = torch.nn.functional.pad(trajectory.rating_positions, (0, 2), value=-1)
    padded = model(wide[None], positions[None]).rating_logits[0, :4]
    torch.testing.assert_close(padded, logits(model, films, ratings), rtol=0, atol=1e-6)


def test_no_prediction_sees_its_own_rating_or_anything_later(model):
    films, ratings = toy_ratings(6)
    plain = logits(model, films, ratings)
    for place in range(6):
        other_rating = ratings.clone()
        other_rating[place] = 11 - ratings[place]
        changed = logits(model, films, other_rating)
        torch.testing.assert_close(changed[: place + 1], plain[: place + 1], rtol=0, atol=1e-6)
        assert place == 5 or not torch.allclose(changed[place + 1], plain[place + 1], atol=1e-4)
        other_film = films.clone()
        other_film[place] = next(film for film in range(NUM_FILMS) if film not in films)
        changed = logits(model, other_film, ratings)
        torch.testing.assert_close(changed[:place], plain[:place], rtol=0, atol=1e-6)
        assert not torch.allclose(changed[place], plain[place], atol=1e-4)


@pytest.mark.parametrize("length", [0, 1, 7])
def test_cached_scoring_equals_one_pass_per_candidate(model, length):
    films, ratings = toy_ratings(length)
    candidates = torch.arange(NUM_FILMS)
    for at_once in (3, 32):
        predicted = model.predict(films[None], ratings[None], candidates[None], candidates_at_once=at_once)[0]
        expected = torch.stack([plain_prediction(model, films, ratings, film) for film in candidates.tolist()])
        torch.testing.assert_close(predicted, expected, rtol=0, atol=1e-6)


def test_candidates_of_unlike_lengths_equal_one_pass_per_candidate():
    """Texts of over a hundred tokens get more room, and so another part of the history."""
    texts = toy_films(longest=160)
    model = toy_text_model(texts, n_positions=256)
    films, ratings = toy_ratings(5)
    candidates = torch.arange(NUM_FILMS)
    predicted = model.predict(films[None], ratings[None], candidates[None])[0]
    lengths = texts.offsets.diff()
    for film in candidates.tolist():
        room = 100 if lengths[film] <= 100 else 200
        kept = int(((lengths[films] + 3).flip(0).cumsum(0) <= 256 - room).sum())
        history = films[5 - kept :], ratings[5 - kept :]
        joined = texts.join(
            torch.cat([history[0], candidates[film : film + 1]]), torch.cat([history[1], ratings[:1]]), model.config
        )
        logits = model(joined.input_ids[None, :256], joined.rating_positions[None]).rating_logits[0, -1]
        torch.testing.assert_close(predicted[film], logits[1:].softmax(-1), rtol=0, atol=1e-6)


def test_the_oldest_films_are_left_out_where_the_history_does_not_fit(model):
    films, ratings = torch.arange(100) % NUM_FILMS, torch.arange(100) % 10 + 1
    blocks = toy_films().lengths(films) + 3
    kept = int((blocks.flip(0).cumsum(0) <= 256 - 100).sum())
    assert 5 < kept < 100
    candidates = torch.tensor([[4, 9]])
    long = model.predict(films[None], ratings[None], candidates)
    assert torch.equal(long, model.predict(films[None, -kept:], ratings[None, -kept:], candidates))
    assert not torch.allclose(long, model.predict(films[None, 1 - kept :], ratings[None, 1 - kept :], candidates))


def test_a_batch_equals_each_alone(model):
    (short_films, short_ratings), (long_films, long_ratings) = toy_ratings(2), toy_ratings(6, seed=2)
    films = torch.stack([torch.nn.functional.pad(short_films, (0, 4), value=-1), long_films])
    ratings = torch.stack([torch.nn.functional.pad(short_ratings, (0, 4)), long_ratings])
    together = model.predict(films, ratings, torch.tensor([[4, 5], [6, -1]]))
    assert together.shape == (2, 2, 10)
    torch.testing.assert_close(together[0, 0], plain_prediction(model, short_films, short_ratings, 4))
    torch.testing.assert_close(together[1, 0], plain_prediction(model, long_films, long_ratings, 6))
    torch.testing.assert_close(together.sum(-1), torch.tensor([[1.0, 1.0], [1.0, 0.0]]))


def test_save_and_load_are_equal_to_the_bit(model, tmp_path):
    model.save_pretrained(tmp_path)
    films, ratings = toy_ratings(5)
    for loader in (GPT2ForRating, AutoModel, AutoModelForCausalLM):
        loaded = loader.from_pretrained(tmp_path).eval()
        assert type(loaded) is GPT2ForRating
        assert torch.equal(logits(loaded, films, ratings), logits(model, films, ratings))
        candidates = torch.arange(NUM_FILMS)[None]
        predictions = (each.predict(films[None], ratings[None], candidates) for each in (loaded, model))
        assert torch.equal(*predictions)
    assert AutoConfig.from_pretrained(tmp_path).to_diff_dict() == model.config.to_diff_dict()


def test_loads_with_remote_code_in_a_process_without_the_project(model, tmp_path):
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    script = f"""
import sys, torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained({str(folder)!r}, trust_remote_code=True).eval()
assert not any(name.split(".")[0] in ("modeling", "data_prep", "training", "reel") for name in sys.modules)
history, ratings, candidates = torch.tensor([[3, 8]]), torch.tensor([[9, 2]]), torch.arange({NUM_FILMS})[None]
torch.save(model.predict(history, ratings, candidates), {str(tmp_path / "outputs.pt")!r})
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, timeout=120)
    expected = model.predict(torch.tensor([[3, 8]]), torch.tensor([[9, 2]]), torch.arange(NUM_FILMS)[None])
    assert torch.equal(torch.load(tmp_path / "outputs.pt"), expected)


def test_a_plain_gpt2s_weights_load_into_it(tmp_path):
    """The format of `openai-community/gpt2`: names without a prefix, and causal masks among the weights."""
    torch.manual_seed(0)
    shape = {"vocab_size": 60, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2}
    plain = GPT2Model(GPT2Config(**shape, bos_token_id=None, eos_token_id=None)).eval()
    plain.config.save_pretrained(tmp_path)
    masks = {f"h.{layer}.attn.bias": torch.ones(1, 1, 32, 32).tril() for layer in range(2)}
    save_file(plain.state_dict() | masks, tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded, loading = GPT2ForRating.from_pretrained(
        tmp_path, config=GPT2ForRatingConfig(**shape), output_loading_info=True
    )
    assert loading["missing_keys"] == {"film_tokens", "film_offsets"}
    assert not loading["unexpected_keys"]
    ids = torch.randint(0, 60, (2, 9))
    hidden = plain(ids).last_hidden_state
    torch.testing.assert_close(loaded.eval()(ids).logits, hidden @ plain.wte.weight.T, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rating_token_ids": [1, 2]}, "11 different tokens, got"),
        ({"num_films": 3, "num_film_tokens": 1}, "3 films cannot have 1 tokens"),
        ({"num_films": -1}, "-1 films"),
        ({"hidden_size": 30, "num_attention_heads": 4}, "30, 12 and 4"),
        ({"num_hidden_layers": 0}, "at least 1"),
        ({"resid_pdrop": 1.0}, "resid_pdrop is a probability below 1, got 1.0"),
    ],
)
def test_config_refuses_nonsense(settings, message):
    with pytest.raises(ValueError, match=message):
        GPT2ForRatingConfig(**settings)
