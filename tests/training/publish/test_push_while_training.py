"""`--push-to-hub` of a training run: whole models at every save, and a Hub that fails does not end the training."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.errors import UserError, exit_status
from reel import Recommender
from tests.hub_repos import File
from tests.hub_server import HubServer
from tests.training.publish.conftest import SMALL, TEXTS
from training import film_token_gpt2, text_gpt2

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
    extra = [*TEXTS, "--lora-rank", "2"] if main is text_gpt2.main else []
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
    assert last["model.safetensors"] == repo.commits[-2][2]["model.safetensors"]
    said = capsys.readouterr().err
    assert f"pushed to {online.endpoint}/{REPO} revision {repo.sha} tag" in said
    # What was pushed in the middle of the run is a model too.
    early = tmp_path / "early"
    for path, file in repo.commits[1][2].items():
        (early / path).parent.mkdir(parents=True, exist_ok=True)
        (early / path).write_bytes(file.content)
    assert len(Recommender.from_pretrained(early).recommend([("film-03", 9)], top=3)) == 3
    assert online.unknown == [call for call in online.unknown if "openai-community" in call]


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
