"""The rating data set: its columns, and reading it from a folder or from the Hub.

    histories = load_histories("runs/sample", "train")
    film_indices, ratings = histories.history(0)

`write_dataset` makes one; the modules `sample` and `tables` call it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.building.build import is_dataset_folder, write_dataset
from data_prep.building.card import DatasetCard
from data_prep.errors import UserError
from data_prep.folders import digest_files, remove_leftovers
from data_prep.schema import (
    COLD_CASES_SCHEMA,
    FILM_COLUMNS,
    FILMS_SCHEMA,
    HISTORIES_SCHEMA,
    MISSING_DATE,
    RATING_COLUMNS,
    RATINGS_SCHEMA,
    REVIEW_COLUMNS,
    normalise_films,
)

if TYPE_CHECKING:
    import datasets

__all__ = [
    "COLD_CASES_SCHEMA",
    "FILMS_SCHEMA",
    "FILM_COLUMNS",
    "HISTORIES_SCHEMA",
    "MISSING_DATE",
    "RATINGS_SCHEMA",
    "RATING_COLUMNS",
    "ColdCases",
    "Histories",
    "broken_told",
    "is_dataset_folder",
    "list_splits",
    "load_cold_cases",
    "load_films",
    "load_histories",
    "load_ratings",
    "load_reviews",
    "load_rewatches",
    "normalise_films",
    "write_dataset",
]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass
class Histories:
    """The rating histories of one split's users, end to end in flat arrays.

    Attributes:
        user_ids: keyed hashes of the users' names.
        offsets: int64 [users + 1]; user i has positions offsets[i]:offsets[i + 1] of the arrays below.
        film_indices: int32 [total], rows of the films table.
        ratings: int8 [total], 1 to 10.
        dates: int32 [total], days since 1970-01-01 or `MISSING_DATE`; None when no rating is dated.
        ordered: bool [users]: the order is the order of rating. Otherwise it means nothing.
    """

    user_ids: list[str]
    offsets: np.ndarray
    film_indices: np.ndarray
    ratings: np.ndarray
    dates: np.ndarray | None
    ordered: np.ndarray

    def __len__(self) -> int:
        return len(self.user_ids)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return (self.history(user) for user in range(len(self)))

    def first(self, users: int) -> Histories:
        """Those of the first `users` users, or all. A split's users come in order of their hashes: a random draw."""
        offsets = self.offsets[: users + 1]
        rows = slice(int(offsets[-1]))
        return Histories(
            self.user_ids[:users],
            offsets,
            self.film_indices[rows],
            self.ratings[rows],
            None if self.dates is None else self.dates[rows],
            self.ordered[:users],
        )

    def lengths(self) -> np.ndarray:
        """int64 [users]: ratings of every user."""
        return np.diff(self.offsets)

    def history(self, user: int) -> tuple[np.ndarray, np.ndarray]:
        """Film indices (int32 [n]) and ratings (int8 [n]) of the user at position `user`; views, not copies."""
        span = slice(self.offsets[user], self.offsets[user + 1])
        return self.film_indices[span], self.ratings[span]


@dataclass
class ColdCases:
    """Ratings of films that no training user's rating and no history shows.

    Attributes:
        histories: one history a case (users repeat); undated.
        film_index: int32 [cases], the film that was kept back.
        rating: int8 [cases], 1 to 10, its rating by that user.
    """

    histories: Histories
    film_index: np.ndarray
    rating: np.ndarray

    def __len__(self) -> int:
        return len(self.film_index)


def load_films(data: str) -> pl.DataFrame:
    """The films of a data set, one row a film; the row number is the film index.

    Args:
        data: a data set folder, or the id of a data set on the Hub.

    Raises:
        UserError: when it is neither, or a film has no id or the id of another.
    """
    with broken_told(data, "films", "train"):
        films = pl.from_arrow(_table(data, "films", "train"))
        assert isinstance(films, pl.DataFrame)
        films = normalise_films(films)
        film_ids = films["film_id"]
        if film_ids.null_count():
            raise ValueError(f"row {film_ids.is_null().arg_max()} has no film_id")
        if film_ids.is_duplicated().any():
            raise ValueError(f"two rows have the film_id {film_ids.filter(film_ids.is_duplicated())[0]!r}")
    return films


def list_splits(data: str, config: str) -> list[str]:
    """The splits of a config; none when the data set has no such config."""
    place = _place(data)
    import datasets

    with _reading(data, f"the list of splits of {config}"):
        if config not in datasets.get_dataset_config_names(place):
            return []
        return [str(split) for split in datasets.get_dataset_split_names(place, config)]


def load_ratings(data: str, split: str) -> pl.DataFrame:
    """The ratings of one split, with the columns of `RATING_COLUMNS`."""
    return _frame(data, "ratings", split, RATING_COLUMNS)


def load_rewatches(data: str, split: str) -> pl.DataFrame:
    """The earlier ratings of one split, with the columns of `RATING_COLUMNS`."""
    return _frame(data, "rewatches", split, RATING_COLUMNS)


def load_reviews(data: str, split: str) -> pl.DataFrame:
    """The reviews of one split, with the columns of `REVIEW_COLUMNS`."""
    return _frame(data, "reviews", split, REVIEW_COLUMNS)


def load_histories(data: str, split: str) -> Histories:
    """The histories of one split's users.

    Args:
        data: a data set folder, or the id of a data set on the Hub.
        split: train, validation or test.

    Raises:
        UserError: when there is no such data set or split, or it holds something that is no rating of its films.
    """
    table, films = _table(data, "histories", split), _table(data, "films", "train").num_rows
    with broken_told(data, "histories", split):
        return _histories(table, films)


