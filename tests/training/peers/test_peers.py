"""Peers wrapped as models: a new user's history is heard, what they cannot say the film's mean says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data_prep.dataset import Histories
from training.baselines.drawn_cases import Judge
from training.peers.boosted import BoostedModel
from training.peers.lenskit_models import KINDS, LensKitModel
from training.peers.peer import PeerModel

NUM_FILMS = 40
LENGTHS = [0, 1, 2, 5, 10]


@pytest.fixture(scope="module")
def histories() -> Histories:
    """150 users, film effects and user effects; film 39 is never rated."""
    rng = np.random.default_rng(0)
    users, each = 150, 25
    films = np.stack([rng.choice(NUM_FILMS - 1, each, replace=False) for _ in range(users)])
    worth, user_bias = rng.normal(0, 1.5, NUM_FILMS), rng.normal(0, 1.2, (users, 1))
    ratings = np.clip(np.rint(6 + worth[films] + user_bias + rng.normal(0, 0.6, films.shape)), 1, 10)
    offsets = np.arange(users + 1) * each
    flat = films.ravel().astype(np.int32), ratings.ravel().astype(np.int8)
    return Histories([f"u{user}" for user in range(users)], offsets, *flat, None, np.zeros(users, bool))


def peer(name: str, histories: Histories) -> PeerModel:
    if name == "boosted":
        return BoostedModel(histories, NUM_FILMS, LENGTHS)
    pytest.importorskip("lenskit", reason="needs LensKit, of the extra `peers`")
    return LensKitModel(name, histories, NUM_FILMS, LENGTHS)


@pytest.mark.parametrize("name", [*KINDS, "boosted"])
@pytest.mark.filterwarnings("ignore")
def test_a_peer_is_scored_like_a_baseline(name: str, histories: Histories) -> None:
    model = peer(name, histories)
    judge = Judge(histories, seed=0)  # of the users it has seen: it has to know them a little
    judge.measure_spreads(model)
    assert judge.squared_error(model, 5) < 0.8 * judge.squared_error(model, 0)

    films, ratings = torch.tensor([[0, 1, 2, -1], [0, 1, 2, 39]]), torch.tensor([[10, 10, 10, 0], [1, 1, 2, 1]])
    candidates = torch.tensor([[5, 39, 6], [5, 39, -1]])
    estimates = model.estimate(films, ratings, candidates)
    assert estimates.isfinite().all()
    assert estimates[0, 0] > estimates[1, 0] + 1  # one likes everything, the other nothing
    one = model.estimate(films[:1, :3], ratings[:1, :3], candidates[:1, :1])
    torch.testing.assert_close(one, estimates[:1, :1])
    probabilities = model.predict(films, ratings, candidates)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(2, 3))


def test_where_a_peer_is_silent_the_film_mean_speaks(histories: Histories) -> None:
    class Silent(PeerModel):
        def peer_estimates(self, history_films, history_ratings, candidate_films):
            return np.where(candidate_films == 3, np.nan, 4.5)

    model = Silent(histories, NUM_FILMS, LENGTHS)
    nothing = torch.zeros(1, 0, dtype=torch.long)
    expected = [4.5, histories.ratings[histories.film_indices == 3].mean()]
    np.testing.assert_allclose(model.estimate(nothing, nothing, torch.tensor([[2, 3]]))[0], expected, rtol=1e-5)


def test_a_target_s_own_rating_is_no_part_of_its_film_s_statistics() -> None:
    """Films of one rating each: were it among the film's statistics, the trees would read it off."""
    rng = np.random.default_rng(1)
    users, each = 60, 20
    ratings = rng.integers(1, 11, users * each)
    train = Histories(
        [f"u{user}" for user in range(users)],
        np.arange(users + 1) * each,
        np.arange(users * each, dtype=np.int32),
        ratings.astype(np.int8),
        None,
        np.zeros(users, bool),
    )
    model = BoostedModel(train, users * each, LENGTHS)
    films = torch.arange(200)[None]
    nothing = torch.zeros(1, 0, dtype=torch.long)
    estimates = model.estimate(nothing, nothing, films)[0].numpy()
    assert estimates.std() < 0.5
