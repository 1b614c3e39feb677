"""The film catalogue that travels in a model's folder: films, their features, how often and how well they were rated.

A model knows the films of its catalogue and no others:

    catalogue = Catalogue.from_dataset("runs/sample")
    catalogue.save(Path("runs/model"))
    catalogue.films["title"][catalogue.search("toy story")[0]]
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.dataset import Histories, load_films, load_histories
from data_prep.errors import UserError
from data_prep.features import FilmFeatures, ensure_features
from data_prep.folders import new_folder
from data_prep.matching import normalise_title
from data_prep.schema import FILM_COLUMNS

_YEAR = re.compile(r"(?:\s|^)\(?((?:18|19|20)\d\d)\)?\s*$")


@dataclass
class Catalogue:
    """The films a model knows. Row numbers are film indices.

    Attributes:
        films: columns of `FILM_COLUMNS`, and `rating_count` (int64) and `rating_mean` (float64, 1 to 10, null without
            ratings) from training users alone.
        features: the features of the same films.
    """

    films: pl.DataFrame
    features: FilmFeatures

    @classmethod
    def from_dataset(cls, data: str, *, histories: Histories | None = None, crowd: bool = True) -> Catalogue:
        """The catalogue of a data set; its features are made when they are missing.

        Args:
            data: data set folder, or id of a data set on the Hub.
            histories: of its training users, where they have been read already.
            crowd: whether the features have TMDB's vote average, vote count and popularity of a film.
        """
        films = load_films(data)
        if histories is None:
            histories = load_histories(data, "train")
        counts = np.bincount(histories.film_indices, minlength=len(films))
        sums = np.bincount(histories.film_indices, weights=histories.ratings, minlength=len(films))
        means = np.divide(sums, counts, out=np.full(len(films), np.nan), where=counts > 0)
        films = films.with_columns(
            pl.Series("rating_count", counts, dtype=pl.Int64),
            pl.Series("rating_mean", means, dtype=pl.Float64).fill_nan(None),
        )
        features = ensure_features(data)
        return cls(films, features if crowd else features.without_crowd())

    def with_films(self, films: pl.DataFrame) -> Catalogue:
        """This catalogue with further films after its own, which nobody has rated yet.

        Args:
            films: columns of `FILM_COLUMNS`, as `new_films` gives them.

        Raises:
            UserError: when their features cannot be made as those of the other films were.
        """
        unrated = films.with_columns(
            pl.lit(0, pl.Int64).alias("rating_count"), pl.lit(None, pl.Float64).alias("rating_mean")
        )
        return Catalogue(pl.concat([self.films, unrated.select(self.films.columns)]), self.features.with_films(films))

    @cached_property
    def film_ids(self) -> list[str]:
        """The id of every row."""
        return self.films["film_id"].to_list()

    @cached_property
    def index(self) -> dict[str, int]:
        """The row of every id."""
        return {film_id: row for row, film_id in enumerate(self.film_ids)}

    @cached_property
    def digest(self) -> str:
        """A hash of the film ids in their order: a model's film `i` is row `i` of the catalogue with this digest."""
        return hashlib.blake2b("\0".join(self.film_ids).encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return len(self.films)

    def save(self, folder: Path) -> None:
        """Write `folder/catalogue` (films.parquet, features.parquet, features.json), whole or not at all."""
        with new_folder(Path(folder) / "catalogue") as building:
            pq.write_table(self.films.to_arrow(), building / "films.parquet", compression="zstd")
            self.features.save(building / "features.parquet", building / "features.json")

    @classmethod
    def load(cls, folder: Path) -> Catalogue:
        """Read what `save` wrote.

        Raises:
            UserError: when there is no catalogue in `folder`, or a file of it is broken.
        """
        place = Path(folder) / "catalogue"
        if not (place / "films.parquet").is_file():
            raise UserError(f"{folder}: no film catalogue there; expected the folder of a trained model")
        try:
            films = pl.DataFrame(pq.read_table(place / "films.parquet"))
            films = films.select([*FILM_COLUMNS, "rating_count", "rating_mean"])
            films = films.cast({**FILM_COLUMNS, "rating_count": pl.Int64, "rating_mean": pl.Float64})  # type: ignore[dict-item]
        except (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError) as error:
            raise UserError(f"{place / 'films.parquet'}: broken film catalogue ({error})") from error
        if films["film_id"].null_count() or films["film_id"].is_duplicated().any():
            raise UserError(f"{place / 'films.parquet'}: broken film catalogue (a film has no id, or another's)")
        catalogue = cls(films, FilmFeatures.load(place / "features.parquet", place / "features.json"))
        missing = catalogue.index.keys() - catalogue.features.index.keys()
        if missing:
            raise UserError(f"{place}: broken film catalogue: no features of film {min(missing)!r}")
        return catalogue

    def search(self, text: str, limit: int = 20) -> list[int]:
        """Rows of the films that a typed text may mean, best first.

        Every word of the text must begin a word of the title, in any order and whatever the case and accents. A year
        at the end ("alien 1979") also finds the films of that year that the other words mean. Titles that equal the
        text (a leading "The" aside) come first, then the most rated.

        Args:
            text: what was typed so far.
            limit: the most rows to return.
        """
        found = self._ranked(normalise_title(text), None)
        year = _YEAR.search(text)
        if year:
            narrowed = self._ranked(normalise_title(text[: year.start()]), int(year[1]))
            # "2001" or "blade runner 2049": what looks like a year may be the title's own.
            found = list(dict.fromkeys([*found, *narrowed]))
        return found[:limit]

    def _ranked(self, query: str, year: int | None) -> list[int]:
        if not query:
            return []
        titles, years, counts = self._search_columns
        words = [" " + word for word in query.split()]
        rows = [
            row
            for row, title in enumerate(titles)
            if all(word in title for word in words) and (year is None or years[row] == year)
        ]
        exact = {" " + query, " the " + query}
        return sorted(rows, key=lambda row: (titles[row] not in exact, -counts[row], row))

    @cached_property
    def _search_columns(self) -> tuple[list[str], list[int | None], list[int]]:
        """Normalised titles with a space in front (so that " word" begins a word), years and rating counts."""
        titles = [" " + normalise_title(title) for title in self.films["title"].to_list()]
        return titles, self.films["year"].to_list(), self.films["rating_count"].to_list()
