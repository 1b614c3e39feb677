"""What the Hub of the tests keeps: repositories, their commits and files."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from fastapi import Response
from fastapi.responses import JSONResponse

USER = "user"


@dataclass(frozen=True)
class File:
    """One file of a commit; `large` ones went through LFS."""

    content: bytes
    large: bool

    @property
    def oid(self) -> str:
        """The name git, or LFS, gives the content."""
        if self.large:
            return hashlib.sha256(self.content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()

    def entry(self, path: str) -> dict[str, Any]:
        """As a row of a tree."""
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(self.content), "oid": self.oid[:40]}
        if self.large:
            entry["lfs"] = {"oid": self.oid, "size": len(self.content), "pointerSize": 130}
        return entry


@dataclass
class Repo:
    """A repository: commits of `main`, oldest first, as (sha, message, files by path), tags, and a Space's
    variables."""

    kind: str
    id: str
    private: bool
    commits: list[tuple[str, str, dict[str, File]]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def sha(self) -> str:
        return self.commits[-1][0]

    @property
    def files(self) -> dict[str, File]:
        return self.commits[-1][2]

    def commit(self, message: str, files: dict[str, File]) -> None:
        parent = self.sha if self.commits else ""
        tree = "".join(f"{path} {file.oid}\n" for path, file in sorted(files.items()))
        sha = hashlib.sha1(f"{parent}\n{message}\n{tree}".encode()).hexdigest()
        self.commits.append((sha, message, dict(sorted(files.items()))))

    def at(self, revision: str) -> tuple[str, dict[str, File]]:
        """Sha and files of a branch, tag or commit."""
        revision = self.tags.get(revision, self.sha if revision == "main" else revision)
        for sha, _, files in self.commits:
            if sha == revision:
                return sha, files
        raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def info(self, revision: str) -> dict[str, Any]:
        sha, files = self.at(revision)
        card = front_matter(files["README.md"].content.decode()) if "README.md" in files else {}
        return {
            "id": self.id,
            "author": USER,
            "sha": sha,
            "private": self.private,
            "cardData": card,
            "tags": card.get("tags", []),
            "siblings": [{"rfilename": path} for path in files],
        }


class Refusal(Exception):
    """An answer with an error status, as the Hub words them."""

    def __init__(self, status: int, message: str, code: str = "", **body: Any):
        self.status, self.message, self.code, self.body = status, message, code, body

    def response(self) -> Response:
        headers = {"X-Error-Message": " ".join(self.message.split())}
        if self.code:
            headers["X-Error-Code"] = self.code
        return JSONResponse({"error": self.message, **self.body}, self.status, headers)


def front_matter(card: str) -> dict[str, Any]:
    """The YAML at the head of a card; {} when there is none."""
    found = re.match(r"---\n(.*?)\n---", card, re.S)
    return yaml.safe_load(found[1]) if found else {}
