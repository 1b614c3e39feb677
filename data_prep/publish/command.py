"""`reel publish dataset DIR REPO_ID`: a data set to the Hugging Face Hub, as one commit.

    reel publish dataset data/sample user/film-ratings --license other

What goes there: the Parquet files of the configs, the film features where they are current, and a card with
distribution plots. User names never do: only data sets whose users are keyed hashes are published. Reviews are what
people wrote, and stay here unless `--with-reviews` asks for them. The command can be repeated: what the Hub has
already is not sent again, and what is no longer part of the data set goes.

    from datasets import load_dataset
    load_dataset("user/film-ratings", "histories", streaming=True)
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from data_prep.building.build import is_dataset_folder
from data_prep.building.card import CARD_TAG, DatasetCard
from data_prep.building.card_fields import SCHEMAS
from data_prep.dataset import check_digest
from data_prep.errors import CommandParser, UserError
from data_prep.features import FilmFeatures, films_digest
from data_prep.publish.card_figures import count_distributions, draw_figures
from data_prep.publish.hub import check_no_place, check_repo_id, push_files
from data_prep.schema import normalise_films
from data_prep.user_keys import KEYED_HASH

_FEATURE_FILES = ("films.parquet", "features.json")


def main(arguments: Sequence[str]) -> None:
    """The command `reel publish dataset`."""
    parser = CommandParser(prog="reel publish dataset", description="A data set to the Hugging Face Hub.")
    parser.add_argument("data", type=Path, metavar="DIR", help="data set folder")
    parser.add_argument("repo_id", metavar="REPO_ID", help="where to, as user/name; made when there is none")
    parser.add_argument("--private", action="store_true", help="make it private")
    parser.add_argument("--with-reviews", action="store_true", help="publish the texts of reviews too")
    parser.add_argument(
        "--license", "--licence", default="other", metavar="ID", help="the Hub's id of a licence (default: other)"
    )
    options = parser.parse_args(arguments)
    url, revision = publish_dataset(
        options.data,
        options.repo_id,
        private=options.private,
        with_reviews=options.with_reviews,
        licence=options.license,
    )
    print(f"{url} revision {revision}")


def publish_dataset(
    folder: Path, repo_id: str, *, private: bool = False, with_reviews: bool = False, licence: str = "other"
) -> tuple[str, str]:
    """Check a data set folder and publish it.

    Args:
        folder: the data set.
        repo_id: `user/name`.
        private: make the repository private.
        with_reviews: publish the config `reviews` too, where there is one.
        licence: the Hub's id of a licence.

    Returns:
        The repository's address and the revision, the sha of the commit.

    Raises:
        UserError: when the folder is no data set, is damaged or holds a user's name, or the Hub refuses.
    """
    check_repo_id(repo_id)
    if not is_dataset_folder(folder):
        raise UserError(f"{folder}: no rating data set; make one with `reel data sample --out DIR`")
    whole = DatasetCard.read(folder)
    if whole.reviews:
        _say_what_becomes_of_reviews(with_reviews)
    card = whole.published(licence, reviews=with_reviews)
    console = Console(file=sys.stderr)
    with tempfile.TemporaryDirectory() as drawn:
        with console.status("checking and counting"):
            text = card.render()
            check_no_place(text, str(folder / "README.md"), folder, "build it again")
            files: dict[str, Path | bytes] = {"README.md": text.encode()}
            for config in card.configs():
                files |= _checked_files(folder, card, config)
            files |= _current_features(folder)
            figures = draw_figures(count_distributions(folder), Path(drawn))
            files |= {f"figures/{path.name}": path for path in figures}
        message = f"{card.users:,} users, {card.films:,} films, {card.ratings:,} ratings"
        return push_files(
            repo_id,
            files,
            kind="dataset",
            folders=(*SCHEMAS, "features", "figures"),
            message=message,
            tag=CARD_TAG,
            private=private,
        )


def _say_what_becomes_of_reviews(published: bool) -> None:
    if published:
        print("warning: review texts are people's own words; publish them only with permission", file=sys.stderr)
    else:
        print("the reviews stay here; --with-reviews publishes them too", file=sys.stderr)


def _checked_files(folder: Path, card: DatasetCard, config: str) -> dict[str, Path | bytes]:
    """The Parquet files of a config by their paths, once they are what was built and name nobody.

    Raises:
        UserError: when they are not.
    """
    check_digest(str(folder), folder, config)
    files = {
        f"{config}/{path.name}": path
        for split in card.configs()[config]
        for path in sorted((folder / config).glob(f"{split}-?????-of-?????.parquet"))
    }
    for place, path in files.items():
        try:
            columns, named = pq.read_schema(path).names, _named_users(path) if _has_users(config) else 0
        except (OSError, pa.ArrowException, pl.exceptions.PolarsError) as error:
            raise UserError(f"{folder}: {place} cannot be read ({error}); build the data set again") from error
        if columns != SCHEMAS[config].names:
            raise UserError(f"{folder}: {place} has the columns {', '.join(columns)}; build the data set again")
        if named:
            raise UserError(
                f"{folder}: {place}: {named:,} rows have a user_id that is no keyed hash, and names are never "
                "published; build the data set with `reel data`"
            )
    return dict(files)


def _has_users(config: str) -> bool:
    return "user_id" in SCHEMAS[config].names


def _named_users(path: Path) -> int:
    """Rows whose user_id is no keyed hash."""
    hashed = pl.col("user_id").cast(pl.String).str.contains(f"^{KEYED_HASH.pattern}$").fill_null(False)
    return pl.scan_parquet(path).select(hashed.not_().sum()).collect(engine="streaming").item()


def _current_features(folder: Path) -> dict[str, Path | bytes]:
    """The files of `features/` by their paths, when they belong to these films; otherwise none."""
    files = {f"features/{name}": folder / "features" / name for name in _FEATURE_FILES}
    if not all(path.is_file() for path in files.values()):
        return {}
    features = FilmFeatures.load(*files.values())
    films = normalise_films(pl.read_parquet(sorted((folder / "films").glob("*.parquet"))))
    if features.spec.get("films_digest") != films_digest(films):
        print("the features are of other films and stay here; `reel data features` makes them anew", file=sys.stderr)
        return {}
    return dict(files)
