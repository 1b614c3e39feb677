"""GPT-2 over rating histories in which a whole film is one token."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import nn
from transformers import GPT2Model
from transformers import initialization as init
from transformers.utils import ModelOutput

from .causal_attention import NAME as CAUSAL_ATTENTION
from .configuration_film_token_gpt2 import FilmTokenGPT2Config
from .films import NUM_RATINGS, Films, FilmTables
from .own_scale import SIZE as OWN_SCALE_SIZE
from .own_scale import on_own_scale
from .taste_process import (
    Belief,
    Kernel,
    ProcessFilms,
    Reading,
    add_rating,
    covariance,
    expect,
    expect_at_a_glance,
    read_ratings,
)
from .user_tower import UserTower

# Ratings of prior weight in what is seen of a user's habits.
USER_SHRINKAGE = 10.0
# Logs of the prior's weights of a film's histogram and of the process, and its weight of the user's habits: where
# training begins.
PRIOR_WEIGHTS = (-0.6, -0.8, 0.4)
# Leanings are a quarter or so of what other inputs are.
LEANINGS_SCALE = 4.0
# Steps in which the prior gets its mean, and how far that stays from the ends of the scale.
TILTS, MARGIN = 2, 0.3


@dataclass
class FilmTokenGPT2Output(ModelOutput):
    """
    Args:
        rating_logits (`torch.FloatTensor` of shape `(batch, length, 10)`): scores of the ratings 1..10 at every
            position, each given the films and ratings before it and the position's own film.
        expected_rating (`torch.FloatTensor` of shape `(batch, length)`): mean of that distribution, 1..10.
        prior_logits (`torch.FloatTensor` of shape `(batch, length, 10)`): the scores of the prior alone.
        added_logits (`torch.FloatTensor` of shape `(batch, length, 3, 10)`): what the tower's opinion, the transformer
            and the tower's scores add to them, before it is restrained. Both are None in training.
    """

    rating_logits: torch.Tensor | None = None
    expected_rating: torch.Tensor | None = None
    prior_logits: torch.Tensor | None = None
    added_logits: torch.Tensor | None = None


class UserState(NamedTuple):
    """What a history says of its user at some positions: everything a prediction reads beside the transformer's
    cache."""

    counts: torch.Tensor  # (...), ratings seen so far
    tastes: torch.Tensor  # (..., factor_size), mean of what is believed of the user's taste
    scales: torch.Tensor  # (...), shrunk root mean square of the surprises so far, in standard deviations
    habits: torch.Tensor  # (..., 10), log of how often the user gives each rating, over how often everyone does
    tower: torch.Tensor  # (..., tower_size), what the ratings add up to
    last_event: torch.Tensor  # (..., hidden_size), the film seen last with its rating


class Expectation(NamedTuple):
    """What the process expects of ratings."""

    means: torch.Tensor  # (...), 1..10, not cut off at the ends
    variances: torch.Tensor  # (...)
    # (..., 10), shares of the ratings 1..10: what this person's ratings add to the film's histogram. They add to zero.
    leanings: torch.Tensor


class Memory(NamedTuple):
    """Histories that have been read: what predicting, and reading on, need of them."""

    keys_and_values: list[tuple[torch.Tensor, torch.Tensor]]  # of every block, (batch, heads, length, head size)
    padding: torch.Tensor  # (batch, length), True where the history has ended
    users: UserState  # after the history, (batch, 1, ...)
    belief: Belief
    sums: torch.Tensor  # (batch, 12 + tower_size), what `_user_states` sums up


def log_length(counts: torch.Tensor) -> torch.Tensor:
    """The log of how many ratings a history has, so that none are -1 and some twenty are 0."""
    return counts.log1p() / 3 - 1


class NoPositions(nn.Module):
    """In the place of GPT-2's position embeddings: an undated history is a set, and a set has no positions."""

    def forward(self, position_ids: torch.Tensor) -> torch.Tensor:
        return torch.zeros((), device=position_ids.device)


