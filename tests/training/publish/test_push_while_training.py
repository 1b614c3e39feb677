"""`--push-to-hub` of a training run: whole models at every save, and a Hub that fails does not end the training."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, load_file

from data_prep.errors import UserError, exit_status
from reel import Recommender
from tests.hub_repos import File
from tests.hub_server import HubServer
from tests.training.publish.conftest import SMALL, TEXTS
from training import deepfm, film_token_gpt2, text_gpt2
from training.publish.folder import Published
from training.publish.while_training import HubPushes

REPO = "user/in-training"
PUSH = [
    "--push-to-hub",
    "True",
    "--hub-model-id",
    REPO,
    "--max-steps",
    "4",
    "--save-steps",
    "2",
    "--logging-steps",
    "1",
]


@pytest.mark.parametrize("main", [film_token_gpt2.main, text_gpt2.main])
def test_every_push_is_a_whole_model(online: HubServer, tiny_dataset: Path, tmp_path: Path, capsys, main) -> None:
    out = tmp_path / "model"
    # Four steps at the full rate: what is learned is enough to be restrained.
    extra = [*TEXTS, "--lora-rank", "2"] if main is text_gpt2.main else ["--warmup-steps", "0"]
    arguments = ["--data", str(tiny_dataset), "--output-dir", str(out), *SMALL, *PUSH, *extra]
    main([*arguments, "--hub-always-push", "True"])
    repo = online.repos["model", REPO]
    messages = [message for _, message, _ in repo.commits]
    assert messages[1:] == ["Training in progress, step 2", "Training in progress, step 4", "End of training"]
    assert len(repo.tags) == 3
    for sha, message, files in repo.commits[1:]:
        assert {"README.md", "config.json", "model.safetensors", "training.json", "catalogue/films.parquet"} <= set(
            files
        )
        assert any(path.startswith("modeling_") for path in files)
        assert "figures/learning_curve.png" in files
        assert not any("checkpoint" in path or path.endswith((".bin", ".pt")) for path in files)
        card = files["README.md"].content.decode()
        assert f"{2 if '2' in message else 4} optimiser steps" in card
        (tag,) = (tag for tag, commit in repo.tags.items() if commit == sha)
        assert f'revision="{tag}"' in card
    last = repo.commits[-1][2]
    assert last["model.safetensors"].content == (out / "model.safetensors").read_bytes()
    pushed, before = (load(files["model.safetensors"].content) for files in (last, repo.commits[-2][2]))
    # At the end nothing is left to learn but, of films as tokens, how far to trust it.
    fitted_last = {"restraint"} if main is film_token_gpt2.main else set()
    assert {name for name in pushed if not torch.equal(pushed[name], before[name])} == fitted_last
    said = capsys.readouterr().err
    assert f"pushed to {online.endpoint}/{REPO} revision {repo.sha} tag" in said
    # What was pushed in the middle of the run is a model too.
    early = tmp_path / "early"
    for path, file in repo.commits[1][2].items():
        (early / path).parent.mkdir(parents=True, exist_ok=True)
        (early / path).write_bytes(file.content)
    assert len(Recommender.from_pretrained(early).recommend([("film-03", 9)], top=3)) == 3
    assert online.unknown == [call for call in online.unknown if "openai-community" in call]


def test_pushes_leave_the_training_alone(online: HubServer, tiny_dataset: Path, tmp_path: Path) -> None:
    """A DeepFM that is pushed gets a prior of users' vectors that fits its weights of then: losses, dropout and the
    weights to come know nothing of it."""
    common = ["--data", str(tiny_dataset), "--use-cpu", "True", "--dropout", "0.3", "--max-steps", "6"]
    common += ["--per-device-train-batch-size", "1", "--warmup-steps", "0", "--logging-steps", "1"]
    pushed, alone = tmp_path / "pushed", tmp_path / "alone"
    deepfm.main([*common, *PUSH[:4], "--save-steps", "2", "--hub-always-push", "True", "--output-dir", str(pushed)])
    deepfm.main([*common, "--output-dir", str(alone)])
    repo = online.repos["model", REPO]
    assert [message.split()[-1] for _, message, _ in repo.commits[1:]] == ["2", "4", "6", "training"]

    losses = []
    for folder in (pushed, alone):
        log = json.loads((folder / "trainer_state.json").read_text())["log_history"]
        losses.append([entry["loss"] for entry in log if "loss" in entry])
    assert losses[0] == losses[1]
    assert len(set(losses[0])) == 6
    last, not_pushed = (load_file(folder / "model.safetensors") for folder in (pushed, alone))
    assert set(last) == set(not_pushed)
    for name, weights in last.items():
        assert torch.equal(weights, not_pushed[name]), name

    early = load(repo.commits[1][2]["model.safetensors"].content)
    assert not torch.equal(early["user_vectors.weight"], last["user_vectors.weight"])
    assert not torch.equal(early["user_precision"], last["user_precision"])
    assert not torch.allclose(early["user_precision"], torch.eye(len(early["user_precision"])))
    assert early["film_audiences"].any()


@pytest.mark.parametrize(("always", "arrive"), [("False", ["2"]), ("True", ["2", "4"])])
def test_a_save_while_a_push_is_under_way(
    online: HubServer, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, always: str, arrive: list
) -> None:
    """The first push lasts until every save has been made; only then does the trained model follow."""
    saved = threading.Event()
    publish, finish = HubPushes._publish, HubPushes.finish

    def publish_late(self: HubPushes, folder: Path, message: str) -> Published:
        assert saved.wait(60)
        return publish(self, folder, message)

    def finish_after_saves(self: HubPushes) -> None:
        saved.set()
        finish(self)

    monkeypatch.setattr(HubPushes, "_publish", publish_late)
    monkeypatch.setattr(HubPushes, "finish", finish_after_saves)
    arguments = ["--data", str(tiny_dataset), "--output-dir", str(tmp_path / "model"), *SMALL, *PUSH]
    film_token_gpt2.main([*arguments, "--hub-always-push", always])
    told = [message for _, message, _ in online.repos["model", REPO].commits[1:]]
    assert told == [*(f"Training in progress, step {step}" for step in arrive), "End of training"]


def test_only_the_last_one_has_to_arrive(online: HubServer, tiny_dataset: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "model"
    arguments = ["--data", str(tiny_dataset), "--output-dir", str(out), *SMALL, *PUSH, "--hub-private-repo", "True"]
    online.fail_next("commit", 403)
    film_token_gpt2.main(arguments)
    repo = online.repos["model", REPO]
    assert repo.private
    assert repo.commits[-1][1] == "End of training"
    said = capsys.readouterr().err
    assert f"warning: {REPO}: the Hub answered 403" in said
    assert "training goes on" in said

    online.fail_next("commit", 403, times=9)
    tried = len(online.asked("commit"))
    status = exit_status(film_token_gpt2.main, [*arguments, "--overwrite", "--hub-strategy", "end"])
    *_, error = capsys.readouterr().err.splitlines()
    assert status == 2
    assert f"`reel publish model {out} {REPO}` sends it" in error
    assert len(online.asked("commit")) == tried + 1  # with `end`, no push but the last
    assert Recommender.from_pretrained(out)


def test_mistakes_are_told_before_anything_is_trained(
    online: HubServer, tiny_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--data", str(tiny_dataset), "--output-dir", str(tmp_path / "model"), *SMALL]

    def refused(*extra: str, message: str) -> None:
        with pytest.raises(UserError, match=message):
            film_token_gpt2.main([*arguments, "--push-to-hub", "True", *extra])

    refused(message="push_to_hub needs hub_model_id")
    refused("--hub-model-id", "model", message="say whose it is")
    refused("--hub-model-id", REPO, "--hub-strategy", "checkpoint", message="hub_strategy is end or every_save")
    refused("--hub-model-id", REPO, "--hub-revision", "try", message="hub_revision 'try'")
    refused("--hub-model-id", "somebody/model", message="somebody/model: the Hub answered 403")
    refused("--hub-model-id", REPO, "--hub-token", "hf_wrong", message="401 .*hf auth login")
    online.repos.clear()
    film_token_gpt2.main([*arguments, *PUSH, "--hub-strategy", "end"])
    online.repos["model", REPO].commit("mine", {"README.md": File(b"A thesis.", large=False)})
    refused("--hub-model-id", REPO, "--overwrite", message="was not published by reel")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused("--hub-model-id", REPO, "--overwrite", message="HF_HUB_OFFLINE is set")
