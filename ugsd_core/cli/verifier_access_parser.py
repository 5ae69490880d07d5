"""Options of ``ugsd verifier`` that say who may connect, and ``ugsd verifier token``."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_access", "add_token"]


def add_access(parser: argparse.ArgumentParser) -> None:
    """Add the options; the limits' defaults are those of `ugsd_core.wire.limits.ClientLimits`."""
    group = parser.add_argument_group(
        "access", "Who may connect; see docs/security.md. Files are read anew when they change, and on SIGHUP."
    )
    group.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain in PEM: serve wss://")
    group.add_argument("--tls-key", type=Path, metavar="FILE", help="its key in PEM, without a password")
    group.add_argument(
        "--insecure-plaintext",
        "--allow-remote",
        action="store_true",
        help="answer other machines without TLS, such as a reverse proxy that ends it",
    )
    group.add_argument(
        "--token-file", type=Path, metavar="FILE", help="access tokens, a name and a token in each line (mode 600)"
    )
    group.add_argument(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="NET",
        help="address or network of a reverse proxy, whose X-Forwarded-For counts (repeat)",
    )
    group.add_argument(
        "--allowed-host", action="append", default=[], metavar="NAME", help="a name in the Host header (repeat)"
    )
    group.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a web page that may connect, such as https://example.org (repeat; none)",
    )
    limits = parser.add_argument_group(
        "limits for each client",
        "A client is whoever shows a token, or an address. They hold where other machines reach the verifier, and "
        "where one is typed.",
    )
    limits.add_argument("--client-sessions", type=int, metavar="N", help="at the same time (64)")
    limits.add_argument(
        "--client-connections", type=float, metavar="N", help="attempts to connect in a minute from an address (120)"
    )
    limits.add_argument("--client-requests", type=float, metavar="N", help="openings and blocks in a second (200)")
    limits.add_argument("--client-kb", type=float, metavar="KB", help="sent up in a second (4000)")
    limits.add_argument("--max-frame-kb", type=float, metavar="KB", help="the largest frame, 1 kB being 1,024 (512)")
    limits.add_argument("--max-audio-s", type=float, metavar="S", help="the longest recording (30)")
    limits.add_argument("--max-utterances", type=int, metavar="N", help="recordings in a session (10000)")
    limits.add_argument("--max-session-s", type=float, metavar="S", help="age of a session (86400)")
    limits.add_argument("--max-idle-s", type=float, metavar="S", help="time without a message (1800)")


def add_token(parser: argparse.ArgumentParser) -> None:
    """Add the command below ``ugsd verifier``."""
    commands = parser.add_subparsers(dest="verifier_command", metavar="", title="instead of serving")
    token = commands.add_parser(
        "token",
        help="draw an access token",
        description="Draw an access token. The first line is the token, for the edge (UGSD_ACCESS_TOKEN or its "
        "--token-file); the second goes into the verifier's --token-file, and lets the token in without holding it.",
    )
    token.add_argument("name", nargs="?", default="edge", metavar="NAME", help="whose token it is (edge)")
