"""`reel publish space`: a Space that is whole, with the versions that were tested, and starts from itself alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from importlib.metadata import requires
from pathlib import Path

import pytest
from huggingface_hub import SpaceCard
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from data_prep.errors import UserError, exit_status
from reel import publish_space
from reel.space_bundle import PACKAGES, make_bundle, packages_imported, read_pins
from tests.hub_repos import Repo
from tests.hub_server import HubServer
from training.publish.folder import publish_model

pytest.importorskip("gradio", reason="Gradio is not installed (extra: demo)")

REPOSITORY = Path(__file__).resolve().parents[2]
SPACES = REPOSITORY / "spaces"
REPO, MODEL = "user/reel", "user/shrunk-bias"
PINS = read_pins(REPOSITORY / "constraints.txt")
# app.py, where no package can be imported but those whose names are given, and the project's from this folder alone.
ALONE = """
import json, runpy, sys
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions
from pathlib import Path
from packaging.utils import canonicalize_name

project, allowed = map(set, json.loads(sys.argv[1]))
owners = packages_distributions()
here = str(Path.cwd())

class OnlyThese:
    @staticmethod
    def find_spec(name, path=None, target=None):
        top = name.split(".")[0]
        if top in project:
            return PathFinder.find_spec(name, path or [here], target)
        names = {canonicalize_name(owner) for owner in owners.get(top, ())}
        return None if names and not names & allowed else PathFinder.find_spec(name, path, target)

    @staticmethod
    def find_distributions(*arguments):
        found = PathFinder.find_distributions(*arguments)
        return (one for one in found if canonicalize_name(one.name) in allowed)

