"""Completing the films of a data set: only what is null is filled, and the data set stays one at any moment."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from data_prep.building.build import is_dataset_folder, write_films
from data_prep.building.card import DatasetCard
from data_prep.errors import UserError
from data_prep.folders import digest_files, link, new_folder, remove_leftovers
from data_prep.schema import FILM_COLUMNS
from data_prep.tmdb import ATTRIBUTION
from data_prep.tmdb.client import TmdbClient
from data_prep.tmdb.lookup import WAYS, Wanted, find_films
from data_prep.tmdb.records import Film

FILLABLE = [name for name in FILM_COLUMNS if name not in ("film_id", "title", "film_group")]
_NOTE = f"films: fields that the source left empty are from TMDB. {ATTRIBUTION}"


@dataclass
class FillReport:
    """What filling a data set found and changed.

    Attributes:
        films: films of the data set.
        asked: those with a null field, for which TMDB was asked.
        found: of these, how many were found by which of `WAYS`.
        filled: by field, in how many films it was filled.
        empty: by field, in how many films it is null now.
        not_found: the others, with the reason.
    """

    films: int
    asked: int
    found: dict[str, int]
    filled: dict[str, int]
    empty: dict[str, int]
    not_found: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def fill_dataset(folder: Path, client: TmdbClient) -> FillReport:
    """Fill null fields of the films of a data set with what TMDB knows.

    The folder is replaced as a whole, and only when something was filled. Its `features/` are dropped then: they
    belong to the films as they were, and are made again when they are needed.

    Raises:
        UserError: when `folder` is no data set, cannot be written or was built again meanwhile, or TMDB does not
            answer (see `TmdbClient`).
    """
    folder, films = open_dataset(folder)
    card = DatasetCard.read(folder)
    wanted = incomplete_films(films)
    lookups = dict(zip(wanted, find_films(client, list(wanted.values())), strict=True))
    completed = _complete(films, {row: lookup.film for row, lookup in lookups.items() if lookup.film})
    empty = {name: completed[name].null_count() for name in FILLABLE}
    report = FillReport(
        films=len(films),
        asked=len(wanted),
        found={**dict.fromkeys(WAYS, 0), **Counter(lookup.how for lookup in lookups.values() if lookup.film)},
        filled={name: films[name].null_count() - empty[name] for name in FILLABLE},
        empty=empty,
        not_found=[
            {**films.select("film_id", "title", "year").row(row, named=True), "reason": lookup.reason}
            for row, lookup in lookups.items()
            if not lookup.film
        ],
    )
    if any(report.filled.values()):
        if DatasetCard.read_digest(folder, "films") != card.digests.get("films"):
            raise UserError(f"{folder}: the data set was built again meanwhile; run the command again")
        rewrite_films(folder, card, completed)
    return report


def open_dataset(folder: Path) -> tuple[Path, pl.DataFrame]:
    """The resolved folder of a data set on this machine, and its films."""
    from data_prep.dataset import load_films  # loads `datasets`, which takes seconds

    folder = folder.expanduser().resolve()
    remove_leftovers(folder)
    if not is_dataset_folder(folder):
        raise UserError(f"{folder}: no rating data set; --fill takes the folder of one on this machine")
    return folder, load_films(str(folder))


def incomplete_films(films: pl.DataFrame) -> dict[int, Wanted]:
    """The films with a null field, by row number."""
    rows = films.with_row_index("row").filter(pl.any_horizontal(pl.col(FILLABLE).is_null()))
    columns = ["tmdb_id", "imdb_id", "title", "year"]
    return {row: Wanted(*known) for row, *known in rows.select("row", *columns).iter_rows()}


def _complete(films: pl.DataFrame, found: Mapping[int, Film]) -> pl.DataFrame:
    """`films` with its nulls filled from the films found for its rows."""
    known = {row: film.row() for row, film in found.items()}
    columns = []
    for name in FILLABLE:
        values = films[name].to_list()
        for row, film in known.items():
            if values[row] is None:
                values[row] = film[name]
        columns.append(pl.Series(name, values, dtype=FILM_COLUMNS[name]))
    return films.with_columns(columns)


def rewrite_films(folder: Path, card: DatasetCard, films: pl.DataFrame) -> None:
    """Put other films, in the same number and order, into a data set folder whose card is `card`.

    A folder with the new films, the card that goes with them and hard links to everything else takes the place of the
    old one in one step, so that no reader ever finds films that their card does not know.
    """
    replaced = ("films", "features", "README.md")

    def at_the_top(place: str, names: list[str]) -> list[str]:
        return [name for name in names if name in replaced and Path(place) == folder]

    if _NOTE not in card.notes:
        card.notes.append(_NOTE)
    with new_folder(folder) as building:
        shutil.copytree(folder, building, symlinks=True, ignore=at_the_top, copy_function=link, dirs_exist_ok=True)
        write_films(building, films)
        card.digests["films"] = digest_files(building / "films")
        (building / "README.md").write_text(card.render(), encoding="utf-8")
