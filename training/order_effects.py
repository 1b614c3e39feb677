"""How far a prediction depends on the order of a history that has none."""

from __future__ import annotations

from typing import Any

import numpy as np

from training import metrics
from training.bootstrap import Resamples, interval
from training.cases import NUM_TARGETS, ProtocolCases
from training.evaluation import Advance, CaseScorer, scored

NUM_ORDERS = 8
CONTEXT_LENGTH = 50
MAX_USERS = 200

Row = dict[str, Any]


class OrderCases:
    """
    Some users with unordered histories, each read in several orders.

    Args:
        cases: the users of a split; up to 200 unordered ones with room for 50 ratings are drawn.
        seed: of the orders.
    """

    def __init__(self, cases: ProtocolCases, *, seed: int = 0) -> None:
        users = cases.users_with_room(CONTEXT_LENGTH)
        users = users[~cases.ordered[users]]
        self.users = np.sort(users[np.argsort(cases.sample_keys[users, 0], kind="stable")[:MAX_USERS]])
        self.cases, self.seed = cases, seed
        # An unordered history comes in an order that is each user's own draw, so one permutation does for all users.
        generator = np.random.default_rng(seed)
        self.orders = [generator.permutation(CONTEXT_LENGTH) for _ in range(NUM_ORDERS)]

    def __len__(self) -> int:
        """Cases that a model is scored on."""
        return NUM_ORDERS * NUM_TARGETS * len(self.users)

    @property
    def protocol(self) -> Row:
        """What was done, for the report."""
        return {"users": len(self.users), "context_length": CONTEXT_LENGTH, "orders": NUM_ORDERS}

    def spread(self, name: str, model: CaseScorer, advance: Advance = lambda model, num_cases: None) -> Row:
        """
        How far a model's predictions spread over the orders.

        Returns:
            `expected_rating` (in ratings) and `reward_probability`: the standard deviation over orders, root mean
            square over cases, under `value`, with its 95 % interval by bootstrap over users under `low` and `high`;
            `changed_rewards`: the share of cases whose answer to "7 or more?" is not the same in all orders.
        """
        predicted = []
        for order in self.orders:
            table = self.cases.table(self.users, CONTEXT_LENGTH, order=order)
            predicted.append(scored(name, model, table))
            advance(name, table.num_rows)
        expected = np.stack([metrics.expected_rating(probabilities) for probabilities in predicted])
        rewards = np.stack([metrics.reward_probability(probabilities) for probabilities in predicted])
        answers = np.stack([metrics.predicted_reward(probabilities) for probabilities in predicted])
        return {
            "expected_rating": self._spread(expected),
            "reward_probability": self._spread(rewards),
            "changed_rewards": float((answers != answers[0]).any(0).mean()),
        }

    def _spread(self, values: np.ndarray) -> Row:
        """Of `values` [orders, cases]."""
        variances = values.var(0, ddof=1).reshape(len(self.users), NUM_TARGETS).mean(1)  # of each user
        counts = Resamples(self.users, seed=self.seed).counts
        low, high = interval(np.sqrt(counts @ variances / len(self.users)))
        return {"value": float(np.sqrt(variances.mean())), "low": low, "high": high}
