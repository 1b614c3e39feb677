"""The baselines: their arithmetic by hand, their distributions, and that they load like models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from modeling.baselines import RatingBaselineConfig, RatingBaselineModel
from modeling.baselines.configuration_rating_baseline import KINDS, KINDS_WITH_VECTORS
from modeling.baselines.discretised_gaussian import discretised_gaussian

REPOSITORY = Path(__file__).resolve().parents[2]


def baseline(kind: str, **settings: int) -> RatingBaselineModel:
    rank = 2 if kind in KINDS_WITH_VECTORS else 0
    shape = {"user_shrinkage": 2.0, "rank": rank, "penalty": 0.5, "spread_lengths": [0, 9], **settings}
    model = RatingBaselineModel(RatingBaselineConfig(kind=kind, num_films=3, **shape))
    model.film_estimates.copy_(torch.tensor([5.0, 7.0, 9.0]))
    if rank:
        model.factors.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    if kind == "bandit":
        model.mean.fill_(7.0)
        model.weights.copy_(torch.tensor([7.0, 0.9, 0.8, 0.1, -0.1, 0.5, 0.3]))
    model.spreads.copy_(torch.tensor([2.0, 1.0]))
    return model


@pytest.mark.parametrize("spread", [0.5, 1.0, 1.6, 3.0])
def test_a_discretised_gaussian_keeps_its_expected_rating(spread):
    expected = torch.linspace(0.0, 11.0, 111)
    probabilities = discretised_gaussian(expected, torch.full_like(expected, spread))
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(111))
    assert (probabilities >= 0).all()
    torch.testing.assert_close(
        probabilities @ torch.arange(1, 11).float(), expected.clamp(1.1, 9.9), rtol=0, atol=2e-3
    )


def test_shrunk_bias_by_hand():
    # Residuals +2 and -1 over two ratings and a shrinkage of two: a bias of 1 / 4.
    films, ratings = torch.tensor([[0, 2, -1]]), torch.tensor([[7, 8, 0]])
    estimates = baseline("shrunk-bias").estimate(films, ratings, torch.tensor([[0, 1]]))
    torch.testing.assert_close(estimates, torch.tensor([[5.25, 7.25]]))


@pytest.mark.parametrize("kind", ["als", "ridge"])
def test_a_user_is_folded_in_by_ridge_regression(kind):
    # After the bias of 1 / 4 the residuals are 1.75 and -1.25, on the vectors (1, 0) and (1, 1).
    films, ratings = torch.tensor([[0, 2, -1]]), torch.tensor([[7, 8, 0]])
    vectors, residuals = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([1.75, -1.25])
    user = np.linalg.solve(vectors.T @ vectors + 0.5 * np.eye(2), vectors.T @ residuals)
    estimates = baseline(kind).estimate(films, ratings, torch.tensor([[1, 2]]))
    expected = torch.tensor([[7.25 + user[1], 9.25 + user.sum()]], dtype=torch.float32)
    torch.testing.assert_close(estimates, expected)


def test_als_without_a_history_is_the_film_alone():
    nothing = torch.zeros(1, 0, dtype=torch.long)
    estimates = baseline("als").estimate(nothing, nothing, torch.tensor([[1, 2]]))
    torch.testing.assert_close(estimates, torch.tensor([[7.0, 9.0]]))


def test_the_bandit_without_a_history_is_what_training_users_taught():
    # 7 + .9 * the film's deviation from 7, +- .1 for its vector
    nothing = torch.zeros(1, 0, dtype=torch.long)
    estimates = baseline("bandit").estimate(nothing, nothing, torch.tensor([[0, 1, 2]]))
    torch.testing.assert_close(estimates, torch.tensor([[7 - 1.8 + 0.1, 7 - 0.1, 7 + 1.8]]))


def test_the_bandit_by_hand():
    """After two ratings its weights are a ridge regression around the ones it started from."""
    model = baseline("bandit")
    films, ratings = torch.tensor([[0, 2, -1]]), torch.tensor([[7, 8, 0]])
    # Residuals +2 and -1. Without the first rating: bias -1 / 3, taste (-1 + 1 / 3) (1, 1) / 3; without the second:
    # bias 2 / 3, taste (2 - 2 / 3) (1, 0) / 3; after both: bias 1 / 4, taste (1.75 (1, 0) - 1.25 (1, 1)) / 4.
    seen = np.array([[1, -2, -1 / 3, 1, 0, -2 / 9, 0], [1, 2, 2 / 3, 1, 1, 4 / 9, 0]])
    start = model.weights.double().numpy()
    precision = 0.5 * np.eye(7) + seen.T @ seen
    weights = start + np.linalg.solve(precision, seen.T @ (np.array([7, 8]) - seen @ start))
    candidate = np.array([1, 0, 1 / 4, 0, 1, 0, -1.25 / 4])
    estimates = model.estimate(films, ratings, torch.tensor([[1]]))
    torch.testing.assert_close(estimates, torch.tensor([[candidate @ weights]], dtype=torch.float32))


def test_thompson_draws_lie_around_the_greedy_estimates():
    model, films, ratings = baseline("bandit"), torch.tensor([[0, 2]]), torch.tensor([[7, 8]])
    many = (films.expand(4000, -1), ratings.expand(4000, -1), torch.tensor([[0, 1]]).expand(4000, -1))
    draws = model.thompson(*many, torch.Generator().manual_seed(0))
    again = model.thompson(*many, torch.Generator().manual_seed(0))
    assert torch.equal(draws, again)
    greedy = model.estimate(films, ratings, torch.tensor([[0, 1]]))[0]
    assert ((draws.mean(0) - greedy).abs() < 4 * draws.std(0) / 4000**0.5).all()
    assert (draws.std(0) > 0.1).all()
    with pytest.raises(ValueError, match="this is als"):
        baseline("als").thompson(films, ratings, films, torch.Generator())


@pytest.mark.parametrize("kind", KINDS)
def test_padding_and_order_change_nothing(kind):
    model, candidates = baseline(kind), torch.tensor([[0, 1, 2]])
    plain = model.estimate(torch.tensor([[0, 2, 1]]), torch.tensor([[3, 9, 8]]), candidates)
    padded = model.estimate(torch.tensor([[1, 0, 2, -1, -1]]), torch.tensor([[8, 3, 9, 0, 0]]), candidates)
    torch.testing.assert_close(plain, padded)


def test_film_mean_does_not_know_the_user():
    model = baseline("film-mean")
    candidates = torch.tensor([[0, 1, 2]])
    harsh = model.estimate(torch.tensor([[0]]), torch.tensor([[1]]), candidates)
    torch.testing.assert_close(harsh, torch.tensor([[5.0, 7.0, 9.0]]))


def test_spread_between_the_measured_lengths():
    model = baseline("film-mean")
    lengths = torch.tensor([0, 9, 500])
    torch.testing.assert_close(model._spread(lengths), torch.tensor([2.0, 1.0, 1.0]))
    middle = model._spread(torch.tensor([2]))  # log(1 + 2) / log(1 + 9) of the way
    torch.testing.assert_close(middle, torch.tensor([2.0 - 0.4771]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_save_and_load_are_equal_to_the_bit(kind, tmp_path):
    model = baseline(kind)
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    arguments = torch.tensor([[0, 1]]), torch.tensor([[3, 9]]), torch.tensor([[2, 1, -1]])
    assert type(loaded) is RatingBaselineModel
    assert torch.equal(loaded.predict(*arguments), model.predict(*arguments))


def test_the_saved_code_is_enough(tmp_path):
    """A process that has only transformers and torch gives the same numbers to the bit."""
    model = baseline("bandit")
    arguments = torch.tensor([[0, 1]]), torch.tensor([[3, 9]]), torch.tensor([[2, 1, -1]])
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    torch.save((arguments, model.predict(*arguments)), tmp_path / "expected.pt")
    script = f"""
