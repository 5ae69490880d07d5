"""Options of ``ugsd verifier`` for whoever runs it: its configuration file, its log and its measures."""

from __future__ import annotations

import argparse

from ugsd_core.cli.config import add_config
from ugsd_core.logs import FORMATS, LEVELS

__all__ = ["add_operations", "megabytes"]


def add_operations(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_config(parser)
    group = parser.add_argument_group("operations", "See docs/how-to/verifier-elsewhere.md.")
    group.add_argument("--log-format", choices=FORMATS, default="text", help="lines on stderr: text, or json (text)")
    group.add_argument(
        "--log-level", choices=LEVELS, help="least important lines to log (info; with --announce warning)"
    )
    group.add_argument(
        "--metrics-port",
        type=int,
        metavar="PORT",
        help="answer /metrics, /healthz and /readyz on a port of their own, 0 takes a free one (the port of edges; "
        "/metrics there only if nobody but this machine reaches it)",
    )
    group.add_argument(
        "--metrics-host", default="127.0.0.1", metavar="HOST", help="address of that port; it has no TLS (127.0.0.1)"
    )
    group.add_argument(
        "--grace-s",
        type=float,
        default=10.0,
        metavar="S",
        help="after SIGTERM, captions under way may go on for so long (10)",
    )


def megabytes(text: str) -> float | str:
    """A number of megabytes, or ``auto``."""
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a number of megabytes, or auto, not {text!r}") from None
