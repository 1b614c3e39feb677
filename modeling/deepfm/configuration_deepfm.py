"""Configuration of DeepFM."""

from transformers import PreTrainedConfig

HEADS = ("reward-linear", "reward-mse", "reward-cross-entropy", "ratings")


class DeepFMConfig(PreTrainedConfig):
    r"""
    Shape of a [`DeepFMModel`]. The defaults are the paper's simplified configuration (section 5.1) but for the head.

    Args:
        num_films (`int`, defaults to 1): films in the catalogue; film `i` is row `i` of the feature table.
        num_features (`int`, defaults to 1): width of a film's feature vector.
        num_users (`int`, defaults to 1): training users, each with a vector of its own.
        user_size (`int`, defaults to 16): length of a user's vector, from 1 on.
        embedding_size (`int`, defaults to 16): length of a dense embedding.
        film_embeddings (`int`, defaults to 1): dense embeddings made of a film's feature vector.
        user_embeddings (`int`, defaults to 1): dense embeddings made of a user's vector.
        mlp_sizes (`list[int]`, defaults to `[32]`): widths of the hidden layers of the multilayer perceptron.
        use_linear, use_pairwise, use_mlp (`bool`, default to `True`): which of the three parts the logits sum up.
        use_film_ids (`bool`, defaults to `False`): whether a film's id is one of its features: a linear term and dense
            embeddings of its own, beside what the other features say. A new film's are zero.
        head (`str`, defaults to `"ratings"`): what the logits say. `"reward-linear"`, `"reward-mse"` and
            `"reward-cross-entropy"`: one number, of the reward (rating 7 or more), trained by its squared error (the
            paper's large configuration), by the squared error of its sigmoid (the paper's simplified one) or by
            cross-entropy; `"ratings"`: ten, of the ratings 1..10.
        dropout (`float`, defaults to 0.0): dropout in the dense embeddings and the perceptron, a probability.
        user_initial_spread (`float`, defaults to 0.1): standard deviation of the users' vectors before training.
        catalogue_digest (`str`, *optional*): of the film catalogue that the rows of the tables belong to.
    """

    model_type = "deepfm"

    def __init__(
        self,
        num_films: int = 1,
        num_features: int = 1,
        num_users: int = 1,
        user_size: int = 16,
        embedding_size: int = 16,
        film_embeddings: int = 1,
        user_embeddings: int = 1,
        mlp_sizes: list[int] | None = None,
        use_linear: bool = True,
        use_pairwise: bool = True,
        use_mlp: bool = True,
        use_film_ids: bool = False,
        head: str = "ratings",
        dropout: float = 0.0,
        user_initial_spread: float = 0.1,
        catalogue_digest: str | None = None,
        **kwargs,
    ):
        for name, size in (
            ("num_films", num_films),
            ("num_features", num_features),
            ("num_users", num_users),
            ("user_size", user_size),
            ("embedding_size", embedding_size),
            ("film_embeddings", film_embeddings),
            ("user_embeddings", user_embeddings),
        ):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        mlp_sizes = [32] if mlp_sizes is None else list(mlp_sizes)
        if not mlp_sizes or min(mlp_sizes) < 1:
            raise ValueError(f"mlp_sizes are the widths of one or more hidden layers, got {mlp_sizes}")
        if not (use_linear or use_pairwise or use_mlp):
            raise ValueError("use_linear, use_pairwise and use_mlp are all off: nothing is left to predict with")
        if head not in HEADS:
            raise ValueError(f"head is one of {', '.join(HEADS)}, got {head!r}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is a probability below 1, got {dropout}")
        if user_initial_spread <= 0:
            raise ValueError(f"user_initial_spread must be above 0, got {user_initial_spread}")
        self.num_films = num_films
        self.num_features = num_features
        self.num_users = num_users
        self.user_size = user_size
        self.embedding_size = embedding_size
        self.film_embeddings = film_embeddings
        self.user_embeddings = user_embeddings
        self.mlp_sizes = mlp_sizes
        self.use_linear = use_linear
        self.use_pairwise = use_pairwise
        self.use_mlp = use_mlp
        self.use_film_ids = use_film_ids
        self.head = head
        self.dropout = dropout
        self.user_initial_spread = user_initial_spread
        self.catalogue_digest = catalogue_digest
        super().__init__(**kwargs)

    @property
    def num_logits(self) -> int:
        """Logits of one film and user: ten with the head `"ratings"`, one with a reward head."""
        return 10 if self.head == "ratings" else 1
