"""
Damaged exports brought to the running page: each time a right result or a clear sentence, and nothing left behind.

    python -m benchmarks.space_mutations --model models/sample [--cases 1000]

Each case is an export of the catalogue's own films with a few injuries (tests/mutations.py), the same in every run. It
is uploaded as a browser does. What the page says must be what reading the file says: so many films found, or one
sentence without a path of the server's; after it there must be recommendations, and an empty folder of uploads.
Prints how the cases ended; exit status 1 when any went wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import re
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path
from types import ModuleType

import httpx

from benchmarks.page_visitor import PageError, Visitor, client_of, open_page
from data_prep.errors import UserError
from data_prep.progress import tracked
from reel import Recommender

# The injuries belong to the tests. A package of that name, which some distributions install, would be found first.
if "tests" not in sys.modules:
    sys.modules["tests"] = tests = ModuleType("tests")
    tests.__path__ = [str(Path(__file__).resolve().parents[1] / "tests")]

from tests.mutations import mutate

FILMS = 40  # in an export
LONGEST = 600  # characters of a clear sentence, a file's name and a value of it included


def exports(recommender: Recommender) -> dict[str, bytes]:
    """Whole exports of some of the catalogue's films, by file name."""
    films = recommender.catalogue.films.head(FILMS).select("film_id", "title", "year").rows()
    names = ['"' + title.replace('"', '""') + f'",{year or ""}' for _, title, year in films]
    rated = [f"2024-01-{1 + i % 28:02},{name},boxd.it/{i},{(1 + i % 10) / 2:g}" for i, name in enumerate(names)]
    logged = [f"{line},Yes,,2024-02-{1 + i % 28:02}" for i, line in enumerate(rated)]
    seen = [line.rpartition(",")[0] for line in rated]
    texts = {
        "ratings.csv": "\r\n".join(["Date,Name,Year,Letterboxd URI,Rating", *rated]),
        "diary.csv": "\r\n".join(["Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date", *logged]),
        "watched.csv": "\r\n".join(["Date,Name,Year,Letterboxd URI", *seen]),
        "watchlist.csv": "\r\n".join(["Date,Name,Year,Letterboxd URI", *seen[::3]]),
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as members:
        for name, text in texts.items():
            members.writestr(zipfile.ZipInfo(name), text)  # with no date of today
    history = [{"film_id": film, "rating": 1 + i % 10} for i, (film, _, _) in enumerate(films)]
    return {
        "letterboxd-me.zip": archive.getvalue(),
        "ratings.csv": texts["ratings.csv"].encode(),
        "diary.csv": texts["diary.csv"].encode(),
        "reel.json": json.dumps({"history": history, "watched": [], "watchlist": []}).encode(),
    }


def expected(recommender: Recommender, name: str, content: bytes) -> str | None:
    """What the page is to say of a file; None for a sentence of refusal."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            counts = recommender.read_history(path).to_json()["counts"]
        except UserError:
            return None
    return f"{counts['matched']:,} of {counts['rated']:,} rated films"


def wrong(report: str, films: str, folder: Path, said: str | None) -> str:
    """What is wrong about the page's answer; "" for nothing."""
    text = re.sub("<[^>]*>", "", report).strip()
    left = [path for path in folder.rglob("*") if path.is_file()]
    if left:
        return f"left on disk: {left[0].name}"
    if said is None:
        if 'role="alert"' not in report or not 0 < len(text) <= LONGEST or str(folder) in text or "Traceback" in text:
            return f"no clear sentence: {report[:200]!r}"
    elif said not in text:
        return f"{said!r} was to be said, not {text[:200]!r}"
    return "" if "<svg" in films else "no recommendations afterwards"


async def upload_all(
    address: str, folder: Path, recommender: Recommender, cases: int
) -> tuple[Counter[str], list[str]]:
    """How the cases ended, and what went wrong in which.

    Args:
        address (`str`): of the page.
        folder (`Path`): which its uploads pass through.
        recommender (`Recommender`): the page's, or an equal one.
        cases (`int`): how many.
    """
    ends: Counter[str] = Counter()
    failures = []
    whole = exports(recommender)
    async with client_of(address, 4) as client:
        config = (await client.get("/config")).json()
        for number in tracked(range(cases), "exports"):
            name = list(whole)[number % len(whole)]
            content = mutate([whole[name]], number)
            said = expected(recommender, name, content)
            try:
                fault = wrong(*await Visitor(client, config).bring(name, content), folder, said)
            except (PageError, httpx.HTTPError) as error:
                fault = repr(error)
            ends["read" if said else "refused in a sentence"] += not fault
            if fault:
                failures.append(f"case {number}: {fault}")
        await open_page(client)  # still there
    return ends, failures


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", required=True, help="a model's folder or repository")
    options.add_argument("--cases", type=int, default=1000)
    args = options.parse_args()
    from reel import demo

    space = demo.load_space(demo.SPACE)
    from limits import Limits, RateLimit

    recommender = Recommender.from_pretrained(args.model)
    # The cases come from one address, as fast as they are answered; no visitor may do that.
    limits = Limits(
        exports=RateLimit(args.cases, args.cases), views=RateLimit(args.cases, args.cases, runs_model=True)
    )
    app = space.build_app(recommender, limits)
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    address = space.launch(app, prevent_thread_lock=True, server_name="127.0.0.1")
    start = time.monotonic()
    ends, failures = asyncio.run(upload_all(address, folder, recommender, args.cases))
    app.close(verbose=False)
    said = ", ".join(f"{end} {count:,}" for end, count in ends.items())
    print(f"{args.cases:,} damaged exports in {time.monotonic() - start:.0f} s: {said}, wrong {len(failures):,}")
    for failure in failures[:20]:
        print(failure, file=sys.stderr)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
