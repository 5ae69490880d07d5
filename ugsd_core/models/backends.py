"""Which library computes the edge: torch, which knows every checkpoint, or onnxruntime, which is faster on a small one.

``auto`` takes onnxruntime wherever it is installed and knows the checkpoint, and torch for everything else; why is in
docs/edge-backends.md.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ugsd_core.errors import CheckpointError, InstallationError, OptionError

if TYPE_CHECKING:
    from ugsd_core.drafter import StreamModel

__all__ = ["BACKENDS", "choose_backend", "load_edge_model"]

#: Names of the back ends, and ``auto``.
BACKENDS = ("auto", "torch", "onnx")


def choose_backend(
    checkpoint: str | Path, backend: str = "auto", *, device: str = "cpu", dtype: str = "float32"
) -> str:
    """``torch`` or ``onnx``; loads nothing.

    Args:
        checkpoint: A folder, or a hub name.
        backend: One of `BACKENDS`.
        device, dtype: As `load_edge_model` takes them.

    Raises:
        OptionError: If the back end is unknown or does not go with device or type.
        InstallationError: If onnxruntime is asked for and not installed.
    """
    if backend not in BACKENDS:
        raise OptionError(f"--edge-backend is one of {', '.join(BACKENDS)}, not {backend!r}")
    if backend == "torch":
        return "torch"
    plain = device == "cpu" and dtype == "float32"
    there = find_spec("onnxruntime") is not None
    if backend == "onnx":
        if not plain:
            raise OptionError("--edge-backend onnx computes on the CPU; leave out --device and --dtype, or name torch")
        if not there:
            from ugsd_core.parts import install_line

            raise InstallationError(
                f"--edge-backend onnx needs the package onnxruntime; type {install_line('edge-onnx')}"
            )
        return "onnx"
    return "onnx" if plain and there and _known(Path(checkpoint).expanduser()) else "torch"


def load_edge_model(
    checkpoint: str | Path, backend: str = "auto", *, device: str = "cpu", dtype: str = "float32"
) -> StreamModel:
    """Load a checkpoint for an edge.

    Args:
        checkpoint: A folder, or a hub name.
        backend: One of `BACKENDS`.
        device, dtype: Where and how torch computes; onnxruntime computes on the CPU.

    Raises:
        CheckpointError: If it is missing, damaged, or of a kind that the back end does not know.
        OptionError, InstallationError: As `choose_backend`.
    """
    if choose_backend(checkpoint, backend, device=device, dtype=dtype) == "onnx":
        from ugsd_core.models.onnx_model import load_onnx_model

        return load_onnx_model(Path(checkpoint).expanduser())
    from ugsd_core.models.loading import limit_threads, load_speech_model

    model = load_speech_model(checkpoint, device=device, dtype=dtype)
    limit_threads(model)
    return model


def _known(folder: Path) -> bool:
    """Whether onnxruntime can compute a checkpoint here: weights in eight bits, in one file, of the one family."""
    from ugsd_core.models.eight_bit import WEIGHTS, is_eight_bit
    from ugsd_core.models.onnx_graph import Sizes

    if not (folder / WEIGHTS).is_file():
        return False
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        Sizes.read(str(folder), config)
    except (OSError, ValueError, CheckpointError):  # torch's loader finds the words for what is damaged
        return False
    return is_eight_bit(config)
