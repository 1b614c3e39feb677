"""Films as the film-token GPT-2 knows them: their tables, and what it makes of them."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init

from .configuration_film_token_gpt2 import FilmTokenGPT2Config
from .taste_process import ProcessFilms

NUM_RATINGS = 10
# Pseudo-ratings of the overall rating distribution in a film's smoothed histogram.
HISTOGRAM_SMOOTHING = 10.0
# How much a film's features say of its place in the film space, beside its loadings.
CONTENT_WEIGHT = 0.7
# Loadings are an eighth or so of what other inputs are.
LOADINGS_SCALE = 8.0


class Films(NamedTuple):
    """What the model knows of the films at some positions."""

    trust: torch.Tensor  # (...), how much its own vectors count, 0..1
    tokens: torch.Tensor  # (..., hidden_size)
    vectors: torch.Tensor  # (..., tower_size), what a user's tower meets when the film is to be rated
    # (..., 2, tower_size), what having been rated above its intercept adds to a user's tower, and having been chosen.
    to_tower: torch.Tensor
    log_shares: torch.Tensor  # (..., 10), log of the smoothed shares of the ratings 1..10 among training users
    intercepts: torch.Tensor  # (...), what a user of average taste is expected to rate, 1..10
    process: ProcessFilms

    @property
    def shares(self) -> torch.Tensor:
        """Shares of the ratings 1..10 among training users, smoothed: `(..., 10)`."""
        return self.log_shares.softmax(-1)

    def at(self, rows: torch.Tensor, with_tokens: bool = True) -> "Films":
        """Those in some rows of what is known of all films; without tokens, those and vectors are zero-wide."""
        tokens, vectors = (self.tokens, self.vectors) if with_tokens else (self.tokens[:, :0], self.vectors[:, :0])
        return Films(
            self.trust[rows],
            tokens[rows],
            vectors[rows],
            self.to_tower[rows],
            self.log_shares[rows],
            self.intercepts[rows],
            self.process.at(rows),
        )


class FilmTables(PreTrainedModel):
    r"""
    The part of a [`FilmTokenGPT2Model`] that is about films, whoever rates them.

    Rating statistics and factors come from training users' ratings. A training user's own rating is one of them:
    `leave_one_out=True` takes it out of the histograms, and `film_factors` are then factors that the user had no part
    in; both belong to training and nowhere else. That the user rated the films at all stays in their company.
    """

    config_class = FilmTokenGPT2Config
    config: FilmTokenGPT2Config
    base_model_prefix = "model"

    film_features: torch.Tensor
    company_weights: torch.Tensor
    rating_histogram: torch.Tensor
    film_factors: torch.Tensor
    feature_weights: torch.Tensor
    content_weights: torch.Tensor

    def __init__(self, config: FilmTokenGPT2Config):
        super().__init__(config)
        width = config.hidden_size
        # Features and, after them, the company that a film is in: which others are rated by the same people. Then its
        # guess from the features (in all such tables the first row is the constant's).
        inputs = config.num_features + config.company_size
        self.register_buffer("film_features", torch.zeros(config.num_films, inputs))
        self.register_buffer("company_weights", torch.zeros(config.num_features + 1, config.company_size))
        self.register_buffer("rating_histogram", torch.zeros(config.num_films, NUM_RATINGS))
        # Intercept (1..10), loadings, choices and noise variance of every film, and their guess from features.
        self.factor_widths = [1, config.factor_size, config.factor_size, 1]
        self.register_buffer("film_factors", torch.zeros(config.num_films, sum(self.factor_widths)))
        self.register_buffer("feature_weights", torch.zeros(inputs + 1, sum(self.factor_widths)))
        # Features in fewer dimensions: what they say of a film's place among others.
        self.register_buffer("content_weights", torch.zeros(inputs + 1, config.content_size))

        self.feature_projection = nn.Linear(inputs, width)
        self.film_embedding = nn.Embedding(config.num_films, width)
        self.statistics_projection = nn.Linear(NUM_RATINGS + config.factor_size + 4, width)
        self.vector_embedding = nn.Embedding(config.num_films, 3 * config.tower_size)
        self.vector_projection = nn.Linear(width, config.tower_size)

        # What a film's content adds to what the factor model has of it: to its intercept, loadings, choices and place,
        # and to the logs of its noise variance and of how strong its likings are.
        size = config.factor_size
        self.process_widths = [1, size, size, size + config.content_size, 1, 1]
        self.process_head = nn.Linear(width, sum(self.process_widths))

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, FilmTables):
            # The process starts as the factor model has it.
            init.zeros_(module.process_head.weight)
            init.zeros_(module.process_head.bias)
            for _, table in module.named_buffers(recurse=False):
                init.zeros_(table)

    @torch.no_grad()
    def set_film_tables(
        self,
        film_features: torch.Tensor,
        rating_histogram: torch.Tensor,
        film_factors: torch.Tensor,
        feature_weights: torch.Tensor,
        content_weights: torch.Tensor,
        company_weights: torch.Tensor | None = None,
    ) -> None:
        """
        Fill in what is known of the films before training.

        Args:
            film_features (`torch.Tensor` of shape `(num_films, num_features + company_size)`): scaled features, about
                unit variance, and the company that the films are in.
            rating_histogram (`torch.Tensor` of shape `(num_films, 10)`): how often training users gave each rating.
            film_factors (`torch.Tensor` of shape `(num_films, 2 * factor_size + 2)`): of a factor model of their
                ratings the intercept on the 1..10 scale, the loadings, what having chosen the film tells of a taste,
                and the noise variance.
            feature_weights (`torch.Tensor` of shape `(num_features + company_size + 1, 2 * factor_size + 2)`): what
                the constant, the features and the company say of the same for films without ratings.
            content_weights (`torch.Tensor` of shape `(num_features + company_size + 1, content_size)`): what they say
                of a film's place among others.
            company_weights (`torch.Tensor` of shape `(num_features + 1, company_size)`, *optional*): what the constant
                and the features say of a film's company; for a model that has such.
        """
        self.film_features.copy_(film_features)
        self.rating_histogram.copy_(rating_histogram)
        self.film_factors.copy_(film_factors)
        self.feature_weights.copy_(feature_weights)
        self.content_weights.copy_(content_weights)
        if company_weights is not None:
            self.company_weights.copy_(company_weights)
        counts = rating_histogram.sum(0)
        self.config.mean_rating = float((counts * self._ratings()).sum() / counts.sum().clamp(min=1))

    @torch.no_grad()
    def add_films(self, film_features: torch.Tensor) -> None:
        """
        Append films that nobody has rated: rows `num_films` and on of every table of films.

        Args:
            film_features (`torch.Tensor` of shape `(films, num_features)`): as in `set_film_tables`, without company.
        """
        added, film_features = len(film_features), self._without_company(film_features.to(self.film_features))
        self.film_features = torch.cat([self.film_features, film_features])
        self.film_factors = torch.cat([self.film_factors, self._by_features(self.feature_weights, film_features)])
        self.rating_histogram = F.pad(self.rating_histogram, (0, 0, 0, added))
        # Without ratings an embedding counts for nothing, whatever it is.
        self.film_embedding, self.vector_embedding = (
            nn.Embedding.from_pretrained(F.pad(table.weight, (0, 0, 0, added)), freeze=False)
            for table in (self.film_embedding, self.vector_embedding)
        )
        self.config.num_films += added

    @torch.no_grad()
    def catalogue(self, films_at_once: int = 16384) -> Films:
        """
        What the model knows of every film that may be rated, `(num_films, ...)`, with its weights as they are now.
        With it, `score` and `glance` need not work out again for every person what is the same for all. `to_tower`,
        which only films that have been rated need, is zero-wide.
        """
        chunks = torch.arange(self.config.num_films, device=self.device).split(films_at_once)
        films = [self._films(chunk) for chunk in chunks]
        return Films(
            trust=torch.cat([part.trust for part in films]),
            tokens=torch.cat([part.tokens for part in films]),
            vectors=torch.cat([part.vectors for part in films]),
            to_tower=torch.cat([part.to_tower[..., :0] for part in films]),
            log_shares=torch.cat([part.log_shares for part in films]),
            intercepts=torch.cat([part.intercepts for part in films]),
            process=ProcessFilms(*map(torch.cat, zip(*(part.process for part in films), strict=True))),
        )

    @torch.no_grad()
    def film_vectors(self) -> torch.Tensor:
        """The film space: what features and training say of every film's content, `(num_films, hidden_size)`."""
        everything = torch.arange(self.config.num_films, device=self.film_features.device)
        return self._content(everything, self.film_features, self.film_trust())

    @torch.no_grad()
    def film_trust(self, leave_one_out: bool = False) -> torch.Tensor:
        """How much films' learned embeddings count, `(num_films,)`, 0..1; to a training user, by others' ratings."""
        return self._trust(torch.arange(self.config.num_films, device=self.film_features.device), leave_one_out)

    def _films(
        self,
        film_ids: torch.Tensor,
        own_ratings: torch.Tensor | None = None,
        factors: torch.Tensor | None = None,
        with_tokens: bool = True,
    ) -> Films:
        """
        What is known of `film_ids` (-1 is padding); `own_ratings` (same shape, 1..10) are taken out of the statistics,
        `factors` (..., 2 * factor_size + 2) are in the place of the model's own. Without tokens, those and all
        that is of towers are zero-wide.
        """
        distinct, positions = film_ids.clamp(min=0).unique(return_inverse=True)
        known = torch.ones_like(self.film_factors[distinct, 0])
        if self.training and self.config.film_dropout:
            known = (torch.rand_like(known) >= self.config.film_dropout).to(known.dtype)

        features = self.film_features[distinct]
        factors = F.embedding(positions, self.film_factors[distinct]) if factors is None else factors
        if not known.all():
            features = torch.where(known[:, None] > 0, features, self._without_company(features))
            guesses = self._by_features(self.feature_weights, features)
            factors = torch.where(known[positions][..., None] > 0, factors, F.embedding(positions, guesses))
        # What is said of films' content is computed once per distinct film, not once per rating.
        trust = known * self._trust(distinct, own_ratings is not None)
        content = self._content(distinct, features, trust)
        intercepts, process = self._process(film_ids, positions, features, factors, content)

        histogram = F.embedding(positions, self.rating_histogram[distinct])
        if own_ratings is not None:
            histogram = (histogram - F.one_hot(own_ratings.clamp(min=1) - 1, NUM_RATINGS)).clamp(min=0)
        histogram = histogram * known[positions][..., None]
        counts = histogram.sum(-1, keepdim=True)
        overall = self._overall_shares()
        log_shares = ((histogram + HISTOGRAM_SMOOTHING * overall) / (counts + HISTOGRAM_SMOOTHING)).log()

        tokens = vectors = histogram.new_empty(*film_ids.shape, 0)
        to_tower = histogram.new_empty(*film_ids.shape, 2, 0)
        if with_tokens:
            mean, shrinkage = self.config.mean_rating, self.config.film_shrinkage
            means = (self._mean_rating(histogram)[..., None] + shrinkage * mean) / (counts + shrinkage)
            statistics = torch.cat(
                [
                    log_shares - overall.log(),
                    means - mean,
                    counts.log1p() / 5 - 1,
                    intercepts[..., None] - mean,
                    LOADINGS_SCALE * process.loadings,
                    process.noise.log()[..., None],
                ],
                dim=-1,
            )
            tokens = F.embedding(positions, content) + self.statistics_projection(statistics)
            own = F.embedding(positions, trust[:, None] * self.vector_embedding(distinct)).unflatten(-1, (3, -1))
            to_tower = own[..., :2, :]
            vectors = own[..., 2, :] + self.vector_projection(tokens)  # of a new film, what its token says
        return Films(trust[positions], tokens, vectors, to_tower, log_shares, intercepts, process)

    def _process(
        self,
        film_ids: torch.Tensor,
        positions: torch.Tensor,
        features: torch.Tensor,
        factors: torch.Tensor,
        content: torch.Tensor,
    ) -> tuple[torch.Tensor, ProcessFilms]:
        """
        Films as the process has them, and their intercepts (...): by their `factors` (..., 2 * factor_size + 2) and by
        what training has made of their content. `film_ids` are -1 for padding; `features` (distinct, num_features +
        company_size) and `content` (distinct, hidden_size) of those at `positions`.
        """
        precision = self.film_features.dtype  # whatever autocast makes of the rest: Cholesky factors need it
        with self._without_autocast():
            corrections = F.embedding(positions, self.process_head(content.to(precision)))
            raised, turned, told, moved, louder, stronger = corrections.split(self.process_widths, dim=-1)
            intercepts, loadings, choices, noise = factors.to(precision).split(self.factor_widths, dim=-1)
            axes = F.normalize(self._by_features(self.content_weights, features), dim=-1)
            axes = CONTENT_WEIGHT * F.embedding(positions, axes)
            places = F.normalize(torch.cat([F.normalize(loadings, dim=-1), axes], dim=-1), dim=-1)
            real = 1.0 - (film_ids < 0).to(precision)
            process = ProcessFilms(
                loadings=(loadings + turned / LOADINGS_SCALE) * real[..., None],
                choices=(choices + told / LOADINGS_SCALE) * real[..., None],
                places=F.normalize(places + moved, dim=-1),
                strengths=stronger[..., 0].exp() * real,
                # A part of what the factors took for noise are likings.
                noise=(noise * (1 - self.config.liking_variance / 4) * louder.exp()).clamp(min=1e-2)[..., 0],
                real=real,
            )
            return (intercepts + raised)[..., 0], process

    def _trust(self, film_ids: torch.Tensor, leave_one_out: bool) -> torch.Tensor:
        """How much films' learned embeddings count, `(films,)`: as far as training ratings speak for them. With few of
        them, a film is what its features say."""
        counts = (self.rating_histogram[film_ids].sum(-1) - int(leave_one_out)).clamp(min=0)
        return counts / (counts + self.config.embedding_shrinkage)

    def _content(self, film_ids: torch.Tensor, features: torch.Tensor, trust: torch.Tensor) -> torch.Tensor:
        """What features and training say a film is like: `(films, hidden_size)`; `features` as in `film_features`,
        `trust` as in `_trust`."""
        return self.feature_projection(features) + trust[:, None] * self.film_embedding(film_ids)

    def _without_company(self, features: torch.Tensor) -> torch.Tensor:
        """Features, with or without company, of films that nobody has rated: `(films, num_features + company_size)`,
        the company the one that the features tell of."""
        features = features[:, : self.config.num_features]
        return torch.cat([features, self._by_features(self.company_weights, features)], dim=-1)

    def _by_features(self, weights: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """What `weights` of the constant and of features say of films. The process builds on it, so whatever autocast
        makes of the rest, it is not rounded."""
        with self._without_autocast():
            return weights[0] + features @ weights[1:]

    def _ratings(self) -> torch.Tensor:
        return torch.arange(1, NUM_RATINGS + 1, device=self.film_features.device, dtype=self.film_features.dtype)

    def _mean_rating(self, shares: torch.Tensor) -> torch.Tensor:
        """Means of distributions over 1..10 `(..., 10)`; not by a matrix product, which autocast would round."""
        return (shares * self._ratings()).sum(-1)

    def _overall_shares(self) -> torch.Tensor:
        """How often everyone gives each rating: `(10,)`, none of them zero."""
        overall = self.rating_histogram.sum(0)
        return overall / overall.sum().clamp(min=1) + 1e-3

    def _without_autocast(self) -> torch.autocast:
        """Where the process computes."""
        return torch.autocast(self.device.type, enabled=False)
