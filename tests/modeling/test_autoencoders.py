"""Autoencoders of ratings: a sum over ratings, whatever their order, that meets films by their own vectors."""

from __future__ import annotations

import pytest
import torch

from modeling.film_token_gpt2.autoencoders import (
    LONGEST_SUM,
    SUM_SHRINKAGE,
    RatingAutoencoder,
    RatingAutoencoders,
    SumReader,
)
from tests.modeling.toy import toy_history, toy_model


def test_a_rating_adds_what_its_film_and_its_deviation_say():
    torch.manual_seed(0)
    one = RatingAutoencoder(num_films=6, size=3, num_ratings=10)
    films, trust = torch.tensor([4, 0, 4, 2, 5]), torch.rand(5)
    deviations, ratings = torch.randn(5), torch.tensor([1, 10, 4, 0, 7])
    events = one.events(films, trust, deviations, ratings)
    for place in (0, 1, 2, 4):
        of_film = one.rated.weight[films[place]] * deviations[place] + one.chosen.weight[films[place]]
        expected = trust[place] * of_film + one.event_rating.weight[ratings[place] - 1]
        torch.testing.assert_close(events[place], expected)


def test_a_sum_is_scaled_by_the_root_of_how_many_it_is_of():
    torch.manual_seed(0)
    reader = SumReader(size=3)
    with torch.no_grad():
        reader.down_projection.weight.zero_()
        reader.down_projection.bias.zero_()
    sums, counts = torch.randn(3, 3), torch.tensor([0.0, 90.0, 2 * LONGEST_SUM + SUM_SHRINKAGE])
    none, some, many = reader(sums, counts)
    torch.testing.assert_close(none, sums[0] / SUM_SHRINKAGE**0.5)
    torch.testing.assert_close(some, sums[1] / 10)
    # Of twice as many ratings as training has practised, the sum is halved.
    torch.testing.assert_close(many, sums[2] / 2 / (LONGEST_SUM + SUM_SHRINKAGE) ** 0.5)


def test_each_user_hears_the_one_that_has_not_seen_them_and_others_hear_all():
    torch.manual_seed(0)
    several = RatingAutoencoders(3, num_films=9, size=4, num_ratings=10)
    films, ratings = torch.randint(9, (5, 7)), torch.randint(1, 11, (5, 7))
    trust, deviations, counts = torch.rand(5, 7), torch.randn(5, 7), torch.arange(1.0, 8).expand(5, -1)
    unseen_by = torch.tensor([2, 0, 0, 1, 2])

    def expectation(heard: torch.Tensor | None) -> torch.Tensor:
        events = several.events(films, trust, deviations, ratings, heard)
        users = several.users(events.cumsum(1), counts, heard)
        return several.deviations(users, films, trust, heard)

    each = []
    for one in several:
        users = one(one.events(films, trust, deviations, ratings).cumsum(1), counts)
        each.append(trust * one.deviations(users, one.vectors(films)))
    torch.testing.assert_close(expectation(None), torch.stack(each).mean(0))
    own = torch.stack(each)[unseen_by, torch.arange(5)]
    torch.testing.assert_close(expectation(unseen_by), own)


def test_what_a_user_has_not_been_kept_from_is_not_heard():
    model = toy_model()
    films, ratings = toy_history(9)
    unseen_by = torch.tensor([0, 1])
    before = model(films, ratings, unseen_by=unseen_by).rating_logits
    with torch.no_grad():
        for weights in model.autoencoders[0].parameters():
            weights.add_(1.0)
    after = model(films, ratings, unseen_by=unseen_by).rating_logits
    assert not torch.allclose(after[0], before[0])
    assert torch.equal(after[1], before[1])


def test_the_order_of_a_history_does_not_change_what_its_ratings_add_up_to():
    model = toy_model()
    films, ratings = toy_history(9)
    order = torch.randperm(9)
    one = model.read(films, ratings).users.vectors
    other = model.read(films[:, order], ratings[:, order]).users.vectors
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_they_are_fixed_while_the_rest_learns():
    model = toy_model().train()
    films, ratings = toy_history(9)
    model(films, ratings, unseen_by=torch.tensor([1, 0])).rating_logits.square().sum().backward()
    learned = {name for name, weights in model.named_parameters() if weights.grad is not None}
    assert "opinion_weights" in learned
    assert not any(name.startswith("autoencoders") for name in learned)
    assert not any(weights.requires_grad for weights in model.autoencoders.parameters())


def test_their_opinion_moves_the_priors_mean_by_as_much_as_it_counts():
    model = toy_model()
    model.rating_histogram[3] = 0
    films, ratings = toy_history(20)
    memory = model.read(films, ratings)
    known = model._films(torch.arange(8).expand(2, -1))
    expected = model._expect(memory.belief, known)
    opinion = model._second_opinion(known, memory.users, expected)
    assert (opinion[:, 3] == 0).all()  # nobody has rated that film
    deviations = torch.stack(
        [
            (memory.users.vectors[:, :, index] * one.vectors(known.rows)) @ one.deviation_head.weight[0]
            for index, one in enumerate(model.autoencoders)
        ]
    ).mean(0)
    towards = model.film_factors[known.rows, 0] + known.trust * deviations - expected.means
    torch.testing.assert_close(opinion, known.trust * towards)
    with torch.no_grad():
        model.leanings_head.weight.zero_()
        model.opinion_weights.copy_(torch.tensor([0.1, 0.2]))
        without, moved = (
            model._mean_rating(model._prior_logits(known, memory.users, expected, each).softmax(-1))
            for each in (None, opinion)
        )
    count = torch.tensor(20.0)
    torch.testing.assert_close(moved - without, (0.1 + 0.2 * (count.log1p() / 3 - 1)) * opinion, atol=0.02, rtol=0.05)


@pytest.mark.parametrize("members", [0, 3])
def test_there_may_be_none_of_them_or_more(members):
    model = toy_model(autoencoders=members)
    films, ratings = toy_history(6)
    memory = model.read_on(model.read(films[:, :4], ratings[:, :4]), films[:, 4], ratings[:, 4])
    whole = model(films, ratings).rating_logits[:, 5].softmax(-1)
    torch.testing.assert_close(model.score(memory, films[:, 5:])[:, 0], whole, rtol=1e-4, atol=1e-5)
