"""Event streams by hand: what the decoding loop would yield, with round figures, and no model behind it."""

from __future__ import annotations

from ugsd_core.messages import (
    Alternative,
    BlockEscalated,
    BlockJudged,
    BlockKept,
    BlockUnverified,
    CaptionFinished,
    CaptionStarted,
    Event,
    FeaturesReady,
    FinishReason,
    FrameSent,
    Mode,
    PrefillDone,
    Signals,
    TokenDecided,
    TokenDrafted,
    TokenState,
    VerifierLost,
    VerifierReady,
)
from ugsd_core.options import preset

#: The end-of-turn token: an id like any other, and no text.
END = "<end>"
END_ID = 1
EDGE = {"name": "edge", "tokenizer_fingerprint": "t", "feature_fingerprint": "f", "vocabulary_size": 620}
VERIFIER = EDGE | {"name": "verifier"}


class StreamBuilder:
    """Builds a stream block by block; every event comes 10 ms after the one before.

    ``script`` is what the tests compare with: (text, state) in the order of decision.
    """

    def __init__(self, mode: Mode = "ugsd", *, language: str = "en", warnings: tuple[str, ...] = ()) -> None:
        options = preset("default", mode=mode, language=language)
        self.mode = mode
        self.events: list[Event] = []
        self.script: list[tuple[str, TokenState]] = []
        self.committed: list[str] = []
        self.block = self.revision = self.sequence = 0
        self._ids: dict[str, int] = {END: END_ID}
        sides = {"edge": EDGE}
        started = CaptionStarted(
            0.0, "0123456789abcdef", 2.0, 64_000, language, mode, options.to_dict(), sides, 620, warnings
        )
        self.events.append(started)
        self.add(FeaturesReady(self.now(), 5.0, 200, 16_000, "ab" * 32))
        if mode != "edge":
            self.add(VerifierReady(self.now(), "ws://127.0.0.1:8765", VERIFIER, 4.0))
            self.frame("up", "acoustic_code", "open", 16_100, 16_384)
        side = "verifier" if mode == "cloud" else "edge"
        self.add(PrefillDone(self.now(), side, 60, 20.0))

    def now(self) -> float:
        return round(len(self.events) * 0.01, 2)

    def add(self, event: Event) -> None:
        self.events.append(event)

    def frame(self, direction: str, traffic: str, message: str, payload: int, wire: int) -> None:
        self.add(FrameSent(self.now(), direction, traffic, message, payload, wire, f"{message} for a test"))

    def id_of(self, text: str) -> int:
        return self._ids.setdefault(text, len(self._ids) + 10)

    # ── Blocks ────────────────────────────────────────────────────────────────────────────────────────────────────

    def kept(self, *texts: str) -> StreamBuilder:
        """A block that the gate let pass."""
        start = self._draft(texts)
        self.add(
            BlockKept(self.now(), self.block, self.revision, start, len(texts), 8.0, 0.1, 0.3, "sure of every word")
        )
        for offset, text in enumerate(texts):
            self._decide(text, start + offset, "kept_local")
        self.block += 1
        return self

    def judged(
        self, *texts: str, accepted: int, replacement: str | None = None, bonus: str | None = None
    ) -> StreamBuilder:
        """A block that was sent and came back."""
        start = self._draft(texts)
        self._escalate(start, len(texts))
        for offset, text in enumerate(texts):
            state: TokenState = "accepted" if offset < accepted else "ignored" if offset > accepted else "rejected"
            self._decide(text, start + offset, state, rank=2 if state != "ignored" else None)
        extra = replacement if accepted < len(texts) else bonus
        if extra is not None:
            self.revision += 1
            self._decide(extra, start + accepted, "corrected" if accepted < len(texts) else "bonus", rank=1)
        self.frame("down", "verdict", "verdict", 60, 128)
        judged = BlockJudged(
            self.now(),
            self.block,
            self.revision,
            self.sequence - 1,
            len(texts),
            accepted,
            extra is not None,
            2.0,
            6.0,
            0.5,
        )
        self.add(judged)
        self.block += 1
        return self

    def unverified(self, *texts: str, sent: bool = True) -> StreamBuilder:
        """A block that wanted the verifier and got no verdict."""
        start = self._draft(texts)
        if sent:
            self._escalate(start, len(texts))
        self.add(BlockUnverified(self.now(), self.block, self.revision, start, len(texts), 50.0, "no verdict in time"))
        for offset, text in enumerate(texts):
            self._decide(text, start + offset, "unverified")
        self.block += 1
        return self

    def generated(self, *texts: str) -> StreamBuilder:
        """Tokens of a cloud-only caption."""
        for text in texts:
            self._decide(text, len(self.committed), "bonus", rank=1)
        return self

    def lost(self, reason: str = "the verifier closed the connection") -> StreamBuilder:
        self.add(VerifierLost(self.now(), reason))
        return self

    def back(self) -> StreamBuilder:
        """A verifier that was lost is there again."""
        self.add(VerifierReady(self.now(), "ws://127.0.0.1:8766", VERIFIER, 0.0))
        return self

    def finish(self, reason: FinishReason = "end_of_turn") -> list[Event]:
        """All events."""
        caption = "".join("" if text == END else text for text in self.committed)
        ids = tuple(self.id_of(text) for text in self.committed)
        self.add(CaptionFinished(self.now(), caption, ids, reason))
        return self.events

    # ── Parts ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _draft(self, texts: tuple[str, ...]) -> int:
        start = len(self.committed)
        for offset, text in enumerate(texts):
            shown = "" if text == END else text
            top = (Alternative(self.id_of(text), shown, 0.7), Alternative(2, " other", 0.2))
            signals = Signals(entropy_nats=0.5 * offset, margin=0.5, nll_nats=0.36)
            position = start + offset
            self.add(
                TokenDrafted(self.now(), position, self.revision, self.block, self.id_of(text), shown, signals, top)
            )
        return start

    def _escalate(self, start: int, length: int) -> None:
        escalated = BlockEscalated(
            self.now(),
            self.block,
            self.revision,
            start,
            length,
            self.sequence,
            9.0,
            0.9,
            0.3,
            start,
            "unsure of an emotion word",
            length + 2,
        )
        self.add(escalated)
        self.frame("up", "token_ids", "verify", 40, 64)
        self.sequence += 1

    def _decide(self, text: str, position: int, state: TokenState, rank: int | None = None) -> None:
        shown = "" if text == END else text
        top = (Alternative(self.id_of(text), shown, 0.9),) if rank else ()
        probability = 0.9 if rank else None
        self.add(
            TokenDecided(
                self.now(),
                position,
                self.revision,
                self.block,
                self.id_of(text),
                shown,
                state,
                rank,
                probability,
                top,
            )
        )
        self.script.append((shown, state))
        if state not in ("rejected", "ignored"):
            self.committed.append(text)


def every_state() -> list[Event]:
    """One stream with every state a token can reach in UGSD: 8 blocks' worth of a short caption."""
    stream = StreamBuilder(warnings=("The recording is quiet.",))
    stream.kept("The", " voice")
    stream.judged(" is", " low", accepted=2, bonus=" and")
    stream.judged(" calm", ",", " so", accepted=0, replacement=" tense")
    stream.kept(",", " so")
    stream.unverified(" sad", ".")
    stream.kept(END)
    return stream.finish()
