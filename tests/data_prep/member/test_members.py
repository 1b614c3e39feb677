"""`reel data members`: account exports as a data set."""

from __future__ import annotations

import datetime
import zipfile
from pathlib import Path

import polars as pl
import pytest

from data_prep.building.build import is_dataset_folder
from data_prep.dataset import load_films, load_ratings
from data_prep.errors import UserError
from data_prep.member.export import read_export
from data_prep.member.members import main

RATINGS = """Date,Name,Year,Letterboxd URI,Rating
2024-01-10,The Glass Harbour,2001,https://boxd.it/a,4
2024-02-01,"Lanterns, Below",1988,https://boxd.it/b,2.5
2024-03-01,Untold,,https://boxd.it/c,5
2024-03-02,Seven Bells,1999,https://boxd.it/d,9
"""
DIARY = """Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date
2024-01-10,The Glass Harbour,2001,https://boxd.it/x,4,Yes,,2024-01-09
2022-05-05,The Glass Harbour,2001,https://boxd.it/y,3,,,2022-05-04
2024-02-10,Only in the Diary,2010,https://boxd.it/z,3.5,,,2024-02-09
2024-02-11,Never Rated,2011,https://boxd.it/w,,,,2024-02-10
"""
REVIEWS = """Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Review,Watched Date
2024-01-10,The Glass Harbour,2001,https://boxd.it/x,4,Yes,,"Quiet, and then
not quiet.",2024-01-09
"""
LIKES = """Date,Name,Year,Letterboxd URI
2024-01-10,The Glass Harbour,2001,https://boxd.it/a
"""


def export(folder: Path, name: str, **files: str) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr({"likes": "likes/films.csv"}.get(file, f"{file}.csv"), text.replace("\n", "\r\n"))
    return path


@pytest.fixture
def ann(tmp_path: Path) -> Path:
    name = "letterboxd-ann-2026-01-01-10-00-utc.zip"
    return export(tmp_path, name, ratings=RATINGS, diary=DIARY, reviews=REVIEWS, likes=LIKES)


def build(out: Path, *exports: Path) -> Path:
    main([*map(str, exports), "--out", str(out)])
    return out


