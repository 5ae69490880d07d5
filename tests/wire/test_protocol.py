from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, get_args

import msgpack
import numpy as np
import pytest

from tests.wire.fakes import INFO, VOCABULARY, make_code, open_request
from ugsd_core.acoustic import AcousticCode
from ugsd_core.errors import ProtocolError
from ugsd_core.messages import (
    GeneratedToken,
    GenerateRequest,
    Judgement,
    OpenedReply,
    Verdict,
    VerifyRequest,
)
from ugsd_core.options import DecodingOptions
from ugsd_core.wire import protocol
from ugsd_core.wire.fields import MAX_CAPTION
from ugsd_core.wire.frames import FRAME_SIZES, pack_frame, unpack_frame
from ugsd_core.wire.messages import (
    Close,
    DownMessage,
    Draining,
    ErrorReply,
    Generate,
    GeneratedEnd,
    GeneratedReply,
    Hello,
    NeedFeatures,
    Open,
    Refused,
    UpMessage,
    VerdictReply,
    Welcome,
    describe,
    posterior_bytes,
)
from ugsd_core.wire.protocol import PROTOCOL_VERSION

TOP = ((5, 0.5), (6, 0.25))
VERDICT = Verdict(3, 2, 1, 9, None, (Judgement(1, 0.9, TOP), Judgement(4, 1 / 3, ())), (), 12.5)
UP: list[UpMessage] = [
    Hello(PROTOCOL_VERSION, "a" * 64, "b" * 64, VOCABULARY, DecodingOptions().to_dict(), None),
    Hello(PROTOCOL_VERSION, "a" * 64, "b" * 64, VOCABULARY, {}, "secret"),
    Open.of(open_request(), with_code=True),
    Open.of(open_request(prompt="brief", language="zh"), with_code=False),
    VerifyRequest("1", 0, 0, 0, (), (1,)),
    VerifyRequest("1", 7, 3, 12, (1, 2, 3), tuple(range(64))),
    VerifyRequest("1", 1, 0, 2, (1, 2), (3,), (0, 1, 2, 255, 4, 5, 6, 7, 8)),
    Generate(2, GenerateRequest("1", 96, 0.0, 0)),
    Close("1"),
    Hello(PROTOCOL_VERSION, "a" * 64, "b" * 64, VOCABULARY, {}, None, "c" * 64),
]
DOWN: list[DownMessage] = [
    Welcome(PROTOCOL_VERSION, INFO),
    Refused("tokenizer", "Another tokenizer."),
    Draining(2000),
    NeedFeatures("1"),
    OpenedReply("1", 57, 12.5),
    VerdictReply("1", VERDICT),
    VerdictReply("1", Verdict(0, 0, 1, None, 8, (Judgement(1, 1.0, ()),), TOP, 0.0)),
    GeneratedReply("1", 2, GeneratedToken(0, 5, 0.25, TOP, 3.5)),
    GeneratedEnd("1", 2),
    ErrorReply("internal", "It failed.", "1", 4, None),
    ErrorReply("internal", "出错了。"),
]


def mapped(message: Any) -> dict[str, Any]:
    return unpack_frame(protocol.encode(message)[0])[0]


def decode_up(values: dict[str, Any]) -> Any:
    return protocol.decode_up(pack_frame(values)[0], VOCABULARY)[0]


def test_the_lists_above_hold_every_message() -> None:
    assert {type(message) for message in UP} == set(get_args(UpMessage))
    assert {type(message) for message in DOWN} == set(get_args(DownMessage))


@pytest.mark.parametrize("message", UP, ids=lambda message: type(message).__name__)
def test_round_trip_up(message: UpMessage) -> None:
    frame, payload_bytes = protocol.encode(message, VOCABULARY)
    assert protocol.decode_up(frame, VOCABULARY) == (message, payload_bytes)
    with pytest.raises(ProtocolError):
        protocol.decode_down(frame, VOCABULARY)


@pytest.mark.parametrize("message", DOWN, ids=lambda message: type(message).__name__)
def test_round_trip_down(message: DownMessage) -> None:
    frame, payload_bytes = protocol.encode(message, VOCABULARY)
    assert protocol.decode_down(frame, VOCABULARY) == (message, payload_bytes)
    with pytest.raises(ProtocolError):
        protocol.decode_up(frame, VOCABULARY)


