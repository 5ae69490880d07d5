"""Deterministic stand-ins for the models: a drafter and a verifier that follow a script, one word a token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ugsd_core.acceptance import acceptance_rule
from ugsd_core.acoustic import AcousticCode, FeatureSpec
from ugsd_core.draft_block import DraftToken
from ugsd_core.errors import ProtocolError
from ugsd_core.gate_card import GateCard
from ugsd_core.lexicon import EMOTION_LABELS, label_words
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
from ugsd_core.models.emotion_tokens import EmotionPlace, fuse_labels, label_entropy_nats, normalise_labels
from ugsd_core.models.text import CaptionText
from ugsd_core.options import DecodingOptions
from ugsd_core.uncertainty import Distribution, distribution

__all__ = ["WORDS", "ScriptedDrafter", "ScriptedVerifier", "WordLabels", "WordTokenizer", "code", "ids", "info", "text"]

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
    masses: dict[int, tuple[float, ...]] = field(default_factory=dict)
    label_posterior: tuple[float, ...] | None = None
    input_tokens: int = 7
    prefill_ms: float = 1.0
    held: list[int] = field(default_factory=list)
    calls: list[tuple[str, int]] = field(default_factory=list)
    words: CaptionText = field(default_factory=lambda: CaptionText(_token_bytes()))

    def next(self, revision: int, *, last: bool) -> DraftToken:
        position = len(self.held)
        token_id = self._wanted()
        emotion = self.peek_emotion(revision)
        self.calls.pop()  # that was not the loop's
        entropy = self.unsure.get(position, 0.01)
        top = (Alternative(token_id, VOCABULARY[token_id], 0.9),)
        piece = self.append(token_id, last=last)
        signals = Signals(entropy, 1.0 - entropy / 4, entropy / 2, None, *self._label_signals(position, token_id))
        return DraftToken(position, token_id, piece, signals, top, emotion)

    def peek_emotion(self, revision: int) -> EmotionPlace | None:
        self.calls.append(("peek", len(self.held)))
        if WordLabels().label_of(self._wanted()) is not None:
            return "begins"
        return "could" if len(self.held) in self.masses else None

    def _wanted(self) -> int:
        position = len(self.held)
        return self.script[position] if position < len(self.script) else ids(END)[0]

    def _label_signals(self, position: int, token_id: int) -> tuple[Any, ...]:
        label = WordLabels().label_of(token_id)
        if label is None and position not in self.masses:
            return ()
        masses = self.masses.get(position, tuple(0.9 if i == label else 0.0125 for i in range(9)))
        if label is None:
            return masses, label_entropy_nats(masses)
        text, head = float(normalise_labels(masses)[label]), self.label_posterior
        fused = text if head is None else float(fuse_labels((masses, 0.5), (head, 0.5))[label])
        return masses, label_entropy_nats(masses), None if head is None else 1.0 - head[label], 1.0 - text, 1.0 - fused

    def ahead(self, revision: int, stop: Callable[[], bool]) -> int:
        return 0

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
        masses: Label masses by position; elsewhere 0.9 for the label of an emotion word, none at other words.
        head: Posterior of its emotion head, if it has one.
        cards: What calibration found, by language.
        wordings: Prompts to choose from by utterance.
    """

    script: list[int]
    unsure: dict[int, float] = field(default_factory=dict)
    masses: dict[int, tuple[float, ...]] = field(default_factory=dict)
    head: tuple[float, ...] | None = None
    cards: dict[str, GateCard] = field(default_factory=dict)
    wordings: tuple[str, ...] = ()
    drafts: list[ScriptedDraft] = field(default_factory=list)

    info: VerifierInfo = field(default_factory=lambda: info("fake-edge"))
    features: FeatureSpec = field(default_factory=FeatureSpec)
    end_ids: frozenset[int] = field(default_factory=lambda: frozenset(ids(END)))

    def caption_text(self) -> CaptionText:
        return CaptionText(_token_bytes())

    @property
    def backend(self) -> str:
        return "fake"

    @property
    def has_head(self) -> bool:
        return self.head is not None

    def gate_card(self, language: str) -> GateCard | None:
        return self.cards.get(language)

    def prompt_name(self, options: DecodingOptions, utterance: str) -> str | None:
        if options.prompt is not None or not self.wordings:
            return options.prompt
        return self.wordings[int(utterance[:8], 16) % len(self.wordings)]

    def begin(self, code: AcousticCode, options: DecodingOptions, utterance: str) -> ScriptedDraft:
        self.drafts.append(ScriptedDraft(self.script, self.unsure, options, self.masses, self.head))
        return self.drafts[-1]


class WordLabels:
    """Which of the words name an emotion: `LabelTokens` of the fake vocabulary."""

    def __init__(self) -> None:
        known = label_words("en")
        named = [(i, known.get(word.strip())) for i, word in enumerate(VOCABULARY)]
        self._labels = {i: EMOTION_LABELS.index(label) for i, label in named if label is not None}

    def label_of(self, token_id: int) -> int | None:
        return self._labels.get(token_id)

    def ids_of(self, label: int) -> np.ndarray[Any, np.dtype[np.intp]]:
        return np.array([i for i, its in self._labels.items() if its == label], dtype=np.intp)

    def masses_of(self, seen: Distribution) -> np.ndarray[Any, np.dtype[np.float32]]:
        masses = np.zeros(len(EMOTION_LABELS), dtype=np.float32)
        for token_id, label in self._labels.items():
            masses[label] += seen.probability(token_id)
        return masses


@dataclass
class ScriptedVerifier:
    """A verifier that wants the same words at the same positions, whatever stands before them.

    Attributes:
        mind: Logits by position; elsewhere those of `logits` for the script's word.
    """

    script: list[int]
    mind: dict[int, np.ndarray[Any, np.dtype[np.float32]]] = field(default_factory=dict)
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

    def _seen(self, position: int) -> Distribution:
        mind = self.verifier.mind
        return distribution(mind[position] if position in mind else logits(self._wanted(position)), self.request.top_k)

    def judge(self, request: VerifyRequest) -> Verdict:
        self.verifier.requests.append(request)
        if request.base > len(self.held):
            raise ProtocolError("base beyond what is held", "bad_base")
        self.held[request.base :] = request.committed
        wish = self.request
        rule = acceptance_rule(
            wish.acceptance, rank=wish.rank, probability=wish.probability, fusion=wish.fusion, tokens=WordLabels()
        )
        judged: list[Judgement] = []
        replacement = None
        for token_id in request.draft:
            seen = self._seen(len(self.held))
            judged.append(Judgement(seen.rank(token_id), seen.probability(token_id), seen.top[: wish.top_k]))
            replacement = rule.judge(token_id, seen, request.posterior)
            if replacement is not None:
                break
            self.held.append(token_id)
        accepted = len(judged) - (replacement is not None)
        bonus = None
        if self.request.bonus and replacement is None and request.draft[-1] != ids(END)[0]:
            bonus = rule.choice(self._seen(len(self.held)), request.posterior)
        top = ((bonus, 0.9),) if bonus is not None else ()
        return Verdict(request.sequence, request.revision, accepted, replacement, bonus, tuple(judged), top, 2.0)

    def generate(self, request: GenerateRequest) -> Iterator[GeneratedToken]:
        for position in range(request.max_tokens):
            token_id = self._wanted(position)
            yield GeneratedToken(position, token_id, 0.9, ((token_id, 0.9),), 1.0)
            if token_id == ids(END)[0]:
                return
