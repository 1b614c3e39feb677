"""Figures 2 to 5 of the paper, drawn from what `table_2` measured, with the published numbers where there are some."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training import metrics
from training.figures import STYLE, LearningCurve, draw_learning_curve, draw_metric, layout, look, save_figures
from training.reproduction import paper
from training.reproduction.table_2 import Table2, sampled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCATTERS = {"figure_2": "unweighted", "figure_3": "weighted"}
COMPARED = {  # metric: title of its panel in figure 5
    "precision": "Precision",
    "recall": "Recall",
    "reward_accuracy": "Reward accuracy",
    "r2": "R²",
    "paper_r2": "paper_r2: R² of the fitted line",
}

Row = dict[str, Any]


def draw_figures(table: Table2, learning_curves: Mapping[str, LearningCurve], folder: Path) -> list[Path]:
    """Draw `figure_2.png` to `figure_5.png` into `folder`, which is made when absent.

    Args:
        table: of models called "weighted" and "unweighted", and baselines.
        learning_curves: objective -> its training run's losses; figure 4 is left out when there are none.
        folder: where to.

    Returns:
        The files written.
    """
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figures = {name: scatter_figure(table, objective) for name, objective in SCATTERS.items()}
        if learning_curves:
            figures["figure_4"] = learning_curve_figure(learning_curves)
        figures["figure_5"] = comparison_figure(table.report)
        return save_figures(figures, folder)


def scatter_figure(table: Table2, objective: str) -> Figure:
    """Figures 2 and 3: expected rating against true rating, one panel a context length, with the line fitted to the
    predictions, which `paper_r2` measures."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6.2), layout=layout())
    panels = figure.subplots(2, 5, sharex=True, sharey=True).ravel()
    rows = sampled(table.report, objective, "stratified")
    jitter = np.random.default_rng(0).uniform(-0.35, 0.35, len(table.ratings))
    ends = np.array([1, metrics.NUM_RATINGS])
    color = look(paper.OBJECTIVES.index(objective))["color"]
    for axes, row, expected, published in zip(
        panels, rows, table.expected[objective], paper.REWARD_ACCURACY[objective], strict=True
    ):
        axes.scatter(table.ratings + jitter, expected, s=5, alpha=0.35, linewidths=0, color=color)
        axes.plot(ends, ends, color="#777777", linewidth=1, linestyle=(0, (4, 3)))
        intercept, slope = metrics.fitted_line(expected, table.ratings)
        axes.plot(ends, intercept + slope * ends, color="black", linewidth=1.6)
        values = {metric: _number(row["metrics"][metric]["value"]) for metric in ("reward_accuracy", "r2", "paper_r2")}
        axes.set_title(
            f"context {row['context_length']}\n"
            f"reward {values['reward_accuracy']} (paper {_number(published)})\n"
            f"R² {values['r2']}, paper_r2 {values['paper_r2']}",
            fontsize=10,
        )
    panels[0].set(xlim=(0.4, 10.6), ylim=(0.6, 10.4), xticks=range(2, 11, 2), yticks=range(2, 11, 2))
    figure.suptitle(
        f"{objective.capitalize()} objective, stratified sample; dashed: perfect, solid: fitted", x=0.01, ha="left"
    )
    figure.supxlabel("true rating", fontsize=11)
    figure.supylabel("expected rating", fontsize=11)
    return figure


def learning_curve_figure(curves: Mapping[str, LearningCurve]) -> Figure:
    """Figure 4: training loss by step, one panel a run, as the losses of two objectives share no scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(curves), 3.8), layout=layout())
    for axes, (objective, curve) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True
    ):
        draw_learning_curve(axes, curve, look(paper.OBJECTIVES.index(objective))["color"])
        axes.set_title(f"{objective.capitalize()} objective")
    return figure


def comparison_figure(report: Row) -> Figure:
    """Figure 5: precision, recall, reward accuracy, R² and `paper_r2` by context length, stratified sample."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6.4), layout=layout())
    *panels, key = figure.subplots(2, 3, sharex=True).ravel()
    curves = {model["name"]: sampled(report, model["name"], "stratified") for model in report["models"]}
    for axes, (metric, title) in zip(panels, COMPARED.items(), strict=True):
        draw_metric(axes, curves, metric)
        axes.set_title(title)
        axes.set_xticks(paper.CONTEXT_LENGTHS)
        axes.tick_params(labelbottom=True)
        if metric == "reward_accuracy":
            _draw_published(axes)
            key.legend(*axes.get_legend_handles_labels(), loc="center")
    key.axis("off")
    figure.supxlabel("context length: films already rated", fontsize=11)
    return figure


def _draw_published(axes: Axes) -> None:
    for number, (objective, values) in enumerate(paper.REWARD_ACCURACY.items()):
        style = look(number) | {"linestyle": "--", "linewidth": 1.2, "markerfacecolor": "white"}
        axes.plot(paper.CONTEXT_LENGTHS, values, label=f"{objective}, as published", **style)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
