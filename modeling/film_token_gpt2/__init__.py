"""GPT-2 over rating histories in which a whole film is one token."""

from transformers import AutoConfig, AutoModel

from .configuration_film_token_gpt2 import FilmTokenGPT2Config
from .modeling_film_token_gpt2 import FilmTokenGPT2Model, FilmTokenGPT2Output

__all__ = ["FilmTokenGPT2Config", "FilmTokenGPT2Model", "FilmTokenGPT2Output"]

AutoConfig.register(FilmTokenGPT2Config.model_type, FilmTokenGPT2Config, exist_ok=True)
AutoModel.register(FilmTokenGPT2Config, FilmTokenGPT2Model, exist_ok=True)
