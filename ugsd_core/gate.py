"""When a block goes to the verifier: one small class a gate, chosen by name.

A gate sees a finished draft block and says yes or no, with its score, its threshold and one plain sentence. It never
sees the verifier. Names can be joined with ``+``: the block escalates if any of the gates says so.

Gates that compare a score are in `score_gates` and `meaning_gates`, those that look for content in `content_gates`;
here are those that do not look, and the registry. A package installed beside this one can bring more (`plugins`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

from ugsd_core.content_gates import CONTENT_RULES, ContentGate
from ugsd_core.draft_block import DraftBlock, DraftToken, Gate, GateDecision
from ugsd_core.errors import OptionError
from ugsd_core.gate_card import GateCard
from ugsd_core.meaning_gates import LABEL_SCORES, CalibratedGate, LabelGate, RandomEmotionGate
from ugsd_core.options import DecodingOptions
from ugsd_core.plugins import Declared, Registry
from ugsd_core.score_gates import SCORES, EmotionEntropyGate, InstabilityGate, ScoreGate, TopProbabilityGate

__all__ = [
    "GATES",
    "OWN_TAU",
    "THRESHOLD_GATES",
    "DraftBlock",
    "DraftToken",
    "Gate",
    "GateContext",
    "GateDecision",
    "GateMaker",
    "first_threshold",
    "follows_budget",
    "gate",
    "gate_warnings",
    "has_threshold",
    "own_tau",
]


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


@dataclass(frozen=True, slots=True)
class GateContext:
    """What a gate may be made from.

    Attributes:
        options: Settings of the caption.
        utterance: Id of the utterance, for the random gates.
        card: What calibration found for this edge and language; None for a checkpoint without a card.
        threshold: What a score must exceed, in place of τ or the card's; None leaves those in force.
    """

    options: DecodingOptions
    utterance: str = ""
    card: GateCard | None = None
    threshold: float | None = None

    def threshold_of(self, name: str) -> float:
        """What the score of a gate must exceed."""
        return _own_threshold(name, self.options, self.card) if self.threshold is None else self.threshold


GateFactory = Callable[[GateContext], Gate]

#: τ of the gates whose score is in nats, where none was named; all others compare with 0.5.
OWN_TAU: dict[str, float] = {
    "entropy": 1.0,
    "nll": 1.0,
    "emotion_entropy": 0.8,
    "semantic_entropy": 0.8,
    "calibrated": 0.8,
}


def _own_threshold(name: str, options: DecodingOptions, card: GateCard | None) -> float:
    """Threshold of a gate by the options and the card alone."""
    limited = options.promise is not None or options.budget is not None
    if name == "calibrated" and card is not None and (limited or options.tau is None):
        return card.threshold_for(promise=options.promise, budget=options.budget)
    tau = own_tau(name) if options.tau is None else options.tau
    return 1.0 - tau if name == "bild" else tau


def own_tau(name: str) -> float:
    """τ of a gate where none was named; that of *calibrated* is for an edge without a gate card."""
    if name in GATES.builtin:
        return OWN_TAU.get(name, 0.5)
    factory = GATES.get(name)
    return factory.own_tau if isinstance(factory, PluginGate) and factory.own_tau is not None else 0.5


def has_threshold(name: str) -> bool:
    """Whether a gate compares a score with a threshold, so that τ or a budget can set it."""
    if name in GATES.builtin:
        return name in THRESHOLD_GATES
    factory = GATES.get(name)
    return isinstance(factory, PluginGate) and factory.own_tau is not None


def _score_gate(name: str) -> GateFactory:
    label, score = SCORES[name]
    return lambda context: ScoreGate(label, score, context.threshold_of(name))


def _label_gate(name: str) -> GateFactory:
    label, score = LABEL_SCORES[name]
    return lambda context: LabelGate(label, score, context.threshold_of(name))


def _content_gate(*rules: str) -> GateFactory:
    return lambda context: ContentGate(rules, context.options.language)


def _emotion_entropy(context: GateContext) -> Gate:
    tau = context.threshold_of("emotion_entropy")
    return EmotionEntropyGate(context.options.language, ScoreGate(*SCORES["entropy"], tau))


def _calibrated(context: GateContext) -> Gate:
    if context.card is None:
        return _emotion_entropy(context)
    return CalibratedGate(context.card, context.threshold_of("calibrated"))


def _random(context: GateContext) -> RandomGate:
    return RandomGate(context.options.escalation_probability, context.options.seed, context.utterance)


#: Gates that compare a score with a threshold, by name: those that a budget can steer.
_THRESHOLD_GATES: dict[str, GateFactory] = {
    **{name: _score_gate(name) for name in SCORES},
    "emotion_entropy": _emotion_entropy,
    **{name: _label_gate(name) for name in LABEL_SCORES},
    "calibrated": _calibrated,
    "instability": lambda context: InstabilityGate(context.threshold_of("instability")),
    "bild": lambda context: TopProbabilityGate(context.threshold_of("bild")),
}
#: The built-in ones; `has_threshold` knows those of plug-ins too.
THRESHOLD_GATES: tuple[str, ...] = tuple(_THRESHOLD_GATES)

_BUILTIN: dict[str, GateFactory] = {
    **_THRESHOLD_GATES,
    **{name: _content_gate(name) for name in CONTENT_RULES},
    "content": _content_gate(*CONTENT_RULES),
    "random": _random,
    "random_emotion": lambda context: RandomEmotionGate(_random(context)),
    "never": lambda _context: ConstantGate(False),
    "always": lambda _context: ConstantGate(True),
}


@dataclass(frozen=True, slots=True)
class PluginGate:
    """Makes a gate that was registered from outside, and watches over what it answers.

    Attributes:
        own_tau: Its threshold where none was named; None for a gate that compares no score.
    """

    declared: Declared
    factory: Callable[[GateContext], Any]
    own_tau: float | None

    @classmethod
    def of(cls, entry: Declared, target: object) -> PluginGate:
        """What an entry point names, if it could be a gate.

        Raises:
            PluginError: If it could not.
        """
        if not callable(target):
            raise entry.error(f"{entry.target} is no class or function that makes a gate from a GateContext")
        if isinstance(target, type) and not callable(getattr(target, "decide", None)):
            raise entry.error(f"{entry.target} has no method decide(block)")
        tau = getattr(target, "own_tau", None)
        if tau is not None and (isinstance(tau, bool) or not isinstance(tau, int | float) or not isfinite(tau)):
            raise entry.error(f"own_tau of {entry.target} is {tau!r}, not a number")
        return cls(entry, target, None if tau is None else float(tau))

    def __call__(self, context: GateContext) -> Gate:
        """The gate of a caption.

        Raises:
            PluginError: If it can't be made.
        """
        made = self.declared.call(self.factory, context)
        if not callable(getattr(made, "decide", None)):
            raise self.declared.error(f"what {self.declared.target} makes has no method decide(block)")
        return _Watched(self.declared, made)


@dataclass(frozen=True, slots=True)
class _Watched:
    """A gate from outside: its answers are what the loop and a trace can take, or an error that names it."""

    declared: Declared
    inner: Gate

    def decide(self, block: DraftBlock) -> GateDecision:
        """Its decision, with plain numbers in it.

        Raises:
            PluginError: If it fails, or contradicts itself.
        """
        found = self.declared.call(self.inner.decide, block)
        if not isinstance(found, GateDecision):
            raise self.declared.error(f"decide(block) gave a {type(found).__name__}, not a GateDecision")
        return self.declared.call(self._plain, found)  # type: ignore[no-any-return]

    def _plain(self, found: GateDecision) -> GateDecision:
        score, threshold = (None if value is None else float(value) for value in (found.score, found.threshold))
        position = None if found.trigger_position is None else int(found.trigger_position)
        plain = GateDecision(bool(found.escalate), str(found.reason), score, threshold, position)
        if score is not None and (threshold is None or plain.escalate != (score > threshold)):
            raise self.declared.error(
                f"a block with a score is sent when the score is above the threshold, but at a score of {score:g} and "
                f"a threshold of {threshold} it {'was' if plain.escalate else 'was not'} sent"
            )
        return plain


#: Gate factories by name, those of plug-ins behind the built-in ones.
GATES: Registry[GateFactory] = Registry("gate", _BUILTIN, PluginGate.of)


def _names(options: DecodingOptions) -> list[str]:
    """The gates that options name; edge-only mode is the loop with the gate *never*."""
    return ["never"] if options.mode == "edge" else [name.strip() for name in options.gate.split("+")]


def gate(
    options: DecodingOptions, utterance: str = "", *, card: GateCard | None = None, threshold: float | None = None
) -> Gate:
    """The gate that the options name; edge-only mode is the loop with the gate *never*.

    Args:
        options: ``gate`` and what the gates read from the rest.
        utterance: Id of the utterance, for the random gates.
        card: What calibration found for this edge and language, for the gate *calibrated*.
        threshold: What a score must exceed, in place of τ or the card's: how a budget is kept.

    Raises:
        OptionError: If there is no such gate, it lacks a setting it needs, or has one it can't follow.
    """
    names = _names(options)
    _check(options, names)
    context = GateContext(options, utterance, card, threshold)
    gates = tuple(GATES[name](context) for name in names)
    return gates[0] if len(gates) == 1 else AnyGate(gates)


class GateMaker(Protocol):
    """What makes a caption's gate: `gate`, or something outside that knows more than a gate may."""

    def __call__(
        self,
        options: DecodingOptions,
        utterance: str = "",
        *,
        card: GateCard | None = None,
        threshold: float | None = None,
    ) -> Gate:
        """See `gate`."""


