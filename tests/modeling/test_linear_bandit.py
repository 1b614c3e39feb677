"""The linear bandit: one rating at a time gives what the whole regression gives, and no rating tells on itself."""

from __future__ import annotations

import numpy as np
import torch

from modeling.baselines.linear_bandit import Known, Posterior, context_size, contexts


def posterior(batch: int, size: int, rng: np.random.Generator) -> Posterior:
    root = rng.normal(size=(size, size))
    covariance = np.linalg.inv(root @ root.T + np.eye(size)) / 2
    weights = torch.from_numpy(rng.normal(size=(batch, size)))
    return Posterior(weights.float(), torch.from_numpy(covariance).float().expand(batch, -1, -1))


def test_sherman_and_morrison_equal_the_direct_inverse():
    rng = np.random.default_rng(0)
    batch, size, steps = 3, 7, 300
    start = posterior(batch, size, rng)
    features = rng.normal(size=(batch, steps, size))
    ratings = rng.integers(1, 11, (batch, steps)).astype(float)
    seen = np.arange(steps) < np.array([[0], [17], [300]])
    after = start
    for step in range(steps):
        columns = (torch.from_numpy(array[:, step]) for array in (features, ratings, seen))
        context, rating, is_seen = columns
        after = after.update(context.float(), rating.float(), is_seen)
    for user in range(batch):
        rows, truth = features[user, seen[user]], ratings[user, seen[user]]
        first = start.weights[user].double().numpy()
        precision = np.linalg.inv(start.covariance[user].double().numpy()) + rows.T @ rows
        covariance = np.linalg.inv(precision)
        np.testing.assert_allclose(after.covariance[user], covariance, atol=2e-6)
        np.testing.assert_allclose(
            after.weights[user], first + covariance @ rows.T @ (truth - rows @ first), atol=2e-4
        )
    np.testing.assert_array_equal(after.weights[0], start.weights[0])  # this user has rated nothing


def test_what_is_known_without_a_rating_is_what_the_others_say():
    rng = np.random.default_rng(1)
    vectors = torch.from_numpy(rng.normal(size=(2, 6, 3)))
    rated = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    residuals = torch.from_numpy(rng.normal(size=(2, 6))) * rated
    without = Known.of(vectors, residuals, rated, 2.0, without=True)
    for user, length in ((0, 6), (1, 4)):
        for left_out in range(length):
            others = [place for place in range(length) if place != left_out]
            rest = (vectors[user : user + 1, others], residuals[user : user + 1, others])
            expected = Known.of(*rest, torch.ones(1, length - 1, dtype=torch.bool), 2.0, without=False)
            torch.testing.assert_close(without.bias[user, left_out], expected.bias[0, 0])
            torch.testing.assert_close(without.taste[user, left_out], expected.taste[0, 0])


def test_a_context_by_hand():
    known = Known(torch.tensor([[0.5]]), torch.tensor([[[2.0, -1.0]]]))
    joint = contexts(torch.tensor([[[1.0, 3.0]]]), torch.tensor([[-0.25]]), known)
    torch.testing.assert_close(joint, torch.tensor([[[1.0, -0.25, 0.5, 1.0, 3.0, 2.0, -3.0]]]))
    assert joint.shape[-1] == context_size(2)


def test_draws_have_the_posterior_as_their_distribution():
    rng = np.random.default_rng(2)
    one = posterior(1, 3, rng)
    many = Posterior(one.weights.expand(20_000, -1), one.covariance.expand(20_000, -1, -1))
    draws = many.draw(torch.tensor(2.0), torch.Generator().manual_seed(0))
    np.testing.assert_allclose(draws.mean(0), one.weights[0], atol=0.03)
    np.testing.assert_allclose(np.cov(draws.numpy().T), 2 * one.covariance[0].numpy(), atol=0.03)
