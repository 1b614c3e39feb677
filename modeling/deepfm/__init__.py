"""DeepFM: a linear part, inner products of dense embeddings and a multilayer perceptron, summed."""

from transformers import AutoConfig, AutoModel

from .configuration_deepfm import DeepFMConfig
from .modeling_deepfm import DeepFMModel, DeepFMOutput

__all__ = ["DeepFMConfig", "DeepFMModel", "DeepFMOutput"]

AutoConfig.register(DeepFMConfig.model_type, DeepFMConfig, exist_ok=True)
AutoModel.register(DeepFMConfig, DeepFMModel, exist_ok=True)
