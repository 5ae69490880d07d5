from __future__ import annotations

import tracemalloc

import msgpack
import pytest

from ugsd_core.errors import ProtocolError
from ugsd_core.wire.frames import FRAME_SIZES, MAX_FRAME_BYTES, STRICT_SIZES, pack_frame, unpack_frame


def padded(payload: bytes, size: int = 128) -> bytes:
    return payload.ljust(size, b"\0")


@pytest.mark.parametrize("length", [0, 1, 100, 121, 122, 123, 250, 5000, 384_000])
def test_round_trip_and_padding(length: int) -> None:
    content = {"k": b"\0" * length}
    frame, payload_bytes = pack_frame(content)
    assert len(frame) in FRAME_SIZES
    assert payload_bytes <= len(frame) and (len(frame) == 128 or payload_bytes > len(frame) // 2)
    assert unpack_frame(frame) == (content, payload_bytes)


def test_thirty_seconds_of_the_largest_code_fit() -> None:
    assert MAX_FRAME_BYTES > 128 * 3000 + 1000


def test_frames_of_like_messages_have_the_same_length() -> None:
    """An observer cannot read the block length off the frame."""
    sizes = {len(pack_frame({"type": "verify", "draft": [599] * count})[0]) for count in range(1, 17)}
    assert sizes == {128}


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0" * 127,
        b"\0" * 128,
        b"\0" * (2 * MAX_FRAME_BYTES),
        msgpack.packb({"type": "close"}),
        padded(msgpack.packb([1, 2])),
        padded(msgpack.packb({1: 2})),
        padded(b"\x81\xc4\x01a\x01"),  # a key of bytes
        padded(b"\x82\xa1a\x01\xa1a\x02"),  # a key twice
        padded(b"\x81\xa1a\xd6\xff\0\0\0\0"),  # a timestamp
        padded(b"\x81\xa1a\xc1"),  # a byte that means nothing
        padded(b"\x81\xa1a\xa1\xff"),  # text that is no UTF-8
        padded(b"\x81\xa1a\xdd\xff\xff\xff\xff"),  # a list of four billion
        padded(b"\x81\xa1a\xdb\x00\x00\xff\xff"),  # text longer than the frame
        padded(b"\x91" * 100),  # nesting
        padded(msgpack.packb({"a": 1})) + b"\0" * 128,  # longer than it asks for
        padded(msgpack.packb({"a": 1}), 127) + b"x",  # something after the message
    ],
)
def test_what_is_no_frame_is_a_protocol_error(frame: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        unpack_frame(frame)
    assert caught.value.code == "bad_frame"


def bomb(depth: int, head: bytes, size: int) -> bytes:
    """Lists or maps within each other, each announcing as much as it may."""
    return (b"\x81\xa1a" + head * depth).ljust(size, b"\0")


@pytest.mark.parametrize(
    "frame",
    [
        bomb(30, b"\xdc\x00\x7f", 128),
        bomb(600, b"\xdc\x04\x40", 2048),
        bomb(1000, b"\xdc\x04\x40", 4096),
        (b"\x81\xa1a" + (b"\xdc\x04\x40" + b"\x90" * 1088) * 400).ljust(1 << 19, b"\0"),
        (b"\x81\xa1a\xdc\x04\x40" + (b"\xdc\x00\x40" + b"\x93\x90\x90\x90" * 64) * 2000).ljust(1 << 19, b"\0"),
        (b"\x81\xa1a\xdc\x04\x40" + b"\x82\xa1a\x80\xa1b\x80" * 60_000)[: 1 << 19].ljust(1 << 19, b"\0"),
    ],
    ids=["small", "nested lists", "deep lists", "empty lists", "lists of lists", "maps"],
)
def test_a_frame_that_announces_much_allocates_little(frame: bytes) -> None:
    """At most 64 bytes for each that came, and 10 MB for lists within lists, which are made before they are filled."""
    with pytest.raises(ProtocolError):
        unpack_frame(frame, "up")  # once before: modules and caches
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            unpack_frame(frame, "up")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * len(frame) + (10 << 20)


@pytest.mark.parametrize("length", [0, 300, 1500, 2500, 15_000, 120_000, 384_000])
def test_strict_padding_has_three_lengths_that_a_receiver_takes(length: int) -> None:
    content = {"k": b"\0" * length}
    frame, payload_bytes = pack_frame(content, "strict")
    assert len(frame) in STRICT_SIZES and set(STRICT_SIZES) <= set(FRAME_SIZES)
    assert unpack_frame(frame) == (content, payload_bytes)


def test_thirty_seconds_of_the_embedded_pair_have_the_length_of_one() -> None:
    assert {len(pack_frame({"k": b"\0" * (40 * 100 * seconds)}, "strict")[0]) for seconds in range(1, 31)} == {1 << 17}


def test_too_long_and_unpackable_contents() -> None:
    with pytest.raises(ProtocolError) as caught:
        pack_frame({"a": b"x" * MAX_FRAME_BYTES})
    assert caught.value.code == "too_long"
    for value in (object(), 1 << 70):
        with pytest.raises(ProtocolError):
            pack_frame({"a": value})
