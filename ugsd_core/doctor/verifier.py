"""What a verifier says of itself at ``/readyz``, which anybody may ask without a model."""

from __future__ import annotations

import json
import ssl
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

from ugsd_core.doctor.finding import Finding
from ugsd_core.errors import UgsdError

__all__ = ["GROUP", "check_ready"]

GROUP = "captioning"
NAME = "verifier's own word"
#: How long an answer may take, seconds.
_PATIENCE_S = 5.0
#: Most bytes that are read of it.
_MOST = 4096


def check_ready(address: str) -> Finding:
    """Whether a verifier says that it is ready.

    Args:
        address: As ``--verifier`` takes it, ``ws://…`` or ``wss://…``.
    """
    url = _probe(address)
    if url is None:
        return Finding(GROUP, NAME, "missing", f"{address} is no address of a verifier", "such as ws://gpu:8765")
    try:
        status, body = _asked(url)
    except UgsdError as error:
        return Finding(GROUP, NAME, "missing", str(error), "see --tls-ca")
    except (OSError, ssl.SSLError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        return Finding(GROUP, NAME, "missing", f"{url} does not answer: {reason}", "start one there (ugsd verifier)")
    try:
        told: Any = json.loads(body)
        ready, faults = bool(told["ready"]), [str(fault) for fault in told["faults"]]
    except (ValueError, KeyError, TypeError):
        # A proxy that lets nothing but WebSockets through, say: the caption below still shows whether it works.
        return Finding(GROUP, NAME, "note", f"{url} is not told there (HTTP {status})")
    if ready:
        return Finding(GROUP, NAME, "ok", f"ready, says {url}", details={"ready": True, "faults": []})
    said = f"not ready, says {url}: {', '.join(faults)}"
    mend = "see its log, and docs/verifier-operations.md"
    return Finding(GROUP, NAME, "missing", said, mend, {"ready": False, "faults": faults})


def _probe(address: str) -> str | None:
    """Where it is asked; None if the address is none."""
    try:
        parts = urlsplit(address)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme)
        _ = parts.port
    except ValueError:
        return None
    if scheme is None or not parts.hostname:
        return None
    return urlunsplit((scheme, parts.netloc, f"{parts.path.rstrip('/')}/readyz", "", ""))


def _asked(url: str) -> tuple[int, bytes]:
    """Status and body of the answer, whatever the status."""
    from ugsd_core.wire.tls import client_context

    # Links to verifiers use no proxy either.
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=client_context()))
    try:
        with opener.open(url, timeout=_PATIENCE_S) as answer:
            return answer.status, answer.read(_MOST)
    except HTTPError as error:
        with error:
            return error.code, error.read(_MOST)
