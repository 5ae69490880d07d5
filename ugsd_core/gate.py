"""When a block goes to the verifier: one small class a gate, chosen by name.

A gate sees a finished draft block and says yes or no, with its score, its threshold and one plain sentence. It never
sees the verifier. Names can be joined with ``+``: the block escalates if any of the gates says so.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from ugsd_core.errors import OptionError
from ugsd_core.lexicon import emotion_spans
from ugsd_core.messages import Alternative, Signals
from ugsd_core.options import DecodingOptions

__all__ = ["GATES", "DraftBlock", "DraftToken", "Gate", "GateDecision", "gate"]


@dataclass(frozen=True, slots=True)
class DraftToken:
    """A drafted token with what the edge knows about it."""

    position: int
    token_id: int
    text: str
    signals: Signals
    top: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class DraftBlock:
    """A finished block, not decided yet.

    Attributes:
        text_before: The caption up to the block; a word may begin there and end in the block.
    """

    index: int
    revision: int
    start: int
    tokens: tuple[DraftToken, ...]
    text_before: str

    @property
    def text(self) -> str:
        """The block's own text."""
        return "".join(token.text for token in self.tokens)

    def tokens_in(self, spans: Sequence[tuple[int, int]]) -> list[DraftToken]:
        """The block's tokens that share a character with one of the spans of ``text_before + text``."""
        ends = list(accumulate((len(token.text) for token in self.tokens), initial=len(self.text_before)))
        return [
            token
            for token, start, end in zip(self.tokens, ends, ends[1:], strict=False)
            if any(start < span_end and end > span_start for span_start, span_end in spans)
        ]


@dataclass(frozen=True, slots=True)
class GateDecision:
    """A gate's answer.

    Attributes:
        score: The figure that was compared; None for rules without one.
        threshold: What it was compared with.
        trigger_position: The token that decided, if a single one did.
        reason: One plain sentence.
    """

    escalate: bool
    reason: str
    score: float | None = None
    threshold: float | None = None
    trigger_position: int | None = None


class Gate(Protocol):
    """Decides whether a block goes to the verifier."""

    def decide(self, block: DraftBlock) -> GateDecision:
        """Judge a block of at least one token."""


# ── Gates that compare a score ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ScoreGate:
    """Escalates when the largest score of a token in the block exceeds the threshold.

    Attributes:
        name: The score's name for people.
        score: Score of one token, larger for less sure.
        tau: The threshold.
    """

    name: str
    score: Callable[[Signals], float]
    tau: float

    def decide(self, block: DraftBlock) -> GateDecision:
        """Compare the block's highest score with τ."""
        return self.decide_tokens(block.tokens, "its highest")

    def decide_tokens(self, tokens: Sequence[DraftToken], which: str) -> GateDecision:
        """Compare the highest score among some tokens with τ."""
        worst = max(tokens, key=lambda token: self.score(token.signals))
        value = self.score(worst.signals)
        escalate = value > self.tau
        verb = "passed" if escalate else "stayed within"
        reason = f"{which} {self.name}, {value:.2f} at “{worst.text.strip() or '⏎'}”, {verb} τ = {self.tau:.2f}"
        return GateDecision(escalate, reason, value, self.tau, worst.position)


def _mc_dropout(signals: Signals) -> float:
    if signals.mc_dropout_nats is None:
        raise OptionError("the mc_dropout gate needs dropout samples; set --mc-dropout-samples to 8, say")
    return signals.mc_dropout_nats


SCORES: dict[str, tuple[str, Callable[[Signals], float]]] = {
    "entropy": ("entropy", lambda s: s.entropy_nats),
    # A *small* margin is unsure; 1 − margin turns it so that larger is less sure, like the others.
    "margin": ("1 − margin", lambda s: 1.0 - s.margin),
    "nll": ("negative log-likelihood", lambda s: s.nll_nats),
    "mc_dropout": ("dropout disagreement", _mc_dropout),
}


@dataclass(frozen=True, slots=True)
class EmotionEntropyGate:
    """Escalates when the edge is unsure of an emotion word it drafted; every other word stays.

    Wording differs a hundred times where meaning differs once, so only the tokens of words in the emotion tables are
    scored.
    """

    language: str
    inner: ScoreGate

    def decide(self, block: DraftBlock) -> GateDecision:
        """Compare the highest entropy among the block's emotion-word tokens with τ."""
        spans = [(a, b) for a, b, _ in emotion_spans(block.text_before + block.text, self.language)]
        tokens = block.tokens_in(spans)
        if not tokens:
            return GateDecision(False, "it holds no emotion word", None, self.inner.tau)
        return self.inner.decide_tokens(tokens, "the emotion word's")


# ── Content rules ─────────────────────────────────────────────────────────────────────────────────────────────────

Spans = Sequence[tuple[int, int]]
_DIGITS = re.compile(r"\d+|[零〇一二三四五六七八九十百千万亿两]+(?=[个位次分秒年月日岁点时])")
_DATES = re.compile(
    r"\b(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    r"Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)\b|\b\d{1,4}[-/.]\d{1,2}(?:[-/.]\d{1,4})?\b|"
    r"(?:\d+|[〇一二三四五六七八九十]+)[年月日号]|星期[一二三四五六日天]"
)
# A capitalised English word that does not begin a sentence. Chinese has no capitals: no rule, said in the docs.
_NAMES = re.compile(r"(?<=[\w,;:] )(?!I\b)[A-Z][a-z]+")


