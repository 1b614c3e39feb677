"""Configuration of the rating baselines."""

from transformers import PreTrainedConfig

KINDS = ("film-mean", "shrunk-bias")


class RatingBaselineConfig(PreTrainedConfig):
    r"""
    Shape of a [`RatingBaselineModel`].

    Args:
        kind (`str`, defaults to `"shrunk-bias"`): `"film-mean"`, the mean rating of a film among training users, or
            `"shrunk-bias"`, mean + film bias + user bias, each bias pulled to zero by its shrinkage.
        num_films (`int`, defaults to 1): films in the catalogue; film `i` is row `i` of every table of the model.
        user_shrinkage (`float`, defaults to 5.0): ratings of prior weight that pull a user's bias to zero.
        spread_lengths (`list[int]`, defaults to `[0]`): history lengths at which the spread was measured, ascending.
        catalogue_digest (`str`, *optional*): of the film catalogue that the rows of the tables belong to.
    """

    model_type = "rating_baseline"

    def __init__(
        self,
        kind: str = "shrunk-bias",
        num_films: int = 1,
        user_shrinkage: float = 5.0,
        spread_lengths: list[int] | None = None,
        catalogue_digest: str | None = None,
        **kwargs,
    ):
        if kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}, got {kind!r}")
        if user_shrinkage <= 0:
            raise ValueError(f"user_shrinkage must be above 0, got {user_shrinkage}")
        self.kind = kind
        self.num_films = num_films
        self.user_shrinkage = user_shrinkage
        self.spread_lengths = spread_lengths or [0]
        self.catalogue_digest = catalogue_digest
        super().__init__(**kwargs)
