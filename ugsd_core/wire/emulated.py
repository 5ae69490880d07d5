"""An emulated link: the real wire between edge and verifier, over a network that is slower than it is.

`EmulatedLink` is a relay on loopback. What goes through it arrives half a round trip later, and no faster than the rate
of its direction; order, closing and the bytes themselves stay what they are. The edge connects to the relay instead of
the verifier, and nothing in either of them knows::

    with EmulatedLink("ws://127.0.0.1:8765", Conditions.parse("rtt=100,up=10,down=50")) as link:
        WebSocketLink(link.address)

What it models and what not:

- A byte leaves when the bytes before it have left at the link's rate, and arrives ``rtt_ms / 2`` after that. There is
  no loss, no jitter and no slow start. The real path's own delay comes on top: little on loopback, but not to a remote
  host.
- Opening pays as well: one round trip for TCP's handshake, and the WebSocket handshake like all other bytes.
- The edge speaks plain ``ws://`` to the relay also when the verifier's address is ``wss://``; the relay then speaks TLS
  to it and checks its certificate. The ``Host`` header says the relay's address: a proxy in front of the verifier that
  chooses by host name will not find it.
- Asyncio's timers are good to about a millisecond; rates beyond a few hundred Mbit/s are no longer the emulation's.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from ugsd_core.errors import OptionError, VerifierUnavailable
from ugsd_core.wire.own import disown, relayed
from ugsd_core.wire.tls import client_context

__all__ = ["CONDITIONS", "Conditions", "EmulatedLink"]

_CHUNK_BYTES = 4096  # what arrives at once on a link with a rate
_FREE_CHUNK_BYTES = 1 << 16
_LEAST_BUFFER_BYTES = 1 << 18
_FREE_BUFFER_BYTES = 1 << 23  # of a direction without a rate
_START_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a link is like.

    Attributes:
        rtt_ms: Round trip added, half of it in each direction.
        up_mbps, down_mbps: Rate from and to the edge, in 10⁶ bits a second; None does not limit it.
    """

    rtt_ms: float = 0.0
    up_mbps: float | None = None
    down_mbps: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rtt_ms) and 0.0 <= self.rtt_ms <= 60_000.0):
            raise OptionError(f"a round trip takes 0 to 60000 ms, not {self.rtt_ms:g}")
        for name, rate in (("up", self.up_mbps), ("down", self.down_mbps)):
            if rate is not None and not (math.isfinite(rate) and rate >= 0.001):
                raise OptionError(f"the rate {name} is at least 0.001 Mbit/s, not {rate:g}")

    @classmethod
    def parse(cls, text: str) -> Conditions:
        """From a name of `CONDITIONS`, or from ``rtt=100,up=10,down=50`` (ms, Mbit/s; what is left out is free).

        Raises:
            OptionError: If it is neither.
        """
        word = text.strip().lower()
        if word in CONDITIONS:
            return CONDITIONS[word]
        found: dict[str, float] = {}
        for part in word.split(","):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            try:
                if not equals or key not in ("rtt", "up", "down") or key in found:
                    raise ValueError
                found[key] = float(value)
            except ValueError:
                raise OptionError(
                    f"a link is one of {', '.join(CONDITIONS)}, or such as rtt=100,up=10,down=50, not {text!r}"
                ) from None
        return cls(found.get("rtt", 0.0), found.get("up"), found.get("down"))

    @property
    def plain(self) -> bool:
        """Whether nothing is emulated."""
        return self == Conditions()

    def __str__(self) -> str:
        """As `parse` reads it."""
        rates = (("up", self.up_mbps), ("down", self.down_mbps))
        return ",".join([f"rtt={self.rtt_ms:g}", *(f"{key}={rate:g}" for key, rate in rates if rate is not None)])


#: Links by name. Our own round numbers for what such links are often like, not measurements of any.
CONDITIONS: Mapping[str, Conditions] = MappingProxyType(
    {
        "none": Conditions(),
        "lan": Conditions(1.0, 1000.0, 1000.0),
        "wifi": Conditions(10.0, 50.0, 100.0),
        "4g": Conditions(50.0, 10.0, 30.0),
        "far": Conditions(200.0, 20.0, 50.0),
    }
)


