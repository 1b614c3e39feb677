"""The command line as a person meets it: answers on stdout, mistakes in one line with exit status 2."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.errors import UserError
from reel.cli import VERBS, main, run
from reel.recommend import year_range

RATINGS_CSV = (
    "Date,Name,Year,Letterboxd URI,Rating\r\n"
    "2024-01-01,The Film Number 3,{year},https://boxd.it/a,4.5\r\n"
    "2024-01-02,A Film Nobody Made,1999,https://boxd.it/b,2\r\n"
    "2024-01-03,The Film Number 41,{other},https://boxd.it/c,11\r\n"
)


def reel(capsys, monkeypatch, *arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command."""
    monkeypatch.setattr(sys, "argv", ["reel", *map(str, arguments)])
    status = main()
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def export(tiny_films: pl.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "export.zip"
    years = tiny_films["year"]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ratings.csv", RATINGS_CSV.format(year=years[3], other=years[41]))
        archive.writestr(
            "watched.csv", f"Date,Name,Year,Letterboxd URI\r\n2024-01-01,The Film Number 5,{years[5]},u\r\n"
        )
    return path


def test_help_is_quick_and_lists_every_verb():
    started = time.monotonic()
    result = subprocess.run([sys.executable, "-m", "reel.cli", "--help"], capture_output=True, text=True, timeout=30)
    assert time.monotonic() - started < 1.0
    assert result.returncode == 0
    assert all(verb in result.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        run([*verb.split(), "--help"])
    assert ended.value.code == 0
    assert verb.split()[-1] in capsys.readouterr().out


@pytest.mark.parametrize("words", [["fly"], ["data", "fly"], ["train"], ["predict"], ["recommend", "--model"]])
def test_wrong_words_are_one_line(words, capsys, monkeypatch):
    status, out, err = reel(capsys, monkeypatch, *words)
    if words == ["train"]:
        assert status == 0
        assert "train baseline" in out
    else:
        assert status == 2
        assert err.startswith("error: ")
        assert err.count("\n") == 1


def test_recommend_with_its_dials(tiny_models, export, capsys, monkeypatch):
    command = ["recommend", "--model", tiny_models["model"], "--history", export, "--format", "csv", "--top", "10"]

    def films(*dials: str) -> list[dict[str, str]]:
        status, out, err = reel(capsys, monkeypatch, *command, *dials)
        assert status == 0, err
        return list(csv.DictReader(io.StringIO(out)))

    plain = films()
    rewards = [float(film["reward_probability"]) for film in films("--by", "reward")]
    assert rewards == sorted(rewards, reverse=True)
    assert films("--popularity", "-1") != plain
    assert films("--caution", "2") != plain
    diverse = films("--diversity", "1")
    assert diverse[0] == plain[0]
    assert diverse != plain
    status, out, err = reel(capsys, monkeypatch, *command, "--diversity", "3")
    assert (status, out) == (2, "")
    assert "diversity 3: must be from 0 to 1" in err


def test_recommend_as_json(tiny_models, export, capsys, monkeypatch):
    arguments = ("recommend", "--model", tiny_models["model"], "--history", export, "--format", "json", "--top", "7")
    status, out, err = reel(capsys, monkeypatch, *arguments)
    answer = json.loads(out)
    assert status == 0
    assert "2 rated, 1 matched, 1 unmatched" in err
    assert len(answer["recommendations"]) == 7
    film = answer["recommendations"][0]
    assert set(film) == {
        "film_id",
        "title",
        "year",
        "expected_rating",
        "reward_probability",
        "probabilities",
        "because",
    }
    # A film that is like none of those rated leans on nothing.
    reasons = [reason for film in answer["recommendations"] for reason in film["because"]]
    assert reasons
    assert all(set(reason) == {"film_id", "title", "rating", "weight"} for reason in reasons)
    assert sum(film["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert not {"film-03", "film-05"} & {film["film_id"] for film in answer["recommendations"]}
    history = answer["history"]
    assert (history["rated"], history["matched"], len(history["unmatched"]), len(history["rejected"])) == (2, 1, 1, 1)
    assert {"row", "name", "year", "reason"} <= set(history["unmatched"][0])


def test_recommend_as_csv_and_as_table(tiny_models, export, capsys, monkeypatch):
    arguments = (
        "recommend",
        "--model",
        tiny_models["shrunk_bias"],
        "--history",
        export,
        "--include-seen",
        "--top",
        "80",
    )
    arguments += ("--include-seen",)
    status, out, _ = reel(capsys, monkeypatch, *arguments, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert status == 0
    assert "film-03" in {row["film_id"] for row in rows}
    status, out, _ = reel(capsys, monkeypatch, *arguments)
    assert status == 0
    assert "stars" in out


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--genre", "Nope", "no film has the genre 'Nope'"),
        ("--top", "0", "--top 0: at least 1"),
        ("--top", "-3", "--top -3: at least 1"),
        ("--top", "abc", "'abc'"),
        ("--years", "soon", "'soon': expected a year"),
        ("--caution", "nan", "caution nan: must be from -10 to 10"),
    ],
)
def test_wrong_options_of_recommend(tiny_models, export, capsys, monkeypatch, option, value, message):
    command = ("recommend", "--model", tiny_models["shrunk_bias"], "--history", export, f"{option}={value}")
    status, out, err = reel(capsys, monkeypatch, *command)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert message in err


def test_recommend_with_text_that_no_encoding_has(tiny_models, tmp_path, capsys, monkeypatch):
    path = tmp_path / "history.json"
    path.write_text(json.dumps({"history": [{"film_id": "\ud800 \x1b[31m", "rating": 3}]}))
    command = ("recommend", "--model", tiny_models["shrunk_bias"], "--history", path, "--top", "2")
    status, out, err = reel(capsys, monkeypatch, *command, "--format", "json")
    assert status == 0
    assert json.loads(out)["history"]["unmatched"][0]["name"] == "\ud800 \x1b[31m"
    assert "\x1b" not in err


def test_a_title_does_not_steer_the_terminal(tiny_models, export, tmp_path, capsys, monkeypatch):
    pl.DataFrame({"film_id": ["new"], "title": ["A\x1b[31mRED\x1b]0;"]}).write_parquet(tmp_path / "new.parquet")
    command = ("recommend", "--model", tiny_models["model"], "--history", export, "--only-new", "--films")
    status, out, _ = reel(capsys, monkeypatch, *command, tmp_path / "new.parquet")
    assert status == 0
    assert "RED" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_nothing_left_to_recommend_is_told_beside_the_answer(tiny_models, export, capsys, monkeypatch, form):
    command = ("recommend", "--model", tiny_models["shrunk_bias"], "--history", export, "--years", "1700")
    status, out, err = reel(capsys, monkeypatch, *command, "--format", form)
    assert status == 0
    assert "no film is left: widen the filters" in err
    assert "widen" not in out


def test_recommend_for_a_reader_that_leaves(tiny_models, export):
    reel = f"{sys.executable} -m reel.cli recommend --model {tiny_models['shrunk_bias']} --include-seen --top 80"
    line = f"{reel} --history {export} 2>/dev/null | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_an_exported_history_recommends_the_same(tiny_models, tiny_dataset, export, tmp_path, capsys, monkeypatch):
    status, _, _ = reel(
        capsys, monkeypatch, "data", "export", export, "--data", tiny_dataset, "--out", tmp_path / "me.json"
    )
    assert status == 0
    command = ("recommend", "--model", tiny_models["model"], "--format", "json", "--history")
    outputs = [reel(capsys, monkeypatch, *command, source)[1] for source in (export, tmp_path / "me.json")]
    answers = [json.loads(output)["recommendations"] for output in outputs]
    assert answers[0] == answers[1]


def cases(path: Path, **changes) -> Path:
    table = {
        "case_id": [7, 8],
        "history_film_ids": [["film-03", "film-04"], []],
        "history_ratings": [[9, 2], []],
        "film_id": ["film-05", "film-06"],
        **changes,
    }
    types = {"history_film_ids": pa.list_(pa.string()), "history_ratings": pa.list_(pa.int8())}
    pq.write_table(pa.table({name: pa.array(column, types.get(name)) for name, column in table.items()}), path)
    return path


def test_predict(tiny_models, tmp_path, capsys, monkeypatch):
    out = tmp_path / "predictions.parquet"
    arguments = (
        "predict",
        "--model",
        tiny_models["model"],
        "--cases",
        cases(tmp_path / "cases.parquet"),
        "--out",
        out,
    )
    assert reel(capsys, monkeypatch, *arguments)[0] == 0
    predictions = pq.read_table(out).to_pydict()
    assert predictions["case_id"] == [7, 8]
    for expected, probabilities in zip(predictions["expected_rating"], predictions["probabilities"], strict=True):
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert expected == pytest.approx(np.dot(probabilities, range(1, 11)), abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"film_id": ["film-05", "casablanca"]}, "'casablanca'"),
        ({"film_id": ["film-05", None]}, "row 1"),
        (
            {"history_film_ids": [["film-03", "who-knows"], []]},
            "'who-knows' in column 'history_film_ids' of the cases, row 0",
        ),
        (
            {"history_film_ids": [[], ["film-03", "film-04"]], "history_ratings": [[], [9, 11]]},
            "row 1 of the cases is 11",
        ),
        ({"history_ratings": [[9], []]}, "2 history films and 1 ratings"),
    ],
)
def test_wrong_cases_are_named(tiny_models, tmp_path, capsys, monkeypatch, changes, message):
    out = tmp_path / "predictions.parquet"
    path = cases(tmp_path / "cases.parquet", **changes)
    status, _, err = reel(
        capsys, monkeypatch, "predict", "--model", tiny_models["model"], "--cases", path, "--out", out
    )
    assert status == 2
    assert message in err
    assert err.strip().count("\n") == 0
    assert sorted(tmp_path.iterdir()) == [path]


