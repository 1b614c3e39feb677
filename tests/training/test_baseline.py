"""`reel train baseline` on a small data set: every kind is made, loads as a model and knows more than nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep.dataset import load_histories
from data_prep.errors import UserError
from modeling.baselines.configuration_rating_baseline import KINDS
from reel.recommender import Recommender
from training.baseline import fit, main
from training.baselines.drawn_cases import Judge


@pytest.fixture(scope="module")
def models(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recommender]:
    folder = tmp_path_factory.mktemp("baselines")
    for kind in KINDS:
        main(["--data", str(tiny_dataset), "--output-dir", str(folder / kind), "--kind", kind])
    return {kind: Recommender.from_pretrained(folder / kind) for kind in KINDS}


def test_every_kind_holds_beside_the_film_mean(models: dict[str, Recommender], tiny_dataset: Path) -> None:
    """Six validation users are too few to tell them apart, and enough to see one that is broken."""
    judge = Judge(load_histories(str(tiny_dataset), "validation"), seed=0)
    assert judge.lengths == [0, 1, 2, 5]
    errors = {kind: judge.squared_error(recommender.model, 5) for kind, recommender in models.items()}  # type: ignore[arg-type]
    assert max(errors.values()) < 1.1 * errors["film-mean"], errors
    assert errors["als"] < 0.9 * errors["shrunk-bias"], errors  # the ratings hold a taste, and biases have none
    for recommender in models.values():
        spreads = recommender.model.spreads
        assert len(spreads) == 4
        assert ((spreads > 0.5) & (spreads < 3)).all()


def test_a_known_taste_moves_the_ranking(models: dict[str, Recommender]) -> None:
    films = models["ridge"].catalogue.film_ids
    for kind in ("als", "ridge", "bandit"):
        ranks = []
        for ratings in ((10, 1), (1, 10)):
            history = [(film, ratings[row % 2]) for row, film in enumerate(films[:30])]
            expected = models[kind].predict(history, films[40:]) @ np.arange(1, 11)
            ranks.append(np.argsort(expected).tolist())
        assert ranks[0] != ranks[1], kind
        assert models[kind].recommend(history, top=3)[0].because


def test_without_the_crowd(tiny_dataset: Path, tmp_path: Path) -> None:
    main(["--data", str(tiny_dataset), "--output-dir", str(tmp_path / "m"), "--kind", "ridge", "--no-crowd"])
    assert (tmp_path / "m" / "model.safetensors").is_file()


def test_features_are_asked_for(tiny_dataset: Path) -> None:
    train = load_histories(str(tiny_dataset), "train")
    with pytest.raises(ValueError, match="ridge needs"):
        fit("ridge", train, train, 80)


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="magic"):
        main(["--data", str(tmp_path), "--output-dir", str(tmp_path / "m"), "--kind", "magic"])
