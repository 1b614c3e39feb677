"""GPT-2 over rating histories in words: films as texts, ratings as tokens."""

from dataclasses import dataclass
from typing import Any, cast

import torch
from transformers import GPT2LMHeadModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from .configuration_text_gpt2 import GPT2ForRatingConfig
from .film_tokens import FilmTokens

NUM_RATINGS = 10
# A candidate's text gets room in the context by the hundred tokens, so that candidates share a history's cache.
ROOM = 100


@dataclass
class GPT2ForRatingOutput(ModelOutput):
    """
    Args:
        rating_logits (`torch.FloatTensor` of shape `(batch, films, 11)`): scores of the ratings 0..10 that may follow
            each film's text, given the films and ratings before it.
        expected_rating (`torch.FloatTensor` of shape `(batch, films)`): mean over the ratings 1..10, renormalised.
        last_hidden_state (`torch.FloatTensor` of shape `(batch, length, hidden_size)`): what the head over the whole
            vocabulary reads.
    """

    rating_logits: torch.Tensor | None = None
    expected_rating: torch.Tensor | None = None
    last_hidden_state: torch.Tensor | None = None


def rating_probabilities(rating_logits: torch.Tensor) -> torch.Tensor:
    """Logits of the ratings 0..10, `(..., 11)`, as probabilities of 1..10, `(..., 10)`: nobody rates 0."""
    return rating_logits[..., 1:].float().softmax(-1)


