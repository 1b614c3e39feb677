"""A model's card: README.md of its folder and of its repository on the Hub, rendered from a dataclass.

card = ModelCard.of(Path("models/letterboxd"))
card.render()
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.building.card import CARD_TAG
from data_prep.catalogue import Catalogue
from data_prep.errors import UserError
from training.publish.record import TrainingRecord
from training.publish.results import METRICS, Cases, Results

TEMPLATE = Path(__file__).with_name("card.md.jinja")
LEARNING_CURVE = "trainer_state.json"
# What stands in the place of a repository and its revision in the card of a folder that was not published.
NO_REPOSITORY, NO_REVISION = "OWNER/NAME", "REVISION"
KINDS = {  # model_type: title, and what it is in a sentence or two
    "film_token_gpt2": (
        "Film-token GPT-2",
        "A GPT-2 over rating histories in which a whole film is one token: its features, a learned embedding and how "
        "others rated it.",
    ),
    "text_gpt2": (
        "Text GPT-2",
        "A GPT-2 that reads rated films as text (title, year, genres, runtime, overview, then the rating) and "
        "predicts every rating from the text before it.",
    ),
    "deepfm": (
        "DeepFM",
        "A factorisation machine and a deep network over a film's features and a user's vector, which is fitted to "
        "the person's ratings while all other weights stay as they are.",
    ),
    "rating_baseline": (
        "Rating baseline",
        "A baseline that other models are measured against: a film's mean, moved by the person's bias, by factors or "
        "by the film's features as the kind has it, and spread as a Gaussian over the ratings.",
    ),
}


@dataclass
class ModelCard:
    """
    Everything the card of a model says. Rendering is a pure function of it: no clock, no machine.

    Args:
        model_type (`str`): of the model's config.
        films (`int`): films in the catalogue.
        known_films (`list[str]`): ids of the most rated ones, for the example.
        record (`TrainingRecord`): how it was made.
        steps (`int`): optimiser steps; 0 for what is not trained by gradients.
        repo_id (`str`): where it is published.
        revision (`str`): the git tag or commit that the examples pin.
        licence (`str`, *optional*): the Hub's id of a licence.
        results (`Results`, *optional*): its evaluation.
        figures (`dict[str, str]`): captions of the pictures by file in `figures/`.
    """

    model_type: str
    films: int
    known_films: list[str]
    record: TrainingRecord
    steps: int = 0
    repo_id: str = NO_REPOSITORY
    revision: str = NO_REVISION
    licence: str | None = None
    results: Results | None = None
    figures: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, catalogue: Catalogue | None = None, **known: Any) -> ModelCard:
        """
        The card of the model in a folder.

        Args:
            folder (`Path`): with config.json, the film catalogue and the record of training.
            catalogue (`Catalogue`, *optional*): the same, where it has been read.
            known: `repo_id`, `revision`, `licence`, `results` and `figures`.

        Raises:
            UserError: when the folder holds no model of the project, or lacks something of it.
        """
        try:
            model_type = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(
                f"{folder}: no model there (no readable config.json); train one with `reel train`"
            ) from None
        if model_type not in KINDS:
            raise UserError(f"{folder}: a model of type {model_type!r}; known are {', '.join(KINDS)}")
        catalogue = Catalogue.load(folder) if catalogue is None else catalogue
        most_rated = catalogue.films.sort("rating_count", descending=True, maintain_order=True)
        curve = read_learning_curve(folder)
        return cls(
            model_type=model_type,
            films=len(catalogue),
            known_films=most_rated["film_id"].head(3).to_list(),
            record=TrainingRecord.load(folder),
            steps=curve["global_step"] if curve else 0,
            **known,
        )

    @property
    def title(self) -> str:
        kind = self.record.hyperparameters.get("kind")
        return KINDS[self.model_type][0] + (f": {kind}" if kind else "")

    @property
    def description(self) -> str:
        return KINDS[self.model_type][1]

    @property
    def example_history(self) -> str:
        """A history of the catalogue's best-known films, as Python."""
        pairs = zip(self.known_films, (9, 10, 5), strict=False)
        return "[" + ", ".join(f"({json.dumps(film)}, {rating})" for film, rating in pairs) + "]"

    @property
    def comparison_table(self) -> str:
        """RMSE and reward accuracy of all models, and this one's differences to the others, by history length."""
        assert self.results is not None
        names = [self.results.name, *self.results.others]
        header = ["", "cases", *(f"**{name}**" if name == names[0] else name for name in names)]
        header += [f"RMSE minus {name}" for name in names[1:]]

        def row(cases: Cases) -> list[str]:
            scores = [
                f"{_number(cases.rows[name], 'rmse')} / {_number(cases.rows[name], 'reward_accuracy')}"
                for name in names
            ]
            differences = [_with_interval(cases.differences[name]) for name in names[1:]]
            return [cases.label, f"{cases.rows[names[0]]['n']:,}", *scores, *differences]

        return _table(header, [row(cases) for cases in self.results.cases])

    @property
    def metrics_table(self) -> str:
        """The model's other metrics by history length."""
        assert self.results is not None
        shown = [metric for metric in METRICS if metric not in ("rmse", "reward_accuracy")]
        rows = [
            [cases.label, *(_number(cases.rows[self.results.name], metric) for metric in shown)]
            for cases in self.results.cases
        ]
        return _table(["", *(METRICS[metric] for metric in shown)], rows)

    def render(self) -> str:
        """The text of README.md."""
        from jinja2 import Environment, StrictUndefined

        # Markdown, not HTML: nothing is escaped, and what a name would do to a table is done away with in `_table`.
        environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
        template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
        return template.render(card=self, metadata=self._metadata())

    def _metadata(self) -> str:
        from huggingface_hub import ModelCardData

        evaluated: dict[str, Any] = {}
        if self.results is not None:
            dataset_type = self.record.data_repository or self.results.data
            evaluated = {
                "model_name": self.title if self.repo_id == NO_REPOSITORY else self.repo_id.split("/")[-1],
                "eval_results": self.results.eval_results(dataset_type),
                "metrics": ["rmse", "accuracy"],
            }
        data = ModelCardData(
            library_name="transformers",
            license=self.licence,
            base_model=self.record.base_model,
            datasets=[self.record.data_repository] if self.record.data_repository else None,
            tags=[CARD_TAG, "recommendation", "rating-prediction"],
            **evaluated,
        )
        return data.to_yaml(line_break="\n")


def read_learning_curve(folder: Path) -> dict[str, Any] | None:
    """The trainer's state in the folder of a model: `global_step` and `log_history`; None when there is none.

    Raises:
        UserError: when it is broken.
    """
    path = folder / LEARNING_CURVE
    if not path.is_file():
        return None
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return {"global_step": int(state["global_step"]), "log_history": list(state["log_history"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: broken state of the trainer ({error}); take it away, or train again") from error


def _number(row: dict[str, Any], metric: str) -> str:
    value = row["metrics"][metric]["value"]
    return "-" if value is None else f"{value:.3f}"


def _with_interval(row: dict[str, Any]) -> str:
    difference, low, high = ("-" if row[key] is None else f"{row[key]:+.3f}" for key in ("difference", "low", "high"))
    return f"{difference} [{low}, {high}]"


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)
