"""What the recommender can tell beside a list: orders, reasons, taste, films for two."""

from __future__ import annotations

import time

import numpy as np
import pytest

from data_prep.errors import UserError
from reel.ranking import diverse_order, renown, worth
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
    for caution in (float("nan"), float("inf"), -11.0):
        with pytest.raises(UserError, match="must be from -10 to 10"):
            worth(both, caution)


def test_by_reward_the_chance_of_a_seven_counts():
    certain, higher = np.zeros(10), np.zeros(10)
    certain[6], higher[[5, 9]] = 1, 0.5  # expects 7 and 8
    both = np.stack([certain, higher])
    np.testing.assert_allclose(worth(both), [7, 8])
    np.testing.assert_allclose(worth(both, by="reward"), [10, 5])
    with pytest.raises(UserError, match="'fame'"):
        worth(both, by="fame")
    with pytest.raises(UserError, match="is for ranking by rating"):
        worth(both, 0.5, by="reward")


def test_ranking_by_reward(recommender):
    ranking = recommender.rank(HISTORY, by="reward")
    rewards = ranking.probabilities[:, 6:].sum(1)
    assert (np.diff(rewards) <= 1e-12).all()
    assert sorted(ranking.rows) == sorted(recommender.rank(HISTORY).rows)


def test_the_popularity_dial_adds_points_by_how_well_known_a_film_is(recommender):
    counts = recommender.catalogue.films["rating_count"].to_numpy()
    assert renown(counts).mean() == pytest.approx(0)
    assert renown(counts).std() == pytest.approx(1)
    assert not renown(np.full(4, 9)).any()
    for dial in (-1.0, 0.5):
        ranking = recommender.rank(HISTORY, popularity=dial)
        assert (np.diff(ranking.expected + dial * renown(counts)[ranking.rows]) <= 1e-9).all()
    top = {dial: counts[recommender.rank(HISTORY, popularity=dial).rows[:10]].mean() for dial in (-1, 0, 1)}
    assert top[-1] < top[0] < top[1]
    with pytest.raises(UserError, match="popularity 2: must be from -1"):
        recommender.rank(HISTORY, popularity=2)


def test_maximal_marginal_relevance_by_hand():
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0.6, 0.8]], dtype=float)
    worths = np.array([8.0, 7.9, 7.0, 6.0])
    assert diverse_order(worths, vectors, 0.0).tolist() == [0, 1, 2, 3]
    # After the first: .5 * .95 - .5 * 1 < .5 * 0 - .5 * .6 < .5 * .5 - .5 * 0, and then -.025 against -.4.
    assert diverse_order(worths, vectors, 0.5).tolist() == [0, 2, 1, 3]
    assert diverse_order(worths, vectors, 1.0).tolist() == [0, 2, 3, 1]


def test_diversity_makes_the_first_films_less_alike(recommender):
    def likeness_of_first(diversity: float) -> float:
        space = recommender.film_space[recommender.rank(HISTORY, diversity=diversity).rows[:8]]
        return float((space @ space.T)[np.triu_indices(8, 1)].mean())

    plain, diverse = recommender.rank(HISTORY), recommender.rank(HISTORY, diversity=0.6)
    assert plain.rows[0] == diverse.rows[0]
    assert sorted(plain.rows) == sorted(diverse.rows)
    assert max(likeness_of_first(0.9), likeness_of_first(0.4)) < likeness_of_first(0.0)
    np.testing.assert_array_equal(recommender.rank(HISTORY, diversity=0.0).rows, plain.rows)
    with pytest.raises(UserError, match=r"diversity -0\.1: must be from 0 to 1"):
        recommender.rank(HISTORY, diversity=-0.1)


def test_choosing_diverse_films_is_quick():
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(500, 128))
    started = time.monotonic()
    order = diverse_order(np.sort(rng.normal(size=500))[::-1], vectors, 0.5)
    assert sorted(order) == list(range(500))
    assert time.monotonic() - started < 2


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


def test_taste_beside_everyones(recommender):
    found = taste(recommender, HISTORY)
    assert found is not None
    assert found.count == len(HISTORY)
    assert found.yours == pytest.approx(6.5)
    assert sum(found.shares) == pytest.approx(1)
    away = [abs(film.rating - film.everyones) for film in (*found.typical, *reversed(found.untypical))]
    assert away == sorted(away)
    assert len(found.typical) == len(found.untypical) == 3
    assert [(group.name, group.count, group.yours) for group in found.decades] == [("2010s", 2, 7.5)]
    assert {group.name for group in found.genres} == {"Thriller", "Romance"}
    away = [abs(group.yours - group.everyones) for group in found.genres]
    assert away == sorted(away, reverse=True)
    assert taste(recommender, []) is None


def test_taste_by_genre_decade_and_year(recommender):
    history = {"film-0": 9, "film-48": 4, "film-53": 8, "film-3": 2, "film-8": 5, "film-50": 7, "film-2": 6}
    found = taste(recommender, list(history.items()))
    rows = [recommender.by_id[film] | {"rating": rating} for film, rating in history.items()]
    decade = {row["film_id"]: row["year"] // 10 * 10 for row in rows if row["year"]}
    assert [group.name for group in found.decades] == ["1930s", "1940s"]  # one film is of the 2000s, one of no year
    assert sorted(group.name for group in found.years) == sorted(str(row["year"]) for row in rows if row["year"])
    assert {group.name for group in found.genres} == {"Drama", "Thriller", "Science Fiction"}

    def belongs(row: dict, name: str) -> bool:
        return name in (*row["genres"], str(row["year"]), f"{decade.get(row['film_id'])}s")

    for group in (*found.genres, *found.decades, *found.years):
        films = [row for row in rows if belongs(row, group.name)]
        assert group.count == len(films)
        assert group.yours == pytest.approx(np.mean([row["rating"] for row in films]))
        assert group.everyones == pytest.approx(np.mean([row["rating_mean"] for row in films]))


def test_films_for_two_go_by_the_less_pleased(recommender):
    other = [("film-2", 3), ("film-14", 9), ("film-5", 10)]
    films = films_for_two(recommender, (HISTORY, other), seen=((), ["film-6"]), top=10)
    assert len(films) == 10
    lower = [min(film.expected) for film in films]
    assert lower == sorted(lower, reverse=True)
    assert not {film.film_id for film in films} & {film for film, _ in (*HISTORY, *other, ("film-6", 0))}
    known = dict(enumerate(renown(recommender.catalogue.films["rating_count"].to_numpy())))
    wanted = films_for_two(recommender, (HISTORY, other), popularity=0.5, top=10)
    worths = [min(film.expected) + 0.5 * known[recommender.catalogue.film_ids.index(film.film_id)] for film in wanted]
    assert worths == sorted(worths, reverse=True)
    assert [film.film_id for film in wanted] != [film.film_id for film in films]
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
