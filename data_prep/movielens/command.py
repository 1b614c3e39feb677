"""`reel data movielens FOLDER --out DIR`: an unpacked MovieLens set as a data set.

The sets are at https://grouplens.org/datasets/movielens, which says what their licences permit.

Films are called `ml-<number>`, stars are doubled to 1..10, dates are UTC. Rows that cannot be right are left out and
reported by kind with the first offenders; `--strict` makes them an error.
"""

from __future__ import annotations

import datetime
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from data_prep.building.build import check_replaceable, write_dataset
from data_prep.building.card import DatasetCard
from data_prep.building.options import add_build_options
from data_prep.building.splits import DEFAULT_SPLITS, check_splits
from data_prep.errors import CommandParser, UserError
from data_prep.movielens.ratings import NOT_A_NUMBER, RatingsFile, read_ratings
from data_prep.report import BAD_LINE, BROKEN_TEXT, DUPLICATE_FILM, BuildReport
from data_prep.schema import FILM_COLUMNS, normalise_films
from data_prep.tables.csv_rows import read_header, read_records
from data_prep.tables.table_files import find_columns
from data_prep.years import is_film_year

CITATION = (
    "MovieLens ratings (GroupLens; F. M. Harper and J. A. Konstan, 2015, The MovieLens Datasets: History and Context)"
)
# Users, films and ratings of the published sets, by the name of their folder.
EXPECTED_COUNTS = {
    "ml-latest-small": (610, 9_742, 100_836),
    "ml-100k": (943, 1_682, 100_000),
    "ml-1m": (6_040, 3_883, 1_000_209),
    "ml-10m": (69_878, 10_681, 10_000_054),
    "ml-10m100k": (69_878, 10_681, 10_000_054),
    "ml-20m": (138_493, 27_278, 20_000_263),
    "ml-25m": (162_541, 62_423, 25_000_095),
    "ml-32m": (200_948, 87_585, 32_000_204),
}
_EXPECTED_FILES = (
    "ratings.csv, movies.csv and links.csv (ml-latest-small, ml-20m, ml-25m, ml-32m), ratings.dat and movies.dat "
    "(ml-1m, ml-10m), or u.data and u.item (ml-100k)"
)
_GENRES_100K = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_NO_GENRES = ("(no genres listed)", "unknown")

_ARTICLES = "The|A|An|La|Le|Les|L'|Il|Lo|Gli|I|El|Los|Las|Der|Die|Das|Den|Det|De|Un|Une|Una"
_TRAILING_ARTICLE = re.compile(rf"(?P<title>[^()]+), (?P<article>{_ARTICLES})(?P<rest> \(.*)?")
_TRAILING_YEAR = re.compile(r"\s*\((?P<year>\d{4})[^()]*\)(?:\s*\((?:V|TV)\))?\s*$")  # (V): went straight to video
_WHOLE = re.compile(r"(?P<number>[0-9]{1,9})(?:\.0)?")


def main(arguments: Sequence[str]) -> None:
    """The command `reel data movielens`."""
    parser = CommandParser(prog="reel data movielens", description="An unpacked MovieLens set as a data set.")
    parser.add_argument("folder", type=Path, help="such as ml-latest-small, ml-25m, ml-1m or ml-100k")
    add_build_options(
        parser, splits=DEFAULT_SPLITS, splits_help="train=.9,validation=.05,test=.05 (the default)", fold=True
    )
    parser.add_argument("--strict", action="store_true", help="make any row that cannot be right an error")
    options = parser.parse_args(arguments)
    card = build_from_movielens(
        options.folder,
        options.out,
        splits=options.splits,
        fold=options.fold,
        cold_films=options.cold_films,
        seed=options.seed,
        strict=options.strict,
    )
    print(f"{options.out}: {card.summary()}", file=sys.stderr)


