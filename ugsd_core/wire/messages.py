"""The messages of ``ugsd.v1`` as records, and what each tells about a person in plain words.

Records that are the same on both sides of the wire (`VerifyRequest`, `OpenedReply`) are messages as they are; the rest
wrap a record of `ugsd_core.messages` or belong to the wire alone. There is no message that could carry a waveform.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ugsd_core.acoustic import HOP_LENGTH, SAMPLE_RATE_HZ, AcousticCode
from ugsd_core.messages import (
    GeneratedToken,
    GenerateRequest,
    OpenedReply,
    OpenRequest,
    TrafficClass,
    Verdict,
    VerifierInfo,
    VerifyRequest,
)

__all__ = [
    "Close",
    "DownMessage",
    "Draining",
    "ErrorReply",
    "Generate",
    "GeneratedEnd",
    "GeneratedReply",
    "Hello",
    "NeedFeatures",
    "Open",
    "Refused",
    "UpMessage",
    "VerdictReply",
    "Welcome",
    "describe",
    "posterior_bytes",
]

# ── Up: edge to verifier ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Hello:
    """First message of a session: what the edge is, for the verifier to compare.

    Attributes:
        options: Scalar settings; the verifier needs none of them.
        access_token: Shown to verifiers that ask for one.
        resume: A secret of the edge's choice. A verifier keeps a connection's acoustic codes under it for a while, for
            the next connection that shows it; None keeps nothing.
    """

    version: int
    tokenizer_fingerprint: str
    feature_fingerprint: str
    vocabulary_size: int
    options: dict[str, Any]
    access_token: str | None = None
    resume: str | None = None


@dataclass(frozen=True, slots=True)
class Open:
    """An `OpenRequest` on the wire: the code by its SHA-256, and the code itself unless the verifier has it still."""

    utterance: str
    language: str
    prompt: str | None
    sha256: str
    code: AcousticCode | None
    acceptance: str
    rank: int
    probability: float
    bonus: bool
    top_k: int
    fusion: float

    @classmethod
    def of(cls, request: OpenRequest, *, with_code: bool) -> Open:
        """The message for a request."""
        values = {entry.name: getattr(request, entry.name) for entry in fields(request)}
        values["code"] = request.code if with_code else None
        return cls(sha256=request.code.sha256, **values)

    def request(self, code: AcousticCode) -> OpenRequest:
        """The request a verifier gets once the code is there."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "sha256"}
        return OpenRequest(**values | {"code": code})


@dataclass(frozen=True, slots=True)
class Generate:
    """A `GenerateRequest` with a number, so that tokens of a caption given up are not taken for those of the next."""

    stream: int
    request: GenerateRequest


@dataclass(frozen=True, slots=True)
class Close:
    """Forget an utterance; not answered."""

    utterance: str


# ── Down: verifier to edge ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Welcome:
    """The session is accepted."""

    version: int
    info: VerifierInfo


@dataclass(frozen=True, slots=True)
class Refused:
    """The session is not accepted; the connection ends. Codes as in `HandshakeRefused`."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Draining:
    """The verifier is about to end: what is open is finished, nothing new is begun.

    Attributes:
        retry_after_ms: When it is worth while to connect again, here or elsewhere.
    """

    retry_after_ms: int


@dataclass(frozen=True, slots=True)
class NeedFeatures:
    """The verifier no longer holds the acoustic code named by an `Open`; it waits for the code."""

    utterance: str


@dataclass(frozen=True, slots=True)
class VerdictReply:
    """A `Verdict` and the utterance it belongs to."""

    utterance: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class GeneratedReply:
    """A token of a cloud-only caption."""

    utterance: str
    stream: int
    token: GeneratedToken


@dataclass(frozen=True, slots=True)
class GeneratedEnd:
    """A cloud-only caption is complete."""

    utterance: str
    stream: int


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """Something asked for was not done.

    Attributes:
        utterance: What it concerns; None means the session, which then ends.
        sequence: The verify message it answers, if it answers one.
        stream: The generate message it answers, if it answers one.
        retry_after_ms: When to ask again; only with the codes ``busy`` and ``limited``.
    """

    code: str
    sentence: str
    utterance: str | None = None
    sequence: int | None = None
    stream: int | None = None
    retry_after_ms: int | None = None


UpMessage = Hello | Open | VerifyRequest | Generate | Close
DownMessage = (
    Welcome
    | Refused
    | Draining
    | NeedFeatures
    | OpenedReply
    | VerdictReply
    | GeneratedReply
    | GeneratedEnd
    | ErrorReply
)

# ── In plain words ────────────────────────────────────────────────────────────────────────────────────────────────


def _count(number: int, one: str) -> str:
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def _describe_code(code: AcousticCode) -> str:
    duration_s = code.n_frames * HOP_LENGTH / SAMPLE_RATE_HZ
    return f"{duration_s:.1f} s of speech as a {code.bits}-bit mel code of {len(code.payload) / 1000:.1f} kB"


def posterior_bytes(message: UpMessage | DownMessage) -> int:
    """How many bytes of a message are the edge's label posterior, for the privacy ledger."""
    return len(message.posterior or ()) if isinstance(message, VerifyRequest) else 0


def describe(message: UpMessage | DownMessage) -> tuple[TrafficClass, str]:
    """What a frame tells, for the privacy ledger: its traffic class, and its content in plain words."""
    match message:
        case Hello():
            return "handshake", "protocol version, fingerprints of tokenizer and feature extractor, settings"
        case Welcome():
            return "handshake", "the verifier's name and fingerprints"
        case Refused():
            return "handshake", "the verifier's refusal"
        case Open(code=code):
            if code is None:
                return "control", "the name (SHA-256) of an acoustic code that was sent before"
            return "acoustic_code", _describe_code(code)
        case VerifyRequest(draft=draft, committed=committed, posterior=posterior):
            what = _count(len(draft) + len(committed), "token id")
            what += f" ({len(draft)} drafted, {len(committed)} already in the caption)" if committed else ""
            emotion = f" and the edge's view of the emotion, {len(posterior)} bytes" if posterior else ""
            return "token_ids", what + emotion
        case VerdictReply(verdict=verdict):
            return "verdict", f"a verdict on {_count(len(verdict.judged), 'token')}"
        case GeneratedReply():
            return "caption_ids", "1 token id of a caption the verifier writes"
        case Generate():
            return "control", "the request to write a caption"
        case GeneratedEnd():
            return "control", "the end of a caption"
        case Close():
            return "control", "the end of an utterance"
        case Draining():
            return "control", "the word that the verifier is about to end"
        case NeedFeatures():
            return "control", "the request to send an acoustic code again"
        case OpenedReply():
            return "control", "the word that prompt and speech have been read"
        case ErrorReply():
            return "control", "an error message"
