"""Configuration of the text GPT-2."""

from transformers import GPT2Config

NUM_RATING_TOKENS = 11


class GPT2ForRatingConfig(GPT2Config):
    r"""
    Shape of a [`GPT2ForRating`]: that of a GPT-2, and what it knows of ratings and films.

    Args:
        rating_token_ids (`list[int]`, defaults to GPT-2's): the tokens ` 0`, ` 1` .. ` 10`.
        rating_ending_ids (`list[int]`, defaults to GPT-2's): the tokens of ` / 10` and a line break, after a rating.
        num_films (`int`, defaults to 0): films in the catalogue; without any, the model reads text alone.
        num_film_tokens (`int`, defaults to 0): tokens of all films' texts together.
        catalogue_digest (`str`, *optional*): of the film catalogue that the films' texts belong to.
        kwargs: those of `GPT2Config`. Changed defaults: no dropout, and GELU as one fused kernel, which is the same
            function as GPT-2's own.
    """

    model_type = "text_gpt2"

    def __init__(
        self,
        rating_token_ids: list[int] | None = None,
        rating_ending_ids: list[int] | None = None,
        num_films: int = 0,
        num_film_tokens: int = 0,
        catalogue_digest: str | None = None,
        activation_function: str = "gelu_pytorch_tanh",
        resid_pdrop: float = 0.0,
        embd_pdrop: float = 0.0,
        attn_pdrop: float = 0.0,
        **kwargs,
    ):
        rating_token_ids = rating_token_ids or [657, 352, 362, 513, 604, 642, 718, 767, 807, 860, 838]
        if len(set(rating_token_ids)) != NUM_RATING_TOKENS:
            raise ValueError(f"rating_token_ids are {NUM_RATING_TOKENS} different tokens, got {rating_token_ids}")
        if num_films < 0 or num_film_tokens < num_films:
            raise ValueError(f"{num_films} films cannot have {num_film_tokens} tokens")
        self.rating_token_ids = rating_token_ids
        self.rating_ending_ids = rating_ending_ids or [1220, 838, 198]
        self.num_films = num_films
        self.num_film_tokens = num_film_tokens
        self.catalogue_digest = catalogue_digest
        # `register_for_auto_class` writes down one auto class; AutoModel is to find the model too.
        kwargs.setdefault("auto_map", {"AutoModel": "modeling_text_gpt2.GPT2ForRating"})
        super().__init__(
            activation_function=activation_function,
            resid_pdrop=resid_pdrop,
            embd_pdrop=embd_pdrop,
            attn_pdrop=attn_pdrop,
            **kwargs,
        )
        if min(self.n_embd, self.n_layer, self.n_head) < 1 or self.n_embd % self.n_head:
            raise ValueError(
                "hidden_size, num_hidden_layers and num_attention_heads are at least 1 and the heads divide the size, "
                f"got {self.n_embd}, {self.n_layer} and {self.n_head}"
            )
        for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is a probability below 1, got {getattr(self, name)}")
