"""A recommender over sixty invented films, deterministic and instant, with the methods the page uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

from data_prep.member.export import read_history
from data_prep.member.history import Export
from data_prep.schema import normalise_films

FIRST = ["The Lantern", "A Winter", "Saltwater", "The Quiet", "Night Bus", "Paper", "The Last", "Blue", "Seven", "Old"]
SECOND = ["Keeper", "in Lisbon", "Hotel", "Engine", "to Tromsø", "Orchard"]
GENRES = ["Drama", "Comedy", "Thriller", "Science Fiction", "Romance", "Documentary"]
HOSTILE = "<img src=x onerror=\"document.title='hacked'\"> ${1+1} {{value}} `x`"  # no part of a page may run this


@dataclass
class Reason:
    film_id: str
    title: str
    rating: int
    weight: float


@dataclass
class Recommendation:
    film_id: str
    title: str
    year: int | None
    expected_rating: float
    reward_probability: float
    probabilities: list[float]
    because: list[Reason] = field(default_factory=list)


class FakeRecommender:
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
                "rating_count": 5000 - 61 * i,
                "rating_mean": 5.0 + (i * 29 % 41) / 12,
            }
            for i, title in enumerate(titles)
        ]
        crowd = pl.DataFrame(self.rows).select("rating_count", "rating_mean")
        films = pl.concat([normalise_films(pl.DataFrame(self.rows)), crowd], how="horizontal")
        self.catalogue = SimpleNamespace(films=films)
        self.genres = sorted(GENRES)
        self.years = (1930, 2022)
        self.by_id = {row["film_id"]: row for row in self.rows}

    def search(self, text: str, limit: int = 10) -> list[dict[str, Any]]:
        words = text.lower().split()
        found = [row for row in self.rows if all(word in f"{row['title']} {row['year']}".lower() for word in words)]
        return [{key: row[key] for key in ("film_id", "title", "year")} for row in found[:limit]]

    def predict(self, history: list[tuple[str, int]], films: list[str]) -> np.ndarray:
        means = np.array([self._expected(history, self.by_id[film_id]) for film_id in films])
        spread = 2.2 / (1 + 0.1 * len(history))
        density = np.exp(-0.5 * ((np.arange(1, 11)[None, :] - means[:, None]) / spread) ** 2)
        return density / density.sum(axis=1, keepdims=True)

    def _expected(self, history: list[tuple[str, int]], film: dict[str, Any]) -> float:
        pull = [
            (rating - 6) / 3 * len(set(film["genres"]) & set(self.by_id[film_id]["genres"]))
            for film_id, rating in history
        ]
        return float(np.clip(film["rating_mean"] + (sum(pull) / len(pull) if pull else 0), 1, 10))

    def recommend(
        self, history, *, top=20, genres=(), years=None, include_seen=False, seen=()
    ) -> list[Recommendation]:
        low, high = years or (None, None)
        hidden = set() if include_seen else {film_id for film_id, _ in history} | set(seen)
        films = [
            row
            for row in self.rows
            if row["film_id"] not in hidden
            and (not genres or set(genres) & set(row["genres"]))
            and (low is None or (row["year"] or 0) >= low)
            and (high is None or (row["year"] or 9999) <= high)
        ]
        if not films:
            return []
        probabilities = self.predict(history, [film["film_id"] for film in films])
        expected = probabilities @ np.arange(1, 11)
        return [
            Recommendation(
                films[i]["film_id"],
                films[i]["title"],
                films[i]["year"],
                float(expected[i]),
                float(probabilities[i, 6:].sum()),
                probabilities[i].tolist(),
                self.explain(history, films[i]["film_id"]),
            )
            for i in np.argsort(-expected, kind="stable")[:top]
        ]

    def explain(self, history: list[tuple[str, int]], film_id: str, top: int = 3) -> list[Reason]:
        wanted = set(self.by_id[film_id]["genres"])
        near = [
            Reason(rated, self.by_id[rated]["title"], rating, float(len(wanted & set(self.by_id[rated]["genres"]))))
            for rated, rating in history
        ]
        return sorted(near, key=lambda reason: -reason.weight)[:top]

    def read_history(self, path: Path) -> Export:
        return read_history(path, self.catalogue.films)
