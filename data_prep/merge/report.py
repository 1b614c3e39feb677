"""What the sources of a merged data set disagree about."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.folders import new_file
from data_prep.report import SHOWN_OFFENDERS

FILE_NAME = "merge_report.json"


class MergeReport:
    """Conflicts by kind: of films each one, of users and their ratings only how many there are.

    Args:
        sources: names of the data sets.

    Attributes:
        films: the conflicts about films, by kind.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self._sources = list(sources)
        self.films: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._shown: dict[str, list[str]] = defaultdict(list)
        self._counts: dict[str, int] = {}

    def film(self, kind: str, shown: str, **conflict: Any) -> None:
        """Record a conflict about films: `shown` for people, the rest for the file."""
        self.films[kind].append(conflict)
        if len(self._shown[kind]) < SHOWN_OFFENDERS:
            self._shown[kind].append(shown)

    def count(self, kind: str, number: int) -> None:
        """Record `number` conflicts of a kind about users or their ratings."""
        if number:
            self._counts[kind] = number

    def counts(self) -> dict[str, int]:
        """How many conflicts there are of every kind."""
        return {kind: len(conflicts) for kind, conflicts in self.films.items()} | self._counts

    def print(self) -> None:
        """Write one line a kind to stderr, with the first films."""
        for kind, number in self.counts().items():
            shown = "; ".join(self._shown[kind]) if kind in self._shown else ""
            print(
                f"{kind}: {number:,}" + (f" ({shown}{'; ...' * (number > SHOWN_OFFENDERS)})" if shown else ""),
                file=sys.stderr,
            )

    def write(self, folder: Path) -> None:
        """Write all of it to merge_report.json in the data set `folder`."""
        content = {"sources": self._sources, "counts": self.counts(), "films": self.films}
        with new_file(folder / FILE_NAME) as file:
            file.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
