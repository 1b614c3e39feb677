"""The paper's last table: reward accuracy by context length 0..9 for both objectives, beside baselines.

The cases are those of every other number (`training/cases.py`): of each test user with 19 ratings or more the ten
targets, the same for every model and every context length; a context of length k is the k ratings just before the
targets, so shorter ones are nested in longer ones. A context and one target are what the paper calls a window, of at
most ten films. (The paper's windows change with the context length, and so do the films that are predicted.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training import metrics
from training.bootstrap import NUM_RESAMPLES
from training.cases import CASES_PER_RATING, NUM_TARGETS, ProtocolCases, stratified_sample
from training.evaluation import Advance, CaseScorer, Scoreboard, scored
from training.reproduction import paper

CASES_PER_CALL = 500  # a text model takes seconds to minutes for them: progress can be seen

Row = dict[str, Any]


@dataclass
class Table2:
    """What was measured.

    Attributes:
        report: the table, with every other metric, as `reel evaluate` reports them: `models`, `paired`, `protocol`;
            and `paper`, the published numbers.
        ratings: [cases] the true ratings of the stratified sample, which figures 2 and 3 draw.
        expected: model -> [context lengths, cases] its expected ratings of the same cases.
    """

    report: Row
    ratings: np.ndarray
    expected: dict[str, np.ndarray]


def draw_cases(cases: ProtocolCases, max_cases: int | None = None) -> NDArray[np.int64]:
    """The cases of the users with room for a context of nine, or a seeded draw of `max_cases` of them.

    Returns:
        Sorted numbers of cases, ten times the user's position in `cases` plus the target's.
    """
    users = cases.users_with_room(max(paper.CONTEXT_LENGTHS))
    numbers = (users[:, None] * NUM_TARGETS + np.arange(NUM_TARGETS)).ravel()
    return np.sort(numbers[np.argsort(cases.sample_keys.ravel()[numbers], kind="stable")[:max_cases]])


def table_2(
    models: Mapping[str, CaseScorer],
    cases: ProtocolCases,
    chosen: np.ndarray,
    *,
    split: str = "test",
    seed: int = 0,
    advance: Advance = lambda model, num_cases: None,
) -> Table2:
    """Score every model on the same cases at context lengths 0 to 9.

    Args:
        models: name -> model: "weighted" and "unweighted", then baselines.
        cases: the users of a split.
        chosen: the cases to score, from `draw_cases`; at least one.
        split: the split's name, as written into each result.
        seed: of the bootstrap.
        advance: told the model's name and the number of cases whenever some have been scored.

    Raises:
        UserError: a model does not know a film, or predicts something that is no distribution.
    """
    keys, ratings = cases.sample_keys.ravel()[chosen], cases.target_ratings.ravel()[chosen]
    sample = stratified_sample(ratings, keys)
    users, user_of_case = np.unique(chosen // NUM_TARGETS, return_inverse=True)
    rows = user_of_case * NUM_TARGETS + chosen % NUM_TARGETS  # of the table of all cases of these users

    scoreboard = Scoreboard(list(models), seed=seed)
    expected: dict[str, list[np.ndarray]] = {name: [] for name in models}
    for length in paper.CONTEXT_LENGTHS:
        table = cases.table(users, length).take(rows)
        predictions = {name: _predict(name, model, table, advance) for name, model in models.items()}
        scoreboard.add(
            predictions,
            ratings,
            groups=user_of_case,
            sample_keys=keys,
            labels={"split": split, "population": "curve", "context_length": length},
        )
        for name, probabilities in predictions.items():
            expected[name].append(metrics.expected_rating(probabilities[sample]))
    report = {
        "models": [{"name": name, "results": rows} for name, rows in scoreboard.results.items()],
        "paired": scoreboard.paired,
        "protocol": {
            "seed": seed,
            "split": split,
            "context_lengths": list(paper.CONTEXT_LENGTHS),
            "targets_per_user": NUM_TARGETS,
            "users": len(users),
            "cases": len(chosen),
            "stratified_cases_per_rating": CASES_PER_RATING,
            "bootstrap": {"resamples": NUM_RESAMPLES, "unit": "user", "interval": 0.95},
        },
        "paper": {
            "context_lengths": list(paper.CONTEXT_LENGTHS),
            "sampling": "stratified",
            "n": list(paper.CASES),
            "reward_accuracy": {name: list(values) for name, values in paper.REWARD_ACCURACY.items()},
        },
    }
    return Table2(report, ratings[sample], {name: np.stack(by_length) for name, by_length in expected.items()})


def sampled(report: Row, name: str, sampling: str) -> list[Row]:
    """The results of the model called `name` under one sampling, by context length."""
    (model,) = (model for model in report["models"] if model["name"] == name)
    return [row for row in model["results"] if row["sampling"] == sampling]


def _predict(name: str, model: CaseScorer, table: pa.Table, advance: Advance) -> np.ndarray:
    parts = []
    for start in range(0, table.num_rows, CASES_PER_CALL):
        part = table.slice(start, CASES_PER_CALL)
        parts.append(scored(name, model, part))
        advance(name, part.num_rows)
    return np.concatenate(parts)
