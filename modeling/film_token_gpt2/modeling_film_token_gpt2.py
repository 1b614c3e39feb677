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

NUM_RATINGS = 10
# Pseudo-ratings of the overall rating distribution in a film's smoothed histogram.
HISTOGRAM_SMOOTHING = 10.0
# Standard deviation, in ratings, that a shrunk bias leaves unexplained: what a user's running spread starts from.
PRIOR_SPREAD = 1.6


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
    means: torch.Tensor  # (...), shrunk mean rating among training users, 1..10
    log_shares: torch.Tensor  # (..., 10), log of the smoothed shares of the ratings 1..10 among training users


class UserState(NamedTuple):
    """What a history says of its user at some positions: everything a prediction reads beside the transformer's
    cache."""

    counts: torch.Tensor  # (...), ratings seen so far
    bias: torch.Tensor  # (...), shrunk mean of (rating - film mean)
    spread: torch.Tensor  # (...), shrunk root mean square of the same residuals, in ratings
    last_event: torch.Tensor  # (..., hidden_size), the film seen last with its rating


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
            init.zeros_(module.prior_weights)
            init.zeros_(module.film_features)
            init.zeros_(module.rating_histogram)


class FilmTokenGPT2Model(FilmTokenGPT2PreTrainedModel):
    r"""
    Predicts every rating of a history from the films and ratings before it, in one causal pass.

    The token at step `t` is the sum of film `t` (its features, a learned embedding, its rating statistics), of the
    event before it (film and rating `t-1`) and of the user's running bias and spread. The logits are a prior and what
    the transformer adds to it. The prior is the film's histogram tilted by the user's shrunk bias; the transformer's
    part is zero before training, so that an untrained model is a fair baseline.

    Rating statistics come from `rating_histogram`, the training users' ratings. A training user's own rating is one of
    them: `leave_one_out=True` takes it out of every statistic the model reads; it belongs to training and nowhere
    else.
    """

    film_features: torch.Tensor
    rating_histogram: torch.Tensor

    def __init__(self, config: FilmTokenGPT2Config):
        super().__init__(config)
        width = config.hidden_size
        self.register_buffer("film_features", torch.zeros(config.num_films, config.num_features))
        self.register_buffer("rating_histogram", torch.zeros(config.num_films, NUM_RATINGS))

        self.feature_projection = nn.Linear(config.num_features, width)
        self.film_embedding = nn.Embedding(config.num_films, width)
        self.statistics_projection = nn.Linear(NUM_RATINGS + 2, width)
        # The event before: its film, its film scaled by how far the rating was from the film's mean (what matrix
        # factorisation sums up of a user), and the rating itself; row 0 is the start of a history.
        self.event_projection = nn.Linear(2 * width, width, bias=False)
        self.event_rating = nn.Embedding(NUM_RATINGS + 1, width)
        self.user_projection = nn.Linear(3, width)

        self.transformer = GPT2Model(config.gpt2_config())
        self.transformer.wpe = NoPositions()  # type: ignore[assignment]
        self.transformer.wte = nn.Identity()  # type: ignore[assignment]
        self.rating_head = nn.Linear(width, NUM_RATINGS)
        # Logs of the weights of a film's histogram and of the user's bias in the prior: constants, and slopes in the
        # log of the history's length.
        self.prior_weights = nn.Parameter(torch.zeros(2, 2))
        self.post_init()

    @torch.no_grad()
    def set_film_tables(self, film_features: torch.Tensor, rating_histogram: torch.Tensor) -> None:
        """
        Fill in what is known of the films before training.

        Args:
            film_features (`torch.Tensor` of shape `(num_films, num_features)`): scaled features, about unit variance.
            rating_histogram (`torch.Tensor` of shape `(num_films, 10)`): how often training users gave each rating.
        """
        self.film_features.copy_(film_features)
        self.rating_histogram.copy_(rating_histogram)
        counts = rating_histogram.sum(0)
        self.config.mean_rating = float((counts * self._ratings()).sum() / counts.sum().clamp(min=1))

    @torch.no_grad()
    def add_films(self, film_features: torch.Tensor) -> None:
        """
        Append films that nobody has rated: rows `num_films` and on of every table of films.

        Args:
            film_features (`torch.Tensor` of shape `(films, num_features)`): as in `set_film_tables`.
        """
        added = len(film_features)
        self.film_features = torch.cat([self.film_features, film_features.to(self.film_features)])
        self.rating_histogram = F.pad(self.rating_histogram, (0, 0, 0, added))
        # Without ratings an embedding counts for nothing, whatever it is.
        self.film_embedding = nn.Embedding.from_pretrained(
            F.pad(self.film_embedding.weight, (0, 0, 0, added)), freeze=False
        )
        self.config.num_films += added

    def _ratings(self) -> torch.Tensor:
        return torch.arange(1, NUM_RATINGS + 1, device=self.film_features.device, dtype=self.film_features.dtype)

    def _films(self, film_ids: torch.Tensor, own_ratings: torch.Tensor | None = None) -> Films:
        """Tokens and means of `film_ids`; `own_ratings` (same shape, 1..10) are taken out of the statistics."""
        film_ids = film_ids.clamp(min=0)
        distinct, positions = film_ids.unique(return_inverse=True)
        histogram = self.rating_histogram[distinct]
        known = torch.ones_like(histogram[:, 0])
        if self.training and self.config.film_dropout:
            known = (torch.rand_like(known) >= self.config.film_dropout).to(known.dtype)
        content = self._content(
            distinct, known, own_ratings is not None
        )  # once per distinct film, not once per rating

        overall = self.rating_histogram.sum(0)
        overall = overall / overall.sum().clamp(min=1) + 1e-3
        histogram = F.embedding(positions, histogram)
        if own_ratings is not None:
            histogram = (histogram - F.one_hot(own_ratings.clamp(min=1) - 1, NUM_RATINGS)).clamp(min=0)
        histogram = histogram * known[positions][..., None]
        counts = histogram.sum(-1)
        mean = self.config.mean_rating
        shrinkage = self.config.film_shrinkage
        means = ((histogram * self._ratings()).sum(-1) + shrinkage * mean) / (counts + shrinkage)
        shares = (histogram + HISTOGRAM_SMOOTHING * overall) / (counts + HISTOGRAM_SMOOTHING)[..., None]
        log_shares = shares.log()
        statistics = torch.cat(
            [log_shares - overall.log(), (means - mean)[..., None], counts.log1p()[..., None] / 5 - 1], dim=-1
        )
        return Films(F.embedding(positions, content) + self.statistics_projection(statistics), means, log_shares)

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

    def _events(self, films: Films, ratings: torch.Tensor) -> torch.Tensor:
        """Films that were rated, with their ratings, as the part of the next token that tells of them: (...,
        hidden_size)."""
        residuals = (ratings - films.means)[..., None] / 2
        return self.event_projection(torch.cat([films.tokens, films.tokens * residuals], -1)) + self.event_rating(
            ratings
        )

    def _user_states(self, films: Films, ratings: torch.Tensor) -> UserState:
        """
        The state before each position of a history and after its end: `(batch, length + 1)` each. Ratings of 0 are
        padding on the right; what follows the end of a history repeats its last state.
        """
        real = (ratings > 0).to(films.means.dtype)
        residuals = (ratings - films.means) * real
        sums = torch.stack([real, residuals, residuals.square()]).cumsum(-1)
        counts, totals, squares = F.pad(sums, (1, 0))
        bias = totals / (counts + self.config.user_shrinkage)
        spread = (
            (squares + PRIOR_SPREAD**2 * self.config.user_shrinkage) / (counts + self.config.user_shrinkage)
        ).sqrt()
        start = self.event_rating.weight[0].expand(len(ratings), 1, -1)
        return UserState(counts, bias, spread, torch.cat([start, self._events(films, ratings)], dim=1))

    def _inputs(self, films: Films, users: UserState) -> torch.Tensor:
        numbers = torch.stack([users.bias, users.spread - PRIOR_SPREAD, users.counts.log1p() / 3 - 1], dim=-1)
        return films.tokens + users.last_event + self.user_projection(numbers)

    def _rating_logits(self, hidden: torch.Tensor, films: Films, users: UserState) -> torch.Tensor:
        # A film's histogram tilted by the user's bias: exp(bias / variance * rating) moves a Gaussian's mean by the
        # bias.
        deviations = self._ratings() - films.means[..., None]
        variance = (films.log_shares.exp() * deviations.square()).sum(-1)
        sharpness, tilt = (
            (self.prior_weights[0] + self.prior_weights[1] * users.counts.log1p()[..., None]).exp().unbind(-1)
        )
        prior = sharpness[..., None] * films.log_shares + (tilt * users.bias / variance)[..., None] * deviations
        return self.rating_head(hidden) + prior

    def forward(
        self, film_ids: torch.Tensor, ratings: torch.Tensor, leave_one_out: bool = False
    ) -> FilmTokenGPT2Output:
        """
        Args:
            film_ids (`torch.Tensor` of shape `(batch, length)`): catalogue rows in the order of the history; -1 is
                padding, on the right.
            ratings (`torch.Tensor` of shape `(batch, length)`): 1..10; 0 is padding.
            leave_one_out (`bool`): whether these ratings are among the model's own statistics, as training users' are.
        """
        films = self._films(film_ids, ratings if leave_one_out else None)
        users = self._user_states(films, ratings)
        users = UserState(*(state[:, :-1] for state in users))
        # No attention mask: padding is on the right, where a causal model cannot see it.
        hidden = self.transformer(inputs_embeds=self._inputs(films, users), use_cache=False).last_hidden_state
        rating_logits = self._rating_logits(hidden, films, users)
        return FilmTokenGPT2Output(rating_logits, rating_logits.softmax(-1) @ self._ratings())

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
        films = self._films(history_films)
        users = self._user_states(films, history_ratings)
        before = UserState(*(state[:, :-1] for state in users))
        after = UserState(*(state[:, -1:] for state in users))
        lengths = (history_ratings > 0).sum(1)
        last = users.last_event[torch.arange(len(lengths), device=lengths.device), lengths]
        after = after._replace(last_event=last[:, None])
        cache = None
        if history_films.shape[1]:
            cache = self.transformer(inputs_embeds=self._inputs(films, before), use_cache=True).past_key_values
        padding = torch.arange(history_films.shape[1], device=lengths.device) >= lengths[:, None]

        probabilities = []
        for chunk in candidate_films.split(max(1, candidates_at_once // len(candidate_films)), dim=1):
            candidates = self._films(chunk)
            hidden = self._attend_to_cache(self._inputs(candidates, after), cache, padding)
            probabilities.append(self._rating_logits(hidden, candidates, after).softmax(-1))
        return torch.cat(probabilities, dim=1)

    def _attend_to_cache(self, hidden: torch.Tensor, cache, padding: torch.Tensor) -> torch.Tensor:
        """
        GPT-2's blocks for positions that all come right after the same cached prefix: `(batch, candidates,
        hidden_size)`.

        The cache is read where it is, not copied once per candidate. `padding` (batch, prefix) is True where it is
        empty.
        """
        batch, candidates, width = hidden.shape
        heads = self.config.num_attention_heads
        for index, block in enumerate(cast(Any, self.transformer.h)):
            query, key, value = (
                part.view(batch, candidates, heads, -1).transpose(1, 2)
                for part in block.attn.c_attn(block.ln_1(hidden)).split(width, dim=-1)
            )
            scores = (query * key).sum(-1, keepdim=True)
            if cache is not None:
                prefix = query @ cache.layers[index].keys.transpose(-1, -2)
                scores = torch.cat([prefix.masked_fill(padding[:, None, None], float("-inf")), scores], dim=-1)
            weights = (scores * block.attn.scaling).softmax(-1)
            mixed = weights[..., -1:] * value
            if cache is not None:
                mixed = mixed + weights[..., :-1] @ cache.layers[index].values
            hidden = hidden + block.attn.c_proj(mixed.transpose(1, 2).reshape(batch, candidates, width))
            hidden = hidden + block.mlp(block.ln_2(hidden))
        return self.transformer.ln_f(hidden)


FilmTokenGPT2Config.register_for_auto_class()
FilmTokenGPT2Model.register_for_auto_class("AutoModel")
