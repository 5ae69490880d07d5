"""``ugsd verifier``: a verifier process that answers edges over WebSocket."""

from __future__ import annotations

import argparse
import os

from ugsd_core.cli.output import progress
from ugsd_core.cli.parser import TOKEN_VARIABLE
from ugsd_core.errors import OptionError

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Load the checkpoint and serve it until stopped.

    Raises:
        CheckpointError: If the checkpoint can't be loaded.
        OptionError: If a setting has no meaning.
        WireError: If the port is in use, or the host is not of this machine.
    """
    if args.workers < 1:
        raise OptionError(f"the verifier needs at least 1 worker, not {args.workers}")
    with progress("loading the verifier", quiet=args.announce):
        from ugsd_core.models.loading import default_checkpoint
        from ugsd_core.verifier import TorchVerifier
        from ugsd_core.wire.server import run_server

        verifier = TorchVerifier.load(
            args.checkpoint or default_checkpoint("verifier"), device=args.device, dtype=args.dtype
        )
    return run_server(
        verifier,
        args.host,
        args.port,
        announce=args.announce,
        exit_with_parent=args.exit_with_parent,
        workers=args.workers,
        allow_remote=args.allow_remote,
        access_token=os.environ.get(TOKEN_VARIABLE) or None,
    )
