"""`reel demo` as a person starts it: a real, tiny model, a server of its own, and nothing left when it stops."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from service import Service
from session import Session

from data_prep.errors import UserError
from reel import demo

pytest.importorskip("gradio", reason="Gradio is not installed (extra: demo)")

DEMO = [sys.executable, "-c", "import sys; from reel.cli import main; sys.exit(main())", "demo", "--no-browser"]


@pytest.fixture(scope="session")
def tiny_model(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shrunk biases of the tiny data set."""
    from training.baseline import main

    folder = tmp_path_factory.mktemp("model") / "shrunk-bias"
    main(["--kind", "shrunk-bias", "--data", str(tiny_dataset), "--output-dir", str(folder)])
    return folder


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_page_works_with_a_real_model(tiny_model: Path, tmp_path: Path) -> None:
    from reel import Recommender

    service = Service(Recommender.from_pretrained(tiny_model), tmp_path)
    (film,) = service.find_films("film number 5")[:1]
    assert film["title"].startswith("The Film Number 5")
    session = service.edit(Session(), {"action": "rate", "film_id": film["film_id"], "rating": 9})[0]
    page = service.recommend(session)
    assert len(page.films) == 20
    assert film["film_id"] not in {shown.film_id for shown in page.films}
    assert page.table.count("<svg") == 20
    assert "1 rating" in page.summary


@pytest.mark.skipif(sys.platform == "win32", reason="stops the server by SIGTERM")
def test_demo_serves_prints_its_address_and_leaves_nothing(tiny_model: Path, port: int, tmp_path: Path) -> None:
    # Without the folder of a page that this process serves: Gradio's import makes a folder of its own in it.
    inherited = {name: value for name, value in os.environ.items() if name != "GRADIO_TEMP_DIR"}
    environment = {**inherited, "TMPDIR": str(tmp_path)}
    command = [*DEMO, "--model", str(tiny_model), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            said = next(line for line in server.stdout if "http" in line)
            address = re.search(r"http://127\.0\.0\.1:\d+/", said)
            assert address is not None
            assert address[0] == f"http://127.0.0.1:{port}/"
            with urllib.request.urlopen(address[0], timeout=20) as answer:
                assert answer.status == 200
            assert list(tmp_path.glob("reel-space-*"))
            with pytest.raises(UserError, match=f"port {port}: it is in use"):
                demo.main(["--model", str(tiny_model), "--port", str(port), "--no-browser"])
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
    assert list(tmp_path.glob("reel-space-*")) == []
