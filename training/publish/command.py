"""`reel publish model DIR REPO_ID`: a trained model to the Hugging Face Hub, as one commit.

    reel evaluate --model models/mine models/shrunk-bias --data data/mine --out models/mine/report.json
    reel publish model models/mine user/film-ratings-gpt2

What goes there: the weights, the config, the film catalogue with its feature vocabularies, the code that
`trust_remote_code` runs, and a card with the numbers and figures of the report that `--report` names or that lies in
the model's folder as report.json. The commit gets a git tag, made from its content, which the card's examples pin.

    from reel import Recommender
    Recommender.from_pretrained("user/film-ratings-gpt2")
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from data_prep.errors import CommandParser
from training.publish.folder import publish_model


def main(arguments: Sequence[str]) -> None:
    """The command `reel publish model`."""
    parser = CommandParser(prog="reel publish model", description="A trained model to the Hugging Face Hub.")
    parser.add_argument("model", type=Path, metavar="DIR", help="model folder, as `reel train` wrote it")
    parser.add_argument("repo_id", metavar="REPO_ID", help="where to, as user/name; made when there is none")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="report of `reel evaluate` with this model in it (default: report.json in DIR, where there is one)",
    )
    parser.add_argument("--private", action="store_true", help="make it private")
    parser.add_argument(
        "--license", "--licence", default="other", metavar="ID", help="the Hub's id of a licence (default: other)"
    )
    options = parser.parse_args(arguments)
    with Console(file=sys.stderr).status("checking, drawing and sending"):
        published = publish_model(
            options.model,
            options.repo_id,
            report=options.report,
            private=options.private,
            licence=options.license,
        )
    if not published.evaluated:
        print("note: the card has no numbers; --report brings in those of `reel evaluate`", file=sys.stderr)
    print(f"{published.url} revision {published.revision} tag {published.tag}")
