"""One rating per user and film: which one counts, and what becomes of the others."""

from __future__ import annotations

import datetime

import polars as pl

from data_prep.building.rewatches import split_rewatches

SCHEMA = {
    "user_id": pl.String,
    "film_id": pl.String,
    "rating": pl.Int8,
    "date": pl.Date,
    "liked": pl.Boolean,
    "rewatch": pl.Boolean,
    "reviewed": pl.Boolean,
}


def day(number: int) -> datetime.date:
    return datetime.date(2024, 3, number)


def table(*rows: tuple) -> pl.DataFrame:
    return pl.DataFrame([(*row, *[None] * (7 - len(row))) for row in rows], schema=SCHEMA, orient="row")


def test_the_latest_date_wins_and_flags_are_those_of_any_row() -> None:
    ratings = table(
        ("ann", "heat", 6, day(3), None, None, False),
        ("ann", "heat", 9, day(5), False, False, None),
        ("bob", "heat", 4, day(9), None, False, None),
        ("ann", "heat", 7, day(1), True, None, None),
        ("ann", "alien", 8),
    )
    kept, rest = split_rewatches(ratings)
    assert kept.rows() == [
        ("ann", "heat", 9, day(5), True, True, False),
        ("bob", "heat", 4, day(9), None, False, None),
        ("ann", "alien", 8, None, None, None, None),
    ]
    assert rest.equals(ratings[[0, 3]])


def test_without_a_date_older_than_any_date_and_then_the_later_row() -> None:
    kept, rest = split_rewatches(
        table(
            ("ann", "heat", 6, day(3)),
            ("ann", "heat", 9),
            ("bob", "heat", 1),
            ("bob", "heat", 2),
            ("cat", "heat", 3, day(4)),
            ("cat", "heat", 5, day(4)),
        )
    )
    assert kept["rating"].to_list() == [6, 2, 5]
    assert kept["rewatch"].to_list() == [True, True, True]
    assert rest["rating"].to_list() == [9, 1, 3]


def test_what_says_nothing_new_is_no_rewatch() -> None:
    kept, rest = split_rewatches(
        table(
            ("ann", "heat", 6, day(3)),
            ("ann", "heat", 6, day(3), True),
            ("ann", "heat", 6),
            ("bob", "heat", 6),
            ("bob", "heat", 6),
            ("cat", "heat", 7, day(1)),
            ("cat", "heat", 7, day(2)),
        )
    )
    assert kept.rows() == [
        ("ann", "heat", 6, day(3), True, None, None),
        ("bob", "heat", 6, None, None, None, None),
        ("cat", "heat", 7, day(2), None, True, None),
    ]
    assert rest.rows() == [("cat", "heat", 7, day(1), None, None, None)]


def test_three_columns_are_enough() -> None:
    ratings = table(("ann", "heat", 6), ("bob", "heat", 7), ("ann", "heat", 8)).select("user_id", "film_id", "rating")
    kept, rest = split_rewatches(ratings)
    assert kept.rows() == [("bob", "heat", 7, None), ("ann", "heat", 8, True)]
    assert rest.rows() == [("ann", "heat", 6, None)]
    kept, rest = split_rewatches(ratings[1:])
    assert kept.rows() == [("bob", "heat", 7, None), ("ann", "heat", 8, None)]
    assert rest.is_empty()
    assert rest.columns == kept.columns
    kept, rest = split_rewatches(ratings.clear())
    assert kept.is_empty()
    assert rest.is_empty()
