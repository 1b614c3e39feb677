"""The benchmark of catalogue scoring runs, on a small model, and its large catalogue is as large as it says."""

from __future__ import annotations

import json
import sys

import numpy as np

from benchmarks import catalogue_scoring
from reel import Recommender


def test_it_measures_what_it_says(tiny_models, tiny_dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(catalogue_scoring, "HISTORY", 10)
    sizes = ["--users", "2", "--shortlist", "60", "--films", "300", "--threads", "1"]
    paths = ["--model", str(tiny_models["model"]), "--data", str(tiny_dataset), "--out", str(tmp_path / "report.json")]
    monkeypatch.setattr(sys, "argv", ["catalogue_scoring", *paths, *sizes])
    catalogue_scoring.main()
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["films"], report["users"], report["large"]["films"]) == (80, 2, 300)
    assert 0 < report["least_share"] <= report["share_of_exact_top"] <= 1
    assert all(report[name] > 0 for name in ("exact", "one_more_exact", "one_more_two_stages"))
    assert "300 films:" in capsys.readouterr().out


def test_repeated_films_are_like_those_they_repeat(tiny_models):
    recommender = Recommender.from_pretrained(tiny_models["model"])
    larger = catalogue_scoring.repeated(recommender, 200)
    films = larger.catalogue.film_ids
    assert len(films) == len(set(films)) == 200
    features = larger.model.film_features[:, : larger.model.config.num_features].numpy()
    assert 0.05 < np.abs(features[80:160] - features[:80]).mean() < 0.15
    assert len(larger.rank([("film-03", 9), ("film-10-1", 2)])) > 190
