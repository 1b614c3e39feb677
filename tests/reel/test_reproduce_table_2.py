"""`reel reproduce table-2` on small saved models, end to end; mistakes."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from data_prep.dataset import load_histories
from data_prep.errors import UserError, exit_status
from modeling.baselines.configuration_rating_baseline import KINDS
from reel.cli import run
from reel.reproduce_table_2 import check_unseen


def command(tiny_models: dict[str, Path], dataset: Path, **changed: object) -> list[str]:
    options = {"weighted": tiny_models["model"], "unweighted": tiny_models["shrunk_bias"], "data": dataset} | changed
    return ["reproduce", "table-2", *(f"--{name.replace('_', '-')}={value}" for name, value in options.items())]


def saved_baselines(tiny_models: dict[str, Path]) -> list[str]:
    return ["--baselines", str(tiny_models["film_mean"]), str(tiny_models["shrunk_bias"])]


@pytest.fixture(scope="module")
def measured(tiny_models, tiny_dataset, tmp_path_factory) -> tuple[dict, Path]:
    """The report and the folder of one run."""
    folder = tmp_path_factory.mktemp("reproduce")
    out, figures = folder / "table.json", folder / "figures"
    run(command(tiny_models, tiny_dataset, out=out, figures=figures))
    return json.loads(out.read_text()), folder


def test_the_report(measured: tuple[dict, Path], tiny_models, tiny_dataset) -> None:
    report, _ = measured
    assert report["data"] == str(tiny_dataset)
    paths = [str(tiny_models["model"]), str(tiny_models["shrunk_bias"]), *(None for _ in KINDS)]
    assert [model["path"] for model in report["models"]] == paths
    assert [model["name"] for model in report["models"]] == ["weighted", "unweighted", *KINDS]
    for model in report["models"]:
        assert [(row["context_length"], row["sampling"]) for row in model["results"]] == [
            (length, sampling) for length in range(10) for sampling in ("natural", "stratified")
        ]
        assert {row["n"] for row in model["results"]} == {10 * report["protocol"]["users"]}
        assert all(0 <= row["metrics"]["reward_accuracy"]["value"] <= 1 for row in model["results"])
    assert report["paper"]["reward_accuracy"]["weighted"][5] == 0.7334


def test_the_baselines_are_the_saved_ones(measured: tuple[dict, Path]) -> None:
    """The unweighted model here is a saved shrunk bias of the same training users as the baseline that is computed."""
    results = {model["name"]: model["results"] for model in measured[0]["models"]}
    for ours, theirs in zip(results["unweighted"], results["shrunk-bias"], strict=True):
        assert ours["metrics"]["rmse"]["value"] == pytest.approx(theirs["metrics"]["rmse"]["value"], abs=1e-6)


def test_the_figures(measured: tuple[dict, Path]) -> None:
    _, folder = measured
    assert sorted(path.name for path in folder.iterdir()) == ["figures", "table.json"]
    names = sorted(path.name for path in (folder / "figures").iterdir())
    assert names == [f"figure_{number}.png" for number in (2, 3, 4, 5)]  # 4 shows the model, a baseline has no curve


def test_what_is_printed(tiny_models, tiny_dataset, tmp_path, capsys) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_models["model"], broken)
    (broken / "trainer_state.json").write_text('{"log_history": [{"loss": "low", "step": 1}]}')
    small = {"users": 4, "max_cases": 30, "figures": tmp_path / "figures"}
    run([*command(tiny_models, tiny_dataset, weighted=broken, **small), *saved_baselines(tiny_models)])
    printed = capsys.readouterr()
    assert "Reward accuracy" in printed.out
    assert "stratified: at most 100 cases per true rating" in printed.out
    assert "] (0.733) " in printed.out
    assert "film_mean " in printed.out
    assert "30 (739) " in printed.out
    assert "…" not in printed.out
    assert "weighted - unweighted" in printed.out
    for model in (broken, tiny_models["shrunk_bias"]):
        assert f"note: no learning curve in {model}" in printed.err
    assert not (tmp_path / "figures" / "figure_4.png").exists()
    assert "warning" not in printed.err  # both were trained on this data set's training users


def test_equal_seeds_give_equal_reports(tiny_models, tiny_dataset, tmp_path) -> None:
    for name in ("a.json", "b.json"):
        some = command(tiny_models, tiny_dataset, out=tmp_path / name, max_cases=20, seed=3)
        run([*some, *saved_baselines(tiny_models)])
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    models = json.loads((tmp_path / "a.json").read_text())["models"]
    assert [model["name"] for model in models] == ["weighted", "unweighted", "film_mean", "shrunk_bias"]


def test_test_users_are_no_training_users(tiny_dataset) -> None:
    train, test = (load_histories(str(tiny_dataset), split) for split in ("train", "test"))
    assert not set(train.user_ids) & set(test.user_ids)
    check_unseen("d", train, test)
    seen = dataclasses.replace(test, user_ids=[train.user_ids[0], *test.user_ids[1:]])
    with pytest.raises(UserError, match="1 of the 6 test users are training users too"):
        check_unseen("d", train, seen)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weighted": "absent"}, "absent"),
        ({"data": "no/such/place"}, "no/such/place: no such folder"),
        ({"users": 0}, "--users 0: must be 1 or more"),
        ({"max_cases": -1}, "--max-cases -1: must be 1 or more"),
        ({"baselines": "runs/unweighted"}, "'unweighted' is the name of an objective's column"),
        ({"seed": -1}, "--seed -1: must be 0 or more"),
        ({"users": "many"}, "many"),
        ({"out": "absent/report.json"}, "there is no folder absent"),
        ({"figures": "file"}, "no folder can be made there"),
    ],
)
def test_mistakes(tiny_models, tiny_dataset, tmp_path, monkeypatch, capsys, changed, message) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    options = {"out": "report.json", "figures": "figures"} | changed
    assert exit_status(run, command(tiny_models, tiny_dataset, **options)) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_users_with_too_few_ratings(tiny_models, tiny_films, tiny_ratings, tmp_path, capsys) -> None:
    from data_prep.dataset import write_dataset

    few = tiny_ratings.group_by("user_id", maintain_order=True).head(14)
    splits = {"train": 0.6, "validation": 0.2, "test": 0.2}
    write_dataset(tmp_path / "few", tiny_films, few, source="made up", splits=splits)
    assert exit_status(run, command(tiny_models, tmp_path / "few")) == 2
    assert "none of its test users has 19 ratings" in capsys.readouterr().err
