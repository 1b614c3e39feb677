"""The baselines: their arithmetic by hand, their distributions, and that they load like models."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoModel

from modeling.baselines import RatingBaselineConfig, RatingBaselineModel
from modeling.baselines.configuration_rating_baseline import KINDS
from modeling.baselines.modeling_rating_baseline import discretised_gaussian


def baseline(kind: str) -> RatingBaselineModel:
    rank = 2 if kind == "als" else 0
    model = RatingBaselineModel(
        RatingBaselineConfig(kind=kind, num_films=3, user_shrinkage=2.0, rank=rank, penalty=0.5, spread_lengths=[0, 9])
    )
    model.film_estimates.copy_(torch.tensor([5.0, 7.0, 9.0]))
    if rank:
        model.factors.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
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


def test_als_folds_a_user_in_by_ridge_regression():
    # After the bias of 1 / 4 the residuals are 1.75 and -1.25, on the vectors (1, 0) and (1, 1).
    films, ratings = torch.tensor([[0, 2, -1]]), torch.tensor([[7, 8, 0]])
    vectors, residuals = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([1.75, -1.25])
    user = np.linalg.solve(vectors.T @ vectors + 0.5 * np.eye(2), vectors.T @ residuals)
    estimates = baseline("als").estimate(films, ratings, torch.tensor([[1, 2]]))
    expected = torch.tensor([[7.25 + user[1], 9.25 + user.sum()]], dtype=torch.float32)
    torch.testing.assert_close(estimates, expected)


def test_als_without_a_history_is_the_film_alone():
    nothing = torch.zeros(1, 0, dtype=torch.long)
    estimates = baseline("als").estimate(nothing, nothing, torch.tensor([[1, 2]]))
    torch.testing.assert_close(estimates, torch.tensor([[7.0, 9.0]]))


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


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'magic'"):
        RatingBaselineConfig(kind="magic")


def test_a_rank_without_als_is_refused():
    with pytest.raises(ValueError, match="got 8 for film-mean"):
        RatingBaselineConfig(kind="film-mean", rank=8)
