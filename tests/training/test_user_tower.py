"""The user's tower by itself: what it learns is what the model then starts from, and nothing else has moved."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data_prep.dataset import Histories
from modeling.film_token_gpt2 import FilmTokenGPT2Config, FilmTokenGPT2Model
from training.output_folder import rating_histogram
from training.user_tower import _Examples, fit_user_tower

USERS, FILMS, PER_USER = 1_200, 40, 30
INTERCEPTS = torch.full((2, FILMS), 6.0)


@pytest.fixture(scope="module")
def made_up() -> Histories:
    """People who like the even films and dislike the odd ones, or the other way around."""
    draw = np.random.default_rng(0)
    films = np.concatenate([draw.permutation(FILMS)[:PER_USER] for _ in range(USERS)])
    sides = np.repeat(np.arange(USERS) % 2, PER_USER) == films % 2
    ratings = np.clip(np.where(sides, 8, 4) + draw.integers(-1, 2, size=len(films)), 1, 10)
    return Histories(
        user_ids=[f"user-{user}" for user in range(USERS)],
        offsets=np.arange(USERS + 1) * PER_USER,
        film_indices=films.astype(np.int32),
        ratings=ratings.astype(np.int8),
        dates=None,
        ordered=np.zeros(USERS, dtype=bool),
    )


def new_model(histories: Histories) -> FilmTokenGPT2Model:
    """With a process that knows of every film's mean, 6, and of no tastes."""
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "factor_size": 1, "tower_size": 8}
    model = FilmTokenGPT2Model(FilmTokenGPT2Config(num_films=FILMS, num_features=2, content_size=2, **shape))
    factors = torch.tensor([6.0, 0.0, 0.0, 5.0]).expand(FILMS, -1)
    histogram = torch.from_numpy(rating_histogram(histories, FILMS))
    model.set_film_tables(torch.randn(FILMS, 2), histogram, factors, torch.zeros(3, 4), torch.zeros(3, 2))
    return model.eval()


@pytest.fixture(scope="module")
def fitted(made_up) -> FilmTokenGPT2Model:
    model = new_model(made_up)
    fit_user_tower(model, made_up, INTERCEPTS, passes=30)
    return model


def test_it_learns_what_people_differ_in_and_the_model_starts_from_it(fitted):
    evens = torch.arange(0, 12, 2)
    ratings = torch.tensor([[8] * 6, [4] * 6])
    memory = fitted.read(evens.expand(2, -1), ratings)
    films = fitted._films(torch.arange(20, FILMS).expand(2, -1))
    deviations = fitted.user_tower.deviations(memory.users.tower, films.vectors)
    for films_of_one_side, sign in ((deviations[:, ::2], 1), (deviations[:, 1::2], -1)):
        assert (sign * films_of_one_side[0] > 1.2).all()
        assert (sign * films_of_one_side[1] < -1.2).all()
    # It counts from the first step, and in every prediction.
    expected = fitted.score(memory, torch.arange(20, FILMS).expand(2, -1)) @ torch.arange(1.0, 11)
    assert (expected[0, ::2] > expected[1, ::2] + 0.3).all()


def test_only_the_tower_moves(made_up, fitted):
    before, after = new_model(made_up).state_dict(), fitted.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in moved} == {
        "user_tower", "vector_embedding", "vector_projection", "tower_weights"
    }  # fmt: skip
    assert all(parameter.grad is None for parameter in fitted.parameters())


def test_the_seed_decides(made_up):
    weights = []
    for turn, seed in enumerate((1, 1, 2)):
        model = new_model(made_up)
        torch.manual_seed(turn)
        fit_user_tower(model, made_up, INTERCEPTS, passes=1, seed=seed)
        weights.append(model.vector_embedding.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.allclose(weights[0], weights[2])


def test_it_ends_by_the_clock(made_up):
    told, few = [], made_up.first(200)  # one step a pass
    fit_user_tower(new_model(few), few, INTERCEPTS, passes=100_000, seconds=2, progress=lambda: told.append(1))
    assert 0 < len(told) < 10_000


@pytest.mark.parametrize("read", [True, False])
def test_a_step_in_which_all_or_nothing_is_read_breaks_nothing(made_up, monkeypatch, read):
    draws = iter([True, read])  # first which ratings are kept, then which of them are read
    chance = lambda self, chances, rows: torch.full(rows.shape, next(draws))  # noqa: E731
    monkeypatch.setattr("training.user_tower._Examples._chance", chance)
    few = made_up.first(5)
    model = new_model(few)
    fit_user_tower(model, few, INTERCEPTS, passes=1)
    assert all(weights.isfinite().all() for weights in model.parameters())


def test_what_a_rating_is_held_against_is_without_it(made_up, monkeypatch):
    """By the intercepts of the user's fold, and by as many ratings of a film as others have given."""
    model, intercepts = new_model(made_up), torch.tensor([[1.0], [2.0], [3.0]]).expand(-1, FILMS)
    monkeypatch.setattr(model.user_tower, "deviations", lambda users, vectors: users.sum(-1) * 0)
    tables = [torch.ones(FILMS, 8) for _ in range(3)]
    examples = _Examples(model, tables, made_up, intercepts, torch.Generator())
    users = torch.tensor([3, 7, 11])
    chances = iter([lambda rows: rows >= 0, lambda rows: rows < 0])  # all are kept, and none is read
    monkeypatch.setattr(examples, "_chance", lambda _, rows: next(chances)(rows))
    loss = float(examples.loss(users).detach())
    squares = [np.square(made_up.history(user)[1] - (user % 3 + 1.0)) for user in users.tolist()]
    assert loss == pytest.approx(np.concatenate(squares).mean(), rel=1e-6)
    counts = model.rating_histogram.sum(-1) - 1
    torch.testing.assert_close(examples.trust[:, 0], counts / (counts + model.config.embedding_shrinkage))
