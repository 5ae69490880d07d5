"""Which library computes the edge: torch, which knows every checkpoint; onnxruntime, faster on a small one; llama.cpp,
faster on a large one.

``auto`` takes onnxruntime wherever it is installed and knows the checkpoint, llama.cpp for a folder made for it, and
torch for everything else; why is in docs/edge-backends.md.
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
BACKENDS = ("auto", "torch", "onnx", "llama")


def choose_backend(
    checkpoint: str | Path, backend: str = "auto", *, device: str = "cpu", dtype: str = "float32"
) -> str:
    """``torch``, ``onnx`` or ``llama``; loads nothing.

    Args:
        checkpoint: A folder, or a hub name.
        backend: One of `BACKENDS`.
        device, dtype: As `load_edge_model` takes them.

    Raises:
        OptionError: If the back end is unknown or does not go with device or type.
        CheckpointError: If the checkpoint was made for llama.cpp and another is named, or the other way round.
        InstallationError: If onnxruntime or llama.cpp is needed and not installed.
    """
    if backend not in BACKENDS:
        raise OptionError(f"--edge-backend is one of {', '.join(BACKENDS)}, not {backend!r}")
    if _for_llama(Path(checkpoint).expanduser()) or backend == "llama":
        return _llama(checkpoint, backend, device=device, dtype=dtype)
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
    chosen = choose_backend(checkpoint, backend, device=device, dtype=dtype)
    if chosen == "onnx":
        from ugsd_core.models.onnx_model import load_onnx_model

        return load_onnx_model(Path(checkpoint).expanduser())
    if chosen == "llama":
        from ugsd_core.models.llama_model import load_llama_model

        return load_llama_model(Path(checkpoint).expanduser())
    from ugsd_core.models.loading import limit_threads, load_speech_model

    model = load_speech_model(checkpoint, device=device, dtype=dtype)
    limit_threads(model)
    return model


def _for_llama(folder: Path) -> bool:
    """Whether a folder was made for llama.cpp."""
    from ugsd_core.models.gguf_file import DECODER

    return (folder / DECODER).is_file()


def _llama(checkpoint: str | Path, backend: str, *, device: str, dtype: str) -> str:
    """``llama``, if everything that it needs is there; raises as `choose_backend`."""
    from ugsd_core.parts import install_line

    if not _for_llama(Path(checkpoint).expanduser()):
        raise CheckpointError(
            f"{checkpoint} is no folder for llama.cpp; make one of it: ugsd checkpoints gguf {checkpoint} FOLDER"
        )
    if backend not in ("auto", "llama"):
        raise CheckpointError(f"{checkpoint} was made for llama.cpp; leave out --edge-backend {backend}")
    if device != "cpu" or dtype != "float32":
        raise OptionError(
            "an edge on llama.cpp computes on the CPU, in what its file holds; leave out --device and --dtype"
        )
    if find_spec("llama_cpp") is None:
        raise InstallationError(f"{checkpoint} needs the package llama-cpp-python; type {install_line('edge-llama')}")
    return "llama"


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
