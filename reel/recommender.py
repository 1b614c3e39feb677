"""A trained model together with its film catalogue: match titles, predict, rank, filter, explain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import torch
from transformers import PreTrainedModel

from data_prep.catalogue import Catalogue
from data_prep.errors import UserError
from data_prep.matching import TitleMatcher
from data_prep.member.export import read_history
from data_prep.member.history import Export
from data_prep.new_films import new_films
from reel.cases import EncodedCases
from reel.filters import FilmFilter, genres_of
from reel.influence import influences
from reel.loading import from_hub, load_model
from reel.memories import Memories
from reel.ranking import DIVERSE_POOL, Ranking, diverse_order, points_of_renown, worth
from training.metrics import RATING_VALUES as RATINGS
from training.metrics import REWARD_RATING
from training.quiet import quiet_transformers

# Where each model type's classes are registered.
MODEL_MODULES = {
    "deepfm": "modeling.deepfm",
    "film_token_gpt2": "modeling.film_token_gpt2",
    "rating_baseline": "modeling.baselines",
    "text_gpt2": "modeling.text_gpt2",
}
# Films that a model ranks where a whole catalogue would take it minutes: those with the highest mean ratings.
SHORTLISTS = {"text_gpt2": 200}
# How much of a batch is scored at once: history tokens, and candidates over all its histories.
TOKENS_AT_ONCE = 32_768
CANDIDATES_AT_ONCE = 32_768

History = Sequence[tuple[str, int]]


@dataclass
class Reason:
    """A rated film that a recommendation leans on; `weight` is its cosine similarity in the model's film space, 0..1;
    of `Recommender.influential`, the rating points by which the prediction falls without it."""

    film_id: str
    title: str
    rating: int
    weight: float


@dataclass
class Recommendation:
    """A film for a person: `probabilities` of the ratings 1..10, their mean, and P(rating >= 7)."""

    film_id: str
    title: str
    year: int | None
    expected_rating: float
    reward_probability: float
    probabilities: list[float]
    because: list[Reason]


class Recommender:
    """
    Args:
        model (`PreTrainedModel`): any model of the project; it is put in evaluation mode.
        catalogue (`Catalogue`): the films it knows; row `i` is its film `i`.

    Example:

    ```python
    from reel import Recommender

    reel = Recommender.from_pretrained("models/sample")
    history = [("ml-1", 9), ("ml-260", 10), ("ml-780", 5)]
    for film in reel.recommend(history, top=5):
        print(film.title, film.expected_rating, [reason.title for reason in film.because])
    ```
    """

    def __init__(self, model: PreTrainedModel, catalogue: Catalogue):
        if model.config.num_films != len(catalogue):
            raise UserError(
                f"the model knows {model.config.num_films:,} films and its catalogue {len(catalogue):,}: "
                "they do not belong together"
            )
        # Films in another order would be scored as one another. A model that was never saved has no digest yet.
        if model.config.catalogue_digest not in (None, catalogue.digest):
            raise UserError("the film catalogue is not the one that the model was saved with")
        self.model = model.eval()
        self.catalogue = catalogue

    @classmethod
    def from_pretrained(cls, folder_or_repo: str | Path, revision: str | None = None) -> Recommender:
        """
        Load a model and its catalogue.

        Args:
            folder_or_repo (`str` or `Path`): a folder that `reel train` wrote, or the id of a repository on the Hub.
            revision (`str`, *optional*): of the repository: a branch, tag or commit.

        Raises:
            UserError: when there is no such folder or repository, or it holds no model of this project.
        """
        folder = Path(folder_or_repo).expanduser()
        if not folder.exists():
            folder = from_hub(str(folder_or_repo), revision)
        try:
            model_type = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(
                f"{folder_or_repo}: no model there (no readable config.json); train one with `reel train`"
            ) from None
        if not isinstance(model_type, str) or model_type not in MODEL_MODULES:
            raise UserError(f"{folder_or_repo}: a model of type {model_type!r}; known are {', '.join(MODEL_MODULES)}")
        import_module(MODEL_MODULES[model_type])
        catalogue = Catalogue.load(folder)
        try:
            return cls(load_model(folder), catalogue)
        except UserError as error:
            raise UserError(f"{folder_or_repo}: {error}; train it again with `reel train`") from error

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model and its catalogue into a folder that `from_pretrained` reads."""
        self.model.config.catalogue_digest = self.catalogue.digest
        with quiet_transformers():
            self.model.save_pretrained(folder)
        self.catalogue.save(Path(folder))

    # -- predicting

    def predict(self, history: History, films: Sequence[str]) -> np.ndarray:
        """
        Rating distributions of some films for a person.

        Args:
            history (`list[tuple[str, int]]`): film ids and ratings 1..10, in order of date where dated; may be empty.
            films (`list[str]`): film ids.

        Returns:
            `np.ndarray` of shape `(len(films), 10)`: probabilities of the ratings 1..10.

        Raises:
            UserError: for a film id that is not in the catalogue, or a rating that is none.
        """
        return self._predict(*self._rows(history), self.film_rows(films))

    @cached_property
    def reads_on(self) -> bool:
        """Whether the model remembers a history, and adds a rating to it without reading it again."""
        return hasattr(self.model, "read_on")

    @cached_property
    def _memories(self) -> Memories:
        return Memories(self.model)

    @cached_property
    def known_films(self) -> Any:
        """What a model that `reads_on` knows of the films, once for all people."""
        return self.model.catalogue()

    @torch.inference_mode()
    def _glance(self, history_films: np.ndarray, history_ratings: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        memory = self._memories.of(history_films, history_ratings)
        rows = torch.from_numpy(candidates)[None].to(self.model.device)
        return self.model.glance(memory, rows, catalogue=self.known_films)[0].float().cpu().numpy()

    @torch.inference_mode()
    def _predict(self, history_films: np.ndarray, history_ratings: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        if self.reads_on:
            memory = self._memories.of(history_films, history_ratings)
            rows = torch.from_numpy(np.asarray(candidates, dtype=np.int64))[None].to(self.model.device)
            return self.model.score(memory, rows, catalogue=self.known_films)[0].float().cpu().numpy()
        tensors = (
            torch.from_numpy(np.asarray(array, dtype=np.int64))
            for array in (history_films, history_ratings, candidates)
        )
        probabilities = self.model.predict(*(tensor[None].to(self.model.device) for tensor in tensors))
        return probabilities[0].float().cpu().numpy()

    @torch.inference_mode()
    def predict_cases(self, cases: pa.Table) -> np.ndarray:
        """
        Many predictions at once. Equal histories are encoded once, whichever rows they are on.

        Args:
            cases (`pa.Table`): columns `history_film_ids` (lists of film ids), `history_ratings` (lists of 1..10) and
                `film_id`.

        Returns:
            `np.ndarray` of shape `(cases, 10)`, float32.

        Raises:
            UserError: for a film id that is not in the catalogue, or a rating that is none.
        """
        return self.predict_encoded(EncodedCases.from_table(cases, self.catalogue.index))

    @torch.inference_mode()
    def predict_encoded(self, encoded: EncodedCases) -> np.ndarray:
        """`predict_cases` of cases in catalogue rows: `(cases, 10)`, float32."""
        probabilities = np.empty((len(encoded), 10), dtype=np.float32)
        for batch in encoded.batches(TOKENS_AT_ONCE, CANDIDATES_AT_ONCE):
            tensors = (torch.from_numpy(array).to(self.model.device) for array in batch.arrays)
            predicted = self.model.predict(*tensors).float().cpu().numpy()
            probabilities[batch.cases] = predicted[batch.rows, batch.columns]
        return probabilities

    # -- recommending

    def recommend(
        self,
        history: History,
        *,
        top: int = 20,
        genres: Sequence[str] = (),
        years: tuple[int | None, int | None] | None = None,
        only: Sequence[str] | None = None,
        include_seen: bool = False,
        seen: Sequence[str] = (),
        by: str = "rating",
        caution: float = 0.0,
        popularity: float = 0.0,
        diversity: float = 0.0,
    ) -> list[Recommendation]:
        """
        The films a person would rate highest, by expected rating or as `by` and the dials of `rank` say.

        Args:
            history, as in `predict`.
            top (`int`): how many, at most.
            genres (`list[str]`): only films with one of these genres.
            years (`tuple`): first and last year, either may be `None`.
            only (`list[str]`, *optional*): only films with one of these ids.
            include_seen (`bool`): whether films of `history` and `seen` may be recommended.
            seen (`list[str]`): further films that the person has watched.
            by, caution, popularity, diversity, as in `rank`.
        """
        hidden = () if include_seen else [*dict(history), *seen]
        ranking = self.rank(
            history,
            FilmFilter(genres=genres, years=years, only=only),
            hidden=hidden,
            by=by,
            caution=caution,
            popularity=popularity,
            diversity=diversity,
            at_least=top,
        )
        best = ranking.taken(slice(top))
        reasons = self._reasons(*self._rows(history), best.rows, top=3)
        return self.describe(best, reasons)

    def rank(
        self,
        history: History,
        where: FilmFilter | None = None,
        *,
        hidden: Sequence[str] = (),
        by: str = "rating",
        caution: float = 0.0,
        popularity: float = 0.0,
        diversity: float = 0.0,
        at_least: int = 0,
        exact: int | None = None,
    ) -> Ranking:
        """
        All films that fit, best first; of the several entries of one film, the best.

        Args:
            history, as in `predict`.
            where (`FilmFilter`, *optional*): what the films must fit.
            hidden (`list[str]`): films that are left out, with all entries of the same film.
            by (`str`), caution (`float`): see `reel.ranking.worth`.
            popularity (`float`): -1..1, rating points that a film gains with every standard deviation by which it is
                better known than the catalogue's films (see `reel.ranking.renown`); below 0 little-seen films gain.
            diversity (`float`): 0..1, how much films are to differ from those above them in the model's film space;
                see `reel.ranking.diverse_order`.
            at_least (`int`): how many films a model that ranks a shortlist must rank.
            exact (`int`, *optional*): a model that can ranks all films at a glance, by its prior, and so many of the
                best again in full: in a fraction of the time, and what differs is far down.
        """
        points = points_of_renown(self.catalogue.films["rating_count"].to_numpy(), popularity)
        if not 0 <= diversity <= 1:
            raise UserError(f"diversity {diversity:g}: must be from 0 to 1")
        history_films, history_ratings = self._rows(history)
        candidates = (where or FilmFilter()).rows(self.catalogue.films)
        if hidden:
            candidates = candidates[~np.isin(self.groups[candidates], self.groups[self.film_rows(hidden)])]
        if self.model.config.model_type in SHORTLISTS:
            candidates = self._best_on_average(candidates, max(at_least, SHORTLISTS[self.model.config.model_type]))
        if not len(candidates):
            return Ranking(candidates, np.empty((0, 10), dtype=np.float32))
        points = points[candidates]
        if exact is None or not self.reads_on or len(candidates) <= exact:
            probabilities = self._predict(history_films, history_ratings, candidates)
            worths = worth(probabilities, caution, by) + points
            order = np.argsort(-worths, kind="stable")
        else:
            probabilities = self._glance(history_films, history_ratings, candidates)
            worths = worth(probabilities, caution, by) + points
            order = np.argsort(-worths, kind="stable")
            best = order[:exact]
            probabilities[best] = self._predict(history_films, history_ratings, candidates[best])
            worths[best] = worth(probabilities[best], caution, by) + points[best]
            order[:exact] = best[np.argsort(-worths[best], kind="stable")]
        _, first = np.unique(self.groups[candidates[order]], return_index=True)
        order = order[np.sort(first)]
        if diversity:
            pool = order[:DIVERSE_POOL]
            order[:DIVERSE_POOL] = pool[diverse_order(worths[pool], self.film_space[candidates[pool]], diversity)]
        return Ranking(candidates[order], probabilities[order])

    def describe(self, ranking: Ranking, reasons: Sequence[list[Reason]]) -> list[Recommendation]:
        """The films of a ranking with what the catalogue says of them, and why they are there."""
        return [
            self._recommendation(int(row), probabilities, because)
            for row, probabilities, because in zip(ranking.rows, ranking.probabilities, reasons, strict=True)
        ]

    def influential(self, history: History, films: Sequence[str], top: int = 3) -> list[list[Reason]]:
        """For every one of some films the rated films whose removal changes its prediction most; `weight` is by how
        many rating points it falls without them. For a model that takes minutes to rank, those of `explain`."""
        history_films, history_ratings = self._rows(history)
        rows = self.film_rows(films)
        if self.model.config.model_type in SHORTLISTS:
            return self._reasons(history_films, history_ratings, rows, top)
        titles = self.catalogue.films["title"]
        return [
            [
                Reason(
                    film_id=self.catalogue.film_ids[history_films[place]],
                    title=titles[int(history_films[place])],
                    rating=int(history_ratings[place]),
                    weight=round(change, 4),
                )
                for place, change in found
            ]
            for found in influences(self, history_films, history_ratings, rows, top)
        ]

    def explain(self, history: History, film_id: str, top: int = 3) -> list[Reason]:
        """The rated films that are nearest to a film in the model's film space, nearest first; `history` as in
        `predict`."""
        history_films, history_ratings = self._rows(history)
        return self._reasons(history_films, history_ratings, self.film_rows([film_id]), top)[0]

    # -- the catalogue

    def add_films(self, films: str | Path | pa.Table | pl.DataFrame) -> list[str]:
        """
        Films that were never in training, to be predicted, ranked and rated like any other; a model knows their
        features alone. `save_pretrained` saves them too.

        Args:
            films (`str`, `Path`, `pa.Table` or `pl.DataFrame`): a CSV or Parquet file or a table with the columns of a
                data set's films, `film_id` and `title` at least; what is missing counts as unknown.

        Returns:
            Their ids.

        Raises:
            UserError: for a row that is not right (see `new_films`), for features that cannot be made as the
                catalogue's were, and for a model that takes no new films. Nothing is added then.
        """
        added = new_films(films, self.catalogue.index)
        ids = added["film_id"].to_list()
        catalogue = self.catalogue.with_films(added)
        try:
            self.model.add_films(torch.from_numpy(catalogue.features.dense(ids)))
        except ValueError as error:
            raise UserError(f"no film can be added to this model: {error}") from error
        self.catalogue = catalogue
        self.model.config.catalogue_digest = catalogue.digest
        for name in ("genres", "years", "groups", "film_space", "known_films"):  # made of the catalogue as it was
            self.__dict__.pop(name, None)
        return ids

    def search(self, text: str, limit: int = 10) -> list[dict[str, Any]]:
        """Films whose title may be meant by what was typed so far: `film_id`, `title`, `year`, best first."""
        rows = self.catalogue.search(text, limit)
        return self.catalogue.films[rows].select("film_id", "title", "year").to_dicts()

    def read_history(self, path: str | Path) -> Export:
        """A person's history from an account export or from the JSON of `reel data export`, matched to the
        catalogue."""
        return read_history(Path(path), self.matcher)

    @cached_property
    def matcher(self) -> TitleMatcher:
        """Finds the catalogue's films by title and year, or by ids."""
        return TitleMatcher(self.catalogue.films)

    @cached_property
    def genres(self) -> list[str]:
        """Every genre of the catalogue, in alphabetical order."""
        return genres_of(self.catalogue.films)

    @cached_property
    def languages(self) -> list[str]:
        """The original languages of the catalogue, the most frequent first."""
        counts = self.catalogue.films["original_language"].drop_nulls().value_counts(sort=True)
        return counts["original_language"].to_list()

    @cached_property
    def years(self) -> tuple[int, int]:
        """The first and the last year of the catalogue."""
        years = self.catalogue.films["year"].drop_nulls()
        return (int(years.min()), int(years.max())) if len(years) else (0, 0)  # type: ignore[arg-type]

    @cached_property
    def groups(self) -> np.ndarray:
        """A number for every film that the entries of one film share: `(films,)`."""
        return np.unique(self.catalogue.films["film_group"].to_list(), return_inverse=True)[1]

    @cached_property
    def film_space(self) -> np.ndarray:
        """Unit vectors of all films, around their mean: `(films, width)`."""
        vectors = self.model.film_vectors()
        space = (
            self.catalogue.features.dense(self.catalogue.film_ids)
            if vectors is None
            else vectors.float().cpu().numpy()
        )
        space = space - space.mean(0)
        return space / np.maximum(np.linalg.norm(space, axis=1, keepdims=True), 1e-6)

    def film_rows(self, films: Sequence[str]) -> np.ndarray:
        """Catalogue rows of film ids: `(len(films),)`.

        Raises:
            UserError: for a film id that is not in the catalogue.
        """
        index = self.catalogue.index
        unknown = [film for film in films if film not in index]
        if unknown:
            raise UserError(
                f"{unknown[0]!r} is no film of the catalogue; `Recommender.search` finds films by their title"
            )
        return np.array([index[film] for film in films], dtype=np.int64)

    def _rows(self, history: History) -> tuple[np.ndarray, np.ndarray]:
        """Catalogue rows and ratings of a history; of a film rated twice, the later rating in its place."""
        latest = dict(history)
        wrong = [(film, rating) for film, rating in latest.items() if rating not in RATINGS]
        if wrong:
            raise UserError(f"rating {wrong[0][1]!r} of {wrong[0][0]!r} is not one of 1..10 (half stars doubled)")
        return self.film_rows(list(latest)), np.array(list(latest.values()), dtype=np.int64)

    def _best_on_average(self, candidates: np.ndarray, size: int) -> np.ndarray:
        """The `size` candidates with the highest mean rating among training users, as the baseline film-mean has it:
        the overall mean where a film has no ratings."""
        films = self.catalogue.films
        counts, means = films["rating_count"].to_numpy(), films["rating_mean"].fill_null(0.0).to_numpy()
        means = np.where(counts > 0, means, counts @ means / max(1, counts.sum()))
        return candidates[np.argsort(-means[candidates], kind="stable")[:size]]

    def _reasons(
        self, history_films: np.ndarray, history_ratings: np.ndarray, films: np.ndarray, top: int
    ) -> list[list[Reason]]:
        if not len(history_films):
            return [[] for _ in films]
        similarity = self.film_space[films] @ self.film_space[history_films].T
        titles = self.catalogue.films["title"]
        reasons = []
        for film, row in zip(films, similarity, strict=True):
            nearest = [i for i in np.argsort(-row, kind="stable") if row[i] > 0 and history_films[i] != film][:top]
            reasons.append(
                [
                    Reason(
                        film_id=self.catalogue.film_ids[history_films[i]],
                        title=titles[int(history_films[i])],
                        rating=int(history_ratings[i]),
                        weight=round(float(row[i]), 4),
                    )
                    for i in nearest
                ]
            )
        return reasons

    def _recommendation(self, film: int, probabilities: np.ndarray, because: list[Reason]) -> Recommendation:
        row = self.catalogue.films.row(film, named=True)
        return Recommendation(
            film_id=row["film_id"],
            title=row["title"],
            year=row["year"],
            expected_rating=float(probabilities @ RATINGS),
            reward_probability=float(probabilities[REWARD_RATING - 1 :].sum()),
            probabilities=[float(probability) for probability in probabilities],
            because=because,
        )
