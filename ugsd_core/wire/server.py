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
import json
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from ugsd_core.batching import MIN_RETRY_MS, BatchLimits
from ugsd_core.errors import OptionError, ProtocolError, WireError
from ugsd_core.messages import VerifyRequest
from ugsd_core.verifier import Verifier
from ugsd_core.wire.drain import GOING_AWAY, RETRY_AFTER_S, drain
from ugsd_core.wire.frames import MAX_FRAME_BYTES
from ugsd_core.wire.kept_codes import KeptCodes
from ugsd_core.wire.lanes import FeaturesNeeded, Lane
from ugsd_core.wire.messages import (
    DownMessage,
    Draining,
    ErrorReply,
    Generate,
    GeneratedReply,
    Open,
    Refused,
    UpMessage,
    VerdictReply,
)
from ugsd_core.wire.protocol import SUBPROTOCOL, decode_up, encode
from ugsd_core.wire.service import Service, busy
from ugsd_core.wire.session import JudgeWork, OpenWork, ServerSession, Work

__all__ = ["DEFAULT_HOST", "MAX_SESSIONS", "run_server", "serve"]

DEFAULT_HOST = "127.0.0.1"
MAX_SESSIONS = 256
HELLO_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
#: A child whose parent is gone ends by force if a model is still busy after this time.
ORPHAN_GRACE_S = 5.0
#: How long captions under way may go on after SIGTERM.
GRACE_S = 10.0

logger = logging.getLogger(__name__)
# At DEBUG websockets logs the content of frames; captions and codes must not get into a log that way.
_websocket_logger = logging.getLogger("ugsd_core.wire.websocket")
_websocket_logger.setLevel(logging.ERROR)


