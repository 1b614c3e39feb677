"""What every field of the data set's configs means, in words for the card. Types come from the schemas."""

from __future__ import annotations

import pyarrow as pa

from data_prep.schema import COLD_CASES_SCHEMA, FILMS_SCHEMA, HISTORIES_SCHEMA, RATINGS_SCHEMA, REVIEWS_SCHEMA

SCHEMAS: dict[str, pa.Schema] = {
    "films": FILMS_SCHEMA,
    "ratings": RATINGS_SCHEMA,
    "histories": HISTORIES_SCHEMA,
    "cold_cases": COLD_CASES_SCHEMA,
    "rewatches": RATINGS_SCHEMA,
    "reviews": REVIEWS_SCHEMA,
}

_TYPE_NAMES = {"date32[day]": "date", "float": "float32", "double": "float64"}
_USER_ID = "keyed hash of the user's name, 32 hexadecimal digits; the same in every config"
_FILM_ID = "`film_id` of `films`"
_RATING = "1 to 10, in half stars: 1 is half a star, 10 is five stars"
_FILM_INDICES = "rows of `films`, counted from 0"

MEANINGS: dict[str, dict[str, str]] = {
    "films": {
        "film_id": "the film's id in its source: a Letterboxd slug, `ml-` and a MovieLens number, or title and year",
        "title": "title",
        "year": "year of release",
        "release_date": "day of the first release",
        "runtime": "minutes",
        "genres": "names",
        "production_countries": "names",
        "spoken_languages": "names",
        "original_language": "ISO 639-1 code",
        "overview": "summary of the plot",
        "popularity": "TMDB's score of current interest, 0 and up, without a unit",
        "vote_average": "mean vote on TMDB, 0 to 10",
        "vote_count": "votes on TMDB",
        "tmdb_id": "number on TMDB",
        "imdb_id": "id on IMDb, `tt` and digits",
        "image_url": "address of a poster",
        "film_group": "films that are one film share it: the `film_id` of one of them",
    },
    "ratings": {
        "user_id": _USER_ID,
        "film_id": _FILM_ID,
        "rating": _RATING,
        "date": "day of the rating",
        "liked": "whether the user also marked it as liked",
        "rewatch": "whether the user had seen the film before",
        "reviewed": "whether the user also wrote a review",
    },
    "histories": {
        "user_id": _USER_ID,
        "film_indices": f"{_FILM_INDICES}, in order of date where dated",
        "ratings": "the rating of each of these films, 1 to 10",
        "dates": "the day of each rating; null for a user none of whose ratings is dated",
        "ordered": "every rating is dated and no single day holds over 20 % of them; where false, the order says "
        "nothing",
    },
    "cold_cases": {
        "user_id": _USER_ID,
        "film_indices": f"{_FILM_INDICES}: what else the user has rated",
        "ratings": "the rating of each of these films, 1 to 10",
        "film_index": "row of `films`: the film that was kept back",
        "rating": "the user's rating of it, 1 to 10",
    },
    "rewatches": {
        "user_id": _USER_ID,
        "film_id": _FILM_ID,
        "rating": f"the earlier rating; {_RATING}",
        "date": "day of the earlier rating",
        "liked": "whether the user also marked it as liked then",
        "rewatch": "whether the user had seen the film before even then",
        "reviewed": "whether the user also wrote a review then",
    },
    "reviews": {
        "user_id": _USER_ID,
        "film_id": _FILM_ID,
        "date": "day of the review",
        "rating": "the rating given with it, 1 to 10; null where there is none",
        "text": "the review, in the user's own words",
    },
}


def field_table(config: str) -> list[str]:
    """The fields of a config as the lines of a Markdown table: name, type, meaning with unit."""
    meanings = MEANINGS[config]
    rows = [f"| `{field.name}` | {type_name(field.type)} | {meanings[field.name]} |" for field in SCHEMAS[config]]
    return ["| field | type | meaning |", "|---|---|---|", *rows]


def type_name(kind: pa.DataType) -> str:
    """How the card calls a type: dictionaries are read back as what they hold.

    >>> type_name(pa.list_(pa.date32()))
    'list of date'
    """
    if pa.types.is_dictionary(kind):
        return type_name(kind.value_type)
    if pa.types.is_list(kind):
        return f"list of {type_name(kind.value_type)}"
    return _TYPE_NAMES.get(str(kind), str(kind))
