"""Configuration of the rating baselines."""

from transformers import PreTrainedConfig

KINDS = ("film-mean", "shrunk-bias", "als", "ridge", "bandit")
KINDS_WITH_VECTORS = ("als", "ridge", "bandit")


class RatingBaselineConfig(PreTrainedConfig):
    r"""
    Shape of a [`RatingBaselineModel`].

    Args:
        kind (`str`, defaults to `"shrunk-bias"`): `"film-mean"`, the mean rating of a film among training users;
            `"shrunk-bias"`, mean + film bias + user bias, each bias pulled to zero by its shrinkage; `"als"`, the same
            plus the product of a film's vector and the user's, which is folded in from the history; `"ridge"`, as
            als, but a film's vector is what its features say; `"bandit"`, a linear contextual bandit over what is
            known of film and user, which starts from what training users taught it and learns from the history.
        num_films (`int`, defaults to 1): films in the catalogue; film `i` is row `i` of every table of the model.
        user_shrinkage (`float`, defaults to 5.0): ratings of prior weight that pull a user's bias to zero.
        rank (`int`, defaults to 0): length of a film's vector; 0 for kinds without.
        penalty (`float`, defaults to 30.0): how little a history counts. als and ridge: on the squared length of the
            user's vector, in the regression that folds a user in; bandit: ratings that what training users taught
            it is worth.
        num_features (`int`, *optional*): features that a new film's estimate and vector are made of, 0 for kinds that
            know nothing of a film but its ratings; None for a model that takes no new films.
        spread_lengths (`list[int]`, defaults to `[0]`): history lengths at which the spread was measured, ascending.
        catalogue_digest (`str`, *optional*): of the film catalogue that the rows of the tables belong to.
    """

    model_type = "rating_baseline"

    def __init__(
        self,
        kind: str = "shrunk-bias",
        num_films: int = 1,
        user_shrinkage: float = 5.0,
        rank: int = 0,
        penalty: float = 30.0,
        num_features: int | None = None,
        spread_lengths: list[int] | None = None,
        catalogue_digest: str | None = None,
        **kwargs,
    ):
        if kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}, got {kind!r}")
        if user_shrinkage <= 0:
            raise ValueError(f"user_shrinkage must be above 0, got {user_shrinkage}")
        if (rank > 0) != (kind in KINDS_WITH_VECTORS):
            raise ValueError(
                f"rank is above 0 for {', '.join(KINDS_WITH_VECTORS)} and 0 for other kinds, got {rank} for {kind}"
            )
        if penalty <= 0:
            raise ValueError(f"penalty must be above 0, got {penalty}")
        self.kind = kind
        self.num_films = num_films
        self.user_shrinkage = user_shrinkage
        self.rank = rank
        self.penalty = penalty
        self.num_features = num_features
        self.spread_lengths = spread_lengths or [0]
        self.catalogue_digest = catalogue_digest
        super().__init__(**kwargs)