import sys, torch
sys.path = [place for place in sys.path if place not in ("", {str(REPOSITORY)!r})]
from transformers import AutoModel
model = AutoModel.from_pretrained({str(folder)!r}, trust_remote_code=True)
arguments, expected = torch.load({str(tmp_path / "expected.pt")!r})
assert "modeling" not in sys.modules
assert torch.equal(model.predict(*arguments), expected)
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, timeout=120)


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'magic'"):
        RatingBaselineConfig(kind="magic")


def test_a_rank_without_als_is_refused():
    with pytest.raises(ValueError, match="got 8 for film-mean"):
        RatingBaselineConfig(kind="film-mean", rank=8)


@pytest.mark.parametrize("kind", KINDS)
def test_an_added_film_is_what_the_weights_of_features_say(kind):
    model = baseline(kind, num_features=2)
    rank = model.config.rank
    model.feature_weights.copy_(torch.arange(3 * (1 + rank)).reshape(3, -1) / 10)
    model.add_films(torch.tensor([[1.0, -2.0], [0.0, 0.0]]))
    assert model.config.num_films == len(model.film_estimates) == 5
    weights = model.feature_weights
    made = torch.stack([weights[0] + weights[1] - 2 * weights[2], weights[0]])
    torch.testing.assert_close(model.film_estimates[3:], made[:, 0])
    if rank:
        torch.testing.assert_close(model.factors[3:], made[:, 1:])
    probabilities = model.predict(torch.tensor([[0, 4]]), torch.tensor([[7, 8]]), torch.tensor([[3, 4]]))
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(1, 2))


def test_a_baseline_of_old_takes_no_new_films():
    with pytest.raises(ValueError, match="fit it again"):
        baseline("als").add_films(torch.zeros(1, 2))
