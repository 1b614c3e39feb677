"""
How far a trained model is to trust what it has learned, by people it has not learned from.

What training adds to the prior fits the people it was learned from better than others, the better the longer their
history, and the loss is those people's. So how much each part of it counts, six numbers, is fitted afterwards to
validation users, as a temperature would be. While no weight is below zero the logits are linear in them, and the loss
nearly convex. One more number, how far to expect a film's mean of somebody who has rated nothing, is chosen likewise.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from modeling.film_token_gpt2 import FilmTokenGPT2Model
from modeling.losses import RatingCrossEntropy
from training.histories import HistoryDataset

USERS = 1500  # at most, evenly from all that there are
SHRINKAGE = 1.0  # users of prior weight for counting as much as in training
HISTORIES_AT_ONCE = 32
ITERATIONS = 50
OPENINGS = tuple(step / 20 for step in range(21))  # to choose from


@torch.no_grad()
def fit_restraint(
    model: FilmTokenGPT2Model,
    dataset: HistoryDataset,
    loss: RatingCrossEntropy,
    *,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """
    Fit a trained model's `restraint`, in place.

    Args:
        model (`FilmTokenGPT2Model`): as training leaves it.
        dataset (`HistoryDataset`): uncut histories of users that the model has not learned from.
        loss (`RatingCrossEntropy`): the loss of training.
        progress: called after each of `num_batches(dataset)` batches.
    """
    rows = _rows(dataset)
    model.eval()
    parts = []
    for start in range(0, len(rows), HISTORIES_AT_ONCE):
        batch = dataset.batch(rows[start : start + HISTORIES_AT_ONCE])
        films, ratings = batch["film_ids"].to(model.device), batch["ratings"].to(model.device)
        output = model(films, ratings)
        real = ratings > 0
        counts = torch.arange(ratings.shape[1], device=model.device).expand_as(ratings)
        parts.append((output.prior_logits[real], output.added_logits[real], counts[real], ratings[real]))
        progress()
    prior, added, counts, labels = map(torch.cat, zip(*parts, strict=True))

    restraint = model.restraint.requires_grad_()
    optimizer = torch.optim.LBFGS([restraint], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        fit = loss(prior + model.restrained(added, counts), labels)
        total = fit + SHRINKAGE / len(rows) * restraint.square().sum()
        total.backward()
        return total

    with torch.enable_grad():
        optimizer.step(closure)
    restraint.requires_grad_(False).grad = None


@torch.no_grad()
def fit_opening(model: FilmTokenGPT2Model, dataset: HistoryDataset, loss: RatingCrossEntropy) -> None:
    """
    Fit a trained model's `opening`, in place, to every rating of the same users as if it were their first. Arguments
    as of `fit_restraint`, which comes before it.
    """
    model.eval()
    model.opening.zero_()
    rows = _rows(dataset)
    batch = dataset.batch(rows)
    real = batch["ratings"] > 0
    films, ratings = (batch[name][real].to(model.device) for name in ("film_ids", "ratings"))
    everything, catalogue = torch.arange(model.config.num_films, device=model.device), model.catalogue()
    nothing, unknown = everything.new_empty(1, 0), torch.zeros_like(everything)
    probabilities = model.score(model.read(nothing, nothing), everything[None], catalogue=catalogue)[0]
    logits = probabilities.clamp(min=1e-12).log()

    def worth(opening: float) -> float:
        model.opening.fill_(opening)
        opened = model.opened(logits, catalogue, unknown)[films]
        return float(loss(opened, ratings)) + SHRINKAGE / len(rows) * opening**2

    model.opening.fill_(min(OPENINGS, key=worth))


def _rows(dataset: HistoryDataset) -> np.ndarray:
    """Whose histories the fit is to; those of like length together, for less padding."""
    rows = np.linspace(0, len(dataset) - 1, min(USERS, len(dataset))).astype(np.int64)
    return rows[np.argsort(dataset.lengths(0)[rows], kind="stable")]


def num_batches(dataset: HistoryDataset) -> int:
    """Batches that `fit_restraint` reads."""
    return math.ceil(min(USERS, len(dataset)) / HISTORIES_AT_ONCE)