def _matches(pattern: re.Pattern[str]) -> Callable[[str, str], Spans]:
    return lambda text, _language: [match.span() for match in pattern.finditer(text)]


CONTENT_RULES: dict[str, tuple[str, Callable[[str, str], Spans]]] = {
    "digits": ("a number", _matches(_DIGITS)),
    "dates": ("a date", _matches(_DATES)),
    "names": ("a name", _matches(_NAMES)),
    "emotion_words": ("an emotion word", lambda text, lang: [(a, b) for a, b, _ in emotion_spans(text, lang)]),
}


@dataclass(frozen=True, slots=True)
class ContentGate:
    """Escalates when the block holds (part of) what one of its rules looks for, however sure the edge was."""

    rules: tuple[str, ...]
    language: str

    def decide(self, block: DraftBlock) -> GateDecision:
        """Look for content in the caption so far; only what reaches into the block counts."""
        text = block.text_before + block.text
        for rule in self.rules:
            what, find = CONTENT_RULES[rule]
            tokens = block.tokens_in(find(text, self.language))
            if tokens:
                found = "".join(token.text for token in tokens).strip()
                return GateDecision(True, f"it holds {what}, “{found}”", trigger_position=tokens[0].position)
        names = " or ".join(CONTENT_RULES[rule][0] for rule in self.rules)
        return GateDecision(False, f"it does not hold {names}")


# ── Gates that do not look ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RandomGate:
    """Escalates each block with a fixed probability, the same for the same seed, utterance and block."""

    probability: float
    seed: int
    utterance: str

    def decide(self, block: DraftBlock) -> GateDecision:
        """Draw from a hash, so that a decision does not depend on how many were drawn before."""
        digest = hashlib.sha256(f"{self.seed}/{self.utterance}/{block.index}".encode()).digest()
        draw = int.from_bytes(digest[:8], "big") / 2**64
        chosen = draw < self.probability
        reason = f"the random gate {'chose it' if chosen else 'passed over it'}"
        return GateDecision(chosen, reason, draw, self.probability)


@dataclass(frozen=True, slots=True)
class ConstantGate:
    """Escalates every block, or none."""

    answer: bool

    def decide(self, block: DraftBlock) -> GateDecision:
        """The same answer for every block."""
        return GateDecision(self.answer, "every block is sent" if self.answer else "no block is sent")


@dataclass(frozen=True, slots=True)
class AnyGate:
    """Escalates when any of its gates does; the first that says yes gives the reason."""

    gates: tuple[Gate, ...]

    def decide(self, block: DraftBlock) -> GateDecision:
        """Ask the gates in order."""
        decisions = []
        for entry in self.gates:
            decision = entry.decide(block)
            if decision.escalate:
                return decision
            decisions.append(decision)
        scored = [decision for decision in decisions if decision.score is not None]
        first = (scored or decisions)[0]
        reason = "; ".join(decision.reason for decision in decisions)
        return GateDecision(False, reason, first.score, first.threshold, first.trigger_position)


# ── Registry ──────────────────────────────────────────────────────────────────────────────────────────────────────

GateFactory = Callable[[DecodingOptions, str], Gate]


def _score_gate(name: str) -> GateFactory:
    label, score = SCORES[name]
    return lambda options, _utterance: ScoreGate(label, score, options.tau)


def _content_gate(*rules: str) -> GateFactory:
    return lambda options, _utterance: ContentGate(rules, options.language)


#: Gate factories by name; each takes the options and the utterance's id.
GATES: dict[str, GateFactory] = {
    **{name: _score_gate(name) for name in SCORES},
    "emotion_entropy": lambda o, _u: EmotionEntropyGate(o.language, ScoreGate(*SCORES["entropy"], o.tau)),
    **{name: _content_gate(name) for name in CONTENT_RULES},
    "content": _content_gate(*CONTENT_RULES),
    "random": lambda o, utterance: RandomGate(o.escalation_probability, o.seed, utterance),
    "never": lambda _o, _u: ConstantGate(False),
    "always": lambda _o, _u: ConstantGate(True),
}


def gate(options: DecodingOptions, utterance: str) -> Gate:
    """The gate that the options name; edge-only mode is the loop with the gate *never*.

    Args:
        options: ``gate`` and what the gates read from the rest.
        utterance: Id of the utterance, for the random gate.

    Raises:
        OptionError: If there is no such gate, or it lacks a setting it needs.
    """
    names = ["never"] if options.mode == "edge" else [name.strip() for name in options.gate.split("+")]
    for name in names:
        if name not in GATES:
            raise OptionError(f"there is no gate {name!r}; choose one or more (joined by +) of {', '.join(GATES)}")
    if "mc_dropout" in names and options.mc_dropout_samples == 0:
        raise OptionError("the mc_dropout gate needs dropout samples; set --mc-dropout-samples to 8, say")
    gates = tuple(GATES[name](options, utterance) for name in names)
    return gates[0] if len(gates) == 1 else AnyGate(gates)
