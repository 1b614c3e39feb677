"""`reel publish dataset` over HTTP, to the Hub of tests/hub_server.py, and reading from there with an empty cache."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from data_prep.building.card import FIGURES, DatasetCard
from data_prep.dataset import write_dataset
from data_prep.errors import exit_status
from data_prep.features import FilmFeatures, films_digest, make_spec, transform
from data_prep.folders import digest_files
from data_prep.publish import command as publish
from data_prep.publish.card_figures import Distributions
from data_prep.schema import normalise_films
from tests.hub_repos import File
from tests.hub_server import TOKEN, HubServer

REPO = "user/films"
Publish = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def rich_dataset(
    tiny_films: pl.DataFrame, tiny_ratings: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A data set with every config there is, current features and a file that is none of its own. Read only."""
    folder = tmp_path_factory.mktemp("rich") / "data"
    rewatches = tiny_ratings.filter(pl.col("date").is_not_null()).head(40)
    reviews = rewatches.head(25).select("user_id", "film_id", "date", "rating", text=pl.lit("Quite something."))
    write_dataset(
        folder,
        tiny_films,
        tiny_ratings,
        source="made up",
        splits={"train": 0.8, "validation": 0.1, "test": 0.1},
        cold_films=4,
        rewatches=rewatches,
        reviews=reviews,
    )
    films = normalise_films(tiny_films)
    spec = {**make_spec(films, text=False), "films_digest": films_digest(films)}
    (folder / "features").mkdir()
    features = FilmFeatures(transform(films, spec), spec)
    features.save(folder / "features" / "films.parquet", folder / "features" / "features.json")
    (folder / "conflicts.json").write_text('{"user": "user-01"}')
    return folder


@pytest.fixture
def dataset(rich_dataset: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(rich_dataset, tmp_path / "data"))


def blank_figures(distributions: Distributions, folder: Path) -> list[Path]:
    """In place of pictures, whose drawing is most of the time that publishing takes here."""
    for name in FIGURES:
        (folder / name).write_bytes(name.encode())
    return [folder / name for name in FIGURES]


