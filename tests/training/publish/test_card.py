"""A model's card: valid metadata, the report's numbers, nothing of this machine; the data set's card is valid too."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.repocard import metadata_load
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from data_prep.building import card as dataset_card
from data_prep.errors import UserError
from tests.hub_server import HubServer
from tests.training.publish.conftest import MODELS
from training.publish.card import ModelCard
from training.publish.folder import card_of, model_files
from training.publish.record import TrainingRecord
from training.publish.results import COMPARED, METRICS, Results

SECTIONS = ["Use", "Training data", "Evaluation", "How it was made", "Intended use", "Risks", "Citation"]


@pytest.fixture(params=[*MODELS])
def folder(request, model_folders) -> Path:
    return model_folders[request.param]


@pytest.fixture
def published(folder: Path, report: Path, tmp_path: Path) -> Path:
    """The card that goes to the Hub with the report's numbers."""
    card = card_of(folder, repo_id="user/rates-films", licence="cc-by-4.0", report=report)
    text = model_files(folder, card, tmp_path)[0]["README.md"]
    assert isinstance(text, bytes)
    (tmp_path / "README.md").write_bytes(text)
    return tmp_path / "README.md"


def natural(report: dict[str, Any], name: str, **labels: Any) -> dict[str, Any]:
    (model,) = (model for model in report["models"] if model["name"] == name)
    labels |= {"sampling": "natural"}
    (row,) = (row for row in model["results"] if all(row[key] == value for key, value in labels.items()))
    return row


def test_every_saved_model_has_a_card(folder: Path, online: HubServer) -> None:
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    card.validate()
    assert re.findall("^## (.*)$", card.text, re.M) == SECTIONS
    assert "Not evaluated yet" in card.text
    assert card.data.library_name == "transformers"
    record = TrainingRecord.load(folder)
    assert f"{record.ratings:,} ratings of 48 training users" in card.text
    assert f"{record.weights:,} weights" in card.text
    for name, value in record.hyperparameters.items():
        assert f"| `{name}` | {value} |" in card.text
    for place in (str(folder.parent), tempfile.gettempdir(), str(Path.home())):
        assert place not in card.content
        assert place not in (folder / "training.json").read_text()
    for code in re.findall(r"^```python\n(.*?)^```", card.text, re.M | re.S):
        compile(code, "README.md", "exec")


def test_its_metadata_are_valid_and_its_numbers_the_reports(
    folder: Path, published: Path, report: Path, online: HubServer
) -> None:
    card = huggingface_hub.ModelCard.load(published)
    card.validate()
    assert len(online.asked("POST /api/validate-yaml")) == 1
    metadata = metadata_load(published)
    assert metadata is not None
    name, results = model_index_to_eval_results(metadata["model-index"])
    assert eval_results_to_model_index(name, results) == metadata["model-index"]
    assert huggingface_hub.ModelCardData(**metadata).to_dict() == card.data.to_dict() == metadata

    evaluated = json.loads(report.read_text())
    found = {(row.dataset_config, row.metric_name): row for row in results}
    assert len(found) == len(results)
    for length in (0, 2, 5):
        for model in MODELS:
            own = model == folder.name
            metrics = natural(evaluated, model, population="curve", context_length=length)["metrics"]
            for metric in METRICS if own else COMPARED:
                title = METRICS[metric] if own else f"{METRICS[metric]} of {model}, for comparison"
                row = found.pop((f"history-{length}", title))
                assert (row.metric_type, row.metric_value) == (metric, metrics[metric]["value"])
                assert (row.dataset_type, row.dataset_split) == ("dataset", "test")
            assert f" {metrics['rmse']['value']:.3f} / {metrics['reward_accuracy']['value']:.3f} |" in card.text
            paired = [
                row
                for row in evaluated["paired"]
                if (row["model"], row["baseline"]) == (folder.name, model)
                and (row["population"], row["context_length"]) == ("curve", length)
                and (row["sampling"], row["metric"]) == ("natural", "rmse")
            ]
            for row in paired:
                assert f"| {row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] |" in card.text
            assert len(paired) == (not own)
    assert found == {}


