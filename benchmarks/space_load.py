"""
Many people on the page at once: each rates the film on the card every few seconds, and gets new recommendations.

    python -m benchmarks.space_load --model models/letterboxd [--visitors 50] [--seconds 120] [--sessions 1000]

Starts `reel demo` in a process of its own and sends what the page's script sends. An update is one rating: the next
question, and the new list of films. Prints how long updates took and the errors among them; then the server's memory
while `--sessions` further people come, rate three films each and go. Exit status 1 when an update failed, or 5 % of
them took 2 seconds or longer.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time

import httpx
import numpy as np

from benchmarks.page_visitor import PageError, Visitor, client_of, film_asked_about, memory_of, open_page, served

EVERY = 5.0  # seconds between two ratings of a visitor
ENOUGH = 2.0  # seconds in which an update is to be there
SOME = 50  # visitors at once while memory is measured
RATED = 3  # films each of them rates


async def visit(visitor: Visitor, until: float, chance: random.Random, took: list[float], errors: list[str]) -> None:
    """Rate the film on the card every `EVERY` seconds, from a random moment on."""
    question = visitor.first_question
    moment = time.monotonic() + chance.uniform(0, EVERY)
    while moment < until:
        await asyncio.sleep(max(0.0, moment - time.monotonic()))
        start = time.monotonic()
        try:
            question, films = await visitor.rate(film_asked_about(question), chance.randint(2, 10))
            if films.count("<svg") != 20:
                raise PageError("not twenty films")
            took.append(time.monotonic() - start)
        except (PageError, httpx.HTTPError) as error:
            errors.append(repr(error))
        moment = max(moment + EVERY, time.monotonic())


async def load(address: str, visitors: int, seconds: float) -> tuple[list[float], list[str]]:
    """Seconds of every update, and the errors."""
    took: list[float] = []
    errors: list[str] = []
    async with client_of(address, 2 * visitors) as client:
        page = await open_page(client)
        config = (await client.get("/config")).json()
        until = time.monotonic() + seconds
        await page.rate(film_asked_about(page.first_question), 8)  # what is made once is made
        await asyncio.gather(
            *(visit(Visitor(client, config), until, random.Random(number), took, errors) for number in range(visitors))
        )
    return took, errors


async def come_and_go(address: str, process: int, sessions: int) -> None:
    """Print the server's memory, MB, before and after every tenth of so many short visits."""

    async def short_visit(number: int) -> None:
        visitor = await open_page(client)
        question = visitor.first_question
        for step in range(RATED):
            question, _ = await visitor.rate(film_asked_about(question), 1 + (number + step) % 10)

    print(f"memory over {sessions:,} sessions, MB: {memory_of(process):.0f}", end="", flush=True)
    async with client_of(address, 2 * SOME) as client:
        for number in range(0, sessions, SOME):
            await asyncio.gather(*map(short_visit, range(number, min(sessions, number + SOME))))
            if (number + SOME) % max(SOME, sessions // 10) == 0:
                print(f" {memory_of(process):.0f}", end="", flush=True)
    print()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", required=True, help="a model's folder or repository")
    options.add_argument("--visitors", type=int, default=50)
    options.add_argument("--seconds", type=float, default=120)
    options.add_argument("--sessions", type=int, default=1000)
    args = options.parse_args()
    with served(args.model) as (address, process):
        took, errors = asyncio.run(load(address, args.visitors, args.seconds))
        middle, late, latest = np.percentile(took, [50, 95, 99])
        print(f"{args.visitors} visitors, a rating every {EVERY:g} s, {args.seconds:g} s: {len(took):,} updates")
        print(f"seconds: median {middle:.2f}, 95 % {late:.2f}, 99 % {latest:.2f}, longest {max(took):.2f}")
        print(f"errors: {len(errors)}", *sorted(set(errors))[:5], sep="\n  ")
        asyncio.run(come_and_go(address, process, args.sessions))
    return int(bool(errors) or late >= ENOUGH)


if __name__ == "__main__":
    sys.exit(main())
