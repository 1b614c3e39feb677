"""The film-token GPT-2: what it may see, what it may not, and that saving and caching change nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from transformers import AutoConfig, AutoModel

from modeling.film_token_gpt2 import FilmTokenGPT2Config, FilmTokenGPT2Model
from tests.modeling.toy import NUM_FILMS, toy_history, toy_model


@pytest.fixture(scope="module")
def model() -> FilmTokenGPT2Model:
    return toy_model()


def padded(films: torch.Tensor, ratings: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    extra = width - films.shape[1]
    return torch.nn.functional.pad(films, (0, extra), value=-1), torch.nn.functional.pad(ratings, (0, extra))


@pytest.mark.parametrize("length", [0, 1, 2, 37, 600])
def test_histories_of_any_length_give_a_distribution(model, length):
    films, ratings = toy_history(length)
    candidates = torch.arange(8).expand(2, -1)
    probabilities = model.predict(films, ratings, candidates)
    assert probabilities.shape == (2, 8, 10)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(2, 8))
    if length:
        output = model(films, ratings)
        assert output.rating_logits.shape == (2, length, 10)
        assert ((output.expected_rating > 1) & (output.expected_rating < 10)).all()


def test_padding_changes_no_prediction():
    model = toy_model().double()
    films, ratings = toy_history(9)
    plain = model(films, ratings).rating_logits
    wide = model(*padded(films, ratings, 14)).rating_logits[:, :9]
    torch.testing.assert_close(wide, plain, rtol=0, atol=1e-6)
    candidates = torch.arange(5).expand(2, -1)
    torch.testing.assert_close(
        model.predict(*padded(films, ratings, 14), candidates),
        model.predict(films, ratings, candidates),
        rtol=0,
        atol=1e-6,
    )


def test_no_prediction_sees_its_own_rating_or_anything_later(model):
    films, ratings = toy_history(12)
    before = model(films, ratings).rating_logits
    for place in (0, 5, 11):
        other = ratings.clone()
        other[:, place] = other[:, place] % 10 + 1
        after = model(films, other).rating_logits
        assert torch.equal(after[:, : place + 1], before[:, : place + 1])
        other_films = films.clone()
        other_films[:, place] = (other_films[:, place] + 1) % NUM_FILMS
        after = model(other_films, ratings).rating_logits
        assert torch.equal(after[:, :place], before[:, :place])
    changed = model(films, torch.cat([ratings[:, :1] % 10 + 1, ratings[:, 1:]], 1)).rating_logits
    assert not torch.allclose(changed[:, 1:], before[:, 1:])


@pytest.mark.parametrize("length", [0, 1, 11])
def test_cached_scoring_equals_scoring_each_candidate_alone(model, length):
    films, ratings = toy_history(length)
    candidates = torch.tensor([[3, 17, 3, 29], [0, 8, 21, 1]])
    cached = model.predict(films, ratings, candidates, candidates_at_once=3)
    for column in range(candidates.shape[1]):
        longer = torch.cat([films, candidates[:, column : column + 1]], 1)
        ignored = torch.cat([ratings, torch.ones(2, 1, dtype=torch.long)], 1)
        alone = model(longer, ignored).rating_logits[:, -1].softmax(-1)
        torch.testing.assert_close(cached[:, column], alone, rtol=0, atol=2e-6)


def test_a_batch_of_unequal_histories_equals_each_alone(model):
    (short_films, short_ratings), (long_films, long_ratings) = toy_history(3, 1), toy_history(8, 1, seed=2)
    films = torch.cat([padded(short_films, short_ratings, 8)[0], long_films])
    ratings = torch.cat([padded(short_films, short_ratings, 8)[1], long_ratings])
    candidates = torch.tensor([[4, 5], [6, -1]])
    together = model.predict(films, ratings, candidates)
    torch.testing.assert_close(together[0], model.predict(short_films, short_ratings, candidates[:1])[0])
    torch.testing.assert_close(together[1, :1], model.predict(long_films, long_ratings, candidates[1:, :1])[0])


def test_leave_one_out_equals_statistics_without_the_users_ratings():
    model = toy_model(film_dropout=0.0)
    films, ratings = torch.tensor([[4, 9, 2, 25]]), torch.tensor([[7, 1, 10, 4]])
    model.rating_histogram[films[0], ratings[0] - 1] += 1  # the user is one of the training users
    mean = model.config.mean_rating
    overall = model.rating_histogram.sum(0)
    seen = model(films, ratings, leave_one_out=True).rating_logits
    model.rating_histogram[films[0], ratings[0] - 1] -= 1
    # The overall distribution smooths every film's; a training run keeps it fixed.
    difference = overall - model.rating_histogram.sum(0)
    model.rating_histogram[0] += difference  # film 0 is not in the history: the totals stay as they were
    without = model(films, ratings, leave_one_out=False).rating_logits
    assert model.config.mean_rating == mean
    torch.testing.assert_close(seen, without)


def test_added_films_are_in_every_table_and_change_nothing_for_the_others():
    model = toy_model()
    films, ratings = toy_history(7)
    before = model.predict(films, ratings, torch.arange(NUM_FILMS).expand(2, -1))
    tables = {name: len(tensor) for name, tensor in model.state_dict().items() if len(tensor.shape)}
    of_films = {name for name, rows in tables.items() if rows == NUM_FILMS}
    model.add_films(torch.randn(3, 5))
    assert model.config.num_films == NUM_FILMS + 3
    assert {name for name in of_films if len(model.state_dict()[name]) != NUM_FILMS + 3} == set()
    assert model.film_vectors().shape == (NUM_FILMS + 3, 16)
    torch.testing.assert_close(model.predict(films, ratings, torch.arange(NUM_FILMS).expand(2, -1)), before)


def test_an_added_film_is_what_a_film_without_ratings_is():
    model = toy_model()
    films, ratings = toy_history(7)
    model.rating_histogram[4] = 0
    features = model.film_features[4, :5]
    model.film_features[4, 5:] = model.company_weights[0] + features @ model.company_weights[1:]
    model.film_factors[4] = model.feature_weights[0] + model.film_features[4] @ model.feature_weights[1:]
    model.add_films(features[None])
    predicted = model.predict(films, ratings, torch.tensor([[4, NUM_FILMS]] * 2))
    torch.testing.assert_close(predicted[:, 0], predicted[:, 1])
    twice = torch.where(films == 4, NUM_FILMS, films)  # it may also have been rated
    torch.testing.assert_close(model(twice, ratings).rating_logits, model(films, ratings).rating_logits)


def test_mixed_precision_leaves_the_process_alone(model):
    films, ratings = toy_history(20)
    candidates = torch.arange(6).expand(2, -1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model(films, ratings).expected_rating
        predicted = model.predict(films, ratings, candidates)
        model.read_on(model.read(films, ratings), films[:, 0], ratings[:, 0])
    torch.testing.assert_close(mixed.float(), model(films, ratings).expected_rating, rtol=0, atol=0.3)
    torch.testing.assert_close(predicted.float(), model.predict(films, ratings, candidates), rtol=0, atol=0.1)


def test_factors_that_a_user_had_no_part_in_are_read_in_the_place_of_the_models_own(model):
    films, ratings = toy_history(7)
    own = model.film_factors[films]
    plain = model(films, ratings).rating_logits
    torch.testing.assert_close(model(films, ratings, film_factors=own).rating_logits, plain)
    other = model(films, ratings, film_factors=own + 0.1).rating_logits
    assert not torch.allclose(other, plain, atol=1e-3)


@pytest.mark.parametrize("length", [0, 1, 6])
def test_reading_on_equals_reading_all_at_once(model, length):
    films, ratings = toy_history(length + 2)
    memory = model.read(films[:, :length], ratings[:, :length])
    before = [tensor.clone() for tensor in (memory.padding, memory.sums, memory.belief.whitener)]
    candidates = torch.arange(12).expand(2, -1)
    unchanged = model.score(memory, candidates)
    longer = memory
    for place in (length, length + 1):
        longer = model.read_on(longer, films[:, place], ratings[:, place])
    torch.testing.assert_close(
        model.score(longer, candidates), model.predict(films, ratings, candidates), rtol=0, atol=1e-5
    )
    assert all(map(torch.equal, before, (memory.padding, memory.sums, memory.belief.whitener)))
    assert torch.equal(model.score(memory, candidates), unchanged)


def test_reading_on_after_histories_of_unequal_length(model):
    films, ratings = toy_history(8)
    ratings[0, 3:], films[0, 3:] = 0, -1
    film, rating = torch.tensor([7, 8]), torch.tensor([2, 9])
    memory = model.read_on(model.read(films, ratings), film, rating)
    short = torch.cat([films[:1, :3], film[:1, None]], 1), torch.cat([ratings[:1, :3], rating[:1, None]], 1)
    candidates = torch.arange(5).expand(2, -1)
    torch.testing.assert_close(
        model.score(memory, candidates)[0], model.predict(*short, candidates[:1])[0], rtol=0, atol=1e-5
    )


def test_what_is_known_of_all_films_may_be_worked_out_before(model):
    films, ratings = toy_history(6)
    memory, candidates = model.read(films, ratings), torch.randperm(NUM_FILMS).expand(2, -1)
    catalogue = model.catalogue(films_at_once=7)
    for way in (model.score, model.glance):
        torch.testing.assert_close(way(memory, candidates, catalogue=catalogue), way(memory, candidates))


def test_the_covariance_says_how_sure_the_process_is(model):
    films, ratings = toy_history(5)
    catalogue, rows, rated = model.catalogue(), torch.arange(8), films[0]
    process = catalogue.process
    across, noise = model.covariance(process, rated, rows), process.noise
    known = model.covariance(process, rated, rated) + torch.diag(noise[rated])
    left = model.covariance(process, rows, rows) - across.mT @ torch.linalg.solve(known, across)
    expected = model._expect(model.read(films[:1], ratings[:1]).belief, catalogue.at(rows[None]))
    torch.testing.assert_close(left.diagonal() + noise[rows], expected.variances[0], atol=1e-4, rtol=1e-4)


def test_a_glance_expects_what_the_prior_does(model):
    films, ratings = toy_history(9)
    candidates, scale = torch.arange(6).expand(2, -1), torch.arange(1.0, 11.0)
    glance = model.glance(model.read(films, ratings), candidates)
    torch.testing.assert_close(glance.sum(-1), torch.ones(2, 6))
    assert not torch.allclose(glance, model.predict(films, ratings, candidates), atol=1e-3)
    silent = toy_model()
    with torch.no_grad():
        silent.rating_head.weight.zero_()
        silent.rating_head.bias.zero_()
        silent.tower_head.weight.zero_()
        silent.tower_weights.zero_()
    prior = silent.predict(films, ratings, candidates)
    torch.testing.assert_close(glance @ scale, prior @ scale, atol=0.05, rtol=0)


def test_an_untrained_model_is_its_prior():
    torch.manual_seed(0)
    model = FilmTokenGPT2Model(FilmTokenGPT2Config(num_films=3, num_features=2, factor_size=1, content_size=2)).eval()
    histogram = torch.tensor([[0, 0, 0, 0, 0, 0, 0, 5, 90, 5], [10] * 10, [0] * 10]).float()
    # Intercept, loading, choice, noise.
    factors = torch.tensor([[8.9, 1.0, 0.0, 1.0], [5.5, 1.0, 0.0, 8.0], [6.5, 1.0, 0.0, 4.0]])
    model.set_film_tables(torch.randn(3, 2), histogram, factors, torch.zeros(3, 4), torch.zeros(3, 2))
    empty = torch.zeros(1, 0, dtype=torch.long)
    loved, spread, unknown = model.predict(empty, empty, torch.arange(3)[None])[0]
    ratings = torch.arange(1, 11).float()
    assert 8.3 < loved @ ratings < 9.0
    assert spread @ ratings < loved @ ratings
    assert abs(unknown @ ratings - 6.5) < 0.1
    harsh = model.predict(torch.tensor([[1] * 8]), torch.tensor([[1] * 8]), torch.arange(3)[None])[0] @ ratings
    kind = model.predict(torch.tensor([[1] * 8]), torch.tensor([[10] * 8]), torch.arange(3)[None])[0] @ ratings
    assert (harsh < torch.stack([loved, spread, unknown]) @ ratings).all()
    assert (kind > harsh + 1).all()


def test_what_a_person_leans_to_adds_to_nothing(model):
    films, ratings = toy_history(12)
    expected = model._read(model._films(films), ratings)[0]
    torch.testing.assert_close(expected.leanings.sum(-1), torch.zeros(2, 12), rtol=0, atol=1e-5)
    assert (expected.leanings[:, 0] == 0).all()  # nothing is known before the first rating
    assert (expected.leanings[:, 1:].abs().amax(-1) > 1e-3).all()


def test_film_dropout_withholds_all_that_is_known_of_a_film():
    model = toy_model(film_dropout=0.999).train()
    torch.manual_seed(0)
    films, ratings = toy_history(6)
    dropped = model(films, ratings).rating_logits
    with torch.no_grad():
        model.film_embedding.weight.zero_()
        model.vector_embedding.weight.zero_()
    # With every film dropped, neither embeddings nor factors nor any film's own statistics matter: only features and
    # the overall distribution.
    model.rating_histogram.copy_(model.rating_histogram.flip(0))
    model.film_factors.copy_(model.film_factors.flip(0))
    model.film_features[:, model.config.num_features :] = 0  # the company
    torch.manual_seed(0)
    torch.testing.assert_close(model(films, ratings).rating_logits, dropped)


def test_save_and_load_are_equal_to_the_bit(model, tmp_path):
    model.save_pretrained(tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", *[".py"] * 7, ".safetensors"]
    films, ratings = toy_history(9)
    expected = model(films, ratings).rating_logits
    for loaded in (FilmTokenGPT2Model.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)):
        assert type(loaded) is FilmTokenGPT2Model
        assert torch.equal(loaded.eval()(films, ratings).rating_logits, expected)
    assert AutoConfig.from_pretrained(tmp_path).to_diff_dict() == model.config.to_diff_dict()


def test_loads_with_remote_code_in_a_process_without_the_project(model, tmp_path):
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    films, ratings = toy_history(9)
    torch.save({"films": films, "ratings": ratings}, tmp_path / "inputs.pt")
    script = f"""
