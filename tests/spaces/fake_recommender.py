"""A recommender over sixty invented films, deterministic and instant: the real one over a rule instead of a model."""

from __future__ import annotations

from functools import cached_property
from types import SimpleNamespace

import numpy as np
import polars as pl

from data_prep.catalogue import Catalogue
from data_prep.schema import normalise_films
from reel.cases import EncodedCases
from reel.recommender import Recommender

FIRST = ["The Lantern", "A Winter", "Saltwater", "The Quiet", "Night Bus", "Paper", "The Last", "Blue", "Seven", "Old"]
SECOND = ["Keeper", "in Lisbon", "Hotel", "Engine", "to Tromsø", "Orchard"]
GENRES = ["Drama", "Comedy", "Thriller", "Science Fiction", "Romance", "Documentary"]
HOSTILE = "<img src=x onerror=\"document.title='hacked'\"> ${1+1} {{value}} `x`"  # no part of a page may run this


class FakeRecommender(Recommender):
    """Films that share a genre with what was liked come out on top."""

    def __init__(self) -> None:
        titles = [f"{first} {second}" for first in FIRST for second in SECOND]
        titles[7], titles[20] = HOSTILE, "=2+5 Ways Home"
        self.rows = [
            {
                "film_id": f"film-{i}",
                "title": title,
                "year": None if i == 50 else 1930 + (i * 37) % 93,
                "genres": sorted({GENRES[i % 6], GENRES[(i + i // 6) % 6]}),
                "original_language": ("en", "fr", "ja")[i % 3],
                "runtime": 70.0 + i * 23 % 100,
                "tmdb_id": 1000 + i,
                "image_url": f"https://pictures.test/{i}.jpg",
                "film_group": f"film-{i}",
                "rating_count": 5000 - 61 * i,
                "rating_mean": 5.0 + (i * 29 % 41) / 12,
            }
            for i, title in enumerate(titles)
        ]
        crowd = pl.DataFrame(self.rows).select("rating_count", "rating_mean")
        films = pl.concat([normalise_films(pl.DataFrame(self.rows)), crowd], how="horizontal")
        self.catalogue = Catalogue(films, features=None)  # type: ignore[arg-type]
        self.model = SimpleNamespace(config=SimpleNamespace(model_type="fake"))  # type: ignore[assignment]
        self.by_id = {row["film_id"]: row for row in self.rows}

    @cached_property
    def film_space(self) -> np.ndarray:
        """Films are near that share genres."""
        space = np.array([[float(genre in row["genres"]) for genre in GENRES] for row in self.rows])
        return space / np.linalg.norm(space, axis=1, keepdims=True)

    def _predict(self, history_films: np.ndarray, history_ratings: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        history = list(zip(history_films.tolist(), history_ratings.tolist(), strict=True))
        means = np.array([self._expected(history, film) for film in candidates.tolist()])
        spread = 2.2 / (1 + 0.1 * len(history))
        density = np.exp(-0.5 * ((np.arange(1, 11)[None, :] - means[:, None]) / spread) ** 2)
        return density / density.sum(axis=1, keepdims=True)

    def _expected(self, history: list[tuple[int, int]], film: int) -> float:
        wanted = set(self.rows[film]["genres"])
        pull = [(rating - 6) / 3 * len(wanted & set(self.rows[rated]["genres"])) for rated, rating in history]
        return float(np.clip(self.rows[film]["rating_mean"] + (sum(pull) / len(pull) if pull else 0), 1, 10))

    def predict_encoded(self, encoded: EncodedCases) -> np.ndarray:
        return np.concatenate(
            [
                self._predict(
                    encoded.history_films[number], encoded.history_ratings[number], encoded.films[case : case + 1]
                )
                for case, number in enumerate(encoded.history)
            ]
        )
