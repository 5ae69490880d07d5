"""Messages to frames and back: the fields of ``ugsd.v1``, each checked on its way out and on its way in.

Nothing but the listed fields can cross, and nothing reaches a model before every field passed its check. Nothing
here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal

from ugsd_core.acoustic import AcousticCode
from ugsd_core.errors import ProtocolError
from ugsd_core.messages import GeneratedToken, GenerateRequest, OpenedReply, Verdict, VerifierInfo, VerifyRequest
from ugsd_core.wire import fields as field
from ugsd_core.wire.fields import MAX_CAPTION, MAX_DRAFT, MAX_VOCABULARY, NAME
from ugsd_core.wire.frames import Padding, pack_frame, unpack_frame
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
)

__all__ = ["PROTOCOL_VERSION", "SUBPROTOCOL", "decode_down", "decode_up", "encode", "tag_of"]

#: Counts up whenever the fields of a message change: 2 brought ``open.fusion``, ``verify.posterior``,
#: ``verdict.queued_ms``; 3 brought ``error.retry_after_ms``, ``need_features`` for an utterance that was open before,
#: ``hello.resume`` and ``draining``.
PROTOCOL_VERSION = 3
#: Names what all versions share: frames, ``hello``, ``welcome`` and ``refused``. It stays when `PROTOCOL_VERSION`
#: counts up, so that a peer of another version is told so by a message and not by a connection that fails.
SUBPROTOCOL = "ugsd.v1"

# ── Fields of each message ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Spec:
    """How a message and its map correspond; ``build`` and ``flatten`` translate what is nested.

    Attributes:
        omitted: Fields that are left out when there is nothing to say; they are never nil.
    """

    cls: type[Any]
    direction: Literal["up", "down"]
    fields: dict[str, field.Check]
    build: Callable[[dict[str, Any]], Any]
    flatten: Callable[[Any], dict[str, Any]]
    omitted: frozenset[str] = frozenset()


def _shallow(message: Any) -> dict[str, Any]:
    """The fields of a record, not those of records within."""
    return {entry.name: getattr(message, entry.name) for entry in fields(message)}


def _code_map(code: AcousticCode | None) -> dict[str, Any] | None:
    return None if code is None else _shallow(code)


_NAME = field.printable(64, NAME)
_SENTENCE = field.printable(500)
_FINGERPRINT = field.printable(128, NAME)
_VERSION = field.whole(0, 1 << 16)
_COUNTER = field.whole(0, (1 << 31) - 1)
_MILLISECONDS = field.number(0.0, 1e9)
_VOCABULARY = field.whole(1, MAX_VOCABULARY)


def _plain(cls: type[Any], direction: Literal["up", "down"], **checks: field.Check) -> _Spec:
    return _Spec(cls, direction, checks, lambda values: cls(**values), _shallow)


def _nested(
    cls: type[Any],
    direction: Literal["up", "down"],
    inner: tuple[str, type[Any]],
    own: tuple[str, ...],
    checks: dict[str, field.Check],
) -> _Spec:
    """A message that is another record (its field's name, its class) plus fields of its ``own``, flat on the wire."""
    name, inner_cls = inner

    def build(values: dict[str, Any]) -> Any:
        outer = {key: values.pop(key) for key in own}
        return cls(**outer, **{name: inner_cls(**values)})

    def flatten(message: Any) -> dict[str, Any]:
        return {key: getattr(message, key) for key in own} | _shallow(getattr(message, name))

    return _Spec(cls, direction, checks, build, flatten)


def _hello_map(message: Hello) -> dict[str, Any]:
    values = _shallow(message)
    if values["resume"] is None:
        del values["resume"]
    return values


def _verify_map(message: VerifyRequest) -> dict[str, Any]:
    values = _shallow(message)
    levels = values.pop("posterior")
    # Left out, not nil: without a posterior the frame is the same to the byte as if there were no such field.
    return values if levels is None else values | {"posterior": field.posterior_bytes("verify.posterior", levels)}


def _verify(values: dict[str, Any]) -> VerifyRequest:
    request = VerifyRequest(**values)
    # Each alone may reach the end of a caption; together they must stay in one, or a verifier would hold several.
    if request.base + len(request.committed) > MAX_CAPTION:
        raise ProtocolError(f"a caption has at most {MAX_CAPTION} tokens", "bad_field")
    return request


def _error_map(message: ErrorReply) -> dict[str, Any]:
    values = _shallow(message)
    return (
        values
        if message.retry_after_ms is not None
        else {key: values[key] for key in values if key != "retry_after_ms"}
    )


def _verdict_map(message: VerdictReply) -> dict[str, Any]:
    values = _shallow(message.verdict)
    values["judged"] = tuple((entry.rank, entry.probability, entry.top) for entry in message.verdict.judged)
    return {"utterance": message.utterance} | values


def _verdict(values: dict[str, Any]) -> VerdictReply:
    utterance = values.pop("utterance")
    verdict = Verdict(**values)
    rejected = verdict.replacement is not None
    if rejected and verdict.bonus is not None:
        raise ProtocolError("a verdict has a replacement and a bonus token", "bad_verdict")
    if len(verdict.judged) != verdict.accepted + rejected:
        raise ProtocolError("a verdict must judge the accepted tokens and the rejected one", "bad_verdict")
    return VerdictReply(utterance, verdict)


_SPECS: dict[str, _Spec] = {
    "hello": _Spec(
        Hello,
        "up",
        {
            "version": _VERSION,
            "tokenizer_fingerprint": _FINGERPRINT,
            "feature_fingerprint": _FINGERPRINT,
            "vocabulary_size": _VOCABULARY,
            "options": field.settings,
            "access_token": field.optional(field.printable(512)),
            "resume": field.hex_digest,
        },
        lambda values: Hello(**values),
        _hello_map,
        omitted=frozenset({"resume"}),
    ),
    "open": _Spec(
        Open,
        "up",
        {
            "utterance": _NAME,
            "language": field.choice("en", "zh"),
            "prompt": field.optional(_NAME),
            "sha256": field.hex_digest,
            "code": field.optional(field.acoustic_code),
            "acceptance": _NAME,
            "rank": field.whole(1, (1 << 31) - 1),
            "probability": field.number(0.0, 1.0),
            "bonus": field.flag,
            "top_k": field.whole(0, field.MAX_TOP),
            "fusion": field.number(0.0, 1.0),
        },
        lambda values: Open(**values),
        lambda message: _shallow(message) | {"code": _code_map(message.code)},
    ),
    "verify": _Spec(
        VerifyRequest,
        "up",
        {
            "utterance": _NAME,
            "sequence": _COUNTER,
            "revision": _COUNTER,
            "base": field.whole(0, MAX_CAPTION),
            "committed": field.token_ids(0, MAX_CAPTION),
            "draft": field.token_ids(1, MAX_DRAFT),
            "posterior": field.posterior,
        },
        _verify,
        _verify_map,
        omitted=frozenset({"posterior"}),
    ),
    "generate": _nested(
        Generate,
        "up",
        ("request", GenerateRequest),
        ("stream",),
        {
            "stream": _COUNTER,
            "utterance": _NAME,
            "max_tokens": field.whole(1, MAX_CAPTION),
            "temperature": field.temperature,
            "seed": field.whole(-(1 << 63), (1 << 63) - 1),
        },
    ),
    "close": _plain(Close, "up", utterance=_NAME),
    "welcome": _nested(
        Welcome,
        "down",
        ("info", VerifierInfo),
        ("version",),
        {
            "version": _VERSION,
            "name": field.printable(200),
            "tokenizer_fingerprint": _FINGERPRINT,
            "feature_fingerprint": _FINGERPRINT,
            "vocabulary_size": _VOCABULARY,
        },
    ),
    "refused": _plain(Refused, "down", code=_NAME, sentence=_SENTENCE),
    "draining": _plain(Draining, "down", retry_after_ms=_COUNTER),
    "need_features": _plain(NeedFeatures, "down", utterance=_NAME),
    "opened": _plain(OpenedReply, "down", utterance=_NAME, input_tokens=_COUNTER, prefill_ms=_MILLISECONDS),
    "verdict": _Spec(
        VerdictReply,
        "down",
        {
            "utterance": _NAME,
            "sequence": _COUNTER,
            "revision": _COUNTER,
            "accepted": field.whole(0, MAX_DRAFT),
            "replacement": field.optional(field.token_id),
            "bonus": field.optional(field.token_id),
            "judged": field.judgements,
            "bonus_top": field.candidates,
            "verify_ms": _MILLISECONDS,
            "queued_ms": _MILLISECONDS,
        },
        _verdict,
        _verdict_map,
    ),
    "generated": _nested(
        GeneratedReply,
        "down",
        ("token", GeneratedToken),
        ("utterance", "stream"),
        {
            "utterance": _NAME,
            "stream": _COUNTER,
            "position": field.whole(0, MAX_CAPTION),
            "token_id": field.token_id,
            "probability": field.number(0.0, 1.0001),
            "top": field.candidates,
            "verify_ms": _MILLISECONDS,
        },
    ),
    "generated_end": _plain(GeneratedEnd, "down", utterance=_NAME, stream=_COUNTER),
    "error": _Spec(
        ErrorReply,
        "down",
        {
            "code": _NAME,
            "sentence": _SENTENCE,
            "utterance": field.optional(_NAME),
            "sequence": field.optional(_COUNTER),
            "stream": field.optional(_COUNTER),
            "retry_after_ms": field.whole(0, 600_000),
        },
        lambda values: ErrorReply(**values),
        _error_map,
        omitted=frozenset({"retry_after_ms"}),
    ),
}
_TAGS: dict[type[Any], str] = {spec.cls: tag for tag, spec in _SPECS.items()}

# ── Encode and decode ──────────────────────────────────────────────────────────────────────────────────────────────


def tag_of(message: UpMessage | DownMessage) -> str:
    """The message's tag on the wire, such as ``"verify"``."""
    return _TAGS[type(message)]


def _check(tag: str, spec: _Spec, values: dict[str, Any], vocabulary_size: int) -> Any:
    """The message, every field checked."""
    if not set(spec.fields) - spec.omitted <= set(values) <= set(spec.fields):
        raise ProtocolError(f"a {tag} message must hold exactly its own fields", "bad_field")
    checked = {name: spec.fields[name](f"{tag}.{name}", value, vocabulary_size) for name, value in values.items()}
    return spec.build(checked)


def encode(
    message: UpMessage | DownMessage, vocabulary_size: int = MAX_VOCABULARY, padding: Padding = "usual"
) -> tuple[bytes, int]:
    """The frame of a message, and the length of its payload (the rest is padding), both in bytes.

    Raises:
        ProtocolError: If a field is not what the protocol allows.
    """
    tag = tag_of(message)
    spec = _SPECS[tag]
    values = spec.flatten(message)
    _check(tag, spec, values, vocabulary_size)
    return pack_frame({"type": tag} | values, padding)


def _decode(frame: bytes, direction: Literal["up", "down"], vocabulary_size: int) -> tuple[Any, int]:
    values, payload_bytes = unpack_frame(frame, direction)
    tag = values.pop("type", None)
    spec = _SPECS.get(tag) if isinstance(tag, str) else None
    if spec is None or spec.direction != direction:
        raise ProtocolError("a frame holds no message that belongs here", "bad_message")
    # Before the fields, which another version may have changed.
    if tag in ("hello", "welcome") and type(values.get("version")) is int and values["version"] != PROTOCOL_VERSION:
        raise ProtocolError(
            f"one side speaks version {values['version']} of this protocol, the other version {PROTOCOL_VERSION}; "
            "use the same version of this program on both sides",
            "version",
        )
    return _check(str(tag), spec, values, vocabulary_size), payload_bytes


def decode_up(frame: bytes, vocabulary_size: int = MAX_VOCABULARY) -> tuple[UpMessage, int]:
    """The message of a frame from an edge, and the length of its payload in bytes.

    Raises:
        ProtocolError: If anything about the frame is not what the protocol allows; code ``"version"`` if the
            other side speaks another version.
    """
    return _decode(frame, "up", vocabulary_size)


def decode_down(frame: bytes, vocabulary_size: int = MAX_VOCABULARY) -> tuple[DownMessage, int]:
    """As `decode_up`, for a frame from a verifier."""
    return _decode(frame, "down", vocabulary_size)