def test_predictions_do_not_replace_what_was_read(tiny_models, tmp_path, capsys, monkeypatch):
    path = cases(tmp_path / "cases.parquet")
    before = path.read_bytes()
    command = ("predict", "--model", tiny_models["shrunk_bias"], "--cases", path, "--out", path)
    status, _, err = reel(capsys, monkeypatch, *command)
    assert (status, err.count("\n")) == (2, 1)
    assert "this file is read, so it is not written" in err
    assert path.read_bytes() == before


@pytest.mark.parametrize("place", ["", ".", "absent/p.parquet", "cases.parquet/p.parquet", "x" * 300])
def test_predict_into_places_that_are_none(tiny_models, tmp_path, capsys, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    path = cases(tmp_path / "cases.parquet")
    command = ("predict", "--model", tiny_models["shrunk_bias"], "--cases", path, "--out", place)
    status, out, err = reel(capsys, monkeypatch, *command)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == [path]


def test_predict_with_files_that_are_none(tiny_models, tmp_path, capsys, monkeypatch):
    (tmp_path / "notes.parquet").write_text("not a table")
    for path, message in ((tmp_path / "notes.parquet", "Parquet"), (tmp_path / "absent.parquet", "no such file")):
        command = ("predict", "--model", tiny_models["model"], "--cases", path, "--out", tmp_path / "out.parquet")
        status, _, err = reel(capsys, monkeypatch, *command)
        assert status == 2
        assert message in err


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("1970-1989", (1970, 1989)),
        ("1970-", (1970, None)),
        ("-1989", (None, 1989)),
        ("1984", (1984, 1984)),
    ],
)
def test_year_ranges(text, years):
    assert year_range(text) == years


@pytest.mark.parametrize("text", ["", "-", "soon", "1989-1970", "19701980", "70-80"])
def test_year_ranges_that_are_none(text):
    with pytest.raises(UserError, match="--years"):
        run(["recommend", "--model", "models/x", "--history", "me.zip", f"--years={text}"])
