"""What all tests share: no test touches the user's folders or the network, and a small data set made here."""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

if TYPE_CHECKING:
    from tests.hub_server import HubServer

# Set before anything imports huggingface_hub, datasets or platformdirs: they read the environment at import.
_HOME = Path(tempfile.mkdtemp(prefix="reel-tests-"))
os.environ.update(
    HF_HOME=str(_HOME / "hf"),
    HF_DATASETS_CACHE=str(_HOME / "hf" / "datasets"),
    HF_HUB_CACHE=str(_HOME / "hf" / "hub"),
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    REEL_CONFIG_DIR=str(_HOME / "config"),
    REEL_CACHE_DIR=str(_HOME / "cache"),
    GRADIO_ANALYTICS_ENABLED="False",
)
# Users stand in a data set where the keyed hashes of their names put them, and draws go by where they stand: with a
# key made anew, every run of the tests would draw others.
(_HOME / "config").mkdir()
(_HOME / "config" / "user_id.key").write_bytes(b"the tests' key, for user names..")

TINY_USERS, TINY_FILMS = 60, 80
_GENRES = ("Drama", "Comedy", "Thriller", "Horror", "Animation", "Documentary")


def pytest_unconfigure() -> None:
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared measuring data beside the repository; a test that needs it is skipped where it is
    absent."""
    folder = Path(__file__).resolve().parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the shared data beside the repository, which are not part of it")
    return folder


@pytest.fixture(scope="session")
def tiny_films() -> pl.DataFrame:
    """80 made-up films under our column names, with gaps as real tables have them, and no overviews (so no text
    model)."""
    rng = np.random.default_rng(20)
    films = []
    for number in range(TINY_FILMS):
        known = number % 9 != 4
        films.append(
            {
                "film_id": f"film-{number:02d}",
                "title": f"The Film Number {number}" if number % 2 else f"Épisode {number}: a Tale",
                "year": int(rng.integers(1930, 2024)) if number != 7 else None,
                "release_date": datetime.date(1960, 1, 1) + datetime.timedelta(days=int(rng.integers(0, 20_000)))
                if known
                else None,
                "runtime": float(rng.integers(60, 200)) if known else None,
                "genres": [str(genre) for genre in rng.choice(_GENRES, int(rng.integers(1, 4)), replace=False)]
                if known
                else None,
                "production_countries": ["France"] if number % 3 else ["Japan", "Italy"],
                "spoken_languages": None if number % 5 == 0 else ["French"],
                "original_language": "fr" if number % 3 else "ja",
                "popularity": float(rng.gamma(2, 5)) if known else None,
                "vote_average": float(rng.uniform(4, 9)) if known else None,
                "vote_count": int(rng.integers(1, 5_000)) if known else None,
                # Two slugs of one film, as in real tables.
                "film_group": "film-00" if number == 1 else f"film-{number:02d}",
            }
        )
    return pl.DataFrame(films)


@pytest.fixture(scope="session")
def tiny_ratings() -> pl.DataFrame:
    """Ratings of 60 made-up users, 15 to 70 films each: user and film effects and a taste to be learned. Two users in
    three are dated, one film a day; one in three has no dates."""
    rng = np.random.default_rng(21)
    film_effect, user_effect = rng.normal(0, 1.2, TINY_FILMS), rng.normal(0, 1.0, TINY_USERS)
    film_taste, user_taste = rng.normal(0, 1, (TINY_FILMS, 2)), rng.normal(0, 1, (TINY_USERS, 2))
    rows = []
    for user in range(TINY_USERS):
        chosen = rng.choice(TINY_FILMS, int(rng.integers(15, 71)), replace=False)
        score = 6.5 + film_effect[chosen] + user_effect[user] + film_taste[chosen] @ user_taste[user]
        values = np.clip(np.rint(score + rng.normal(0, 0.7, len(chosen))), 1, 10).astype(int)
        for day, (film, value) in enumerate(zip(chosen, values, strict=True)):
            date = datetime.date(2020, 1, 1) + datetime.timedelta(days=day + user) if user % 3 else None
            rows.append((f"user-{user:02d}", f"film-{film:02d}", int(value), date, value >= 9))
    rng.shuffle(rows)
    schema = {"user_id": pl.String, "film_id": pl.String, "rating": pl.Int64, "date": pl.Date, "liked": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


@pytest.fixture(scope="session")
def tiny_dataset(
    tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a data set of 48 training, 6 validation and 6 test users, made by the code of `reel data tables`.
    Read only."""
    from data_prep.tables.command import main

    folder = tmp_path_factory.mktemp("tiny")
    tiny_films.write_parquet(folder / "films.parquet")
    tiny_ratings.write_parquet(folder / "ratings.parquet")
    out = folder / "dataset"
    files = ["--ratings", str(folder / "ratings.parquet"), "--films", str(folder / "films.parquet")]
    main([*files, "--splits", "train=.8,validation=.1,test=.1", "--out", str(out)])
    return out


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder for one test."""
    monkeypatch.setenv("REEL_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    """A small Hub of this test's own, with nothing on it."""
    from tests.hub_server import HubServer

    with HubServer(tmp_path / "hub").running() as server:
        yield server


@pytest.fixture
def online(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The same, and this process is logged in to it, which the tests otherwise keep off the network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
    files = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    return hub
