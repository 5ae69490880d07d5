"""A transport that fails: a relay between a real edge and a real verifier that breaks what passes, for a seed.

`FaultyLink` stands where `ugsd_core.wire.emulated.EmulatedLink` does, and neither side knows of it. It finds the
boundaries of WebSocket frames without looking into them, so that whole messages can be dropped, doubled or swapped
(which TCP never does, but a protocol should bear), and the connection cut in the middle of one::

    with FaultyLink("ws://127.0.0.1:8765", Faults.parse("cut=0.01,drop=0.02"), seed=7) as link:
        WebSocketLink(link.address)

What happens to message *n* of connection *c* in a direction is a function of (seed, c, direction, n) alone; what is
sent as that message depends on the two sides and their clocks. Control frames and the opening handshake are delayed,
cut and silenced, but neither dropped, doubled nor swapped.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields
from typing import Literal
from urllib.parse import urlsplit

from ugsd_core.errors import OptionError
from ugsd_core.wire.own import relayed
from ugsd_core.wire.relay import Relay

__all__ = ["Fault", "Faults", "FaultyLink"]

Fault = Literal["delay", "drop", "duplicate", "reorder", "cut", "tear", "half_open", "slow"]

#: A message that is to be swapped with the next one goes on alone if none follows.
_SWAP_PATIENCE_S = 0.05
#: A slow reader takes so little at a time.
_SIP_BYTES = 512


@dataclass(frozen=True, slots=True)
class Faults:
    """How often each fault meets a message, as a probability.

    Attributes:
        delay: It arrives later, by up to ``delay_s``, and what follows with it.
        drop: It never arrives.
        duplicate: It arrives twice.
        reorder: It arrives after the next one.
        cut: The connection is reset before it.
        tear: The connection is reset in the middle of it.
        half_open: From it on nothing passes in either direction, and the connection stands.
        slow: From it on this direction is read at ``slow_bytes_per_s``.
        refuse: A connection is reset before it begins (drawn once a connection).
        delay_s, slow_bytes_per_s: As above.
    """

    delay: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    cut: float = 0.0
    tear: float = 0.0
    half_open: float = 0.0
    slow: float = 0.0
    refuse: float = 0.0
    delay_s: float = 0.05
    slow_bytes_per_s: float = 20_000.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            limit = 1e9 if entry.name in ("delay_s", "slow_bytes_per_s") else 1.0
            if not 0.0 <= value <= limit:
                raise OptionError(f"{entry.name} must lie in 0…{limit:g}, not {value}")

    @classmethod
    def parse(cls, text: str) -> Faults:
        """From ``cut=0.01,drop=0.02``.

        Raises:
            OptionError: If a name or a number is none.
        """
        names = {entry.name for entry in fields(cls)}
        values: dict[str, float] = {}
        for part in filter(None, text.split(",")):
            name, _, value = (piece.strip() for piece in part.partition("="))
            try:
                if name not in names:
                    raise ValueError
                values[name] = float(value)
            except ValueError:
                raise OptionError(f"a fault is written such as cut=0.01, one of {', '.join(sorted(names))}") from None
        return cls(**values)

    def draw(self, dice: random.Random) -> Fault | None:
        """What happens to one message: at most one fault."""
        chance = dice.random()
        for name in ("delay", "drop", "duplicate", "reorder", "cut", "tear", "half_open", "slow"):
            chance -= getattr(self, name)
            if chance < 0:
                return name
        return None


class FaultyLink(Relay):
    """A relay to a verifier, running in a thread of its own between entering and leaving.

    Args:
        target: ``ws://host:port`` of the verifier.
        faults: What happens; may be replaced at any time.
        seed: Of all chances.

    Attributes:
        happened: How often each fault did happen.

    Raises:
        OptionError: If the target is no plain WebSocket address.
    """

    def __init__(self, target: str, faults: Faults, seed: int = 0) -> None:
        parts = urlsplit(target)
        if parts.scheme != "ws" or not parts.hostname or not parts.port:
            raise OptionError(f"{target!r} is no plain WebSocket address; write one such as ws://127.0.0.1:8765")
        super().__init__("faulty link", target)
        self._host, self._port = parts.hostname, parts.port
        self.faults = faults
        self.seed = seed
        self.happened: Counter[str] = Counter()

    def retarget(self, target: str) -> None:
        """Lead later connections elsewhere, such as to a verifier that was started again."""
        parts = urlsplit(target)
        assert parts.hostname and parts.port
        self._host, self._port = parts.hostname, parts.port
        relayed(self.address, target)

    async def _relay(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side or a fault ends it."""
        writers = [writer]
        try:
            if _dice(self.seed, number, "connection", 0).random() < self.faults.refuse:
                self.happened["refuse"] += 1
                return
            far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
            writers.append(far_writer)
            self._writers.add(far_writer)
            silence = asyncio.Event()
            ways = [
                _Way(self, number, "up", reader, far_writer, silence),
                _Way(self, number, "down", far_reader, writer, silence),
            ]
            tasks = [asyncio.ensure_future(way.run()) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            pass  # nobody behind the link: the edge learns of it below
        finally:
            for each in writers:
                each.transport.abort()
                self._writers.discard(each)


class _Way:
    """One direction of a connection."""

    def __init__(
        self,
        link: FaultyLink,
        number: int,
        direction: str,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        silence: asyncio.Event,
    ) -> None:
        self._link = link
        self._number = number
        self._direction = direction
        self._source = source
        self._sink = sink
        self._silence = silence
        self._held: bytes | None = None

    async def run(self) -> None:
        """Pass on, and break, until the connection ends.

        Raises:
            OSError, EOFError: If it ends.
        """
        await self._give(await self._source.readuntil(b"\r\n\r\n"))
        n = 0
        async for frame, control in self._frames():
            if control:
                await self._give(frame)
                continue
            fault = self._link.faults.draw(_dice(self._link.seed, self._number, self._direction, n))
            n += 1
            if fault is not None:
                self._link.happened[fault] += 1
            if fault in ("cut", "tear"):
                if fault == "tear":
                    await self._give(frame[: max(1, len(frame) // 2)])
                return
            if fault == "half_open":
                self._silence.set()
            elif fault == "slow":
                await self._sip(frame)
                return
            elif fault == "delay":
                dice = _dice(self._link.seed, self._number, self._direction, -n)
                await asyncio.sleep(dice.random() * self._link.faults.delay_s)
            if fault == "reorder" and self._held is None:
                self._held = frame
                asyncio.get_running_loop().call_later(_SWAP_PATIENCE_S, self._release, frame)
                continue
            if fault != "drop":
                await self._give(frame * (2 if fault == "duplicate" else 1))
            if self._held is not None:
                self._release(self._held)

    def _release(self, frame: bytes) -> None:
        """Send a frame that was held back, unless it has gone already."""
        if self._held is frame:
            self._held = None
            if not self._silence.is_set() and not self._sink.is_closing():
                self._sink.write(frame)

    async def _frames(self) -> AsyncIterator[tuple[bytes, bool]]:
        """WebSocket frames as they are, and whether each is a control frame."""
        while True:
            head = await self._source.readexactly(2)
            length = head[1] & 0x7F
            more = 2 if length == 126 else 8 if length == 127 else 0
            extended = await self._source.readexactly(more)
            length = int.from_bytes(extended, "big") if more else length
            body = await self._source.readexactly((4 if head[1] & 0x80 else 0) + length)
            yield head + extended + body, bool(head[0] & 0x08)

    async def _give(self, data: bytes) -> None:
        if not self._silence.is_set():
            self._sink.write(data)
            await self._sink.drain()

    async def _sip(self, frame: bytes) -> None:
        """Go on with this direction as one who hardly reads."""
        pause_s = _SIP_BYTES / max(1.0, self._link.faults.slow_bytes_per_s)
        for start in range(0, len(frame), _SIP_BYTES):
            await self._give(frame[start : start + _SIP_BYTES])
            await asyncio.sleep(pause_s)
        while data := await self._source.read(_SIP_BYTES):
            await self._give(data)
            await asyncio.sleep(pause_s)


def _dice(seed: int, number: int, direction: str, n: int) -> random.Random:
    digest = hashlib.blake2b(f"{seed} {number} {direction} {n}".encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))
