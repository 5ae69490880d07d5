"""A caption under way, whoever writes it: its ids, its clock, its connection, and how it ends."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from time import perf_counter

from ugsd_core.acoustic import AcousticCode
from ugsd_core.drafter import Drafter
from ugsd_core.errors import VerifierUnavailable, WireError
from ugsd_core.gate_card import fusion_weight
from ugsd_core.messages import (
    CaptionFinished,
    Event,
    FinishReason,
    FrameSent,
    OpenRequest,
    VerifierLost,
    VerifierReady,
)
from ugsd_core.options import DecodingOptions
from ugsd_core.verifier import RecoveringLink, VerifierLink

__all__ = ["CaptionRun", "open_request"]


@dataclass
class CaptionRun:
    """State of one caption that every mode has.

    Attributes:
        started_at: `time.perf_counter` when the utterance was complete.
        ids: Caption ids committed so far.
        pieces: Their texts.
        acknowledged: How many of them the verifier is known to hold.
        lost: Whether the verifier is away, as the events so far have it.
    """

    code: AcousticCode
    utterance: str
    drafter: Drafter
    link: VerifierLink | None
    options: DecodingOptions
    started_at: float
    ids: list[int] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    acknowledged: int = 0
    lost: bool = False

    def now(self) -> float:
        """Seconds since the utterance was complete."""
        return perf_counter() - self.started_at

    def close(self) -> None:
        """Let the verifier forget the utterance."""
        if self.link is not None:
            self.link.close_utterance(self.utterance)

    # ── Connection ────────────────────────────────────────────────────────────────────────────────────────────────

    def frames(self) -> Iterator[Event]:
        """What crossed the wire since the last call."""
        for f in self.link.take_frames() if self.link is not None else ():
            yield FrameSent(
                f.at_s - self.started_at,
                f.direction,
                f.traffic,
                f.message,
                f.payload_bytes,
                f.wire_bytes,
                f.contents,
                f.posterior_bytes,
            )

    def lose(self, reason: str, *, for_good: bool = False) -> Iterator[Event]:
        """Go on without the verifier: until it is back, if the link sees to that, else to the end."""
        yield from self.frames()
        self.close()
        if for_good or not isinstance(self.link, RecoveringLink):
            self.link = None
        self.lost = True
        yield VerifierLost(self.now(), reason)

    def reach(self) -> Generator[Event, None, bool]:
        """Whether a block can be sent now. A verifier that is back is given the utterance; it reads it meanwhile."""
        if self.link is None or not isinstance(self.link, RecoveringLink):
            return self.link is not None
        standing = self.link.standing(self.utterance)
        if standing == "closed":
            try:
                yield from self.open(again=True)
            except WireError as error:
                yield from self.lose(str(error))
                return False
            standing = self.link.standing(self.utterance)
        if standing == "away" and not self.lost:
            yield from self.lose(f"The connection to the verifier at {self.link.address} was lost.")
        yield from self.frames()
        return standing == "open"

    def open(self, *, again: bool = False) -> Iterator[Event]:
        """Shake hands and send the acoustic code; the verifier reads it while the edge drafts."""
        if self.link is None:
            raise VerifierUnavailable("no verifier was given; name one with --verifier, or use --mode edge")
        if not again:
            self.link.take_frames()  # what another caption left behind is not this one's traffic
        began = perf_counter()
        info = self.link.connect(self.drafter.info, self.options.to_dict())
        checkpoint = {
            "name": info.name,
            "tokenizer_fingerprint": info.tokenizer_fingerprint,
            "feature_fingerprint": info.feature_fingerprint,
            "vocabulary_size": info.vocabulary_size,
        }
        if self.lost or not again:
            yield VerifierReady(self.now(), self.link.address, checkpoint, (perf_counter() - began) * 1e3)
        self.lost = False
        self.link.open(open_request(self.utterance, self.code, self.drafter, self.options))
        self.acknowledged = 0  # what it held before is gone
        yield from self.frames()

    # ── The end ───────────────────────────────────────────────────────────────────────────────────────────────────

    def finished(self) -> bool:
        """Whether the last committed token was the last."""
        ended = bool(self.ids) and self.ids[-1] in self.drafter.end_ids
        return ended or len(self.ids) >= self.options.max_tokens

    def finish(self) -> Iterator[Event]:
        """Close the utterance on the verifier, then say that the caption is final."""
        self.close()
        yield from self.frames()
        reason: FinishReason = "end_of_turn" if self.ids[-1] in self.drafter.end_ids else "max_length"
        yield CaptionFinished(self.now(), "".join(self.pieces), tuple(self.ids), reason)


def open_request(utterance: str, code: AcousticCode, drafter: Drafter, options: DecodingOptions) -> OpenRequest:
    """What the verifier is told of an utterance before its first block."""
    o = options
    return OpenRequest(
        utterance,
        o.language,
        drafter.prompt_name(o, utterance),
        code,
        o.acceptance,
        o.rank,
        o.probability,
        o.bonus,
        o.top_k,
        fusion_weight(o.fusion, drafter.gate_card(o.language)),
    )
