"""Which film to ask about: what a rating is worth, who can answer, and both together."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from benchmarks import next_film as benchmark
from reel import Recommender
from reel.covariance import ProcessCovariance, SpaceCovariance, covariance_of
from reel.next_film import NextFilm
from tests.spaces.fake_recommender import FakeRecommender


@pytest.fixture(scope="module")
def asking(tiny_models) -> NextFilm:
    return NextFilm(Recommender.from_pretrained(tiny_models["model"]))


@pytest.fixture(scope="module")
def elsewhere() -> NextFilm:
    """Over a model that has no process."""
    return NextFilm(FakeRecommender())


def test_a_rating_is_worth_the_variance_that_it_takes_off_what_people_rate(asking):
    model = asking.recommender.model.requires_grad_(False)
    catalogue = model.catalogue()
    targets = catalogue.at(torch.from_numpy(asking.targets)[None])

    def left(history: np.ndarray) -> float:
        """By the model's own belief, which is another computation."""
        memory = model.read(torch.from_numpy(history)[None], torch.full((1, len(history)), 6))
        variances = model._expect(memory.belief, targets).variances - targets.process.noise
        return float(variances[0].double().numpy() @ asking.shares)

    for rated in (asking.rows[:0], asking.rows[[7, 2, 30, 11]]):
        worth = asking._worth(rated)
        for place in (0, 5, 20):
            fall = left(rated) - left(np.append(rated, asking.rows[place]))
            assert worth[place] == pytest.approx(fall, rel=1e-3, abs=1e-5)


def test_targets_are_drawn_as_ratings_are(asking):
    counts = asking.recommender.catalogue.films["rating_count"].to_numpy()
    assert asking.shares.sum() == pytest.approx(1)
    drawn = np.zeros(len(counts))
    drawn[asking.targets] = asking.shares
    np.testing.assert_allclose(drawn, counts / counts.sum(), atol=1 / 600)


def test_a_model_without_a_process_is_read_by_its_film_space(asking, elsewhere):
    assert isinstance(covariance_of(asking.recommender), ProcessCovariance)
    covariance = covariance_of(elsewhere.recommender)
    assert isinstance(covariance, SpaceCovariance)
    rows = np.arange(20)
    between = covariance.between(rows, rows)
    np.testing.assert_allclose(between, between.T)
    assert (np.linalg.eigvalsh(between) > -1e-9).all()
    assert (covariance.noise(rows) > 0).all()


def test_who_has_seen_films_has_seen_films_like_them(elsewhere):
    none = np.empty(0, dtype=np.int64)
    at_first = elsewhere._chance_of_seen(none, none)
    assert (np.diff(at_first) < 0).all()  # rows are in order of their ratings
    space = elsewhere.recommender.film_space[elsewhere.rows]
    (film,), near = elsewhere.rows[[20]], space @ space[20]
    yes, no = elsewhere._chance_of_seen(np.array([film]), none), elsewhere._chance_of_seen(none, np.array([film]))
    assert (no <= at_first).all()
    assert (at_first <= yes).all()
    assert (yes - at_first)[near > 0.9].min() > (yes - at_first)[near < 0.1].max()
    everything = elsewhere._chance_of_seen(elsewhere.rows, none)
    assert ((everything > 0) & (everything < 1)).all()


@pytest.mark.parametrize("name", ["asking", "elsewhere"])
def test_no_film_is_asked_about_twice(name, request):
    asking = request.getfixturevalue(name)
    films = [asking.recommender.catalogue.film_ids[row] for row in asking.rows]
    history, unseen, seen = [(film, 7) for film in films[3:9]], films[12:15], films[20:22]
    asked = asking.suggest(history, unseen, seen, top=len(films))
    assert len(asked) == len(set(asked))
    groups, index = asking.recommender.groups, asking.recommender.catalogue.index
    of_asked, of_gone = ({groups[index[film]] for film in some} for some in (asked, [*dict(history), *unseen, *seen]))
    assert not of_asked & of_gone
    assert of_asked | of_gone == {groups[index[film]] for film in films}
    assert asking.suggest(history, unseen, seen, top=2) == asked[:2]


def test_the_benchmark_compares_the_ways_of_asking(tiny_models, tiny_dataset, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "ANSWERS", (0, 1, 4))
    monkeypatch.setattr(benchmark, "QUESTIONS", (2, 5))
    paths = ["--model", str(tiny_models["model"]), "--data", str(tiny_dataset)]
    monkeypatch.setattr(sys, "argv", ["next_film", *paths, "--draws", "2"])
    benchmark.main()
    out = capsys.readouterr().out
    assert "5 questions" in out
    assert "random by ratings: " in out