class _Connection:
    """One session: frames in, frames out, lanes in between."""

    def __init__(
        self, websocket: ServerConnection, service: Service, access_token: str | None, kept: KeptCodes | None = None
    ) -> None:
        self._websocket = websocket
        self._service = service
        self._session = ServerSession(service.verifier.info, access_token=access_token, kept=kept)
        self._lanes: dict[int, Lane] = {}
        self._shut_out: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Serve until the connection ends; never raises for what the other side did."""
        try:
            await self._serve()
        except ProtocolError as error:
            logger.warning("A session broke the protocol and was ended (%s).", error.code)
            sentence = _sentence(error)
            known = self._session.greeted
            last: DownMessage = ErrorReply(error.code, sentence) if known else Refused(error.code, sentence)
            with contextlib.suppress(ConnectionClosed):
                await self.send((last,))
                await self._websocket.close(1002)
        except ConnectionClosed:
            pass
        except TimeoutError:
            logger.info("A connection sent no hello in time and was closed.")
        finally:
            lanes = list(self._lanes.values())
            for lane in lanes:
                lane.stop()
            await asyncio.gather(*(lane.finished() for lane in lanes))
            self._service.forget_codes(self)
            self._session.ended()

    async def drain(self) -> None:
        """Begin nothing new; end as soon as nothing is open."""
        self._session.draining = True
        with contextlib.suppress(ConnectionClosed):
            if self._session.greeted:
                await self.send((Draining(int(RETRY_AFTER_S * 1e3)),))
            if self._session.drained:
                await self._websocket.close(GOING_AWAY)

    async def end(self, code: int) -> None:
        """End the connection now."""
        await self._websocket.close(code)

    async def _serve(self) -> None:
        while True:
            async with asyncio.timeout(None if self._session.greeted else HELLO_TIMEOUT_S):
                frame = await self._websocket.recv()
            if not isinstance(frame, bytes):
                raise ProtocolError("frames are binary")
            message, _ = decode_up(frame, self._session.info.vocabulary_size)
            refusal = self._refusal(message)
            if refusal is not None:
                await self.send((refusal,))
                continue
            step = self._session.receive(message)
            if isinstance(message, Open):
                self._service.hold_codes(self, self._session.code_bytes, self._session.forget_code)
            for serial in step.forgotten:
                lane = self._lanes.pop(serial, None)
                if lane is not None:
                    lane.stop()
            await self.send(step.replies)
            for work in step.work:
                await self._lane(work.serial).put(work)
            if step.ends or self._session.drained:
                await self._websocket.close(GOING_AWAY if self._session.drained else 1000)
                return

    def _lane(self, serial: int) -> Lane:
        if serial not in self._lanes:
            self._lanes[serial] = Lane(self._service, self, self._done, self._failed)
        return self._lanes[serial]

    def _refusal(self, message: UpMessage) -> ErrorReply | None:
        """Back-pressure, before any work and before anything of the request is remembered; None if there is room."""
        if not self._session.greeted or not isinstance(message, Open | VerifyRequest | Generate):
            return None
        retry_after_ms = self._service.admission.refusal_after_ms(self)
        name = message.request.utterance if isinstance(message, Generate) else message.utterance
        if isinstance(message, Open):
            # What follows an opening that was refused is refused, too: it would be about nothing.
            self._shut_out = self._shut_out | {name} if retry_after_ms is not None else self._shut_out - {name}
        elif name in self._shut_out:
            retry_after_ms = retry_after_ms or MIN_RETRY_MS
        return None if retry_after_ms is None else busy(message, retry_after_ms)

    async def _done(self, work: Work, result: object) -> None:
        """A piece of work has a result (None: the end of a generated caption)."""
        # Lane pairs each kind of work with its kind of result.
        if isinstance(work, OpenWork):
            await self.send(self._session.opened(work, result))  # type: ignore[arg-type]
        elif isinstance(work, JudgeWork):
            await self.send(self._session.judged(work, result))  # type: ignore[arg-type]
        elif result is None:
            await self.send(self._session.generated_all(work))
        else:
            await self.send(self._session.generated(work, result))  # type: ignore[arg-type]

    async def _failed(self, work: Work, error: Exception) -> None:
        """The model refused a piece of work, or failed on it."""
        if isinstance(error, FeaturesNeeded) and not isinstance(work, OpenWork):
            await self.send(self._session.needs_features(work))
            return
        if isinstance(error, ProtocolError):
            code, sentence = error.code, _sentence(error)
        elif isinstance(error, WireError | OptionError):
            code, sentence = "refused", _sentence(error)
        else:
            code, sentence = "internal", "The verifier failed on this request; its own log says where."
            # Without the exception's text, which may quote ids.
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.error("The verifier failed with %s.\n%s", type(error).__name__, frames)
        if isinstance(work, OpenWork):
            self._lanes.pop(work.serial, None)
        await self.send(self._session.failed(work, code, sentence))

    async def send(self, replies: tuple[DownMessage, ...]) -> None:
        """Send messages; one that the verifier filled wrongly becomes an error message.

        Raises:
            ConnectionClosed: If nobody is there any more.
        """
        for reply in replies:
            try:
                frame, _ = encode(reply, self._session.info.vocabulary_size)
            except ProtocolError as error:
                logger.error("The verifier gave an answer that cannot be sent: %s.", error)
                frame, _ = encode(_unsendable(reply))
            await self._websocket.send(frame)


def _sentence(error: Exception) -> str:
    """An error's message as text that a frame may hold."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(error)).strip()
    return text[:500] or type(error).__name__


def _unsendable(reply: DownMessage) -> ErrorReply:
    """What goes out instead of a message with impossible fields."""
    utterance = getattr(reply, "utterance", None)
    sequence = reply.verdict.sequence if isinstance(reply, VerdictReply) else None
    stream = reply.stream if isinstance(reply, GeneratedReply) else None
    return ErrorReply("internal", "The verifier gave an answer that cannot be sent.", utterance, sequence, stream)


# ── Serving ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _checked_host(host: str, allow_remote: bool) -> str:
    """The address to bind.

    Raises:
        OptionError: If it can be reached from other machines and that was not asked for.
    """
    if host == "localhost":  # might stand for two addresses, which would get two ports
        return DEFAULT_HOST
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local and not allow_remote:
        raise OptionError(
            f"{host} can be reached from other machines. Serve on 127.0.0.1, or allow it explicitly "
            "(--allow-remote) behind a reverse proxy that checks who connects."
        )
    if not local:
        logger.warning("Serving on %s: who may connect has to be decided by a reverse proxy in front.", host)
    return host


