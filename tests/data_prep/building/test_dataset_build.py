"""Writing a data set: what is in it, and that it appears whole or not at all."""

from __future__ import annotations

import datetime
import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import polars as pl
import pytest

from data_prep.building import partition, split_writer
from data_prep.building.build import is_dataset_folder
from data_prep.dataset import (
    MISSING_DATE,
    load_cold_cases,
    load_films,
    load_histories,
    load_ratings,
    write_dataset,
)
from data_prep.errors import UserError
from data_prep.schema import FILM_COLUMNS, RATING_COLUMNS
from data_prep.user_keys import hash_users, user_key

SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def digest(folder: Path) -> dict[str, str]:
    """The hash of every file of a folder, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def all_ratings(folder: Path) -> pl.DataFrame:
    return pl.concat([load_ratings(str(folder), split) for split in SPLITS])


def hashed(names: list[str]) -> dict[str, str]:
    return dict(zip(names, hash_users(names, user_key()), strict=True))


def test_round_trip(tiny_dataset: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame) -> None:
    films = load_films(str(tiny_dataset))
    assert films.schema == pl.Schema(FILM_COLUMNS)
    for name in tiny_films.columns:
        assert films[name].to_list() == tiny_films[name].to_list(), name
    assert films["overview"].null_count() == len(films)
    ratings = all_ratings(tiny_dataset)
    assert ratings.schema == pl.Schema(RATING_COLUMNS)
    names = hashed(sorted(set(tiny_ratings["user_id"].to_list())))
    columns = ["user_id", "film_id", "rating", "date", "liked"]
    expected = tiny_ratings.with_columns(pl.col("user_id").replace(names), pl.col("rating").cast(pl.Int8)).select(
        columns
    )
    assert ratings.select(columns).sort(columns).equals(expected.sort(columns))
    assert ratings["rewatch"].null_count() == ratings["reviewed"].null_count() == len(ratings)


def test_histories_are_the_ratings_in_order_of_date(tiny_dataset: Path) -> None:
    film_ids = np.array(load_films(str(tiny_dataset))["film_id"].to_list())
    ordered = 0
    for split in SPLITS:
        histories = load_histories(str(tiny_dataset), split)
        ratings = load_ratings(str(tiny_dataset), split)
        assert histories.user_ids == ratings["user_id"].unique(maintain_order=True).to_list()
        for user, (films, values) in enumerate(histories):
            rows = ratings.filter(pl.col("user_id") == histories.user_ids[user])
            assert film_ids[films].tolist() == rows["film_id"].to_list()
            assert values.tolist() == rows["rating"].to_list()
            dates = histories.dates[histories.offsets[user] : histories.offsets[user + 1]]
            if histories.ordered[user]:
                assert (np.diff(dates) > 0).all()  # one film a day in these data
            else:
                assert (dates == MISSING_DATE).all()
        ordered += histories.ordered.sum()
        assert histories.film_indices.dtype == np.int32
        assert histories.ratings.dtype == np.int8
        assert histories.lengths().sum() == len(ratings)
    assert ordered == 40


def test_users_are_in_one_split_in_exact_proportion(tiny_dataset: Path) -> None:
    users = {split: set(load_histories(str(tiny_dataset), split).user_ids) for split in SPLITS}
    assert {split: len(ids) for split, ids in users.items()} == {"train": 48, "validation": 6, "test": 6}
    assert len(set.union(*users.values())) == 60


@pytest.mark.parametrize("config", ["films", "ratings", "histories"])
def test_load_dataset_reads_the_folder_as_it_stands(tiny_dataset: Path, config: str) -> None:
    whole = datasets.load_dataset(str(tiny_dataset), config)
    assert list(whole) == (["train"] if config == "films" else ["train", "validation", "test"])
    assert datasets.get_dataset_config_names(str(tiny_dataset)) == ["films", "ratings", "histories"]
    streamed = datasets.load_dataset(str(tiny_dataset), config, split="train", streaming=True)
    assert next(iter(streamed)) == whole["train"][0]
    features = whole["train"].features
    if config == "ratings":
        assert features["rating"].dtype == "int8"
        assert features["date"].dtype == "date32"
    if config == "histories":
        assert features["film_indices"].feature.dtype == "int32"
        assert features["ratings"].feature.dtype == "int8"
        assert features["ordered"].dtype == "bool"


def test_a_rebuild_is_identical_to_the_byte(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame
) -> None:
    for name in ("first", "second"):
        write_dataset(tmp_path / name, tiny_films, tiny_ratings, source="made up", splits=SPLITS, cold_films=3)
    assert digest(tmp_path / "first") == digest(tmp_path / "second")
    write_dataset(tmp_path / "first", tiny_films, tiny_ratings, source="made up", splits=SPLITS, cold_films=3)
    assert digest(tmp_path / "first") == digest(tmp_path / "second")


def test_load_dataset_never_takes_one_data_set_for_another(tmp_path: Path) -> None:
    """`datasets` caches by the folder's last name: a rebuilt folder, or a namesake elsewhere, must still be read."""
    for parent, number in (("one", 3), ("two", 4), ("one", 5)):
        films = pl.DataFrame({"film_id": [f"f{film}" for film in range(number)]})
        ratings = pl.DataFrame({"user_id": ["ann"] * number, "film_id": films["film_id"], "rating": [7] * number})
        out = tmp_path / parent / "data"
        write_dataset(out, films, ratings, source="made up", splits={"train": 1.0})
        assert len(datasets.load_dataset(str(out), "films", split="train")) == number
        assert len(datasets.load_dataset(str(out), "histories", split="train")[0]["film_indices"]) == number


