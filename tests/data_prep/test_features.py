"""Film features: joined by id, learned from training users alone, the same every time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_prep import features as module
from data_prep import text_embeddings
from data_prep.dataset import load_films, write_dataset
from data_prep.errors import UserError, exit_status
from data_prep.features import FilmFeatures, build_features, ensure_features, main, make_spec, transform
from data_prep.schema import normalise_films


def fake_embeddings(texts: list[str], *, quiet: bool = False) -> np.ndarray:
    """A vector that tells the text."""
    return np.array([np.random.default_rng(sum(text.encode())).normal(size=384) for text in texts], dtype=np.float16)


@pytest.fixture
def fake_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "embed_texts", fake_embeddings)
    monkeypatch.setattr(module, "find_text_model", lambda: "a folder")


def dataset(out: Path, films: pl.DataFrame, ratings: pl.DataFrame) -> str:
    write_dataset(out, films, ratings, source="made up", splits={"train": 0.8, "validation": 0.1, "test": 0.1})
    return str(out)


def test_columns_of_dense(tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame) -> None:
    features = build_features(dataset(tmp_path / "data", tiny_films, tiny_ratings))
    ids = tiny_films["film_id"].to_list()
    matrix = features.dense(ids)
    assert matrix.dtype == np.float32
    assert matrix.shape == (80, len(features.names))
    assert np.isfinite(matrix).all()
    assert np.abs(matrix).max() <= 5
    column = {name: matrix[:, position] for position, name in enumerate(features.names)}
    for row, genres in enumerate(tiny_films["genres"].to_list()):
        for genre in ("Drama", "Horror"):
            assert column[f"genres={genre}"][row] == (genre in (genres or ()))
        assert column["genres_missing"][row] == (genres is None)
    years = tiny_films["year"].to_numpy()
    known = ~np.isnan(years)
    assert np.corrcoef(column["year"][known], years[known])[0, 1] == pytest.approx(1)
    assert column["year"][7] == 0
    assert column["year_missing"].sum() == 1
    assert column["year"].mean() == pytest.approx(0, abs=0.05)
    for name in ("runtime", "release_date", "log_popularity", "vote_average", "log_vote_count"):
        assert (column[f"{name}_missing"] == tiny_films["runtime"].is_null().to_numpy()).all()
    assert not any("[" in name for name in features.names)  # no overviews, so no text
    assert features.spec["text"] is None


def test_without_the_crowd(tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame) -> None:
    features = build_features(dataset(tmp_path / "data", tiny_films, tiny_ratings))
    ids = tiny_films["film_id"].to_list()
    left_out = set(features.names) - set(features.column_names(crowd=False))
    assert left_out == {f"{name}{end}" for name in module.CROWD for end in ("", "_missing")}
    keep = [name not in left_out for name in features.names]
    assert np.array_equal(features.dense(ids, crowd=False), features.dense(ids)[:, keep])
    without = features.without_crowd()
    assert without.names == features.column_names(crowd=False)
    assert np.array_equal(without.dense(ids), features.dense(ids, crowd=False))
    without.save(tmp_path / "f.parquet", tmp_path / "f.json")
    loaded = FilmFeatures.load(tmp_path / "f.parquet", tmp_path / "f.json")
    further = loaded.with_films(
        normalise_films(tiny_films.with_columns(pl.format("{}-again", "film_id").alias("film_id")))
    )
    assert np.array_equal(further.dense([f"{film_id}-again" for film_id in ids]), without.dense(ids))
    assert further.names == without.names


def test_films_are_joined_by_id(tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame) -> None:
    straight = build_features(dataset(tmp_path / "straight", tiny_films, tiny_ratings))
    shuffled = build_features(
        dataset(tmp_path / "shuffled", tiny_films.sample(fraction=1, shuffle=True, seed=1), tiny_ratings)
    )
    ids = tiny_films["film_id"].to_list()[::-3]
    assert straight.names == shuffled.names
    # Sums over films in another order differ in the last bit.
    np.testing.assert_allclose(straight.dense(ids), shuffled.dense(ids), atol=1e-6)
    resorted = FilmFeatures(straight.table.sample(fraction=1, shuffle=True, seed=2), straight.spec)
    assert np.array_equal(resorted.dense(ids), straight.dense(ids))
    assert straight.dense([]).shape == (0, len(straight.names))
    with pytest.raises(KeyError, match="film-999"):
        straight.dense(["film-00", "film-999"])


def test_vocabularies_and_scales_come_from_training_users_alone(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame
) -> None:
    data = dataset(tmp_path / "data", tiny_films, tiny_ratings)
    before = build_features(data).spec
    # Films that nobody in training rated, of a genre and an age of their own.
    films = [
        {"film_id": f"new-{number}", "title": "New", "year": 1890, "genres": ["Brand New"]} for number in range(20)
    ]
    more = pl.concat([tiny_films, pl.DataFrame(films).cast({"year": pl.Int64})], how="diagonal")
    features = build_features(dataset(tmp_path / "more", more, tiny_ratings))
    assert features.spec["vocabularies"] == before["vocabularies"]
    assert features.spec["scales"] == before["scales"]
    row = dict(zip(features.names, features.dense(["new-0"])[0], strict=True))
    assert row["genres=<other>"] == 1
    assert row["year"] < -2


def test_rare_values_share_a_bin_and_repeats_count_once() -> None:
    lists = [["Drama", "Drama"]] * 4 + [["Comedy"]] * 5 + [["Comedy", "Horror"]] + [None]
    films = normalise_films(pl.DataFrame({"film_id": [f"f{row}" for row in range(11)], "genres": lists}))
    spec = make_spec(films, text=False)
    assert spec["vocabularies"]["genres"] == ["Comedy"]
    features = FilmFeatures(transform(films, spec), spec)
    columns = [features.names.index(name) for name in ("genres=Comedy", "genres=<other>", "genres_missing")]
    assert features.dense(["f0", "f4", "f9", "f10"])[:, columns].tolist() == [
        [0, 1, 0],
        [1, 0, 0],
        [1, 1, 0],
        [0, 0, 1],
    ]


def test_an_average_of_no_votes_is_unknown() -> None:
    films = normalise_films(
        pl.DataFrame({"film_id": ["a", "b", "c"], "vote_average": [0.0, 7.0, 8.0], "vote_count": [0, 10, None]})
    )
    spec = make_spec(films, text=False)
    assert transform(films, spec)["vote_average_missing"].to_list() == [1, 0, 0]
    assert spec["scales"]["vote_average"]["mean"] == 7.5


def test_files_are_identical_to_the_byte_and_read_back(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    data = dataset(tmp_path / "data", tiny_films, tiny_ratings)
    made = ensure_features(data)
    assert "made in" in capsys.readouterr().err
    files = {path.name: path.read_bytes() for path in (tmp_path / "data" / "features").iterdir()}
    assert sorted(files) == ["features.json", "films.parquet"]
    found = ensure_features(data)
    assert capsys.readouterr().err == ""
    ids = tiny_films["film_id"].to_list()
    assert np.array_equal(found.dense(ids), made.dense(ids))
    assert found.names == made.names
    main([data])
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "data" / "features").iterdir()}


def test_features_of_other_films_are_made_anew(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame
) -> None:
    data = dataset(tmp_path / "data", tiny_films, tiny_ratings)
    ensure_features(data, quiet=True)
    spec = tmp_path / "data" / "features" / "features.json"
    spec.write_text(json.dumps(json.loads(spec.read_text()) | {"films_digest": "of others"}))
    assert ensure_features(data, quiet=True).spec["films_digest"] == module.films_digest(load_films(data))
    spec.write_text("{")
    with pytest.raises(UserError, match="no film features can be read"):
        ensure_features(data, quiet=True)


@pytest.mark.usefixtures("fake_text")
def test_text_is_embedded_where_there_are_overviews(
    tmp_path: Path, tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame
) -> None:
    overviews = [f"Overview {row}." if row % 4 else None for row in range(80)]
    data = dataset(tmp_path / "data", tiny_films.with_columns(overview=pl.Series(overviews)), tiny_ratings)
    build_features(data)
    features = ensure_features(data)
    ids = tiny_films["film_id"].to_list()
    names = features.column_names(text=False)
    assert len(features.names) == len(names) + 2 * 385
    column = {name: features.dense(ids)[:, position] for position, name in enumerate(features.names)}
    assert column["overview_missing"].tolist() == [row % 4 == 0 for row in range(80)]
    assert column["overview[3]"][0] == 0
    assert column["overview[3]"][5] == fake_embeddings(["Overview 5."])[0, 3]
    assert column["title[383]"][5] == fake_embeddings([tiny_films["title"][5]])[0, 383]
    assert features.table["title_embedding"].dtype == pl.Array(pl.Float16, 384)
    new = normalise_films(pl.DataFrame({"film_id": ["new"], "title": ["New"], "overview": ["Something."]}))
    table = transform(new, features.spec)
    assert table.schema == features.table.schema
    assert FilmFeatures(table, features.spec).dense(["new"]).shape == (1, len(features.names))


def test_without_a_text_model_features_are_made_and_it_is_said(
    tmp_path: Path,
    tiny_films: pl.DataFrame,
    tiny_ratings: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "find_text_model", lambda: None)
    data = dataset(tmp_path / "data", tiny_films.with_columns(overview=pl.lit("A story.")), tiny_ratings)
    assert build_features(data).spec["text"] is None
    assert "without text" in capsys.readouterr().err


def test_what_is_no_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(main, [str(tmp_path)]) == 2
    assert "no rating data set" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_real_embeddings_are_made_once(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if text_embeddings.find_text_model() is None:
        pytest.skip("needs the text model, which the extra `demo` brings along")
    texts = ["A shark terrorises a beach.", "Two people fall in love in Paris.", "A great white attacks swimmers."]
    vectors = text_embeddings.embed_texts([*texts, texts[0]], quiet=True)
    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float16
    assert np.linalg.norm(vectors.astype(float), axis=1) == pytest.approx(1, abs=1e-3)
    assert np.array_equal(vectors[0], vectors[3])
    similar = vectors.astype(float) @ vectors[0].astype(float)
    assert similar[2] > similar[1] + 0.2

    def never(*_: object) -> None:
        raise AssertionError("a second run computes nothing")

    monkeypatch.setattr(text_embeddings, "_load_model", never)
    assert np.array_equal(text_embeddings.embed_texts(texts[::-1]), vectors[:3][::-1])
    assert text_embeddings.embed_texts([]).shape == (0, 384)


def test_no_model_and_no_cache(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_embeddings, "find_text_model", lambda: None)
    with pytest.raises(UserError, match="can it be downloaded"):
        text_embeddings.embed_texts(["never seen"])
    own_cache.rename(own_cache.with_name("old"))
    own_cache.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="can it be downloaded"):  # the cache alone is no reason to fail
        text_embeddings.embed_texts(["never seen"])
