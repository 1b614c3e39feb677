"""Films as tokens, and rated films end to end as a trajectory."""

from typing import NamedTuple

import torch

from .configuration_text_gpt2 import GPT2ForRatingConfig


class Trajectory(NamedTuple):
    """Rated films one after another, as tokens."""

    input_ids: torch.Tensor  # (tokens), int64
    rating_positions: torch.Tensor  # (films), the last token of each film's text, where its rating is predicted


class FilmTokens(NamedTuple):
    """The texts of a catalogue's films, each tokenised once: from `---` to `Rating:`."""

    tokens: torch.Tensor  # (num_film_tokens), int32, all texts end to end
    offsets: torch.Tensor  # (num_films + 1), int64; film i has the tokens offsets[i]:offsets[i + 1]

    def lengths(self, film_ids: torch.Tensor) -> torch.Tensor:
        """Tokens of each film's text, in the shape of `film_ids`."""
        return self.offsets[film_ids + 1] - self.offsets[film_ids]

    def texts(self, film_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        The texts of some films, padded on the right.

        Args:
            film_ids (`torch.LongTensor` of shape `(films)`): catalogue rows.

        Returns:
            Tokens `(films, longest)`, padded by any token, and the number of each film's own, `(films)`.
        """
        lengths = self.lengths(film_ids)
        places = self.offsets[film_ids, None] + torch.arange(int(lengths.max()), device=lengths.device)
        return self.tokens[places.clamp(max=len(self.tokens) - 1)].long(), lengths

    def join(self, film_ids: torch.Tensor, ratings: torch.Tensor, config: GPT2ForRatingConfig) -> Trajectory:
        """
        Rated films end to end: the same tokens as those of the whole text.

        Args:
            film_ids (`torch.LongTensor` of shape `(films)`): catalogue rows.
            ratings (`torch.LongTensor` of shape `(films)`): 0..10.
            config (`GPT2ForRatingConfig`): whose tokens write a rating.
        """
        device = film_ids.device
        ending = torch.tensor(config.rating_ending_ids, device=device)
        lengths = self.lengths(film_ids)
        blocks = lengths + 1 + len(ending)
        starts = blocks.cumsum(0) - blocks
        within = torch.arange(int(lengths.sum()), device=device)
        within -= (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
        input_ids = torch.empty(int(blocks.sum()), dtype=torch.long, device=device)
        input_ids[starts.repeat_interleave(lengths) + within] = self.tokens[
            self.offsets[film_ids].repeat_interleave(lengths) + within
        ].long()
        positions = starts + lengths - 1
        input_ids[positions + 1] = torch.tensor(config.rating_token_ids, device=device)[ratings]
        input_ids[positions[:, None] + 2 + torch.arange(len(ending), device=device)] = ending
        return Trajectory(input_ids, positions)
