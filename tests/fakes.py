"""Deterministic stand-ins for the models: a drafter and a verifier that follow a script, one word a token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ugsd_core.acceptance import acceptance_rule
from ugsd_core.acoustic import AcousticCode, FeatureSpec
from ugsd_core.errors import ProtocolError
from ugsd_core.gate import DraftToken
from ugsd_core.messages import (
    Alternative,
    GeneratedToken,
    GenerateRequest,
    Judgement,
    OpenedReply,
    OpenRequest,
    Signals,
    Verdict,
    VerifierInfo,
    VerifyRequest,
)
from ugsd_core.models.text import CaptionText
from ugsd_core.options import DecodingOptions
from ugsd_core.uncertainty import distribution

__all__ = ["WORDS", "ScriptedDrafter", "ScriptedVerifier", "WordTokenizer", "code", "ids", "info", "text"]

END = "<|im_end|>"
WORDS = [
    *("In", "the", "audio", ",", "speaker", "'s", "voice", "is", "low", "high", "and", "slow", "fast", "."),
    *("Therefore", "feels", "sad", "happy", "angry", "calm", "3", "May", "Anna"),
]
VOCABULARY = [*(("" if word in ".,'s" or word == "In" else " ") + word for word in WORDS), END]


class WordTokenizer:
    """The part of a tokenizer that `TokenBytes` reads: every token is plain text."""

    all_special_ids = (len(VOCABULARY) - 1,)
    added_tokens_decoder: dict[int, Any] = {i: word for i, word in enumerate(VOCABULARY)}  # noqa: RUF012


def ids(*words: str) -> list[int]:
    """Ids of words; ``"."`` at the end of the list is a full stop, `END` the end of the turn."""
    return [VOCABULARY.index(END) if word == END else WORDS.index(word) for word in words]


def text(token_ids: Sequence[int]) -> str:
    """What the ids spell."""
    return "".join(VOCABULARY[i] for i in token_ids if VOCABULARY[i] != END)


def info(name: str = "fake") -> VerifierInfo:
    """Fingerprints that fit each other."""
    return VerifierInfo(name, "tok", "feat", len(VOCABULARY))


def code() -> AcousticCode:
    """A short silent code."""
    return AcousticCode.quantise(np.zeros((80, 50), dtype=np.float32), 8)


def logits(best: int, peak: float = 8.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Logits whose best token is ``best``; the others fall off by id, so that every rank is known."""
    row = -0.1 * np.arange(len(VOCABULARY), dtype=np.float32)
    row[best] = peak
    return row


@dataclass
class ScriptedDraft:
    """Drafts a script by position: ``script[i]`` whatever stands before it. Records what it was told."""

    script: list[int]
    unsure: dict[int, float]
    options: DecodingOptions
    input_tokens: int = 7
    prefill_ms: float = 1.0
    held: list[int] = field(default_factory=list)
    calls: list[tuple[str, int]] = field(default_factory=list)
    words: CaptionText = field(default_factory=lambda: CaptionText(_token_bytes()))

    def next(self, revision: int, *, last: bool) -> DraftToken:
        position = len(self.held)
        token_id = self.script[position] if position < len(self.script) else ids(END)[0]
        entropy = self.unsure.get(position, 0.01)
        top = (Alternative(token_id, VOCABULARY[token_id], 0.9),)
        piece = self.append(token_id, last=last)
        return DraftToken(position, token_id, piece, Signals(entropy, 1.0 - entropy / 4, entropy / 2), top)

    def rollback(self, length: int) -> None:
        self.calls.append(("rollback", length))
        del self.held[length:]
        self.words.truncate(length)

    def append(self, token_id: int, *, last: bool) -> str:
        self.held.append(token_id)
        return self.words.append(token_id, last=last)

    def alternatives(self, position: int, top: Sequence[tuple[int, float]]) -> tuple[Alternative, ...]:
        return tuple(Alternative(i, VOCABULARY[i], p) for i, p in top)


def _token_bytes() -> Any:
    from ugsd_core.models.text import TokenBytes

    return TokenBytes(WordTokenizer())


@dataclass
class ScriptedDrafter:
    """An edge that drafts the same words for every utterance.

    Attributes:
        unsure: Entropy by position; elsewhere 0.01 nats.
    """

    script: list[int]
    unsure: dict[int, float] = field(default_factory=dict)
    drafts: list[ScriptedDraft] = field(default_factory=list)

    info: VerifierInfo = field(default_factory=lambda: info("fake-edge"))
    features: FeatureSpec = field(default_factory=FeatureSpec)
    end_ids: frozenset[int] = field(default_factory=lambda: frozenset(ids(END)))

    def caption_text(self) -> CaptionText:
        return CaptionText(_token_bytes())

    def begin(self, code: AcousticCode, options: DecodingOptions, utterance: str) -> ScriptedDraft:
        self.drafts.append(ScriptedDraft(self.script, self.unsure, options))
        return self.drafts[-1]


@dataclass
class ScriptedVerifier:
    """A verifier that wants the same words at the same positions, whatever stands before them."""

    script: list[int]
    info: VerifierInfo = field(default_factory=lambda: info("fake-verifier"))
    opened: list[OpenRequest] = field(default_factory=list)
    requests: list[VerifyRequest] = field(default_factory=list)

    def open(self, request: OpenRequest) -> ScriptedUtterance:
        self.opened.append(request)
        return ScriptedUtterance(self, request)


@dataclass
class ScriptedUtterance:
    """One utterance of a `ScriptedVerifier`; checks what a real one would check."""

    verifier: ScriptedVerifier
    request: OpenRequest
    held: list[int] = field(default_factory=list)

    @property
    def opened(self) -> OpenedReply:
        return OpenedReply(self.request.utterance, 9, 1.0)

    def _wanted(self, position: int) -> int:
        script = self.verifier.script
        return script[position] if position < len(script) else ids(END)[0]

    def judge(self, request: VerifyRequest) -> Verdict:
        self.verifier.requests.append(request)
        if request.base > len(self.held):
            raise ProtocolError("base beyond what is held", "bad_base")
        self.held[request.base :] = request.committed
        rule = acceptance_rule(self.request.acceptance, rank=self.request.rank, probability=self.request.probability)
        judged: list[Judgement] = []
        replacement = None
        for token_id in request.draft:
            seen = distribution(logits(self._wanted(len(self.held))), self.request.top_k)
            judged.append(Judgement(seen.rank(token_id), seen.probability(token_id), seen.top))
            if not rule.accepts(token_id, seen):
                replacement = seen.best
                break
            self.held.append(token_id)
        accepted = len(judged) - (replacement is not None)
        bonus = None
        if self.request.bonus and replacement is None and request.draft[-1] != ids(END)[0]:
            bonus = self._wanted(len(self.held))
        top = ((bonus, 0.9),) if bonus is not None else ()
        return Verdict(request.sequence, request.revision, accepted, replacement, bonus, tuple(judged), top, 2.0)

    def generate(self, request: GenerateRequest) -> Iterator[GeneratedToken]:
        for position in range(request.max_tokens):
            token_id = self._wanted(position)
            yield GeneratedToken(position, token_id, 0.9, ((token_id, 0.9),), 1.0)
            if token_id == ids(END)[0]:
                return