def build_from_movielens(
    folder: Path,
    out: Path,
    *,
    splits: dict[str, float] | None = None,
    fold: tuple[int, int] | None = None,
    cold_films: int = 0,
    seed: int = 0,
    strict: bool = False,
) -> DatasetCard:
    """Read a MovieLens folder, report on stderr what was left out, and write the data set. Arguments as in
    `write_dataset`.

    Raises:
        UserError: when `folder` is none of MovieLens's, and with `strict` for any row that cannot be right.
    """
    splits = splits or DEFAULT_SPLITS
    check_splits(splits)
    if cold_films < 0:
        raise UserError(f"--cold-films {cold_films}: must be 0 or more")
    check_replaceable(out)
    report = BuildReport()
    films, ratings = read_movielens(folder, report)
    report.print()
    if strict:
        report.check_strict()
    return write_dataset(
        out,
        films,
        ratings,
        source=CITATION,
        splits=splits,
        fold=fold,
        cold_films=cold_films,
        seed=seed,
        report=report,
    )


def read_movielens(folder: Path, report: BuildReport) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The films and the ratings of a MovieLens folder, as `write_dataset` takes them.

    Where the folder is called like a published set and holds other counts than that, `report` gets a note.

    Raises:
        UserError: when a file is missing or cannot be read.
    """
    films_file, ratings_file = _find_files(folder)
    films: dict[int, dict[str, Any]] = {}
    records = {".csv": _csv_films, ".dat": _dat_films, ".item": _item_films}[films_file.suffix]
    for row, film in records(films_file, report):
        number = _whole(film.pop("number"))
        if number is None:
            report.reject(films_file.name, NOT_A_NUMBER, 1, [(row, film["title"])])
        elif number in films:
            report.reject(films_file.name, DUPLICATE_FILM, 1, [(row, number)])
        else:
            title = {"title": clean_title(film["title"]) or None, "year": title_year(film["title"])}
            films[number] = {**film, **title, "film_id": f"ml-{number}"}
    if not films:
        raise UserError(f"{films_file}: holds no films; is the download complete?")
    if films_file.suffix == ".csv":
        _add_links(folder / "links.csv", films, report)
    film_ids = {number: film["film_id"] for number, film in films.items()}
    ratings = read_ratings(ratings_file, film_ids, folder.resolve().name, report)
    _check_counts(folder, (ratings["user_id"].n_unique(), len(films), len(ratings)), report)
    return normalise_films(pl.DataFrame(list(films.values()), schema=dict(FILM_COLUMNS))), ratings


def clean_title(title: str) -> str:
    """A MovieLens title as a person would write it.

    >>> clean_title("American President, The (1995)")
    'The American President'
    """
    title = _TRAILING_YEAR.sub("", title).strip()
    match = _TRAILING_ARTICLE.fullmatch(title)
    if not match:
        return title
    article = match["article"] + ("" if match["article"].endswith("'") else " ")
    return article + match["title"] + (match["rest"] or "")


def title_year(title: str) -> int | None:
    """The year at the end of a MovieLens title.

    >>> title_year("Land Before Time III, The (1995) (V)"), title_year("Babylon 5")
    (1995, None)
    """
    found = _TRAILING_YEAR.search(title)
    year = int(found["year"]) if found else 0
    return year if is_film_year(year) else None


def split_genres(genres: str) -> list[str] | None:
    """The genres of a film, None where MovieLens knows none.

    >>> split_genres("Comedy|Drama"), split_genres("(no genres listed)")
    (['Comedy', 'Drama'], None)
    """
    return [genre for genre in genres.split("|") if genre and genre not in _NO_GENRES] or None


def _find_files(folder: Path) -> tuple[Path, RatingsFile]:
    """The film file and the rating file of a folder."""
    if folder.is_file():
        what = "an archive; unpack it and give the folder" if folder.suffix == ".zip" else "a file; expected a folder"
        raise UserError(f"{folder}: {what} with {_EXPECTED_FILES}")
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected one with {_EXPECTED_FILES}")
    for films, ratings in (("movies.csv", "ratings.csv"), ("movies.dat", "ratings.dat"), ("u.item", "u.data")):
        found = [name for name in (films, ratings) if (folder / name).is_file()]
        if len(found) == 1:
            missing = films if found == [ratings] else ratings
            raise UserError(f"{folder}: holds {found[0]} and no {missing}; expected {_EXPECTED_FILES}")
        if found:
            path = folder / ratings
            if ratings == "u.data":
                return folder / films, RatingsFile(path, "\t", (0, 1, 2, 3), 4)
            if ratings == "ratings.dat":  # user::film::stars::time has fields of nothing between the colons
                return folder / films, RatingsFile(path, ":", (0, 2, 4, 6), 7)
            return folder / films, _csv_ratings(path)
    raise UserError(f"{folder}: no MovieLens folder; expected {_EXPECTED_FILES}")


def _csv_ratings(path: Path) -> RatingsFile:
    header, delimiter = read_header(path)
    found = find_columns(path, header, {name: (name,) for name in ("userId", "movieId", "rating", "timestamp")}, {})
    user, film, stars, time = (header.index(column) for column in found.values())
    return RatingsFile(path, delimiter, (user, film, stars, time), len(header), header=1)


def _csv_films(path: Path, report: BuildReport) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, record in _csv_records(path, ("movieId", "title", "genres"), report):
        yield row, {"number": record["movieId"], "title": record["title"], "genres": split_genres(record["genres"])}


def _csv_records(path: Path, columns: Sequence[str], report: BuildReport) -> Iterator[tuple[int, dict[str, str]]]:
    header, delimiter = read_header(path)
    found = find_columns(path, header, {name: (name,) for name in columns}, {})
    for row, fields in read_records(path, len(header), delimiter):
        if isinstance(fields, str):
            report.reject(path.name, BAD_LINE, 1, [(row, fields)])
            continue
        record = {name: fields[header.index(column)].strip() for name, column in found.items()}
        if any("\udc80" <= letter <= "\udcff" for value in record.values() for letter in value):
            report.reject(path.name, BROKEN_TEXT, 1, [(row, record[columns[0]])])
        else:
            yield row, record


def _dat_films(path: Path, report: BuildReport) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, (number, title, genres) in _lines(path, "::", 3, report):
        yield row, {"number": number, "title": title, "genres": split_genres(genres)}


def _item_films(path: Path, report: BuildReport) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, (number, title, released, _, _, *flags) in _lines(path, "|", 5 + len(_GENRES_100K), report):
        genres = "|".join(genre for genre, flag in zip(_GENRES_100K, flags, strict=True) if flag.strip() == "1")
        yield row, {"number": number, "title": title, "genres": split_genres(genres), "release_date": _date(released)}


def _lines(path: Path, separator: str, width: int, report: BuildReport) -> Iterator[tuple[int, list[str]]]:
    data = path.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError:  # the older sets
        text = data.decode("latin-1")
    for row, line in enumerate(text.split("\n"), start=1):
        fields = [field.strip() for field in line.split(separator)]
        if len(fields) == width:
            yield row, fields
        elif line.strip():
            report.reject(path.name, BAD_LINE, 1, [(row, line)])


def _add_links(path: Path, films: dict[int, dict[str, Any]], report: BuildReport) -> None:
    """The ids of IMDb and TMDB."""
    if not path.is_file():
        report.note(f"no {path.name}, so no film has an id of TMDB or IMDb")
        return
    for row, record in _csv_records(path, ("movieId", "imdbId", "tmdbId"), report):
        number, imdb, tmdb = (_whole(record[name]) for name in ("movieId", "imdbId", "tmdbId"))
        if number is None:
            report.reject(path.name, NOT_A_NUMBER, 1, [(row, record["movieId"])])
        elif number in films:
            films[number] |= {"tmdb_id": tmdb, "imdb_id": f"tt{imdb:07d}" if imdb else None}


def _check_counts(folder: Path, counts: tuple[int, int, int], report: BuildReport) -> None:
    name = folder.resolve().name.lower()
    expected = EXPECTED_COUNTS.get(name, counts)
    if counts != expected:
        words = "{:,} users, {:,} films, {:,} ratings"
        wanted, found = words.format(*expected), words.format(*counts)
        report.note(f"{name}: expected {wanted}; found {found}: an incomplete download?")


def _whole(text: str) -> int | None:
    found = _WHOLE.fullmatch(text)
    return int(found["number"]) if found else None


def _date(text: str) -> datetime.date | None:
    """A date like 01-Jan-1995."""
    try:
        return datetime.datetime.strptime(text, "%d-%b-%Y").date()
    except ValueError:
        return None