def load_cold_cases(data: str, split: str) -> ColdCases:
    """The cold cases of validation or test, of a data set built with `--cold-films`."""
    table, films = _table(data, "cold_cases", split), _table(data, "films", "train").num_rows
    with broken_told(data, "cold_cases", split):
        return ColdCases(
            _histories(table, films),
            _within("film_index", table["film_index"].to_numpy(), 0, films - 1),
            _within("rating", table["rating"].to_numpy(), 1, 10),
        )


@contextmanager
def broken_told(data: str, config: str, split: str) -> Iterator[None]:
    """Make a `UserError` of whatever the tables of a data set lack that somebody has changed by hand."""
    try:
        yield
    except (KeyError, TypeError, ValueError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        raise UserError(f"{data}: {config} of split {split} is broken ({error}); build the data set again") from error


def _within(name: str, values: np.ndarray, low: int, high: int) -> np.ndarray:
    if len(values) and not (low <= values.min() and values.max() <= high):  # nan, in place of null, is refused too
        raise ValueError(f"{name} reaches from {values.min()} to {values.max()}, not from {low} to {high}")
    return values


def _histories(table: pa.Table, films: int) -> Histories:
    if len(table) == 0:
        raise ValueError("it holds no user")
    for name in ("film_indices", "ratings"):
        if table[name].null_count:
            raise ValueError(f"{name} of {table[name].null_count} users is null")
    lengths = pc.list_value_length(table["film_indices"]).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    dates = None
    if "dates" in table.column_names and table["dates"].null_count < len(table):
        dated = table["dates"].is_valid().to_numpy()
        values = pc.list_flatten(table["dates"]).cast(pa.int32()).fill_null(MISSING_DATE).to_numpy()
        dates = np.full(offsets[-1], MISSING_DATE, dtype=np.int32)
        dates[np.repeat(dated, lengths)] = values
    if not pc.list_value_length(table["ratings"]).equals(pc.list_value_length(table["film_indices"])):
        raise ValueError("a user has more films than ratings, or fewer")
    return Histories(
        user_ids=table["user_id"].to_pylist(),
        offsets=offsets,
        film_indices=_within("film_indices", pc.list_flatten(table["film_indices"]).to_numpy(), 0, films - 1),
        ratings=_within("ratings", pc.list_flatten(table["ratings"]).to_numpy(), 1, 10),
        dates=dates,
        ordered=table["ordered"].to_numpy() if "ordered" in table.column_names else np.zeros(len(table), dtype=bool),
    )


def _frame(data: str, config: str, split: str, columns: dict[str, pl.DataType]) -> pl.DataFrame:
    table = _table(data, config, split)
    with broken_told(data, config, split):
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        return frame.cast(dict(columns))  # type: ignore[arg-type]


def _table(data: str, config: str, split: str) -> pa.Table:
    return _load(data, config, split).data.table


def _load(data: str, config: str, split: str) -> datasets.Dataset:
    place = _place(data)
    import datasets

    if Path(place).is_dir():
        check_digest(data, Path(place), config)
    with _reading(data, f"{config} of split {split}"):
        return datasets.load_dataset(place, config, split=split)


def _place(data: str) -> str:
    """What `datasets` is to be asked for: a folder's path, or an id on the Hub."""
    folder = Path(data).expanduser()
    if not folder.exists():
        remove_leftovers(folder)  # a build killed between its last two renames has left the old one beside
    if folder.exists():
        if not is_dataset_folder(folder):
            raise UserError(
                f"{data}: no rating data set; make one with `reel data sample --out DIR` or `reel data tables`"
            )
        return str(folder.resolve())
    if not _HUB_ID.fullmatch(str(data)):
        raise UserError(f"{data}: no such folder; make a data set with `reel data sample --out {data}`")
    return str(data)


@contextmanager
def _reading(data: str, what: str) -> Iterator[None]:
    """Make errors that say what to do of whatever `datasets` raises."""
    import datasets

    try:
        with _quietly():
            yield
    except (datasets.exceptions.DatasetNotFoundError, ConnectionError) as error:
        raise UserError(f"{data}: neither a folder here nor a data set that the Hub shows ({error})") from error
    except Exception as error:  # no end to what a damaged card or Parquet file makes of yaml, datasets and pyarrow
        folder = str(Path(data).expanduser().resolve())
        if isinstance(error, OSError) and error.filename and not str(error.filename).startswith(folder):
            raise UserError(
                f"{error.filename}: no place for what `datasets` keeps of {data} ({error.strerror}); set HF_HOME to a "
                "folder you can write"
            ) from error
        why = error.__cause__ or error  # `datasets` says only that something failed, and hangs the reason on it
        raise UserError(f"{data}: {what} cannot be read ({why})") from error


def check_digest(data: str, folder: Path, config: str) -> None:
    """Without this a damaged file would go unseen while an older copy of it is in the cache of `datasets`."""
    digest = DatasetCard.read_digest(folder, config)
    if digest is not None and not ((folder / config).is_dir() and digest_files(folder / config) == digest):
        raise UserError(
            f"{data}: the files in {config} are damaged, changed or lost: they are not those that the data set was "
            "built with; build it again"
        )


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep `datasets` and the Hub's client from drawing bars and logging every failed attempt: what matters of it is
    in the error that they raise."""
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    loggers = [logging.getLogger(name) for name in ("datasets", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    datasets.disable_progress_bars()
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
