"""New films: the ratings of films that no training user's rating and no history shows (`cold_cases` of a data set)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from training.cases import fingerprints, hashes, laid_out, mix, salted
from training.evaluation import Advance, CaseScorer, Row, Scoreboard, scored

if TYPE_CHECKING:
    from data_prep.dataset import ColdCases, Histories

FULL = "full"
CONTEXT_LENGTHS = (50, FULL)
CASES_PER_CALL = 20_000


class ColdTables:
    """Cold cases as tables for `predict_cases`.

    Args:
        cold: the cases of a split.
        histories: that split's users: they tell whose history is ordered.
        film_ids: film_index -> film_id.
        seed: of the draw of shorter histories, and of the stratified sample.
        users: only cases of these user ids; None means everyone.
    """

    def __init__(
        self,
        cold: ColdCases,
        histories: Histories,
        film_ids: Sequence[str],
        *,
        seed: int = 0,
        users: Collection[str] | None = None,
    ) -> None:
        names = cold.histories.user_ids
        ordered = dict(zip(histories.user_ids, histories.ordered.tolist(), strict=True))
        self.cold = replace(
            cold, histories=replace(cold.histories, ordered=np.array([ordered.get(n, False) for n in names], bool))
        )
        chosen = None if users is None else set(users)
        self.cases = np.array([case for case, name in enumerate(names) if chosen is None or name in chosen], np.int64)
        self.film_ids = pa.array(film_ids, type=pa.string())
        self._film_keys = hashes(film_ids, "film")
        prints = fingerprints(cold.histories, self._film_keys)
        self._user_keys = salted(prints, f"{seed} order")
        self.sample_keys = mix(salted(prints, f"{seed} sample") ^ self._film_keys[cold.film_index])

    def with_room(self, context_length: int | str) -> np.ndarray:
        """The cases whose history is at least that long; all for "full"."""
        if context_length == FULL:
            return self.cases
        return self.cases[self.cold.histories.lengths()[self.cases] >= int(context_length)]

    def table(self, cases: np.ndarray, context_length: int | str) -> pa.Table:
        """Those cases with so many ratings of history (the latest where ordered, else a seeded draw), or all."""
        histories = self.cold.histories
        rows = laid_out(histories, cases, self._user_keys[cases], self._film_keys)
        lengths = histories.lengths()[cases]
        if context_length != FULL:
            ends = np.cumsum(lengths)
            rows = rows[ends[:, None] - int(context_length) + np.arange(int(context_length))].ravel()
            lengths = np.full(len(cases), int(context_length))
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), type=pa.int32())
        return pa.table(
            {
                "case_id": pa.array(cases),
                "history_film_ids": pa.ListArray.from_arrays(offsets, self._named(histories.film_indices[rows])),
                "history_ratings": pa.ListArray.from_arrays(offsets, pa.array(histories.ratings[rows], pa.int8())),
                "film_id": self._named(self.cold.film_index[cases]),
            }
        )

    def _named(self, film_indices: np.ndarray) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(film_indices, type=pa.int32()), self.film_ids)


def evaluate_cold(
    models: Mapping[str, CaseScorer],
    tables: ColdTables,
    *,
    split: str,
    seed: int = 0,
    advance: Advance = lambda model, num_cases: None,
) -> Row:
    """Score every model on new films, after histories of 50 ratings and after full ones; the bootstrap draws films.

    Returns:
        `results`: model -> rows and `paired`: rows, like those of `training.evaluation.evaluate`, with split
        "cold_<split>" and `context_length` 50 or "full"; `protocol`: the numbers of films and cases.
    """
    scoreboard = Scoreboard(list(models), seed=seed)
    for length in CONTEXT_LENGTHS:
        cases = tables.with_room(length)
        if not len(cases):
            continue
        predictions: dict[str, np.ndarray] = {}
        for name, model in models.items():
            parts = []
            for start in range(0, len(cases), CASES_PER_CALL):
                table = tables.table(cases[start : start + CASES_PER_CALL], length)
                parts.append(scored(name, model, table))
                advance(name, table.num_rows)
            predictions[name] = np.concatenate(parts)
        scoreboard.add(
            predictions,
            tables.cold.rating[cases],
            groups=tables.cold.film_index[cases],
            sample_keys=tables.sample_keys[cases],
            labels={"split": f"cold_{split}", "population": "all", "context_length": length},
        )
    films = len(np.unique(tables.cold.film_index[tables.cases]))
    protocol = {"films": films, "cases": {str(length): len(tables.with_room(length)) for length in CONTEXT_LENGTHS}}
    return {
        "results": scoreboard.results,
        "paired": scoreboard.paired,
        "protocol": protocol | {"bootstrap_unit": "film"},
    }
