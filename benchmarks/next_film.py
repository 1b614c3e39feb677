"""
Does it help to ask about the right films? `reel.next_film` against popular films, random ones, and random ones drawn
in proportion to their ratings.

    python -m benchmarks.next_film --model models/sample --data data/sample [--users N] [--draws 10]

Ten ratings of every user are held out, anew in every draw. The others are what this person can answer: questions come
from the 400 best-known films, and one about a film without a rating, or a held-out one, is answered by "not seen".
Nobody of these splits was trained on. The held-out ratings are predicted from the answers. Prints for each way of
asking the RMSE after so many answers and after so many questions, the difference of the most telling questions to the
others with its 95 % interval (bootstrap over users), and how many questions the last answer took.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from data_prep.dataset import load_histories
from data_prep.progress import tracked
from reel import Recommender
from reel.next_film import NextFilm
from training.bootstrap import interval
from training.metrics import RATING_VALUES as RATINGS

TARGETS = 10  # held-out ratings of a user
ANSWERS = (0, 1, 2, 3, 5, 10, 20)
QUESTIONS = (5, 10, 20, 40)
WAYS = ("most telling", "popular", "random", "random by ratings")
RESAMPLES = 2000

History = list[tuple[str, int]]


def asked(way: str, asking: NextFilm, known: dict[str, int], chance: np.random.Generator) -> Iterator[History]:
    """The history after every question: one longer after an answer, else as it was."""
    ids = asking.recommender.catalogue.film_ids
    order = [ids[row] for row in asking.rows]  # the most popular first
    if way == "random":
        chance.shuffle(order)
    elif way == "random by ratings":
        # The least of exponential draws with these rates is a draw in proportion to them, and so on.
        order = [ids[row] for row in asking.rows[np.argsort(chance.exponential(1 / asking.chances[asking.rows]))]]
    history: History = []
    unseen: list[str] = []
    for film in order:
        if way == "most telling":
            suggested = asking.suggest(history, unseen)
            if not suggested:  # what is left are other entries of films asked about
                return
            film = suggested[0]
        if film in known:
            history = [*history, (film, known[film])]
        else:
            unseen.append(film)
        yield history


def collect(
    recommender: Recommender, data: str, splits: Sequence[str], users: int | None, draws: int
) -> tuple[pa.Table, dict[str, float]]:
    """
    Cases of all users, or the first `users` of each split, in all draws and ways: columns of `predict_cases`, and
    `user`, `way`, `kind` ("answers" or "questions"), `count`, `rating`; and the mean number of questions that the last
    of `ANSWERS` took.
    """
    asking = NextFilm(recommender)
    ids, rows = recommender.catalogue.film_ids, []
    cost: dict[str, list[int]] = {way: [] for way in WAYS}
    askable = {ids[row] for row in asking.rows}
    for place_of_split, split in enumerate(splits):
        histories = load_histories(data, split)
        histories = histories if users is None else histories.first(users)
        for user, draw in tracked(list(product(range(len(histories)), range(draws))), split):
            number = place_of_split + len(splits) * user
            rated = [(ids[film], int(rating)) for film, rating in zip(*histories.history(user), strict=True)]
            chance = np.random.default_rng((7, number, draw))
            order = chance.permutation(len(rated))
            targets = [rated[place] for place in order[:TARGETS]]
            known = dict(rated[place] for place in order[TARGETS:])
            if len(askable & known.keys()) < ANSWERS[-1]:
                continue
            for way in WAYS:
                states: list[History] = [[]]
                for history in asked(way, asking, known, chance):
                    states.append(history)
                    if len(history) >= ANSWERS[-1] and len(states) > QUESTIONS[-1]:
                        break
                lengths = np.array([len(history) for history in states])
                first = {count: int(np.flatnonzero(lengths == count)[0]) for count in ANSWERS}
                marks = [("answers", count, states[first[count]]) for count in ANSWERS]
                marks += [("questions", count, states[count]) for count in QUESTIONS]
                cost[way].append(first[ANSWERS[-1]])
                for kind, count, history in marks:
                    for film, rating in targets:
                        rows.append((number, way, kind, count, history, film, rating))
    of, ways, kinds, counts, asked_of, films_asked, given = zip(*rows, strict=True)
    table = pa.table(
        {
            "user": of,
            "way": ways,
            "kind": kinds,
            "count": counts,
            "history_film_ids": [[film for film, _ in history] for history in asked_of],
            "history_ratings": [[rating for _, rating in history] for history in asked_of],
            "film_id": films_asked,
            "rating": given,
        }
    )
    return table, {way: float(np.mean(questions)) for way, questions in cost.items()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", required=True)
    options.add_argument("--data", required=True)
    options.add_argument("--splits", nargs="+", default=["validation"])
    options.add_argument("--users", type=int, help="of each split, at most")
    options.add_argument("--draws", type=int, default=10, help="of the held-out ratings of every user (10)")
    args = options.parse_args()
    recommender = Recommender.from_pretrained(args.model)
    cases, cost = collect(recommender, args.data, args.splits, args.users, args.draws)
    ratings = cases["rating"].to_numpy()
    squares = (recommender.predict_cases(cases) @ RATINGS - ratings) ** 2
    users, way_of, kind_of, count_of = (
        cases[name].to_numpy(zero_copy_only=False) for name in ("user", "way", "kind", "count")
    )
    of, places = np.unique(users, return_inverse=True)
    people = len(of)
    chance = np.random.default_rng(0)
    drawn = np.stack([np.bincount(chance.integers(people, size=people), minlength=people) for _ in range(RESAMPLES)])
    telling, *others = WAYS
    table = Table(box=None, title=f"{people} users, {args.draws} draws of {TARGETS} held-out ratings each: RMSE")
    for heading in ("after", *WAYS, *(f"{telling} - {way}" for way in others)):
        table.add_column(heading, justify="right")
    for kind, counts in (("answers", ANSWERS), ("questions", QUESTIONS)):
        for count in counts:
            whole, resampled = {}, {}
            for way in WAYS:
                chosen = (way_of == way) & (kind_of == kind) & (count_of == count)
                error = np.bincount(places[chosen], squares[chosen], people)
                cases_of = np.bincount(places[chosen], minlength=people)
                whole[way] = np.sqrt(error.sum() / cases_of.sum())
                resampled[way] = np.sqrt((drawn @ error) / (drawn @ cases_of))
            cells = [f"{whole[way]:.3f}" for way in WAYS]
            for way in others:
                low, high = interval(resampled[telling] - resampled[way])
                cells.append(f"{whole[telling] - whole[way]:+.3f} [{low:+.3f}, {high:+.3f}]")
            table.add_row(f"{count} {kind}", *cells)
    Console(width=200).print(table)
    for way, questions in cost.items():
        print(f"{way}: {questions:.0f} questions for {ANSWERS[-1]} answers")


if __name__ == "__main__":
    main()
