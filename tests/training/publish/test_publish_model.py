"""`reel publish model` to the Hub of tests/hub_server.py: what arrives, and that it is read from there alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from data_prep.errors import UserError, exit_status
from reel import Recommender
from tests.hub_repos import File
from tests.hub_server import HubServer
from training.publish import command
from training.publish.folder import publish_model

REPOSITORY = Path(__file__).resolve().parents[3]
REPO = "user/rates-films"


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `reel publish model`."""
    capsys.readouterr()
    status = exit_status(command.main, [str(argument) for argument in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_what_arrives(online: HubServer, model_folders, report: Path, capsys) -> None:
    folder = model_folders["film_token_gpt2"]
    status, out, said = run(capsys, folder, REPO, "--report", report, "--license", "cc-by-4.0")
    assert (status, said) == (0, "")
    repo = online.repos["model", REPO]
    tag = next(iter(repo.tags))
    assert out == f"{online.endpoint}/{REPO} revision {repo.sha} tag {tag}\n"
    assert repo.tags == {tag: repo.sha}
    assert len(repo.commits) == 2  # the Hub's own and one of ours
    assert set(repo.files) == {
        ".gitattributes",
        "README.md",
        "config.json",
        "configuration_film_token_gpt2.py",
        "films.py",
        "causal_attention.py",
        "own_scale.py",
        "taste_process.py",
        "user_tower.py",
        "modeling_film_token_gpt2.py",
        "model.safetensors",
        "training.json",
        "trainer_state.json",
        "report.json",
        *(f"catalogue/{name}" for name in ("films.parquet", "features.parquet", "features.json")),
        *(f"figures/{name}.png" for name in ("history_length", "calibration", "learning_curve")),
    }
    card = repo.files["README.md"].content.decode()
    assert card.count(f'revision="{tag}"') == 2
    assert set(re.findall(r"\(figures/(.*?)\)", card)) == {
        path.removeprefix("figures/") for path in repo.files if path.startswith("figures/")
    }
    texts = [file.content.decode() for path, file in repo.files.items() if path.endswith((".md", ".json", ".py"))]
    assert not [place for place in (tempfile.gettempdir(), str(Path.home())) for text in texts if place in text]
    assert online.unknown == []


def test_publishing_again_changes_nothing(online: HubServer, model_folders, capsys) -> None:
    first = run(capsys, model_folders["rating_baseline"], REPO, "--private")
    assert first[0] == 0
    assert "the card has no numbers" in first[2]
    repo = online.repos["model", REPO]
    assert repo.private
    commits = len(repo.commits)
    assert run(capsys, model_folders["rating_baseline"], REPO) == first
    assert len(repo.commits) == commits
    assert len(repo.tags) == 1


def test_another_model_takes_the_place_and_what_the_owner_added_stays(
    online: HubServer, model_folders, report: Path
) -> None:
    first = publish_model(model_folders["film_token_gpt2"], REPO, report=report)
    repo = online.repos["model", REPO]
    repo.commit("by hand", {**repo.files, "LICENSE": File(b"mine", large=False)})
    second = publish_model(model_folders["film_token_gpt2"], REPO)
    assert "LICENSE" in repo.files
    assert "figures/calibration.png" not in repo.files
    assert second.tag != first.tag
    assert set(repo.tags) == {first.tag, second.tag}
    repo.commit("a thesis", {"README.md": File(b"---\ntags: [other]\n---\nMine.", large=False)})
    with pytest.raises(UserError, match="was not published by reel"):
        publish_model(model_folders["film_token_gpt2"], REPO)


def test_a_report_in_the_models_folder_is_found(online: HubServer, model_folders, report: Path, tmp_path) -> None:
    folder = Path(shutil.copytree(model_folders["rating_baseline"], tmp_path / "rating_baseline"))
    shutil.copy(report, folder)
    assert publish_model(folder, REPO).evaluated
    published = json.loads(online.repos["model", REPO].files["report.json"].content)
    local = json.loads(report.read_text())
    assert published["data"] == Path(local["data"]).name
    assert [model["path"] for model in published["models"]] == list(model_folders)
    for ours, theirs in zip(published["models"], local["models"], strict=True):
        assert ours["results"] == theirs["results"]


def spoil_record(folder: Path) -> None:
    (folder / "training.json").write_text('{"users": "many"}')


def name_a_place(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "made_in": str(folder / "x")}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "no model there"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'), "a model of type 'bert'"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no model.safetensors there"),
        (lambda folder: (folder / "modeling_film_token_gpt2.py").unlink(), "no code of the model there"),
        (lambda folder: shutil.rmtree(folder / "catalogue"), "no film catalogue"),
        (lambda folder: (folder / "training.json").unlink(), "no record of its training"),
        (spoil_record, "broken record of its training"),
        (lambda folder: (folder / "trainer_state.json").write_text("[]"), "broken state of the trainer"),
        (lambda folder: (folder / "report.json").write_text("{}"), "no report of `reel evaluate`"),
        (lambda folder: (folder / "report.json").write_text('{"models": []}'), "tells of"),
        (name_a_place, "config.json: names a place on this machine"),
    ],
)
def test_folders_that_are_not_published(online: HubServer, model_folders, tmp_path, capsys, damage, message) -> None:
    folder = Path(shutil.copytree(model_folders["film_token_gpt2"], tmp_path / "model"))
    damage(folder)
    status, out, said = run(capsys, folder, REPO)
    assert (status, out) == (2, "")
    assert re.search(message, said), said
    assert said.count("\n") == 1
    assert online.calls == []


