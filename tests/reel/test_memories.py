"""Histories that are remembered: one more rating is read on, and everything comes out as if it had not been."""

from __future__ import annotations

import numpy as np
import pytest

from reel import Recommender
from reel.memories import Memories, bytes_of

HISTORY = [("film-02", 9), ("film-14", 3), ("film-20", 8), ("film-31", 10), ("film-33", 2)]


@pytest.fixture(scope="module")
def folder(tiny_models):
    return tiny_models["model"]


def test_a_growing_history_is_read_on(folder, monkeypatch):
    growing = Recommender.from_pretrained(folder)
    films = growing.catalogue.film_ids[40:60]
    growing.predict(HISTORY[:2], films)
    read = []
    monkeypatch.setattr(growing.model, "read", lambda *history: read.append(history))
    for length in (3, 4, 5, 4):
        expected = Recommender.from_pretrained(folder).predict(HISTORY[:length], films)
        np.testing.assert_allclose(growing.predict(HISTORY[:length], films), expected, atol=1e-5)
    assert not read


def test_other_histories_are_read_anew(folder):
    recommender = Recommender.from_pretrained(folder)
    films = recommender.catalogue.film_ids[40:60]
    recommender.predict(HISTORY, films)
    changed = [*HISTORY[:-1], ("film-33", 8)]
    expected = Recommender.from_pretrained(folder).predict(changed, films)
    np.testing.assert_allclose(recommender.predict(changed, films), expected, atol=1e-5)


def test_the_oldest_is_forgotten(folder):
    memories = Memories(Recommender.from_pretrained(folder).model, kept=2)
    histories = [(np.array([film]), np.array([7])) for film in (1, 2, 3)]
    kept = [memories.of(*history) for history in histories]
    assert memories.of(*histories[2]) is kept[2]
    assert memories.of(*histories[1]) is kept[1]
    assert memories.of(*histories[0]) is not kept[0]


def test_long_histories_are_forgotten_by_their_size(folder):
    model = Recommender.from_pretrained(folder).model
    long = [(np.arange(start, start + 30), np.full(30, 7)) for start in (0, 1)]
    each = bytes_of(Memories(model).of(*long[0]))
    assert each > 30 * 30 * 4  # with what grows as the square of the ratings
    for size, remembered in ((2 * each, True), (2 * each - 1, False)):
        memories = Memories(model, size=size)
        first, last = (memories.of(*history) for history in long)
        assert memories.of(*long[1]) is last
        assert (memories.of(*long[0]) is first) == remembered
    memories = Memories(model, size=1)
    assert memories.of(*long[0]) is memories.of(*long[0])


def test_the_best_of_a_ranking_in_two_stages_are_exact(folder):
    recommender = Recommender.from_pretrained(folder)
    whole, two_stages = recommender.rank(HISTORY), recommender.rank(HISTORY, exact=30)
    assert sorted(two_stages.rows) == sorted(whole.rows)
    films = [recommender.catalogue.film_ids[row] for row in two_stages.rows[:20]]
    np.testing.assert_allclose(two_stages.probabilities[:20], recommender.predict(HISTORY, films), atol=1e-6)
    assert (np.diff(two_stages.expected[:20]) <= 1e-6).all()
    np.testing.assert_array_equal(recommender.rank(HISTORY, exact=1000).rows, whole.rows)
