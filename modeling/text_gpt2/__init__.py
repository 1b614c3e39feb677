"""GPT-2 over rating histories in words: films as texts, ratings as tokens."""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from .configuration_text_gpt2 import GPT2ForRatingConfig
from .film_tokens import FilmTokens, Trajectory
from .modeling_text_gpt2 import GPT2ForRating, GPT2ForRatingOutput

__all__ = ["FilmTokens", "GPT2ForRating", "GPT2ForRatingConfig", "GPT2ForRatingOutput", "Trajectory"]

AutoConfig.register(GPT2ForRatingConfig.model_type, GPT2ForRatingConfig, exist_ok=True)
AutoModel.register(GPT2ForRatingConfig, GPT2ForRating, exist_ok=True)
AutoModelForCausalLM.register(GPT2ForRatingConfig, GPT2ForRating, exist_ok=True)
