"""A Space's folder made whole: the project's packages that it imports beside app.py, and exact versions of the others.

A Space is built from its requirements.txt alone, before any other file of it is there: a wheel of ours beside it would
not be found, and ranges would bring other versions than those that were tested.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from data_prep.building.card import CARD_TAG
from data_prep.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("data_prep", "modeling", "training", "reel")
SOURCES = ("*.py", "*.jinja", "*.yaml")  # what a package of ours consists of
NEEDED = ("app.py", "README.md", "requirements.txt")


def make_bundle(source: Path, out: Path, *, model_repo: str | None = None, repository: Path = REPOSITORY) -> None:
    """
    Write what a Space's repository is to hold.

    Args:
        source (`Path`): the Space's folder: app.py, README.md, requirements.txt and what else it needs.
        out (`Path`): an empty folder.
        model_repo (`str`, *optional*): the model on the Hub that the Space shows, which its page then links to.
        repository (`Path`): the clone with the packages and constraints.txt.

    Raises:
        UserError: when `source` is no Space's folder, or a version is not pinned.
    """
    missing = [name for name in NEEDED if not (source / name).is_file()]
    if missing:
        raise UserError(
            f"{source}: no folder of a Space, it lacks {missing[0]}; name one such as spaces/movie_recommender"
        )
    pins = read_pins(repository / "constraints.txt")
    shutil.copytree(source, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for package in packages_imported(source, repository):
        _copy_package(repository / package, out / package)
    (out / "README.md").write_text(_front_page(source / "README.md", pins, model_repo), encoding="utf-8")
    (out / "requirements.txt").write_text(_pinned(source / "requirements.txt", pins), encoding="utf-8")


def packages_imported(source: Path, repository: Path = REPOSITORY) -> list[str]:
    """The project's packages that the modules of a folder import, and those that these import."""
    found: list[str] = []
    folders = [source]
    while folders:
        for name in _imports(folders.pop()):
            if name in PACKAGES and name not in found:
                found.append(name)
                folders.append(repository / name)
    return [name for name in PACKAGES if name in found]


def _imports(folder: Path) -> Iterator[str]:
    """The top names of everything that the modules below a folder import."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            if isinstance(node, ast.Import):
                yield from (name.name.split(".")[0] for name in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.split(".")[0]


def _copy_package(package: Path, out: Path) -> None:
    for pattern in SOURCES:
        for path in package.rglob(pattern):
            place = out / path.relative_to(package)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def read_pins(constraints: Path) -> dict[str, str]:
    """
    The exact versions of constraints.txt, by normalised name.

    Raises:
        UserError: when there is no such file.
    """
    try:
        lines = constraints.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise UserError(
            f"{constraints}: not there; publish Spaces from a clone of the repository, an installed package lacks them"
        ) from None
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): version.strip() for name, version in pairs}


def _pinned(requirements: Path, pins: dict[str, str]) -> str:
    """The text of a requirements.txt with the exact versions of what is named in one, and of all that it needs."""
    wanted = _read_requirements(requirements)
    versions: dict[str, str] = {}
    waiting = list(wanted)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in versions:
            continue
        if name not in pins:
            raise UserError(f"{requirements}: {name} has no exact version in constraints.txt; add it there")
        versions[name] = pins[name]
        waiting += _needs(requirement, pins)
    lines = [f"{name}=={version}" for name, version in sorted(versions.items())]
    return "# Exact versions, made by `reel publish space`. Gradio itself is pinned by sdk_version in README.md.\n" + (
        "".join(f"{line}\n" for line in lines)
    )


def _read_requirements(path: Path) -> list[Requirement]:
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split("#")[0].strip()
        if not text:
            continue
        try:
            found.append(Requirement(text))
        except InvalidRequirement as error:
            raise UserError(f"{path}: {text!r} is no requirement ({error}); write it like numpy>=2.0") from error
    return found


def _needs(requirement: Requirement, pins: Iterable[str]) -> list[Requirement]:
    """What a package needs on this machine, as far as constraints.txt has it: builds for GPUs need more, which is
    theirs to pin."""
    try:
        needed = [Requirement(text) for text in requires(requirement.name) or ()]
    except PackageNotFoundError:
        raise UserError(
            f"{requirement.name}: not installed here, so what it needs is not known; run `make setup`"
        ) from None
    extras = requirement.extras or {""}
    return [
        need
        for need in needed
        if canonicalize_name(need.name) in pins
        and (need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras))
    ]


def _front_page(readme: Path, pins: dict[str, str], model_repo: str | None) -> str:
    """README.md with the tested version of Gradio, the tag of our repositories, and the model's repository."""
    from huggingface_hub import SpaceCard

    try:
        card = SpaceCard(readme.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{readme}: its front matter cannot be read ({error}); see Spaces' documentation") from error
    if card.data.get("sdk") != "gradio":
        raise UserError(f"{readme}: sdk is {card.data.get('sdk')!r} in its front matter; only gradio is known here")
    card.data["sdk_version"] = pins["gradio"]
    card.data["tags"] = [*(card.data.get("tags") or ()), CARD_TAG]
    if model_repo is not None:
        card.data["models"] = [model_repo]
    return str(card)
