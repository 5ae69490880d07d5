"""The option ``--link`` of commands that reach a verifier."""

from __future__ import annotations

import argparse

__all__ = ["add_link"]


def add_link(group: argparse._ActionsContainer) -> None:
    """Add the option."""
    group.add_argument(
        "--link",
        metavar="LINK",
        default="none",
        help="emulate a slower network to the verifier: lan, wifi, 4g, far, satellite, or such as "
        "rtt=100,jitter=10,up=5,down=20 (ms, Mbit/s; mbit=5 is both directions); see docs/emulated-link.md (none)",
    )
