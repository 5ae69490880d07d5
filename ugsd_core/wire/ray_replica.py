"""One verifier among several that Ray Serve keeps: a model, its `Service`, and the sessions of whoever was sent here.

Nothing here imports Ray. `replica_app` is what Serve calls for each WebSocket; `VerifierReplica` serves it with the
same `Connection` as `ugsd_core.wire.server`, so that a session's utterances and caches live in one process. Serve
forwards all frames of a WebSocket to the replica that accepted it, and to no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from ugsd_core.batching import BatchLimits
from ugsd_core.errors import OptionError
from ugsd_core.logs import told
from ugsd_core.verifier import Verifier
from ugsd_core.wire.access import AccessTokens
from ugsd_core.wire.connection import Connection, FramesClosed
from ugsd_core.wire.door import HELLO_BYTES, Access, Door, networks
from ugsd_core.wire.drain import GOING_AWAY, drain
from ugsd_core.wire.kept_codes import KeptCodes
from ugsd_core.wire.limits import ClientLimits
from ugsd_core.wire.own import TOKEN_VARIABLE
from ugsd_core.wire.protocol import SUBPROTOCOL
from ugsd_core.wire.service import Service

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.websockets import WebSocket

__all__ = [
    "REPLICA_HEADER",
    "ReplicaSettings",
    "StarletteFrames",
    "VerifierReplica",
    "replica_app",
]

#: Header of the handshake's answer that names the replica, for whoever wants to know how sessions are spread.
REPLICA_HEADER = "x-ugsd-replica"
#: How long captions under way may go on when a replica is to end.
GRACE_S = 10.0
#: Seconds between two looks whether it is to end, and between two at tokens and the age of sessions.
LOOK_EVERY_S, LOOK_AFTER_S = 0.2, 2.0
#: WebSocket close code (RFC 6455, 7.4.1).
TOO_BIG = 1009

_TUPLES = ("origins", "trusted_proxies", "allowed_hosts")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """What a replica loads and how it serves; another value in any of them makes a rolling update.

    Attributes:
        checkpoint: None is the embedded verifier. Each node has to find it under this name.
        device, dtype: Where and how it computes.
        batched: Whether blocks share passes.
        workers: Threads that run the model.
        threads: Of torch in each replica; 0 leaves that to torch.
        limits: Fields of `BatchLimits` that differ from the defaults.
        host: Where Serve's proxies listen; beyond loopback each client has limits, as `Door` has it.
        needs_token: Refuse to start where there is no token. A replica reads it from ``token_file`` or from its own
            environment: settings can be read by everybody who sees the cluster.
        token_file: Which every node has under this name.
        client_limits: Fields of `ClientLimits`; each replica counts for itself. None as `Door` has it.
        trusted_proxies, allowed_hosts, origins: As `ugsd_core.wire.door.Access`.
        grace_s: How long captions under way may go on when the replica is to end.
        made_by: ``module:callable`` that gives the `Verifier`; empty loads the checkpoint.
        release: Any text; another one replaces all replicas.
    """

    checkpoint: str | None = None
    device: str = "cpu"
    dtype: str = "float32"
    batched: bool = True
    workers: int = 2
    threads: int = 0
    limits: dict[str, float] = field(default_factory=dict)
    host: str = "127.0.0.1"
    needs_token: bool = False
    token_file: str | None = None
    client_limits: dict[str, float] | None = None
    trusted_proxies: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    grace_s: float = GRACE_S
    made_by: str = ""
    release: str = ""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ReplicaSettings:
        """The inverse of `to_dict`; what is missing has its default.

        Raises:
            OptionError: If a setting has no meaning.
        """
        try:
            found = cls(**values | {name: tuple(values.get(name, ())) for name in _TUPLES})
            BatchLimits(**found.limits)  # type: ignore[arg-type]
            ClientLimits(**found.client_limits or {})  # type: ignore[arg-type]
        except TypeError as error:
            raise OptionError(f"the settings of a replica have an unknown name or type ({error})") from error
        if found.workers < 1:
            raise OptionError(f"the verifier needs at least 1 worker, not {found.workers}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _TUPLES}

    def access(self) -> Access:
        """Who is let in.

        Raises:
            OptionError: If a token is needed and there is none, or its file can't be read.
        """
        tokens = None
        if self.token_file is not None:
            tokens = AccessTokens.from_file(Path(self.token_file))
        elif token := os.environ.get(TOKEN_VARIABLE):
            tokens = AccessTokens.single(token)
        if self.needs_token and tokens is None:
            raise OptionError(f"set {TOKEN_VARIABLE} in the environment of every node before Ray is started there")
        limits = None if self.client_limits is None else ClientLimits(**self.client_limits)  # type: ignore[arg-type]
        return Access(
            tokens=tokens,
            limits=limits,
            trusted_proxies=networks(self.trusted_proxies),
            allowed_hosts=self.allowed_hosts,
            origins=self.origins,
        )

    def load(self) -> Verifier:
        """The model.

        Raises:
            CheckpointError, OptionError: If it can't be loaded.
        """
        if self.made_by:
            module, _, name = self.made_by.partition(":")
            made: Verifier = getattr(import_module(module), name)()
            return made
        from ugsd_core.batched_verifier import load_verifier
        from ugsd_core.models.loading import default_checkpoint

        if self.threads:
            import torch

            torch.set_num_threads(self.threads)
        checkpoint = self.checkpoint or default_checkpoint("verifier")
        return load_verifier(checkpoint, device=self.device, dtype=self.dtype, batched=self.batched)


class Asking:
    """A handshake as `Door.look` wants it: address and headers, and a way to answer."""

    def __init__(self, websocket: WebSocket) -> None:
        client = websocket.client
        self.remote_address = None if client is None else (client.host, client.port)
        path = websocket.scope.get("path", "/")
        self.request = Request(path, Headers([(name, value) for name, value in websocket.headers.items()]))

    def respond(self, status: int, text: str) -> Response:
        """See `websockets.asyncio.server.ServerConnection.respond`."""
        return Response(status, "", Headers(), text.encode())


class StarletteFrames:
    """`ugsd_core.wire.connection.Frames` of a Starlette WebSocket that was accepted."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._closed = False
        self._largest = HELLO_BYTES
        self._receiving: asyncio.Future[Any] | None = None

    def widen(self, frame_bytes: int) -> None:
        """Take frames of this size from now on."""
        self._largest = frame_bytes

    async def recv(self) -> bytes | str:
        """The next frame; one that is too large ends the connection with 1009."""
        if self._closed:
            raise FramesClosed
        self._receiving = asyncio.ensure_future(self._websocket.receive())
        try:
            message = await self._receiving
        except asyncio.CancelledError:
            if self._closed:  # by this side, while it waited
                raise FramesClosed from None
            raise
        except (RuntimeError, OSError) as error:
            raise FramesClosed from error
        finally:
            self._receiving = None
        if message["type"] != "websocket.receive":
            self._closed = True
            raise FramesClosed
        frame: bytes | str | None = message.get("bytes")
        if frame is None:
            frame = str(message.get("text") or "")
        if len(frame) > self._largest:
            await self.close(TOO_BIG)
            raise FramesClosed
        return frame

    async def send(self, frame: bytes) -> None:
        """Send one frame."""
        from starlette.websockets import WebSocketDisconnect

        if self._closed:
            raise FramesClosed
        try:
            await self._websocket.send_bytes(frame)
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            self._closed = True
            raise FramesClosed from error

    async def close(self, code: int) -> None:
        """Close the connection, and end a `recv` that waits."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(Exception):  # whoever it was is gone already
            await self._websocket.close(code)
        if self._receiving is not None:
            self._receiving.cancel()


class VerifierReplica:
    """A model and its sessions. Made anywhere; all else happens on one event loop.

    Args:
        settings: `ReplicaSettings.to_dict`.
        stopping: Says whether the replica is to end; None asks Serve.
        name: Of the replica; None asks Serve.

    Raises:
        CheckpointError, OptionError: If the model can't be loaded, or the token is missing.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        stopping: Callable[[], bool] | None = None,
        name: str | None = None,
    ) -> None:
        self.settings = ReplicaSettings.from_dict(settings)
        self.door = Door(self.settings.access(), self.settings.host)
        if stopping is None or name is None:
            from ugsd_core.wire.ray_service import replica_facts

            name, stopping = replica_facts()
        self.name = name
        self._stopping = stopping
        self._connections: set[Connection] = set()
        self._kept = KeptCodes()
        self._service: Service | None = None
        self._watch: asyncio.Task[None] | None = None
        self._empty = asyncio.Event()
        self.verifier = self.settings.load()

    @property
    def open_sessions(self) -> int:
        """WebSockets that are served now."""
        return len(self._connections)

    def service(self) -> Service:
        """What the sessions share; made at the first one, on its event loop."""
        if self._service is None:
            limits = BatchLimits(**self.settings.limits)  # type: ignore[arg-type]
            self._service = Service(self.verifier, limits, workers=self.settings.workers)
            self._watch = asyncio.create_task(self._end_in_good_order())
        return self._service

    async def serve(self, websocket: WebSocket) -> None:
        """One session, from the handshake to its end."""
        if not self._may_come(websocket):
            await websocket.close()  # before it is accepted: HTTP 403
            return
        service = self.service()
        headers = [(REPLICA_HEADER.encode(), self.name.encode())]
        try:
            await websocket.accept(SUBPROTOCOL, headers)
        except (RuntimeError, OSError):
            return  # nobody is there any more
        frames = StarletteFrames(websocket)
        if self._stopping():
            await frames.close(GOING_AWAY)
            return
        guest = self.door.guest(Asking(websocket), frames.widen)  # type: ignore[arg-type]
        connection = Connection(frames, service, guest, self._kept)
        self._connections.add(connection)
        self._empty.clear()
        service.measures.began()
        extra = told("session_began", open=self.open_sessions, **connection.tally.who)
        logger.info("A session began; %d open.", self.open_sessions, extra=extra)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            if not self._connections:
                self._empty.set()
            await frames.close(1000)
            service.measures.ended()
            extra = told("session_ended", open=self.open_sessions, **connection.tally.totals())
            logger.info("A session ended; %d open.", self.open_sessions, extra=extra)

    def _may_come(self, websocket: WebSocket) -> bool:
        """Whether a handshake is accepted: the door's rules, the origin, the subprotocol, and no compression."""
        asking, headers = Asking(websocket), websocket.headers
        return (
            SUBPROTOCOL in websocket.scope.get("subprotocols", ())
            and headers.get("origin") in (None, *self.door.access.origins)
            and "permessage-deflate" not in headers.get("sec-websocket-extensions", "")
            and self.door.look(asking, asking.request) is None  # type: ignore[arg-type]
        )

    async def _end_in_good_order(self) -> None:
        """Drain as soon as Serve wants the replica to end. Serve waits until no WebSocket is open."""
        due_s = time.monotonic()
        while not self._stopping():
            await asyncio.sleep(LOOK_EVERY_S)
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + LOOK_AFTER_S
                self.door.refresh()
                looks = (each.look_after() for each in tuple(self._connections))
                await asyncio.gather(*looks, return_exceptions=True)
        logger.info("The replica is to end; %d sessions are told.", self.open_sessions)
        if not self._connections:
            self._empty.set()
        assert self._service is not None
        self._service.measures.draining = True
        stood, cut = await drain(self._connections, self._empty.wait(), self.settings.grace_s)
        self._service.measures.drained(stood - cut, cut)

    def check_health(self) -> None:
        """Serve asks this again and again, and starts another replica in this one's place when it raises.

        Raises:
            RuntimeError: If a thread that runs the model hangs or has ended.
        """
        if self._service is not None and not self._service.sound:
            raise RuntimeError("; ".join(self._service.faults()))

    def __del__(self) -> None:
        """Serve calls it when all sessions have ended."""
        service, self._service = getattr(self, "_service", None), None
        if service is not None:
            threading.Thread(target=service.close, name="close", daemon=True).start()


def replica_app(replica: Callable[[], VerifierReplica] | None = None) -> Starlette:
    """What answers HTTP: sessions at any path, and nothing else.

    Args:
        replica: Gives the replica that serves; None asks Serve for the one of this process.
    """
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute

    if replica is None:
        from ugsd_core.wire.ray_service import this_replica

        replica = this_replica
    here = replica

    async def session(websocket: WebSocket) -> None:
        await here().serve(websocket)

    return Starlette(routes=[WebSocketRoute("/{path:path}", session)])
