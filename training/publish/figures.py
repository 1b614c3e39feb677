"""The pictures of a model's card: from its report accuracy by history length and calibration; the learning curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training.figures import STYLE, draw_figures, learning_curve_figure, save_figures
from training.publish.results import Results

CAPTIONS = {
    "history_length.png": "RMSE and reward accuracy by history length",
    "calibration.png": "Calibration of the predicted probability of a rating of 7 or more",
    "learning_curve.png": "Training loss by optimiser step",
}


def draw_card_figures(results: Results | None, curve: dict[str, Any] | None, folder: Path) -> dict[str, str]:
    """
    Draw what there are numbers for.

    Args:
        results (`Results`, *optional*): of the evaluation.
        curve (`dict`, *optional*): the trainer's state.
        folder (`Path`): where to.

    Returns:
        The captions by file.
    """
    import matplotlib

    drawn = []
    if results is not None and results.report["protocol"]["curve_lengths"]:
        drawn += draw_figures(results.report, folder)
    losses = [(row["step"], row["loss"]) for row in (curve or {}).get("log_history", ()) if "loss" in row]
    if losses:
        with matplotlib.rc_context(STYLE):
            drawn += save_figures({"learning_curve": learning_curve_figure(losses)}, folder)
    return {path.name: CAPTIONS[path.name] for path in drawn}
