"""Rounding a thinker's weights to eight or four bits: weight by weight while it is loaded, or of one made in place.

Transformers reads a checkpoint tensor by tensor and lets a *quantiser* turn each into what is kept, so a model is never
whole in its own precision. Ours rounds every linear layer of decoder and audio tower. Head and embedding, which a
checkpoint may share, are rounded when all else is there; they are the largest matrices, and the head, too, is read for
every token. Norms, biases and convolutions stay floats, and so do activations.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ugsd_core.errors import OptionError

__all__ = ["WEIGHT_ONLY", "quantisation_config", "replace_linears", "round_ends", "settle"]

#: Names of precisions in which only weights are rounded.
WEIGHT_ONLY = ("int8", "int4")
#: Modules that are left as they are: rounded afterwards, never used, or too small to matter.
LEFT = ("lm_head", "visual", "audio_bos_eos_token")


def replace_linears(model: Any, precision: str) -> list[str]:
    """Put rounded layers, still empty, in place of a model's linear ones; returns their names.

    Args:
        model: A thinker, on the meta device if it is large.
        precision: One of `WEIGHT_ONLY`.
    """
    import torch

    from ugsd_core.models.weight_only import linear_class

    made = linear_class(precision)
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and not any(part in LEFT for part in name.split("."))
    ]
    for name in names:
        linear = model.get_submodule(name)
        with torch.device("meta"):
            rounded = made(linear.in_features, linear.out_features, linear.bias is not None)
        model.set_submodule(name, rounded)
    return names


def round_ends(model: Any, precision: str) -> None:
    """Round head and embedding of a model that holds their floats; the embedding always to eight bits, row by row."""
    from ugsd_core.models.weight_only import Int8Embedding, linear_class

    embedding, head = model.get_input_embeddings(), model.lm_head
    rounded_head = linear_class(precision)(head.in_features, head.out_features, False)
    rounded_head.set_weight(head.weight)
    rows = Int8Embedding(embedding.num_embeddings, embedding.embedding_dim)
    rows.set_weight(embedding.weight)
    model.set_output_embeddings(rounded_head)
    model.set_input_embeddings(rows)


def settle(model: Any) -> Any:
    """Make float32 of what stayed float, so that activations are float32; what is rounded stays as it is."""
    from ugsd_core.models.weight_only import Int8Embedding, RoundedLinear

    for module in model.modules():
        if isinstance(module, RoundedLinear):
            if module.bias is not None:
                module.bias.data = module.bias.data.float()
        elif not isinstance(module, Int8Embedding):
            for tensor in [*module.parameters(recurse=False), *module.buffers(recurse=False)]:
                if tensor.is_floating_point():
                    tensor.data = tensor.data.float()
    return model.eval()


def quantisation_config(precision: str, family: str) -> Any:
    """What ``from_pretrained`` is given as ``quantization_config``.

    Raises:
        OptionError: If the family's weights are mostly experts, which are no linear layers.
    """
    if family != "qwen2_5_omni":
        raise OptionError(
            f"{precision} is for checkpoints of the Qwen2.5-Omni class; the experts of this one cannot be rounded "
            "here, so take bfloat16"
        )
    config_class = _registered()
    return config_class(precision)


@lru_cache(maxsize=1)
def _registered() -> Any:
    """The configuration's class; makes quantiser and configuration known to transformers, once a process."""
    import torch
    from transformers.core_model_loading import ConversionOps
    from transformers.quantizers.auto import register_quantization_config, register_quantizer
    from transformers.quantizers.base import HfQuantizer
    from transformers.utils.quantization_config import QuantizationConfigMixin

    from ugsd_core.models.weight_only import RoundedLinear

    method = "ugsd_weight_only"

    class Round(ConversionOps):
        """A float weight in, its rounded parts out."""

        def convert(
            self, input_dict: dict[str, Any], source_patterns: list[str], target_patterns: list[str], **rest: Any
        ) -> dict[str, Any]:
            """As transformers calls it for each weight."""
            model, full_layer_name = rest["model"], rest["full_layer_name"]
            (value,) = input_dict.values()
            weight = value[0] if isinstance(value, list) else value
            name = full_layer_name.removesuffix(".weight")
            parts = model.get_submodule(name).rounded(weight)
            missing = rest.get("missing_keys")
            for part in parts:
                if missing is not None:
                    missing.discard(f"{name}.{part}")
            return {f"{name}.{part}": value for part, value in parts.items()}

    @register_quantization_config(method)
    class Config(QuantizationConfigMixin):
        """Which precision."""

        def __init__(self, precision: str = "int8", **_rest: Any) -> None:
            self.quant_method: Any = method
            self.precision = precision

    @register_quantizer(method)
    class Quantiser(HfQuantizer):
        """Rounds while loading."""

        quantization_config: Any

        def param_needs_quantization(self, model: Any, param_name: str, **_rest: Any) -> bool:
            """The weights of the layers that were put in place."""
            name, _, kind = param_name.rpartition(".")
            return kind == "weight" and isinstance(model.get_submodule(name), RoundedLinear)

        def get_quantize_ops(self) -> Any:
            """How a weight is rounded."""
            return Round()

        def _process_model_before_weight_loading(self, model: Any, **_rest: Any) -> None:
            replace_linears(model, self.quantization_config.precision)

        def _process_model_after_weight_loading(self, model: Any, **_rest: Any) -> Any:
            with torch.no_grad():
                round_ends(model, self.quantization_config.precision)
                return settle(model)

        @property
        def is_trainable(self) -> bool:
            """It is not."""
            return False

        def is_serializable(self) -> bool:
            """It is not."""
            return False

    return Config