def test_longer_histories_and_new_films_are_in_the_table(report: Path) -> None:
    told = json.loads(report.read_text())
    told["protocol"]["users"]["all"]["500"] = 3
    told["protocol"]["cold"] = {"cases": {"50": 7, "full": 9}}
    for rows in (*(model["results"] for model in told["models"]), told["paired"]):
        curve = [row for row in rows if row["context_length"] == 5 and row["population"] == "curve"]
        rows += [{**row, "population": "all", "context_length": 500} for row in curve]
        rows += [
            {**row, "population": "all", "split": "cold_test", "context_length": n}
            for row in curve
            for n in (50, "full")
        ]
    results = Results(told, "film_token_gpt2")
    assert [cases.config for cases in results.cases][-3:] == [
        "history-500-all-users",
        "new-films-50",
        "new-films-full",
    ]
    assert [cases.split for cases in results.cases][-3:] == ["test", "cold_test", "cold_test"]
    assert results.cases[-3].label == "500 ratings known (3 users)"


def test_a_report_of_paths_becomes_one_of_names(report: Path, tmp_path: Path) -> None:
    told = json.loads(report.read_text())
    renamed = {"film_token_gpt2": "a/final", "text_gpt2": "b/final", "rating_baseline": "rating_baseline"}
    told["data"] = "/home/ann/data/mine"
    told["models"] = [model for model in told["models"] if model["name"] in renamed]
    told["paired"] = [row for row in told["paired"] if {row["model"], row["baseline"]} <= set(renamed)]
    for model in told["models"]:
        model |= {"name": renamed[model["name"]], "path": f"/home/ann/{renamed[model['name']]}", "weights": None}
    for row in told["paired"]:
        row |= {key: renamed[row[key]] for key in ("model", "baseline")}
    path = tmp_path / "report.json"
    path.write_text(json.dumps(told))
    results = Results.read(path, tmp_path / "rating_baseline")
    assert (results.name, results.others, results.data) == ("rating_baseline", ["final", "final#2"], "mine")
    assert "ann" not in json.dumps(results.report)
    with pytest.raises(UserError, match=r"tells of a/final, b/final, rating_baseline, not of .*final; evaluate"):
        Results.read(path, tmp_path / "final")  # which of the two?


def test_a_report_of_other_weights_is_refused(model_folders, report: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model_folders["rating_baseline"], tmp_path / "rating_baseline"))
    assert Results.read(report, folder).name == "rating_baseline"
    shutil.copy(model_folders["text_gpt2"] / "model.safetensors", folder)
    with pytest.raises(UserError, match=r"scored other weights than .* has now; run `reel evaluate` again"):
        Results.read(report, folder)


def test_a_folder_of_gpt2_weights_leaves_no_path(tiny_dataset: Path, model_folders, tmp_path: Path) -> None:
    from training.text_gpt2 import main

    weights = Path(shutil.copytree(model_folders["text_gpt2"], tmp_path / "weights"))
    config = json.loads((weights / "config.json").read_text())
    (weights / "config.json").write_text(json.dumps({key: config[key] for key in ("n_embd", "n_layer", "n_head")}))
    out = tmp_path / "model"
    arguments = ["--pretrained", str(weights), "--lora-rank", "2", "--max-steps", "1", "--use-cpu", "True"]
    main(["--data", str(tiny_dataset), "--output-dir", str(out), "--max-film-tokens", "60", *arguments])
    card = card_of(out, repo_id="user/text", licence="other")
    files, _ = model_files(out, card, tmp_path)  # refuses places
    assert "adapter/adapter_model.safetensors" in files
    assert card.record.origin == "from a GPT-2's weights in a folder"
    assert "base_model" not in card.render()
    card.record.base_model = "openai-community/gpt2"
    assert "base_model: openai-community/gpt2" in card.render()


def test_titles_do_not_break_a_table(model_folders, report: Path) -> None:
    folder = model_folders["rating_baseline"]
    card = ModelCard.of(folder, results=Results.read(report, folder))
    assert card.title == "Rating baseline: shrunk-bias"
    widths = {line.count("|") for line in card.comparison_table.splitlines()}
    assert len(widths) == 1


def test_the_data_sets_card_is_valid(tiny_dataset: Path, online: HubServer) -> None:
    card = dataset_card.DatasetCard.read(tiny_dataset)
    text = card.published("cc-by-4.0").render()
    loaded = huggingface_hub.DatasetCard(text)
    loaded.validate()
    assert f"{card.users:,} users, {card.ratings:,} ratings" in text
    assert huggingface_hub.DatasetCardData(**loaded.data.to_dict()).to_dict() == loaded.data.to_dict()
    with pytest.raises(ValueError, match="license"):
        huggingface_hub.DatasetCard(text.replace("license: cc-by-4.0", "license: mine")).validate()
