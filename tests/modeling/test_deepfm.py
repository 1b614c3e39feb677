"""DeepFM: the logit is the sum of its parts, a new user's vector is the best one, and saving changes nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch.autograd.functional import jacobian
from transformers import AutoConfig, AutoModel

from modeling.deepfm import DeepFMConfig, DeepFMModel
from modeling.deepfm.configuration_deepfm import HEADS
from tests.modeling.toy_deepfm import NUM_FILMS, NUM_USERS, toy_deepfm, toy_histories

PARTS = ("use_linear", "use_pairwise", "use_mlp")
FILMS, USERS = torch.tensor([3, 17, 3, 29, 0]), torch.tensor([0, 11, 5, 5, 1])


def with_parts(model: DeepFMModel, *parts: str) -> DeepFMModel:
    """A model with some of the parts of another, and its weights."""
    config = DeepFMConfig.from_dict({**model.config.to_dict(), **{part: part in parts for part in PARTS}})
    smaller = DeepFMModel(config)
    weights = model.state_dict()
    smaller.load_state_dict({name: weights[name] for name in smaller.state_dict()})
    return smaller.eval()


@pytest.mark.parametrize("head", HEADS)
def test_the_logit_is_the_sum_of_the_parts(head):
    model = toy_deepfm(head=head)
    alone = [with_parts(model, part)(FILMS, USERS).logits for part in PARTS]
    assert all(part.abs().max() > 0.01 for part in alone)
    torch.testing.assert_close(model(FILMS, USERS).logits, sum(alone))
    for off in range(3):
        kept = [part for index, part in enumerate(PARTS) if index != off]
        rest = sum(part for index, part in enumerate(alone) if index != off)
        torch.testing.assert_close(with_parts(model, *kept)(FILMS, USERS).logits, rest)


def test_each_part_is_what_the_paper_says():
    model = toy_deepfm(head="reward-mse")
    features, vectors = model.film_features[FILMS], model.user_vectors.weight[USERS]
    film, user = model.film_embedding(features), model.user_embedding(vectors)
    linear = model.film_linear(features) + model.user_linear(vectors)
    torch.testing.assert_close(with_parts(model, "use_linear")(FILMS, USERS).logits, linear)
    pairs = [(i, j) for i in range(3) for j in range(2)]
    products = sum((film[:, 4 * i : 4 * i + 4] * user[:, 4 * j : 4 * j + 4]).sum(-1, keepdim=True) for i, j in pairs)
    torch.testing.assert_close(with_parts(model, "use_pairwise")(FILMS, USERS).logits, products)
    first, (second, third) = model.mlp, model.mlp.layers
    both = torch.cat([film, user], -1)
    weight = torch.cat([first.film_input.weight, first.user_input.weight], -1)
    perceptron = third(second(F.linear(both, weight, first.film_input.bias).relu()).relu())
    torch.testing.assert_close(with_parts(model, "use_mlp")(FILMS, USERS).logits, perceptron)


@pytest.mark.parametrize("head", HEADS[:3])
def test_ratings_of_a_reward_head_are_the_training_shares_on_each_side(head):
    model = toy_deepfm(head=head)
    output = model(FILMS, USERS)
    probabilities = output.rating_logits.softmax(-1)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(5))
    torch.testing.assert_close(probabilities, output.rating_logits.exp())
    outputs = output.logits[:, 0]
    log_odds = 4 * (outputs - 0.5) if head == "reward-linear" else outputs
    torch.testing.assert_close(probabilities[:, 6:].sum(-1), log_odds.sigmoid())
    counts = torch.arange(10.0) + 1  # of the toy histogram, one added to each
    low, high = counts[:6] / counts[:6].sum(), counts[6:] / counts[6:].sum()
    torch.testing.assert_close(probabilities[:, :6] / probabilities[:, :6].sum(-1, keepdim=True), low.expand(5, -1))
    torch.testing.assert_close(probabilities[:, 6:] / probabilities[:, 6:].sum(-1, keepdim=True), high.expand(5, -1))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("parts", [PARTS, *((part,) for part in PARTS)])
def test_derivatives_by_the_user_are_those_of_autograd(head, parts):
    model = with_parts(toy_deepfm(head=head), *parts)
    films = model._films(FILMS[None])
    vectors = torch.randn(1, 3)

    def logits(vectors: torch.Tensor) -> torch.Tensor:
        return model._logits(films, model._users(vectors).beside_films())

    expected = jacobian(logits, vectors)[..., 0, :]
    torch.testing.assert_close(model._jacobian(films)(model._users(vectors).beside_films()), expected)


def prior_means(model: DeepFMModel, films: torch.Tensor, ratings: torch.Tensor) -> torch.Tensor:
    """Of users who chose these films, written down anew: `(users, user_size)`."""
    audiences = [model.film_audiences[row[given > 0]] for row, given in zip(films, ratings, strict=True)]
    return torch.stack([model.user_mean + rows.sum(0) / (len(rows) + 1) ** 0.5 for rows in audiences])


def objective(model: DeepFMModel, films: torch.Tensor, ratings: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """What the fit of a user minimises, written down anew: `(users,)`."""
    users = torch.arange(len(vectors))[:, None].expand_as(films)
    known = (ratings > 0) & (films >= 0)
    weights = {"user_vectors.weight": vectors}
    output = torch.func.functional_call(model, weights, (films[known], users[known]))
    if model.config.head == "ratings":
        losses = F.cross_entropy(output.logits, ratings[known] - 1, reduction="none")
    else:
        reward = (ratings[known] >= 7).to(output.logits.dtype)
        log_odds = model._reward_logits(output.logits[:, 0])
        losses = F.binary_cross_entropy_with_logits(log_odds, reward, reduction="none")
    offsets = vectors - prior_means(model, films, ratings)
    penalties = torch.einsum("ui,ij,uj->u", offsets, model.user_precision, offsets) / 2
    return penalties.index_add(0, users[known], losses)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("user_size", [1, 3])
def test_a_new_users_vector_is_what_a_generic_optimiser_finds(head, user_size):
    model = toy_deepfm(head=head, user_size=user_size).double().requires_grad_(False)
    films, ratings = toy_histories(20)
    films[0, 8:], ratings[0, 8:] = -1, 0
    fitted = model.fit_users(films, ratings).vectors
    start = objective(model, films, ratings, prior_means(model, films, ratings))
    vectors = prior_means(model, films, ratings).requires_grad_(True)
    optimiser = torch.optim.LBFGS([vectors], max_iter=300, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = objective(model, films, ratings, vectors).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    found, best = objective(model, films, ratings, fitted), objective(model, films, ratings, vectors.detach())
    assert (start > found + 0.01).all()
    # The perceptron has kinks, where one of the two may stop short of the other.
    assert (found <= best + 2e-2 * (start - best)).all()


def test_without_the_perceptron_the_fit_is_exact():
    model = with_parts(toy_deepfm(), "use_linear", "use_pairwise").double()
    films, ratings = toy_histories(20)
    fit = model.fit_users(films, ratings)
    vectors = fit.vectors.clone().requires_grad_(True)
    model.requires_grad_(False)
    (gradient,) = torch.autograd.grad(objective(model, films, ratings, vectors).sum(), vectors)
    assert gradient.abs().max() < 1e-5
    hessian = torch.autograd.functional.hessian(
        lambda vector: objective(model, films[:1], ratings[:1], vector).sum(), fit.vectors[:1]
    )[0, :, 0]
    torch.testing.assert_close(fit.precisions[0], hessian)


def test_with_an_empty_history_a_film_is_rated_as_by_its_audience():
    model = toy_deepfm()
    empty = torch.zeros(2, 0, dtype=torch.long)
    candidates = torch.arange(6).expand(2, -1)
    padding = torch.full((2, 4), -1), torch.zeros(2, 4, dtype=torch.long)
    plain = model.predict(empty, empty, candidates)
    with torch.no_grad():
        model.user_vectors.weight[:6] = model.user_mean + model.film_audiences[:6]
    expected = model(candidates[0], torch.arange(6)).rating_logits.softmax(-1)
    torch.testing.assert_close(plain[0], expected)
    torch.testing.assert_close(model.predict(*padding, candidates), plain)


@pytest.mark.parametrize("head", HEADS)
def test_a_candidate_is_one_more_film_that_the_user_chose(head):
    model = with_parts(toy_deepfm(head=head), "use_linear", "use_pairwise").double().requires_grad_(False)
    films, ratings = toy_histories(9)
    films = films % 20
    candidate = torch.full((4, 1), 25)
    model.film_audiences.zero_()
    audience = torch.tensor([2e-3, -3e-3, 1e-3], dtype=torch.double)
    plain = model.predict(films, ratings, candidate)
    model.film_audiences[25] = audience
    predicted = model.predict(films, ratings, candidate)
    model.film_audiences.zero_()
    model.user_mean.add_(audience / 10**0.5)  # as a film of the history would move it, without a rating
    refitted = model.predict(films, ratings, candidate)
    assert (predicted - refitted).norm() < 0.03 * (refitted - plain).norm()


def test_as_many_people_as_a_vector_has_numbers_are_predicted_as_each_alone():
    model = toy_deepfm().double()
    films, ratings = (part[: model.config.user_size] for part in toy_histories(9))
    candidates = torch.arange(6).expand(len(films), -1)
    together = model.predict(films, ratings, candidates)
    for user in range(len(films)):
        one = slice(user, user + 1)
        torch.testing.assert_close(together[one], model.predict(films[one], ratings[one], candidates[one]))


def test_the_more_ratings_the_less_a_films_audience_says():
    model, changed = toy_deepfm(), toy_deepfm()
    changed.film_audiences[25] += 1.0
    candidate = torch.full((4, 1), 25)
    moved = []
    for length in (0, 5, 50, 500):
        films, ratings = toy_histories(length)
        here, there = (one.predict(films % 20, ratings, candidate) for one in (model, changed))
        moved.append((here - there).abs().mean().item())
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] < moved[0] / 20


@pytest.mark.parametrize("head", HEADS)
def test_padding_and_company_change_no_prediction(head):
    model = toy_deepfm(head=head)
    films, ratings = toy_histories(9)
    # A fit ends where single precision shows no further fall, and sums in another order show it a little elsewhere.
    candidates = torch.arange(5).expand(4, -1)
    plain = model.predict(films, ratings, candidates)
    assert plain.shape == (4, 5, 10)
    torch.testing.assert_close(plain.sum(-1), torch.ones(4, 5))
    wide = model.predict(F.pad(films, (0, 5), value=-1), F.pad(ratings, (0, 5)), candidates, candidates_at_once=8)
    torch.testing.assert_close(wide, plain, rtol=0, atol=3e-4)
    alone = model.predict(films[2:3], ratings[2:3], candidates[2:3])
    torch.testing.assert_close(alone[0], plain[2], rtol=0, atol=3e-4)


@pytest.mark.parametrize("head", HEADS)
def test_no_id_crashes_it(head):
    model = toy_deepfm(head=head)
    films, ratings = torch.tensor([[-1, 10**6, 3]]), torch.tensor([[4, 9, 0]])
    probabilities = model.predict(films, ratings, torch.tensor([[-1, 10**9, -7, 2]]))
    assert probabilities.isfinite().all()
    torch.testing.assert_close(probabilities[0, 0], probabilities[0, 1])  # films of which nothing is known
    unknown_user = model(FILMS, torch.tensor([-1, NUM_USERS, 10**6, -5, 0])).rating_logits
    assert unknown_user.isfinite().all()
    assert model.predict(films, ratings, torch.zeros(1, 0, dtype=torch.long)).shape == (1, 0, 10)


def test_who_likes_all_films_is_told_apart_from_who_likes_none():
    model = with_parts(toy_deepfm(head="reward-cross-entropy"), "use_linear", "use_pairwise")
    films = torch.arange(10).expand(2, -1)
    ratings = torch.tensor([[10], [2]]).expand(-1, 10)
    rewards = model.predict(films, ratings, films)[..., 6:].sum(-1)
    assert rewards[0].mean() > rewards[1].mean() + 0.2


def test_penalties_count_every_user_once():
    model = toy_deepfm()
    users = torch.tensor([0, 0, 0, 1])
    penalties = model(FILMS[:4], users, torch.tensor([1 / 3, 1 / 3, 1 / 3, 1])).user_penalties
    torch.testing.assert_close(penalties.sum(), model.user_vectors.weight[:2].square().sum() / 2)


def test_a_film_of_its_own_adds_to_its_linear_terms_and_embeddings():
    model = toy_deepfm(use_film_ids=True)
    without = toy_deepfm()
    without.load_state_dict({name: model.state_dict()[name] for name in without.state_dict()})
    own = model.film_vectors_own.weight
    torch.testing.assert_close(model.film_vectors() - without.film_vectors(), own[:, 10:])
    linear = model._films(FILMS).linear - without._films(FILMS).linear
    torch.testing.assert_close(linear, own[FILMS, :10])
    nobody = torch.tensor([-1, NUM_FILMS, 10**6])  # nothing is known of these films, no row of their own either
    torch.testing.assert_close(model._films(nobody).linear, without._films(nobody).linear)
    penalties = model(FILMS, USERS, film_shares=torch.ones(5)).film_penalties
    torch.testing.assert_close(penalties, own[FILMS].square().sum(-1) / 2)


def test_a_films_own_vector_is_zero_before_training():
    model = DeepFMModel(DeepFMConfig(num_films=3, use_film_ids=True))
    assert not model.film_vectors_own.weight.any()


def test_film_space():
    model = toy_deepfm()
    assert model.film_vectors().shape == (NUM_FILMS, 12)
    assert with_parts(model, "use_linear").film_vectors() is None


@pytest.mark.parametrize("use_film_ids", [False, True])
def test_save_and_load_are_equal_to_the_bit(tmp_path, use_film_ids):
    model = toy_deepfm(use_film_ids=use_film_ids)
    model.save_pretrained(tmp_path)
    names = {path.name for path in tmp_path.glob("*.py")}
    assert names == {"configuration_deepfm.py", "modeling_deepfm.py", "feed_forward.py", "user_fit.py"}
    films, ratings = toy_histories(9)
    candidates = torch.arange(8).expand(4, -1)
    for loaded in (DeepFMModel.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)):
        assert type(loaded) is DeepFMModel
        assert torch.equal(loaded.eval()(FILMS, USERS).rating_logits, model(FILMS, USERS).rating_logits)
        expected = model.predict(films, ratings, candidates)
        assert torch.equal(loaded.predict(films, ratings, candidates), expected)
    assert AutoConfig.from_pretrained(tmp_path).to_diff_dict() == model.config.to_diff_dict()


def test_loads_with_remote_code_in_a_process_without_the_project(tmp_path):
    model = toy_deepfm(head="reward-mse")
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    films, ratings = toy_histories(9)
    torch.save({"films": films, "ratings": ratings}, tmp_path / "inputs.pt")
    script = f"""