@pytest.fixture
def here(online: HubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Publish:
    """`reel publish dataset` in this process: exit status, stdout, stderr."""
    monkeypatch.setattr(publish, "draw_figures", blank_figures)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        status = exit_status(publish.main, [str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert TOKEN not in said.out + said.err
        return status, said.out, said.err

    return run


def command(hub: HubServer, *arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """`reel publish dataset` as a process of its own."""
    call = [sys.executable, "-m", "reel.cli", "publish", "dataset", *map(str, arguments)]
    return subprocess.run(call, env=hub.env(**settings), capture_output=True, text=True, timeout=60, check=False)


READ = """
import json, sys
import datasets, numpy, polars as pl
from pathlib import Path
from data_prep.dataset import load_cold_cases, load_films, load_histories

datasets.disable_progress_bars()
repo, folder = sys.argv[1:]
configs = datasets.get_dataset_config_names(repo)
for config in configs:
    whole = datasets.load_dataset(repo, config)
    streamed = datasets.load_dataset(repo, config, streaming=True)
    assert list(whole) == list(streamed), config
    for split, rows in whole.items():
        local = pl.read_parquet(Path(folder) / config / f"{split}-*.parquet").to_dicts()
        assert rows.to_list() == local, (config, split)
        assert list(streamed[split]) == local, (config, split)
assert "ordered" in datasets.load_dataset(repo, split="test").column_names
assert load_films(repo).equals(load_films(folder))
for load in (load_histories, load_cold_cases):
    remote, local = load(repo, "test"), load(folder, "test")
    remote, local = getattr(remote, "histories", remote), getattr(local, "histories", local)
    assert remote.user_ids == local.user_ids
    assert numpy.array_equal(remote.film_indices, local.film_indices)
print(json.dumps(configs))
"""


def test_what_is_published_is_what_is_read(hub: HubServer, rich_dataset: Path) -> None:
    done = command(hub, rich_dataset, REPO, "--license", "cc-by-4.0")
    assert done.returncode == 0, done.stderr
    repo = hub.repos["dataset", REPO]
    assert done.stdout == f"{hub.endpoint}/datasets/{REPO} revision {repo.sha}\n"
    assert done.stderr == "the reviews stay here; --with-reviews publishes them too\n"
    assert not repo.private
    assert len(repo.commits) == 2  # the Hub's own and one of ours
    published = {path for path in repo.files if path != ".gitattributes"}
    local = {str(path.relative_to(rich_dataset)) for path in rich_dataset.rglob("*.*")}
    assert published == {f"figures/{name}" for name in FIGURES} | {
        path for path in local if not path.startswith("reviews/") and path != "conflicts.json"
    }
    card = repo.files["README.md"].content.decode()
    assert "license: cc-by-4.0" in card
    assert str(rich_dataset.parent) not in card
    read = subprocess.run(
        [sys.executable, "-c", READ, REPO, str(rich_dataset)],
        env=hub.env(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert read.returncode == 0, read.stderr
    assert json.loads(read.stdout) == ["films", "ratings", "histories", "cold_cases", "rewatches"]
    assert hub.unknown == []


def test_publishing_again_changes_nothing(hub: HubServer, here: Publish, rich_dataset: Path) -> None:
    first = here(rich_dataset, REPO, "--private")
    sent, commits = len(hub.asked("PUT /lfs")), len(hub.repos["dataset", REPO].commits)
    assert hub.repos["dataset", REPO].private
    assert here(rich_dataset, REPO) == first
    assert len(hub.asked("PUT /lfs")) == sent
    assert len(hub.repos["dataset", REPO].commits) == commits


def test_reviews_come_and_go(hub: HubServer, here: Publish, rich_dataset: Path) -> None:
    def configs() -> set[str]:
        card = hub.repos["dataset", REPO].files["README.md"].content.decode()
        return set(re.findall(r"^- config_name: (\w+)$", card, re.M))

    def reviews() -> list[str]:
        return [path for path in hub.repos["dataset", REPO].files if path.startswith("reviews/")]

    status, _, said = here(rich_dataset, REPO, "--with-reviews")
    assert status == 0
    assert said.startswith("warning: review texts are people's own words")
    assert "reviews" in configs()
    assert reviews()
    assert here(rich_dataset, REPO)[0] == 0
    assert "reviews" not in configs()
    assert not reviews()


@pytest.mark.parametrize(
    ("part", "status", "message"),
    [
        ("POST /api/repos/create", 401, "401 .*hf auth login.* set HF_TOKEN"),
        ("preupload", 403, "403 .*may write there"),
        ("preupload", 404, "404 .*check its name"),
        ("commit", 409, "409 .*somebody else is changing it"),
        ("commit", 412, "412 .*somebody else has just changed it"),
        ("commit", 503, "503 .*the Hub's fault"),
        ("PUT /lfs", 507, "507 .*the Hub's fault"),
    ],
)
def test_what_the_hub_refuses_is_said_and_can_be_repeated(
    hub: HubServer, here: Publish, rich_dataset: Path, part: str, status: int, message: str
) -> None:
    hub.fail_next(part, status, message=f"no\nto Bearer {TOKEN}")
    exit_code, out, said = here(rich_dataset, REPO)
    assert (exit_code, out) == (2, "")
    *_, error = said.splitlines()
    assert re.fullmatch(f"error: {REPO}: the Hub answered {message}.*, then repeat the command .*", error), said
    kept = len(hub.large)
    exit_code, out, said = here(rich_dataset, REPO)
    assert exit_code == 0, said
    sent = [call for call in hub.asked("PUT /lfs") if call.status == 200]
    assert len(sent) == len(hub.large)  # nothing twice
    assert kept == (len(hub.large) if part == "commit" else kept)
    assert len(hub.repos["dataset", REPO].commits) == 2


def test_a_passing_fault_is_passed_over(hub: HubServer, here: Publish, rich_dataset: Path) -> None:
    hub.fail_next("PUT /lfs", 503)
    status, _, said = here(rich_dataset, REPO)
    assert (status, said) == (0, "the reviews stay here; --with-reviews publishes them too\n")


def test_strangers_and_lost_connections(
    hub: HubServer, here: Publish, rich_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: str, message: str) -> None:
        status, out, said = here(rich_dataset, *arguments)
        assert (status, out) == (2, "")
        assert re.search(message, said.splitlines()[-1]), said

    for name in ("films", "a/b/c", "user/films.git", "user/fi lms", "user/-x", "user/" + "f" * 99):
        refused(name, message="no name for a repository|say whose it is")
    refused("somebody/films", message="somebody/films: the Hub answered 403 ")
    refused(REPO, "--license", "my-own", message=r'answered 400 .*"license" must be one of')
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    refused(REPO, message="401 .*hf auth login")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    refused(REPO, message=f"{REPO}: the Hub cannot be reached .*network")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused(REPO, message="HF_HUB_OFFLINE is set")
    assert hub.asked("commit") == []


def test_what_others_published_and_what_is_public_is_left_alone(
    hub: HubServer, here: Publish, rich_dataset: Path
) -> None:
    assert here(rich_dataset, REPO)[0] == 0
    status, _, said = here(rich_dataset, REPO, "--private")
    assert status == 2
    assert f"error: {REPO}: this dataset exists and is public" in said
    repo = hub.repos["dataset", REPO]
    repo.commit("mine", {"README.md": File(b"---\ntags: [other]\n---\nA thesis.", large=False)})
    status, _, said = here(rich_dataset, REPO)
    assert status == 2
    assert "was not published by reel" in said
    assert list(repo.files) == ["README.md"]


def test_additions_of_the_owner_stay_and_old_shards_go(hub: HubServer, here: Publish, rich_dataset: Path) -> None:
    assert here(rich_dataset, REPO)[0] == 0
    repo = hub.repos["dataset", REPO]
    added = {"LICENSE": File(b"mine", large=False), "ratings/train-00009-of-00010.parquet": File(b"old", large=True)}
    repo.commit("by hand", {**repo.files, **added})
    assert here(rich_dataset, REPO)[0] == 0
    assert "LICENSE" in repo.files
    assert "ratings/train-00009-of-00010.parquet" not in repo.files


def reseal(folder: Path, config: str) -> None:
    """Make the card agree with what somebody has done to the files of a config."""
    digest = DatasetCard.read_digest(folder, config)
    assert digest is not None
    card = folder / "README.md"
    card.write_text(card.read_text().replace(digest, digest_files(folder / config)))


@pytest.mark.parametrize("config", ["ratings", "histories", "cold_cases", "rewatches"])
@pytest.mark.parametrize("name", ["ann", None])
def test_names_are_never_published(
    hub: HubServer, here: Publish, dataset: Path, config: str, name: str | None
) -> None:
    path = sorted((dataset / config).glob("*.parquet"))[-1]
    rows = pl.read_parquet(path).with_row_index()
    named = pl.when(pl.col("index") == 0).then(pl.lit(name, pl.String)).otherwise("user_id")
    rows.with_columns(user_id=named).drop("index").write_parquet(path)
    reseal(dataset, config)
    status, _, said = here(dataset, REPO)
    assert status == 2
    assert re.search(rf"{config}/{path.name}: 1 rows have a user_id that is no keyed hash", said)
    assert hub.calls == []


def drop_shard(folder: Path) -> None:
    next((folder / "ratings").glob("train-*")).unlink()


def cut_shard(folder: Path) -> None:
    path = next((folder / "histories").glob("test-*"))
    path.write_bytes(path.read_bytes()[:-100])


def cut_and_reseal(folder: Path) -> None:
    cut_shard(folder)
    reseal(folder, "histories")


def add_column(folder: Path) -> None:
    path = next((folder / "films").glob("train-*"))
    pl.read_parquet(path).with_columns(seen_by=pl.lit("ann")).write_parquet(path)
    reseal(folder, "films")


def older_card(folder: Path) -> None:
    card = folder / "README.md"
    card.write_text(card.read_text().replace("build:", "made:"))


def name_a_place(folder: Path) -> None:
    card = folder / "README.md"
    card.write_text(card.read_text().replace("source: made up", f"source: the file {folder.resolve()}/x.csv"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_shard, "ratings are damaged, changed or lost"),
        (cut_shard, "histories are damaged, changed or lost"),
        (cut_and_reseal, "cannot be read"),
        (add_column, "has the columns .*seen_by"),
        (older_card, "not the card of a data set of this version"),
        (name_a_place, "names a place on this machine"),
        (lambda folder: shutil.rmtree(folder), "no rating data set"),
    ],
)
def test_damaged_data_sets_are_refused(
    hub: HubServer, here: Publish, dataset: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(dataset)
    status, out, said = here(dataset, REPO)
    assert (status, out) == (2, "")
    assert re.search(message, said.splitlines()[-1]), said
    assert hub.calls == []


def test_features_of_other_films_stay(hub: HubServer, here: Publish, dataset: Path) -> None:
    spec = dataset / "features" / "features.json"
    spec.write_text(re.sub(r'"films_digest": "\w+"', '"films_digest": "0"', spec.read_text()))
    status, _, said = here(dataset, REPO)
    assert status == 0
    assert "the features are of other films and stay here" in said
    assert not any(path.startswith("features/") for path in hub.repos["dataset", REPO].files)