@pytest.mark.parametrize(("n_mels", "bits"), [(80, 4), (80, 8), (128, 4), (128, 8)])
def test_codes_keep_their_address(n_mels: int, bits: int) -> None:
    code = make_code(1, 3000, n_mels, bits)
    message = Open.of(open_request(code=code), with_code=True)
    back = protocol.decode_up(protocol.encode(message)[0])[0]
    assert isinstance(back, Open) and back.code == code and back.code.sha256 == message.sha256 == code.sha256
    assert back.request(code) == open_request(code=code)


def test_nothing_but_the_listed_fields_goes_up() -> None:
    """The promise of the design: fingerprints, the acoustic code, ids and settings; no waveform, no text."""
    allowed = {
        "hello": {"version", "tokenizer_fingerprint", "feature_fingerprint", "vocabulary_size", "options"}
        | {"access_token"},
        "hello to come back": {"version", "tokenizer_fingerprint", "feature_fingerprint", "vocabulary_size", "options"}
        | {"access_token", "resume"},
        "open": {"utterance", "language", "prompt", "sha256", "code", "acceptance", "rank", "probability", "bonus"}
        | {"top_k", "fusion"},
        "verify": {"utterance", "sequence", "revision", "base", "committed", "draft"},
        "verify with a posterior": {"utterance", "sequence", "revision", "base", "committed", "draft", "posterior"},
        "generate": {"stream", "utterance", "max_tokens", "temperature", "seed"},
        "close": {"utterance"},
    }
    for message in UP:
        values = mapped(message)
        kind = values["type"] + (" with a posterior" if "posterior" in values else "")
        kind += " to come back" if "resume" in values else ""
        assert set(values) - {"type"} == allowed[kind]


CHANGES: list[tuple[int, str, Any]] = [
    (0, "version", "1"),
    (0, "version", True),
    (0, "tokenizer_fingerprint", ""),
    (0, "tokenizer_fingerprint", "a b"),
    (0, "vocabulary_size", 0),
    (0, "options", []),
    (0, "options", {"a": [1]}),
    (0, "options", {"a": b"waveform"}),
    (0, "options", {"a": float("nan")}),
    (0, "options", {"a": "x" * 300}),
    (0, "options", {"a b": 1}),
    (1, "access_token", 5),
    (2, "utterance", ""),
    (2, "utterance", "a/b"),
    (2, "utterance", "x" * 65),
    (2, "language", "de"),
    (2, "language", None),
    (2, "prompt", "x\n"),
    (2, "sha256", "A" * 64),
    (2, "code", b"samples"),
    (2, "code", {}),
    (2, "rank", 0),
    (2, "probability", float("nan")),
    (2, "probability", float("inf")),
    (2, "probability", 1.5),
    (2, "probability", "0.3"),
    (2, "bonus", 1),
    (2, "top_k", 65),
    (4, "sequence", -1),
    (4, "sequence", 1.0),
    (4, "sequence", 1 << 40),
    (4, "base", 5000),
    (4, "committed", None),
    (4, "committed", [VOCABULARY]),
    (4, "committed", [-1]),
    (4, "draft", []),
    (4, "draft", [1] * 65),
    (4, "draft", [1.0]),
    (4, "draft", [True]),
    (4, "draft", [VOCABULARY]),
    (4, "draft", "abc"),
    (4, "draft", b"abc"),
    (2, "fusion", -0.1),
    (2, "fusion", 1.5),
    (2, "fusion", float("nan")),
    (2, "fusion", None),
    (6, "posterior", None),
    (6, "posterior", bytes(9)),
    (6, "posterior", bytes([254] * 9)),
    (6, "posterior", bytes([255] * 8)),
    (6, "posterior", bytes([255] * 10)),
    (6, "posterior", [255] * 9),
    (6, "posterior", "x" * 9),
    (7, "max_tokens", 0),
    (7, "temperature", float("nan")),
    (7, "temperature", -0.1),
    (7, "temperature", 5e-324),
    (7, "temperature", 1e-9),
    (7, "max_tokens", MAX_CAPTION + 1),
    (4, "base", MAX_CAPTION + 1),
    (7, "seed", 0.5),
    (7, "stream", None),
    (8, "utterance", 1),
]


