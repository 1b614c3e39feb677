"""The data set's card: README.md with the `configs:` that make the folder loadable, and the counts of the build."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

CARD_TAG = "reel-recommendations"


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

    @property
    def users(self) -> int:
        return sum(counts.users for counts in self.splits.values())

    @property
    def ratings(self) -> int:
        return sum(counts.ratings for counts in self.splits.values())

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

    def render(self) -> str:
        """The text of README.md."""
        return "\n".join([*self._front_matter(), "", *self._body()]) + "\n"

    def _front_matter(self) -> list[str]:
        lines = ["---", "pretty_name: Film rating histories", "tags:", f"- {CARD_TAG}", "- recommendation", "configs:"]
        for config, splits in self.configs().items():
            lines += [f"- config_name: {config}"]
            if config == "histories":
                lines += ["  default: true"]
            # `datasets` caches a folder by its last name and this front matter alone. Without something that changes
            # with the data, a rebuilt folder, or another one of the same name, would be read as the old one.
            if config in self.digests:
                lines += [f"  description: content {self.digests[config]}"]
            lines += ["  data_files:"]
            for split in splits:
                lines += [f"  - split: {split}", f"    path: {config}/{split}-*.parquet"]
        return [*lines, "---"]

    @staticmethod
    def read_digest(folder: Path, config: str) -> str | None:
        """The digest that the card in `folder` gives for `config`; None in a card without."""
        text = (folder / "README.md").read_text(encoding="utf-8")
        found = re.search(
            rf"^- config_name: {config}\n(?:  default: true\n)?  description: content (\w+)$", text, re.M
        )
        return found[1] if found else None

    def _body(self) -> list[str]:
        lines = ["# Film rating histories", "", f"Source: {self.source}.", ""]
        lines += ["| split | users | ratings | histories | ordered | cold cases |", "|---|---:|---:|---:|---:|---:|"]
        lines += [
            f"| {name} | {counts.users:,} | {counts.ratings:,} | {counts.histories:,} | {counts.ordered:,} "
            f"| {counts.cold_cases:,} |"
            for name, counts in self.splits.items()
        ]
        how = f"fold {self.fold[0]} of {self.fold[1]} is the test set" if self.fold else "in exact proportion"
        lines += [
            "",
            f"{self.films:,} films. Users are in one split only, chosen by a hash of their original names (seed "
            f"{self.seed}; {how}). User names are keyed hashes; the key is not part of the data set.",
            "",
            "- `films`: one row a film; the row number is the `film_index` of the other configs. Fields are null "
            "where the source is silent; films that are one film share a `film_group`.",
            "- `ratings`: one row per user and film, ratings 1 to 10 (half stars doubled); `date`, `liked`, `rewatch` "
            "and `reviewed` are null where unknown.",
            "- `histories`: one row a user, in order of date where dated. `ordered`: every rating is dated and no "
            "single day holds over 20 % of them"
            + ("." if self.has_dates else "; nothing here is dated, so the order means nothing."),
        ]
        if self.cold_films:
            lines += [
                f"- `cold_cases`: {self.cold_films:,} films, whole film groups, are in no training rating and in no "
                "history; each rating of one by a validation or test user is a case here, with the user's other "
                "ratings as history. The `ratings` of validation and test still hold them.",
            ]
        if self.left_out:
            lines += ["", "## Left out while building", "", "| file | why | rows |", "|---|---|---:|"]
            lines += [f"| {file} | {kind} | {count:,} |" for (file, kind), count in self.left_out.items()]
        if self.notes:
            lines += ["", "## Mended while building", "", *(f"- {note}" for note in self.notes)]
        return lines