def test_an_export_becomes_a_data_set(ann: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = build(tmp_path / "data", ann)
    films = load_films(str(data))
    assert films["film_id"].to_list() == [
        "the-glass-harbour-2001",
        "lanterns-below-1988",
        "untold",
        "seven-bells-1999",
        "only-in-the-diary-2010",
        "never-rated-2011",
    ]
    rows = {row["film_id"]: row for row in load_ratings(str(data), "train").iter_rows(named=True)}
    assert {film: row["rating"] for film, row in rows.items()} == {
        "the-glass-harbour-2001": 8,
        "lanterns-below-1988": 5,
        "untold": 10,
        "only-in-the-diary-2010": 7,
    }
    harbour = rows["the-glass-harbour-2001"]
    assert (harbour["liked"], harbour["rewatch"], harbour["reviewed"]) == (True, True, True)
    assert harbour["date"] == datetime.date(2024, 1, 10)
    assert rows["untold"]["liked"] is False
    assert rows["only-in-the-diary-2010"]["date"] == datetime.date(2024, 2, 9)
    captured = capsys.readouterr().err
    assert "the rating is not 0.5 to 5 in half stars: row 5 (9)" in captured


def test_the_diary_of_other_days_and_the_reviews_are_kept(ann: Path, tmp_path: Path) -> None:
    data = build(tmp_path / "data", ann)
    (earlier,) = pl.read_parquet(data / "rewatches").to_dicts()
    assert (earlier["film_id"], earlier["rating"], earlier["date"]) == (
        "the-glass-harbour-2001",
        6,
        datetime.date(2022, 5, 4),
    )
    (review,) = pl.read_parquet(data / "reviews").to_dicts()
    assert (review["rating"], review["text"]) == (8, "Quiet, and then\r\nnot quiet.")


def test_two_exports_of_one_member_count_once(ann: Path, tmp_path: Path) -> None:
    later = RATINGS.replace("2024-02-01", "2025-02-01").replace(",2.5", ",1")
    newer = export(tmp_path, "letterboxd-ann-2026-05-01-10-00-utc.zip", ratings=later)
    other = export(tmp_path, "bo.zip", ratings=RATINGS)
    ratings = load_ratings(str(build(tmp_path / "data", ann, newer, other)), "train")
    assert ratings["user_id"].n_unique() == 2
    lanterns = ratings.filter(pl.col("film_id") == "lanterns-below-1988")
    assert sorted(lanterns["rating"]) == [2, 5]  # hers of 2025, and the other member's


def test_files_of_the_same_name_are_refused(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ratings.csv").write_text(RATINGS)
    with pytest.raises(UserError, match="rename one"):
        build(tmp_path / "data", tmp_path / "one" / "ratings.csv", tmp_path / "two" / "ratings.csv")
    assert not (tmp_path / "data").exists()


def test_an_export_without_a_usable_rating_is_told(
    ann: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = RATINGS.splitlines()[0] + "\n"
    nothing = export(tmp_path, "bo.zip", ratings=header, diary=DIARY.splitlines()[0] + "\n")
    wrong = export(tmp_path, "cy.zip", ratings=header + "2024-03-02,Seven Bells,1999,https://boxd.it/d,9\n")
    data = build(tmp_path / "data", ann, nothing, wrong)
    told = capsys.readouterr().err.splitlines()
    assert f"{nothing}: holds no rating that can be used" in told
    assert f"{wrong}: holds no rating that can be used" in told
    assert not any(line.startswith(f"{ann}: ") for line in told)
    card = (data / "README.md").read_text()
    assert "export 2: holds no rating that can be used" in card
    assert "bo.zip" not in card  # it names no member
    with pytest.raises(UserError, match="no rating is left"):
        build(tmp_path / "none", nothing, wrong)


@pytest.mark.parametrize("broken", ["watchlist", "likes", "reviews", "diary"])
def test_a_broken_file_beside_the_ratings_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    path = export(tmp_path, "ann.zip", ratings=RATINGS, **{broken: "\0" * 500})
    ratings = load_ratings(str(build(tmp_path / "data", path)), "train")
    assert sorted(ratings["rating"]) == [5, 8, 10]
    file = {"likes": "likes/films.csv"}.get(broken, f"{broken}.csv")
    assert f"export 1, {file}: file not used: the file holds nothing but NUL bytes" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"ann\.zip: ratings\.csv: the file holds nothing but NUL bytes"):
        build(tmp_path / "none", export(tmp_path, "ann.zip", ratings="\0" * 500, watchlist=LIKES))


def test_two_films_that_differ_in_an_accent(tmp_path: Path) -> None:
    rows = ["2024-01-01,Dracula,1931,u,4", "2024-01-02,Drácula,1931,u,2", "2024-01-03,DRACULA!,1931,u,3"]
    header = RATINGS.splitlines()[0]
    ann = export(tmp_path, "ann.zip", ratings="\n".join([header, *rows[:2], ""]))
    bo = export(tmp_path, "bo.zip", ratings="\n".join([header, rows[1], rows[2], ""]))
    data = build(tmp_path / "data", ann, bo)
    films = load_films(str(data)).select("film_id", "title", "year").rows()
    assert films == [("dracula-1931", "Dracula", 1931), ("dracula-1931-2", "Drácula", 1931)]
    ratings = load_ratings(str(data), "train").sort("film_id", "rating")
    assert ratings.select("film_id", "rating").rows() == [
        ("dracula-1931", 6),
        ("dracula-1931", 8),
        ("dracula-1931-2", 4),
        ("dracula-1931-2", 4),
    ]
    assert not (data / "rewatches").exists()


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "bad\udcff.csv"
    path.write_text(RATINGS)
    assert len(load_ratings(str(build(tmp_path / "data", path)), "train")) == 3


def test_real_exports(shared: Path, tmp_path: Path) -> None:
    exports = sorted((shared / "fixtures" / "exports").glob("*"))
    data = build(tmp_path / "data", *exports)
    assert is_dataset_folder(data)
    raters = [path for path in exports if read_export(path, load_films(str(data))).counts["rated"]]
    assert load_ratings(str(data), "train")["user_id"].n_unique() == len(raters) > 5
