"""How the edge's back end is typed, wherever an edge is loaded."""

from __future__ import annotations

import argparse

__all__ = ["BACKEND_NAMES", "add_edge_backend"]

#: As `ugsd_core.models.backends.BACKENDS`, which a test compares.
BACKEND_NAMES = ("auto", "torch", "onnx", "llama")


def add_edge_backend(group: argparse._ActionsContainer) -> None:
    """Add ``--edge-backend``."""
    group.add_argument(
        "--edge-backend",
        choices=BACKEND_NAMES,
        default="auto",
        help="what computes the edge: torch; onnx, the faster one, for the embedded edge and others in eight bits on "
        "the CPU; llama, for folders made by 'ugsd checkpoints gguf'; auto, whichever of the last two fits, else torch "
        "(auto)",
    )
