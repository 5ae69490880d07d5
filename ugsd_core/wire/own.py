"""The token of verifiers that this process started: drawn once, told in their environment, shown by our links alone.

Loopback can be reached by every user of the machine. A verifier of our own therefore asks for a token, too; nobody has
to choose one or pass it on.
"""

from __future__ import annotations

import secrets
import threading
from functools import cache
from urllib.parse import urlsplit

__all__ = ["TOKEN_VARIABLE", "child_token", "disown", "own", "own_token", "relayed"]

#: Holds the access token of a verifier, or for one; an argument could be read by every user of the machine.
TOKEN_VARIABLE = "UGSD_ACCESS_TOKEN"

_lock = threading.Lock()
_ours: set[str] = set()


@cache
def child_token() -> str:
    """What our verifiers ask for: 256 random bits, new in each process."""
    return secrets.token_urlsafe(32)


def _place(address: str) -> str:
    return urlsplit(address).netloc


def own(address: str) -> None:
    """A verifier of ours listens at an address."""
    with _lock:
        _ours.add(_place(address))


def disown(address: str) -> None:
    """It does so no longer."""
    with _lock:
        _ours.discard(_place(address))


def own_token(address: str) -> str | None:
    """The token for an address; None if no verifier of ours listens there."""
    with _lock:
        return child_token() if _place(address) in _ours else None


def relayed(relay: str, target: str) -> None:
    """A relay of ours listens at an address and leads to another."""
    if own_token(target) is not None:
        own(relay)
