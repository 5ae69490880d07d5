"""What one session did, in numbers: for the line that is logged at its end, and for the server's measures."""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic

from ugsd_core.logs import told
from ugsd_core.messages import OpenedReply, VerifyRequest
from ugsd_core.wire.measures import Measures
from ugsd_core.wire.messages import (
    DownMessage,
    ErrorReply,
    Generate,
    GeneratedEnd,
    Open,
    Refused,
    UpMessage,
    VerdictReply,
)

__all__ = ["Tally", "kind_of"]

logger = logging.getLogger(__name__)


def kind_of(message: UpMessage | DownMessage) -> str | None:
    """Which kind of request a message makes or answers: ``open``, ``verify``, ``generate``; None for the others."""
    match message:
        case Open() | OpenedReply():
            return "open"
        case VerifyRequest() | VerdictReply():
            return "verify"
        case Generate() | GeneratedEnd():
            return "generate"
        case ErrorReply(sequence=sequence, stream=stream) if message.utterance is not None:
            return "verify" if sequence is not None else "generate" if stream is not None else "open"
    return None


@dataclass(slots=True)
class Tally:
    """Counts of one session.

    Attributes:
        measures: Those of the server, told of everything.
        session: A number of its own in the log, made at random: it says nothing of who that is.
        client: Name of the access token that let it in, if tokens have names.
    """

    measures: Measures
    session: str = field(default_factory=lambda: secrets.token_hex(4))
    client: str | None = None
    began_s: float = field(default_factory=monotonic)
    requests: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    bytes_up: int = 0
    bytes_down: int = 0

    @property
    def who(self) -> dict[str, str]:
        """The session in a line of the log."""
        return {"session": self.session} | ({} if self.client is None else {"client": self.client})

    def frame(self, size_bytes: int) -> None:
        """A frame has come."""
        self.bytes_up += size_bytes
        self.measures.frame("up", size_bytes)

    def received(self, message: UpMessage) -> None:
        """A frame was understood."""
        kind = kind_of(message)
        if kind is not None:
            self.requests[kind] += 1

    def sent(self, message: DownMessage, size_bytes: int) -> None:
        """A frame goes out."""
        self.bytes_down += size_bytes
        self.measures.frame("down", size_bytes)
        kind = kind_of(message)
        if isinstance(message, ErrorReply | Refused):
            self.refusals[message.code] += 1
            self.measures.refused(message.code)
            if kind is not None:
                self.measures.answered(kind, message.code)
            logger.debug("A request was refused (%s).", message.code, extra=told("refused", kind=kind, **self.who))
        elif kind is not None:
            self.answers[kind] += 1
            self.measures.answered(kind, "ok")
            if isinstance(message, VerdictReply):
                self._verdict(message)

    def totals(self) -> dict[str, object]:
        """Everything, for the line at the end."""
        return {
            **self.who,
            "seconds": round(monotonic() - self.began_s, 3),
            "utterances": self.requests["open"],
            "blocks": self.requests["verify"],
            "verdicts": self.answers["verify"],
            "generated": self.answers["generate"],
            "bytes_up": self.bytes_up,
            "bytes_down": self.bytes_down,
            "refusals": dict(self.refusals),
        }

    def _verdict(self, message: VerdictReply) -> None:
        verdict = message.verdict
        self.measures.verdict(verdict.queued_ms / 1e3, verdict.verify_ms / 1e3)
        if not logger.isEnabledFor(logging.DEBUG):  # once a block: what nobody reads is not written
            return
        logger.debug(
            "A block was judged.",
            extra=told(
                "verdict",
                **self.who,
                judged=len(verdict.judged),
                accepted=verdict.accepted,
                queued_ms=round(verdict.queued_ms, 1),
                verify_ms=round(verdict.verify_ms, 1),
            ),
        )