class FilmTokenGPT2Model(FilmTables):
    r"""
    Predicts every rating of a history from the films and ratings before it, in one causal pass.

    The token at step `t` is the sum of film `t` (its features, a learned embedding, its factors and rating
    statistics), of the event before it (film and rating `t-1`) and of what the ratings before it say of the user. The
    logits are a prior and what the transformer adds to it, which is zero before training, so that an untrained model
    is a fair baseline. The prior pools three opinions: the film's histogram, a Gaussian process over films
    (see `taste_process`) that holds a belief about the user, and the user's habits, which ratings they give at all.
    What the process says of each of the ten ratings is added to it, and read by the transformer, as is where the film
    lies on the scale that the user's own ratings make. Beside the transformer, what the ratings add up to meets the
    film, and has an expectation of its own that moves the prior's (see `user_tower`).
    """

    restraint: torch.Tensor
    opening: torch.Tensor

    # Models from before these count everything as in training, open with an average user, and know of no company.
    _keys_to_ignore_on_load_missing = [r"^restraint$", r"^opening$", r"^company_weights$"]
    _supports_sdpa = True
    _no_split_modules = ["GPT2Block"]

    def __init__(self, config: FilmTokenGPT2Config):
        super().__init__(config)
        width = config.hidden_size
        # The event before: its film, its film scaled by how far the rating was from what was expected of an average
        # user and of this one, and the rating itself; row 0 is the start of a history.
        self.event_projection = nn.Linear(3 * width, width, bias=False)
        self.event_rating = nn.Embedding(NUM_RATINGS + 1, width)
        self.user_projection = nn.Linear(5 + config.factor_size + 2 * NUM_RATINGS + OWN_SCALE_SIZE, width)
        self.kernel_scales = nn.Parameter(torch.zeros(2))  # logs, of variance and reach

        self.transformer = GPT2Model._from_config(config.gpt2_config(), attn_implementation=CAUSAL_ATTENTION)
        self.transformer.wpe = NoPositions()  # type: ignore[assignment]
        self.transformer.wte = nn.Identity()  # type: ignore[assignment]
        self.rating_head = nn.Linear(width, NUM_RATINGS)
        self.user_tower = UserTower(width, config.tower_size, NUM_RATINGS)
        self.tower_head = nn.Linear(config.tower_size, NUM_RATINGS, bias=False)
        self.leanings_head = nn.Linear(NUM_RATINGS, NUM_RATINGS, bias=False)
        # Of the prior's three opinions: what they count with no rating, and slopes in a third of the log of one more
        # than the history's length (which `log_length` centres, and saved models do not).
        self.prior_weights = nn.Parameter(torch.zeros(3, 2))
        # How much the tower's expectation counts beside the process's: after some twenty ratings, and a slope in the
        # log of the history's length.
        self.tower_weights = nn.Parameter(torch.zeros(2))
        # How much more than in training (below zero, less) the tower's opinion, the transformer and the tower's scores
        # count: constants, and slopes in the log of the history's length; see `restrained`.
        self.register_buffer("restraint", torch.zeros(3, 2))
        # How far what is expected of somebody who has rated nothing is moved to the film's mean; see `opened`.
        self.register_buffer("opening", torch.zeros(()))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, FilmTokenGPT2Model):
            # With silent heads the model starts as its prior, and training adds to it.
            init.zeros_(module.rating_head.weight)
            init.zeros_(module.rating_head.bias)
            init.zeros_(module.tower_head.weight)
            init.zeros_(module.tower_weights)
            init.zeros_(module.leanings_head.weight)
            init.zeros_(module.kernel_scales)  # the process starts with the config's kernel
            init.copy_(module.prior_weights, torch.tensor(PRIOR_WEIGHTS)[:, None] * torch.tensor([1.0, 0.0]))

    @property
    def kernel(self) -> Kernel:
        """The covariance of likings."""
        variance, reach = self.kernel_scales.exp()
        return Kernel(self.config.liking_variance * variance, self.config.liking_reach * reach)

    def _events(self, films: Films, ratings: torch.Tensor, expected: Expectation) -> tuple[torch.Tensor, torch.Tensor]:
        """Films that were rated, with their ratings: the part of the next token that tells of them `(...,
        hidden_size)`, and what they add to the user's tower `(..., tower_size)`."""
        tokens = films.tokens
        deviations, surprises = ((ratings - means) / 2 for means in (films.intercepts, expected.means))
        read = torch.cat([tokens, tokens * deviations[..., None], tokens * surprises[..., None]], dim=-1)
        to_tower = self.user_tower.events(read, films.to_tower, deviations, ratings)
        return self.event_projection(read) + self.event_rating(ratings), to_tower

    def _user_states(self, sums: torch.Tensor, tastes: torch.Tensor, last_event: torch.Tensor) -> UserState:
        """States from `sums` (..., 12 + tower_size): how many ratings, the squares of their surprises, how many of
        each rating, and what they add to the tower."""
        counts, squares, usage, to_tower = sums.split([1, 1, NUM_RATINGS, self.config.tower_size], dim=-1)
        overall = self._overall_shares()
        habits = ((usage + USER_SHRINKAGE * overall) / (counts + USER_SHRINKAGE)).log() - overall.log()
        scales = ((squares + USER_SHRINKAGE) / (counts + USER_SHRINKAGE)).sqrt()
        tower = F.dropout(self.user_tower(to_tower, counts[..., 0]), self.config.tower_dropout, self.training)
        return UserState(counts[..., 0], tastes, scales[..., 0], habits, tower, last_event)

    def _read(self, films: Films, ratings: torch.Tensor) -> tuple[Expectation, UserState, Reading, torch.Tensor]:
        """
        What was expected of each rating of a history, the state before each and after the last `(batch, length + 1)`,
        what the process read, and, after the last, the sums of `_user_states`. Ratings of 0 are padding on the right;
        what follows the end of a history repeats its last state.
        """
        real = films.process.real
        with self._without_autocast():
            usage = F.one_hot((ratings - 1).clamp(min=0), NUM_RATINGS)
            targets = self._targets(films, ratings, usage) * real[..., None]
            reading = read_ratings(films.process, targets, self.kernel)
            expected = self._expectation(films, reading.means, reading.variances)
        events, to_tower = self._events(films, ratings, expected)
        with self._without_autocast():
            sums = self._summands(reading.surprises, usage, to_tower) * real[..., None]
            sums = F.pad(sums.cumsum(1), (0, 0, 1, 0))
        start = self.event_rating.weight[0].expand(len(ratings), 1, -1)
        events = torch.cat([start, events], dim=1)
        return expected, self._user_states(sums, reading.tastes, events), reading, sums[:, -1]

    @staticmethod
    def _summands(surprises: torch.Tensor, usage: torch.Tensor, to_tower: torch.Tensor) -> torch.Tensor:
        """What ratings with these `surprises` (...), one-hot in `usage` (..., 10), add to `_user_states`' sums."""
        numbers = torch.stack([torch.ones_like(surprises), surprises.square()], dim=-1)
        return torch.cat([numbers, usage, to_tower.to(surprises.dtype)], dim=-1)

    @staticmethod
    def _targets(films: Films, ratings: torch.Tensor, usage: torch.Tensor) -> torch.Tensor:
        """
        What the process predicts, `(..., 11)`: ratings, and which of the ten they are, `usage` (..., 10), each less
        what the film itself says. Not everyone rates around a mean: somebody loves or hates, and nothing in between.
        """
        return torch.cat([(ratings - films.intercepts)[..., None], usage - films.shares], dim=-1)

    @staticmethod
    def _expectation(films: Films, means: torch.Tensor, variances: torch.Tensor) -> Expectation:
        """From the means `(..., 11)` of `_targets`."""
        return Expectation(films.intercepts + means[..., 0], variances, means[..., 1:])

    def _second_opinion(self, films: Films, users: UserState, expected: Expectation) -> torch.Tensor:
        """How far the tower's expectation is from the process's, in points of ten `(...)`; of films without ratings it
        has none."""
        deviations = self.user_tower.deviations(users.tower, films.vectors)
        return films.trust * (films.intercepts + deviations - expected.means)

    def _inputs(self, films: Films, users: UserState, expected: Expectation, opinion: torch.Tensor) -> torch.Tensor:
        numbers = [
            opinion,
            expected.means - self.config.mean_rating,
            expected.variances.sqrt() - 1.5,
            users.scales - 1,
            log_length(users.counts),
        ]
        places = torch.broadcast_shapes(*(number.shape for number in numbers))
        with self._without_autocast():
            usage = users.habits.exp() * self._overall_shares()  # smoothed
            own_scale = on_own_scale(usage, films.shares, expected.leanings, expected.means)
        parts = [*(number[..., None] for number in numbers), users.tastes, users.habits]
        parts += [LEANINGS_SCALE * expected.leanings, own_scale]
        known = torch.cat([part.expand(*places, -1) for part in parts], dim=-1)
        return films.tokens + users.last_event + self.user_projection(known)

    def _pool(self, films: Films, users: UserState, expected: Expectation) -> torch.Tensor:
        """The prior's three opinions: they give the distribution its shape."""
        weights = self.prior_weights[:, 0] + self.prior_weights[:, 1] * users.counts[..., None].log1p() / 3
        histogram, factors, habits = weights[..., :1].exp(), weights[..., 1:2].exp(), weights[..., 2:]
        deviations = self._ratings() - expected.means[..., None]
        variances = (expected.variances * users.scales.square())[..., None]
        return histogram * films.log_shares - factors * deviations.square() / (2 * variances) + habits * users.habits

    def _prior_logits(self, pool: torch.Tensor, means: torch.Tensor, leanings: torch.Tensor) -> torch.Tensor:
        """The process, and the tower beside it, know the mean of the distribution better than the `_pool` does, which
        is tilted by Newton's method until it has that mean; what the process says of each of the ten ratings,
        `_leaning_scores`, may then move it."""
        return self._tilted(pool, means.clamp(1 + MARGIN, NUM_RATINGS - MARGIN)) + leanings

    def _tilted(self, logits: torch.Tensor, means: torch.Tensor) -> torch.Tensor:
        """Scores `(..., 10)` of a distribution of this shape that has these `means` (...)."""
        for _ in range(TILTS):
            shares = logits.softmax(-1)
            before = self._mean_rating(shares)
            deviations = self._ratings() - before[..., None]
            variances = (shares * deviations.square()).sum(-1).clamp(min=MARGIN)
            logits = logits + ((means - before) / variances)[..., None] * deviations
        return logits

    def _leaning_scores(self, expected: Expectation) -> torch.Tensor:
        return self.leanings_head(LEANINGS_SCALE * expected.leanings)

    def _logits(
        self, films: Films, users: UserState, expected: Expectation, opinion: torch.Tensor, hidden: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """`rating_logits`, `prior_logits` and `added_logits` of a [`FilmTokenGPT2Output`]."""
        pool, leanings = self._pool(films, users, expected), self._leaning_scores(expected)
        heed = self.tower_weights[0] + self.tower_weights[1] * log_length(users.counts)
        moved = self._prior_logits(pool, expected.means + heed * opinion, leanings)
        by_transformer, by_tower = self.rating_head(hidden), self.tower_head(users.tower * films.vectors)
        if self.training:  # nothing is restrained yet, and a step need not wait for the prior alone
            return moved + by_transformer + by_tower, None, None
        prior = self._prior_logits(pool, expected.means, leanings)
        added = torch.stack([moved - prior, by_transformer, by_tower], dim=-2)
        rating_logits = prior + self.restrained(added, users.counts)
        return self.opened(rating_logits, films, users.counts), prior, added

    def restrained(self, added_logits: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """
        What has been learned predicts the people it was learned from better than anybody else, so by itself it cannot
        tell how much to trust it: `restraint` is fitted afterwards, to people who were not there.

        Args:
            added_logits (`torch.Tensor` of shape `(..., 3, 10)`): as in [`FilmTokenGPT2Output`].
            counts (`torch.Tensor` of shape `(...)`): ratings known.

        Returns:
            `torch.Tensor` of shape `(..., 10)`: what is added to the prior.
        """
        weights = 1 + self.restraint[:, 0] + self.restraint[:, 1] * log_length(counts)[..., None]
        return (weights.clamp(min=0)[..., None] * added_logits).sum(-2)

    def opened(self, rating_logits: torch.Tensor, films: Films, counts: torch.Tensor) -> torch.Tensor:
        """
        An average rating of a film is no average user's: many are by people who rate much, and are hard to please.
        Nothing is known of somebody who has rated nothing, so their distribution is moved towards the film's mean,
        `opening` of the way, or less of a film whose ratings are few (`Films.trust`). It is fitted as `restraint` is;
        one rating tells more of a user.

        Args:
            rating_logits (`torch.Tensor` of shape `(..., 10)`): scores of the ratings.
            films (`Films`): the films that are to be rated.
            counts (`torch.Tensor`): ratings known, of a shape that broadcasts to that of `films`.
        """
        unknown = counts == 0
        if not unknown.any():
            return rating_logits
        means = self._mean_rating(rating_logits.softmax(-1))
        moved = means + self.opening * films.trust * (self._mean_rating(films.shares) - means)
        return torch.where(unknown[..., None], self._tilted(rating_logits, moved), rating_logits)

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
        opinion = self._second_opinion(films, users, expected)
        inputs = self._inputs(films, users, expected, opinion)
        hidden = self.transformer(inputs_embeds=inputs, use_cache=False).last_hidden_state
        rating_logits, prior, added = self._logits(films, users, expected, opinion, hidden)
        return FilmTokenGPT2Output(rating_logits, self._mean_rating(rating_logits.softmax(-1)), prior, added)

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
            inputs = self._inputs(films, before, expected, self._second_opinion(films, before, expected))
            cache = self.transformer(inputs_embeds=inputs, use_cache=True).past_key_values
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
        opinion = self._second_opinion(films, memory.users, expected)
        _, added = self._attend_to_memory(self._inputs(films, memory.users, expected, opinion), memory)
        if memory.keys_and_values:
            added = [
                (torch.cat([keys, key], dim=2), torch.cat([values, value], dim=2))
                for (keys, values), (key, value) in zip(memory.keys_and_values, added, strict=True)
            ]
        padding = torch.cat([memory.padding, torch.zeros_like(ratings, dtype=torch.bool)], dim=1)
        usage = F.one_hot(ratings - 1, NUM_RATINGS)
        with self._without_autocast():
            belief = add_rating(memory.belief, films.process, self._targets(films, ratings, usage), self.kernel)
        surprises = (ratings - expected.means) / expected.variances.sqrt()
        events, to_tower = self._events(films, ratings, expected)
        sums = memory.sums + self._summands(surprises, usage, to_tower)[:, 0]
        users = self._user_states(sums[:, None], belief.taste()[:, None], events)
        return Memory(added, padding, users, belief, sums)

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
        for films, expected in self._candidates(memory, candidate_films, candidates_at_once, catalogue):
            opinion = self._second_opinion(films, memory.users, expected)
            hidden, _ = self._attend_to_memory(self._inputs(films, memory.users, expected, opinion), memory)
            rating_logits, _, _ = self._logits(films, memory.users, expected, opinion, hidden)
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
        """What `score` returns, by the prior alone, which is spread as if nothing were known of likings: in a fraction
        of the time, and good enough to choose which of a catalogue's films are worth scoring."""
        probabilities = []
        candidates = self._candidates(memory, candidate_films, candidates_at_once, catalogue, glance=True)
        for films, expected in candidates:
            pool = self._pool(films, memory.users, expected)
            prior = self._prior_logits(pool, expected.means, self._leaning_scores(expected))
            probabilities.append(self.opened(prior, films, memory.users.counts).softmax(-1))
        return torch.cat(probabilities, dim=1)

    @torch.no_grad()
    def covariance(self, films: ProcessFilms, rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """
        How people's ratings of some films covary with those of others, without noise (`films.noise`), in squared
        rating points.

        Args:
            films (`ProcessFilms`): all films, as `catalogue().process`.
            rows (`torch.Tensor` of shape `(films,)`): catalogue rows.
            others (`torch.Tensor` of shape `(others,)`): catalogue rows.

        Returns:
            `torch.FloatTensor` of shape `(films, others)`.
        """
        with self._without_autocast():
            return covariance(films.at(rows[None]), films.at(others[None]), self.kernel)[0]

    def _candidates(
        self,
        memory: Memory,
        candidate_films: torch.Tensor,
        at_once: int,
        catalogue: Films | None,
        glance: bool = False,
    ) -> Iterator[tuple[Films, Expectation]]:
        """So many candidates at a time over the whole batch: what is known of them, and what the process expects; at a
        `glance` without tokens, and without what is known of likings in the variances."""
        for chunk in candidate_films.split(max(1, at_once // len(candidate_films)), dim=1):
            known = self._films if catalogue is None else catalogue.at
            films = known(chunk, with_tokens=not glance)
            yield films, self._expect(memory.belief, films, glance)

    def _expect(self, belief: Belief, films: Films, glance: bool = False) -> Expectation:
        by = expect_at_a_glance if glance else expect
        with self._without_autocast():
            return self._expectation(films, *by(belief, films.process, self.kernel))

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
