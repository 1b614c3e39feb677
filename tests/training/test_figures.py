"""The pictures of a report: that they hold its numbers, and that odd reports are drawn too."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from training.figures import calibration_figure, draw_figures, history_length_figure


def make_report(num_models: int = 2, lengths: tuple[int, ...] = (0, 5, 200)) -> dict:
    """A report with a curve that falls by .1 a length, and calibrated bins of 30 cases each, the last one empty."""
    bins = [
        {"from": b / 10, "to": (b + 1) / 10, "n": 30, "predicted": b / 10 + 0.05, "observed": b / 10 + 0.05}
        for b in range(10)
    ]
    bins[9] |= {"n": 0, "predicted": None, "observed": None}
    models = []
    for number in range(num_models):
        results = []
        for place, length in enumerate(lengths):
            value = 1.7 - 0.1 * place - 0.02 * number
            measured = {"value": value, "low": value - 0.05, "high": value + 0.05}
            row = {"population": "curve", "sampling": "natural", "context_length": length, "reliability": bins}
            results.append(row | {"metrics": {"rmse": measured, "reward_accuracy": measured}})
            results.append(row | {"population": "all"})
        models.append({"name": f"model-{number}", "results": results})
    return {"models": models}


def curves(report: dict) -> dict[str, list[dict]]:
    return {
        model["name"]: [row for row in model["results"] if row["population"] == "curve"] for model in report["models"]
    }


@pytest.mark.parametrize(("num_models", "lengths"), [(1, (0,)), (2, (0, 5, 200)), (7, (1, 2, 5))])
def test_files(tmp_path: Path, num_models: int, lengths: tuple[int, ...]) -> None:
    written = draw_figures(make_report(num_models, lengths), tmp_path / "new" / "figures")
    assert [path.name for path in written] == ["history_length.png", "calibration.png"]
    for path, expected_width in zip(written, (1520, 1024), strict=True):
        header = path.read_bytes()[:24]
        assert header[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">I", header[16:20])[0] == expected_width


def test_the_curves_hold_the_reports_numbers() -> None:
    figure = history_length_figure(curves(make_report()))
    for axes in figure.axes:
        assert [line.get_label() for line in axes.lines] == ["model-0", "model-1"]
        assert np.allclose(axes.lines[0].get_xydata(), [[0, 1.7], [5, 1.6], [200, 1.5]])
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "5", "200"]
        band = axes.collections[0].get_paths()[0].vertices
        assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((1.45, 1.75))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["model-0", "model-1"]


def test_the_calibration_plot_holds_the_bins() -> None:
    rows = {name: results[1] for name, results in curves(make_report()).items()}
    top, bottom = calibration_figure(rows).axes
    assert top.get_title(loc="left") or top.get_title() == "Calibration after 5 rated films"
    lines = {line.get_label(): line.get_xydata() for line in top.lines}
    assert np.allclose(lines["model-0"], [[b / 10 + 0.05] * 2 for b in range(9)])
    assert [bar.get_height() for bar in bottom.patches] == 2 * ([30] * 9 + [0])


def test_a_report_without_a_curve(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no curve"):
        draw_figures(make_report(lengths=()), tmp_path)
    assert not list(tmp_path.iterdir())
