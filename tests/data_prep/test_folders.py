"""Files and folders appear whole or not at all, and nothing but files and folders is replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from data_prep.errors import UserError
from data_prep.folders import keep_sources, new_file, new_folder


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "answer [1].json"
    out.write_text("old")
    with new_file(out) as building:
        building.write_text("new")
        assert out.read_text() == "old"
    assert out.read_text() == "new"
    assert os.listdir(tmp_path) == [out.name]


@pytest.mark.parametrize("error", [UserError("wrong"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_error_leaves_the_old_file_and_nothing_beside(tmp_path: Path, error: BaseException) -> None:
    out = tmp_path / "answer.json"
    out.write_text("old")

    def write() -> None:
        with new_file(out) as building:
            building.write_text("half")
            raise error

    with pytest.raises((type(error), UserError)):
        write()
    assert out.read_text() == "old"
    assert os.listdir(tmp_path) == [out.name]


def test_errors_of_the_work_are_not_blamed_on_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), new_file(tmp_path / "out"):
        (tmp_path / "input").read_text()
    with pytest.raises(UserError, match=r"out: cannot be written \(No space"), new_file(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", [".", "folder", "absent/out", "file/out", "pipe", "circle", "x" * 300])
def test_places_that_are_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    os.mkfifo(tmp_path / "pipe")  # stands for devices too: /dev/stdout must not become a file
    (tmp_path / "circle").symlink_to("circle")
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(UserError, match=name[:20]), new_file(Path(name)):
        pytest.fail("the work was begun")
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "pipe").is_fifo()


def test_a_link_stays(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/out")
    with new_file(tmp_path / "link") as building:
        building.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "out").read_text() == "new"


def test_leftovers_of_killed_processes_go(tmp_path: Path) -> None:
    (tmp_path / ".out.building-999999999").write_text("half")
    (tmp_path / ".set.building-999999999").mkdir()
    with new_file(tmp_path / "out"), new_folder(tmp_path / "set"):
        pass
    assert sorted(os.listdir(tmp_path)) == ["out", "set"]


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_a_folder_replaces_only_a_folder(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    out.write_text("old") if kind == "file" else os.mkfifo(out)
    with pytest.raises(UserError, match="no folder"), new_folder(out):
        pytest.fail("the work was begun")
    assert os.listdir(tmp_path) == ["out"]
    assert not out.is_dir()


def test_what_is_read_is_not_written(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("precious")
    (tmp_path / "link").symlink_to("source")
    for out in (source, tmp_path / "link", tmp_path / "." / "source"):
        with pytest.raises(UserError, match="this file is read"):
            keep_sources(out, [tmp_path / "absent", source])
    keep_sources(tmp_path / "new", [source])