sys.meta_path[:] = [finder for finder in sys.meta_path if "Importer" in str(finder)] + [OnlyThese]
sys.argv = ["app.py"]
runpy.run_path("app.py", run_name="__main__")
"""


def closure(names: set[str]) -> set[str]:
    """Normalised names of packages and of all that they need here."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        needs = (Requirement(text) for text in requires(name) or ())
        waiting += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def pinned(bundle: Path) -> dict[str, str]:
    lines = (bundle / "requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def unpacked(repo: Repo, folder: Path) -> Path:
    """The files of a repository, as a Space's machine has them."""
    for path, file in repo.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(file.content)
    return folder


def page_of(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Start a Space's app.py, fetch its page, stop it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False", "NO_PROXY": "127.0.0.1"}
    environment = {name: value for name, value in environment.items() if name != "PYTHONPATH"} | settings
    log = folder.parent / f"{folder.name}.log"
    with (
        log.open("w") as out,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out) as server,
    ):
        try:
            for _ in range(600):
                assert server.poll() is None, log.read_text()[-3000:]
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
                        return answer.read().decode()
                except OSError:
                    time.sleep(0.1)
            raise AssertionError(log.read_text()[-3000:])
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


@pytest.mark.parametrize(("name", "packages"), [("movie_recommender", list(PACKAGES)), ("rating_metrics", [])])
def test_a_bundle_holds_what_it_imports_and_exact_versions(tmp_path: Path, name: str, packages: list[str]) -> None:
    make_bundle(SPACES / name, tmp_path)
    assert packages_imported(tmp_path, tmp_path) == packages
    for package in packages:
        ours = {path.relative_to(REPOSITORY) for path in (REPOSITORY / package).rglob("*.py")}
        assert ours == {path.relative_to(tmp_path) for path in (tmp_path / package).rglob("*.py")}
    assert not list(tmp_path.rglob("__pycache__"))
    versions = pinned(tmp_path)
    assert versions.items() <= PINS.items()
    named = {
        Requirement(line).name
        for line in (SPACES / name / "requirements.txt").read_text().splitlines()
        if not line.startswith("#")
    }
    assert set(versions) == closure(named) & set(PINS)
    card = SpaceCard.load(tmp_path / "README.md")
    assert card.data.to_dict()["sdk_version"] == PINS["gradio"]
    assert (card.text, card.data.title) == ((own := SpaceCard.load(SPACES / name / "README.md")).text, own.data.title)


def test_what_is_published_starts_from_itself_and_the_hub_alone(
    online: HubServer, tiny_models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_model(tiny_models["shrunk_bias"], MODEL)
    publish_space.main([str(SPACES / "movie_recommender"), REPO, "--model", MODEL])
    repo = online.repos["space", REPO]
    assert capsys.readouterr().out == f"{online.endpoint}/spaces/{REPO} revision {repo.sha}\n"
    assert len(repo.commits) == 2  # the Hub's own and one of ours
    assert repo.variables == {"REEL_MODEL": MODEL}
    folder = unpacked(repo, tmp_path / "space")
    card = SpaceCard.load(folder / "README.md")
    card.validate(repo_type="space")
    assert card.data.models == [MODEL]
    allowed = set(pinned(folder)) | closure({"gradio"})
    command = [sys.executable, "-I", "-c", ALONE, json.dumps([PACKAGES, sorted(allowed)])]
    page = page_of(command, folder, online.env(**repo.variables))
    assert "Reel: what to watch next" in page
    assert f"GET /{MODEL}/resolve/main/catalogue/films.parquet" not in online.unknown == []


def test_the_metrics_start_from_themselves(tmp_path: Path) -> None:
    folder = tmp_path / "rating_metrics"
    make_bundle(SPACES / "rating_metrics", folder)
    allowed = set(pinned(folder)) | closure({"gradio"})
    command = [sys.executable, "-I", "-c", ALONE, json.dumps([PACKAGES, sorted(allowed)])]
    assert "rating_metrics" in page_of(command, folder, dict(os.environ))


def test_a_model_folder_goes_into_the_space(online: HubServer, tiny_models: dict[str, Path]) -> None:
    arguments = [str(SPACES / "movie_recommender"), REPO, "--model", str(tiny_models["shrunk_bias"]), "--private"]
    publish_space.main(arguments)
    repo = online.repos["space", REPO]
    assert repo.private
    assert repo.variables == {"REEL_MODEL": "model"}
    assert {"model/config.json", "model/model.safetensors", "model/catalogue/films.parquet"} <= set(repo.files)
    publish_model(tiny_models["film_mean"], MODEL)
    publish_space.main([str(SPACES / "movie_recommender"), REPO, "--model", MODEL])
    assert repo.variables == {"REEL_MODEL": MODEL}
    assert not [path for path in repo.files if path.startswith("model/")]
    commits = len(repo.commits)
    publish_space.main([str(SPACES / "movie_recommender"), REPO, "--model", MODEL])
    assert len(repo.commits) == commits


def spoil(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "no folder of a Space, it lacks app.py"),
        (lambda folder: (folder / "requirements.txt").unlink(), "it lacks requirements.txt"),
        (spoil("requirements.txt", "numpy >> 2"), "'numpy >> 2' is no requirement"),
        (spoil("requirements.txt", "leftpad"), "leftpad has no exact version in constraints.txt"),
        (spoil("README.md", "# No front matter"), "sdk is None"),
        (spoil("README.md", "---\nsdk: docker\n---\n"), "sdk is 'docker'"),
    ],
)
def test_folders_that_are_no_space(
    online: HubServer, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    folder = Path(shutil.copytree(SPACES / "rating_metrics", tmp_path / "space"))
    damage(folder)
    with pytest.raises(UserError, match=message):
        publish_space.main([str(folder), REPO])
    assert online.calls == []


def test_models_that_a_space_cannot_show(
    online: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(space: str, *arguments: str, message: str) -> None:
        capsys.readouterr()
        assert exit_status(publish_space.main, [str(SPACES / space), REPO, *arguments]) == 2
        assert re.search(message, capsys.readouterr().err)

    refused("movie_recommender", message="shows a model; name it with --model")
    refused("rating_metrics", "--model", MODEL, message="shows no model; leave it out")
    refused("movie_recommender", "--model", MODEL, message=f"{MODEL}: the Hub answered 404")
    refused("movie_recommender", "--model", "nowhere", message="say whose it is")
    refused("movie_recommender", "--model", str(tmp_path), message="no model there")
    assert not online.asked("commit")
    with pytest.raises(UserError, match="publish Spaces from a clone"):
        make_bundle(SPACES / "rating_metrics", tmp_path / "out", repository=tmp_path)


@pytest.mark.skipif(
    not os.environ.get("REEL_TEST_INSTALL"), reason="downloads a gigabyte of packages; set REEL_TEST_INSTALL=1"
)
@pytest.mark.parametrize(
    ("name", "shown"), [("movie_recommender", "Reel: what to watch next"), ("rating_metrics", "rating_metrics")]
)
def test_it_starts_in_an_empty_environment(
    tiny_models: dict[str, Path], tmp_path: Path, name: str, shown: str
) -> None:
    bundle = tmp_path / "space"
    make_bundle(SPACES / name, bundle)
    shutil.copytree(tiny_models["shrunk_bias"], bundle / "model")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    gradio = f"gradio=={SpaceCard.load(bundle / 'README.md').data.sdk_version}"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", bundle / "requirements.txt", gradio], check=True)
    page = page_of([str(python), "app.py"], bundle, {**os.environ, "REEL_MODEL": "model"})
    assert shown in page