class GPT2ForRating(GPT2LMHeadModel):
    r"""
    A GPT-2 that reads rated films as text, `---`, the film, `---`, `Rating: 7 / 10`, and predicts every rating from
    the text before it (section 5.3 of the paper).

    Called with `rating_positions` it scores the eleven rating tokens there and never computes the head over its whole
    vocabulary; called without, it is a `GPT2LMHeadModel` in every respect. `predict` works on films of the catalogue,
    whose texts the model holds as tokens.
    """

    config_class = GPT2ForRatingConfig
    config: GPT2ForRatingConfig
    film_tokens: torch.Tensor
    film_offsets: torch.Tensor

    def __init__(self, config: GPT2ForRatingConfig):
        super().__init__(config)
        self.loss_type = "ForCausalLM"  # of `labels`, as in a GPT2LMHeadModel
        self.register_buffer("film_tokens", torch.zeros(config.num_film_tokens, dtype=torch.int32))
        self.register_buffer("film_offsets", torch.zeros(config.num_films + 1, dtype=torch.long))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, GPT2ForRating):
            init.zeros_(module.film_tokens)
            init.zeros_(module.film_offsets)

    @torch.no_grad()
    def set_films(self, films: FilmTokens) -> None:
        """Fill in the texts of the catalogue's films."""
        self.film_tokens.copy_(films.tokens)
        self.film_offsets.copy_(films.offsets)

    def add_films(self, film_features: torch.Tensor) -> None:
        """
        Raises:
            ValueError: always: the model reads films as text, and knows no features.
        """
        raise ValueError("a text GPT-2 knows films by their texts, not by their features: it takes no new ones")

    def film_vectors(self) -> None:
        """None: the model reads films as text, and has no space of them."""
        return None

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        rating_positions: torch.Tensor | None = None,
        *,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs: Any,
    ):
        """
        Args:
            input_ids (`torch.LongTensor` of shape `(batch, length)`): tokens; any, on the right, are padding.
            rating_positions (`torch.LongTensor` of shape `(batch, films)`, *optional*): the last token of each film's
                text; -1 is padding.
            attention_mask, position_ids, logits_to_keep, kwargs: without `rating_positions`, as for `GPT2LMHeadModel`.
                (`generate` passes on what it finds named here.)

        Returns:
            [`GPT2ForRatingOutput`], or without `rating_positions` what a `GPT2LMHeadModel` returns.
        """
        if rating_positions is None:
            return super().forward(
                input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                logits_to_keep=logits_to_keep,
                **kwargs,
            )
        assert input_ids is not None
        # One look-up for the inputs and for the rows of the tied head: a second one would cost the backward pass
        # another gradient of the vocabulary's size.
        rating_token_ids = torch.tensor(self.config.rating_token_ids, device=input_ids.device)
        embedded = self.transformer.wte(torch.cat([input_ids.flatten(), rating_token_ids]))
        inputs, rating_rows = embedded.tensor_split([input_ids.numel()])
        # No attention mask: padding is on the right, where a causal model cannot see it.
        hidden = self.transformer(inputs_embeds=inputs.view(*input_ids.shape, -1), use_cache=False).last_hidden_state
        rows = torch.arange(len(input_ids), device=input_ids.device)[:, None]
        rating_logits = (hidden[rows, rating_positions.clamp(min=0)] @ rating_rows.T).float()
        expected = rating_probabilities(rating_logits) @ self._ratings()
        return GPT2ForRatingOutput(rating_logits, expected, hidden)

    def _ratings(self) -> torch.Tensor:
        return torch.arange(1, NUM_RATINGS + 1, device=self.device, dtype=torch.float)

    @torch.no_grad()
    def predict(
        self,
        history_films: torch.Tensor,
        history_ratings: torch.Tensor,
        candidate_films: torch.Tensor,
        candidates_at_once: int = 8,
    ) -> torch.Tensor:
        """
        Probabilities of the ratings 1..10 for candidate films, each as if it came next after the history.

        The history is read once; its candidates read its keys and values where they are, and never one another. Its
        oldest films are left out where it does not fit into the context together with a candidate.

        Args:
            history_films (`torch.LongTensor` of shape `(batch, length)`): catalogue rows, -1 is padding.
            history_ratings (`torch.LongTensor` of shape `(batch, length)`): 1..10, 0 is padding.
            candidate_films (`torch.LongTensor` of shape `(batch, candidates)`): catalogue rows; -1 is padding.
            candidates_at_once (`int`): candidates scored together; few bound the memory, and stay in a CPU's
                cache.

        Returns:
            `torch.FloatTensor` of shape `(batch, candidates, 10)`; zeros where candidates are padding.
        """
        films = FilmTokens(self.film_tokens, self.film_offsets)
        probabilities = torch.zeros(*candidate_films.shape, NUM_RATINGS, device=candidate_films.device)
        for row in range(len(candidate_films)):
            rated, wanted = history_ratings[row] > 0, candidate_films[row] >= 0
            history = history_films[row][rated], history_ratings[row][rated]
            candidates = candidate_films[row][wanted]
            lengths = films.lengths(candidates)
            rooms = (lengths + ROOM - 1).div(ROOM, rounding_mode="floor") * ROOM
            scored = torch.zeros(len(candidates), NUM_RATINGS, device=candidates.device)
            for room in rooms.unique().tolist():
                prefix = self._prefix(films, *history, room=room)
                same_room = (rooms == room).nonzero()[:, 0]
                by_length = same_room[lengths[same_room].argsort()]  # so that little of a part is padding
                for part in by_length.split(candidates_at_once):
                    scored[part] = self._after_prefix(*films.texts(candidates[part]), prefix)
            probabilities[row, wanted] = scored
        return probabilities

    def _prefix(
        self, films: FilmTokens, film_ids: torch.Tensor, ratings: torch.Tensor, room: int
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Keys and values in every layer, `(heads, tokens, head_size)` each, of the latest rated films that leave
        `room` tokens."""
        blocks = films.lengths(film_ids) + 1 + len(self.config.rating_ending_ids)
        fits = blocks.flip(0).cumsum(0).flip(0) <= self.config.n_positions - room
        if not fits.any():
            nothing = torch.zeros(self.config.n_head, 0, self.config.n_embd // self.config.n_head)
            nothing = nothing.to(self.device, self.dtype)
            return [(nothing, nothing)] * self.config.n_layer
        input_ids, _ = films.join(film_ids[fits], ratings[fits], self.config)
        cache = self.transformer(inputs_embeds=self.transformer.wte(input_ids[None]), use_cache=True).past_key_values
        return [(layer.keys[0], layer.values[0]) for layer in cache.layers]

    def _after_prefix(
        self, input_ids: torch.Tensor, lengths: torch.Tensor, prefix: list[tuple[torch.Tensor, torch.Tensor]]
    ) -> torch.Tensor:
        """
        Rating probabilities `(candidates, 10)` after texts that all come right after the same prefix: GPT-2's blocks,
        reading the prefix's keys and values where they are, not copied once per candidate.

        Args:
            input_ids (`torch.LongTensor` of shape `(candidates, longest)`): padded on the right.
            lengths (`torch.LongTensor` of shape `(candidates)`): tokens of each text.
            prefix: as `_prefix` gives it.
        """
        candidates, longest = input_ids.shape
        before = prefix[0][0].shape[1]
        places = torch.arange(longest, device=input_ids.device)
        last = (lengths - 1)[:, None]
        hidden = self.transformer.wte(input_ids) + self.transformer.wpe(before + places)
        blocks = list(cast(Any, self.transformer.h))
        for block, (keys, values) in zip(blocks, prefix, strict=True):
            query, key, value = block.attn.c_attn(block.ln_1(hidden)).split(self.config.n_embd, dim=-1)
            asking = places.expand(candidates, -1)
            if block is blocks[-1]:  # of which a text's last token alone is read
                asking = last
                query, hidden = (vectors.take_along_dim(last[..., None], 1) for vectors in (query, hidden))
            query, key, value = (
                part.unflatten(-1, (self.config.n_head, -1)).permute(2, 0, 1, 3) for part in (query, key, value)
            )
            query = query * block.attn.scaling  # (heads, candidates, asking, head_size)
            own = (query @ key.transpose(-1, -2)).masked_fill(places > asking[..., None], float("-inf"))
            shared = query.flatten(1, 2) @ keys.transpose(-1, -2)  # (heads, candidates * asking, prefix)
            weights = torch.cat([shared, own.flatten(1, 2)], dim=-1).softmax(-1)
            mixed = (weights[..., :before] @ values).view_as(query)
            mixed = mixed + weights[..., before:].unflatten(1, asking.shape) @ value
            hidden = hidden + block.attn.c_proj(mixed.permute(1, 2, 0, 3).flatten(2))
            hidden = hidden + block.mlp(block.ln_2(hidden))
        rating_rows = self.transformer.wte.weight[self.config.rating_token_ids]
        return rating_probabilities(self.transformer.ln_f(hidden[:, 0]) @ rating_rows.T)


GPT2ForRatingConfig.register_for_auto_class()
GPT2ForRating.register_for_auto_class("AutoModelForCausalLM")
