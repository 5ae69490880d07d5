"""An emulated link: the real wire between edge and verifier, over a network that is slower than it is.

`EmulatedLink` is a relay on loopback. What goes through it arrives half a round trip later, and no faster than the rate
of its direction; order, closing and the bytes themselves stay what they are. The edge connects to the relay instead of
the verifier, and nothing in either of them knows::

    with EmulatedLink("ws://127.0.0.1:8765", Conditions.parse("rtt=100,up=10,down=50")) as link:
        WebSocketLink(link.address)

What it models and what not:

- A byte leaves when the bytes before it have left at the link's rate, and arrives ``rtt_ms / 2`` after that, give or
  take up to ``jitter_ms / 2``, drawn anew for each piece that was read at once; order stays, so a piece that is drawn
  early waits for a late one before it. There is no loss and no slow start. The real path's own delay comes on top:
  little on loopback, but not to a remote host.
- Opening pays as well: one round trip for TCP's handshake, and the WebSocket handshake like all other bytes.
- The edge speaks plain ``ws://`` to the relay also when the verifier's address is ``wss://``; the relay then speaks TLS
  to it and checks its certificate. The ``Host`` header says the relay's address: a proxy in front of the verifier that
  chooses by host name will not find it.
- Asyncio's timers are good to about a millisecond; rates beyond a few hundred Mbit/s are no longer the emulation's.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

from ugsd_core.errors import OptionError
from ugsd_core.wire.relay import Relay
from ugsd_core.wire.tls import client_context

__all__ = ["CONDITIONS", "Conditions", "EmulatedLink"]

_CHUNK_BYTES = 4096  # what arrives at once on a link with a rate
_FREE_CHUNK_BYTES = 1 << 16
_LEAST_BUFFER_BYTES = 1 << 18
_FREE_BUFFER_BYTES = 1 << 23  # of a direction without a rate


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a link is like.

    Attributes:
        rtt_ms: Round trip added, half of it in each direction.
        up_mbps, down_mbps: Rate from and to the edge, in 10⁶ bits a second; None does not limit it.
        jitter_ms: How far the round trip may be off at most, evenly spread.
    """

    rtt_ms: float = 0.0
    up_mbps: float | None = None
    down_mbps: float | None = None
    jitter_ms: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rtt_ms) and 0.0 <= self.rtt_ms <= 60_000.0):
            raise OptionError(f"a round trip takes 0 to 60000 ms, not {self.rtt_ms:g}")
        if not (math.isfinite(self.jitter_ms) and 0.0 <= self.jitter_ms <= self.rtt_ms):
            raise OptionError(f"jitter is 0 to the round trip itself ({self.rtt_ms:g} ms), not {self.jitter_ms:g} ms")
        for name, rate in (("up", self.up_mbps), ("down", self.down_mbps)):
            if rate is not None and not (math.isfinite(rate) and rate >= 0.001):
                raise OptionError(f"the rate {name} is at least 0.001 Mbit/s, not {rate:g}")

    @classmethod
    def parse(cls, text: str) -> Conditions:
        """From a name of `CONDITIONS`, or from ``rtt=100,jitter=10,up=10,down=50`` (ms, Mbit/s; what is left out is
        free; ``mbit=5`` is both directions).

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
                keys = {"mbit": ("up", "down")}.get(key, (key,))
                if not equals or not {*keys} <= {"rtt", "jitter", "up", "down"} or {*keys} & found.keys():
                    raise ValueError
                found |= dict.fromkeys(keys, float(value))
            except ValueError:
                names = ", ".join(CONDITIONS)
                raise OptionError(
                    f"a link is one of {names}, or such as rtt=100,jitter=10,up=10,down=50, not {text!r}"
                ) from None
        return cls(found.get("rtt", 0.0), found.get("up"), found.get("down"), found.get("jitter", 0.0))

    @property
    def plain(self) -> bool:
        """Whether nothing is emulated."""
        return self == Conditions()

    def __str__(self) -> str:
        """As `parse` reads it."""
        parts = [f"rtt={self.rtt_ms:g}", *([f"jitter={self.jitter_ms:g}"] if self.jitter_ms else [])]
        rates = (("up", self.up_mbps), ("down", self.down_mbps))
        return ",".join([*parts, *(f"{key}={rate:g}" for key, rate in rates if rate is not None)])

    @property
    def told(self) -> str:
        """For people, in figures: ``+100 ms ± 10, ↑ 5 ↓ 20 Mbit/s``; empty if nothing is emulated."""
        if self.plain:
            return ""
        delay = f"+{self.rtt_ms:g} ms" + (f" ± {self.jitter_ms:g}" if self.jitter_ms else "")
        if self.up_mbps is not None and self.up_mbps == self.down_mbps:
            return f"{delay}, {self.up_mbps:g} Mbit/s"
        rates = (("↑", self.up_mbps), ("↓", self.down_mbps))
        shown = " ".join(f"{arrow} {rate:g}" for arrow, rate in rates if rate is not None)
        return f"{delay}, {shown} Mbit/s" if shown else delay


#: Links by name. Our own round numbers for what such links are often like, not measurements of any.
CONDITIONS: Mapping[str, Conditions] = MappingProxyType(
    {
        "none": Conditions(),
        "lan": Conditions(1.0, 1000.0, 1000.0),
        "wifi": Conditions(10.0, 50.0, 100.0),
        "4g": Conditions(50.0, 10.0, 30.0),
        "far": Conditions(200.0, 20.0, 50.0),
        "satellite": Conditions(600.0, 5.0, 50.0, 40.0),
    }
)


class EmulatedLink(Relay):
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
        super().__init__("emulated link", target, parts.path + (f"?{parts.query}" if parts.query else ""))
        self.conditions = conditions
        self.bytes_up = self.bytes_down = 0

    async def _relay(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of an edge, until both directions have ended or one broke."""
        context = client_context() if self._secure else None
        writers = [writer]
        try:
            await asyncio.sleep(self.conditions.rtt_ms / 1000)  # TCP's handshake
            far_reader, far_writer = await asyncio.open_connection(
                self._host, self._port, ssl=context, limit=_FREE_CHUNK_BYTES
            )
            writers.append(far_writer)
            self._writers.add(far_writer)
            up = _Pipe(reader, far_writer, self.conditions, self.conditions.up_mbps, self._count_up)
            down = _Pipe(far_reader, writer, self.conditions, self.conditions.down_mbps, self._count_down)
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
                self._writers.discard(each)

    def _count_up(self, size: int) -> None:
        self.bytes_up += size

    def _count_down(self, size: int) -> None:
        self.bytes_down += size