def test_splits_do_not_depend_on_the_key(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def test_set(folder: Path) -> list[list[tuple[int, int]]]:
        histories = load_histories(str(folder), "test")
        return sorted(sorted(zip(films.tolist(), values.tolist(), strict=True)) for films, values in histories)

    write_dataset(tmp_path / "one", tiny_films, tiny_ratings, source="made up", splits=SPLITS)
    monkeypatch.setenv("REEL_CONFIG_DIR", str(tmp_path / "another-key"))
    write_dataset(tmp_path / "two", tiny_films, tiny_ratings, source="made up", splits=SPLITS)
    assert test_set(tmp_path / "one") == test_set(tmp_path / "two")
    one, two = load_histories(str(tmp_path / "one"), "test"), load_histories(str(tmp_path / "two"), "test")
    assert not set(one.user_ids) & set(two.user_ids)


def test_no_user_name_is_in_any_file(tiny_dataset: Path) -> None:
    for path in tiny_dataset.rglob("*.parquet"):
        table = pl.read_parquet(path)
        if "user_id" in table.columns:
            assert table["user_id"].str.contains(r"^[0-9a-f]{32}$").all()
    assert "user-0" not in (tiny_dataset / "README.md").read_text()


def test_ordered_needs_every_date_and_no_crowded_day(tmp_path: Path) -> None:
    films = pl.DataFrame({"film_id": [f"f{number}" for number in range(10)]})
    day = datetime.date(2024, 5, 1)

    def user(name: str, dates: list[datetime.date | None]) -> pl.DataFrame:
        rows = {
            "user_id": [name] * len(dates),
            "film_id": [f"f{number}" for number in range(len(dates))],
            "date": dates,
        }
        return pl.DataFrame(rows, schema_overrides={"date": pl.Date}).with_columns(rating=5)

    later = [day + datetime.timedelta(days=number) for number in range(10)]
    ratings = pl.concat(
        [
            user("two on a day of ten", [later[1], *later[1:]][::-1]),
            user("three on a day of ten", [later[2], later[2], *later[2:]]),
            user("one without", [*later[:9], None]),
            user("none", [None] * 10),
        ]
    )
    write_dataset(tmp_path / "d", films, ratings, source="made up", splits={"train": 1.0})
    histories = load_histories(str(tmp_path / "d"), "train")
    names = {value: key for key, value in hashed(ratings["user_id"].unique().to_list()).items()}
    flags = {names[user_id]: flag for user_id, flag in zip(histories.user_ids, histories.ordered, strict=True)}
    assert flags == {"two on a day of ten": True, "three on a day of ten": False, "one without": False, "none": False}
    row = [names[user_id] for user_id in histories.user_ids].index("two on a day of ten")
    # Sorted by date; the two of one day in the order in which they were given.
    assert histories.history(row)[0].tolist() == [8, 9, 7, 6, 5, 4, 3, 2, 1, 0]
    raw = pl.read_parquet(tmp_path / "d" / "histories" / "*.parquet")
    dates = {names[user_id]: values for user_id, values in raw.select("user_id", "dates").iter_rows()}
    assert dates["none"] is None
    assert dates["one without"] == [None, *later[:9]]


def test_cold_films_are_in_no_history_and_no_training_rating(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame
) -> None:
    data = str(tmp_path / "cold")
    card = write_dataset(Path(data), tiny_films, tiny_ratings, source="made up", splits=SPLITS, cold_films=8, seed=3)
    groups = load_films(data)["film_group"].to_list()
    films = load_films(data)["film_id"].to_list()
    rated = set(load_ratings(data, "train")["film_id"].to_list())
    cold = set(films) - rated
    assert len(cold) == 8
    assert not {groups[films.index(film)] for film in cold} & {groups[films.index(film)] for film in rated}
    for split in SPLITS:
        histories = load_histories(data, split)
        assert not cold & {films[index] for index in np.unique(histories.film_indices)}
    for split in ("validation", "test"):
        cases = load_cold_cases(data, split)
        ratings = load_ratings(data, split)
        expected = ratings.filter(pl.col("film_id").is_in(list(cold)))
        found = zip(cases.histories.user_ids, cases.film_index, cases.rating, strict=True)
        assert sorted((user, films[film], int(value)) for user, film, value in found) == sorted(
            expected.select("user_id", "film_id", "rating").iter_rows()
        )
        assert len(cases) == card.splits[split].cold_cases > 0
        by_user = dict(zip(load_histories(data, split).user_ids, load_histories(data, split), strict=True))
        for user, (history, values) in zip(cases.histories.user_ids, cases.histories, strict=True):
            assert np.array_equal(history, by_user[user][0])
            assert np.array_equal(values, by_user[user][1])
    assert datasets.get_dataset_config_names(data) == ["films", "ratings", "histories", "cold_cases"]
    row = next(iter(datasets.load_dataset(data, "cold_cases", split="test", streaming=True)))
    assert list(row) == ["user_id", "film_indices", "ratings", "film_index", "rating"]


def test_a_user_of_cold_films_alone_has_no_history_but_cases(tmp_path: Path) -> None:
    films = pl.DataFrame({"film_id": [f"f{number}" for number in range(6)]})
    rows = [(f"u{user}", f"f{film}", 7) for user in range(20) for film in ([5] if user < 10 else range(5))]
    ratings = pl.DataFrame(rows, schema=["user_id", "film_id", "rating"], orient="row")
    for seed in range(50):  # a seed under which f5 is the cold film
        data = str(tmp_path / str(seed))
        write_dataset(
            Path(data), films, ratings, source="made up", splits={"train": 0.5, "test": 0.5}, cold_films=1, seed=seed
        )
        cases = load_cold_cases(data, "test")
        if 0 in cases.histories.lengths():
            break
    assert set(cases.film_index.tolist()) == {5}
    assert len(load_histories(data, "test")) == 10 - len(cases)
    assert set(load_ratings(data, "train")["film_id"].to_list()) == {"f0", "f1", "f2", "f3", "f4"}


def test_an_existing_data_set_is_replaced_and_nothing_else_is(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame
) -> None:
    def build(out: Path, **options: bool) -> None:
        write_dataset(out, tiny_films, tiny_ratings, source="made up", splits=SPLITS, **options)

    build(tmp_path / "data")
    (tmp_path / "data" / "features").mkdir()  # of the old films
    build(tmp_path / "data")
    assert not (tmp_path / "data" / "features").exists()
    with pytest.raises(UserError, match="already"):
        build(tmp_path / "data", overwrite=False)
    (tmp_path / "data" / "model").mkdir()
    with pytest.raises(UserError, match="with model in it, which is not of a data set"):
        build(tmp_path / "data")
    assert (tmp_path / "data" / "model").is_dir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "README.md").write_text("a thesis")
    with pytest.raises(UserError, match="not a data set of ours"):
        build(tmp_path / "precious")
    assert (tmp_path / "precious" / "README.md").read_text() == "a thesis"
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="a file"):
        build(tmp_path / "file")
    with pytest.raises(UserError, match="cannot be written"):
        build(tmp_path / "file" / "below")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "file", "precious"]


