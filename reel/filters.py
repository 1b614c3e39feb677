"""Which films of a catalogue a person would consider tonight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from data_prep.errors import UserError

Range = tuple[int | None, int | None]  # first and last, either open


@dataclass(frozen=True)
class FilmFilter:
    """
    Films that fit all of it; what is left out asks for nothing. A film whose year, language or length is not known
    fits no wish for one.

    Args:
        genres (`list[str]`): films with one of these genres, in any case.
        years (`tuple`): first and last year.
        languages (`list[str]`): original languages, as the catalogue writes them (TMDB: ISO 639-1 codes).
        minutes (`tuple`): shortest and longest length.
        popularity (`tuple[float, float]`): a slice of the catalogue from the most to the least rated film; (0, .1) is
            the tenth of the films that most people have rated.
        only (`list[str]`): film ids, such as a watchlist.
    """

    genres: Sequence[str] = ()
    years: Range | None = None
    languages: Sequence[str] = ()
    minutes: Range | None = None
    popularity: tuple[float, float] = (0.0, 1.0)
    only: Sequence[str] | None = None

    def rows(self, films: pl.DataFrame) -> np.ndarray:
        """
        Rows of a catalogue's films, in their order.

        Raises:
            UserError: for a genre or a language that no film has.
        """
        chosen = np.ones(len(films), dtype=bool)
        if self.genres:
            known = {name.casefold(): name for name in genres_of(films)}
            names = {_known(genre, known, "genre", folded=True) for genre in self.genres}
            chosen &= np.array([not names.isdisjoint(film or ()) for film in films["genres"].to_list()], dtype=bool)
        if self.languages:
            spoken = {name: name for name in films["original_language"].drop_nulls().unique().to_list()}
            wanted = [_known(language, spoken, "original language") for language in self.languages]
            chosen &= films["original_language"].is_in(wanted).fill_null(False).to_numpy()
        for column, bounds in (("year", self.years), ("runtime", self.minutes)):
            if bounds is not None:
                first, last = bounds
                values = films[column].fill_null(-1).to_numpy()
                chosen &= (values >= (first if first is not None else 0)) & (
                    values <= (last if last is not None else 9999)
                )
        if self.popularity != (0.0, 1.0):
            place = films["rating_count"].rank("ordinal", descending=True).to_numpy() - 1
            chosen &= (place >= self.popularity[0] * len(films)) & (place < self.popularity[1] * len(films))
        if self.only is not None:
            chosen &= films["film_id"].is_in(list(self.only)).to_numpy()
        return np.flatnonzero(chosen)


def genres_of(films: pl.DataFrame) -> list[str]:
    """Every genre of some films, in alphabetical order."""
    return sorted(films["genres"].explode().drop_nulls().unique().to_list())


def _known(name: str, known: dict[str, str], what: str, *, folded: bool = False) -> str:
    key = name.casefold() if folded else name
    if key not in known:
        raise UserError(f"no film has the {what} {name!r}; known are {', '.join(sorted(known.values()))}")
    return known[key]