class _Pipe:
    """One direction of a connection: bytes wait here until they would have arrived.

    Args:
        conditions: Says how long it is from leaving to arriving.
        rate_mbps: None leaves at once.
    """

    def __init__(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        conditions: Conditions,
        rate_mbps: float | None,
        count: Callable[[int], None],
    ) -> None:
        self._source = source
        self._sink = sink
        self._delay_s = conditions.rtt_ms / 2000
        self._jitter_s = conditions.jitter_ms / 2000
        self._dice = random.Random()
        self._bytes_per_s = None if rate_mbps is None else rate_mbps * 1e6 / 8
        self._count = count
        self._waiting: deque[tuple[float, bytes]] = deque()  # when it arrives, and what; empty bytes: the end
        self._waiting_bytes = 0
        # Enough for the link to stay full, twice over; beyond it the sender has to wait, as TCP would make it.
        full = (
            _FREE_BUFFER_BYTES
            if self._bytes_per_s is None
            else int(2 * self._bytes_per_s * (self._delay_s + self._jitter_s))
        )
        self._most_bytes = max(full, _LEAST_BUFFER_BYTES)
        self._more = asyncio.Event()
        self._less = asyncio.Event()

    async def take(self) -> None:
        """Take bytes in, and say when each arrives."""
        loop = asyncio.get_running_loop()
        left_at = arrived_at = loop.time()
        size = _FREE_CHUNK_BYTES if self._bytes_per_s is None else _CHUNK_BYTES
        while True:
            chunk = await self._source.read(size)
            left_at = max(left_at, loop.time())
            if self._bytes_per_s is not None:
                left_at += len(chunk) / self._bytes_per_s
            # Never before what was sent before it.
            off_s = self._dice.uniform(-self._jitter_s, self._jitter_s) if self._jitter_s else 0.0
            arrived_at = max(arrived_at, left_at + self._delay_s + off_s)
            self._waiting.append((arrived_at, chunk))
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
