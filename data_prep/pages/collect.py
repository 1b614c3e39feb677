"""Pages of one or many members as the tables of a data set."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import polars as pl

from data_prep.building.rewatches import split_rewatches
from data_prep.pages.records import DiaryEntry, FilmPage, GridFilm, Member, Page, Review
from data_prep.schema import RATING_COLUMNS, REVIEW_COLUMNS

_PAIR = ["user_id", "film_id"]


@dataclass(frozen=True)
class Tables:
    """What `write_dataset` takes; see there."""

    films: pl.DataFrame
    ratings: pl.DataFrame
    rewatches: pl.DataFrame
    reviews: pl.DataFrame


@dataclass
class Collection:
    """Gathers what pages say, in any order and with overlaps: of two copies of an entry the one added last counts.

    A rating in a diary or review belongs to a viewing and its day. One in a films grid or list is the member's current
    rating and has no day. Where they differ the member has changed the rating since the last viewing.
    """

    films: dict[str, FilmPage] = field(default_factory=dict)
    film_pages: set[str] = field(default_factory=set)
    viewings: dict[tuple[str, str], DiaryEntry | Review] = field(default_factory=dict)  # by user and viewing
    current: dict[tuple[str, str], GridFilm] = field(default_factory=dict)
    reviews: dict[tuple[str, str], Review] = field(default_factory=dict)

    def add(self, page: Page) -> bool:
        """Take what a page holds; False when that is nothing a data set is made of."""
        used = False
        for entry in page.entries:
            used |= not isinstance(entry, Member) and self._add(entry, page.owner)
        return used

    def _add(self, entry: FilmPage | DiaryEntry | GridFilm | Review, owner: str | None) -> bool:
        if entry.film_id is None:
            return False
        self._describe(entry.film_id, entry)
        if isinstance(entry, FilmPage):
            self.film_pages.add(entry.film_id)
            return True
        user = entry.username if isinstance(entry, Review) else owner
        if user is None:
            return False
        if isinstance(entry, GridFilm):
            if entry.rating is not None:
                self.current[user, entry.film_id] = entry
            return entry.rating is not None
        key = user, entry.viewing_id
        if isinstance(entry, Review) and entry.text:
            known = self.reviews.get(key)
            if known is None or len(entry.text) >= len(known.text):  # a profile shows the beginning only
                self.reviews[key] = entry
        if isinstance(entry, DiaryEntry) or not isinstance(self.viewings.get(key), DiaryEntry):
            self.viewings[key] = entry
        return True

    def _describe(self, film_id: str, entry: FilmPage | DiaryEntry | GridFilm | Review) -> None:
        """Keep what a film's own page says, else the first title and year that any page gives."""
        if isinstance(entry, FilmPage):
            self.films[film_id] = entry
            return
        known = self.films.setdefault(film_id, FilmPage(film_id, entry.title or "", entry.year))
        if film_id not in self.film_pages and (not known.title or known.year is None):
            self.films[film_id] = replace(known, title=known.title or entry.title or "", year=known.year or entry.year)

    def unrated(self) -> int:
        """How many viewings have no rating."""
        return sum(entry.rating is None for entry in self.viewings.values())

    def television(self) -> int:
        """How many films that stay are television by their own pages."""
        return sum(film.tmdb_type == "tv" for film in self.films.values())

    def tables(self) -> Tables:
        """The tables, in an order that does not depend on that of the pages.

        The films are those with a rating, a review or a page of their own. The TMDB id of television is left out:
        TMDB counts it apart, and the column holds numbers of films.
        """
        latest, earlier = split_rewatches(self._viewings())
        ratings, changed = _with_current(latest, self._current())
        rewatches = pl.concat([earlier, changed]).sort(*_PAIR, "date", maintain_order=True)
        reviews = self._reviews()
        named = {*self.film_pages, *ratings["film_id"], *rewatches["film_id"], *reviews["film_id"]}
        films = pl.DataFrame(
            [
                (
                    film_id,
                    film.title or None,
                    film.year,
                    film.tmdb_id if film.tmdb_type == "movie" else None,
                    film.imdb_id,
                )
                for film_id, film in sorted(self.films.items())
                if film_id in named
            ],
            schema={
                "film_id": pl.String,
                "title": pl.String,
                "year": pl.Int32,
                "tmdb_id": pl.Int64,
                "imdb_id": pl.String,
            },
            orient="row",
        )
        return Tables(films, ratings, rewatches, reviews)

    def _viewings(self) -> pl.DataFrame:
        """Rated viewings, those of one user and film from the first to the last."""
        viewings = sorted(self.viewings.items(), key=lambda item: (str(item[1].date or ""), int(item[0][1]), item[0]))
        rows = [
            (user, entry.film_id, entry.rating, entry.date, entry.liked, entry.rewatch, entry.reviewed)
            for (user, _), entry in viewings
            if entry.rating is not None
        ]
        return pl.DataFrame(rows, schema=RATING_COLUMNS, orient="row")

    def _current(self) -> pl.DataFrame:
        rows = [
            (user, film_id, entry.rating, None, entry.liked, None, None)
            for (user, film_id), entry in sorted(self.current.items(), key=lambda item: item[0])
        ]
        return pl.DataFrame(rows, schema=RATING_COLUMNS, orient="row")

    def _reviews(self) -> pl.DataFrame:
        rows = [
            (user, entry.film_id, entry.date, entry.rating, entry.text) for (user, _), entry in self.reviews.items()
        ]
        return pl.DataFrame(rows, schema=REVIEW_COLUMNS, orient="row").sort(*_PAIR, "date", "text")


def _with_current(latest: pl.DataFrame, current: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The ratings that count, and the rows of `latest` that a different current rating replaces."""
    other = current.select(*_PAIR, pl.col("rating").alias("_current"), pl.col("liked").alias("_liked"))
    both = latest.join(other, on=_PAIR, how="left", maintain_order="left")
    replaced = pl.col("_current").is_not_null() & (pl.col("_current") != pl.col("rating"))
    counting = both.with_columns(
        rating=pl.coalesce("_current", "rating"),
        date=pl.when(~replaced).then("date"),  # nobody knows on which day the rating was changed
        liked=pl.coalesce("_liked", "liked"),
        rewatch=pl.when(replaced).then(True).otherwise("rewatch"),
    )
    alone = current.join(latest, on=_PAIR, how="anti")
    ratings = pl.concat([counting.select(latest.columns), alone.select(latest.columns)]).sort(*_PAIR)
    return ratings, both.filter(replaced).select(latest.columns)
