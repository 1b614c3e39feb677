"""
Damaged input for every parser: only its own errors, no hang, no growth of memory.

    python benchmarks/mutate_parsers.py [--cases 10000] [--parser pages ...] [--seeds FOLDER]

Each case is one of the parser's seeds with a few injuries (tests/mutations.py), the same in every run. Prints for each
parser how the cases ended, the slowest case and how far memory grew; exit status 1 when any ended in another error.
`--seeds` adds real files, such as recorded pages, to the small ones that the tests make.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from data_prep.errors import UserError
from data_prep.pages import PageError, parse_page
from data_prep.progress import tracked
from data_prep.tmdb.records import Answer, Film, FoundById, Page

# The seeds belong to the tests. A package of that name, which some distributions install, would be found first.
sys.modules["tests"] = tests = ModuleType("tests")
tests.__path__ = [str(Path(__file__).resolve().parents[1] / "tests")]

from tests.data_prep.member.test_mutations_exports import PARSERS as HISTORY_PARSERS  # noqa: E402
from tests.data_prep.pages.test_changed_pages import OWN_PAGES  # noqa: E402
from tests.data_prep.tmdb.test_mutations import KINDS as TMDB_ANSWERS  # noqa: E402
from tests.mutations import mutate  # noqa: E402


@dataclass(frozen=True)
class Parser:
    """What to try: files, what reads one (raising `allowed` for broken ones), and how real files of the kind end."""

    seeds: list[bytes]
    parse: Callable[[bytes], object]
    allowed: tuple[type[Exception], ...]
    suffixes: tuple[str, ...]


def tmdb_parser(kind: str, answer: type[Answer]) -> Parser:
    seeds = [json.dumps(content).encode() for content in TMDB_ANSWERS[kind][2]]
    return Parser(seeds, answer.model_validate_json, (ValidationError,), (".json",))


PARSERS = {
    "pages": Parser([page for pages in OWN_PAGES.values() for page in pages], parse_page, (PageError,), (".html",)),
    **{name: Parser(seeds, parse, (UserError,), (end,)) for name, (seeds, parse, end) in HISTORY_PARSERS.items()},
    "TMDB film": tmdb_parser("film", Film),
    "TMDB find": tmdb_parser("find", FoundById),
    "TMDB search": tmdb_parser("search", Page),
}


@dataclass
class Outcome:
    ends: Counter[str]
    failures: list[str]
    slowest: float
    slowest_case: int
    growth: float  # of the peak of memory, MB


def try_parser(name: str, parser: Parser, seeds: Sequence[bytes], cases: int) -> Outcome:
    for seed in seeds:  # what a whole file takes is no growth
        run(parser, seed)
    outcome = Outcome(Counter(), [], 0.0, 0, -peak_memory())
    for number in tracked(range(cases), name):
        data = mutate(seeds, number)
        start = time.perf_counter()
        end, failure = run(parser, data)
        seconds = time.perf_counter() - start
        outcome.ends[end] += 1
        if failure:
            outcome.failures.append(f"case {number}: {failure}")
        if seconds > outcome.slowest:
            outcome.slowest, outcome.slowest_case = seconds, number
    outcome.growth += peak_memory()
    return outcome


def run(parser: Parser, data: bytes) -> tuple[str, str]:
    """How reading `data` ended, and what is wrong about it ("" for nothing)."""
    try:
        parser.parse(data)
    except parser.allowed as error:
        return type(error).__name__, ""
    except Exception as error:  # the point of it all
        return f"{type(error).__name__} (!)", repr(error)[:200]
    return "read", ""


def peak_memory() -> float:
    """The most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cases", type=int, default=10_000, help="for each parser (10,000)")
    options.add_argument("--parser", nargs="+", choices=list(PARSERS), default=list(PARSERS), help="which (all)")
    options.add_argument("--seeds", type=Path, help="folder of real files to damage as well")
    args = options.parse_args()
    table = Table(box=None)
    for heading in ("parser", "cases", "ends", "slowest s", "memory growth MB"):
        table.add_column(heading, justify="right" if heading != "ends" else "left")
    failures = []
    for name in args.parser:
        parser = PARSERS[name]
        files = sorted(args.seeds.rglob("*")) if args.seeds else []
        real = [path.read_bytes() for path in files if path.name.endswith(parser.suffixes)]
        outcome = try_parser(name, parser, parser.seeds + real, args.cases)
        ends = ", ".join(f"{end} {count:,}" for end, count in outcome.ends.most_common())
        slowest = f"{outcome.slowest:.2f} (case {outcome.slowest_case})"
        table.add_row(name, f"{args.cases:,}", ends, slowest, f"{outcome.growth:.0f}")
        failures += [f"{name} {failure}" for failure in outcome.failures]
    Console(width=160).print(table)
    for failure in failures[:20]:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
