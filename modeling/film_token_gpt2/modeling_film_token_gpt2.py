"""GPT-2 over rating histories in which a whole film is one token."""

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import nn
from transformers import GPT2Model, PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from .configuration_film_token_gpt2 import FilmTokenGPT2Config
from .taste_process import Belief, Kernel, ProcessFilms, Reading, add_rating, expect, read_ratings

NUM_RATINGS = 10
# Pseudo-ratings of the overall rating distribution in a film's smoothed histogram.
HISTOGRAM_SMOOTHING = 10.0
# Ratings of prior weight in what is seen of a user's habits.
USER_SHRINKAGE = 10.0
# How much a film's features say of its place in the film space, beside its loadings.
CONTENT_WEIGHT = 0.7
# Logs of the prior's weights of a film's histogram and of the process, and its weight of the user's habits: where
# training begins.
PRIOR_WEIGHTS = (-0.6, -0.8, 0.4)
# Loadings are an eighth or so of what other inputs are.
LOADINGS_SCALE = 8.0
# Steps in which the prior gets its mean, and how far that stays from the ends of the scale.
TILTS, MARGIN = 2, 0.3


@dataclass
class FilmTokenGPT2Output(ModelOutput):
    """
    Args:
        rating_logits (`torch.FloatTensor` of shape `(batch, length, 10)`): scores of the ratings 1..10 at every
            position, each given the films and ratings before it and the position's own film.
        expected_rating (`torch.FloatTensor` of shape `(batch, length)`): mean of that distribution, 1..10.
    """

    rating_logits: torch.Tensor | None = None
    expected_rating: torch.Tensor | None = None


class Films(NamedTuple):
    """What the model knows of the films at some positions."""

    tokens: torch.Tensor  # (..., hidden_size)
    log_shares: torch.Tensor  # (..., 10), log of the smoothed shares of the ratings 1..10 among training users
    intercepts: torch.Tensor  # (...), what a user of average taste is expected to rate, 1..10
    process: ProcessFilms

    def at(self, rows: torch.Tensor) -> "Films":
        """Those in some rows of what is known of all films."""
        process = ProcessFilms(*(part[rows] for part in self.process))
        return Films(self.tokens[rows], self.log_shares[rows], self.intercepts[rows], process)


class UserState(NamedTuple):
    """What a history says of its user at some positions: everything a prediction reads beside the transformer's
    cache."""

    counts: torch.Tensor  # (...), ratings seen so far
    tastes: torch.Tensor  # (..., factor_size), mean of what is believed of the user's taste
    scales: torch.Tensor  # (...), shrunk root mean square of the surprises so far, in standard deviations
    habits: torch.Tensor  # (..., 10), log of how often the user gives each rating, over how often everyone does
    last_event: torch.Tensor  # (..., hidden_size), the film seen last with its rating


class Expectation(NamedTuple):
    """What the process expects of ratings."""

    means: torch.Tensor  # (...), 1..10, not cut off at the ends
    variances: torch.Tensor  # (...)


class Memory(NamedTuple):
    """Histories that have been read: what predicting, and reading on, need of them."""

    keys_and_values: list[tuple[torch.Tensor, torch.Tensor]]  # of every block, (batch, heads, length, head size)
    padding: torch.Tensor  # (batch, length), True where the history has ended
    users: UserState  # after the history, (batch, 1, ...)
    belief: Belief
    sums: torch.Tensor  # (batch, 12), what `_user_states` sums up


class NoPositions(nn.Module):
    """In the place of GPT-2's position embeddings: an undated history is a set, and a set has no positions."""

    def forward(self, position_ids: torch.Tensor) -> torch.Tensor:
        return torch.zeros((), device=position_ids.device)


