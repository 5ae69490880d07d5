"""What a verifier answers to plain HTTP: ``/healthz``, ``/readyz`` and ``/metrics``.

They stand on the port that edges use, and nothing of a client is in them. ``/metrics`` is for whoever runs the
verifier: it is there on a port that only this machine reaches and that was not reached through a reverse proxy, or on
an address of its own (``--metrics-port``, on loopback unless ``--metrics-host`` says otherwise), as etcd, Envoy and
others keep what is for operators off the port for clients. A bearer token in its place would put the clients' secret
into the monitoring's configuration, and would let every client read the measures.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from ugsd_core.logs import told

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection

    from ugsd_core.wire.service import Service

__all__ = ["Endpoints", "MetricsAddress"]

#: Reverse proxies add one of them; who comes through one is not on this machine.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MetricsAddress:
    """Where operators read the measures; port 0 picks a free one."""

    port: int
    host: str = "127.0.0.1"


class Endpoints:
    """Answers of one server.

    Args:
        service: Whose state and measures they tell.
        metrics: Whether ``/metrics`` is told on the edges' port.
    """

    def __init__(self, service: Service, *, metrics: bool) -> None:
        self._service = service
        self._metrics = metrics

    def probe(self, request: Request) -> Response | None:
        """The answer to ``/healthz`` and ``/readyz``, whoever asks; None to anything else."""
        path = request.path.partition("?")[0]
        if path == "/healthz":
            return _text(HTTPStatus.OK, "ok\n")
        if path == "/readyz":
            faults = self._service.faults()
            status = HTTPStatus.SERVICE_UNAVAILABLE if faults else HTTPStatus.OK
            return _text(status, json.dumps({"ready": not faults, "faults": faults}) + "\n", "application/json")
        return None

    def measures(self, request: Request) -> Response | None:
        """The answer to ``/metrics`` on the edges' port; None to what is not asked here, such as a WebSocket."""
        if request.path.partition("?")[0] != "/metrics":
            return None
        if not self._metrics or any(name in request.headers for name in FORWARDED):
            return _text(HTTPStatus.NOT_FOUND, "The measures are not told here; see --metrics-port.\n")
        return self._told()

    def for_operators(self, _: ServerConnection, request: Request) -> Response:
        """The answer on an address of its own."""
        if request.path.partition("?")[0] == "/metrics":
            return self._told()
        return self.probe(request) or _text(HTTPStatus.NOT_FOUND, "There is /healthz, /readyz and /metrics.\n")

    @contextlib.asynccontextmanager
    async def listening(self, address: MetricsAddress | None) -> AsyncIterator[str | None]:
        """Serve `for_operators` there; gives the address (``http://…``), or None if there is none.

        Raises:
            WireError: If the port is taken.
        """
        if address is None:
            yield None
            return
        from websockets.asyncio.server import serve

        from ugsd_core.wire.server import listen, quiet_logger

        listener = listen(address.host, address.port)
        host = f"[{address.host}]" if ":" in address.host else address.host
        told_at = f"http://{host}:{listener.getsockname()[1]}/metrics"
        options = {"process_request": self.for_operators, "server_header": None, "logger": quiet_logger}
        try:
            async with serve(_nobody, sock=listener, max_size=1024, open_timeout=5.0, **options):  # type: ignore[arg-type]
                logger.info("Measures are at %s.", told_at, extra=told("metrics", address=told_at))
                yield told_at
        finally:
            listener.close()

    def _told(self) -> Response:
        body, content_type = self._service.measures.text()
        return _response(HTTPStatus.OK, body, content_type)


async def _nobody(connection: ServerConnection) -> None:
    """Every request is answered before there is a WebSocket."""


def _text(status: HTTPStatus, body: str, content_type: str = "text/plain; charset=utf-8") -> Response:
    return _response(status, body.encode(), content_type)


def _response(status: HTTPStatus, body: bytes, content_type: str) -> Response:
    headers = Headers(
        [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
        ]
    )
    return Response(status.value, status.phrase, headers, body)