def _check(options: DecodingOptions, names: list[str]) -> None:
    for name in names:
        try:
            GATES.find(name)
        except OptionError:
            known = ", ".join(GATES.names())
            raise OptionError(f"there is no gate {name!r}; choose one or more (joined by +) of {known}") from None
    if "mc_dropout" in names and options.mc_dropout_samples == 0:
        raise OptionError("the mc_dropout gate needs dropout samples; set --mc-dropout-samples to 8, say")
    if "bild" in names and options.tau is not None and options.tau > 1.0:
        raise OptionError(f"the bild gate compares a probability with τ, so τ must lie in 0…1, not {options.tau}")
    if options.mode != "ugsd":
        return
    if options.budget is not None and not follows_budget(options.gate):
        raise OptionError(
            f"a budget steers the threshold of one gate, which {options.gate!r} does not have; choose one of "
            f"{', '.join(THRESHOLD_GATES)}, alone or joined with content rules"
        )
    if options.promise is not None and "calibrated" not in names:
        raise OptionError(f"only the gate 'calibrated' can keep a promise, not {options.gate!r}")


def follows_budget(names: str) -> bool:
    """Whether a budget can steer these gates: one of them compares a score, the others are content rules."""
    others = [name for part in names.split("+") if (name := part.strip()) not in (*CONTENT_RULES, "content")]
    return len(others) == 1 and has_threshold(others[0])