import sys, torch
from transformers import AutoModel
model = AutoModel.from_pretrained({str(folder)!r}, trust_remote_code=True).eval()
assert not any(name.split(".")[0] in ("modeling", "data_prep", "training", "reel") for name in sys.modules)
inputs = torch.load({str(tmp_path / "inputs.pt")!r})
torch.save(model(inputs["films"], inputs["ratings"]).rating_logits.detach(), {str(tmp_path / "outputs.pt")!r})
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, timeout=120)
    assert torch.equal(torch.load(tmp_path / "outputs.pt"), model(films, ratings).rating_logits)


def test_config_survives_json(tmp_path):
    config = FilmTokenGPT2Config(num_films=7, num_features=3, hidden_size=32, num_attention_heads=2, film_dropout=0.1)
    config.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "film_token_gpt2"
    assert FilmTokenGPT2Config.from_pretrained(tmp_path).to_diff_dict() == config.to_diff_dict()


def test_nothing_is_restrained_while_it_learns():
    model = toy_model(film_dropout=0.0)
    films, ratings = toy_history(9)
    restrained, learning = model(films, ratings), model.train()(films, ratings)
    assert learning.prior_logits is None
    assert learning.added_logits is None
    model.restraint.zero_()
    model.opening.zero_()
    plain = model.eval()(films, ratings).rating_logits
    torch.testing.assert_close(learning.rating_logits, plain)
    assert not torch.allclose(restrained.rating_logits, plain, atol=1e-3)


