"""How an edge shows itself to a verifier elsewhere: token, trusted certificates, padding.

All of it can stand in the environment; what is typed is put there, so that every link of the process finds it, and
processes that it starts do, too. The token itself stays in its file.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import MutableMapping
from pathlib import Path

from ugsd_core.errors import OptionError

__all__ = ["FILE_VARIABLE", "add_edge_access", "edge_token", "take_edge_access"]

TOKEN_VARIABLE = "UGSD_ACCESS_TOKEN"
#: Names a file that holds the token.
FILE_VARIABLE = "UGSD_ACCESS_TOKEN_FILE"
_VARIABLES = {"edge_token_file": FILE_VARIABLE, "tls_ca": "UGSD_TLS_CA", "pad": "UGSD_PAD"}


def add_edge_access(group: argparse._ActionsContainer) -> None:
    """Add the options to a command that takes ``--verifier``."""
    group.add_argument(
        "--token-file",
        dest="edge_token_file",
        metavar="FILE",
        help=f"access token for the verifier (or {TOKEN_VARIABLE}, {FILE_VARIABLE} in the environment)",
    )
    group.add_argument(
        "--tls-ca",
        metavar="FILE",
        help="trust this authority for wss:// and no other (or UGSD_TLS_CA in the environment)",
    )
    group.add_argument(
        "--pad",
        choices=("usual", "strict"),
        help="strict: all frames have one of three lengths (or UGSD_PAD in the environment)",
    )


def take_edge_access(args: argparse.Namespace, environment: MutableMapping[str, str] = os.environ) -> None:
    """Put what was typed into the environment."""
    for name, variable in _VARIABLES.items():
        value = getattr(args, name, None)
        if value is not None:
            environment[variable] = str(value)
            if name == "edge_token_file":
                environment.pop(TOKEN_VARIABLE, None)  # what is typed comes before what was there


def edge_token() -> str | None:
    """The token to show; None if there is none.

    Raises:
        OptionError: If the file that holds it cannot be read, can be read by others, or does not hold one token.
    """
    token = os.environ.get(TOKEN_VARIABLE)
    if token:
        return token
    path = os.environ.get(FILE_VARIABLE)
    if not path:
        return None
    from ugsd_core.wire.access import private_text

    lines = [line.split() for line in private_text(Path(path)).splitlines() if line.strip() and line[0] != "#"]
    if len(lines) != 1 or len(lines[0]) > 2 or lines[0][-1].startswith("sha256:"):
        raise OptionError(
            f"The token file {path} of an edge holds one token, alone or behind its name, and no SHA-256."
        )
    return lines[0][-1]
