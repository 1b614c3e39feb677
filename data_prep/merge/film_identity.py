"""Which rows of several films tables are one film?

Rows are joined by film_group within a source, then by TMDB id, IMDb id, film_id (the slug), and normalised title and
year. A weaker join never undoes what stronger evidence says: films that one source tells apart by their TMDB ids stay
apart, and a title joins nothing where ids speak against it or more than one film could be meant.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from data_prep.matching import normalise_title
from data_prep.merge.report import MergeReport
from data_prep.schema import FILM_COLUMNS

SEVERAL_IDS = "films with several ids, joined"
SHARED_ID = "films with one id, kept apart"
NAMESAKES = "films with one title and year, kept apart"
DIFFERING = "fields of a film in which sources differ"

_SHOWN = ("film_id", "title", "year", "tmdb_id", "imdb_id")

RUNTIME_TOLERANCE = 5  # minutes: cuts differ, and so do roundings


class _Row(NamedTuple):
    position: int
    source: int
    film_id: str
    film_group: str
    tmdb_id: int | None
    imdb_id: str | None
    title: str | None
    year: int | None
    runtime: float | None


def _tmdb(row: _Row) -> int | None:
    return row.tmdb_id or None  # 0 stands for nothing


def _imdb(row: _Row) -> str | None:
    return (row.imdb_id or "").lower().removeprefix("tt").lstrip("0") or None


def _title_and_year(row: _Row) -> tuple[str, int] | None:
    return (normalise_title(row.title), row.year) if row.title and row.year else None


def join_films(
    sources: Sequence[tuple[str, pl.DataFrame]], report: MergeReport
) -> tuple[pl.DataFrame, list[dict[str, str]]]:
    """Join films tables.

    A film's id and each of its fields are those of the first-named source that has them; within a source, of the row
    that its group is called after, then of the first row. Films stand in the order in which they first appear.

    Args:
        sources: name and films table (the columns of `FILM_COLUMNS`) of each.
        report: gets the films with several ids, the films kept apart, and the fields that differ.

    Returns:
        One row a film with the columns of `FILM_COLUMNS`, each a `film_group` of its own; and for each source the id
        in there by the film_id in the source.
    """
    untitled = pl.format("(untitled {})", "film_id")
    tables = [films.with_columns(source=pl.lit(number)) for number, (_, films) in enumerate(sources)]
    table = pl.concat(tables).with_row_index("position")
    table = table.with_columns(pl.when(pl.col("title") != untitled).then("title").alias("title"))
    rows = [_Row(*values) for values in table.select(_Row._fields).iter_rows()]
    names = [name for name, _ in sources]
    films = _Films(rows)
    for join in _JOINS:
        for apart, why in films.join(join):
            if len({row.source for row in apart}) > 1:
                _report_apart(join, apart, why, names, report)
    ids = _film_ids(films)
    film_ids: list[dict[str, str]] = [{} for _ in sources]
    for first, members in films.members.items():
        for row in members:
            film_ids[row.source][row.film_id] = ids[first]
        _report_several_ids(ids[first], members, films.joined_by[first], names, report)
        _report_differences(ids[first], members, names, report)
    joined = (
        table.with_columns(film=pl.Series(films.film_of, dtype=pl.Int64))
        .sort("film", "source", pl.col("film_id") != pl.col("film_group"), maintain_order=True)
        .group_by("film", maintain_order=True)
        .agg(pl.col(name).drop_nulls().first() for name in FILM_COLUMNS)
        .with_columns(film_id=pl.col("film").replace_strict(ids, return_dtype=pl.String))
        .with_columns(film_group="film_id", title=pl.coalesce("title", untitled))
    )
    return joined.select(*FILM_COLUMNS), film_ids


@dataclass(frozen=True)
class _Join:
    """One kind of evidence: what joined rows share, and what speaks against joining films (lists of rows) by it."""

    name: str
    key: Callable[[_Row], Any]
    obstacle: Callable[[Sequence[Sequence[_Row]]], str | None]


class _Films:
    """Rows joined into films, as far as one has come. A film is known by the position of its first row.

    Attributes:
        film_of: the film of every row.
        members: the rows of every film, the best of each source first; films in the order of their first rows.
        joined_by: for every film the joins that made it.
    """

    def __init__(self, rows: Sequence[_Row]) -> None:
        self._rows = rows
        self.film_of = list(range(len(rows)))
        self.members = {row.position: [row] for row in rows}
        self.joined_by: dict[int, list[str]] = defaultdict(list)

    def join(self, join: _Join) -> list[tuple[list[_Row], str]]:
        """Join the films that share a key, all of them or, where something speaks against it, none.

        Returns:
            The rows that share a key and were kept apart, and why.
        """
        sharing: dict[Any, list[_Row]] = defaultdict(list)
        for row in self._rows:
            key = join.key(row)
            if key is not None:
                sharing[key].append(row)
        apart = []
        for key in sorted(sharing):  # sorted, so that it does not matter which source was named first
            films = sorted({self.film_of[row.position] for row in sharing[key]})
            if len(films) > 1:
                why = join.obstacle([self.members[film] for film in films])
                if why is None:
                    self._unite(films, join.name)
                else:
                    apart.append((sharing[key], why))
        return apart

    def _unite(self, films: Sequence[int], how: str) -> None:
        first, *others = films
        joined_by = [name for film in films for name in self.joined_by.pop(film, [])]
        self.joined_by[first] = list(dict.fromkeys([*joined_by, how]))
        for film in others:
            for row in self.members[film]:
                self.film_of[row.position] = first
            self.members[first] += self.members.pop(film)
        self.members[first].sort(key=lambda row: (row.source, row.film_id != row.film_group, row.position))


def _no_obstacle(films: Sequence[Sequence[_Row]]) -> str | None:
    return None


def _told_apart(films: Sequence[Sequence[_Row]]) -> str | None:
    """Films with different TMDB ids are one film only where no source has both."""
    sources = [source for film in films for source in {row.source for row in film if _tmdb(row)}]
    return "one source has them under different TMDB ids" if len(set(sources)) < len(sources) else None


def _namesakes(films: Sequence[Sequence[_Row]]) -> str | None:
    """Films of one title and year are one film only where no more than one has an id, and each source has one."""
    for name, key in (("TMDB", _tmdb), ("IMDb", _imdb)):
        if sum(any(key(row) for row in film) for film in films) > 1:
            return f"different {name} ids"
    sources = [source for film in films for source in {row.source for row in film}]
    return "one source has several of them" if len(set(sources)) < len(sources) else None


_JOINS = (
    _Join("film_group", lambda row: (row.source, row.film_group), _no_obstacle),
    _Join("tmdb_id", _tmdb, _no_obstacle),
    _Join("imdb_id", _imdb, _told_apart),
    _Join("film_id", lambda row: row.film_id, _told_apart),
    _Join("title and year", _title_and_year, _namesakes),
)


def _film_ids(films: _Films) -> dict[int, str]:
    """An id for every film: the first that its rows have, with a number where another film has that already."""
    ids: dict[int, str] = {}
    known = {row.film_id for members in films.members.values() for row in members}
    taken: set[str] = set()
    for film, members in films.members.items():
        own = [row.film_id for row in members if row.film_id not in taken]
        numbered = (f"{members[0].film_id}-{number}" for number in itertools.count(2))
        ids[film] = own[0] if own else next(name for name in numbered if name not in known | taken)
        taken.add(ids[film])
    return ids


# Of the fields that are compared: whether values of several sources are different ones.
_DIFFER: dict[str, Callable[[list[Any]], bool]] = {
    "title": lambda titles: len({normalise_title(title) for title in titles}) > 1,
    "year": lambda years: len(set(years)) > 1,
    "runtime": lambda runtimes: max(runtimes) - min(runtimes) > RUNTIME_TOLERANCE,
    "tmdb_id": lambda ids: len(set(ids)) > 1,
    "imdb_id": lambda ids: len(set(ids)) > 1,
}


def _report_apart(join: _Join, rows: Sequence[_Row], why: str, sources: Sequence[str], report: MergeReport) -> None:
    kind = NAMESAKES if join.obstacle is _namesakes else SHARED_ID
    films = [{"source": sources[row.source], **{name: getattr(row, name) for name in _SHOWN}} for row in rows]
    shown = f"{', '.join(dict.fromkeys(row.film_id for row in rows))}: {why}"
    report.film(kind, shown, shared=join.name, why=why, films=films)


def _report_several_ids(
    film_id: str, members: Sequence[_Row], joined_by: Sequence[str], sources: Sequence[str], report: MergeReport
) -> None:
    ids = list(dict.fromkeys(row.film_id for row in members))
    if len(ids) > 1:
        by_source: dict[str, list[str]] = {}
        for row in members:
            by_source.setdefault(sources[row.source], []).append(row.film_id)
        shown = f"{' = '.join(ids)} by {', '.join(joined_by)}"
        report.film(SEVERAL_IDS, shown, film_id=film_id, film_ids=by_source, joined_by=list(joined_by))


def _report_differences(film_id: str, members: Sequence[_Row], sources: Sequence[str], report: MergeReport) -> None:
    for field, differ in _DIFFER.items():
        values: dict[str, Any] = {}
        for row in members:
            value = getattr(row, field)
            if value is not None:
                values.setdefault(sources[row.source], value)
        if len(values) > 1 and differ(list(values.values())):
            shown = f"{film_id}: {field} " + " or ".join(str(value) for value in values.values())
            report.film(DIFFERING, shown, film_id=film_id, field=field, values=values)
