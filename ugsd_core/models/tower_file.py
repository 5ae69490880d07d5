"""An audio tower by itself, its matrices in eight bits: what a decoder in a file of its own needs beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ugsd_core.errors import CheckpointError
from ugsd_core.models.families import family_of

__all__ = ["TOWER", "read_tower", "tower_weights"]

#: Name of the file in a checkpoint folder.
TOWER = "tower.safetensors"


def tower_weights(model: Any) -> dict[str, Any]:
    """The tower of a loaded thinker, matrices in eight bits with a scale a row; the rest as `quantise` keeps it."""
    from ugsd_core.models.eight_bit import quantise

    return quantise(dict(model.model.audio_tower.state_dict()))


def read_tower(folder: Path) -> tuple[Any, Any]:
    """A thinker that has a tower and nothing else, and its configuration.

    Linear layers stay in eight bits; convolutions, norms and biases become floats.

    Raises:
        CheckpointError: If the file is missing, damaged or of another model.
    """
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig

    from ugsd_core.models.eight_bit import SCALE, dequantise
    from ugsd_core.models.rounding import replace_linears
    from ugsd_core.models.weight_only import Int8Linear

    path = folder / TOWER
    config = AutoConfig.from_pretrained(str(folder))
    config = getattr(config, "thinker_config", config)
    with torch.device("meta"):
        model = family_of(config.model_type).model_class()._from_config(config)
    try:
        held = load_file(str(path))
        names = set(replace_linears(model.model.audio_tower, "int8"))
        for name in names:
            layer: Int8Linear = model.model.audio_tower.get_submodule(name)
            layer.take(held.pop(f"{name}.weight"), held.pop(f"{name}.weight{SCALE}"))
        floats = {name: value.float() for name, value in dequantise(held).items()}
        missing, unknown = model.model.audio_tower.load_state_dict(floats, strict=False, assign=True)
        lost = [name for name in missing if name.rpartition(".")[0] not in names]
        if lost or unknown:
            raise CheckpointError(f"{path} is of another model: it lacks {lost[:1]} or has {unknown[:1]} too much")
    except CheckpointError:
        raise
    except Exception as error:  # safetensors and torch raise their own kinds; the person needs one sentence
        raise CheckpointError(f"{path} is missing or damaged: {error}") from error
    _make_buffers(model.model.audio_tower)
    model.model.visual = model.model.language_model = model.lm_head = None
    return model.eval(), config


def _make_buffers(tower: Any) -> None:
    """Positions are computed, not kept: the module that has them is made once more."""
    for module in tower.modules():
        for key, buffer in list(module.named_buffers(recurse=False)):
            if buffer.is_meta:
                made = type(module)(module.length, module.channels, module.max_timescale)
                module.register_buffer(key, getattr(made, key), persistent=False)
