"""The `evaluate` module `spaces/rating_metrics`: loaded by path, against the protocol's metrics and scikit-learn."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from training import metrics

evaluate = pytest.importorskip("evaluate")

REPOSITORY = Path(__file__).resolve().parents[2]
SPACE = REPOSITORY / "spaces" / "rating_metrics"
NAMES = ("rmse", "mae", "reward_accuracy", "precision", "recall", "r2", "paper_r2", "nll", "rps", "ece", "auc")
EVEN = [0.1] * 10


@pytest.fixture(scope="module")
def rating_metrics() -> Any:
    return evaluate.load(str(SPACE))


def random_cases(seed: int, num_cases: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Distributions, some of them equal (ties), and ratings drawn from them."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(10, 0.7), 50)[generator.integers(50, size=num_cases)]
    return probabilities, np.array([generator.choice(10, p=row) + 1 for row in probabilities])


@pytest.mark.parametrize("seed", range(5))
def test_the_numbers_are_the_protocols(rating_metrics: Any, seed: int) -> None:
    probabilities, ratings = random_cases(seed)
    ours = {name: metrics.METRICS[name](probabilities, ratings) for name in NAMES}
    assert rating_metrics.compute(predictions=probabilities, references=ratings) == pytest.approx(ours, abs=1e-12)


def test_against_scikit_learn(rating_metrics: Any) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    from sklearn.calibration import calibration_curve
    from sklearn.linear_model import LinearRegression

    probabilities, ratings = random_cases(11)
    expected, chance, rewarded = probabilities @ np.arange(1, 11), probabilities[:, 6:].sum(axis=1), ratings >= 7
    line = LinearRegression().fit(ratings[:, None], expected).predict(ratings[:, None])
    observed, predicted = calibration_curve(rewarded, chance, n_bins=10)
    sizes = np.histogram(chance, np.linspace(0, 1, 11))[0]
    at_most = np.cumsum(probabilities, axis=1)
    peers = {
        "rmse": sklearn.root_mean_squared_error(ratings, expected),
        "mae": sklearn.mean_absolute_error(ratings, expected),
        "reward_accuracy": sklearn.accuracy_score(rewarded, chance >= 0.5),
        "precision": sklearn.precision_score(rewarded, chance >= 0.5),
        "recall": sklearn.recall_score(rewarded, chance >= 0.5),
        "r2": sklearn.r2_score(ratings, expected),
        "paper_r2": sklearn.r2_score(ratings, line),
        "nll": sklearn.log_loss(ratings, probabilities, labels=range(1, 11)),
        # The Brier scores (mean squared errors) of the nine questions "at most t?", summed.
        "rps": sum(sklearn.brier_score_loss(ratings <= t, at_most[:, t - 1].clip(0, 1)) for t in range(1, 10)),
        "ece": np.abs(observed - predicted) @ sizes[sizes > 0] / len(ratings),
        "auc": sklearn.roc_auc_score(rewarded, chance),
    }
    assert rating_metrics.compute(predictions=probabilities, references=ratings) == pytest.approx(peers, abs=1e-9)


def test_by_hand(rating_metrics: Any) -> None:
    results = rating_metrics.compute(
        predictions=[[0, 0, 0, 0, 0.5, 0, 0, 0.5, 0, 0], [0, 0, 0, 0, 0, 0, 0.2, 0.8, 0, 0]], references=[6, 8]
    )
    by_hand = {
        "rmse": np.sqrt((0.5**2 + 0.2**2) / 2),
        "mae": 0.35,
        "reward_accuracy": 0.5,  # P(>= 7) = .5 for the 6, which is wrongly rewarded
        "precision": 0.5,
        "recall": 1,
        "r2": 1 - 0.29 / 2,
        "paper_r2": 1 - 0.29 / 2,  # a line through two points meets both
        "nll": (27.631021 - np.log(0.8)) / 2,
        "rps": (3 * 0.25 + 0.2**2) / 2,
        "ece": 0.25,
        "auc": 1,
    }
    assert results == pytest.approx(by_hand, abs=1e-6)
    assert tuple(sorted(results)) == tuple(sorted(NAMES))


@pytest.mark.parametrize(
    ("probabilities", "ratings", "without_value"),
    [
        (np.eye(10)[[1, 8]], [2, 3], {"recall", "auc"}),
        (np.eye(10)[[8, 7]], [8, 10], {"auc"}),
        (np.eye(10)[[1, 8]], [9, 9], {"auc", "r2", "paper_r2"}),  # all ratings equal
        (np.eye(10)[[1, 2]], [3, 9], {"precision"}),  # nothing is predicted to be rewarded
    ],
)
def test_quotients_without_a_denominator(
    rating_metrics: Any, probabilities: np.ndarray, ratings: list[int], without_value: set[str]
) -> None:
    results = rating_metrics.compute(predictions=probabilities, references=ratings)
    assert {name for name, value in results.items() if value is None} == without_value


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([], [], "no case to score"),
        ([EVEN, [0.2] * 10], [3, 4], r"predictions\[1\] is .* sums to 2; .* sum to 1"),
        ([[1.5, -0.5] + [0] * 8], [3], r"predictions\[0\]"),
        ([[float("nan")] * 10], [3], r"predictions\[0\]"),
        ([[0.0] * 10], [3], "sums to 0"),
        ([[None] * 10], [3], r"predictions\[0\]"),
        ([EVEN], [0], r"references\[0\] is 0.0; ratings are the whole numbers 1..10"),
        ([EVEN, EVEN], [3, 6.5], r"references\[1\] is 6.5"),
        ([EVEN], [11], "1..10"),
        ([EVEN], [None], "1..10"),
        ([EVEN], [float("nan")], "1..10"),
        ([[1 / 9] * 9], [3], "length=10"),
        ([EVEN, EVEN], [3], "Mismatch"),
    ],
)
def test_mistakes(predictions: list, references: list, message: str) -> None:
    module = evaluate.load(str(SPACE))
    with pytest.raises(ValueError, match=message):
        module.compute(predictions=predictions, references=references)


def test_a_mistake_leaves_the_module_usable(rating_metrics: Any) -> None:
    with pytest.raises(ValueError, match="sums to 2"):
        rating_metrics.compute(predictions=[[0.2] * 10], references=[3])
    assert rating_metrics.compute(predictions=[EVEN], references=[5])["mae"] == pytest.approx(0.5)


def test_batches_and_half_precision(rating_metrics: Any) -> None:
    probabilities, ratings = random_cases(3, 60)
    whole = rating_metrics.compute(predictions=probabilities.astype(np.float16), references=ratings)
    for rows in (slice(0, 20), slice(20, 60)):
        rating_metrics.add_batch(predictions=probabilities[rows].astype(np.float16), references=ratings[rows])
    assert rating_metrics.compute() == whole


def test_the_docstring_example(monkeypatch: pytest.MonkeyPatch, rating_metrics: Any) -> None:
    monkeypatch.chdir(REPOSITORY)
    module = inspect.getmodule(type(rating_metrics))
    results = doctest.testmod(module)
    assert results.attempted >= 6
    assert results.failed == 0


def test_the_readmes_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(REPOSITORY)
    (example,) = re.findall(r"^```python\n(.*?)^```", (SPACE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    exec(example, {})
    assert capsys.readouterr().out.strip() == example.strip().splitlines()[-1].split("# ")[1]


def test_the_folder_stands_alone() -> None:
    assert {path.name for path in SPACE.iterdir()} >= {"README.md", "app.py", "rating_metrics.py", "requirements.txt"}
    assert not (SPACE / "__init__.py").exists()
    required = set(re.findall(r"^(\w+)>=", (SPACE / "requirements.txt").read_text(), re.MULTILINE))
    for name, provided in (("rating_metrics.py", required), ("app.py", required | {"gradio"})):
        imported: set[str] = set()
        for node in ast.walk(ast.parse((SPACE / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).split(".")[0])
        assert imported <= provided | sys.stdlib_module_names


def test_the_front_matter() -> None:
    import gradio
    import yaml

    front = yaml.safe_load((SPACE / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert (front["sdk"], front["sdk_version"]) == ("gradio", gradio.__version__)
    assert {"evaluate", "metric"} <= set(front["tags"])
    assert len(front["short_description"]) <= 60  # the Hub refuses longer ones


@pytest.fixture(scope="module")
def app() -> ModuleType:
    """The Space's app.py, under a name that no other Space's has."""
    pytest.importorskip("gradio")
    spec = importlib.util.spec_from_file_location("rating_metrics_app", SPACE / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page(app: ModuleType, rating_metrics: Any) -> None:
    import gradio

    results = app.compute(*app.EXAMPLE)
    assert results == rating_metrics.compute(predictions=ast.literal_eval(app.EXAMPLE[0]), references=[9, 4])
    assert app.demo.article.lstrip().startswith("# Metric card")
    for predictions, references in (("[[1]]", "[1]"), ("no JSON", "[1]"), ("1", "1"), (app.EXAMPLE[0], "[0, 4]")):
        with pytest.raises(gradio.Error):
            app.compute(predictions, references)
