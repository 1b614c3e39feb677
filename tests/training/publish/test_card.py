"""A model's card: valid metadata, the report's numbers, nothing of this machine; the data set's card is valid too."""

from __future__ import annotations

import copy
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


def tables_of(text: str) -> list[list[dict[str, str]]]:
    """The tables of a card's evaluation: rows of cells by the heads of their columns, in order."""
    evaluation = text.split("## Evaluation\n")[1].split("\n## ")[0]
    tables = []
    for table in re.findall(r"(?:^\|.*\|\n)+", evaluation, re.M):
        header, rule, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines())
        assert set(rule) == {"---"}
        assert len(set(header)) == len(header)
        tables.append([dict(zip(header, row, strict=True)) for row in rows])
    return tables


def shown(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.3f}"


def check_tables(text: str, report: dict[str, Any], name: str, labels: dict[int | str, str], **where: Any) -> None:
    """A card's tables are the report's numbers, row by row and model by model."""
    where = {"population": "curve", "split": "test", **where}
    others = [model["name"] for model in report["models"] if model["name"] != name]
    compared, own = [], []
    for length, label in labels.items():
        row = {"": label, "cases": f"{natural(report, name, context_length=length, **where)['n']:,}"}
        for model in (name, *others):
            metrics = natural(report, model, context_length=length, **where)["metrics"]
            head = f"**{model}**" if model == name else model
            row[head] = f"{shown(metrics['rmse']['value'])} / {shown(metrics['reward_accuracy']['value'])}"
        for model in others:
            wanted = {**where, "context_length": length, "sampling": "natural", "metric": "rmse"}
            wanted |= {"model": name, "baseline": model}
            (pair,) = (pair for pair in report["paired"] if wanted.items() <= pair.items())
            low, high = (shown(pair[end], "+") for end in ("low", "high"))
            row[f"RMSE minus {model}"] = f"{shown(pair['difference'], '+')} [{low}, {high}]"
        compared.append(row)
        metrics = natural(report, name, context_length=length, **where)["metrics"]
        kept = [metric for metric in METRICS if metric not in ("rmse", "reward_accuracy")]
        own.append({"": label, **{METRICS[metric]: shown(metrics[metric]["value"]) for metric in kept}})
    found = [[row for row in table if row[""] in labels.values()] for table in tables_of(text)]
    for table, expected in zip(found, (compared, own), strict=True):
        assert [list(row.items()) for row in table] == [list(row.items()) for row in expected]


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
    assert found == {}
    check_tables(card.text, evaluated, folder.name, {length: f"{length} ratings known" for length in (0, 2, 5)})


def test_longer_histories_and_new_films_are_in_the_tables(model_folders, report: Path) -> None:
    told = json.loads(report.read_text())
    told["protocol"]["users"]["all"]["500"] = 3
    told["protocol"]["cold"] = {"cases": {"50": 7, "full": 9}}
    extra = [("test", 500), ("cold_test", 50), ("cold_test", "full")]
    for rows in (*(model["results"] for model in told["models"]), told["paired"]):
        curve = [row for row in rows if row["context_length"] == 5 and row["population"] == "curve"]
        for number, (split, length) in enumerate(extra, start=1):
            for row in copy.deepcopy(curve):
                for cell in (row, *row.get("metrics", {}).values()):
                    for name in {"value", "difference"} & set(cell):  # so that no row is another's
                        cell[name] = None if cell[name] is None else cell[name] + number
                rows.append(row | {"population": "all", "split": split, "context_length": length})
    results = Results(told, "film_token_gpt2")
    assert [cases.config for cases in results.cases][-3:] == [
        "history-500-all-users",
        "new-films-50",
        "new-films-full",
    ]
    assert [cases.split for cases in results.cases][-3:] == ["test", "cold_test", "cold_test"]
    card = ModelCard.of(model_folders["film_token_gpt2"], results=results).render()
    labels = ["500 ratings known (3 users)", "a new film, 50 ratings known", "a new film, the whole history known"]
    for (split, length), label in zip(extra, labels, strict=True):
        check_tables(card, told, "film_token_gpt2", {length: label}, population="all", split=split)


def test_the_citation_is_whole(folder: Path) -> None:
    card = card_of(folder, repo_id="user/rates-films", licence="other")
    (entries,) = re.findall(r"^```bibtex\n(.*?)^```", card.render(), re.M | re.S)
    assert entries.count("{") == entries.count("}")
    cited = {
        kind: dict(re.findall(r"^  (\w+) = \{(.*)\},?$", fields, re.M))
        for kind, fields in re.findall(r"^@(\w+)\{\w+,\n(.*?)^\}$", entries, re.M | re.S)
    }
    assert cited["software"]["title"].endswith(f". {card.title}")
    assert cited["software"]["url"] == "https://huggingface.co/user/rates-films"
    assert re.fullmatch(r"20\d\d", cited["software"]["year"])
    assert cited["misc"]["title"].startswith("Reel Recommendations: ")
    assert cited["misc"]["author"].count(" and ") == 2


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
