"""Figures 2 to 5: that they hold what was measured and what was published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.test_evaluation import FILM_IDS, Point, make_histories, user_mean
from training.cases import ProtocolCases
from training.reproduction import paper
from training.reproduction.figures import comparison_figure, draw_figures, learning_curve_figure, scatter_figure
from training.reproduction.table_2 import Table2, draw_cases, sampled, table_2

CURVE = [(step, 5 / (1 + step)) for step in range(0, 400, 2)]


@pytest.fixture(scope="module")
def table() -> Table2:
    cases = ProtocolCases(make_histories([25] * 60), FILM_IDS)
    models = {"weighted": Point(user_mean), "unweighted": Point(), "film-mean": Point(lambda ratings: 7.0)}
    return table_2(models, cases, draw_cases(cases))


def title(axes) -> str:
    """Which side it is on is a matter of the style in force when the figure was drawn."""
    return axes.get_title() or axes.get_title("left")


def test_files(table: Table2, tmp_path: Path) -> None:
    written = draw_figures(table, {"weighted": CURVE, "unweighted": CURVE[:1]}, tmp_path / "new" / "figures")
    assert [path.name for path in written] == [f"figure_{number}.png" for number in (2, 3, 4, 5)]
    assert all(path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for path in written)


def test_without_a_learning_curve(table: Table2, tmp_path: Path) -> None:
    written = draw_figures(table, {}, tmp_path)
    assert [path.name for path in written] == [f"figure_{number}.png" for number in (2, 3, 5)]


def test_the_scatter_plots(table: Table2) -> None:
    panels = scatter_figure(table, "weighted").axes
    assert len(panels) == 10
    for length, axes in enumerate(panels):
        points = np.asarray(axes.collections[0].get_offsets())
        assert np.array_equal(np.round(points[:, 0]), table.ratings)
        assert np.allclose(points[:, 1], table.expected["weighted"][length])
        slope, intercept = np.polyfit(table.ratings, table.expected["weighted"][length], 1)
        assert np.allclose(axes.lines[1].get_ydata(), intercept + slope * np.array([1, 10]))
        published = f"(paper {paper.REWARD_ACCURACY['weighted'][length]:.2f})"
        assert title(axes).startswith(f"context {length}\nreward ")
        assert published in title(axes)


def test_the_learning_curve() -> None:
    figure = learning_curve_figure({"weighted": CURVE, "unweighted": CURVE[:3]})
    logged, smooth = figure.axes[0].lines
    assert np.allclose(logged.get_xydata(), CURVE)
    losses = np.array(CURVE)[:, 1]
    assert smooth.get_ydata()[100] == pytest.approx(losses[95:106].mean())
    assert smooth.get_ydata()[0] == pytest.approx(losses[:6].mean())
    assert np.allclose(figure.axes[1].lines[1].get_xydata(), CURVE[:3])  # too few points to smooth


def test_the_comparison(table: Table2) -> None:
    figure = comparison_figure(table.report)
    panels = {title(axes): axes for axes in figure.axes[:5]}
    accuracy = panels["Reward accuracy"]
    lines = {line.get_label(): line.get_ydata() for line in accuracy.lines}
    measured = [row["metrics"]["reward_accuracy"]["value"] for row in sampled(table.report, "weighted", "stratified")]
    assert np.allclose(lines["weighted"], measured)
    for objective in paper.OBJECTIVES:
        assert np.allclose(lines[f"{objective}, as published"], paper.REWARD_ACCURACY[objective])
    assert len(panels["Recall"].lines) == 3
    assert [text.get_text() for text in figure.axes[5].get_legend().get_texts()] == list(lines)
