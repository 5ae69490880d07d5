"""``ugsd verifier``: a verifier process that answers edges over WebSocket."""

from __future__ import annotations

import argparse
import os

from ugsd_core.batching import BatchLimits
from ugsd_core.cli.output import progress
from ugsd_core.cli.parser import TOKEN_VARIABLE
from ugsd_core.errors import OptionError

__all__ = ["limits_of", "run"]


def run(args: argparse.Namespace) -> int:
    """Load the checkpoint and serve it until stopped.

    Raises:
        CheckpointError: If the checkpoint can't be loaded.
        OptionError: If a setting has no meaning.
        WireError: If the port is in use, or the host is not of this machine.
    """
    if args.workers < 1:
        raise OptionError(f"the verifier needs at least 1 worker, not {args.workers}")
    limits = limits_of(args)
    with progress("loading the verifier", quiet=args.announce):
        from ugsd_core.batched_verifier import load_verifier
        from ugsd_core.models.loading import default_checkpoint
        from ugsd_core.wire.server import run_server

        verifier = load_verifier(
            args.checkpoint or default_checkpoint("verifier"),
            device=args.device,
            dtype=args.dtype,
            batched=not args.unbatched,
        )
        verifier.warm_up()  # before it is announced: the first edge finds it ready
    return run_server(
        verifier,
        args.host,
        args.port,
        announce=args.announce,
        exit_with_parent=args.exit_with_parent,
        workers=args.workers,
        limits=limits,
        allow_remote=args.allow_remote,
        access_token=os.environ.get(TOKEN_VARIABLE) or None,
    )


def limits_of(args: argparse.Namespace) -> BatchLimits:
    """What was typed, and the defaults for the rest.

    Raises:
        OptionError: If a limit has no meaning.
    """
    typed = {
        "rows": args.batch_rows,
        "tokens": args.batch_tokens,
        "window_ms": args.batch_window_ms,
        "memory_mb": args.memory_mb,
        "waiting": args.waiting,
        "waiting_each": args.waiting_each,
    }
    return BatchLimits(**{name: value for name, value in typed.items() if value is not None})
