"""Pictures of an evaluation report, drawn from nothing else: the curves by history length, and calibration."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_prep.folders import new_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any colour vision; black and yellow are left out (text; too pale on white).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")
STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "legend.frameon": False,
}
DOTS_PER_INCH = 160  # 1,520 pixels across: sharp at the width of a README on a dense screen
FEWEST_CASES = 20  # a share of fewer cases is mostly noise
SMOOTHED_OVER = 20  # a learning curve's running mean takes the 20th part of its points
CALIBRATION_LENGTH = 20  # the curve's length nearest to this is drawn unless another is asked for

Row = dict[str, Any]
LearningCurve = list[tuple[int, float]]  # step, loss


def draw_figures(report: Row, folder: Path, *, calibration_length: int | None = None) -> list[Path]:
    """Draw `history_length.png` and `calibration.png` into `folder`, which is made when absent.

    Args:
        report: of `reel evaluate`.
        folder: where to.
        calibration_length: history length of the calibration plot, one of the curve's.

    Returns:
        The files written.

    Raises:
        ValueError: the report has no curve.
    """
    import matplotlib

    curves = {model["name"]: _curve(model) for model in report["models"]}
    lengths = [row["context_length"] for row in next(iter(curves.values()))]
    if not lengths:
        raise ValueError("the report has no curve over history lengths")
    if calibration_length is None:
        calibration_length = min(lengths, key=lambda length: abs(length - CALIBRATION_LENGTH))
    chosen = {name: rows[lengths.index(calibration_length)] for name, rows in curves.items()}
    with matplotlib.rc_context(STYLE):
        figures = {"history_length": history_length_figure(curves), "calibration": calibration_figure(chosen)}
        return save_figures(figures, folder)


def save_figures(figures: dict[str, Figure], folder: Path) -> list[Path]:
    """Write each figure as `<name>.png` into `folder`, which is made when absent; the files written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in figures.items():
        written.append(folder / f"{name}.png")
        FigureCanvasAgg(figure)
        with new_file(written[-1]) as building:
            figure.savefig(building, format="png", dpi=DOTS_PER_INCH)
    return written


def history_length_figure(curves: dict[str, list[Row]]) -> Figure:
    """RMSE and reward accuracy by history length, one line a model, with 95 % bands.

    Args:
        curves: model -> its results on the curve, by history length.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 4.2), layout=layout())
    left, right = figure.subplots(1, 2)
    draw_metric(left, curves, "rmse")
    left.set_title("RMSE, ratings of 1 to 10 (lower is better)")
    draw_metric(right, curves, "reward_accuracy")
    right.set_title("Reward accuracy (higher is better)")
    right.yaxis.set_major_formatter(lambda value, position: f"{100 * value:.3g} %")
    lengths = [row["context_length"] for row in next(iter(curves.values()))]
    for axes in (left, right):
        _history_axis(axes, lengths)
    figure.supxlabel("history length: films already rated", fontsize=11)
    _legend(figure, left)
    return figure


def calibration_figure(rows: dict[str, Row]) -> Figure:
    """How often a film was rated 7 or more, against the predicted probability of it; below, how many cases fall into
    each bin. Bins of under 20 cases are left out of the lines.

    Args:
        rows: model -> its result at one history length.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 6.4), layout=layout())
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    top.plot([0, 1], [0, 1], color="#777777", linewidth=1.2, linestyle=(0, (4, 3)), clip_on=False)
    top.text(0.98, 0.04, "dashed: perfectly calibrated", ha="right", color="#666666", fontsize=10)
    for number, (name, row) in enumerate(rows.items()):
        bins = row["reliability"]
        shown = [bin_ for bin_ in bins if bin_["n"] >= FEWEST_CASES]
        predicted, observed = ([bin_[key] for bin_ in shown] for key in ("predicted", "observed"))
        top.plot(predicted, observed, label=name, clip_on=False, **look(number))
        width = 0.08 / len(rows)
        left = np.array([bin_["from"] for bin_ in bins]) + 0.01 + number * width
        bottom.bar(left, [bin_["n"] for bin_ in bins], width, align="edge", color=look(number)["color"])
    length = next(iter(rows.values()))["context_length"]
    top.set_title(f"Calibration after {length} rated films" if length != 1 else "Calibration after one rated film")
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="share rated 7 or more")
    bottom.set(xlabel="predicted probability of a rating of 7 or more", ylabel="cases", ylim=(0, None))
    bottom.set_xticks(np.arange(11) / 10)
    bottom.grid(False, axis="x")
    bottom.yaxis.set_major_formatter(lambda value, position: f"{value:,.0f}")
    _legend(figure, top)
    return figure


def learning_curve_figure(curve: LearningCurve) -> Figure:
    """Training loss by optimiser step, as logged and as a running mean."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.8), layout=layout())
    draw_learning_curve(figure.subplots(), curve, look(0)["color"])
    return figure


def draw_learning_curve(axes: Axes, curve: LearningCurve, color: str) -> None:
    """Losses by step, as logged and as a running mean."""
    steps, losses = np.array(curve, dtype=np.float64).T
    axes.plot(steps, losses, color=color, alpha=0.3, linewidth=0.8, label="logged")
    axes.plot(steps, _running_mean(losses), color=color, linewidth=1.8, label="running mean")
    axes.set(xlabel="optimiser steps", ylabel="training loss")
    axes.xaxis.set_major_formatter(lambda value, position: f"{value:,.0f}")
    axes.legend()


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Means over the neighbours of every value; over fewer of them at the ends."""
    window = np.ones(2 * (len(values) // (2 * SMOOTHED_OVER)) + 1)
    return np.convolve(values, window, mode="same") / np.convolve(np.ones_like(values), window, mode="same")


def layout() -> Any:
    """Room between and around the axes of a figure."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    return ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)  # inches


def _curve(model: Row) -> list[Row]:
    rows = (row for row in model["results"] if (row["population"], row["sampling"]) == ("curve", "natural"))
    return sorted(rows, key=lambda row: row["context_length"])


def draw_metric(axes: Axes, curves: dict[str, list[Row]], metric: str) -> None:
    """A metric by history length, one line a model, with 95 % bands.

    Args:
        axes: to draw on.
        curves: model -> its results, by history length.
        metric: one of `training.metrics.METRICS`.
    """
    for number, (name, rows) in enumerate(curves.items()):
        lengths = [row["context_length"] for row in rows]
        value, low, high = (
            np.array([row["metrics"][metric][key] for row in rows], dtype=np.float64)
            for key in ("value", "low", "high")
        )
        axes.fill_between(lengths, low, high, color=look(number)["color"], alpha=0.14, linewidth=0)
        axes.plot(lengths, value, label=name, **look(number))


def _history_axis(axes: Axes, lengths: Iterable[int]) -> None:
    """Logarithmic, with a place for 0; every length measured has its tick."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.5)
    axes.set_xticks(list(lengths), [str(length) for length in lengths])
    axes.xaxis.set_minor_locator(_no_ticks())
    axes.margins(x=0.03)


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def look(number: int) -> dict[str, Any]:
    """Colour and marker of the model at that position; past six models the line style changes too."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": ("-", "--", ":")[number // len(COLOURS) % 3],
        "linewidth": 1.8,
        "markersize": 5,
    }


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=min(len(labels), 4))