@pytest.mark.parametrize(("index", "name", "value"), CHANGES)
def test_wrong_fields_are_typed_errors(index: int, name: str, value: Any) -> None:
    values = mapped(UP[index])
    assert name in values
    with pytest.raises(ProtocolError) as caught:
        decode_up(values | {name: value})
    assert caught.value.code in ("bad_field", "bad_ids")


def test_a_caption_cannot_be_stretched_beyond_its_end() -> None:
    """Base and committed ids each within the limit must not add up to more: it is what a verifier has to hold."""
    values = mapped(UP[4])
    half = MAX_CAPTION // 2
    assert decode_up(values | {"base": half, "committed": [1] * half})
    with pytest.raises(ProtocolError):
        decode_up(values | {"base": half + 1, "committed": [1] * half})


def test_errors_never_quote_the_value() -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_up(mapped(UP[4]) | {"draft": [77777]})
    assert "77777" not in str(caught.value)


@pytest.mark.parametrize("message", UP, ids=lambda message: type(message).__name__)
def test_extra_and_missing_fields(message: UpMessage) -> None:
    values = mapped(message)
    with pytest.raises(ProtocolError):
        decode_up(values | {"waveform": b"\0\0"})
    for name in set(values) - {"posterior", "resume"}:
        with pytest.raises(ProtocolError):
            decode_up({key: value for key, value in values.items() if key != name})


@pytest.mark.parametrize(
    "change",
    [
        {"n_mels": 81},
        {"n_frames": 0},
        {"n_frames": 3001},
        {"n_frames": 51},
        {"bits": 16},
        {"bits": True},
        {"high": float("nan")},
        {"high": 9.0},
        {"payload": b""},
        {"payload": "text"},
        {"more": 1},
    ],
)
def test_impossible_codes(change: dict[str, Any]) -> None:
    values = mapped(UP[2])
    with pytest.raises(ProtocolError):
        decode_up(values | {"code": values["code"] | change})


def test_a_block_without_a_posterior_is_sent_as_if_there_were_no_such_field() -> None:
    """To the byte: what version 1 sent, so that every block keeps its size class, also just below a limit."""
    for n in range(1, 65):
        request = VerifyRequest("1", n, 0, 0, (), tuple(range(n)))
        fields = {"utterance": "1", "sequence": n, "revision": 0, "base": 0, "committed": [], "draft": [*range(n)]}
        assert protocol.encode(request) == pack_frame({"type": "verify"} | fields)


def test_a_posterior_adds_the_same_to_every_block_and_no_new_size() -> None:
    for n in (1, 4, 20, 64):
        plain = VerifyRequest("1", n, 0, 0, (), tuple(range(n)))
        sizes = []
        for levels in ((255,) * 9, (0,) * 8 + (255,)):
            frame, payload_bytes = protocol.encode(replace(plain, posterior=levels))
            sizes.append((len(frame), payload_bytes - protocol.encode(plain)[1]))
        assert sizes[0] == sizes[1], "what the edge thinks does not show in the length"
        assert sizes[0][0] in FRAME_SIZES and sizes[0][1] == 21


