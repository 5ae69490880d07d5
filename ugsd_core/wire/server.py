"""Serve a `Verifier` over WebSocket.

One event loop moves frames; the model runs in the threads of a `Service`, which all sessions share. Every opening of an
utterance has its own lane, in which work is done in order and one piece at a time; lanes of one session, and of
different sessions, run side by side.
Nothing that is logged holds token ids, captions or acoustic codes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Origin, Subprotocol

from ugsd_core.batching import BatchLimits
from ugsd_core.errors import WireError
from ugsd_core.logs import told
from ugsd_core.verifier import Verifier
from ugsd_core.wire.access import AccessTokens
from ugsd_core.wire.connection import Connection, FramesClosed
from ugsd_core.wire.door import HELLO_BYTES, Access, Door, is_loopback
from ugsd_core.wire.drain import drain
from ugsd_core.wire.endpoints import Endpoints, MetricsAddress
from ugsd_core.wire.kept_codes import KeptCodes
from ugsd_core.wire.protocol import SUBPROTOCOL
from ugsd_core.wire.service import Service

__all__ = ["DEFAULT_HOST", "WebSocketFrames", "listen", "quiet_logger", "serve"]

DEFAULT_HOST = "127.0.0.1"
CLOSE_TIMEOUT_S = 2.0
#: How often tokens, certificate and the age of sessions are looked at.
LOOK_S = 2.0

logger = logging.getLogger(__name__)
# At DEBUG websockets logs the content of frames; captions and codes must not get into a log that way.
quiet_logger = logging.getLogger("ugsd_core.wire.websocket")
quiet_logger.setLevel(logging.ERROR)


class WebSocketFrames:
    """`Frames` of a connection of the library *websockets*."""

    def __init__(self, websocket: ServerConnection) -> None:
        self._websocket = websocket

    async def recv(self) -> bytes | str:
        """The next frame."""
        try:
            return await self._websocket.recv()
        except ConnectionClosed as error:
            raise FramesClosed from error

    async def send(self, frame: bytes) -> None:
        """Send one frame."""
        try:
            await self._websocket.send(frame)
        except ConnectionClosed as error:
            raise FramesClosed from error

    async def close(self, code: int) -> None:
        """Close the connection."""
        await self._websocket.close(code)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        WireError: If the port is taken or the address is not this machine's.
    """
    if not 0 <= port <= 65535:
        raise WireError(f"There is no port {port}; ports are 0…65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"Port {port} on {host} is in use; choose another one (0 picks a free one)."
        elif error.errno == errno.EACCES:
            message = f"Port {port} on {host} may not be opened by this user; choose one above 1023."
        else:
            message = f"Cannot serve on {host}:{port} ({error.strerror or error})."
        raise WireError(message) from error


async def serve(
    verifier: Verifier,
    host: str = DEFAULT_HOST,
    port: int = 0,
    *,
    workers: int = 2,
    limits: BatchLimits | None = None,
    on_ready: Callable[[str], None] | None = None,
    access: Access | None = None,
    access_token: str | None = None,
    stop: asyncio.Event | None = None,
    grace_s: float = 0.0,
    at_once: asyncio.Event | None = None,
    reload: asyncio.Event | None = None,
    metrics: MetricsAddress | None = None,
    on_service: Callable[[Service], None] | None = None,
) -> None:
    """Serve until ``stop`` is set.

    Args:
        verifier: What judges.
        host: Address to bind; any but loopback needs what `Access.check` says.
        port: 0 picks a free one.
        workers: Threads that run the model.
        limits: How it is shared between sessions.
        on_ready: Called with the address (``ws://…``, ``wss://…``) once connections are accepted.
        access: Who may connect, and how; without it everyone on this machine.
        access_token: In the place of ``access``: what every edge must show.
        stop: Ends the server when set.
        grace_s: How long captions under way may go on after that (`ugsd_core.wire.drain`).
        at_once: Ends the grace when set.
        reload: Tokens and certificate are read anew when set; a file that changes is seen anyway.
        metrics: Where operators read the measures; None: on the same port, if only this machine reaches it.
        on_service: Called with what all sessions share, before connections are accepted.

    Raises:
        OptionError: If the host can be reached from other machines and is not protected.
        WireError: If the port is taken.
    """
    if host == "localhost":  # might stand for two addresses, which would get two ports
        host = DEFAULT_HOST
    access = access or Access(tokens=None if access_token is None else AccessTokens.single(access_token))
    access.check(host)
    door = Door(access, host)
    listener = listen(host, port)
    scheme = "ws" if access.tls is None else "wss"
    address = "{}://{}:{}".format(scheme, f"[{host}]" if ":" in host else host, listener.getsockname()[1])
    stop = stop or asyncio.Event()
    connections: set[Connection] = set()
    kept = KeptCodes()

    async def handle(websocket: ServerConnection) -> None:
        websocket.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def widen(frame_bytes: int) -> None:
            websocket.protocol.max_message_size = frame_bytes

        connection = Connection(WebSocketFrames(websocket), service, door.guest(websocket, widen), kept)
        connections.add(connection)
        service.measures.began()
        extra = told("session_began", open=len(connections), **connection.tally.who)
        logger.info("A session began; %d open.", len(connections), extra=extra)
        try:
            await connection.run()
        finally:
            connections.discard(connection)
            service.measures.ended()
            extra = told("session_ended", open=len(connections), **connection.tally.totals())
            logger.info("A session ended; %d open.", len(connections), extra=extra)

    service = Service(verifier, limits, workers=workers)
    direct = is_loopback(host) and not access.trusted_proxies
    endpoints = Endpoints(service, metrics=metrics is None and direct)

    def look(websocket: ServerConnection, request: Request) -> Response | None:
        answer = endpoints.probe(request)
        if answer is None and (answer := door.look(websocket, request)) is not None:
            service.measures.refused(f"http_{answer.status_code}")
        return answer or endpoints.measures(request)

    if on_service is not None:
        on_service(service)
    try:
        async with (
            endpoints.listening(metrics),
            serve_websocket(
                handle,
                sock=listener,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                process_request=look,
                origins=[None, *(Origin(origin) for origin in access.origins)],
                ssl=None if access.tls is None else access.tls.context,
                compression=None,
                max_size=HELLO_BYTES,
                max_queue=4,
                close_timeout=CLOSE_TIMEOUT_S,
                server_header=None,
                logger=quiet_logger,
            ) as server,
        ):
            if on_ready is not None:
                on_ready(address)
            looking = asyncio.create_task(_look_after(door, connections, reload or asyncio.Event()))
            await stop.wait()
            looking.cancel()
            if grace_s > 0:
                server.close(close_connections=False)  # nobody is let in any more
                service.measures.draining = True
                stood, cut = await drain(connections, server.wait_closed(), grace_s, at_once)
                service.measures.drained(stood - cut, cut)
    finally:
        listener.close()
        await asyncio.to_thread(service.close)


async def _look_after(door: Door, connections: set[Connection], reload: asyncio.Event) -> None:
    """Every few seconds: tokens and certificate that have changed, sessions that are over."""
    while True:
        asked = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                asked = await reload.wait()
        reload.clear()
        door.refresh(always=asked)
        looked = await asyncio.gather(*(each.look_after() for each in tuple(connections)), return_exceptions=True)
        for error in looked:
            if isinstance(error, Exception) and not isinstance(error, FramesClosed | ConnectionClosed):
                extra = told("look_failed", error=type(error).__name__)
                logger.error("A session could not be looked after (%s).", type(error).__name__, extra=extra)