class FilmTokenGPT2PreTrainedModel(PreTrainedModel):
    config_class = FilmTokenGPT2Config
    config: FilmTokenGPT2Config
    base_model_prefix = "model"
    _supports_sdpa = True
    _no_split_modules = ["GPT2Block"]

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, FilmTokenGPT2Model):
            # With a silent head the model starts as its prior, and training adds to it.
            init.zeros_(module.rating_head.weight)
            init.zeros_(module.rating_head.bias)
            # So does the process: as the factor model has it.
            init.zeros_(module.process_head.weight)
            init.zeros_(module.process_head.bias)
            init.zeros_(module.kernel_scales)
            init.copy_(module.prior_weights, torch.tensor(PRIOR_WEIGHTS)[:, None] * torch.tensor([1.0, 0.0]))
            for _, table in module.named_buffers(recurse=False):
                init.zeros_(table)


class FilmTokenGPT2Model(FilmTokenGPT2PreTrainedModel):
    r"""
    Predicts every rating of a history from the films and ratings before it, in one causal pass.

    The token at step `t` is the sum of film `t` (its features, a learned embedding, its factors and rating
    statistics), of the event before it (film and rating `t-1`) and of what the ratings before it say of the user. The
    logits are a prior and what the transformer adds to it, which is zero before training, so that an untrained model
    is a fair baseline. The prior pools three opinions: the film's histogram, a Gaussian process over films
    (see `taste_process`) that holds a belief about the user, and the user's habits, which ratings they give at all.

    Rating statistics and factors come from training users' ratings. A training user's own rating is one of them:
    `leave_one_out=True` takes it out of every statistic the model reads, and `film_factors` are then factors that the
    user had no part in; both belong to training and nowhere else.
    """

    film_features: torch.Tensor
    rating_histogram: torch.Tensor
    film_factors: torch.Tensor
    feature_weights: torch.Tensor
    content_weights: torch.Tensor

    def __init__(self, config: FilmTokenGPT2Config):
        super().__init__(config)
        width = config.hidden_size
        self.register_buffer("film_features", torch.zeros(config.num_films, config.num_features))
        self.register_buffer("rating_histogram", torch.zeros(config.num_films, NUM_RATINGS))
        # Intercept (1..10), loadings, choices and noise variance of every film, and their guess from features (the
        # first row is the constant's).
        self.factor_widths = [1, config.factor_size, config.factor_size, 1]
        self.register_buffer("film_factors", torch.zeros(config.num_films, sum(self.factor_widths)))
        self.register_buffer("feature_weights", torch.zeros(config.num_features + 1, sum(self.factor_widths)))
        # Features in fewer dimensions: what they say of a film's place among others.
        self.register_buffer("content_weights", torch.zeros(config.num_features + 1, config.content_size))

        self.feature_projection = nn.Linear(config.num_features, width)
        self.film_embedding = nn.Embedding(config.num_films, width)
        self.statistics_projection = nn.Linear(NUM_RATINGS + config.factor_size + 4, width)
        # The event before: its film, its film scaled by how far the rating was from what was expected of an average
        # user and of this one, and the rating itself; row 0 is the start of a history.
        self.event_projection = nn.Linear(3 * width, width, bias=False)
        self.event_rating = nn.Embedding(NUM_RATINGS + 1, width)
        self.user_projection = nn.Linear(NUM_RATINGS + config.factor_size + 4, width)

        # What a film's content adds to what the factor model has of it: to its intercept, loadings, choices and place,
        # and to the logs of its noise variance and of how strong its likings are.
        size = config.factor_size
        self.process_widths = [1, size, size, size + config.content_size, 1, 1]
        self.process_head = nn.Linear(width, sum(self.process_widths))
        self.kernel_scales = nn.Parameter(torch.zeros(2))  # logs, of variance and reach

        self.transformer = GPT2Model(config.gpt2_config())
        self.transformer.wpe = NoPositions()  # type: ignore[assignment]
        self.transformer.wte = nn.Identity()  # type: ignore[assignment]
        self.rating_head = nn.Linear(width, NUM_RATINGS)
        # Of the prior's three opinions: constants, and slopes in the log of the history's length.
        self.prior_weights = nn.Parameter(torch.zeros(3, 2))
        self.post_init()

    @torch.no_grad()
    def set_film_tables(
        self,
        film_features: torch.Tensor,
        rating_histogram: torch.Tensor,
        film_factors: torch.Tensor,
        feature_weights: torch.Tensor,
        content_weights: torch.Tensor,
    ) -> None:
        """
        Fill in what is known of the films before training.

        Args:
            film_features (`torch.Tensor` of shape `(num_films, num_features)`): scaled features, about unit variance.
            rating_histogram (`torch.Tensor` of shape `(num_films, 10)`): how often training users gave each rating.
            film_factors (`torch.Tensor` of shape `(num_films, 2 * factor_size + 2)`): of a factor model of their
                ratings the intercept on the 1..10 scale, the loadings, what having chosen the film tells of a taste,
                and the noise variance.
            feature_weights (`torch.Tensor` of shape `(num_features + 1, 2 * factor_size + 2)`): what the constant and
                the features say of the same for films without ratings.
            content_weights (`torch.Tensor` of shape `(num_features + 1, content_size)`): what the constant and the
                features say of a film's place among others.
        """
        self.film_features.copy_(film_features)
        self.rating_histogram.copy_(rating_histogram)
        self.film_factors.copy_(film_factors)
        self.feature_weights.copy_(feature_weights)
        self.content_weights.copy_(content_weights)
        counts = rating_histogram.sum(0)
        self.config.mean_rating = float((counts * self._ratings()).sum() / counts.sum().clamp(min=1))

    @torch.no_grad()
    def add_films(self, film_features: torch.Tensor) -> None:
        """
        Append films that nobody has rated: rows `num_films` and on of every table of films.

        Args:
            film_features (`torch.Tensor` of shape `(films, num_features)`): as in `set_film_tables`.
        """
        added, film_features = len(film_features), film_features.to(self.film_features)
        self.film_features = torch.cat([self.film_features, film_features])
        guesses = self.feature_weights[0] + film_features @ self.feature_weights[1:]
        self.film_factors = torch.cat([self.film_factors, guesses])
        self.rating_histogram = F.pad(self.rating_histogram, (0, 0, 0, added))
        # Without ratings an embedding counts for nothing, whatever it is.
        self.film_embedding = nn.Embedding.from_pretrained(
            F.pad(self.film_embedding.weight, (0, 0, 0, added)), freeze=False
        )
        self.config.num_films += added

    @property
    def kernel(self) -> Kernel:
        """The covariance of likings."""
        variance, reach = self.kernel_scales.exp()
        return Kernel(self.config.liking_variance * variance, self.config.liking_reach * reach)

    def _ratings(self) -> torch.Tensor:
        return torch.arange(1, NUM_RATINGS + 1, device=self.film_features.device, dtype=self.film_features.dtype)

    def _overall_shares(self) -> torch.Tensor:
        """How often everyone gives each rating: `(10,)`, none of them zero."""
        overall = self.rating_histogram.sum(0)
        return overall / overall.sum().clamp(min=1) + 1e-3

    def _films(
        self,
        film_ids: torch.Tensor,
        own_ratings: torch.Tensor | None = None,
        factors: torch.Tensor | None = None,
        with_tokens: bool = True,
    ) -> Films:
        """
        What is known of `film_ids` (-1 is padding); `own_ratings` (same shape, 1..10) are taken out of the statistics,
        `factors` (..., 2 * factor_size + 2) are in the place of the model's own. Without tokens, those are zero-wide.
        """
        distinct, positions = film_ids.clamp(min=0).unique(return_inverse=True)
        known = torch.ones_like(self.film_factors[distinct, 0])
        if self.training and self.config.film_dropout:
            known = (torch.rand_like(known) >= self.config.film_dropout).to(known.dtype)

        factors = F.embedding(positions, self.film_factors[distinct]) if factors is None else factors
        if not known.all():
            guesses = self.feature_weights[0] + self.film_features[distinct] @ self.feature_weights[1:]
            factors = torch.where(known[positions][..., None] > 0, factors, F.embedding(positions, guesses))
        # What is said of films' content is computed once per distinct film, not once per rating.
        content = self._content(distinct, known, own_ratings is not None)
        intercepts, process = self._process(film_ids, distinct, positions, factors, content)

        histogram = F.embedding(positions, self.rating_histogram[distinct])
        if own_ratings is not None:
            histogram = (histogram - F.one_hot(own_ratings.clamp(min=1) - 1, NUM_RATINGS)).clamp(min=0)
        histogram = histogram * known[positions][..., None]
        counts = histogram.sum(-1, keepdim=True)
        overall = self._overall_shares()
        log_shares = ((histogram + HISTOGRAM_SMOOTHING * overall) / (counts + HISTOGRAM_SMOOTHING)).log()

        tokens = histogram.new_empty(*film_ids.shape, 0)
        if with_tokens:
            mean, shrinkage = self.config.mean_rating, self.config.film_shrinkage
            means = ((histogram @ self._ratings())[..., None] + shrinkage * mean) / (counts + shrinkage)
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
        return Films(tokens, log_shares, intercepts, process)

    def _process(
        self,
        film_ids: torch.Tensor,
        distinct: torch.Tensor,
        positions: torch.Tensor,
        factors: torch.Tensor,
        content: torch.Tensor,
    ) -> tuple[torch.Tensor, ProcessFilms]:
        """
        Films as the process has them, and their intercepts (...): by their `factors` (..., 2 * factor_size + 2) and by
        what training has made of their content. `film_ids` is `distinct[positions]`, or -1; `content` (distinct,
        hidden_size).
        """
        precision = self.film_features.dtype  # whatever autocast makes of the rest: Cholesky factors need it
        with self._without_autocast():
            corrections = F.embedding(positions, self.process_head(content.to(precision)))
            raised, turned, told, moved, louder, stronger = corrections.split(self.process_widths, dim=-1)
            intercepts, loadings, choices, noise = factors.to(precision).split(self.factor_widths, dim=-1)
            features = self.content_weights[0] + self.film_features[distinct] @ self.content_weights[1:]
            features = CONTENT_WEIGHT * F.embedding(positions, F.normalize(features, dim=-1))
            places = F.normalize(torch.cat([F.normalize(loadings, dim=-1), features], dim=-1), dim=-1)
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

    def _content(self, film_ids: torch.Tensor, known: torch.Tensor, leave_one_out: bool) -> torch.Tensor:
        """
        What features and training say a film is like: `(films, hidden_size)`. A film's own embedding counts as far as
        training ratings speak for it; with few of them, the film is what its features say. `known` (films) is 0 for
        films read as new.
        """
        counts = (self.rating_histogram[film_ids].sum(-1) - int(leave_one_out)).clamp(min=0)
        trust = known * counts / (counts + self.config.embedding_shrinkage)
        return self.feature_projection(self.film_features[film_ids]) + trust[:, None] * self.film_embedding(film_ids)

    @torch.no_grad()
    def film_vectors(self) -> torch.Tensor:
        """The film space: what features and training say of every film's content, `(num_films, hidden_size)`."""
        everything = torch.arange(self.config.num_films, device=self.film_features.device)
        return self._content(everything, torch.ones_like(self.film_features[:, 0]), leave_one_out=False)

    def _events(self, films: Films, ratings: torch.Tensor, expected: Expectation) -> torch.Tensor:
        """Films that were rated, with their ratings, as the part of the next token that tells of them: (...,
        hidden_size)."""
        tokens = films.tokens
        residuals = [(ratings - means)[..., None] / 2 for means in (films.intercepts, expected.means)]
        read = torch.cat([tokens, *(tokens * residual for residual in residuals)], dim=-1)
        return self.event_projection(read) + self.event_rating(ratings)

    def _user_states(self, sums: torch.Tensor, tastes: torch.Tensor, last_event: torch.Tensor) -> UserState:
        """States from `sums` (..., 12): how many ratings, the squares of their surprises, how many of each rating."""
        counts, squares, usage = sums.split([1, 1, NUM_RATINGS], dim=-1)
        overall = self._overall_shares()
        habits = ((usage + USER_SHRINKAGE * overall) / (counts + USER_SHRINKAGE)).log() - overall.log()
        scales = ((squares + USER_SHRINKAGE) / (counts + USER_SHRINKAGE)).sqrt()
        return UserState(counts[..., 0], tastes, scales[..., 0], habits, last_event)

    def _read(self, films: Films, ratings: torch.Tensor) -> tuple[Expectation, UserState, Reading, torch.Tensor]:
        """
        What was expected of each rating of a history, the state before each and after the last `(batch, length + 1)`,
        what the process read, and, after the last, the sums `(batch, 12)`. Ratings of 0 are padding on the right;
        what follows the end of a history repeats its last state.
        """
        real = films.process.real
        with self._without_autocast():
            reading = read_ratings(films.process, (ratings - films.intercepts) * real, self.kernel)
            expected = Expectation(films.intercepts + reading.means, reading.variances)
            usage = F.one_hot((ratings - 1).clamp(min=0), NUM_RATINGS)
            sums = torch.cat([torch.ones_like(real)[..., None], reading.surprises.square()[..., None], usage], dim=-1)
            sums = F.pad((sums * real[..., None]).cumsum(1), (0, 0, 1, 0))
        start = self.event_rating.weight[0].expand(len(ratings), 1, -1)
        events = torch.cat([start, self._events(films, ratings, expected)], dim=1)
        return expected, self._user_states(sums, reading.tastes, events), reading, sums[:, -1]

    def _inputs(self, films: Films, users: UserState, expected: Expectation) -> torch.Tensor:
        numbers = [
            expected.means - self.config.mean_rating,
            expected.variances.sqrt() - 1.5,
            users.scales - 1,
            users.counts.log1p() / 3 - 1,
        ]
        places = torch.broadcast_shapes(*(number.shape for number in numbers))
        parts = [*(number[..., None] for number in numbers), users.tastes, users.habits]
        known = torch.cat([part.expand(*places, -1) for part in parts], dim=-1)
        return films.tokens + users.last_event + self.user_projection(known)

    def _prior_logits(self, films: Films, users: UserState, expected: Expectation) -> torch.Tensor:
        weights = self.prior_weights[:, 0] + self.prior_weights[:, 1] * users.counts[..., None].log1p() / 3
        histogram, factors, habits = weights[..., :1].exp(), weights[..., 1:2].exp(), weights[..., 2:]
        deviations = self._ratings() - expected.means[..., None]
        variances = (expected.variances * users.scales.square())[..., None]
        prior = histogram * films.log_shares - factors * deviations.square() / (2 * variances) + habits * users.habits
        # The opinions give the distribution its shape; the factor model knows its mean best. Newton's method, tilting
        # the distribution until it has that mean.
        wanted = expected.means.clamp(1 + MARGIN, NUM_RATINGS - MARGIN)
        for _ in range(TILTS):
            shares = prior.softmax(-1)
            means = shares @ self._ratings()
            deviations = self._ratings() - means[..., None]
            variances = (shares * deviations.square()).sum(-1).clamp(min=MARGIN)
            prior = prior + ((wanted - means) / variances)[..., None] * deviations
        return prior

    def forward(
        self,
        film_ids: torch.Tensor,
        ratings: torch.Tensor,
        leave_one_out: bool = False,
        film_factors: torch.Tensor | None = None,
    ) -> FilmTokenGPT2Output:
        """
        Args:
            film_ids (`torch.Tensor` of shape `(batch, length)`): catalogue rows in the order of the history; -1 is
                padding, on the right.
            ratings (`torch.Tensor` of shape `(batch, length)`): 1..10; 0 is padding.
            leave_one_out (`bool`): whether these ratings are among the model's own statistics, as training users' are.
            film_factors (`torch.Tensor` of shape `(batch, length, 2 * factor_size + 2)`, *optional*): the films'
                factors as they are without these users' ratings, in the place of the model's own.
        """
        films = self._films(film_ids, ratings if leave_one_out else None, film_factors)
        expected, users, _, _ = self._read(films, ratings)
        users = UserState(*(state[:, :-1] for state in users))
        # No attention mask: padding is on the right, where a causal model cannot see it.
        inputs = self._inputs(films, users, expected)
        hidden = self.transformer(inputs_embeds=inputs, use_cache=False).last_hidden_state
        rating_logits = self._prior_logits(films, users, expected) + self.rating_head(hidden)
        return FilmTokenGPT2Output(rating_logits, rating_logits.softmax(-1) @ self._ratings())

    # -- predicting

    @torch.no_grad()
    def predict(
        self,
        history_films: torch.Tensor,
        history_ratings: torch.Tensor,
        candidate_films: torch.Tensor,
        candidates_at_once: int = 2048,
    ) -> torch.Tensor:
        """
        Probabilities of the ratings 1..10 for candidate films, each as if it came next after the whole history.

        A history is encoded once; its candidates read its keys and values and themselves, never one another.

        Args:
            history_films (`torch.Tensor` of shape `(batch, length)`): catalogue rows, -1 is padding on the right.
            history_ratings (`torch.Tensor` of shape `(batch, length)`): 1..10, 0 is padding.
            candidate_films (`torch.Tensor` of shape `(batch, candidates)`): catalogue rows; -1 is padding.
            candidates_at_once (`int`): candidates scored together over the whole batch; bounds the memory.

        Returns:
            `torch.FloatTensor` of shape `(batch, candidates, 10)`.
        """
        return self.score(self.read(history_films, history_ratings), candidate_films, candidates_at_once)

    @torch.no_grad()
    def read(self, history_films: torch.Tensor, history_ratings: torch.Tensor) -> Memory:
        """Read histories, shaped as in `predict`, once and for all: `score` and `glance` predict from what is kept."""
        films = self._films(history_films)
        expected, users, reading, sums = self._read(films, history_ratings)
        lengths = (history_ratings > 0).sum(1)
        rows = torch.arange(len(lengths), device=lengths.device)
        before, after = (UserState(*(state[:, part] for state in users)) for part in (slice(-1), slice(-1, None)))
        after = after._replace(last_event=users.last_event[rows, lengths][:, None])
        keys_and_values = []
        if history_films.shape[1]:
            cache = self.transformer(
                inputs_embeds=self._inputs(films, before, expected), use_cache=True
            ).past_key_values
            keys_and_values = [(layer.keys, layer.values) for layer in cache.layers]
        padding = torch.arange(history_films.shape[1], device=lengths.device) >= lengths[:, None]
        return Memory(keys_and_values, padding, after, reading.belief(films.process), sums)

    @torch.no_grad()
    def read_on(self, memory: Memory, film_ids: torch.Tensor, ratings: torch.Tensor) -> Memory:
        """
        Add one rating to each history; nothing that was read before is read again.

        Args:
            memory (`Memory`): of `batch` histories; it is not changed.
            film_ids (`torch.Tensor` of shape `(batch,)`): catalogue rows.
            ratings (`torch.Tensor` of shape `(batch,)`): 1..10.
        """
        films, ratings = self._films(film_ids[:, None]), ratings[:, None]
        expected = self._expect(memory.belief, films)
        _, added = self._attend_to_memory(self._inputs(films, memory.users, expected), memory)
        if memory.keys_and_values:
            added = [
                (torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2))
                for (keys, values), (key, value) in zip(memory.keys_and_values, added, strict=True)
            ]
        padding = torch.cat([memory.padding, torch.zeros_like(ratings, dtype=torch.bool)], dim=1)
        with self._without_autocast():
            belief = add_rating(memory.belief, films.process, ratings - films.intercepts, self.kernel)
        surprises = (ratings - expected.means) / expected.variances.sqrt()
        usage = F.one_hot(ratings[:, 0] - 1, NUM_RATINGS)
        sums = memory.sums + torch.cat([torch.ones_like(surprises), surprises.square(), usage], dim=-1)
        events = self._events(films, ratings, expected)
        users = self._user_states(sums[:, None], belief.taste()[:, None], events)
        return Memory(added, padding, users, belief, sums)

    @torch.no_grad()
    def catalogue(self, films_at_once: int = 16384) -> Films:
        """
        What the model knows of every film, `(num_films, ...)`, with its weights as they are now. With it, `score` and
        `glance` need not work out again for every person what is the same for all.
        """
        chunks = torch.arange(self.config.num_films, device=self.device).split(films_at_once)
        films = [self._films(chunk) for chunk in chunks]
        return Films(
            tokens=torch.cat([part.tokens for part in films]),
            log_shares=torch.cat([part.log_shares for part in films]),
            intercepts=torch.cat([part.intercepts for part in films]),
            process=ProcessFilms(*map(torch.cat, zip(*(part.process for part in films), strict=True))),
        )

    @torch.no_grad()
    def score(
        self,
        memory: Memory,
        candidate_films: torch.Tensor,
        candidates_at_once: int = 1024,
        catalogue: Films | None = None,
    ) -> torch.Tensor:
        """What `predict` returns, of histories that have been read; `catalogue` is what that method returns."""
        probabilities = []
        for chunk in candidate_films.split(max(1, candidates_at_once // len(candidate_films)), dim=1):
            films = self._films(chunk) if catalogue is None else catalogue.at(chunk)
            expected = self._expect(memory.belief, films)
            hidden, _ = self._attend_to_memory(self._inputs(films, memory.users, expected), memory)
            rating_logits = self._prior_logits(films, memory.users, expected) + self.rating_head(hidden)
            probabilities.append(rating_logits.softmax(-1))
        return torch.cat(probabilities, dim=1)

    @torch.no_grad()
    def glance(
        self,
        memory: Memory,
        candidate_films: torch.Tensor,
        candidates_at_once: int = 2048,
        catalogue: Films | None = None,
    ) -> torch.Tensor:
        """What `score` returns, by the prior alone: in a fraction of the time, and good enough to choose which of a
        catalogue's films are worth scoring."""
        probabilities = []
        for chunk in candidate_films.split(max(1, candidates_at_once // len(candidate_films)), dim=1):
            films = self._films(chunk, with_tokens=False) if catalogue is None else catalogue.at(chunk)
            expected = self._expect(memory.belief, films)
            probabilities.append(self._prior_logits(films, memory.users, expected).softmax(-1))
        return torch.cat(probabilities, dim=1)

    def _expect(self, belief: Belief, films: Films) -> Expectation:
        with self._without_autocast():
            means, variances = expect(belief, films.process, self.kernel)
        return Expectation(films.intercepts + means, variances)

    def _without_autocast(self) -> torch.autocast:
        """Where the process computes."""
        return torch.autocast(self.device.type, enabled=False)

    def _attend_to_memory(
        self, hidden: torch.Tensor, memory: Memory
    ) -> tuple[torch.Tensor, list[tuple[torch.Tensor, torch.Tensor]]]:
        """
        GPT-2's blocks for positions that all come right after the same histories: hidden states `(batch, candidates,
        hidden_size)`, and the positions' own keys and values.

        The memory is read where it is, not copied once per candidate.
        """
        batch, candidates, width = hidden.shape
        heads = self.config.num_attention_heads
        padded = bool(memory.padding.any())
        own = []
        for index, block in enumerate(cast(Any, self.transformer.h)):
            query, key, value = (
                part.view(batch, candidates, heads, -1).transpose(1, 2)
                for part in block.attn.c_attn(block.ln_1(hidden)).split(width, dim=-1)
            )
            own.append((key, value))
            query = query * block.attn.scaling
            scores = (query * key).sum(-1, keepdim=True)
            mixed = value
            if memory.keys_and_values:
                # A softmax over the memory and the position itself, in place: scores of a memory are many.
                keys, values = memory.keys_and_values[index]
                prefix = query @ keys.transpose(-1, -2)
                if padded:
                    prefix.masked_fill_(memory.padding[:, None, None], float("-inf"))
                highest = prefix.amax(-1, keepdim=True).maximum(scores)
                prefix, own_weight = prefix.sub_(highest).exp_(), (scores - highest).exp()
                mixed = (prefix @ values + own_weight * value) / (prefix.sum(-1, keepdim=True) + own_weight)
            hidden = hidden + block.attn.c_proj(mixed.transpose(1, 2).reshape(batch, candidates, width))
            hidden = hidden + block.mlp(block.ln_2(hidden))
        return self.transformer.ln_f(hidden), own


FilmTokenGPT2Config.register_for_auto_class()
FilmTokenGPT2Model.register_for_auto_class("AutoModel")
