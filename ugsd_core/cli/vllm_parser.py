"""Options of ``ugsd verifier`` for a decoder at a vLLM server, and the verifier that they ask for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ugsd_core.errors import OptionError

if TYPE_CHECKING:
    from ugsd_core.verifier import Verifier

__all__ = ["add_vllm", "vllm_verifier"]

#: Threads that wait for the server at least, which does the batching itself.
WORKERS = 16


def add_vllm(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group(
        "vLLM",
        "The decoder may run at a vLLM server (0.18 or later) that serves the same checkpoint (docs/how-to/vllm.md). "
        "Written against vLLM's published schema and tested against a server that follows it; not run with vLLM on a "
        "GPU here.",
    )
    group.add_argument(
        "--vllm", metavar="URL", help="the server, such as http://gpu:8000; its key, if any, in VLLM_API_KEY"
    )
    group.add_argument(
        "--vllm-top",
        metavar="N|all",
        default="20",
        help="best tokens told at a position; more needs --max-logprobs (20)",
    )
    group.add_argument("--vllm-timeout-s", type=float, default=30.0, metavar="S", help="longest wait for it (30)")


def vllm_verifier(args: argparse.Namespace) -> Verifier:
    """The verifier at the server that was named; no weights are read here. Raises ``args.workers`` to `WORKERS`.

    Raises:
        OptionError, CheckpointError, WireError: As `VllmVerifier.load`.
    """
    from ugsd_core.vllm.schema import ALL
    from ugsd_core.vllm.verifier import VllmVerifier

    if args.checkpoint is None:
        raise OptionError("--vllm needs --checkpoint: the folder or hub name of what the vLLM server serves")
    text = args.vllm_top.strip().lower()
    if text != "all" and not text.isdecimal():
        raise OptionError(f"--vllm-top is a number or 'all', not {args.vllm_top!r}")
    args.workers = max(args.workers, WORKERS)
    top = ALL if text == "all" else int(text)
    return VllmVerifier.load(args.checkpoint, args.vllm, top=top, timeout_s=args.vllm_timeout_s)