def test_what_the_hub_refuses_is_one_line(online: HubServer, model_folders, capsys) -> None:
    folder = model_folders["rating_baseline"]
    for name, message in (("films", "say whose it is"), ("somebody/films", "somebody/films: the Hub answered 403")):
        status, _, said = run(capsys, folder, name)
        assert status == 2
        assert message in said
    online.fail_next("/tag/", 403)
    status, _, said = run(capsys, folder, REPO)
    assert status == 2
    assert "the Hub answered 403" in said.splitlines()[-1]
    assert run(capsys, folder, REPO)[0] == 0


# -- from a fresh process

HISTORY = ([[0, 5, 9, 30]], [[9, 2, 7, 10]])
WITHOUT_THE_PROJECT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("data_prep", "modeling", "training", "reel", "tests"):
            raise ImportError(f"{name} is not to be had here")

sys.meta_path.insert(0, Blocked())
"""
AUTO_MODEL = """
import json, sys, torch
from transformers import AutoModel, AutoModelForCausalLM
history, candidates, models = json.loads(sys.argv[1])
for repo, tag, out in models:
    model = AutoModel.from_pretrained(repo, trust_remote_code=True, revision=tag)
    assert type(model).__module__.startswith("transformers_modules."), type(model)
    answers = [model.predict(*map(torch.tensor, history), torch.tensor([candidates]))]
    if "AutoModelForCausalLM" in model.config.auto_map:
        model = AutoModelForCausalLM.from_pretrained(repo, trust_remote_code=True, revision=tag)
        answers.append(model(torch.tensor([candidates])).logits)
    torch.save([answer.detach() for answer in answers], out)
"""
RECOMMENDER = """
import json, sys, torch
from reel import Recommender
history, candidates, models = json.loads(sys.argv[1])
for repo, tag, out in models:
    reel = Recommender.from_pretrained(repo, revision=tag)
    ids = reel.catalogue.film_ids
    known = [(ids[film], rating) for film, rating in zip(history[0][0], history[1][0])]
    torch.save([torch.from_numpy(reel.predict(known, [ids[film] for film in candidates]))[None]], out)
    assert len(reel.recommend(known, top=5)) == 5
"""


def test_every_model_is_read_from_the_hub_and_then_from_the_cache(online: HubServer, model_folders, tmp_path) -> None:
    published = {
        name: publish_model(folder, f"user/{name.replace('_', '-')}") for name, folder in model_folders.items()
    }
    candidates = [1, 2, 3, 70]
    expected: dict[str, list[torch.Tensor]] = {}  # predictions; of text GPT-2s also logits over the vocabulary
    for name, folder in model_folders.items():
        model = Recommender.from_pretrained(folder).model
        expected[name] = [model.predict(*map(torch.tensor, HISTORY), torch.tensor([candidates]))]
        if name.startswith("text_gpt2"):
            expected[name].append(model(torch.tensor([candidates])).logits.detach())
    readers = {
        "auto-model": (["-I", "-c", WITHOUT_THE_PROJECT + AUTO_MODEL], online.env()),
        "recommender": (["-c", RECOMMENDER], online.env(PYTHONPATH=str(REPOSITORY))),
    }
    for offline in ("0", "1"):
        asked = len(online.calls)
        processes = {}
        for reader, (flags, environment) in readers.items():
            (tmp_path / reader).mkdir(exist_ok=True)
            models = [
                (f"user/{name.replace('_', '-')}", made.tag, str(tmp_path / reader / f"{name}-{offline}.pt"))
                for name, made in published.items()
            ]
            processes[reader] = subprocess.Popen(
                [sys.executable, *flags, json.dumps([HISTORY, candidates, models])],
                env=environment | {"HF_HUB_OFFLINE": offline, "OMP_NUM_THREADS": "1"},
                cwd=tmp_path / reader,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        for reader, process in processes.items():
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, f"{reader}: {said[-3000:]}"
            for name, answers in expected.items():
                found = torch.load(tmp_path / reader / f"{name}-{offline}.pt")
                assert len(found) == (len(answers) if reader == "auto-model" else 1)
                for ours, theirs in zip(answers, found, strict=False):
                    np.testing.assert_array_equal(theirs.numpy(), ours.numpy(), err_msg=f"{reader} {name}")
        assert (len(online.calls) == asked) == (offline == "1")
    assert online.unknown == []
