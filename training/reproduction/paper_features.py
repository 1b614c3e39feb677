"""The paper's film vector (its section 5.1 and appendix), with and without two faults of its public implementation.

Popularity, runtime, vote average, log(1 + vote count), multi-hot genres, production countries and spoken languages,
and the embeddings of title and overview. The implementation scales nothing, and

- its multi-hot encoder was fitted on JSON strings, so that a "genre" is a character of `["Drama", "Comedy"]`;
- films without a release date were dropped from the feature table, but not from the list of film ids whose position
  is used as the row number, so that most films get another film's features.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

LISTS = ("genres", "production_countries", "spoken_languages")
NUMBERS = ("popularity", "runtime", "vote_average", "vote_count")
CROWD = ("popularity", "vote_average", "vote_count")


def paper_features(
    films: pl.DataFrame,
    *,
    characters: bool,
    shifted: bool,
    scaled: bool,
    crowd: bool = True,
    text: np.ndarray | None = None,
) -> np.ndarray:
    """
    The film vectors, float32 [films, width].

    Args:
        films: columns as in `data_prep.schema.FILM_COLUMNS`.
        characters: one place for each character of the lists' JSON, in the place of one for each value.
        shifted: rows are looked up in the table without undated films, by the film's position in the list of all film
            ids. Films are sorted by id for that. Those at the end, which find no row, take the last.
        scaled: numbers have mean 0 and spread 1 over the films, where they are known. Unknown ones are 0 either way.
        crowd: with popularity, vote average and vote count.
        text: [films, size] embeddings to be appended.
    """
    blocks = [_number(films, name, scaled) for name in NUMBERS if crowd or name not in CROWD]
    blocks += [_multi_hot([_symbols(values, characters) for values in films[name].to_list()]) for name in LISTS]
    if text is not None:
        blocks.append(text)
    table = np.concatenate(blocks, axis=1, dtype=np.float32)
    return table[shifted_rows(films)] if shifted else table


def shifted_rows(films: pl.DataFrame) -> np.ndarray:
    """Of every film the row whose features it gets by the implementation's fault, [films]."""
    by_id = np.argsort(films["film_id"].to_numpy(), kind="stable")
    dated = by_id[films["release_date"].is_not_null().to_numpy()[by_id]]
    rows = np.arange(len(films))
    if len(dated):
        rows[by_id] = dated[np.minimum(np.arange(len(films)), len(dated) - 1)]
    return rows


def _number(films: pl.DataFrame, name: str, scaled: bool) -> np.ndarray:
    values = films[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if name == "vote_count":
        values = np.log1p(np.maximum(values, 0))
    if scaled:
        known = values[~np.isnan(values)]
        mean, spread = (known.mean(), known.std()) if len(known) else (0.0, 1.0)
        values = (values - mean) / max(spread, 1e-6)
    return np.nan_to_num(values)[:, None]


def _symbols(values: Sequence[str] | None, characters: bool) -> Iterable[str]:
    if not characters:
        return values or ()
    return json.dumps(list(values or ()), ensure_ascii=False)


def _multi_hot(rows: Sequence[Iterable[str]]) -> np.ndarray:
    place = {symbol: number for number, symbol in enumerate(sorted({symbol for row in rows for symbol in row}))}
    hot = np.zeros((len(rows), len(place)), dtype=np.float32)
    for number, row in enumerate(rows):
        hot[number, [place[symbol] for symbol in row]] = 1
    return hot
