"""Options of ``ugsd verifier`` that say how it is shared between sessions."""

from __future__ import annotations

import argparse

from ugsd_core.cli.operations_parser import megabytes

__all__ = ["add_sharing"]


def add_sharing(parser: argparse.ArgumentParser) -> None:
    """Add the options; the defaults are those of `ugsd_core.batching.BatchLimits`."""
    group = parser.add_argument_group("sharing", "How the sessions share the model; see docs/verifier-service.md.")
    group.add_argument("--unbatched", action="store_true", help="judge each block in a forward pass of its own")
    group.add_argument("--batch-rows", type=int, metavar="N", help="blocks in one forward pass (32)")
    group.add_argument("--batch-tokens", type=int, metavar="N", help="token ids in one forward pass (2048)")
    group.add_argument(
        "--batch-window-ms", type=float, metavar="MS", help="longest wait of a block for others to join it (2; 0: none)"
    )
    group.add_argument(
        "--memory-mb",
        type=megabytes,
        metavar="MB",
        help="what the recordings of all sessions may take; auto: half of what is free when the model is loaded (2048)",
    )
    group.add_argument("--waiting", type=int, metavar="N", help="requests that may wait, of all sessions (1024)")
    group.add_argument("--waiting-each", type=int, metavar="N", help="requests that may wait, of one session (64)")
