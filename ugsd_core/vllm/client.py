"""HTTP to a vLLM server, and what may go wrong with it in plain words.

The API key goes into one header of each request and nowhere else: not into errors, logs or `repr`, and after no
redirect. Nothing of a request is logged.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ugsd_core.errors import OptionError, ProtocolError, VerdictTimeout, VerifierUnavailable
from ugsd_core.vllm.schema import BAD_ANSWER, GENERATE_PATH

__all__ = ["KEY_VARIABLE", "TIMEOUT_S", "VllmClient"]

#: Holds the key of a server that was started with one.
KEY_VARIABLE = "VLLM_API_KEY"
#: Longest wait for an answer.
TIMEOUT_S = 30.0
#: An error of the server is told to this length.
MOST_SAID = 300


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: the key must not follow it."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class VllmClient:
    """A vLLM server. Safe for many threads.

    Args:
        address: Such as ``http://gpu:8000``.
        api_key: None takes that of the environment, if there is one.
        timeout_s: Longest wait for an answer.

    Raises:
        OptionError: If the address or the timeout has no meaning.
    """

    def __init__(self, address: str, *, api_key: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise OptionError("--vllm is the address of a vLLM server, such as http://gpu:8000, without user or query")
        if not 0 < timeout_s <= 3600:
            raise OptionError(f"a vLLM server is waited for 0 to 3600 s, not {timeout_s:g}")
        self.address = address.rstrip("/").removesuffix("/v1")
        self._timeout_s = timeout_s
        self._key = api_key if api_key is not None else os.environ.get(KEY_VARIABLE) or None
        self._opener = urllib.request.build_opener(_NoRedirect())

    def __repr__(self) -> str:
        return f"VllmClient({self.address!r})"

    def model(self) -> str:
        """Name of the model that it serves; the first of several.

        Raises:
            WireError: If it can't be reached, or serves none.
        """
        found = self._call("/v1/models", None).get("data")
        names = [entry.get("id") for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
        if not names or not isinstance(names[0], str):
            raise ProtocolError(f"the vLLM server at {self.address} names no model that it serves", BAD_ANSWER)
        return names[0]

    def generate(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask its token-in-token-out endpoint.

        Raises:
            VerifierUnavailable: If it can't be reached.
            VerdictTimeout: If it does not answer in time.
            ProtocolError: If it refuses, or its answer is no JSON object.
        """
        return self._call(GENERATE_PATH, json.dumps(request, separators=(",", ":")).encode())

    def _call(self, path: str, body: bytes | None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        call = urllib.request.Request(self.address + path, body, headers)
        try:
            with self._opener.open(call, timeout=self._timeout_s) as answer:
                raw = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error.code, path, error.read(65_536)) from None
        except TimeoutError as error:
            raise self._late() from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError | socket.timeout):
                raise self._late() from error
            said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            raise VerifierUnavailable(
                f"no vLLM server can be reached at {self.address} ({said}); is it running?"
            ) from error
        try:
            found = json.loads(raw)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ProtocolError(f"what answers at {self.address} is no vLLM server: it sent no JSON object", BAD_ANSWER)
        return found

    def _late(self) -> VerdictTimeout:
        return VerdictTimeout(f"the vLLM server at {self.address} did not answer within {self._timeout_s:g} s")

    def _refusal(self, status: int, path: str, body: bytes) -> ProtocolError | VerifierUnavailable:
        said = _error_text(body)
        if status in (401, 403):
            return ProtocolError(
                f"the vLLM server at {self.address} wants its API key; set {KEY_VARIABLE} where the verifier runs",
                "vllm_key",
            )
        if status == 404 and path == GENERATE_PATH and "model" not in said.lower():
            return ProtocolError(
                f"the vLLM server at {self.address} has no {GENERATE_PATH}; it takes vLLM 0.18 or later", "vllm_refused"
            )
        if status in (502, 503, 504):
            return VerifierUnavailable(f"the vLLM server at {self.address} is away just now (HTTP {status})")
        return ProtocolError(f"the vLLM server refused (HTTP {status}): {said or 'no reason given'}", "vllm_refused")


def _error_text(body: bytes) -> str:
    """What an error's body says: ``{"error": {"message": …}}``, before v0.10 ``{"message": …}``, or ``{"detail": …}``.

    Only its first line: pydantic quotes the input below.
    """
    try:
        found = json.loads(body)
    except ValueError:
        found = {}
    found = found if isinstance(found, dict) else {}
    error = found.get("error")
    said = error.get("message") if isinstance(error, dict) else found.get("message") or found.get("detail") or error
    lines = said.strip().splitlines() if isinstance(said, str) else []
    return lines[0][:MOST_SAID] if lines else ""
