"""Small account exports and the films they name, for the tests of reading them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping

import polars as pl

from data_prep.member.history import Export

RATINGS = "Date,Name,Year,Letterboxd URI,Rating\r\n"
DIARY = "Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date\r\n"
WATCHED = "Date,Name,Year,Letterboxd URI\r\n"
HEAT = "2022-01-09,Heat,1995,u,4.5"
FILMS = pl.DataFrame(
    {
        "film_id": ["heat", "alien", "amelie", "a-cop", "un-flic", "commas", "1917"],
        "title": ["Heat", "Alien", "Amélie", "A Cop", "Un flic", 'The Good, the "Bad"', "1917"],
        "year": [1995, 1979, 2001, 1972, 1972, 1966, 2019],
        "release_date": [None] * 7,
        "film_group": ["heat", "alien", "amelie", "a-cop", "a-cop", "commas", "1917"],
        "vote_count": [None] * 7,
    },
    schema_overrides={"release_date": pl.Date, "vote_count": pl.Int64},
)


def zipped(files: Mapping[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return buffer.getvalue()


def rows(*lines: str) -> str:
    return "".join(line + "\r\n" for line in lines)


def adds_up(found: Export) -> None:
    assert found.counts["matched"] + len(found.unmatched) == found.counts["rated"]
    assert found.counts["rejected"] == len(found.rejected)
    assert len(found.history) <= found.counts["matched"]
    assert all(1 <= film["rating"] <= 10 for film in found.history)
    films = [film["film_id"] for film in found.history]
    assert len(films) == len(set(films))
    json.dumps(found.to_json()).encode()
