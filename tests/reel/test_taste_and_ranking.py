"""What the recommender can tell beside a list: orders, reasons, the next film to ask about, taste, films for two."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.errors import UserError
from reel.next_film import NextFilm
from reel.ranking import worth
from reel.taste import taste
from reel.two_people import films_for_two, likeness
from tests.spaces.fake_recommender import FakeRecommender

HISTORY = [("film-2", 9), ("film-14", 3), ("film-20", 8), ("film-31", 10), ("film-33", 2), ("film-40", 7)]


@pytest.fixture(scope="module")
def recommender() -> FakeRecommender:
    return FakeRecommender()


def test_caution_prefers_what_is_sure():
    sure, gamble = np.zeros(10), np.zeros(10)
    sure[6], gamble[[3, 9]] = 1, 0.5  # both expect a 7
    both = np.stack([sure, gamble])
    assert worth(both, 0.0)[0] == pytest.approx(worth(both, 0.0)[1])
    assert worth(both, 0.5)[0] > worth(both, 0.5)[1]
    assert worth(both, -0.5)[0] < worth(both, -0.5)[1]


def test_orders(recommender):
    ranking = recommender.rank(HISTORY)
    films = recommender.catalogue.films
    titles = films[ranking.sorted_by("title", films).rows]["title"].to_list()
    assert titles == sorted(titles, key=str.lower)
    counts = films[ranking.sorted_by("least known", films).rows]["rating_count"].to_list()
    assert counts == sorted(counts)
    assert films[ranking.sorted_by("newest", films).rows]["year"].to_list()[-1] is None
    with pytest.raises(UserError, match="must be one of best"):
        ranking.sorted_by("loudest", films)


def test_reasons_are_what_changes_the_prediction(recommender):
    films = [recommender.catalogue.film_ids[row] for row in recommender.rank(HISTORY, hidden=dict(HISTORY)).rows[:5]]
    for film, reasons in zip(films, recommender.influential(HISTORY, films), strict=True):
        before = float(recommender.predict(HISTORY, [film])[0] @ np.arange(1, 11))
        falls = {}
        for rated, _ in HISTORY:
            without = [pair for pair in HISTORY if pair[0] != rated]
            falls[rated] = before - float(recommender.predict(without, [film])[0] @ np.arange(1, 11))
        assert reasons
        for reason in reasons:
            assert reason.weight == pytest.approx(falls[reason.film_id], abs=1e-3)
        strongest = max(falls, key=lambda rated: abs(falls[rated]))
        assert abs(reasons[0].weight) == pytest.approx(abs(falls[strongest]), abs=1e-3)


def test_asked_about_films_teach_more_than_films_at_random(recommender):
    asking = NextFilm(recommender)

    def left(films: list[str]) -> float:
        rows = np.array([recommender.catalogue.index[film] for film in films])
        return float(np.trace(asking._posterior(rows)))

    asked: list[str] = []
    for _ in range(5):
        asked += asking.suggest([(film, 6) for film in asked])
    assert len(set(asked)) == 5
    draw = np.random.default_rng(0)
    names = [recommender.catalogue.film_ids[row] for row in asking.rows]
    at_random = [left(list(draw.choice(names, 5, replace=False))) for _ in range(200)]
    assert left(asked) < np.quantile(at_random, 0.1)


def test_taste_beside_everyones(recommender):
    found = taste(recommender, HISTORY)
    assert found is not None
    assert found.count == len(HISTORY)
    assert found.yours == pytest.approx(6.5)
    assert sum(found.shares) == pytest.approx(1)
    away = [abs(film.rating - film.everyones) for film in (*found.typical, *reversed(found.untypical))]
    assert away == sorted(away)
    assert all(group.count >= 2 for group in (*found.genres, *found.decades))
    assert taste(recommender, []) is None


def test_films_for_two_go_by_the_less_pleased(recommender):
    other = [("film-2", 3), ("film-14", 9), ("film-5", 10)]
    films = films_for_two(recommender, (HISTORY, other), seen=((), ["film-6"]), top=10)
    assert len(films) == 10
    lower = [min(film.expected) for film in films]
    assert lower == sorted(lower, reverse=True)
    assert not {film.film_id for film in films} & {film for film, _ in (*HISTORY, *other, ("film-6", 0))}
    for film in films:
        for own, history in zip(film.probabilities, (HISTORY, other), strict=True):
            np.testing.assert_allclose(own, recommender.predict(history, [film.film_id])[0], atol=1e-6)


def test_how_alike_two_tastes_are(recommender):
    alike = likeness(recommender, (HISTORY, HISTORY))
    assert alike.predicted == pytest.approx(1)
    assert alike.agreement == pytest.approx(1)
    assert alike.difference == 0
    assert not alike.farthest
    opposite = [(film, 11 - rating) for film, rating in HISTORY]
    unlike = likeness(recommender, (HISTORY, opposite))
    assert unlike.agreement == pytest.approx(-1)
    assert unlike.predicted is not None
    assert unlike.predicted < 0
    assert likeness(recommender, (HISTORY, [])).predicted is None
    assert likeness(recommender, (HISTORY, [("film-8", 4)])).difference is None
