"""The user's tower: a sum over ratings, whatever their order, that meets films by their own vectors."""

from __future__ import annotations

import torch

from modeling.film_token_gpt2.user_tower import LONGEST_SUM, SUM_SHRINKAGE, UserTower
from tests.modeling.toy import NUM_FILMS, toy_history, toy_model


def test_a_rating_adds_what_its_film_and_its_deviation_say():
    torch.manual_seed(0)
    tower = UserTower(width=4, size=3, num_ratings=10)
    read, own = torch.randn(5, 12), torch.randn(5, 2, 3)
    deviations, ratings = torch.randn(5), torch.tensor([1, 10, 4, 0, 7])
    events = tower.events(read, own, deviations, ratings)
    for place in (0, 1, 4):
        told = tower.event_projection.weight @ read[place] + tower.event_rating.weight[ratings[place] - 1]
        expected = told + deviations[place] * own[place, 0] + own[place, 1]
        torch.testing.assert_close(events[place], expected)


def test_a_sum_is_scaled_by_the_root_of_how_many_it_is_of():
    torch.manual_seed(0)
    tower = UserTower(width=4, size=3, num_ratings=10)
    with torch.no_grad():
        tower.down_projection.weight.zero_()
        tower.down_projection.bias.zero_()
    sums, counts = torch.randn(3, 3), torch.tensor([0.0, 90.0, 2 * LONGEST_SUM + SUM_SHRINKAGE])
    none, some, many = tower(sums, counts)
    torch.testing.assert_close(none, sums[0] / SUM_SHRINKAGE**0.5)
    torch.testing.assert_close(some, sums[1] / 10)
    # Of twice as many ratings as training has practised, the sum is halved.
    torch.testing.assert_close(many, sums[2] / 2 / (LONGEST_SUM + SUM_SHRINKAGE) ** 0.5)


def test_the_order_of_a_history_does_not_change_the_tower_but_for_what_was_expected():
    model = toy_model()
    with torch.no_grad():  # what was expected of a rating depends on those before it
        width = model.config.hidden_size
        model.user_tower.event_projection.weight[:, 2 * width :].zero_()
    films, ratings = toy_history(9)
    order = torch.randperm(9)
    one = model.read(films, ratings).users.tower
    other = model.read(films[:, order], ratings[:, order]).users.tower
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_without_ratings_a_films_own_vectors_count_for_nothing():
    model = toy_model()
    model.rating_histogram[4] = 0
    films = torch.arange(NUM_FILMS)
    before = model._films(films)
    with torch.no_grad():
        model.vector_embedding.weight[4] += 1
        model.vector_embedding.weight[5] += 1
    after = model._films(films)
    for part in ("vectors", "to_tower"):
        assert torch.equal(getattr(after, part)[4], getattr(before, part)[4])
        assert not torch.allclose(getattr(after, part)[5], getattr(before, part)[5])
    assert (before.to_tower[4] == 0).all()
    assert (before.vectors[4] != 0).any()


def test_the_tower_changes_what_is_predicted():
    model = toy_model()
    films, ratings = toy_history(6)
    candidates = torch.arange(8).expand(2, -1)
    before = model.predict(films, ratings, candidates)
    with torch.no_grad():
        model.tower_head.weight.zero_()
    assert not torch.allclose(model.predict(films, ratings, candidates), before, atol=1e-3)


def test_its_dropout_is_of_users_vectors_and_in_training_alone():
    model, plain = toy_model(tower_dropout=0.5, film_dropout=0.0), toy_model(film_dropout=0.0)
    films, ratings = toy_history(200)
    assert torch.equal(model(films, ratings).rating_logits, plain(films, ratings).rating_logits)
    towers, whole = (each.train()._read(each._films(films), ratings)[1].tower.detach() for each in (model, plain))
    kept = towers != 0
    assert 0.4 < kept.float().mean() < 0.6
    torch.testing.assert_close(towers[kept], 2 * whole[kept])


def test_its_opinion_moves_the_priors_mean_by_as_much_as_it_counts():
    model = toy_model()
    model.rating_histogram[3] = 0
    films, ratings = toy_history(20)
    memory = model.read(films, ratings)
    known = model._films(torch.arange(8).expand(2, -1))
    expected = model._expect(memory.belief, known)
    opinion = model._second_opinion(known, memory.users, expected)
    assert (opinion[:, 3] == 0).all()  # nobody has rated that film
    deviations = (memory.users.tower * known.vectors) @ model.user_tower.deviation_head.weight[0]
    towards = known.intercepts + deviations - expected.means
    torch.testing.assert_close(opinion, known.trust * towards)
    with torch.no_grad():
        model.leanings_head.weight.zero_()
        model.tower_weights.copy_(torch.tensor([0.1, 0.2]))
        _, prior, added = model._logits(known, memory.users, expected, opinion, torch.zeros(2, 8, 16))
        without, moved = (model._mean_rating(each.softmax(-1)) for each in (prior, prior + added[..., 0, :]))
    count = torch.tensor(20.0)
    torch.testing.assert_close(moved - without, (0.1 + 0.2 * (count.log1p() / 3 - 1)) * opinion, atol=0.02, rtol=0.05)
