"""How far to trust what training has learned: fitted to others, and to nothing but what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from data_prep.dataset import Histories
from modeling.film_token_gpt2 import FilmTokenGPT2Model
from modeling.losses import RatingCrossEntropy
from tests.modeling.toy import NUM_FILMS, toy_model
from training import restraint
from training.histories import HistoryDataset
from training.restraint import fit_opening, fit_restraint, num_batches

LENGTH, SHORT = 16, 5
TOLD = torch.tensor([[-0.4, -0.3], [0.3, 0.2], [-0.6, 0.1]])


def made(told: torch.Tensor) -> FilmTokenGPT2Model:
    """A model that trusts what it has learned as it is `told`, the tower's opinion no less than the rest, and moves
    nothing for newcomers."""
    model = toy_model()
    with torch.no_grad():
        model.tower_weights.copy_(torch.tensor([4.0, 1.0]))
        model.restraint.copy_(told)
        model.opening.zero_()
    return model


def drawn_from(told: torch.Tensor, users: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Films and ratings `(users, LENGTH)`, drawn from a model that is `told` so much."""
    model, draw = made(told), torch.Generator().manual_seed(0)
    films = torch.stack([torch.randperm(NUM_FILMS, generator=draw)[:LENGTH] for _ in range(users)])
    ratings = torch.ones_like(films)
    with torch.no_grad():
        for place in range(LENGTH):
            logits = model(films[:, : place + 1], ratings[:, : place + 1]).rating_logits[:, -1]
            ratings[:, place] = torch.multinomial(logits.softmax(-1), 1, generator=draw)[:, 0] + 1
    return films, ratings


def dataset_of(films: torch.Tensor, ratings: torch.Tensor) -> HistoryDataset:
    """Of their first ratings: every other user has fewer than the one before."""
    lengths = np.where(np.arange(len(films)) % 2, SHORT, LENGTH)
    known = torch.arange(LENGTH) < torch.from_numpy(lengths)[:, None]
    histories = Histories(
        user_ids=[f"user-{user}" for user in range(len(films))],
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        film_indices=films[known].numpy().astype(np.int32),
        ratings=ratings[known].numpy().astype(np.int8),
        dates=None,
        ordered=np.ones(len(films), dtype=bool),
    )
    return HistoryDataset(histories, LENGTH, leave_one_out=False, cut=False)


@pytest.fixture(scope="module")
def people() -> tuple[torch.Tensor, torch.Tensor]:
    return drawn_from(TOLD, users=400)


def untold() -> FilmTokenGPT2Model:
    return made(torch.zeros(3, 2))


def test_it_finds_again_what_the_ratings_were_drawn_with(people, monkeypatch):
    monkeypatch.setattr(restraint, "SHRINKAGE", 0.0)
    model = untold()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit_restraint(model, dataset_of(*people), RatingCrossEntropy())
    torch.testing.assert_close(model.restraint, TOLD, atol=0.2, rtol=0)
    after = model.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"restraint"}
    assert not model.restraint.requires_grad
    assert all(weights.requires_grad and weights.grad is None for weights in model.parameters())


def test_no_six_numbers_near_are_better(people):
    films, ratings = people
    model = untold()
    fit_restraint(model, dataset_of(films, ratings), RatingCrossEntropy(squared_error=0.3))
    found = model.restraint.clone()

    @torch.no_grad()
    def worth(numbers: torch.Tensor) -> float:
        model.restraint.copy_(numbers)
        output = model(films, ratings)
        known = torch.arange(LENGTH) < torch.tensor([LENGTH, SHORT]).repeat(len(films) // 2)[:, None]
        nll = F.cross_entropy(output.rating_logits[known], ratings[known] - 1)
        penalty = restraint.SHRINKAGE / len(films) * numbers.square().sum()
        return float(nll + 0.3 * (output.expected_rating - ratings)[known].square().mean() + penalty)

    best = worth(found)
    assert best < worth(torch.zeros(3, 2))
    for place in range(6):
        step = torch.zeros(6)
        step[place] = 0.05
        assert best < min(worth(found + step.view(3, 2)), worth(found - step.view(3, 2)))


def test_few_people_tell_little(people):
    few, many = untold(), untold()
    fit_restraint(many, dataset_of(*people), RatingCrossEntropy())
    fit_restraint(few, dataset_of(*(part[:2] for part in people)), RatingCrossEntropy())
    assert few.restraint.norm() < many.restraint.norm() / 2


def test_progress_is_told_of_every_batch(people):
    dataset = dataset_of(*(part[:70] for part in people))
    told = []
    fit_restraint(untold(), dataset, RatingCrossEntropy(), progress=lambda: told.append(1))
    assert len(told) == num_batches(dataset) == 3


def test_an_opening_is_fitted_to_every_rating_as_if_it_were_the_first():
    """People who rate between a film's mean and what the model expects of a newcomer are found out."""
    model = untold()
    films, nothing = torch.arange(NUM_FILMS), torch.empty(1, 0, dtype=torch.long)
    catalogue = model.catalogue()
    means = model._mean_rating(catalogue.shares)
    draw = torch.Generator().manual_seed(0)
    order = torch.stack([torch.randperm(NUM_FILMS, generator=draw)[:LENGTH] for _ in range(300)])
    halfway = (means + model.predict(nothing, nothing, films[None])[0] @ torch.arange(1.0, 11)) / 2
    ratings = (halfway[order] + torch.randn(order.shape, generator=draw)).round().clamp(1, 10).long()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loss = RatingCrossEntropy(squared_error=0.3)
    dataset = dataset_of(order, ratings)
    fit_opening(model, dataset, loss)
    after = model.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"opening"}
    assert not model.opening.requires_grad

    @torch.no_grad()
    def worth(opening: float) -> float:
        model.opening.fill_(opening)
        scores = model.predict(nothing, nothing, films[None])[0].log()
        rated, given = dataset.histories.film_indices.astype(np.int64), dataset.histories.ratings.astype(np.int64)
        penalty = restraint.SHRINKAGE / len(order) * opening**2
        return float(loss(scores[torch.from_numpy(rated)], torch.from_numpy(given))) + penalty

    found = float(model.opening)
    assert 0.2 < found < 1
    assert worth(found) < min(worth(0.0), worth(found - 0.1), worth(found + 0.1))