def first_threshold(options: DecodingOptions, card: GateCard | None) -> float:
    """What a score must exceed before any caption has told more: the start of a budget keeper.

    Args:
        options: A gate that compares a score, τ, and the budget.
        card: For the gate *calibrated*; without one it goes by τ.
    """
    name = next((entry for entry in _names(options) if has_threshold(entry)), "")
    return _own_threshold(name, options, card)


def gate_warnings(options: DecodingOptions, card: GateCard | None, *, has_head: bool) -> tuple[str, ...]:
    """Plain sentences where a gate can't do what its name says on this checkpoint.

    Args:
        options: The settings.
        card: Of the edge checkpoint, for the caption's language.
        has_head: Whether the edge checkpoint has an emotion head.
    """
    names = _names(options) if options.mode == "ugsd" else []
    found = []
    if "calibrated" in names and card is None:
        text = (
            f"This edge has no gate card for {options.language!r}, so the entropy of emotion words decides, with τ = "
        )
        tau = _own_threshold("calibrated", options, None)
        text += f"{tau:g}" if options.budget is None else f"{tau:g} at first"
        found.append(text + (", and no promise can be kept." if options.promise is not None else "."))
    elif options.promise is not None and card is not None and not card.can_promise(options.promise):
        found.append(f"The gate card can't promise α = {options.promise:g}, so every emotion position is sent.")
    if "head_doubt" in names and not has_head:
        found.append("This edge has no emotion head, so the gate head_doubt sends nothing.")
    return tuple(found)
