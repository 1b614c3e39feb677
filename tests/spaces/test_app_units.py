"""The Space without a browser: sessions, uploads, what is written into the page, the CSV, and `reel demo`."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import re
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("gradio")

import rendering
from service import Service
from session import Session
from takeaway import recommendations_csv, safe_cell
from taste_view import taste_page
from two_people import page_for_two
from uploads import discarded, private_folder, swept

from data_prep.errors import UserError
from reel import demo
from reel.recommender import Reason, Recommendation
from reel.taste import Group, Judgement, Taste
from reel.two_people import Likeness, SharedFilm
from tests.spaces.browsing import done
from tests.spaces.fake_recommender import HOSTILE, FakeRecommender


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(FakeRecommender(), tmp_path.resolve())


def received(folder: Path, name: str, content: bytes) -> Path:
    """A file as Gradio leaves an upload: in a folder of its own."""
    path = folder.resolve() / "0123abcd" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


RATINGS = "Date,Name,Year,Letterboxd URI,Rating\r\n2024-01-01,Saltwater Hotel,1983,https://boxd.it/a,4.5\r\n"


def test_a_session_rates_changes_and_removes() -> None:
    start = Session()
    rated = start.rate("a", 7).rate("b", 10).rate("a", 3)
    assert rated.ratings == (("a", 3), ("b", 10))
    assert rated.remove("a").ratings == (("b", 10),)
    assert rated.clear() == start == Session()


@pytest.mark.parametrize("rating", [0, 11, 3.5, "7", None, True])
def test_a_rating_is_one_to_ten(rating: object) -> None:
    with pytest.raises(ValueError, match="half stars"):
        Session().rate("a", rating)  # type: ignore[arg-type]


def test_an_export_joins_what_was_rated_by_hand() -> None:
    exported = {"history": [{"film_id": "a", "rating": 8}, {"film_id": "c", "rating": 2}], "watched": ["d", "d"]}
    session = Session().rate("a", 1).rate("b", 5).add_export(exported)
    assert session.ratings == (("b", 5), ("a", 8), ("c", 2))
    assert session.seen == ("d",)
    assert session.add_export({"history": [], "watched": ["e", "d"]}).seen == ("d", "e")


@pytest.mark.parametrize(
    "edit", [None, [], {}, {"action": "rate"}, {"action": "rate", "film_id": "x", "rating": 3}, {"film_id": "film-1"}]
)
def test_an_edit_the_page_would_never_send_changes_nothing(service: Service, edit: object) -> None:
    assert service.edit(Session(), edit)[0] == Session()


def test_search_trusts_nothing(service: Service) -> None:
    assert service.find_films(None) == service.find_films({"a": 1}) == service.find_films("  ") == []
    assert [film["title"] for film in service.find_films("lantern keeper")] == ["The Lantern Keeper"]
    assert service.find_films("x" * 1_000_000) == []


def test_an_upload_is_read_reported_and_deleted(service: Service) -> None:
    path = received(
        service.folder,
        "ratings.csv",
        (RATINGS + "2024-01-02,<b>Nowhere</b>,1901,u,3\r\n2024-01-03,Old Hotel,1950,u,<11>\r\n").encode(),
    )
    with discarded(str(path), service.folder):
        cleared, session, *_, report = service.bring_export(str(path), Session())
    assert cleared is None
    assert session.ratings == (("film-14", 9),)
    assert "1 of 2 rated films" in report
    assert "&lt;b&gt;Nowhere&lt;/b&gt;" in report
    assert "1 row not found" in report
    assert "&lt;11&gt;" in report
    assert list(service.folder.iterdir()) == []


def test_a_wrong_upload_is_a_sentence_without_the_servers_paths_and_is_deleted(service: Service) -> None:
    path = received(service.folder, "holiday.csv", b"a;b\n1;2\n")
    with discarded(str(path), service.folder):
        _, session, *_, report = service.bring_export(str(path), Session().rate("film-1", 5))
    assert session.ratings == (("film-1", 5),)
    assert "holiday.csv: " in report
    assert 'role="alert"' in report
    assert str(service.folder) not in report
    assert list(service.folder.iterdir()) == []


def test_an_upload_that_nothing_can_read_is_a_sentence_and_logs_no_data(
    service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret title")

    monkeypatch.setattr(service.recommender, "read_history", broken)
    path = received(service.folder, "x.zip", b"PK")
    assert "could not be read" in service.bring_export(str(path), Session())[-1]
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_an_upload_is_deleted_whatever_happens(service: Service) -> None:
    path = received(service.folder, "x.zip", b"PK")
    with pytest.raises(RuntimeError), discarded(str(path), service.folder):
        raise RuntimeError
    assert list(service.folder.iterdir()) == []


def test_only_files_of_the_private_folder_are_deleted(
    service: Service, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("elsewhere") / "ratings.csv"
    other.write_text(RATINGS)
    with discarded(str(other), service.folder):
        pass
    assert other.exists()


def test_leftovers_are_swept(tmp_path: Path) -> None:
    old, young, broken_off, arriving = (tmp_path / name for name in ("old", "young", "tmp123", "tmp456"))
    for folder in (old, young):
        folder.mkdir()
        (folder / "export.zip").write_bytes(b"x")
    broken_off.write_bytes(b"x")
    arriving.touch()  # its bytes are in a buffer yet
    for past in (old, broken_off):
        os.utime(past, (time.time() - 3600,) * 2)

    async def served() -> None:
        async with swept(tmp_path, every=0.01):
            while old.exists() or broken_off.exists():
                await asyncio.sleep(0.01)

    done(asyncio.wait_for(served(), 30))
    assert {entry.name for entry in tmp_path.iterdir()} == {"young", "tmp456"}


def test_uploads_go_to_a_folder_that_only_this_user_reads() -> None:
    folder = private_folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert os.environ["GRADIO_TEMP_DIR"] == str(folder)


def test_a_second_page_in_the_process_leaves_the_first_ones_uploads_where_they_are() -> None:
    demo.load_space(demo.SPACE).build_app(FakeRecommender())
    folder = os.environ["GRADIO_TEMP_DIR"]
    demo.load_space(demo.SPACE).build_app(FakeRecommender())
    assert os.environ["GRADIO_TEMP_DIR"] == folder


def test_filters_reach_the_recommender(service: Service) -> None:
    rated = Session().rate("film-2", 9)
    page = service.recommend(rated, ["Drama", "No such genre"], "1990", "1950", 10, True)  # years the wrong way round
    assert page.films
    assert all(1950 <= film.year <= 1990 and "Drama" in service.genres[film.film_id] for film in page.films)
    assert "film-2" in {film.film_id for film in service.recommend(rated, top=100, hide_seen=False).films}
    assert "film-2" not in {film.film_id for film in service.recommend(rated, top=100).films}
    assert len(service.recommend(rated, top=10**9).films) == 20
    assert service.recommend(rated, since="19", until="soon").films == service.recommend(rated).films
    assert "No film fits" in service.recommend(rated, since="2022", until="2022", genres=["Romance"]).table


def test_stars_and_words() -> None:
    assert [rendering.stars(rating) for rating in (1, 2, 7, 10)] == ["½ ★", "1 ★", "3½ ★", "5 ★"]
    assert [rendering.spoken(rating) for rating in (1, 2, 7)] == ["0.5 stars", "1 star", "3.5 stars"]


def test_the_distribution_has_ten_bars_and_says_them() -> None:
    svg = rendering.distribution([0.05] * 9 + [0.55], 0.55)
    assert svg.count("<rect") == 10
    assert svg.count('class="good"') == 4
    assert "5 stars 55%" in svg


def test_everything_is_escaped(service: Service) -> None:
    film = Recommendation(HOSTILE, HOSTILE, None, 7.0, 0.5, [0.1] * 10, [Reason(HOSTILE, HOSTILE, 7, 1.0)])
    row = {"row": 2, "name": HOSTILE, "year": 1999, "reason": HOSTILE, "file": HOSTILE, "value": HOSTILE}
    exported = {
        "counts": {"rated": 1, "matched": 0},
        "unmatched": [row],
        "rejected": [row],
        "watched": [],
        "history": [],
    }
    judged = [Judgement(HOSTILE, HOSTILE, None, 7, 6.0)]
    groups, years = [Group(HOSTILE, 2, 7.0, 6.0)], [Group(year, 1, 7.0, 6.0) for year in ("1999", "2001")]
    taste = Taste(2, [0.1] * 10, 7.0, 6.0, years, groups, groups, judged, judged)
    for_both = SharedFilm(HOSTILE, HOSTILE, None, ([0.1] * 10, [0.1] * 10), (7.0, 6.0))
    alike = Likeness(0.5, 6, 0.5, 1.0, [(HOSTILE, 7, 7)], [(HOSTILE, 9, 2)])
    for written in (
        rendering.recommendations_table([film], {HOSTILE: [HOSTILE]}),
        rendering.recommendations_table([film], {HOSTILE: [HOSTILE]}, layout="Grid"),
        rendering.question(HOSTILE, HOSTILE, 1999),
        rendering.film_card(film, [HOSTILE], 7),
        taste_page(taste),
        page_for_two(alike, [for_both], {HOSTILE: HOSTILE}, (6, 7)),
        rendering.ratings_list([(HOSTILE, HOSTILE, None, 7)], 10),
        rendering.import_report(exported),
        rendering.error(HOSTILE),
    ):
        assert "<img" not in written
        assert 'error="' not in written


def test_a_long_list_of_ratings_is_shown_in_parts(service: Service) -> None:
    session = Session(tuple((f"film-{i}", 7) for i in range(50)))
    assert service.yours(session).ratings.count("<li>") == 40
    assert "other 10" in service.yours(session).ratings
    assert service.yours(session.list_more()).ratings.count("<li>") == 50


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_cells_that_could_be_formulas_are_quoted(text: str) -> None:
    assert safe_cell(text) == "'" + text


def test_the_csv_holds_what_the_page_shows() -> None:
    film = Recommendation("a", "=Ways, Home", None, 7.5, 0.6, [0.1] * 10, [Reason("b", "Old Hotel", 9, 1.0)])
    header, row = csv.reader(io.StringIO(recommendations_csv([film]), newline=""))
    assert len(header) == len(row) == 15
    assert row[:4] == ["'=Ways, Home", "", "3.75", "0.600"]
    assert row[-1] == "Old Hotel (4.5)"


def test_the_space_pins_the_installed_gradio() -> None:
    import gradio

    pinned = re.search(r"^sdk_version: (.+)$", (demo.SPACE / "README.md").read_text(), re.MULTILINE)
    assert pinned is not None
    assert pinned[1] == gradio.__version__
    assert not (demo.SPACE / "__init__.py").exists()


def test_the_space_without_a_model_says_so() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "REEL_MODEL"}
    done = subprocess.run(
        [sys.executable, demo.SPACE / "app.py"], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: REEL_MODEL is not set")


def test_demo_tells_how_to_get_the_page_when_a_wheel_was_installed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="clone the repository"):
        demo.load_space(tmp_path)


def test_demo_refuses_a_port_that_is_none() -> None:
    with pytest.raises(UserError, match="--port 0"):
        demo.main(["--model", "anything", "--port", "0"])


def test_demo_opens_no_browser_where_nobody_sits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 22")
    assert not demo.has_browser()


def test_demo_loads_the_space() -> None:
    assert callable(demo.load_space(demo.SPACE).build_app)


def test_a_zip_is_an_upload_too(service: Service) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("ratings.csv", RATINGS)
    path = received(service.folder, "letterboxd.zip", content.getvalue())
    assert service.bring_export(str(path), Session())[1].ratings == (("film-14", 9),)
