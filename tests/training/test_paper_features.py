"""The paper's film vector and the two faults of its implementation, on films made by hand."""

from __future__ import annotations

import datetime
import math

import numpy as np
import polars as pl

from training.reproduction.paper_features import paper_features, shifted_rows

DATE = datetime.date(2000, 1, 1)
# In the order of ids: a, b (undated), c, d.
FILMS = pl.DataFrame(
    {
        "film_id": ["c", "a", "d", "b"],
        "release_date": [DATE, DATE, DATE, None],
        "popularity": [3.0, 1.0, 8.0, None],
        "runtime": [90.0, 100.0, 110.0, None],
        "vote_average": [6.0, 7.0, 8.0, 5.0],
        "vote_count": [0, 9, 99, None],
        "genres": [["Drama"], ["Drama", "War"], None, ["War"]],
        "production_countries": [["France"], [], None, ["France"]],
        "spoken_languages": [["French"], ["French"], ["French"], None],
    }
)
PLAIN = {"characters": False, "shifted": False, "scaled": False}


def test_correct_features_by_hand() -> None:
    features = paper_features(FILMS, **PLAIN)
    # popularity, runtime, vote average, log(1 + vote count); Drama, War; France; French
    expected = [
        [3, 90, 6, 0, 1, 0, 1, 1],
        [1, 100, 7, math.log(10), 1, 1, 0, 1],
        [8, 110, 8, math.log(100), 0, 0, 0, 1],
        [0, 0, 5, 0, 0, 1, 1, 0],
    ]
    np.testing.assert_allclose(features, expected, rtol=1e-6)


def test_scaled_numbers_have_unit_spread_where_they_are_known() -> None:
    features = paper_features(FILMS, **{**PLAIN, "scaled": True})
    np.testing.assert_allclose(features[:3, 0].mean(), 0, atol=1e-6)
    np.testing.assert_allclose(features[:3, 0].std(), 1, rtol=1e-6)
    assert features[3, 0] == 0


def test_without_what_a_crowd_says() -> None:
    features = paper_features(FILMS, **PLAIN, crowd=False)
    np.testing.assert_allclose(features[:, 0], [90, 100, 110, 0])
    assert features.shape == (4, 5)


def test_characters_in_the_place_of_values() -> None:
    features = paper_features(FILMS, **{**PLAIN, "characters": True})
    genres = len(set('["Drama", "War"]'))
    countries, languages = len(set('["France"]')), len(set('["French"]'))
    assert features.shape == (4, 4 + genres + countries + languages)
    # Nothing but the brackets is left of an empty list.
    assert features[2, 4 : 4 + genres].sum() == 2
    assert features[1, 4 : 4 + genres].sum() == genres


def test_shifted_rows_by_hand() -> None:
    # The table without b holds a, c, d at 0, 1, 2; the ids a, b, c, d look up 0, 1, 2, and 3, which is not there.
    by_id = dict(zip(FILMS["film_id"], shifted_rows(FILMS).tolist(), strict=True))
    gets = {film_id: FILMS["film_id"][row] for film_id, row in by_id.items()}
    assert gets == {"a": "a", "b": "c", "c": "d", "d": "d"}
    shifted = paper_features(FILMS, **{**PLAIN, "shifted": True})
    np.testing.assert_array_equal(shifted[0], paper_features(FILMS, **PLAIN)[2])


def test_text_is_appended_and_shifted_with_the_rest() -> None:
    text = np.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(paper_features(FILMS, **PLAIN, text=text)[:, -2:], text)
    shifted = paper_features(FILMS, **{**PLAIN, "shifted": True}, text=text)
    np.testing.assert_array_equal(shifted[:, -2:], text[shifted_rows(FILMS)])
