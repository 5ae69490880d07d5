"""`WebSocketLink`: the edge's end of the wire, as the decoding loop holds it.

Blocking calls with deadlines. Every frame in either direction is recorded, whatever becomes of it. A connection that
broke is not repaired behind the caller's back: the call raises, and the next `WebSocketLink.connect` makes a new one.
`ugsd_core.wire.reconnect.ReconnectingLink` does that and goes on with the caption.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import urlsplit

from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    NegotiationError,
    WebSocketException,
)
from websockets.protocol import State
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket
from websockets.typing import Subprotocol

from ugsd_core.errors import (
    HandshakeRefused,
    OptionError,
    ProtocolError,
    VerdictTimeout,
    VerifierBusy,
    VerifierUnavailable,
)
from ugsd_core.messages import (
    FrameRecord,
    GeneratedToken,
    GenerateRequest,
    OpenedReply,
    OpenRequest,
    Verdict,
    VerifierInfo,
    VerifyRequest,
)
from ugsd_core.wire.closing import ClosingLink
from ugsd_core.wire.dialogue import EdgeSession, Resume
from ugsd_core.wire.frames import MAX_FRAME_BYTES, Padding
from ugsd_core.wire.messages import UpMessage, describe, posterior_bytes
from ugsd_core.wire.own import own_token
from ugsd_core.wire.protocol import PROTOCOL_VERSION, SUBPROTOCOL, decode_down, encode, tag_of
from ugsd_core.wire.tls import client_context, explain

__all__ = ["PAD_VARIABLE", "WebSocketLink", "check_address"]

#: ``strict`` in it pads all frames of an edge to three lengths.
PAD_VARIABLE = "UGSD_PAD"

T = TypeVar("T")

#: Frames looked at after a deadline has passed.
_MAX_OVERTIME = 256

# As on the server: at DEBUG websockets would log what frames hold.
_websocket_logger = logging.getLogger("ugsd_core.wire.websocket")
_websocket_logger.setLevel(logging.ERROR)


def check_address(address: str) -> str:
    """An address without white space around it.

    Raises:
        OptionError: If it is no WebSocket address.
    """
    address = address.strip()
    try:
        parts = urlsplit(address)
        fine = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise OptionError(f"A verifier's address looks like ws://127.0.0.1:8765 or wss://host, not {address!r}.")
    return address


class WebSocketLink(ClosingLink):
    """A `ugsd_core.verifier.VerifierLink` over WebSocket. Used from one thread at a time; `close` from any.

    Args:
        address: ``ws://host:port`` or ``wss://host``.
        access_token: For verifiers that ask for one. One that this process started gets the token drawn for it.
        tls_ca: The authorities that are trusted for ``wss://`` (`ugsd_core.wire.tls.client_context`).
        padding: How frames are padded, in both directions; None asks the environment (`PAD_VARIABLE`).
        open_timeout_s: Longest wait for connection and handshake.
        ping_interval_s: Time between keepalive pings.
        ping_timeout_s: A verifier that answers no ping for so long counts as gone. Generous, because a verifier that
            loads or prefills may not answer for seconds.
        send_timeout_s: Longest time that sending may be stuck; None is ``ping_timeout_s``.
        resume: What an earlier connection left, and this one will; None begins anew.

    Raises:
        OptionError: If the address is no WebSocket address.
    """

    def __init__(
        self,
        address: str,
        *,
        access_token: str | None = None,
        tls_ca: str | None = None,
        padding: Padding | None = None,
        open_timeout_s: float = 5.0,
        ping_interval_s: float = 10.0,
        ping_timeout_s: float = 20.0,
        send_timeout_s: float | None = None,
        resume: Resume | None = None,
    ) -> None:
        self._address = check_address(address)
        self._access_token = own_token(self._address) or access_token
        self._tls_ca = tls_ca
        self._padding: Padding = padding or ("strict" if os.environ.get(PAD_VARIABLE) == "strict" else "usual")
        self._open_timeout_s = open_timeout_s
        self._ping_interval_s = ping_interval_s
        self._ping_timeout_s = ping_timeout_s
        self._send_timeout_s = ping_timeout_s if send_timeout_s is None else send_timeout_s
        self._resume = resume
        self._websocket: ClientConnection | None = None
        self._session: EdgeSession | None = None
        self._frames: list[FrameRecord] = []
        self._frames_lock = threading.Lock()

    @property
    def address(self) -> str:
        """Where the verifier is, for people."""
        return self._address

    @property
    def connected(self) -> bool:
        """Whether the connection stands, as far as this side knows."""
        return self._websocket is not None and self._websocket.state is State.OPEN and self._session is not None

    @property
    def session(self) -> EdgeSession | None:
        """What this side knows of the session; None without one."""
        return self._session

    def ping(self) -> threading.Event | None:
        """Send a ping; gives what is set when it is answered, or None if the connection is broken."""
        websocket = self._websocket
        try:
            return None if websocket is None else websocket.ping()
        except (ConnectionClosed, OSError):
            return None

    # ── Handshake ─────────────────────────────────────────────────────────────────────────────────────────────────

    def connect(self, edge: VerifierInfo, options: dict[str, object]) -> VerifierInfo:
        """See `VerifierLink.connect`."""
        session = self._session
        if self.connected and session is not None and session.verifier is not None:
            # Other checkpoints on the edge, or a verifier that is about to end: shake hands again.
            if session.edge != edge or session.draining is not None:
                self.close()
            else:
                return session.verifier
        self.close()
        deadline = time.monotonic() + self._open_timeout_s
        self._websocket = self._connect()
        self._session = session = EdgeSession(edge, self._resume)
        try:
            told = options if self._padding == "usual" else options | {"pad": self._padding}
            self._send(session.hello(told, self._access_token))
            return self._wait(lambda: session.verifier, deadline)
        except HandshakeRefused:
            self.close()
            raise
        except VerdictTimeout as error:
            self.close()
            raise VerifierUnavailable(
                f"The program at {self._address} did not answer as a verifier within {self._open_timeout_s:g} s."
            ) from error
        except ProtocolError as error:
            self.close()
            if error.code == "version":
                raise self._other_version() from error
            raise VerifierUnavailable(
                f"The program at {self._address} does not answer like a verifier ({error})."
            ) from error

    def _connect(self) -> ClientConnection:
        """A WebSocket connection with our subprotocol."""
        secure = client_context(self._tls_ca) if self._address.lower().startswith("wss:") else None
        try:
            websocket = connect_websocket(
                self._address,
                ssl=secure,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                proxy=None,
                user_agent_header=None,
                open_timeout=self._open_timeout_s,
                ping_interval=self._ping_interval_s,
                ping_timeout=self._ping_timeout_s,
                close_timeout=1.0,
                max_size=MAX_FRAME_BYTES,
                max_queue=256,  # late answers pile up here until somebody waits or looks
                logger=_websocket_logger,
            )
        except NegotiationError as error:
            raise self._other_version() from error
        except InvalidStatus as error:
            if b"subprotocol" in (error.response.body or b""):
                raise self._other_version() from error
            if error.response.status_code in (429, 503):
                raise VerifierUnavailable(
                    f"The verifier at {self._address} takes no more connections from here just now; "
                    f"try again in {error.response.headers.get('Retry-After', 'a few')} s."
                ) from error
            if error.response.status_code == 421:
                raise VerifierUnavailable(
                    f"The verifier behind {self._address} does not answer to this name. Use its own name, or start it "
                    "with --allowed-host for this one."
                ) from error
            raise VerifierUnavailable(
                f"There is a web server at {self._address}, but no verifier (HTTP status "
                f"{error.response.status_code}). Check the address."
            ) from error
        except ssl.SSLError as error:
            raise VerifierUnavailable(explain(error, self._address)) from error
        # AssertionError: websockets 17 has a race when a peer talks nonsense before it was asked anything.
        except (InvalidHandshake, WebSocketException, EOFError, AssertionError) as error:
            raise VerifierUnavailable(
                f"Something answers at {self._address}, but it is no verifier. Check the address"
                + (", and whether it should begin with wss://." if secure is None else ".")
            ) from error
        except TimeoutError as error:
            raise VerifierUnavailable(
                f"Nobody answers at {self._address} within {self._open_timeout_s:g} s. Check the address and the "
                "network."
            ) from error
        except OSError as error:
            raise VerifierUnavailable(
                f"No verifier answers at {self._address}. Start one with `ugsd verifier`, or check the address."
            ) from error
        # Entering switches off a warning of websockets 17 about connections that nobody closes; close() closes it.
        websocket.__enter__()
        if websocket.subprotocol != SUBPROTOCOL:
            websocket.close()
            raise self._other_version()
        with contextlib.suppress(OSError):  # closed again already; sending will say so
            _tune(websocket.socket, self._send_timeout_s)
        return websocket

    def _other_version(self) -> HandshakeRefused:
        return HandshakeRefused(
            f"The program at {self._address} does not speak version {PROTOCOL_VERSION} of this protocol "
            f"({SUBPROTOCOL}). Use the same version of this program on both sides.",
            "version",
        )

    # ── Asking ────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self, request: OpenRequest) -> None:
        """See `VerifierLink.open`."""
        self._send(self._standing().open(request))

    def opened(self, utterance: str, deadline_s: float) -> OpenedReply:
        """See `VerifierLink.opened`."""
        session = self._standing()
        return self._wait(lambda: session.opened(utterance), time.monotonic() + deadline_s)

    def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
        """See `VerifierLink.judge`."""
        session = self._standing()
        deadline = time.monotonic() + deadline_s
        try:
            while True:
                opening = session.open_again(request.utterance)
                if opening is not None:
                    self._send(opening)
                try:
                    self._send(session.verify(request))
                    return self._wait(session.verdict, deadline)
                except VerifierBusy as error:
                    if time.monotonic() + error.retry_after_s >= deadline:
                        raise
                    time.sleep(error.retry_after_s)
        finally:
            session.stop_verify()

    def generate(self, request: GenerateRequest, deadline_s: float) -> Iterator[GeneratedToken]:
        """See `VerifierLink.generate`. Nothing is asked before the first token is wanted."""
        session = self._standing()
        message = session.generate(request)
        try:
            self._send(message)
            while True:
                deadline = time.monotonic() + deadline_s
                token = self._wait(
                    lambda: session.stream_ended or session.token(request.utterance), deadline, "the next token"
                )
                if token is True:
                    return
                assert isinstance(token, GeneratedToken)
                yield token
        finally:
            # By number: an abandoned iterator may be collected after something else was asked.
            session.stop_stream(message.stream)

    def close_utterance(self, utterance: str) -> None:
        """See `VerifierLink.close_utterance`."""
        session = self._session
        message = None if session is None else session.close(utterance)
        if message is not None and self.connected:
            with contextlib.suppress(VerifierUnavailable, ProtocolError):
                self._send(message)

    def take_frames(self) -> list[FrameRecord]:
        """See `VerifierLink.take_frames`. Frames that have arrived and that nobody waited for are among them."""
        self.poll()
        with self._frames_lock:
            frames, self._frames = self._frames, []
        return frames

    def close(self) -> None:
        """See `VerifierLink.close`."""
        websocket, self._websocket, self._session = self._websocket, None, None
        if websocket is not None:
            with contextlib.suppress(Exception):  # a broken connection may fail to close in many ways
                websocket.close()

    # ── Frames ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _standing(self) -> EdgeSession:
        """The session.

        Raises:
            VerifierUnavailable: If there is none (any more).
        """
        session = self._session
        if session is None or session.verifier is None or not self.connected:
            raise self._lost()
        return session

    def _lost(self) -> VerifierUnavailable:
        """Let go of a broken connection."""
        self.close()
        return VerifierUnavailable(f"The connection to the verifier at {self._address} was lost.")

    def _send(self, message: UpMessage) -> None:
        session, websocket = self._session, self._websocket
        if session is None or websocket is None or websocket.state is not State.OPEN:
            raise self._lost()
        frame, payload_bytes = encode(message, session.edge.vocabulary_size, self._padding)
        traffic, contents = describe(message)
        # Recorded before it is sent: of a frame that fails half way, some may have left the device.
        at_s, tag, emotion_bytes = time.perf_counter(), tag_of(message), posterior_bytes(message)
        self._record(FrameRecord(at_s, "up", traffic, tag, payload_bytes, len(frame), contents, emotion_bytes))
        try:
            websocket.send(frame)
        except (ConnectionClosed, OSError) as error:
            raise self._lost() from error

    def _wait(self, answer: Callable[[], T | None], deadline: float, what: str = "an answer") -> T:
        """Take frames in until ``answer`` gives something.

        Raises:
            VerdictTimeout: If it gave nothing before the deadline.
            VerifierUnavailable, HandshakeRefused, ProtocolError: If something else came of it.
        """
        overtime = 0
        while True:
            found = answer()
            if found is not None and found is not False:
                return found
            left_s = deadline - time.monotonic()
            # With no time left, what has arrived already is still looked at, but not what keeps arriving.
            overtime += left_s <= 0
            if overtime > _MAX_OVERTIME or not self._receive(max(left_s, 0.0)):
                raise VerdictTimeout(f"The verifier did not send {what} before the deadline.")

    def _receive(self, timeout_s: float) -> bool:
        """Take one frame in; False if none came in time."""
        session, websocket = self._session, self._websocket
        if session is None or websocket is None:
            raise self._lost()
        try:
            frame = websocket.recv(timeout=timeout_s)
        except TimeoutError:
            return False
        except (ConnectionClosed, OSError) as error:
            raise self._lost() from error
        at_s = time.perf_counter()
        size = len(frame)
        try:
            if not isinstance(frame, bytes):
                raise ProtocolError("frames are binary")
            message, payload_bytes = decode_down(frame, session.edge.vocabulary_size)
        except ProtocolError:
            self._record(FrameRecord(at_s, "down", "control", "unreadable", size, size, "an unreadable frame"))
            self.close()
            raise
        traffic, contents = describe(message)
        self._record(FrameRecord(at_s, "down", traffic, tag_of(message), payload_bytes, size, contents))
        try:
            answers = session.receive(message)
        except (HandshakeRefused, ProtocolError):  # either ends the session
            self.close()
            raise
        for answer in answers:
            self._send(answer)
        return True

    def poll(self) -> None:
        """Take in what has arrived, without waiting; a break shows itself at the next call that needs an answer."""
        with contextlib.suppress(VerifierUnavailable, HandshakeRefused, ProtocolError):
            while self._websocket is not None and self._receive(0.0):
                pass

    def _record(self, frame: FrameRecord) -> None:
        with self._frames_lock:
            self._frames.append(frame)


def _tune(connection: socket.socket, send_timeout_s: float) -> None:
    """No delay for small frames, and no endless wait for a peer that stopped reading."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform != "win32":  # elsewhere the option takes another type, and keepalive has to do
        seconds = int(send_timeout_s)
        timeval = struct.pack("@ll", seconds, int((send_timeout_s - seconds) * 1e6))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
