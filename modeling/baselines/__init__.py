"""The baselines that every table holds, with the interface of the models."""

from transformers import AutoConfig, AutoModel

from .configuration_rating_baseline import RatingBaselineConfig
from .modeling_rating_baseline import RatingBaselineModel

__all__ = ["RatingBaselineConfig", "RatingBaselineModel"]

AutoConfig.register(RatingBaselineConfig.model_type, RatingBaselineConfig, exist_ok=True)
AutoModel.register(RatingBaselineConfig, RatingBaselineModel, exist_ok=True)
