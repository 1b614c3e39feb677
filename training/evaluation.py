"""The evaluation protocol: several models scored on the same cases, with intervals and paired differences.

Any object with `predict_cases(table) -> probabilities [n, 10]` can be scored; `reel evaluate` hands in Recommenders.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from data_prep.errors import UserError
from training import metrics
from training.bootstrap import NUM_RESAMPLES, Resamples, interval
from training.cases import CASES_PER_RATING, NUM_TARGETS, LengthPlan, ProtocolCases, stratified_sample

USERS_PER_CALL = 2000  # 20,000 cases a call: bounds the memory of a table and lets progress be seen

Row = dict[str, Any]
Advance = Callable[[str, int], None]


class CaseScorer(Protocol):
    """What can be evaluated."""

    def predict_cases(self, cases: pa.Table) -> np.ndarray:
        """Probabilities of ratings 1..10 for each row of a table with `case_id`, `history_film_ids`,
        `history_ratings`, `film_id`: float [n, 10]."""
        ...


def evaluate(
    models: Mapping[str, CaseScorer],
    cases: ProtocolCases,
    plan: LengthPlan,
    *,
    split: str = "test",
    seed: int = 0,
    advance: Advance = lambda model, num_cases: None,
) -> Row:
    """Score every model at every history length of `plan`.

    Args:
        models: name -> model.
        cases: the split's users.
        plan: which lengths, and for whom.
        split: the split's name, as written into each result.
        seed: of the bootstrap.
        advance: told the model's name and the number of cases whenever some have been scored.

    Returns:
        `models`: [{"name", "results": [...]}], `paired`: [...] and `protocol`, as in the report of `reel evaluate`: a
        result has `split`, `population` ("curve", "all"), `sampling` ("natural", "stratified"),
        `context_length`, `n` cases and `metrics`; natural ones also `reliability`, the ten bins of the ECE.
        Differences are `model` minus `baseline`; `better` names one where the interval excludes 0.

    Raises:
        UserError: a model predicts something that is no distribution.
    """
    scoreboard = Scoreboard(list(models), seed=seed)
    curve_users = cases.users_with_room(max(plan.curve)) if plan.curve else np.zeros(0, dtype=np.int64)
    for length in plan.all:
        users = cases.users_with_room(length)
        predictions = {name: _predict(name, model, cases, users, length, advance) for name, model in models.items()}
        populations = {"all": np.ones(len(users), dtype=bool)}
        if length in plan.curve:
            populations["curve"] = np.isin(users, curve_users)
        for population, members in populations.items():
            chosen = users[members]
            scoreboard.add(
                {name: probabilities[np.repeat(members, NUM_TARGETS)] for name, probabilities in predictions.items()},
                cases.target_ratings[chosen].ravel(),
                groups=np.repeat(chosen, NUM_TARGETS),
                sample_keys=cases.sample_keys[chosen].ravel(),
                labels={"split": split, "population": population, "context_length": length},
            )
    return {
        "models": [{"name": name, "results": rows} for name, rows in scoreboard.results.items()],
        "paired": scoreboard.paired,
        "protocol": {
            "seed": seed,
            "targets_per_user": NUM_TARGETS,
            "stratified_cases_per_rating": CASES_PER_RATING,
            "bootstrap": {"resamples": NUM_RESAMPLES, "unit": "user", "interval": 0.95},
            "users": {
                "with_ten_ratings": len(cases),
                "left_out": cases.num_left_out,
                "curve": len(curve_users),
                "all": {str(length): len(cases.users_with_room(length)) for length in plan.all},
            },
            "curve_lengths": list(plan.curve),
            "notes": list(plan.notes),
        },
    }


class Scoreboard:
    """The rows of a report, collected one set of cases after another.

    Args:
        models: their names.
        seed: of the bootstrap.

    Attributes:
        results: model -> a row for each set of cases and sampling.
        paired: a row for each ordered pair of models, set of cases, sampling and compared metric.
    """

    def __init__(self, models: Sequence[str], *, seed: int) -> None:
        self.results: dict[str, list[Row]] = {name: [] for name in models}
        self.paired: list[Row] = []
        self.seed = seed

    def add(
        self,
        predictions: Mapping[str, np.ndarray],
        ratings: np.ndarray,
        *,
        groups: np.ndarray,
        sample_keys: np.ndarray,
        labels: Row,
    ) -> None:
        """Score the models on one set of cases, in both samplings.

        Args:
            predictions: model -> probabilities [n, 10].
            ratings: [n], 1..10.
            groups: [n] what the bootstrap draws: each case's user, or its film.
            sample_keys: [n] what the stratified sample is drawn by.
            labels: split, population and context length, copied into every row.
        """
        samples = {"natural": np.arange(len(ratings)), "stratified": stratified_sample(ratings, sample_keys)}
        for sampling, sample in samples.items():
            resamples = Resamples(groups[sample], seed=self.seed)
            truth = ratings[sample]
            scored = {
                name: (score(probabilities[sample], truth), resamples.metrics(probabilities[sample], truth))
                for name, probabilities in predictions.items()
            }
            for name, (values, resampled) in scored.items():
                row = {**labels, "sampling": sampling, "n": len(sample)}
                row["metrics"] = {
                    metric: _with_interval("value", value, resampled[metric]) for metric, value in values.items()
                }
                if sampling == "natural":
                    row["reliability"] = reliability(predictions[name], truth)
                self.results[name].append(row)
            for model, baseline in permutations(scored, 2):
                for metric in metrics.LOWER_IS_BETTER:
                    (value, drawn), (other_value, other_drawn) = (
                        (values[metric], resampled[metric]) for values, resampled in (scored[model], scored[baseline])
                    )
                    row = {"model": model, "baseline": baseline, **labels}
                    row |= {"sampling": sampling, "metric": metric}
                    row |= _with_interval("difference", value - other_value, drawn - other_drawn)
                    self.paired.append(row | {"better": _better(row)})


def score(probabilities: np.ndarray, ratings: np.ndarray) -> dict[str, float]:
    """Every metric of the protocol: name -> value. Probabilities [n, 10], ratings [n]."""
    return {metric: function(probabilities, ratings) for metric, function in metrics.METRICS.items()}


def reliability(probabilities: np.ndarray, ratings: np.ndarray) -> list[Row]:
    """The bins of the ECE: for each of ten equal intervals of P(rating >= 7) the number of cases, their mean
    P(rating >= 7) and the share that was rewarded (None where a bin is empty)."""
    predicted, rewarded = metrics.reward_probability(probabilities), metrics.reward(ratings)
    bins = metrics.ece_bin(predicted)
    return [
        {
            "from": index / metrics.ECE_BINS,
            "to": (index + 1) / metrics.ECE_BINS,
            "n": int(inside.sum()),
            "predicted": float(predicted[inside].mean()) if inside.any() else None,
            "observed": float(rewarded[inside].mean()) if inside.any() else None,
        }
        for index in range(metrics.ECE_BINS)
        for inside in [bins == index]
    ]


def scored(name: str, model: CaseScorer, cases: pa.Table) -> np.ndarray:
    """What a model predicts of `cases`: float64 [n, 10], rows that sum to 1.

    Raises:
        UserError: it does not know a film of the cases, or predicts something that is no distribution.
    """
    try:
        probabilities = model.predict_cases(cases)
    except UserError as error:
        raise UserError(f"model {name}: {error}; score it on the films that it was trained on") from error
    return checked(name, probabilities, cases.num_rows)


def checked(name: str, probabilities: np.ndarray, num_cases: int) -> np.ndarray:
    """`probabilities` as float64 rows that sum to 1.

    Raises:
        UserError: a row is no distribution over ten ratings.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.shape != (num_cases, metrics.NUM_RATINGS):
        raise ValueError(f"model {name}: shape {probabilities.shape} in place of {(num_cases, metrics.NUM_RATINGS)}")
    sums = probabilities.sum(axis=1)
    right = (np.abs(sums - 1) < 1e-3) & (probabilities >= 0).all(axis=1)  # false for nan
    if not right.all():
        row = np.round(probabilities[int(np.argmin(right))], 4).tolist()
        raise UserError(f"model {name}: predicts {row}, which is no distribution over ratings; train it again")
    return probabilities / sums[:, None]


def _predict(
    name: str, model: CaseScorer, cases: ProtocolCases, users: np.ndarray, context_length: int, advance: Advance
) -> np.ndarray:
    """Probabilities [10 len(users), 10] of the users' targets after histories of that length."""
    parts = []
    for start in range(0, len(users), USERS_PER_CALL):
        table = cases.table(users[start : start + USERS_PER_CALL], context_length)
        parts.append(scored(name, model, table))
        advance(name, table.num_rows)
    return np.concatenate(parts)


def _with_interval(key: str, value: float, resampled: np.ndarray) -> Row:
    """`value` under `key`, and its interval; None for nan, which JSON does not have."""
    numbers = {key: value} | dict(zip(("low", "high"), interval(resampled), strict=True))
    return {name: None if math.isnan(number) else float(number) for name, number in numbers.items()}


def _better(row: Row) -> str | None:
    """The model that a paired row shows to be better; None where the interval includes zero."""
    if row["low"] is None or row["low"] <= 0 <= row["high"]:
        return None
    return row["model"] if (row["high"] < 0) == metrics.LOWER_IS_BETTER[row["metric"]] else row["baseline"]
