"""Binary frames: one MessagePack map, then zeros up to the next of a few fixed lengths.

The padding keeps an observer of the encrypted connection from reading off how many tokens a block had; the fixed
lengths and the zeros keep anything else from riding along. Nothing here does I/O.
"""

from __future__ import annotations

from typing import Any, Literal

import msgpack  # type: ignore[import-untyped]

from ugsd_core.errors import ProtocolError

__all__ = ["FRAME_SIZES", "MAX_FRAME_BYTES", "STRICT_SIZES", "Padding", "pack_frame", "unpack_frame"]

Padding = Literal["usual", "strict"]

#: Lengths a frame may have, in bytes: powers of two up to 4 kB, where ids and verdicts live; then four steps an octave,
#: so that padding adds at most a quarter to an acoustic code. The largest holds 30 s of 128 mels at 8 bits (384 kB).
FRAME_SIZES: tuple[int, ...] = (
    *(1 << power for power in range(7, 12)),
    *((1 << power) * quarters // 4 for power in range(12, 19) for quarters in (4, 5, 6, 7)),
    1 << 19,
)
MAX_FRAME_BYTES = FRAME_SIZES[-1]
#: Lengths under strict padding: one for ids, verdicts and all else that is short, one for every recording of up to 30 s
#: as 80 mels at 4 bits (the embedded pair), one for every other.
STRICT_SIZES = (2048, 1 << 17, 1 << 19)

# Bounds on what the unpacker may allocate before a field is looked at.
_MAX_TEXT = 4096
_MAX_LIST = 1088  # ids of a caption (`ugsd_core.wire.fields.MAX_CAPTION`)
_MAX_MAP = 128
# No message up has more lists and maps than this; one down has a few for each judged token.
_MAX_PARTS = {"up": 8, "down": 1 << 14}


def _padded_size(payload_bytes: int, padding: Padding = "usual") -> int:
    """The smallest frame length that holds the payload.

    Raises:
        ProtocolError: If there is none.
    """
    for size in STRICT_SIZES if padding == "strict" else FRAME_SIZES:
        if payload_bytes <= size:
            return size
    raise ProtocolError(f"a message of {payload_bytes} bytes is too long for a frame", "too_long")


def pack_frame(content: dict[str, Any], padding: Padding = "usual") -> tuple[bytes, int]:
    """The frame of a map, and the length of its payload in bytes.

    Raises:
        ProtocolError: If the map cannot be packed or is too long.
    """
    try:
        payload: bytes = msgpack.packb(content, use_bin_type=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise ProtocolError("a message holds a value that cannot be sent", "bad_field") from error
    return payload.ljust(_padded_size(len(payload), padding), b"\0"), len(payload)


def unpack_frame(frame: bytes, direction: Literal["up", "down"] = "down") -> tuple[dict[str, Any], int]:
    """The map of a frame, and the length of its payload in bytes.

    A few bytes can announce long lists within lists. What may be allocated for them is bounded by the frame's length,
    and by how many lists and maps a message of the direction has.

    Raises:
        ProtocolError: If the frame's length is not the one its payload asks for (under either padding), the payload is
            not one map with distinct text keys, or anything but zeros follows it.
    """
    if len(frame) not in FRAME_SIZES:
        raise ProtocolError(f"a frame of {len(frame)} bytes has none of the agreed lengths")
    parts = _Parts(_MAX_PARTS[direction])
    unpacker = msgpack.Unpacker(
        raw=False,
        strict_map_key=True,
        object_pairs_hook=parts.map,
        list_hook=parts.list,
        max_buffer_size=MAX_FRAME_BYTES,
        max_str_len=_MAX_TEXT,
        max_bin_len=MAX_FRAME_BYTES,
        max_array_len=min(_MAX_LIST, len(frame)),
        max_map_len=_MAX_MAP,
        max_ext_len=0,
    )
    unpacker.feed(frame)
    try:
        content = unpacker.unpack()
    except ProtocolError:
        raise
    except (msgpack.UnpackException, ValueError, TypeError, RecursionError) as error:
        raise ProtocolError("a frame does not hold a MessagePack map") from error
    payload_bytes: int = unpacker.tell()
    if not isinstance(content, dict):
        raise ProtocolError("a frame does not hold a MessagePack map")
    # count() runs at memory speed, which matters for half a megabyte of padding.
    if frame.count(0, payload_bytes) != len(frame) - payload_bytes:
        raise ProtocolError("a frame carries something after its message")
    if len(frame) not in (_padded_size(payload_bytes), _padded_size(payload_bytes, "strict")):
        raise ProtocolError("a frame is longer than its message asks for")
    return content, payload_bytes


class _Parts:
    """Counts lists and maps while a frame is unpacked."""

    def __init__(self, most: int) -> None:
        self._left = most

    def map(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """A map is complete."""
        self._count()
        return _distinct(pairs)

    def list(self, values: list[Any]) -> list[Any]:
        """A list is complete."""
        self._count()
        return values

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ProtocolError("a frame holds more lists and maps than a message has")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A map whose keys are text and differ; MessagePack itself would let the last of two equal keys win."""
    content = dict(pairs)
    if len(content) != len(pairs) or not all(isinstance(key, str) for key in content):
        raise ProtocolError("a message names a field twice or not by text")
    return content