@pytest.mark.parametrize(
    "levels",
    [
        *((255,) * 8, (255,) * 10, (254,) * 9, (256,) * 9, (-1, 255) * 4 + (255,), (0,) * 9),
        *((255.0,) * 9, (True, 255) * 4 + (255,), [255] * 9, b"\xff" * 9, ()),
    ],
)
def test_impossible_posteriors_are_caught_on_their_way_out(levels: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        protocol.encode(VerifyRequest("1", 0, 0, 0, (), (1,), levels))
    assert caught.value.code == "bad_field"


def test_another_version_is_named_before_its_fields_are_judged() -> None:
    frame, _ = pack_frame({"type": "hello", "version": 1, "news": True})
    with pytest.raises(ProtocolError) as caught:
        protocol.decode_up(frame)
    assert caught.value.code == "version"
    frame, _ = pack_frame({"type": "welcome", "version": PROTOCOL_VERSION + 1})
    with pytest.raises(ProtocolError) as caught:
        protocol.decode_down(frame)
    assert caught.value.code == "version"


@pytest.mark.parametrize(
    "verdict",
    [
        replace(VERDICT, bonus=3),
        replace(VERDICT, accepted=2),
        replace(VERDICT, accepted=65),
        replace(VERDICT, replacement=VOCABULARY),
        replace(VERDICT, verify_ms=float("nan")),
        replace(VERDICT, queued_ms=-1.0),
        replace(VERDICT, judged=(Judgement(0, 0.5, ()),) * 2),
        replace(VERDICT, judged=(Judgement(1, 1.5, ()),) * 2),
        replace(VERDICT, judged=(Judgement(1, 0.5, ((VOCABULARY, 0.5),)),) * 2),
    ],
)
def test_impossible_verdicts_are_caught_on_their_way_out(verdict: Verdict) -> None:
    with pytest.raises(ProtocolError):
        protocol.encode(VerdictReply("1", verdict), VOCABULARY)


def test_numbers_of_numpy_are_caught_on_their_way_out() -> None:
    with pytest.raises(ProtocolError, match="int64"):
        protocol.encode(VerdictReply("1", replace(VERDICT, accepted=np.int64(1))), VOCABULARY)


def test_fuzz_gives_typed_errors_only() -> None:
    """Damaged frames: bytes changed, cut, repeated, and maps with random values in random fields."""
    rng = random.Random(20)
    frames = [protocol.encode(message, VOCABULARY)[0] for message in [*UP, *DOWN]]
    values = [
        None,
        True,
        -1,
        0,
        1 << 63,
        0.5,
        float("nan"),
        "",
        "x",
        "x" * 5000,
        b"",
        b"\xff" * 200,
        [],
        [[]],
        {},
        {"a": 1},
    ]
    maps = [mapped(message) for message in [*UP, *DOWN]]
    refused = 0
    for _ in range(4000):
        if rng.random() < 0.5:
            frame = bytearray(rng.choice(frames))
            for _ in range(rng.randint(1, 4)):
                kind = rng.randrange(4)
                if kind == 0:
                    frame[rng.randrange(min(len(frame), 120))] = rng.randrange(256)
                elif kind == 1:
                    frame = frame[: rng.randrange(1, len(frame) + 1)] or frame
                elif kind == 2:
                    frame += rng.randbytes(rng.randint(1, 64))
                else:
                    frame = bytearray(rng.randbytes(128))
            data = bytes(frame)
        else:
            content = dict(rng.choice(maps))
            content[rng.choice([*content, "other"])] = rng.choice(values)
            try:
                data = pack_frame(content)[0]
            except ProtocolError:
                data = msgpack.packb(content).ljust(8192, b"\0")
        passed = False
        for decode in (protocol.decode_up, protocol.decode_down):
            try:
                decode(data, VOCABULARY)
                passed = True
            except ProtocolError as error:
                assert error.code and str(error)
        refused += not passed
    assert 2000 < refused < 4000  # damage is found, and not everything is damaged beyond the first look


def test_descriptions() -> None:
    code = AcousticCode(80, 320, 4, 1.0, bytes(12_800))
    opening = Open.of(open_request(code=code), with_code=True)
    assert describe(opening) == ("acoustic_code", "3.2 s of speech as a 4-bit mel code of 12.8 kB")
    assert describe(replace(opening, code=None))[0] == "control"
    assert describe(VerifyRequest("1", 0, 0, 0, (), (1, 2, 3, 4))) == ("token_ids", "4 token ids")
    assert describe(VerifyRequest("1", 0, 0, 0, (1,), (1, 2)))[1] == "3 token ids (2 drafted, 1 already in the caption)"
    fused = VerifyRequest("1", 0, 0, 0, (1,), (1, 2), (255,) * 9)
    assert describe(fused) == (
        "token_ids",
        "3 token ids (2 drafted, 1 already in the caption) and the edge's view of the emotion, 9 bytes",
    )
    assert [posterior_bytes(message) for message in (fused, replace(fused, posterior=None), opening)] == [9, 0, 0]
    assert describe(VerdictReply("1", VERDICT)) == ("verdict", "a verdict on 2 tokens")
    for message in [*UP, *DOWN]:
        assert describe(message)[1]