# Builds in a process of its own that is killed when it makes a folder or renames something for the n-th time, for each
# n of stdin. Answers with a line when it is dead.
KILLED = """
import os, signal, sys
import huggingface_hub, rich.progress  # once, not in every fork
from data_prep.building import partition
from data_prep.tables import command as tables

partition.ROWS_IN_MEMORY = 500
place = sys.argv[1]
for line in sys.stdin:
    process = os.fork()
    if process == 0:
        left = int(line)
        def hook(event, arguments):
            global left
            if event in ("os.mkdir", "os.rename") and str(arguments[0]).startswith(place):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        tables.main(sys.argv[2:])
        os._exit(0)
    print(os.waitpid(process, 0)[1], flush=True)
"""


def test_a_killed_build_leaves_the_old_data_set(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame
) -> None:
    out = tmp_path / "out" / "data"
    tiny_films.write_parquet(tmp_path / "films.parquet")
    tiny_ratings.write_parquet(tmp_path / "ratings.parquet")
    arguments = ["--films", str(tmp_path / "films.parquet"), "--ratings", str(tmp_path / "ratings.parquet")]
    arguments += ["--splits", "train=.8,test=.2", "--cold-films", "3", "--out", str(out)]
    write_dataset(out, tiny_films, tiny_ratings, source="made up", splits=SPLITS)
    before = digest(out)
    killed = 0
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(out.parent), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as builder:
        assert builder.stdin is not None
        assert builder.stdout is not None
        for moment in itertools.count(1, 2):
            builder.stdin.write(f"{moment}\n")
            builder.stdin.flush()
            if builder.stdout.readline() == "0\n":
                break
            killed += 1
            # Between the last two renames, the next build will bring it back from where it was put aside.
            assert digest(out if out.exists() else next(out.parent.glob(".data.replaced-*"))) == before
            assert len(list(out.parent.iterdir())) <= 2  # the unfinished folder, of the last build alone
        builder.stdin.close()
    assert killed > 5
    assert list(out.parent.iterdir()) == [out]
    assert digest(out) != before


