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
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ugsd_core.batching import BatchLimits
from ugsd_core.errors import OptionError
from ugsd_core.verifier import Verifier
from ugsd_core.wire.connection import Connection, FramesClosed
from ugsd_core.wire.drain import GOING_AWAY, drain
from ugsd_core.wire.frames import MAX_FRAME_BYTES
from ugsd_core.wire.kept_codes import KeptCodes
from ugsd_core.wire.protocol import SUBPROTOCOL
from ugsd_core.wire.service import Service

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.websockets import WebSocket

__all__ = [
    "REPLICA_HEADER",
    "TOKEN_VARIABLE",
    "Access",
    "ReplicaSettings",
    "StarletteFrames",
    "VerifierReplica",
    "replica_app",
]

#: Header of the handshake's answer that names the replica, for whoever wants to know how sessions are spread.
REPLICA_HEADER = "x-ugsd-replica"
#: A replica reads the access token from its own environment: settings can be read by everybody who sees the cluster.
TOKEN_VARIABLE = "UGSD_ACCESS_TOKEN"
#: How long captions under way may go on when a replica is to end.
GRACE_S = 10.0
#: Seconds between two looks whether it is to end.
LOOK_EVERY_S = 0.2
#: WebSocket close codes (RFC 6455, 7.4.1).
POLICY_VIOLATION, TOO_BIG = 1008, 1009

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
        origins: Web pages that may connect, beside programs that are no browser.
        needs_token: Refuse to start where `TOKEN_VARIABLE` is not set.
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
    origins: tuple[str, ...] = ()
    needs_token: bool = False
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
            found = cls(**values | {"origins": tuple(values.get("origins", ()))})
            BatchLimits(**found.limits)  # type: ignore[arg-type]
        except TypeError as error:
            raise OptionError(f"the settings of a replica have an unknown name or type ({error})") from error
        if found.workers < 1:
            raise OptionError(f"the verifier needs at least 1 worker, not {found.workers}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"origins": list(self.origins)}

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


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in, and how a session begins; replace it to check in another way.

    Attributes:
        token: What an edge must show; None lets everyone in.
        origins: Web pages that may connect; None in it stands for programs that are no browser.
    """

    token: str | None = None
    origins: tuple[str | None, ...] = (None,)

    def lets_in(self, websocket: WebSocket) -> bool:
        """Whether the handshake is accepted: the subprotocol, the origin, and no compression."""
        headers = websocket.headers
        return (
            SUBPROTOCOL in websocket.scope.get("subprotocols", ())
            and headers.get("origin") in self.origins
            and "permessage-deflate" not in headers.get("sec-websocket-extensions", "")
        )

    def connection(self, frames: StarletteFrames, service: Service, kept: KeptCodes) -> Connection:
        """The session of a WebSocket that was accepted."""
        return Connection(frames, service, self.token, kept)


class StarletteFrames:
    """`ugsd_core.wire.connection.Frames` of a Starlette WebSocket that was accepted."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._closed = False
        self._receiving: asyncio.Future[Any] | None = None

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
        if len(frame) > MAX_FRAME_BYTES:
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
        access: Who is let in; None follows the settings and the environment.
        stopping: Says whether the replica is to end; None asks Serve.
        name: Of the replica; None asks Serve.

    Raises:
        CheckpointError, OptionError: If the model can't be loaded, or the token is missing.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        access: Access | None = None,
        stopping: Callable[[], bool] | None = None,
        name: str | None = None,
    ) -> None:
        self.settings = ReplicaSettings.from_dict(settings)
        token = os.environ.get(TOKEN_VARIABLE) or None
        if self.settings.needs_token and token is None:
            raise OptionError(f"set {TOKEN_VARIABLE} in the environment of every node before Ray is started there")
        self.access = access or Access(token, (None, *self.settings.origins))
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
        if not self.access.lets_in(websocket):
            await websocket.close(POLICY_VIOLATION)  # before it is accepted: HTTP 403
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
        connection = self.access.connection(frames, service, self._kept)
        self._connections.add(connection)
        self._empty.clear()
        logger.info("A session began; %d open.", self.open_sessions)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            if not self._connections:
                self._empty.set()
            await frames.close(1000)
            logger.info("A session ended; %d open.", self.open_sessions)

    async def _end_in_good_order(self) -> None:
        """Drain as soon as Serve wants the replica to end. Serve waits until no WebSocket is open."""
        while not self._stopping():
            await asyncio.sleep(LOOK_EVERY_S)
        logger.info("The replica is to end; %d sessions are told.", self.open_sessions)
        if not self._connections:
            self._empty.set()
        await drain(self._connections, self._empty.wait(), self.settings.grace_s)

    def check_health(self) -> None:
        """Serve asks this again and again, and starts another replica in this one's place when it raises.

        Raises:
            RuntimeError: If a thread that runs the model has ended.
        """
        if self._service is not None and not self._service.alive:
            raise RuntimeError("a thread that runs the model has ended")

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
