"""The recommender: ranks, filters, hides, explains; many cases at once equal one by one; wrong folders in one line."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from data_prep.errors import UserError
from reel import Recommender

HISTORY = [("film-03", 9), ("film-10", 2), ("film-22", 7), ("film-41", 10)]


@pytest.fixture(scope="module", params=["model", "shrunk_bias"])
def recommender(request, tiny_models) -> Recommender:
    return Recommender.from_pretrained(tiny_models[request.param])


def test_predictions_are_distributions(recommender):
    probabilities = recommender.predict(HISTORY, ["film-05", "film-06", "film-05"])
    assert probabilities.shape == (3, 10)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(probabilities[0], probabilities[2], atol=1e-6)
    assert recommender.predict([], ["film-05"]).shape == (1, 10)


def test_recommendations_come_best_first_and_unseen(recommender):
    films = recommender.recommend(HISTORY, top=100, seen=["film-50"])
    expected = [film.expected_rating for film in films]
    assert expected == sorted(expected, reverse=True)
    ids = [film.film_id for film in films]
    assert not {film for film, _ in HISTORY} & set(ids)
    assert "film-50" not in ids
    assert len(set(ids)) == len(ids)
    for film in films[:3]:
        assert film.expected_rating == pytest.approx(np.dot(film.probabilities, range(1, 11)), abs=1e-4)
        assert film.reward_probability == pytest.approx(sum(film.probabilities[6:]), abs=1e-5)


def test_two_slugs_of_one_film_are_one_film(recommender):
    both = {"film-00", "film-01"}  # one film_group
    everything = [film.film_id for film in recommender.recommend([], top=100)]
    assert len(both & set(everything)) == 1
    hidden = [film.film_id for film in recommender.recommend([("film-00", 5)], top=100)]
    assert not both & set(hidden)


def test_filters(recommender):
    films = recommender.catalogue.films
    genre = recommender.genres[0]
    for film in recommender.recommend(HISTORY, top=100, genres=[genre.upper()], years=(1950, 1990)):
        row = films.row(recommender.catalogue.index[film.film_id], named=True)
        assert genre in row["genres"]
        assert 1950 <= row["year"] <= 1990
    seen = recommender.recommend(HISTORY, top=100, include_seen=True)
    assert {film for film, _ in HISTORY} <= {film.film_id for film in seen}
    assert recommender.recommend(HISTORY, years=(2090, None)) == []
    with pytest.raises(UserError, match="'Yodelling'"):
        recommender.recommend(HISTORY, genres=["Yodelling"])


def test_explanations_are_rated_films_nearest_first(recommender):
    reasons = recommender.explain(HISTORY, "film-05", top=4)
    assert {reason.film_id for reason in reasons} <= {film for film, _ in HISTORY}
    weights = [reason.weight for reason in reasons]
    assert weights == sorted(weights, reverse=True)
    assert all(0 < weight <= 1 for weight in weights)
    assert all(reason.rating == dict(HISTORY)[reason.film_id] for reason in reasons)
    assert recommender.explain([], "film-05") == []


def test_a_film_rated_twice_counts_with_its_later_rating(recommender):
    twice = recommender.predict([("film-03", 1), *HISTORY[1:], ("film-03", 9)], ["film-05"])
    np.testing.assert_allclose(twice, recommender.predict(HISTORY, ["film-05"]), atol=1e-6)


def test_many_cases_equal_one_by_one(recommender):
    rng = np.random.default_rng(5)
    ids = np.array(recommender.catalogue.film_ids)
    histories = [rng.choice(80, length, replace=False) for length in (0, 1, 7, 7, 30)]
    ratings = [rng.integers(1, 11, len(films)) for films in histories]
    which = rng.integers(0, len(histories), 60)
    targets = rng.integers(0, 80, 60)
    cases = {
        "case_id": np.arange(60),
        "history_film_ids": pa.array([ids[histories[i]].tolist() for i in which], pa.list_(pa.string())),
        "history_ratings": pa.array([ratings[i].tolist() for i in which], pa.list_(pa.int8())),
        "film_id": ids[targets].tolist(),
    }
    together = recommender.predict_cases(pa.table(cases))
    for case in range(60):
        history = list(zip(ids[histories[which[case]]].tolist(), ratings[which[case]].tolist(), strict=True))
        alone = recommender.predict(history, [ids[targets[case]]])[0]
        np.testing.assert_allclose(together[case], alone, atol=2e-6)


def test_save_and_load_are_equal_to_the_bit(recommender, tmp_path):
    recommender.save_pretrained(tmp_path)
    loaded = Recommender.from_pretrained(tmp_path)
    films = recommender.catalogue.film_ids
    np.testing.assert_array_equal(loaded.predict(HISTORY, films), recommender.predict(HISTORY, films))
    assert loaded.catalogue.films.equals(recommender.catalogue.films)


@pytest.mark.parametrize(
    ("history", "message"),
    [([("nosferatu", 5)], "'nosferatu'"), ([("film-03", 11)], "11"), ([("film-03", 0)], "0")],
)
def test_wrong_histories_are_refused(recommender, history, message):
    with pytest.raises(UserError, match=message):
        recommender.predict(history, ["film-05"])


def test_search(recommender):
    found = recommender.search("number 17")
    assert found[0] == {"film_id": "film-17", "title": "The Film Number 17", "year": found[0]["year"]}


def test_folders_that_hold_no_model(tmp_path, tiny_models):
    with pytest.raises(UserError, match="no such folder"):
        Recommender.from_pretrained(tmp_path / "nowhere" / "at" / "all")
    with pytest.raises(UserError, match="no model there"):
        Recommender.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(UserError, match="'bert'"):
        Recommender.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text((tiny_models["model"] / "config.json").read_text())
    with pytest.raises(UserError, match="catalogue"):
        Recommender.from_pretrained(tmp_path)


def test_a_model_and_another_models_catalogue_do_not_go_together(recommender):
    smaller = type(recommender.catalogue)(recommender.catalogue.films.head(5), recommender.catalogue.features)
    with pytest.raises(UserError, match="do not belong together"):
        Recommender(recommender.model, smaller)


def test_genres_and_years(recommender):
    films = recommender.catalogue.films
    assert recommender.genres == sorted(set(films["genres"].explode().drop_nulls()))
    assert recommender.years == (films["year"].min(), films["year"].max())
    assert isinstance(films, pl.DataFrame)
