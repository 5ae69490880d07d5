"""Weights in eight bits a value: half the size of fp16, for a checkpoint that people download.

Every matrix row has its own scale, the largest magnitude of the row over 127, so that one large value costs its own
row some precision and no other. Vectors (norms, biases) stay in fp16. Only the file is in eight bits: loading turns it
back into floats, so the model computes as it always does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ugsd_core.errors import CheckpointError

__all__ = ["EIGHT_BIT_FILE", "dequantise", "quantise", "quantise_checkpoint", "read_eight_bit"]

EIGHT_BIT_FILE = "model-8bit.safetensors"
SCALE = ".scale"


def quantise(weights: dict[str, Any]) -> dict[str, Any]:
    """Round the matrices of a state dict to eight bits.

    Args:
        weights: Names to float tensors.

    Returns:
        Each tensor of two or more dimensions as int8 of the same shape, with ``NAME.scale`` (rows,) float32 beside it;
        the others as fp16.
    """
    import torch

    rounded: dict[str, Any] = {}
    for name, value in weights.items():
        if value.dim() < 2:
            rounded[name] = value.detach().half().contiguous()
            continue
        rows = value.detach().float().flatten(1)
        scale = rows.abs().amax(dim=1).clamp(min=1e-12) / 127
        levels = (rows / scale[:, None]).round().clamp(-127, 127)
        rounded[name] = levels.to(torch.int8).reshape(value.shape).contiguous()
        rounded[name + SCALE] = scale.contiguous()
    return rounded


def dequantise(rounded: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `quantise` up to rounding, in float32."""
    weights: dict[str, Any] = {}
    for name, value in rounded.items():
        if name.endswith(SCALE):
            continue
        scale = rounded.get(name + SCALE)
        weights[name] = value.float() if scale is None else (value.float().flatten(1) * scale[:, None]).view_as(value)
    return weights


def read_eight_bit(folder: Path) -> dict[str, Any] | None:
    """The weights of a folder whose checkpoint is kept in eight bits, in float32; ``None`` for any other.

    Raises:
        CheckpointError: If the file is damaged.
    """
    from safetensors.torch import load_file

    path = folder / EIGHT_BIT_FILE
    if not path.is_file():
        return None
    try:
        return dequantise(load_file(str(path)))
    except Exception as error:  # safetensors raises many kinds; the person needs one sentence
        raise CheckpointError(f"{path} is damaged: {error}") from error


def quantise_checkpoint(folder: Path) -> tuple[int, int]:
    """Replace a folder's ``model.safetensors`` by `EIGHT_BIT_FILE`.

    Returns:
        Size of the weights before and after, bytes.

    Raises:
        CheckpointError: If the folder holds no whole checkpoint.
    """
    from safetensors.torch import load_file, save_file

    whole = folder / "model.safetensors"
    if not whole.is_file():
        raise CheckpointError(f"{folder} holds no model.safetensors to quantise")
    before = whole.stat().st_size
    target = folder / EIGHT_BIT_FILE
    save_file(quantise(load_file(str(whole))), str(target), metadata={"format": "pt"})
    target.chmod(0o644)  # safetensors writes files for their owner alone
    whole.unlink()
    return before, target.stat().st_size
