"""Films that were never in training: added from tables and files, scored by what is known of them, saved with the
model."""

from __future__ import annotations

import json
import sys
from importlib import import_module

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.errors import UserError
from reel import Recommender
from reel.cli import main
from tests.modeling.toy_text import toy_text_model

HISTORY = [("film-03", 9), ("film-10", 2), ("film-22", 7), ("film-41", 10)]
NEW = (
    "film_id,title,year,genres,runtime\n"
    'arrival-2,Arrival Again,2026,"[""Drama"", ""Horror""]",101\n'
    "nothing-known,,,,\n"
)


@pytest.fixture(scope="module")
def baselines(tiny_dataset, tmp_path_factory):
    from training import baseline

    folder = tmp_path_factory.mktemp("baselines")
    for kind in ("als", "ridge", "bandit"):
        baseline.main(["--data", str(tiny_dataset), "--output-dir", str(folder / kind), "--kind", kind])
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture(params=["model", "film_mean", "shrunk_bias", "als", "ridge", "bandit"])
def recommender(request, tiny_models, baselines) -> Recommender:
    return Recommender.from_pretrained({**tiny_models, **baselines}[request.param])


@pytest.fixture
def new_csv(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text(NEW)
    return path


def test_the_catalogue_grows(recommender, new_csv):
    films, space, groups = recommender.catalogue.film_ids, recommender.film_space, recommender.groups
    before = recommender.predict(HISTORY, films)
    digest = recommender.catalogue.digest
    assert recommender.add_films(new_csv) == ["arrival-2", "nothing-known"]
    catalogue = recommender.catalogue
    assert catalogue.film_ids == [*films, "arrival-2", "nothing-known"]
    assert catalogue.digest != digest
    assert recommender.model.config.num_films == len(catalogue) == len(recommender.groups) == len(groups) + 2
    assert recommender.film_space.shape == (len(space) + 2, space.shape[1])
    assert recommender.years[1] == 2026
    assert recommender.search("arrival again")[0]["film_id"] == "arrival-2"
    assert catalogue.films["rating_count"].to_list()[-2:] == [0, 0]
    np.testing.assert_allclose(recommender.predict(HISTORY, films), before, atol=1e-6)


def test_new_films_are_predicted_ranked_and_rated_like_any_other(recommender, new_csv):
    recommender.add_films(new_csv)
    probabilities = recommender.predict([*HISTORY, ("nothing-known", 8)], ["arrival-2", "film-05"])
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    everything = recommender.recommend(HISTORY, top=100)
    assert {"arrival-2", "nothing-known"} <= {film.film_id for film in everything}
    (alone,) = recommender.recommend(HISTORY, only=["arrival-2"])
    assert alone.title == "Arrival Again"
    assert recommender.explain(HISTORY, "arrival-2") == alone.because


def test_a_model_with_added_films_is_saved_and_loaded(recommender, new_csv, tmp_path):
    recommender.add_films(new_csv)
    recommender.save_pretrained(tmp_path / "saved")
    loaded = Recommender.from_pretrained(tmp_path / "saved")
    films = recommender.catalogue.film_ids
    np.testing.assert_array_equal(loaded.predict(HISTORY, films), recommender.predict(HISTORY, films))
    with pytest.raises(UserError, match=r"new.csv row 2: film that is in the catalogue already \(arrival-2\)"):
        loaded.add_films(new_csv)
    loaded.add_films(pl.DataFrame({"film_id": ["a-third"], "title": ["A Third"]}))
    assert len(loaded.catalogue) == len(films) + 1


@pytest.mark.parametrize("name", ["model", "ridge", "bandit"])
def test_a_new_film_is_what_its_features_say(name, tiny_models, baselines):
    """The features of a film of the catalogue under another id have the same encoding, and what features say of it is
    the same but for the film's own ratings."""
    recommender = Recommender.from_pretrained({**tiny_models, **baselines}[name])
    catalogue = recommender.catalogue
    again = catalogue.films.head(20).with_columns(pl.format("{}-again", "film_id").alias("film_id"))
    ids = recommender.add_films(again.drop("rating_count", "rating_mean", "film_group").to_arrow())
    features = recommender.catalogue.features
    np.testing.assert_array_equal(features.dense(ids), catalogue.features.dense(catalogue.film_ids[:20]))
    if name != "model":
        vectors = recommender.model.film_vectors().numpy()
        np.testing.assert_allclose(vectors[-20:], vectors[:20], atol=1e-5)
    spread = recommender.predict(HISTORY, ids) @ np.arange(1, 11)
    assert spread.std() > 0.01  # they are told apart


@pytest.mark.parametrize("kind", ["film_token_gpt2", "deepfm", "baseline"])
def test_a_model_without_crowd_features_reads_none_of_new_films_either(kind, tiny_dataset, tmp_path):
    arguments = ["--data", str(tiny_dataset), "--output-dir", str(tmp_path / "model"), "--no-crowd"]
    steps = ["--kind", "ridge"] if kind == "baseline" else ["--max-steps", "2"]
    import_module(f"training.{kind}").main([*arguments, *steps])
    recommender = Recommender.from_pretrained(tmp_path / "model")
    names = recommender.catalogue.features.names
    assert not [name for name in names if name.startswith(("vote", "log_vote", "log_popularity"))]
    if kind != "baseline":
        assert recommender.model.config.num_features == len(names)
    films = recommender.catalogue.films.tail(1).select("title", "year", "genres")
    loved = {"popularity": 900.0, "vote_average": 9.9, "vote_count": 99_000}
    recommender.add_films(films.with_columns(film_id=pl.lit("plain")))
    recommender.add_films(films.with_columns(film_id=pl.lit("loved"), **{k: pl.lit(v) for k, v in loved.items()}))
    plain, crowned = recommender.predict(HISTORY, ["plain", "loved"])
    np.testing.assert_allclose(plain, crowned, atol=1e-7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("film_id,title\nfilm-07,Seven\n", r"new.csv row 2: film that is in the catalogue already \(film-07\)"),
        ("film_id,title\na,A\nb,B\na,A\n", r"new.csv row 4: duplicate film \(a\)"),
        ("film_id,title,year\na,A,1850\n", r"new.csv row 2: year not a year \(1850\)"),
        ("film_id,title,year\na,A,soon\n", r"new.csv row 2: year not a year \(soon\)"),
        ("film_id,title\n,A\n", r"new.csv row 2: empty field \(no film id\)"),
        ("film_id,title\na,A,1999\n", r"new.csv row 2: wrong number of fields"),
        ("title,year\nA,1999\n", r"new.csv: no column film_id or movie_id; the columns there are: title, year"),
        ("film_id,title\n", "holds no"),
        ("", "empty"),
    ],
)
def test_wrong_rows_are_named_and_nothing_is_added(tiny_models, tmp_path, text, message):
    recommender = Recommender.from_pretrained(tiny_models["model"])
    (tmp_path / "new.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        recommender.add_films(tmp_path / "new.csv")
    assert len(recommender.catalogue) == recommender.model.config.num_films == 80


def test_a_table_in_memory_is_as_strict(tiny_models):
    recommender = Recommender.from_pretrained(tiny_models["model"])
    with pytest.raises(UserError, match=r"table row 2: duplicate film \(a\)"):
        recommender.add_films(pa.table({"film_id": ["a", "a"], "title": ["A", "A"]}))
    with pytest.raises(UserError, match="table: no column title or movie_title"):
        recommender.add_films(pa.table({"film_id": ["a"]}))
    with pytest.raises(UserError, match="holds no film"):
        recommender.add_films(pa.table({"film_id": pa.array([], pa.string()), "title": pa.array([], pa.string())}))


def test_what_cannot_be_read_counts_as_unknown_and_is_told(tiny_models, capsys):
    recommender = Recommender.from_pretrained(tiny_models["model"])
    recommender.add_films(pl.DataFrame({"film_id": ["a"], "title": ["A"], "runtime": ["long"]}))
    assert "1 values of runtime could not be read" in capsys.readouterr().err


def test_texts_are_embedded_by_the_model_the_catalogue_names_or_not_at_all(tiny_models, monkeypatch):
    recommender = Recommender.from_pretrained(tiny_models["model"])
    films = pl.DataFrame({"film_id": ["a"], "title": ["A"]})
    features = recommender.catalogue.features
    features.spec["text"] = {"model": "another/model", "size": 384}
    with pytest.raises(UserError, match=r"as another/model embeds them.*train the model again"):
        recommender.add_films(films)
    features.spec["text"] = {"model": "sentence-transformers/all-MiniLM-L6-v2", "size": 384}
    monkeypatch.setattr("data_prep.text_embeddings.find_text_model", lambda: None)
    with pytest.raises(UserError, match="neither in the Hub cache nor can it be downloaded"):
        recommender.add_films(films)
    assert len(recommender.catalogue) == recommender.model.config.num_films == 80


def test_a_text_model_takes_no_new_films(tiny_models):
    catalogue = Recommender.from_pretrained(tiny_models["model"]).catalogue
    text = toy_text_model()
    text.config.num_films = len(catalogue)
    with pytest.raises(UserError, match="no film can be added to this model"):
        Recommender(text, catalogue).add_films(pl.DataFrame({"film_id": ["a"], "title": ["A"]}))


def run(capsys, monkeypatch, *arguments) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["reel", *map(str, arguments)])
    status = main()
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_recommend_and_predict_take_new_films(tiny_models, new_csv, tmp_path, capsys, monkeypatch):
    (tmp_path / "ratings.csv").write_text(
        "Date,Name,Year,Letterboxd URI,Rating\n2024-01-01,Arrival Again,2026,u,4.5\n"
    )
    recommend = ["recommend", "--model", tiny_models["model"], "--history", tmp_path / "ratings.csv"]
    status, out, err = run(capsys, monkeypatch, *recommend, "--films", new_csv, "--only-new", "--format", "json")
    assert status == 0, err
    answer = json.loads(out)
    assert answer["history"]["matched"] == 1  # a new film may be among the rated ones
    assert [film["film_id"] for film in answer["recommendations"]] == ["nothing-known"]
    status, out, err = run(capsys, monkeypatch, *recommend, "--only-new")
    assert (status, out) == (2, "")
    assert "--films" in err

    case = {"case_id": [1], "history_film_ids": [["film-03", "nothing-known"]], "history_ratings": [[9, 5]]}
    pq.write_table(pa.table({**case, "film_id": ["arrival-2"]}), tmp_path / "cases.parquet")
    predict = ["predict", "--model", tiny_models["model"], "--cases", tmp_path / "cases.parquet"]
    out_file = ["--out", tmp_path / "predictions.parquet"]
    status, _, err = run(capsys, monkeypatch, *predict, *out_file)
    assert (status, "'arrival-2'" in err or "'nothing-known'" in err) == (2, True)
    status, _, err = run(capsys, monkeypatch, *predict, *out_file, "--films", new_csv)
    assert status == 0, err
    assert pq.read_table(tmp_path / "predictions.parquet").num_rows == 1


def test_films_of_parquet_under_the_kaggle_names(tiny_models, tmp_path):
    recommender = Recommender.from_pretrained(tiny_models["shrunk_bias"])
    table = {"movie_id": ["k"], "movie_title": ["A Kaggle Film"], "year_released": [2001.0], "genres": ['["Drama"]']}
    pl.DataFrame(table).write_parquet(tmp_path / "films.parquet")
    assert recommender.add_films(tmp_path / "films.parquet") == ["k"]
    row = recommender.catalogue.films.row(-1, named=True)
    assert (row["title"], row["year"], row["genres"], row["film_group"]) == ("A Kaggle Film", 2001, ["Drama"], "k")
