"""The catalogue that travels with a model: what it says of films, saving, loading, searching."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_prep.catalogue import Catalogue
from data_prep.dataset import load_ratings
from data_prep.errors import UserError
from data_prep.features import FilmFeatures, make_spec, transform
from data_prep.schema import normalise_films


@pytest.fixture(scope="module")
def catalogue(tiny_dataset: Path) -> Catalogue:
    return Catalogue.from_dataset(str(tiny_dataset))


def made_of(titles: list[tuple[str, int | None, int]]) -> Catalogue:
    """A catalogue of films given as (title, year, number of ratings)."""
    films = normalise_films(
        pl.DataFrame(
            {"film_id": [f"f{row}" for row in range(len(titles))], "title": [title for title, _, _ in titles]}
        ).with_columns(year=pl.Series([year for _, year, _ in titles], dtype=pl.Int32))
    )
    spec = make_spec(films, text=False)
    counted = films.with_columns(rating_count=pl.Series([count for _, _, count in titles]), rating_mean=pl.lit(6.0))
    return Catalogue(counted, FilmFeatures(transform(films, spec), spec))


def test_counts_and_means_are_those_of_training_users(catalogue: Catalogue, tiny_dataset: Path) -> None:
    train = load_ratings(str(tiny_dataset), "train")
    expected = train.group_by("film_id").agg(pl.len().alias("count"), pl.mean("rating").alias("mean"))
    joined = catalogue.films.join(expected, on="film_id", how="left", maintain_order="left")
    assert joined["rating_count"].to_list() == joined["count"].fill_null(0).to_list()
    assert joined["rating_mean"].to_list() == pytest.approx(joined["mean"].to_list())
    assert len(catalogue) == 80
    assert catalogue.index["film-07"] == 7


def test_save_and_load(catalogue: Catalogue, tmp_path: Path) -> None:
    catalogue.save(tmp_path / "model")
    catalogue.save(tmp_path / "model")  # over an older one
    files = sorted(str(path.relative_to(tmp_path / "model")) for path in (tmp_path / "model").rglob("*"))
    names = ["catalogue/features.json", "catalogue/features.parquet", "catalogue/films.parquet"]
    assert files == ["catalogue", *names]
    loaded = Catalogue.load(tmp_path / "model")
    assert loaded.films.equals(catalogue.films)
    assert np.array_equal(loaded.features.dense(loaded.film_ids), catalogue.features.dense(catalogue.film_ids))


def test_folders_that_hold_none_or_a_broken_one(catalogue: Catalogue, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no film catalogue"):
        Catalogue.load(tmp_path)
    with pytest.raises(UserError, match="no film catalogue"):
        Catalogue.load(tmp_path / "absent")
    for name in ("films.parquet", "features.parquet", "features.json"):
        folder = tmp_path / f"without-{name}"
        catalogue.save(folder)
        (folder / "catalogue" / name).write_bytes(b"garbage")
        with pytest.raises(UserError, match=r"broken film catalogue|no film features"):
            Catalogue.load(folder)
    folder = tmp_path / "other-films"
    catalogue.save(folder)
    pl.concat([catalogue.films, catalogue.films.head(1).with_columns(film_id=pl.lit("x"))]).write_parquet(
        folder / "catalogue" / "films.parquet"
    )
    with pytest.raises(UserError, match="no features of film 'x'"):
        Catalogue.load(folder)


FILMS = [
    ("Alien", 1979, 900),
    ("Aliens", 1986, 950),
    ("Alien: Resurrection", 1997, 300),
    ("My Stepmother Is an Alien", 1988, 20),
    ("Amélie", 2001, 800),
    ("2001: A Space Odyssey", 1968, 1000),
    ("Blade Runner 2049", 2017, 700),
    ("Solaris", 1972, 400),
    ("Solaris", 2002, 500),
    ("The Thing", 1982, 600),
    ("Do the Right Thing", 1989, 650),
    ("Untitled", None, 1),
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("alien", [0, 1, 2, 3]),
        ("ALIEN ", [0, 1, 2, 3]),
        ("alien 1979", [0]),
        ("alien (1997)", [2]),
        ("res alien", [2]),
        ("lien", []),
        ("amelie", [4]),
        ("Amélie", [4]),
        ("2001", [5]),
        ("blade runner 2049", [6]),
        ("solaris", [8, 7]),
        ("solaris 1972", [7]),
        ("solaris 1973", []),
        ("thing", [9, 10]),
        ("the thing", [9, 10]),
        ("", []),
        ("   ", []),
        ("?!", []),
        ("\x00\ud83d", []),
    ],
)
def test_search(text: str, found: list[int]) -> None:
    assert made_of(FILMS).search(text) == found


def test_search_is_limited_and_quick(shared: Path) -> None:
    from data_prep.report import BuildReport
    from data_prep.tables.read_films import read_films

    films = read_films(shared / "data" / "letterboxd" / "films.parquet", BuildReport())
    catalogue = made_of([(title, year, 0) for title, year in films.select("title", "year").iter_rows()])
    assert len(catalogue.search("the")) == 20
    assert len(catalogue.search("the", limit=3)) == 3
    started = time.perf_counter()
    for text in ("t", "the g", "the godfather", "star wars 1977", "zzz"):
        catalogue.search(text)
    assert (time.perf_counter() - started) / 5 < 0.05  # 20 ms on an idle machine