def test_only_of_a_newcomer_is_a_films_mean_expected():
    model = toy_model()
    films, ratings = toy_history(9)
    catalogue = model.catalogue()
    rows = films[:, 0]
    trust, means = catalogue.trust[rows], model._mean_rating(catalogue.shares[rows])
    opened = model(films, ratings).expected_rating
    model.opening.zero_()
    plain = model(films, ratings).expected_rating
    torch.testing.assert_close(opened[:, 1:], plain[:, 1:], rtol=0, atol=0)
    told = plain[:, 0] + 0.6 * trust * (means - plain[:, 0])
    torch.testing.assert_close(opened[:, 0], told, rtol=0, atol=0.1)  # by Newton's method
    assert ((opened - plain)[:, 0].abs() > 0.2).any()


def test_a_model_from_before_the_restraint_is_loaded_and_unrestrained(tmp_path):
    model = toy_model()
    state = {name: value for name, value in model.state_dict().items() if name not in ("restraint", "opening")}
    model.save_pretrained(tmp_path, state_dict=state)
    loaded, told = FilmTokenGPT2Model.from_pretrained(tmp_path, output_loading_info=True)
    assert not told["missing_keys"]
    assert (loaded.restraint == 0).all()
    assert loaded.opening == 0


def test_a_model_from_before_films_had_company_is_loaded(tmp_path):
    model = toy_model(company_size=0)
    state = {name: value for name, value in model.state_dict().items() if name != "company_weights"}
    model.save_pretrained(tmp_path, state_dict=state)
    loaded, told = FilmTokenGPT2Model.from_pretrained(tmp_path, output_loading_info=True)
    assert not told["missing_keys"]
    films, ratings = toy_history(6)
    assert torch.equal(loaded(films, ratings).rating_logits, model(films, ratings).rating_logits)
    loaded.add_films(torch.randn(1, 5))
    assert loaded.film_features.shape == (NUM_FILMS + 1, 5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_films": 0}, "num_films"),
        ({"company_size": -1}, "company_size"),
        ({"hidden_size": 10, "num_attention_heads": 3}, "num_attention_heads=3"),
        ({"film_dropout": 1.0}, "film_dropout"),
        ({"tower_dropout": -0.1}, "tower_dropout"),
        ({"num_attention_heads": 0}, "at least 1"),
        ({"embedding_shrinkage": 0.0}, "embedding_shrinkage"),
        ({"film_shrinkage": 0.0}, "film_shrinkage must be above 0, got 0.0"),
        ({"factor_size": 0}, "factor_size"),
        ({"tower_size": 0}, "tower_size"),
        ({"mean_rating": 0.5}, "1..10"),
    ],
)
def test_config_refuses_nonsense(settings, message):
    with pytest.raises(ValueError, match=message):
        FilmTokenGPT2Config(**settings)
