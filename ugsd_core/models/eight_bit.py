"""Weights in eight bits a value: half the size of fp16, for a checkpoint that people download.

Every matrix row has its own scale, the largest magnitude of the row over 127, so that one large value costs its own
row some precision and no other. Vectors (norms, biases) stay in fp16. Only the file is in eight bits: loading turns it
back into floats, so the model computes as it always does.

The file is what the package *compressed-tensors* calls ``int-quantized``, one scale a channel, and ``config.json`` says
so. With that package installed, stock transformers opens the folder, to the same values; this program reads it by
itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ugsd_core.errors import CheckpointError

__all__ = ["dequantise", "is_eight_bit", "quantise", "quantise_checkpoint", "read_eight_bit"]

WEIGHTS = "model.safetensors"
SCALE = "_scale"
KEY = "quantization_config"
FORMAT = "int-quantized"
#: How others read the file; ``dequantize`` makes transformers do so once, while loading.
DESCRIPTION: dict[str, Any] = {
    "quant_method": "compressed-tensors",
    "format": FORMAT,
    "quantization_status": "compressed",
    "dequantize": True,
    "config_groups": {
        "group_0": {
            "format": FORMAT,
            "targets": ["Linear", "Embedding", "Conv1d", "Conv2d", "Conv3d"],
            "weights": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False},
            "input_activations": None,
            "output_activations": None,
        }
    },
    "ignore": [],
}


def quantise(weights: dict[str, Any]) -> dict[str, Any]:
    """Round the matrices of a state dict to eight bits.

    Args:
        weights: Names to float tensors.

    Returns:
        Each ``….weight`` of two or more dimensions as int8 of the same shape, with ``….weight_scale`` (rows, 1 …)
        float32 beside it; the others as fp16.
    """
    import torch

    rounded: dict[str, Any] = {}
    for name, value in weights.items():
        if value.dim() < 2 or not name.endswith(".weight"):
            rounded[name] = value.detach().half().contiguous()
            continue
        rows = value.detach().float().flatten(1)
        scale = rows.abs().amax(dim=1).clamp(min=1e-12) / 127
        levels = (rows / scale[:, None]).round().clamp(-127, 127)
        rounded[name] = levels.to(torch.int8).reshape(value.shape).contiguous()
        rounded[name + SCALE] = scale.reshape(-1, *(1 for _ in value.shape[1:])).contiguous()
    return rounded


def dequantise(rounded: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `quantise` up to rounding, in float32."""
    weights: dict[str, Any] = {}
    for name, value in rounded.items():
        if name.endswith(SCALE):
            continue
        scale = rounded.get(name + SCALE)
        weights[name] = value.float() if scale is None else value.float() * scale
    return weights


def is_eight_bit(config: dict[str, Any]) -> bool:
    """Whether a ``config.json`` says that the weights are kept as `quantise` rounds them."""
    found = config.get(KEY)
    return isinstance(found, dict) and found.get("format") == FORMAT and found.get("dequantize") is True


def read_eight_bit(folder: Path) -> dict[str, Any] | None:
    """The weights of a folder whose checkpoint is kept in eight bits, in float32; ``None`` for any other.

    Raises:
        CheckpointError: If the file is missing or damaged.
    """
    from safetensors.torch import load_file

    if not (folder / "config.json").is_file() or not is_eight_bit(_config(folder)):
        return None
    path = folder / WEIGHTS
    try:
        return dequantise(load_file(str(path)))
    except Exception as error:  # safetensors raises many kinds; the person needs one sentence
        raise CheckpointError(f"{path} is missing or damaged: {error}") from error


def quantise_checkpoint(folder: Path) -> tuple[int, int]:
    """Keep a folder's ``model.safetensors`` in eight bits, and say so in its ``config.json``.

    Returns:
        Size of the weights before and after, bytes.

    Raises:
        CheckpointError: If the folder holds no whole checkpoint.
    """
    from safetensors.torch import load_file, save_file

    whole = folder / WEIGHTS
    if not whole.is_file() or not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder} holds no {WEIGHTS} with a config.json to quantise")
    config = _config(folder)
    if is_eight_bit(config):
        raise CheckpointError(f"{folder} is kept in eight bits already, so there is nothing left to quantise")
    before = whole.stat().st_size
    part = folder / f"{WEIGHTS}.part"
    save_file(quantise(load_file(str(whole))), str(part), metadata={"format": "pt"})
    part.chmod(0o644)  # safetensors writes files for their owner alone
    part.replace(whole)
    text = json.dumps(config | {KEY: DESCRIPTION}, indent=2, sort_keys=True)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    return before, whole.stat().st_size


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    return found
