"""`reel data merge DIR DIR... --out DIR`: several data sets, folders or ids on the Hub, as one.

Films are joined as `film_identity` describes. Users keep the keyed hashes they have, so that a person whose ratings
are in two data sets built with one key is one user. One rating per user and film counts, the latest (see
`split_rewatches`; where dates do not decide, that of the first-named source); the others go to `rewatches`. Users keep
their splits; where the sources disagree, test goes before validation before train, so that nobody who is tested
anywhere is trained on. `--splits` splits anew, by the hashes.

The data set is made of all ratings that the sources hold. Films that a source kept back as cold are ordinary here,
though ratings of them by its training users are not in it: ask for cold films anew with `--cold-films`.

What the sources disagree about is summed up on stderr. The file merge_report.json in the folder has every film of it;
of users and their ratings it has counts alone.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from data_prep.building.build import check_replaceable, write_dataset
from data_prep.building.card import DatasetCard
from data_prep.building.options import add_build_options
from data_prep.building.rewatches import split_rewatches
from data_prep.building.splits import SPLITS
from data_prep.dataset import broken_told, list_splits, load_films, load_ratings, load_reviews, load_rewatches
from data_prep.errors import CommandParser, UserError
from data_prep.merge.film_identity import join_films
from data_prep.merge.report import MergeReport
from data_prep.progress import tracked
from data_prep.report import BuildReport
from data_prep.schema import RATING_COLUMNS, REVIEW_COLUMNS
from data_prep.user_keys import KEYED_HASH

ALIKE = "ratings that say nothing new and were dropped"
DIFFERENT = "users' films with different ratings, of which the latest counts"
SPLIT = "users in different splits, of which test goes before validation before train"

_PAIR = ["user_id", "film_id"]
_SAME = [*_PAIR, "rating", "date"]


def main(arguments: Sequence[str]) -> None:
    """The command `reel data merge`."""
    parser = CommandParser(prog="reel data merge", description="Several data sets as one.")
    parser.add_argument("sources", nargs="+", metavar="DATA", help="data set folders, or ids of data sets on the Hub")
    add_build_options(
        parser,
        splits=None,
        splits_help="train=.9,validation=.05,test=.05 (default: the splits of the sources)",
        seed_help="seed of new splits and of the cold films",
    )
    options = parser.parse_args(arguments)
    card = merge_datasets(
        options.sources, options.out, splits=options.splits, cold_films=options.cold_films, seed=options.seed
    )
    print(f"{options.out}: {card.summary()}", file=sys.stderr)


def merge_datasets(
    sources: Sequence[str],
    out: Path,
    *,
    splits: dict[str, float] | None = None,
    cold_films: int = 0,
    seed: int = 0,
) -> DatasetCard:
    """Merge data sets, say on stderr what they disagree about, and write `out`.

    Args:
        sources: two or more folders, or ids on the Hub; of what they disagree about the first is believed.
        out: as the others as in `write_dataset`.
        splits: None keeps the splits of the sources.

    Raises:
        UserError: when a source cannot be read or its users are no keyed hashes, or `out` cannot be written.
    """
    out = check_replaceable(out)
    if len(sources) < 2:
        raise UserError("a merge takes two data sets or more")
    names = _names(sources)
    conflicts, report = MergeReport(names), BuildReport()
    films, film_ids = join_films(
        [(name, load_films(data)) for name, data in zip(names, sources, strict=True)], conflicts
    )
    # Among equals the last row counts: that of the source that was named first.
    last_first = list(zip(sources, film_ids, strict=True))[::-1]
    ratings = _read(last_first, "ratings", load_ratings)
    user_splits = _user_splits(ratings, conflicts) if splits is None else None
    ratings, rewatches = _one_per_film(ratings, _read(last_first, "rewatches", load_rewatches), conflicts)
    reviews = _read(last_first, "reviews", load_reviews)
    for name, data in zip(names, sources, strict=True):
        if list_splits(data, "cold_cases"):
            report.note(f"{name}: its cold films are ordinary ones here; --cold-films keeps films back anew")
    try:
        card = write_dataset(
            out,
            films,
            ratings,
            source=f"the data sets {' and '.join(names)}, merged",
            splits=splits,
            user_splits=user_splits,
            hashed=True,
            seed=seed,
            cold_films=cold_films,
            report=report,
            rewatches=rewatches,
            reviews=reviews.unique([*_PAIR, "date", "text"], keep="last", maintain_order=True),
        )
    finally:
        conflicts.print()
        report.print()
    conflicts.write(out)
    return card


def _names(sources: Sequence[str]) -> list[str]:
    """What the sources are called: the folder's own name or the id on the Hub, with a number where one is repeated."""
    names: list[str] = []
    for data in sources:
        folder = Path(data).expanduser()
        name = folder.resolve().name if folder.exists() else data
        numbered = (f"{name} ({number})" for number in itertools.count(2))
        names.append(next(numbered) if name in names else name)
    return names


