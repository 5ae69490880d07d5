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
import ipaddress
import logging
import socket
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from ugsd_core.batching import BatchLimits
from ugsd_core.errors import OptionError, WireError
from ugsd_core.logs import told
from ugsd_core.verifier import Verifier
from ugsd_core.wire.connection import HELLO_TIMEOUT_S, Connection, FramesClosed
from ugsd_core.wire.drain import drain
from ugsd_core.wire.endpoints import Endpoints, MetricsAddress
from ugsd_core.wire.frames import MAX_FRAME_BYTES
from ugsd_core.wire.kept_codes import KeptCodes
from ugsd_core.wire.messages import Refused
from ugsd_core.wire.protocol import SUBPROTOCOL
from ugsd_core.wire.service import Service

__all__ = ["DEFAULT_HOST", "MAX_SESSIONS", "WebSocketFrames", "listen", "quiet_logger", "serve"]

DEFAULT_HOST = "127.0.0.1"
MAX_SESSIONS = 256
CLOSE_TIMEOUT_S = 2.0

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


def _checked_host(host: str, allow_remote: bool) -> str:
    """The address to bind.

    Raises:
        OptionError: If it can be reached from other machines and that was not asked for.
    """
    if host == "localhost":  # might stand for two addresses, which would get two ports
        return DEFAULT_HOST
    local = _is_local(host)
    if not local and not allow_remote:
        raise OptionError(
            f"{host} can be reached from other machines. Serve on 127.0.0.1, or allow it explicitly "
            "(--allow-remote) behind a reverse proxy that checks who connects."
        )
    if not local:
        sentence = "Serving on %s: who may connect has to be decided by a reverse proxy in front."
        logger.warning(sentence, host, extra=told("remote", host=host))
    return host


def _is_local(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
    allow_remote: bool = False,
    access_token: str | None = None,
    origins: tuple[str | None, ...] = (None,),
    stop: asyncio.Event | None = None,
    grace_s: float = 0.0,
    at_once: asyncio.Event | None = None,
    metrics: MetricsAddress | None = None,
    on_service: Callable[[Service], None] | None = None,
) -> None:
    """Serve until ``stop`` is set.

    Args:
        verifier: What judges.
        host: Address to bind; only loopback unless ``allow_remote``.
        port: 0 picks a free one.
        workers: Threads that run the model.
        limits: How it is shared between sessions.
        on_ready: Called with the address (``ws://…``) once connections are accepted.
        access_token: What every edge must show; None lets everyone in.
        origins: Web pages that may connect; None in it stands for programs that are no browser.
        stop: Ends the server when set.
        grace_s: How long captions under way may go on after that (`ugsd_core.wire.drain`).
        at_once: Ends the grace when set.
        metrics: Where operators read the measures; None: on the same port, if only this machine reaches it.
        on_service: Called with what all sessions share, before connections are accepted.

    Raises:
        OptionError: If the host can be reached from other machines and ``allow_remote`` is not given.
        WireError: If the port is taken.
    """
    host = _checked_host(host, allow_remote)
    listener = listen(host, port)
    address = "ws://{}:{}".format(f"[{host}]" if ":" in host else host, listener.getsockname()[1])
    stop = stop or asyncio.Event()
    connections: set[Connection] = set()
    kept = KeptCodes()

    async def handle(websocket: ServerConnection) -> None:
        websocket.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(WebSocketFrames(websocket), service, access_token, kept)
        measures = service.measures
        if measures.sessions >= MAX_SESSIONS:
            busy = Refused("busy", f"The verifier already serves {MAX_SESSIONS} sessions; try again later.")
            with contextlib.suppress(ConnectionClosed, FramesClosed, TimeoutError):
                async with asyncio.timeout(HELLO_TIMEOUT_S):
                    await websocket.recv()  # an edge that is cut off while it still speaks would not hear why
                await connection.send((busy,))
            return
        measures.began()
        connections.add(connection)
        extra = told("session_began", open=measures.sessions, **connection.tally.who)
        logger.info("A session began; %d open.", measures.sessions, extra=extra)
        try:
            await connection.run()
        finally:
            measures.ended()
            connections.discard(connection)
            extra = told("session_ended", open=measures.sessions, **connection.tally.totals())
            logger.info("A session ended; %d open.", measures.sessions, extra=extra)

    service = Service(verifier, limits, workers=workers)
    endpoints = Endpoints(service, metrics=metrics is None and _is_local(host))
    if on_service is not None:
        on_service(service)
    try:
        async with (
            endpoints.listening(metrics),
            serve_websocket(
                handle,
                sock=listener,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                origins=[None if origin is None else Origin(origin) for origin in origins],
                compression=None,
                max_size=MAX_FRAME_BYTES,
                max_queue=4,
                close_timeout=CLOSE_TIMEOUT_S,
                server_header=None,
                logger=quiet_logger,
                process_request=endpoints.for_edges,
            ) as server,
        ):
            if on_ready is not None:
                on_ready(address)
            await stop.wait()
            if grace_s > 0:
                server.close(close_connections=False)  # nobody is let in any more
                service.measures.draining = True
                stood, cut = await drain(connections, server.wait_closed(), grace_s, at_once)
                service.measures.drained(stood - cut, cut)
    finally:
        listener.close()
        await asyncio.to_thread(service.close)