class EmulatedLink:
    """A relay to a verifier, running in a thread of its own between entering and leaving.

    Args:
        target: ``ws://host:port`` or ``wss://host`` of the verifier.
        conditions: What the link is like.

    Attributes:
        bytes_up, bytes_down: What was relayed so far in each direction, WebSocket framing included.

    Raises:
        OptionError: If the target is no WebSocket address.
    """

    def __init__(self, target: str, conditions: Conditions) -> None:
        parts = urlsplit(target)
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.scheme not in ("ws", "wss") or not parts.hostname or port == 0:
            raise OptionError(f"{target!r} is no WebSocket address; write one such as ws://127.0.0.1:8765")
        self._host = parts.hostname
        self._port = port or (443 if parts.scheme == "wss" else 80)
        self._secure = parts.scheme == "wss"
        self._path = parts.path + (f"?{parts.query}" if parts.query else "")
        self._target = target
        self.conditions = conditions
        self.bytes_up = self.bytes_down = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._listening_port = 0
        self._error: OSError | None = None

    @property
    def address(self) -> str:
        """Where the edge connects to."""
        return f"ws://127.0.0.1:{self._listening_port}{self._path}"

    def __enter__(self) -> EmulatedLink:
        if self._thread is not None:
            raise RuntimeError("an emulated link is used once")
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="emulated-link", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT_S) or self._error is not None:
            raise VerifierUnavailable(f"The emulated link cannot listen on 127.0.0.1 ({self._error}).")
        relayed(self.address, self._target)
        return self

    def __exit__(self, *exc_info: object) -> None:
        loop, stop, thread = self._loop, self._stop, self._thread
        if loop is not None and stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(stop.set)
        if thread is not None:
            thread.join()
        disown(self.address)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._relay(reader, writer))
            connections[task] = writer
            task.add_done_callback(connections.pop)

        try:
            server = await asyncio.start_server(accepted, "127.0.0.1", 0, limit=_FREE_CHUNK_BYTES)
        except OSError as error:
            self._error = error
            self._ready.set()
            return
        self._listening_port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        await asyncio.sleep(0.01)  # accepts who is knocking: not every system turns them away when listening ends
        server.close()
        standing = dict(connections)
        for task, writer in standing.items():
            task.cancel()
            writer.transport.abort()  # a task that had not begun does not get to its own end
        await asyncio.gather(*standing, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of an edge, until both directions have ended or one broke."""
        context = client_context() if self._secure else None
        writers = [writer]
        try:
            await asyncio.sleep(self.conditions.rtt_ms / 1000)  # TCP's handshake
            far_reader, far_writer = await asyncio.open_connection(
                self._host, self._port, ssl=context, limit=_FREE_CHUNK_BYTES
            )
            writers.append(far_writer)
            half_s = self.conditions.rtt_ms / 2000
            up = _Pipe(reader, far_writer, half_s, self.conditions.up_mbps, self._count_up)
            down = _Pipe(far_reader, writer, half_s, self.conditions.down_mbps, self._count_down)
            async with asyncio.TaskGroup() as group:
                for pipe in (up, down):
                    group.create_task(pipe.take())
                    group.create_task(pipe.give())
            for each in writers:  # hands on what is still buffered, then closes
                each.close()
            for each in writers:
                await each.wait_closed()
        except* OSError:
            pass  # either side broke: below, the other one learns of it
        finally:
            for each in writers:
                each.transport.abort()

    def _count_up(self, size: int) -> None:
        self.bytes_up += size

    def _count_down(self, size: int) -> None:
        self.bytes_down += size


class _Pipe:
    """One direction of a connection: bytes wait here until they would have arrived.

    Args:
        delay_s: From leaving to arriving.
        rate_mbps: None leaves at once.
    """

    def __init__(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        delay_s: float,
        rate_mbps: float | None,
        count: Callable[[int], None],
    ) -> None:
        self._source = source
        self._sink = sink
        self._delay_s = delay_s
        self._bytes_per_s = None if rate_mbps is None else rate_mbps * 1e6 / 8
        self._count = count
        self._waiting: deque[tuple[float, bytes]] = deque()  # when it arrives, and what; empty bytes: the end
        self._waiting_bytes = 0
        # Enough for the link to stay full, twice over; beyond it the sender has to wait, as TCP would make it.
        full = _FREE_BUFFER_BYTES if self._bytes_per_s is None else int(2 * self._bytes_per_s * delay_s)
        self._most_bytes = max(full, _LEAST_BUFFER_BYTES)
        self._more = asyncio.Event()
        self._less = asyncio.Event()

    async def take(self) -> None:
        """Take bytes in, and say when each arrives."""
        loop = asyncio.get_running_loop()
        left_at = loop.time()
        size = _FREE_CHUNK_BYTES if self._bytes_per_s is None else _CHUNK_BYTES
        while True:
            chunk = await self._source.read(size)
            left_at = max(left_at, loop.time())
            if self._bytes_per_s is not None:
                left_at += len(chunk) / self._bytes_per_s
            self._waiting.append((left_at + self._delay_s, chunk))
            self._waiting_bytes += len(chunk)
            self._more.set()
            if not chunk:
                return
            while self._waiting_bytes > self._most_bytes:
                self._less.clear()
                await self._less.wait()

    async def give(self) -> None:
        """Hand bytes on when they arrive."""
        loop = asyncio.get_running_loop()
        while True:
            while not self._waiting:
                self._more.clear()
                await self._more.wait()
            arrives_at, chunk = self._waiting.popleft()
            left_s = arrives_at - loop.time()
            if left_s > 0:
                await asyncio.sleep(left_s)
            if not chunk:
                if self._sink.can_write_eof():
                    self._sink.write_eof()
                else:  # TLS cannot end one direction alone
                    self._sink.close()
                return
            self._sink.write(chunk)
            await self._sink.drain()
            self._count(len(chunk))
            self._waiting_bytes -= len(chunk)
            self._less.set()