import sys, torch
from transformers import AutoModel
model = AutoModel.from_pretrained({str(folder)!r}, trust_remote_code=True).eval()
assert not any(name.split(".")[0] in ("modeling", "data_prep", "training", "reel") for name in sys.modules)
inputs = torch.load({str(tmp_path / "inputs.pt")!r})
torch.save(model.predict(inputs["films"], inputs["ratings"], inputs["films"]), {str(tmp_path / "outputs.pt")!r})
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, timeout=120)
    assert torch.equal(torch.load(tmp_path / "outputs.pt"), model.predict(films, ratings, films))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_films": 0}, "num_films must be at least 1, got 0"),
        ({"user_size": 0}, "user_size must be at least 1, got 0"),
        ({"mlp_sizes": []}, "mlp_sizes"),
        ({"use_linear": False, "use_pairwise": False, "use_mlp": False}, "nothing is left"),
        ({"head": "stars"}, "'stars'"),
        ({"dropout": 1.0}, "dropout"),
        ({"user_initial_spread": 0.0}, "user_initial_spread"),
    ],
)
def test_config_refuses_nonsense(settings, message):
    with pytest.raises(ValueError, match=message):
        DeepFMConfig(**settings)


@pytest.mark.parametrize("use_film_ids", [False, True])
def test_an_added_film_is_what_its_features_say(use_film_ids):
    model = toy_deepfm(use_film_ids=use_film_ids)
    films, ratings = toy_histories(6)
    everything = torch.arange(NUM_FILMS).expand(4, -1)
    model.film_audiences[9] = 0  # nobody rated it
    before = model.predict(films, ratings, everything)
    if use_film_ids:
        with torch.no_grad():
            model.film_vectors_own.weight[9] = 0
    model.add_films(model.film_features[9:10])
    assert model.config.num_films == NUM_FILMS + 1
    assert len(model.film_vectors()) == NUM_FILMS + 1
    predicted = model.predict(films, ratings, torch.tensor([[9, NUM_FILMS]] * 4))
    torch.testing.assert_close(predicted[:, 0], predicted[:, 1])
    if not use_film_ids:
        torch.testing.assert_close(model.predict(films, ratings, everything), before)
