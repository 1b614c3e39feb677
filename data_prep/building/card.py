"""The data set's card: README.md with the `configs:` that make the folder loadable, and the counts of the build.

    card = DatasetCard.read(Path("data/sample"))
    card.published(licence="other").render()

What the card says is also in its front matter, under `build`, so that `read` gives back what was rendered.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.building.card_fields import field_table
from data_prep.building.splits import SPLITS
from data_prep.errors import UserError

CARD_TAG = "reel-recommendations"
# File in `figures/` and what it shows; drawn by `card_figures`.
FIGURES = {
    "ratings.png": "Ratings from 1 to 10",
    "ratings_per_user.png": "Ratings per user",
    "ratings_per_film.png": "Ratings per film",
    "films_per_year.png": "Films per year of release",
}

_CONTENT = "content "  # stands before a digest in the front matter
# The Hub's size categories, by how many digits more than three a number of rows has.
_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B")


@dataclass
class SplitCounts:
    """What one split holds.

    Attributes:
        users: users whose ratings are in the split.
        ratings: rows of the `ratings` config.
        histories: rows of the `histories` config; fewer than `users` when somebody rated cold films only.
        ordered: histories whose order is the order of rating.
        cold_cases: rows of the `cold_cases` config.
        rewatches: rows of the `rewatches` config.
        reviews: rows of the `reviews` config.
    """

    users: int
    ratings: int
    histories: int
    ordered: int
    cold_cases: int = 0
    rewatches: int = 0
    reviews: int = 0


@dataclass
class DatasetCard:
    """Everything the card of a data set says. Rendering is a pure function of it: no clock, no machine.

    Attributes:
        source: where the ratings come from, in words.
        films: rows of the `films` config.
        seed: seed of the splits.
        cold_films: films kept back.
        fold: (I, K) when the test users are fold I of K.
        splits: counts by split.
        has_dates: whether any rating is dated.
        left_out: rows left out while building, by (file, kind).
        notes: what was mended while building.
        digests: a hash of the Parquet files of every config.
        licence: the Hub's id of a licence; None before publishing.
        kept_splits: users have the splits that they had in the data sets which this one was merged from.
    """

    source: str
    films: int
    seed: int
    cold_films: int
    fold: tuple[int, int] | None
    splits: dict[str, SplitCounts]
    has_dates: bool
    left_out: dict[tuple[str, str], int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    licence: str | None = None
    kept_splits: bool = False

    @property
    def users(self) -> int:
        return sum(counts.users for counts in self.splits.values())

    @property
    def ratings(self) -> int:
        return sum(counts.ratings for counts in self.splits.values())

    @property
    def reviews(self) -> int:
        return sum(counts.reviews for counts in self.splits.values())

    def summary(self) -> str:
        """One line for the person who built it."""
        parts = ", ".join(f"{name} {counts.users:,}" for name, counts in self.splits.items())
        return f"{self.users:,} users ({parts}), {self.films:,} films, {self.ratings:,} ratings"

    def configs(self) -> dict[str, list[str]]:
        """The splits of every config."""
        configs = {"films": ["train"], "ratings": list(self.splits), "histories": list(self.splits)}
        if self.cold_films:
            configs["cold_cases"] = [name for name in self.splits if name != "train"]
        configs["rewatches"] = [name for name, counts in self.splits.items() if counts.rewatches]
        configs["reviews"] = [name for name, counts in self.splits.items() if counts.reviews]
        return {name: splits for name, splits in configs.items() if splits}

    def published(self, licence: str, *, reviews: bool = False) -> DatasetCard:
        """The card of the data set as it is published: with its licence, without `reviews` unless they are asked for,
        and without the names of files (a member's saved page or export is named after the member)."""
        splits = self.splits
        if not reviews:
            splits = {name: dataclasses.replace(counts, reviews=0) for name, counts in splits.items()}
        left_out: Counter[tuple[str, str]] = Counter()
        for (_, kind), count in self.left_out.items():
            left_out["the source's files", kind] += count
        card = dataclasses.replace(self, licence=licence, splits=splits, left_out=dict(left_out), notes=[])
        card.digests = {config: digest for config, digest in self.digests.items() if config in card.configs()}
        return card

    @classmethod
    def read(cls, folder: Path) -> DatasetCard:
        """The card that was rendered into README.md of `folder`.

        Raises:
            UserError: when the file is absent, or does not say what a card of ours says.
        """
        from pydantic import TypeAdapter

        try:
            front_matter = _front_matter((folder / "README.md").read_text(encoding="utf-8"))
            said = dict(front_matter["build"])
            said["left_out"] = {(file, kind): rows for file, kind, rows in said["left_out"]}
            said["licence"] = front_matter.get("license")
            card = TypeAdapter(cls).validate_python(said)
            if not set(card.splits) <= set(SPLITS):
                raise ValueError(f"splits {list(card.splits)}")
            card.digests = {config: _digests(front_matter)[config] for config in card.configs()}
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{folder / 'README.md'}: not the card of a data set of this version; build the data set again"
            ) from error
        return card

    @staticmethod
    def read_digest(folder: Path, config: str) -> str | None:
        """The digest that the card in `folder` gives for `config`; None in a card without."""
        try:
            return _digests(_front_matter((folder / "README.md").read_text(encoding="utf-8"))).get(config)
        except (KeyError, TypeError, ValueError):
            return None

    def render(self) -> str:
        """The text of README.md."""
        from huggingface_hub import DatasetCardData

        front_matter = DatasetCardData(**self._metadata()).to_yaml(line_break="\n")
        return "\n".join(["---", front_matter, "---", "", *self._body()]) + "\n"

    def _metadata(self) -> dict[str, Any]:
        build = dataclasses.asdict(self)
        del build["digests"], build["licence"]  # each has its own place
        build["fold"] = list(self.fold) if self.fold else None
        build["left_out"] = [[file, kind, count] for (file, kind), count in self.left_out.items()]
        metadata: dict[str, Any] = {"pretty_name": "Film rating histories", "tags": [CARD_TAG, "recommendation"]}
        if self.licence:
            size = _SIZES[max(len(str(self.ratings)) - 3, 0)]
            metadata |= {"license": self.licence, "task_categories": ["other"], "size_categories": [size]}
        return metadata | {"configs": [self._config(*item) for item in self.configs().items()], "build": build}

    def _config(self, config: str, splits: list[str]) -> dict[str, Any]:
        said: dict[str, Any] = {"config_name": config}
        if config == "histories":
            said["default"] = True
        # `datasets` caches a folder by its last name and this front matter alone. Without something that changes with
        # the data, a rebuilt folder, or another one of the same name, would be read as the old one.
        if config in self.digests:
            said["description"] = _CONTENT + self.digests[config]
        said["data_files"] = [{"split": split, "path": f"{config}/{split}-*.parquet"} for split in splits]
        return said

    def _body(self) -> list[str]:
        lines = ["# Film rating histories", "", f"Source: {self.source}.", "", *self._counts(), *self._splits()]
        for config in self.configs():
            lines += ["", f"## `{config}`", "", self._about(config), "", *field_table(config)]
        if self.licence:
            lines += ["", "## Distributions", "", *(f"![{text}](figures/{name})" for name, text in FIGURES.items())]
            lines += _terms(self.licence)
        if self.left_out:
            lines += ["", "## Left out while building", "", "| file | why | rows |", "|---|---|---:|"]
            lines += [f"| {file} | {kind} | {count:,} |" for (file, kind), count in self.left_out.items()]
        if self.notes:
            lines += ["", "## Mended while building", "", *(f"- {note}" for note in self.notes)]
        return lines

    def _counts(self) -> list[str]:
        names = [item.name for item in dataclasses.fields(SplitCounts)]
        columns = names[:4] + [name for name in names[4:] if name in self.configs()]
        lines = ["| split | " + " | ".join(name.replace("_", " ") for name in columns) + " |"]
        lines += ["|---|" + "---:|" * len(columns)]
        for split, counts in self.splits.items():
            lines += [f"| {split} | " + " | ".join(f"{getattr(counts, name):,}" for name in columns) + " |"]
        return [*lines, "", f"{self.films:,} films, {self.users:,} users, {self.ratings:,} ratings."]

    def _splits(self) -> list[str]:
        how = f"fold {self.fold[0]} of {self.fold[1]} is the test set" if self.fold else "in exact proportion"
        chosen = f"chosen by a hash of the original name (seed {self.seed}; {how})"
        if self.kept_splits:
            chosen = "the one that the merged data sets had the user in (test before validation before train)"
        return [
            "",
            "## Splits and users",
            "",
            f"Every user is in one split only, {chosen}. User names are keyed hashes; the key is not part of the data "
            "set.",
        ]

    def _about(self, config: str) -> str:
        about = {
            "films": "One row a film; the row number, from 0, is the film index of the other configs. Fields are null "
            "where the source is silent.",
            "ratings": "One row per user and film: the rating that counts. `date`, `liked`, `rewatch` and `reviewed` "
            "are null where unknown.",
            "histories": "One row a user: the user's ratings as a model reads them."
            + ("" if self.has_dates else " Nothing here is dated, so the order means nothing."),
            "cold_cases": f"{self.cold_films:,} films, whole film groups, are in no training rating and no history; "
            "each rating of one by a validation or test user is a case here, with the user's other ratings as "
            "history. The `ratings` of validation and test still hold them.",
            "rewatches": "What a user gave a film before the rating that counts: the fields of `ratings`, one row per "
            "earlier rating.",
            "reviews": "One row a review.",
        }
        return about[config]


def _front_matter(text: str) -> dict[str, Any]:
    """The YAML between the first two `---` lines.

    Raises:
        ValueError: when there is none, or it is broken.
    """
    import yaml

    found = re.match(r"---\n(.*?)\n---\n", text, re.S)
    try:
        said = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    if not isinstance(said, dict):
        raise ValueError("no front matter")
    return said


def _digests(front_matter: dict[str, Any]) -> dict[str, str]:
    """The digests of the configs that have one. Raises KeyError or TypeError for a card without configs."""
    said = {entry["config_name"]: str(entry.get("description", "")) for entry in front_matter["configs"]}
    return {config: text.removeprefix(_CONTENT) for config, text in said.items() if text.startswith(_CONTENT)}


def _terms(licence: str) -> list[str]:
    return [
        "",
        "## Licence and terms",
        "",
        f"Licence: `{licence}`. It covers the compilation. The ratings remain those of the people who gave them, and "
        "the terms of the source named above hold for every use of them.",
        "",
        "Film details that come from TMDB are used under the terms of its API: this product uses the TMDB API but is "
        "not endorsed or certified by TMDB.",
        "",
        "A long history can point to a person even without a name. Do not try to find out who anybody here is, and do "
        "not join this data set with others in order to.",
    ]
