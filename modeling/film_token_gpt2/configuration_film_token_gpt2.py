"""Configuration of the film-token GPT-2."""

from transformers import GPT2Config, PreTrainedConfig


class FilmTokenGPT2Config(PreTrainedConfig):
    r"""
    Shape of a [`FilmTokenGPT2Model`], a GPT-2 that reads a whole film as one token.

    Args:
        num_films (`int`, defaults to 1): films in the catalogue; film `i` is row `i` of every table of the model.
        num_features (`int`, defaults to 1): width of a film's feature vector.
        hidden_size (`int`, defaults to 128): width of the transformer and of a film's token.
        num_hidden_layers (`int`, defaults to 3): transformer blocks.
        num_attention_heads (`int`, defaults to 4): attention heads; must divide `hidden_size`.
        factor_size (`int`, defaults to 32): numbers in a user's taste, and in a film's loadings.
        tower_size (`int`, defaults to 128): width of the user's tower, what ratings add up to, and of the film vectors
            that it meets.
        content_size (`int`, defaults to 64): numbers that stand for a film's features in the space of likings.
        company_size (`int`, defaults to 0): numbers that tell which films the same people have rated, beside the
            features; 0 leaves them out.
        liking_variance (`float`, defaults to 0.6): variance of what a user feels about the films of one corner of that
            space, in squared ratings; 0 leaves likings out.
        liking_reach (`float`, defaults to 0.13): how far in that space a liking reaches, in cosine.
        dropout (`float`, defaults to 0.0): dropout in embeddings, attention and residual branches, a probability.
        tower_dropout (`float`, defaults to 0.0): dropout in what a user's tower makes of a history, a probability. It
            keeps films' vectors from learning people by heart, where each is seen several times.
        film_dropout (`float`, defaults to 0.02): share of a training batch's distinct films that are read as new
            ones: their learned embedding and all their rating statistics are withheld, so that the model practises
            for films it has never seen.
        film_shrinkage (`float`, defaults to 5.0): ratings of prior weight that pull a film's mean to the overall mean.
        embedding_shrinkage (`float`, defaults to 50.0): training ratings at which what is learned of a film by itself
            (its embedding, its vectors for the tower, what the tower expects of it) counts half.
        mean_rating (`float`, defaults to 6.5): mean of the training ratings, on the 1..10 scale.
        initializer_range (`float`, defaults to 0.02): standard deviation of the initial weights.
        catalogue_digest (`str`, *optional*): of the film catalogue that the rows of the tables belong to.
    """

    model_type = "film_token_gpt2"

    def __init__(
        self,
        num_films: int = 1,
        num_features: int = 1,
        hidden_size: int = 128,
        num_hidden_layers: int = 3,
        num_attention_heads: int = 4,
        factor_size: int = 32,
        tower_size: int = 128,
        content_size: int = 64,
        company_size: int = 0,
        liking_variance: float = 0.6,
        liking_reach: float = 0.13,
        dropout: float = 0.0,
        tower_dropout: float = 0.0,
        film_dropout: float = 0.02,
        film_shrinkage: float = 5.0,
        embedding_shrinkage: float = 50.0,
        mean_rating: float = 6.5,
        initializer_range: float = 0.02,
        catalogue_digest: str | None = None,
        **kwargs,
    ):
        if num_films < 1 or num_features < 1:
            raise ValueError(f"num_films and num_features must be at least 1, got {num_films} and {num_features}")
        if min(hidden_size, num_hidden_layers, num_attention_heads, factor_size, tower_size) < 1:
            raise ValueError(
                "hidden_size, num_hidden_layers, num_attention_heads, factor_size and tower_size must be at least 1, "
                f"got {hidden_size}, {num_hidden_layers}, {num_attention_heads}, {factor_size} and {tower_size}"
            )
        if company_size < 0:
            raise ValueError(f"company_size must be at least 0, got {company_size}")
        if hidden_size % num_attention_heads:
            raise ValueError(f"num_attention_heads={num_attention_heads} does not divide hidden_size={hidden_size}")
        shares = {"dropout": dropout, "tower_dropout": tower_dropout, "film_dropout": film_dropout}
        for name, share in shares.items():
            if not 0 <= share < 1:
                raise ValueError(f"{name} is a probability below 1, got {share}")
        for name, shrinkage in (
            ("film_shrinkage", film_shrinkage),
            ("embedding_shrinkage", embedding_shrinkage),
        ):
            if shrinkage <= 0:
                raise ValueError(f"{name} must be above 0, got {shrinkage}")
        if not 0 <= liking_variance < 4 or liking_reach <= 0:
            raise ValueError(
                "liking_variance must be from 0 to below 4 and liking_reach above 0, got "
                f"{liking_variance} and {liking_reach}"
            )
        if not 1 <= mean_rating <= 10:
            raise ValueError(f"mean_rating is on the 1..10 scale, got {mean_rating}")
        self.num_films = num_films
        self.num_features = num_features
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.factor_size = factor_size
        self.tower_size = tower_size
        self.content_size = content_size
        self.company_size = company_size
        self.liking_variance = liking_variance
        self.liking_reach = liking_reach
        self.dropout = dropout
        self.tower_dropout = tower_dropout
        self.film_dropout = film_dropout
        self.film_shrinkage = film_shrinkage
        self.embedding_shrinkage = embedding_shrinkage
        self.mean_rating = mean_rating
        self.initializer_range = initializer_range
        self.catalogue_digest = catalogue_digest
        super().__init__(**kwargs)

    def gpt2_config(self) -> GPT2Config:
        """The configuration of the GPT-2 inside: fed by `inputs_embeds`, so it has no vocabulary."""
        return GPT2Config(
            vocab_size=1,
            bos_token_id=None,
            eos_token_id=None,
            n_positions=1,
            n_embd=self.hidden_size,
            n_layer=self.num_hidden_layers,
            n_head=self.num_attention_heads,
            embd_pdrop=self.dropout,
            attn_pdrop=self.dropout,
            resid_pdrop=self.dropout,
            # Squared ReLU where GPT-2 has gelu_new, which takes longer and is no better here.
            activation_function="relu2",
            initializer_range=self.initializer_range,
        )
