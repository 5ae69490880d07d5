"""The privacy ledger: what left the device, byte by byte.

A pure fold over `FrameSent` events. There is no class of traffic for waveforms, and no message that could carry one:
``waveform_bytes`` is what stayed here. A mel code can be turned back into intelligible speech by a vocoder, so the
claim is "no waveform was sent", never "nothing about the voice was sent".

With *fused* acceptance, token ids of an emotion word take the edge's view of the emotion along: nine label
probabilities of one byte each. They share the frame of the ids, and are counted once more by themselves, since what
somebody felt is more personal than which words were drafted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from ugsd_core.messages import CaptionStarted, Event, FrameSent, TrafficClass

__all__ = ["EMPTY", "Ledger", "Row", "add_frame", "fold"]


@dataclass(frozen=True, slots=True)
class Row:
    """Traffic of one direction and class.

    Attributes:
        payload_bytes: Content of the frames, without padding.
        wire_bytes: Frames as sent, with padding; WebSocket, TLS and TCP headers are not counted.
    """

    direction: Literal["up", "down"]
    traffic: TrafficClass
    frames: int
    payload_bytes: int
    wire_bytes: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """Sums over the frames of a caption (or of many).

    Attributes:
        waveform_bytes: The speech as 16-bit PCM, which was kept on this device.
        rows: One for each direction and class that occurred, up first.
        contents: What the frames that went up held, in plain words, with how often; in order of first occurrence.
        posterior_bytes: How much of what went up was the edge's label posterior, nine bytes each time.
    """

    waveform_bytes: int = 0
    rows: tuple[Row, ...] = ()
    contents: tuple[tuple[str, int], ...] = ()
    posterior_bytes: int = 0

    def _sum(self, direction: str, unit: Literal["payload_bytes", "wire_bytes", "frames"]) -> int:
        return sum(getattr(row, unit) for row in self.rows if row.direction == direction)

    @property
    def up_payload_bytes(self) -> int:
        """Content that left the device."""
        return self._sum("up", "payload_bytes")

    @property
    def up_wire_bytes(self) -> int:
        """Frames that left the device, padding included."""
        return self._sum("up", "wire_bytes")

    @property
    def down_payload_bytes(self) -> int:
        """Content that came from the verifier."""
        return self._sum("down", "payload_bytes")

    @property
    def down_wire_bytes(self) -> int:
        """Frames that came from the verifier, padding included."""
        return self._sum("down", "wire_bytes")

    @property
    def frames_up(self) -> int:
        """Frames that left the device."""
        return self._sum("up", "frames")

    @property
    def frames_down(self) -> int:
        """Frames that came from the verifier."""
        return self._sum("down", "frames")

    @property
    def sent_ratio(self) -> float | None:
        """``up_wire_bytes / waveform_bytes``; None without a waveform."""
        return self.up_wire_bytes / self.waveform_bytes if self.waveform_bytes else None

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was sent and what was kept, in plain sentences."""
        sent = tuple(
            f"Sent: {what}." if times == 1 else f"Sent {times} times: {what}." for what, times in self.contents
        ) or ("Nothing was sent.",)
        if self.posterior_bytes:
            sent += (f"Of this, the edge's probabilities of nine emotions: {_size(self.posterior_bytes)}.",)
        if not self.waveform_bytes:
            return sent
        return (*sent, f"Kept on this device: the waveform, {_size(self.waveform_bytes)}.")

    def to_dict(self) -> dict[str, Any]:
        """Rows, sums and sentences as plain JSON values."""
        return {
            "waveform_bytes": self.waveform_bytes,
            "up_payload_bytes": self.up_payload_bytes,
            "up_wire_bytes": self.up_wire_bytes,
            "down_payload_bytes": self.down_payload_bytes,
            "down_wire_bytes": self.down_wire_bytes,
            "posterior_bytes": self.posterior_bytes,
            "frames_up": self.frames_up,
            "frames_down": self.frames_down,
            "sent_ratio": self.sent_ratio,
            "rows": [asdict(row) for row in self.rows],
            "sentences": list(self.sentences),
        }


EMPTY = Ledger()
_ORDER = {
    (direction, traffic): index
    for index, (direction, traffic) in enumerate(
        (direction, traffic) for direction in ("up", "down") for traffic in get_args(TrafficClass)
    )
}


def _size(size_bytes: int) -> str:
    return f"{size_bytes} bytes" if size_bytes < 1000 else f"{size_bytes / 1000:.1f} kB"


def add_frame(ledger: Ledger, frame: FrameSent) -> Ledger:
    """The ledger with one frame more."""
    rows = {(row.direction, row.traffic): row for row in ledger.rows}
    key = (frame.direction, frame.traffic)
    row = rows.get(key, Row(frame.direction, frame.traffic, 0, 0, 0))
    rows[key] = replace(
        row,
        frames=row.frames + 1,
        payload_bytes=row.payload_bytes + frame.payload_bytes,
        wire_bytes=row.wire_bytes + frame.wire_bytes,
    )
    contents = dict(ledger.contents)
    if frame.direction == "up":
        contents[frame.contents] = contents.get(frame.contents, 0) + 1
    ordered = tuple(sorted(rows.values(), key=lambda entry: _ORDER[entry.direction, entry.traffic]))
    posterior_bytes = ledger.posterior_bytes + (frame.posterior_bytes if frame.direction == "up" else 0)
    return Ledger(ledger.waveform_bytes, ordered, tuple(contents.items()), posterior_bytes)


def fold(events: Iterable[Event], ledger: Ledger = EMPTY) -> Ledger:
    """The ledger of an event stream: `FrameSent` events counted, the waveform's size taken from `CaptionStarted`.

    Other events are passed over. Folding a stream in pieces gives the same as folding it whole; streams of several
    captions add up.
    """
    for event in events:
        if isinstance(event, FrameSent):
            ledger = add_frame(ledger, event)
        elif isinstance(event, CaptionStarted):
            ledger = replace(ledger, waveform_bytes=ledger.waveform_bytes + event.waveform_bytes)
    return ledger
