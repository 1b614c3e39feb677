"""What docs/data.md and docs/publishing.md say, done in this process: their commands and Python run as they stand over
the tests' small data set, with a TMDB and a Hub on this machine."""

from __future__ import annotations

import re
import shlex
import shutil
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data_prep.dataset import load_films, load_histories
from data_prep.errors import exit_status
from reel import cli
from tests.data_prep.tmdb.fake_tmdb import TOKEN, FakeTmdb, film, serving
from tests.documents import REPOSITORY, blocks, shell_commands
from tests.hub_server import HubServer

SMALL = " --hidden-size 16 --num-hidden-layers 1 --num-attention-heads 2"


def run(command: str) -> None:
    """A command that begins with `reel`; minutes of training become moments."""
    words = shlex.split(command)
    assert words[0] == "reel", command
    if "--max-minutes" in words:
        words[words.index("--max-minutes") + 1] = "0.005"
    assert exit_status(cli.run, words[1:]) == 0, command


def execute(code: str, **names: Any) -> dict[str, Any]:
    """Run a block of Python over some names; all names that it leaves."""
    exec(compile(code, "docs", "exec"), names)
    return names


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_data(
    home: Path,
    tiny_dataset: Path,
    tiny_films: pl.DataFrame,
    tiny_ratings: pl.DataFrame,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys,
) -> None:
    tiny_films.write_parquet(home / "films.parquet")
    tiny_ratings.write_parquet(home / "ratings.parquet")
    shutil.copytree(tiny_dataset, home / "data" / "sample")
    years = tiny_films["year"]
    rows = [f"2024-01-0{n},The Film Number {n},{years[n]},u,4.5\n" for n in (3, 5, 9)]
    rows.append("2024-01-04,Brought Along,1999,u,2\n")
    for name in ("you-2026-01-01-10-00-utc", "ann-2026-02-03-11-30-utc", "you"):
        with zipfile.ZipFile(home / f"letterboxd-{name}.zip", "w") as archive:
            archive.writestr("ratings.csv", "Date,Name,Year,Letterboxd URI,Rating\n" + "".join(rows))
    pl.DataFrame({"film_id": ["later"], "title": ["A Film of Tomorrow"]}).write_csv(home / "new.csv")
    cases = {"case_id": ["a"], "history_film_ids": [["film-20", "film-22"]], "history_ratings": [[9, 3]]}
    pl.DataFrame({**cases, "film_id": ["later"]}).write_parquet(home / "cases.parquet")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(FakeTmdb([film(77, "Brought Along", "1999-03-03", overview="")])) as tmdb:
        for command in shell_commands("docs/data.md"):
            if command.startswith("export TMDB_TOKEN="):
                monkeypatch.setenv("TMDB_TOKEN", TOKEN)
            elif command.startswith("reel data tmdb"):
                run(f"{command} --base-url {tmdb.url}")
            elif command.startswith("reel recommend"):
                capsys.readouterr()
                run(command)
                assert "A Film of Tomorrow" in capsys.readouterr().out
            elif command.startswith("reel "):
                run(command)
    assert pl.read_parquet(home / "predictions.parquet")["case_id"].to_list() == ["a"]
    assert load_films("data/mine").filter(title="Brought Along")["tmdb_id"].to_list() == [77]

    histories = execute(blocks("docs/data.md", "python")[0])["histories"]
    assert len(histories) == len(load_histories("data/mine", "train")) == 50


def test_publishing(home: Path, tiny_dataset: Path, online: HubServer) -> None:
    shutil.copytree(tiny_dataset, home / "data" / "mine")
    shutil.copytree(REPOSITORY / "spaces", home / "spaces", ignore=shutil.ignore_patterns("__pycache__"))
    run("reel train film-token-gpt2 --data data/mine --output-dir models/mine --max-steps 2" + SMALL)
    for kind in ("shrunk-bias", "als"):
        run(f"reel train baseline --kind {kind} --data data/mine --output-dir models/{kind}")
    for command in shell_commands("docs/publishing.md"):
        run(command)
    model, page = online.repos["model", "user/film-ratings"], online.repos["space", "user/reel"]
    assert "model-index:" in model.commits[1][2]["README.md"].content.decode()
    assert model.commits[-1][1] == "End of training"
    assert page.variables == {"REEL_MODEL": "model"}
    assert set(online.repos) == {
        ("model", "user/film-ratings"),
        ("space", "user/reel"),
        ("space", "user/rating_metrics"),
    }
    reading, without_reel = blocks("docs/publishing.md", "python")
    assert len(execute(reading)["reel"].recommend([("film-03", 9)], top=3)) == 3
    (tag,) = (tag for tag, revision in model.tags.items() if revision == model.sha)
    code, pinned = re.subn(r"reel-[0-9a-f]{12}", tag, without_reel)
    assert pinned == 1
    execute(code)
