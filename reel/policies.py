"""The part of `reel evaluate` that `--policy` asks for: what the models' rankings are worth to the users.

`training/policy.py` says what is measured and for whom.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data_prep.answers import print_tables
from data_prep.errors import UserError
from reel.report_tables import PIPE_WIDTH, with_interval

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from reel.recommender import Recommender
    from training.cases import ProtocolCases
    from training.evaluation import Advance
    from training.policy import PolicyCases

DEFAULT_POLICY_HISTORY = 50
THOMPSON = ", Thompson"
PRINTED = {
    "rating": ("rating of its 10", "{:.3f}"),
    "reward": ("of them 7 or more", "{:.3f}"),
    "ndcg": ("NDCG@10", "{:.4f}"),
    "pairwise_accuracy": ("pairs in order", "{:.3f}"),
}

Row = dict[str, Any]


def policy_cases(options: argparse.Namespace, cases: ProtocolCases, names: Sequence[str]) -> PolicyCases | None:
    """The users and films that `--policy` has the models of those `names` rank; None without it.

    Raises:
        UserError: its history length is none, nobody has rated so many films, or a model's row could not be told from
            another row.
    """
    if options.policy is None:
        return None
    from training.policy import FEWEST_CANDIDATES, REFERENCES, PolicyCases

    rows = [*REFERENCES, *(f"{name}{THOMPSON}" for name in names)]
    if taken := [name for name in names if name in rows]:
        raise UserError(f"--model {taken[0]}: --policy has a row of that name; rename the folder")

    if options.policy < 0:
        raise UserError(f"--policy {options.policy}: must be 0 ratings or more")
    chosen = PolicyCases.of(cases, options.policy)
    if not len(chosen):
        raise UserError(
            f"--policy {options.policy}: no user in split {options.split} of {options.data} has "
            f"{options.policy + FEWEST_CANDIDATES} ratings, {FEWEST_CANDIDATES} of them to rank; ask for fewer"
        )
    return chosen


def evaluate_policies(
    models: Mapping[str, Recommender], cases: PolicyCases, data: str, film_ids: pa.Array, seed: int, advance: Advance
) -> Row:
    """
    What every model's ranking by expected rating is worth, of a bandit also its Thompson sampling, beside random
    ranking, the film mean and the oracle.

    Args:
        models: name -> model.
        cases: users and films.
        data: the data set, whose training users say what the film mean is.
        film_ids: film_index -> film_id.
        seed: of the bootstrap and of Thompson sampling.
        advance: told the model's name and the number of films whenever some have been scored.
    """
    from data_prep.dataset import load_histories
    from training.baselines.bias import film_means
    from training.policy import FEWEST_CANDIDATES, TOP, policy_report, policy_values, reference_scores

    scores: dict[str, np.ndarray] = {}
    kinds: dict[str, str] = {}
    for name, model in models.items():
        scores[name], kinds[name] = greedy_scores(name, model, cases, film_ids, advance), "greedy"
        if is_bandit(model):
            scores[name + THOMPSON] = thompson_scores(model, cases, film_ids, seed)
            kinds[name + THOMPSON] = "thompson"
    scores |= reference_scores(cases, film_means(load_histories(data, "train"), len(film_ids)))
    report = policy_report({name: policy_values(cases, own) for name, own in scores.items()}, seed=seed)
    for row in report["results"]:
        row["policy"] = kinds.get(row["name"], "reference")
    return {
        "history_length": cases.history_films.shape[1],
        "top": TOP,
        "fewest_candidates": FEWEST_CANDIDATES,
        "users": len(cases),
        "candidates": len(cases.candidate_films),
        **report,
    }


def greedy_scores(
    name: str, model: Recommender, cases: PolicyCases, film_ids: pa.Array, advance: Advance
) -> np.ndarray:
    """Expected ratings of all candidates, `(candidates,)`."""
    import numpy as np

    from training.evaluation import scored
    from training.metrics import expected_rating

    parts = []
    for users in cases.blocks():
        table = cases.table(users, film_ids)
        parts.append(expected_rating(scored(name, model, table)))
        advance(name, table.num_rows)
    return np.concatenate(parts)


def is_bandit(model: Recommender) -> bool:
    """Whether a model can explore by Thompson sampling."""
    from modeling.baselines import RatingBaselineModel

    return isinstance(model.model, RatingBaselineModel) and model.model.config.kind == "bandit"


def thompson_scores(model: Recommender, cases: PolicyCases, film_ids: pa.Array, seed: int) -> np.ndarray:
    """What a bandit's Thompson sampling ranks all candidates by, `(candidates,)`: one draw of weights a user.

    All films must be of the model's catalogue.
    """
    import numpy as np
    import torch

    from reel.cases import EncodedCases
    from reel.recommender import CANDIDATES_AT_ONCE, TOKENS_AT_ONCE

    rows = np.array([model.catalogue.index.get(film, -1) for film in film_ids.to_pylist()], dtype=np.int32)
    # Not from a table: that would make one of users with equal histories (of no ratings), and give them one draw.
    users = np.repeat(np.arange(len(cases)), np.diff(cases.offsets))
    encoded = EncodedCases(
        rows[cases.candidate_films], users, list(rows[cases.history_films]), list(cases.history_ratings)
    )
    generator = torch.Generator().manual_seed(seed)
    scores = np.empty(len(encoded))
    for batch in encoded.batches(TOKENS_AT_ONCE, CANDIDATES_AT_ONCE):
        tensors = [torch.from_numpy(array).to(model.model.device) for array in batch.arrays]
        drawn = model.model.thompson(*tensors, generator)  # type: ignore[operator]
        scores[batch.cases] = drawn.cpu().numpy()[batch.rows, batch.columns]
    return scores


def print_policies(policy: Mapping[str, Any]) -> None:
    """Print what every ranking is worth, and its paired difference in rating to the film mean."""
    from rich import box
    from rich.table import Table

    title = (
        "Worth of the ten films ranked first among those that a user rated after the first "
        f"{policy['history_length']}, {policy['users']:,} users"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("policy", no_wrap=True)
    for heading, _ in PRINTED.values():
        table.add_column(heading, no_wrap=True)
    table.add_column("rating minus film mean", no_wrap=True)
    differences = {
        row["model"]: row for row in policy["paired"] if (row["baseline"], row["metric"]) == ("film mean", "rating")
    }
    for row in policy["results"]:
        numbers = [with_interval(row["metrics"][metric], "value", form) for metric, (_, form) in PRINTED.items()]
        paired = differences.get(row["name"])
        mark = "*" if paired is not None and paired["better"] else " "
        table.add_row(
            row["name"],
            *numbers,
            "" if paired is None else with_interval(paired, "difference", "{:+.3f}", mark=mark),
        )
    print_tables([table], width=None if sys.stdout.isatty() else PIPE_WIDTH)