def test_a_reader_brings_back_what_a_killed_build_put_aside(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame
) -> None:
    out = tmp_path / "data"
    write_dataset(out, tiny_films, tiny_ratings, source="made up", splits=SPLITS)
    out.rename(tmp_path / ".data.replaced-999999999")  # killed between the last two renames
    assert len(load_films(str(out))) == len(tiny_films)
    assert list(tmp_path.iterdir()) == [out]


def test_the_number_of_buckets_makes_no_difference(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small files and row groups, whose borders lie inside buckets and the other way round.
    for name, size in (("ROWS_PER_GROUP", 90), ("RATINGS_PER_FILE", 270), ("USERS_PER_GROUP", 4)):
        monkeypatch.setattr(split_writer, name, size)
    monkeypatch.setattr(split_writer, "CASES_PER_GROUP", 3)
    monkeypatch.setattr(split_writer, "GROUPS_PER_FILE", 2)
    flags = tiny_ratings.with_columns(rewatch=pl.when(pl.col("rating") == 7).then(pl.lit(True)))
    digests = []
    for rows in (20_000_000, 1_000, 200, 1):
        monkeypatch.setattr(partition, "ROWS_IN_MEMORY", rows)
        write_dataset(
            tmp_path / "data",
            tiny_films,
            flags,
            source="made up",
            splits=SPLITS,
            cold_films=8,
            rewatches=tiny_ratings.head(200),
        )
        digests.append(digest(tmp_path / "data"))
        assert list(tmp_path.iterdir()) == [tmp_path / "data"]
    assert "ratings/train-00006-of-00007.parquet" in digests[0]
    assert digests[1:] == digests[:1] * 3


def test_a_build_that_fails_leaves_nothing(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(partition, "ROWS_IN_MEMORY", 100)
    for step in ("partition.Partition._spill", "rows.Rows.save", "build.write_films"):
        with monkeypatch.context() as patch:
            patch.setattr(f"data_prep.building.{step}", full)
            with pytest.raises(UserError, match=r"data: .*No space left"):
                write_dataset(tmp_path / "data", tiny_films, tiny_ratings, source="made up", splits=SPLITS)
    assert list(tmp_path.iterdir()) == []


def test_broken_promises_are_value_errors(tmp_path: Path, tiny_films: pl.DataFrame) -> None:
    def build(user: str | None, film: str, rating: int) -> None:
        ratings = pl.DataFrame({"user_id": [user, "b"], "film_id": [film, "film-01"], "rating": [rating, 3]})
        write_dataset(tmp_path / "d", tiny_films, ratings, source="made up", splits={"train": 1.0})

    for arguments in [(None, "film-00", 3), ("a", "film-99", 3), ("a", "film-00", 11), ("b", "film-01", 9)]:
        with pytest.raises(ValueError, match=r"nulls|film-99|11|first row 2 \(b, film-01\)"):
            build(*arguments)
    named = pl.DataFrame({"user_id": ["ann"], "film_id": ["film-00"], "rating": [3]})
    with pytest.raises(ValueError, match="no keyed hash"):
        write_dataset(tmp_path / "d", tiny_films, named, source="made up", splits={"train": 1.0}, hashed=True)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_data_set_is_said_so(tmp_path: Path, tiny_dataset: Path) -> None:
    (tmp_path / "README.md").write_text("nothing")
    assert not is_dataset_folder(tmp_path)
    for data in (str(tmp_path), str(tmp_path / "absent"), "no-such-folder", "nobody-we-know/no-such-data-set"):
        with pytest.raises(UserError, match=r"no rating data set|no such folder|neither"):
            load_films(data)
    with pytest.raises(UserError, match="tset"):
        load_histories(str(tiny_dataset), "tset")
    with pytest.raises(UserError, match="cold_cases"):
        load_cold_cases(str(tiny_dataset), "test")
    assert os.listdir(tmp_path) == ["README.md"]
