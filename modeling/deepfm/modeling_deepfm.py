"""DeepFM: a linear part, inner products of dense embeddings and a multilayer perceptron, summed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from .configuration_deepfm import DeepFMConfig
from .feed_forward import FeedForward
from .user_fit import UserFit, fit_user_vectors

NUM_RATINGS = 10
REWARD_RATING = 7
FILMS_AT_ONCE = 16_384  # whose features are gathered together: 64 MB at 1,000 features


def _known(history_films: torch.Tensor, history_ratings: torch.Tensor) -> torch.Tensor:
    """Which places of a history are no padding, as `history_films`."""
    return (history_ratings > 0) & (history_films != -1)


def _choice_weights(known: torch.Tensor) -> torch.Tensor:
    """What each film counts of those that a user chose, `(batch,)`: one over the root of their number, as in SVD++ (Y.
    Koren, 2008). The film that is asked about is one of them."""
    return (known.sum(1) + 1).rsqrt()


@dataclass
class DeepFMOutput(ModelOutput):
    """
    Args:
        rating_logits (`torch.FloatTensor` of shape `(ratings, 10)`): scores of the ratings 1..10; with a reward head,
            logs of their probabilities.
        logits (`torch.FloatTensor` of shape `(ratings, num_logits)`): the sum of the parts.
        user_penalties (`torch.FloatTensor` of shape `(ratings,)`): half the squared length of the user's vector, times
            the share of the user's ratings that the rating is; only where these shares are given.
        film_penalties (`torch.FloatTensor` of shape `(ratings,)`): the same of the film's own vector, where films have
            one.
    """

    rating_logits: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    user_penalties: torch.Tensor | None = None
    film_penalties: torch.Tensor | None = None


class Side(NamedTuple):
    """What one side, films or users, brings to the parts; None where a part is off."""

    linear: torch.Tensor | None  # (..., num_logits)
    embeddings: torch.Tensor | None  # (..., embeddings, embedding_size)
    hidden: torch.Tensor | None  # (..., mlp_sizes[0]), the share of the perceptron's first layer

    def rows(self, positions: torch.Tensor) -> "Side":
        """The side of the rows at some positions of any shape."""
        return Side(
            *(
                None if part is None else F.embedding(positions, part.flatten(1)).unflatten(-1, part.shape[1:])
                for part in self
            )
        )

    def beside_films(self) -> "Side":
        """The side of one user a row, `(batch, ...)`, so that it meets `(batch, films, ...)`."""
        return Side(*(None if part is None else part[:, None] for part in self))


class DeepFMPreTrainedModel(PreTrainedModel):
    config_class = DeepFMConfig
    config: DeepFMConfig
    base_model_prefix = "model"

    @torch.no_grad()
    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.user_initial_spread)
        elif isinstance(module, DeepFMModel):
            if module.config.use_linear:
                init.zeros_(module.film_linear.weight)
            if module.config.use_film_ids:
                init.zeros_(module.film_vectors_own.weight)
            init.zeros_(module.film_features)
            init.constant_(module.rating_shares, 1 / NUM_RATINGS)
            init.zeros_(module.user_mean)
            init.copy_(module.user_precision, torch.eye(module.config.user_size))
            init.zeros_(module.film_audiences)
            if module.config.use_pairwise and module.config.head == "ratings":
                # An inner product starts as a taste: it moves weight from the low ratings to the high ones.
                slopes = torch.linspace(-1, 1, NUM_RATINGS)[:, None].expand_as(module.pairwise_weights)
                init.copy_(module.pairwise_weights, slopes)


class DeepFMModel(DeepFMPreTrainedModel):
    r"""
    The paper's DeepFM (section 5.1; H. Guo et al., 2017). One linear layer turns a film's feature vector into dense
    embeddings, another into its linear term; two others do the same with the user's vector. The logit is the sum of

    - the linear terms of film and user,
    - the inner products of every film embedding with every user embedding; ten logits are ten weighted sums of them,
    - a multilayer perceptron that reads all dense embeddings.

    Film features are multi-valued fields as bags (with a place for values out of the vocabulary), scaled numbers and
    text embeddings, side by side in `film_features`, and with `use_film_ids` the film itself. A film id outside the
    catalogue is a film of which nothing is known, a user id outside the table is the average user.

    A new user's vector is fitted to their ratings. What is known of it beforehand is a Gaussian, whose mean moves with
    the films that they chose, whatever they gave them: `film_audiences` says who rates which film.

    With a reward head the ratings 1..10 are the training ratings' shares below 7 and from 7 on, weighted with
    P(reward), the sigmoid of the logit; of `"reward-linear"`, whose output is itself an estimate of the reward, the
    sigmoid of 4 (output - 1/2), which has its value and its slope at 1/2.
    """

    film_features: torch.Tensor
    rating_shares: torch.Tensor
    user_mean: torch.Tensor
    user_precision: torch.Tensor
    film_audiences: torch.Tensor

    def __init__(self, config: DeepFMConfig):
        super().__init__(config)
        size = config.user_size
        self.register_buffer("film_features", torch.zeros(config.num_films, config.num_features))
        self.register_buffer("rating_shares", torch.full((NUM_RATINGS,), 1 / NUM_RATINGS))
        # Of users nobody has seen yet.
        self.register_buffer("user_mean", torch.zeros(size))
        self.register_buffer("user_precision", torch.eye(size))
        self.register_buffer("film_audiences", torch.zeros(config.num_films, size))

        self.user_vectors = nn.Embedding(config.num_users, size)
        if config.use_linear:
            self.film_linear = nn.Linear(config.num_features, config.num_logits)
            self.user_linear = nn.Linear(size, config.num_logits, bias=False)
        if config.use_pairwise or config.use_mlp:
            film_width = config.film_embeddings * config.embedding_size
            user_width = config.user_embeddings * config.embedding_size
            self.film_embedding = nn.Linear(config.num_features, film_width)
            self.user_embedding = nn.Linear(size, user_width)
            self.dropout = nn.Dropout(config.dropout)
        if config.use_film_ids:
            embedded = film_width if config.use_pairwise or config.use_mlp else 0
            linear = config.num_logits if config.use_linear else 0
            self.film_vectors_own = nn.Embedding(config.num_films, linear + embedded)
        if config.use_pairwise and config.head == "ratings":
            pairs = config.film_embeddings * config.user_embeddings
            self.pairwise_weights = nn.Parameter(torch.zeros(NUM_RATINGS, pairs))
        if config.use_mlp:
            self.mlp = FeedForward(film_width, user_width, config.mlp_sizes, config.num_logits, config.dropout)
        self.post_init()

    # -- what is known before training, and what training finds out of its users

    @torch.no_grad()
    def set_tables(self, film_features: torch.Tensor, rating_histogram: torch.Tensor) -> None:
        """
        Fill in what is known before training.

        Args:
            film_features (`torch.Tensor` of shape `(num_films, num_features)`): scaled features, about unit variance.
            rating_histogram (`torch.Tensor` of shape `(10,)`): how often training users gave each rating. One is added
                to every count, so that no rating is impossible.
        """
        self.film_features.copy_(film_features)
        counts = rating_histogram.to(self.rating_shares.dtype) + 1
        self.rating_shares.copy_(counts / counts.sum())

    @torch.no_grad()
    def add_films(self, film_features: torch.Tensor) -> None:
        """
        Append films that nobody has rated: rows `num_films` and on of every table of films.

        Args:
            film_features (`torch.Tensor` of shape `(films, num_features)`): as in `set_tables`.
        """
        added = len(film_features)
        self.film_features = torch.cat([self.film_features, film_features.to(self.film_features)])
        self.film_audiences = F.pad(self.film_audiences, (0, 0, 0, added))
        if self.config.use_film_ids:
            self.film_vectors_own = nn.Embedding.from_pretrained(
                F.pad(self.film_vectors_own.weight, (0, 0, 0, added)), freeze=False
            )
        self.config.num_films += added

    @torch.no_grad()
    def set_user_prior(self, mean: torch.Tensor, precision: torch.Tensor) -> None:
        """
        Say how users' vectors are spread.

        Args:
            mean (`torch.Tensor` of shape `(user_size,)`): what a user without ratings is.
            precision (`torch.Tensor` of shape `(user_size, user_size)`): inverse covariance around it.
        """
        self.user_mean.copy_(mean)
        self.user_precision.copy_(precision)

    @torch.no_grad()
    def set_film_audiences(self, audiences: torch.Tensor) -> None:
        """
        Say who rates which film.

        Args:
            audiences (`torch.Tensor` of shape `(num_films, user_size)`): mean vector of the users who rated the film,
                less that of the users behind all ratings.
        """
        self.film_audiences.copy_(audiences)

    def feature_weights(self) -> list[torch.nn.Parameter]:
        """The weights of film features, `(width, num_features)` each."""
        names = ("film_linear.weight", "film_embedding.weight")
        return [parameter for name, parameter in self.named_parameters() if name in names]

    # -- the two sides

    def _films(self, film_ids: torch.Tensor) -> Side:
        """The side of `film_ids` `(...)`, computed once per distinct film."""
        distinct, positions = film_ids.unique(return_inverse=True)
        chunks = [self._distinct_films(chunk) for chunk in distinct.split(FILMS_AT_ONCE)]
        if len(chunks) == 1:
            return chunks[0].rows(positions)
        return Side(*(None if parts[0] is None else torch.cat(parts) for parts in zip(*chunks, strict=True))).rows(
            positions
        )

    def _distinct_films(self, film_ids: torch.Tensor) -> Side:
        known = (film_ids >= 0) & (film_ids < self.config.num_films)
        features = self.film_features.index_select(0, film_ids.clamp(0, self.config.num_films - 1))
        if not known.all():
            features = features * known[:, None]
        linear = self.film_linear(features) if self.config.use_linear else None
        embeddings = hidden = None
        own = self._own_vectors(film_ids) if self.config.use_film_ids else None
        if linear is not None and own is not None:
            linear = linear + own[:, : self.config.num_logits]
        if self.config.use_pairwise or self.config.use_mlp:
            embeddings = self.film_embedding(features)
            if own is not None:
                embeddings = embeddings + own[:, -embeddings.shape[1] :]
            embeddings = self.dropout(embeddings)
            hidden = self.mlp.film_input(embeddings) if self.config.use_mlp else None
            embeddings = embeddings.unflatten(-1, (self.config.film_embeddings, self.config.embedding_size))
        return Side(linear, embeddings, hidden)

    def _own_vectors(self, film_ids: torch.Tensor) -> torch.Tensor:
        """What training found out of each film beyond its features: linear terms, then dense embeddings, `(films,
        width)`; zeros for ids outside the catalogue."""
        known = (film_ids >= 0) & (film_ids < self.config.num_films)
        return self.film_vectors_own(film_ids.clamp(0, self.config.num_films - 1)) * known[:, None]

    def _audiences(self, film_ids: torch.Tensor) -> torch.Tensor:
        """Rows of `film_audiences` for film ids `(...)`: `(..., user_size)`; zeros for ids outside the catalogue."""
        known = (film_ids >= 0) & (film_ids < self.config.num_films)
        return F.embedding(film_ids.clamp(0, self.config.num_films - 1), self.film_audiences) * known[..., None]

    def _users(self, vectors: torch.Tensor) -> Side:
        """The side of user vectors `(..., user_size)`."""
        linear = self.user_linear(vectors) if self.config.use_linear else None
        embeddings = hidden = None
        if self.config.use_pairwise or self.config.use_mlp:
            embeddings = self.dropout(self.user_embedding(vectors))
            hidden = self.mlp.user_input(embeddings) if self.config.use_mlp else None
            embeddings = embeddings.unflatten(-1, (self.config.user_embeddings, self.config.embedding_size))
        return Side(linear, embeddings, hidden)

    # -- the parts, and their derivatives by the user's vector

    def _pairs(self) -> torch.Tensor:
        """Weight of every inner product in every logit: `(num_logits, film_embeddings, user_embeddings)`."""
        shape = (self.config.film_embeddings, self.config.user_embeddings)
        if self.config.head == "ratings":
            return self.pairwise_weights.unflatten(-1, shape)
        return torch.ones(1, *shape, device=self.film_features.device, dtype=self.film_features.dtype)

    def _logits(self, films: Side, users: Side) -> torch.Tensor:
        """The sum of the parts, `(..., num_logits)`."""
        parts = []
        if films.linear is not None and users.linear is not None:
            parts.append(films.linear + users.linear)
        if self.config.use_pairwise and films.embeddings is not None and users.embeddings is not None:
            products = (films.embeddings @ users.embeddings.mT).flatten(-2)
            parts.append(products @ self._pairs().flatten(1).T)
        if films.hidden is not None and users.hidden is not None:
            parts.append(self.mlp(films.hidden + users.hidden))
        return reduce(torch.add, parts)

    def _jacobian(self, films: Side) -> Callable[[Side], torch.Tensor]:
        """
        Derivatives of the logits of `(batch, length)` films by their users' vectors, as a function of the users:
        `(batch, length, num_logits, user_size)`. Those of the linear and the pairwise part are the same for all users.
        """
        parts = []
        if films.linear is not None:
            parts.append(self.user_linear.weight.expand(*films.linear.shape[:2], -1, -1))
        if self.config.use_pairwise:
            # By the user embedding j: the film embeddings, each with the weight of its product with j.
            by_embedding = torch.einsum("oij,blid->blojd", self._pairs(), films.embeddings)
            parts.append(by_embedding.flatten(-2) @ self.user_embedding.weight)
        if not self.config.use_mlp:
            constant = reduce(torch.add, parts)
            return lambda users: constant
        to_hidden = self.mlp.user_input.weight @ self.user_embedding.weight

        def jacobian(users: Side) -> torch.Tensor:
            by_hidden = self.mlp.jacobian(films.hidden + users.hidden)  # type: ignore[operator]
            return reduce(torch.add, parts, by_hidden @ to_hidden)

        if len(parts) > 1:
            parts[:] = [reduce(torch.add, parts)]
        return jacobian

    def _reward_logits(self, outputs: torch.Tensor) -> torch.Tensor:
        """Log odds of the reward, from the outputs of a reward head."""
        return 4 * (outputs - 0.5) if self.config.head == "reward-linear" else outputs

    def _rating_logits(self, logits: torch.Tensor) -> torch.Tensor:
        if self.config.head == "ratings":
            return logits
        logits = self._reward_logits(logits)
        low, high = self.rating_shares.split([REWARD_RATING - 1, NUM_RATINGS - REWARD_RATING + 1])
        return torch.cat(
            [F.logsigmoid(-logits) + (low / low.sum()).log(), F.logsigmoid(logits) + (high / high.sum()).log()], -1
        )

    def forward(
        self,
        film_ids: torch.Tensor,
        user_ids: torch.Tensor,
        user_shares: torch.Tensor | None = None,
        film_shares: torch.Tensor | None = None,
    ) -> DeepFMOutput:
        """
        Args:
            film_ids (`torch.Tensor` of shape `(ratings,)`): catalogue rows.
            user_ids (`torch.Tensor` of shape `(ratings,)`): rows of the training users' vectors.
            user_shares (`torch.Tensor` of shape `(ratings,)`, *optional*): one over the number of training ratings of
                the user; asks for `user_penalties`, whose sum over an epoch counts every user once.
            film_shares (`torch.Tensor` of shape `(ratings,)`, *optional*): the same of the film, for
                `film_penalties`.
        """
        known = (user_ids >= 0) & (user_ids < self.config.num_users)
        vectors = self.user_vectors(user_ids.clamp(0, self.config.num_users - 1))
        vectors = torch.where(known[:, None], vectors, self.user_mean)
        logits = self._logits(self._films(film_ids), self._users(vectors))
        penalties = None if user_shares is None else vectors.square().sum(-1) * user_shares / 2
        film_penalties = None
        if film_shares is not None and self.config.use_film_ids:
            lengths = self._own_vectors(torch.arange(self.config.num_films, device=film_ids.device)).square().sum(-1)
            film_penalties = F.embedding(film_ids, lengths[:, None])[:, 0] * film_shares / 2
        return DeepFMOutput(self._rating_logits(logits), logits, penalties, film_penalties)

    # -- users nobody has seen yet

    @torch.no_grad()
    def fit_users(self, history_films: torch.Tensor, history_ratings: torch.Tensor) -> UserFit:
        """
        Vectors of new users from their ratings, every weight held fixed, under the prior of training users. Which
        films they chose says something too: the prior's mean moves by those films' audiences (see `_choice_weights`).

        Whatever loss trained a reward head, its sigmoid is a probability, and the fit maximises the likelihood.

        Args:
            history_films (`torch.Tensor` of shape `(batch, length)`): catalogue rows, -1 is padding.
            history_ratings (`torch.Tensor` of shape `(batch, length)`): 1..10, 0 is padding.
        """
        known = _known(history_films, history_ratings)
        chosen = (self._audiences(history_films) * known[..., None]).sum(1)
        means = self.user_mean + chosen * _choice_weights(known)[:, None]
        training = self.training
        self.eval()  # dropout would make another function of every step
        films = self._films(history_films)
        reward_head = self.config.head != "ratings"
        if reward_head:
            classes = (history_ratings >= REWARD_RATING).long()
        else:
            classes = history_ratings.clamp(1, NUM_RATINGS) - 1

        derivatives = self._jacobian(films)
        slope = 4 if self.config.head == "reward-linear" else 1  # of `_reward_logits`

        # A reward's logit is that of the second of two classes; the first has 0.
        def logits_of(vectors: torch.Tensor) -> torch.Tensor:
            logits = self._logits(films, self._users(vectors).beside_films())
            return F.pad(self._reward_logits(logits), (1, 0)) if reward_head else logits

        def jacobian_of(vectors: torch.Tensor) -> torch.Tensor:
            jacobian = derivatives(self._users(vectors).beside_films())
            return F.pad(slope * jacobian, (0, 0, 1, 0)) if reward_head else jacobian

        fit = fit_user_vectors(logits_of, jacobian_of, classes, known, means, self.user_precision)
        self.train(training)
        return fit

    @torch.no_grad()
    def predict(
        self,
        history_films: torch.Tensor,
        history_ratings: torch.Tensor,
        candidate_films: torch.Tensor,
        candidates_at_once: int = 65_536,
    ) -> torch.Tensor:
        """
        Probabilities of the ratings 1..10 for candidate films, for the user whose vector fits best, given the history
        and, to first order, that the candidate is a film that they chose.

        Args:
            history_films (`torch.Tensor` of shape `(batch, length)`): catalogue rows, -1 is padding.
            history_ratings (`torch.Tensor` of shape `(batch, length)`): 1..10, 0 is padding.
            candidate_films (`torch.Tensor` of shape `(batch, candidates)`): catalogue rows; -1 is padding.
            candidates_at_once (`int`): candidates scored together over the whole batch; bounds the memory.

        Returns:
            `torch.FloatTensor` of shape `(batch, candidates, 10)`.
        """
        fit = self.fit_users(history_films, history_ratings)
        # A candidate is one more film that the user chose: it moves the prior's mean, and so the vector by as much as
        # the ratings leave it to the prior.
        weights = _choice_weights(_known(history_films, history_ratings))[:, None, None]
        moves = weights * torch.linalg.solve(fit.precisions, self.user_precision.expand_as(fit.precisions))
        probabilities = []
        for chunk in candidate_films.split(max(1, candidates_at_once // max(1, len(candidate_films))), dim=1):
            users = self._users(fit.vectors[:, None] + self._audiences(chunk) @ moves.mT)
            probabilities.append(self._rating_logits(self._logits(self._films(chunk), users)).softmax(-1))
        return torch.cat(probabilities, dim=1)

    @torch.no_grad()
    def film_vectors(self) -> torch.Tensor | None:
        """The film space: the dense embeddings of every film, `(num_films, film_embeddings * embedding_size)`; None
        for a model that has only its linear part."""
        if not (self.config.use_pairwise or self.config.use_mlp):
            return None
        everything = torch.arange(self.config.num_films, device=self.film_features.device)
        sides = (self._distinct_films(chunk) for chunk in everything.split(FILMS_AT_ONCE))
        return torch.cat([side.embeddings.flatten(1) for side in sides])  # type: ignore[union-attr]


DeepFMConfig.register_for_auto_class()
DeepFMModel.register_for_auto_class("AutoModel")