def _read(
    sources: Sequence[tuple[str, dict[str, str]]], config: str, load: Callable[[str, str], pl.DataFrame]
) -> pl.DataFrame:
    """A config of all sources (data set and its films' joined ids), with the joined ids and the split's position."""
    places = [(data, split, film_ids) for data, film_ids in sources for split in list_splits(data, config)]
    parts = []
    for data, split, film_ids in tracked(places, f"reading the {config}"):
        rows = load(data, split)
        with broken_told(data, config, split):
            _check(rows, film_ids, nullable_rating=config == "reviews")
            parts.append(
                rows.with_columns(
                    pl.col("user_id").cast(pl.Categorical),  # repeated by the million
                    pl.col("film_id").replace_strict(film_ids).cast(pl.Categorical),
                    split=pl.lit(SPLITS.index(split), pl.Int8),
                )
            )
    if parts:
        return pl.concat(parts)
    columns = REVIEW_COLUMNS if config == "reviews" else RATING_COLUMNS
    return pl.DataFrame(schema={**columns, "user_id": pl.Categorical, "film_id": pl.Categorical, "split": pl.Int8})


def _check(rows: pl.DataFrame, film_ids: dict[str, str], *, nullable_rating: bool) -> None:
    for user in rows["user_id"].unique():
        if user is None or not KEYED_HASH.fullmatch(user):
            raise ValueError(f"user_id {user!r} is no keyed hash")
    for film_id in rows["film_id"].unique():
        if film_id not in film_ids:
            raise ValueError(f"film_id {film_id!r} is not among its films")
    ratings = rows["rating"].drop_nulls() if nullable_rating else rows["rating"]
    if ratings.null_count() or not ratings.is_between(1, 10).all():
        raise ValueError("a rating is not from 1 to 10")


def _user_splits(ratings: pl.DataFrame, conflicts: MergeReport) -> dict[str, str]:
    """The split of every user, the strictest of the sources."""
    users = ratings.group_by("user_id").agg(pl.col("split").max(), several=pl.col("split").n_unique() > 1)
    conflicts.count(SPLIT, int(users["several"].sum()))
    return {
        user: SPLITS[split] for user, split in users.select(pl.col("user_id").cast(pl.String), "split").iter_rows()
    }


def _one_per_film(
    ratings: pl.DataFrame, rewatches: pl.DataFrame, conflicts: MergeReport
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The ratings that count, and those that do not: the sources' own rewatches and what others have replaced.

    A rating that any source lists among its rewatches has been replaced there, even where dates do not show it.
    """
    ratings, rewatches = ratings.drop("split"), rewatches.drop("split")
    called_earlier = ratings.join(rewatches, on=_SAME, how="semi", nulls_equal=True, maintain_order="left")
    standing = ratings.join(called_earlier, on=_SAME, how="anti", nulls_equal=True, maintain_order="left")
    # Where sources call each other's rating the earlier one, nothing is known and all of them stand.
    undecided = called_earlier.join(standing, on=_PAIR, how="anti", maintain_order="left")
    counting, replaced = split_rewatches(pl.concat([standing, undecided]))
    different = pl.concat([called_earlier, replaced.select(called_earlier.columns)]).join(counting, on=_PAIR)
    different = different.filter(pl.col("rating") != pl.col("rating_right"))
    conflicts.count(DIFFERENT, different.select(_PAIR).unique().height)
    conflicts.count(ALIKE, len(standing) + len(undecided) - len(counting) - len(replaced))
    rewatches = pl.concat([rewatches, replaced]).unique(_SAME, keep="last", maintain_order=True)
    return counting, rewatches