def _listen(host: str, port: int) -> socket.socket:
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
) -> None:
    """Serve until SIGTERM or SIGINT (in the main thread) or until ``stop`` is set.

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

    Raises:
        OptionError: If the host can be reached from other machines and ``allow_remote`` is not given.
        WireError: If the port is taken.
    """
    host = _checked_host(host, allow_remote)
    listener = _listen(host, port)
    address = "ws://{}:{}".format(f"[{host}]" if ":" in host else host, listener.getsockname()[1])
    stop = stop or asyncio.Event()
    open_sessions = 0
    connections: set[_Connection] = set()
    kept = KeptCodes()

    async def handle(websocket: ServerConnection) -> None:
        nonlocal open_sessions
        websocket.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(websocket, service, access_token, kept)
        if open_sessions >= MAX_SESSIONS:
            busy = Refused("busy", f"The verifier already serves {MAX_SESSIONS} sessions; try again later.")
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                async with asyncio.timeout(HELLO_TIMEOUT_S):
                    await websocket.recv()  # an edge that is cut off while it still speaks would not hear why
                await connection.send((busy,))
            return
        open_sessions += 1
        connections.add(connection)
        logger.info("A session began; %d open.", open_sessions)
        try:
            await connection.run()
        finally:
            open_sessions -= 1
            connections.discard(connection)
            logger.info("A session ended; %d open.", open_sessions)

    service = Service(verifier, limits, workers=workers)
    try:
        async with serve_websocket(
            handle,
            sock=listener,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            origins=[None if origin is None else Origin(origin) for origin in origins],
            compression=None,
            max_size=MAX_FRAME_BYTES,
            max_queue=4,
            close_timeout=CLOSE_TIMEOUT_S,
            server_header=None,
            logger=_websocket_logger,
        ) as server:
            with _ending_on_signals(stop):
                if on_ready is not None:
                    on_ready(address)
                await stop.wait()
            if grace_s > 0:
                server.close(close_connections=False)  # nobody is let in any more
                await drain(connections, server.wait_closed(), grace_s, at_once)
    finally:
        listener.close()
        await asyncio.to_thread(service.close)


@contextlib.contextmanager
def _ending_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set ``stop``; a second one finds the ordinary handlers again."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()

    def end() -> None:
        stop.set()
        restore()

    def restore() -> None:
        for number in numbers:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)

    for number in numbers:
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        restore()


def run_server(
    verifier: Verifier,
    host: str = DEFAULT_HOST,
    port: int = 0,
    announce: bool = False,
    exit_with_parent: bool = False,
    workers: int = 2,
    allow_remote: bool = False,
    access_token: str | None = None,
    limits: BatchLimits | None = None,
    grace_s: float = GRACE_S,
) -> int:
    """Serve in the foreground; the body of the command line's ``verifier``.

    Args:
        announce: Print one line of JSON to stdout, ``{"address": …, "name": …}``, once connections are accepted.
        exit_with_parent: End at once when stdin reaches its end, which it does however the parent process ends.
        grace_s: How long captions under way may go on after SIGTERM or SIGINT; a second signal ends the process.

    Returns:
        The exit code, 0.

    Raises:
        OptionError, WireError: As `serve`.
    """

    def ready(address: str) -> None:
        if announce:
            print(json.dumps({"address": address, "name": verifier.info.name}), flush=True)
        else:
            print(f"{verifier.info.name} listens on {address}", file=sys.stderr, flush=True)

    async def main() -> None:
        stop, at_once = asyncio.Event(), asyncio.Event()
        if exit_with_parent:
            watched = (asyncio.get_running_loop(), at_once, stop)
            threading.Thread(target=_watch_parent, args=watched, name="watch-parent", daemon=True).start()
        await serve(
            verifier,
            host,
            port,
            workers=workers,
            limits=limits,
            on_ready=ready,
            allow_remote=allow_remote,
            access_token=access_token,
            stop=stop,
            grace_s=grace_s,
            at_once=at_once,
        )

    asyncio.run(main())
    return 0


def _watch_parent(loop: asyncio.AbstractEventLoop, *events: asyncio.Event) -> None:
    """Set the events when stdin ends, and end the process by force if that does not help."""
    # os.read, not sys.stdin: a buffered reader blocked in a daemon thread aborts the interpreter's shutdown.
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    with contextlib.suppress(RuntimeError):  # the loop is closed already
        for event in events:
            loop.call_soon_threadsafe(event.set)
    threading.Event().wait(ORPHAN_GRACE_S)
    os._exit(0)
