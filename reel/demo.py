"""The web demo on this machine: `reel demo --model DIR [--port PORT] [--no-browser]`.

Serves the Space of the repository's `spaces/movie_recommender` on 127.0.0.1 and opens the browser, where there is one.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from data_prep.errors import CommandParser, UserError

SPACE = Path(__file__).resolve().parents[1] / "spaces" / "movie_recommender"


def main(arguments: Sequence[str]) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        UserError: there is no Space beside this package, Gradio is missing, the model cannot be loaded, or the port is
            taken.
    """
    parser = CommandParser(prog="reel demo", description="Rate films in the browser and get recommendations.")
    parser.add_argument("--model", required=True, help="a model folder, or a model repository on the Hub")
    parser.add_argument("--port", type=int, help="the port on 127.0.0.1 (default: the first free one from 7860 on)")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    options = parser.parse_args(arguments)
    if options.port is not None and not 1 <= options.port <= 65535:
        raise UserError(f"--port {options.port}: give a number from 1 to 65535")
    space = load_space(SPACE)
    # Gradio asks its own server whether it is up; a proxy in between would not know 127.0.0.1.
    os.environ["NO_PROXY"] = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1", "localhost"]))
    space.serve(
        options.model,
        server_name="127.0.0.1",
        server_port=options.port,
        inbrowser=not options.no_browser and has_browser(),
    )


def load_space(folder: Path) -> ModuleType:
    """The Space's app.py as a module.

    Raises:
        UserError: the folder is not there (a wheel does not carry it), or Gradio is not installed.
    """
    if not (folder / "app.py").is_file():
        raise UserError(
            f"{folder}: the web demo is part of the repository, not of the installed package; clone the repository, "
            "and run `make demo` in it, or `pip install -e '.[demo]'` and this command again"
        )
    if importlib.util.find_spec("gradio") is None:
        raise UserError("the web demo needs Gradio; install it with `pip install 'reel-recommendations[demo]'`")
    spec = importlib.util.spec_from_file_location("movie_recommender_space", folder / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def has_browser() -> bool:
    """Whether a browser window could open where the person sits: not over SSH, not in CI, not without a screen."""
    if any(os.environ.get(name) for name in ("SSH_CONNECTION", "CI")):
        return False
    if sys.platform.startswith("linux"):
        return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return True
