"""Gates that look at meaning: only at emotion positions, and at labels rather than at words.

Most tokens of a caption could be worded in many ways that mean the same. These gates ask about the one thing that
matters most, the emotion, and only where the caption names it or could. `calibrated` uses what was fitted on
development speakers for this very checkpoint; the others compare one signal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ugsd_core.draft_block import DraftBlock, Gate, GateDecision
from ugsd_core.gate_card import GateCard
from ugsd_core.messages import Signals
from ugsd_core.score_gates import compare

__all__ = ["LABEL_SCORES", "CalibratedGate", "LabelGate", "RandomEmotionGate"]

#: Scores over labels by the name of their gate, with their name for people; None where a position has no such figure.
LABEL_SCORES: dict[str, tuple[str, Callable[[Signals], float | None]]] = {
    "semantic_entropy": ("entropy over emotions", lambda s: s.label_entropy_nats),
    "head_doubt": ("doubt of the emotion head", lambda s: s.head_doubt),
    "text_doubt": ("doubt of the draft's own emotion", lambda s: s.text_doubt),
    "fused_doubt": ("doubt of draft and emotion head", lambda s: s.fused_doubt),
}


@dataclass(frozen=True, slots=True)
class LabelGate:
    """Escalates when a figure over labels exceeds the threshold; blocks without an emotion position stay.

    Attributes:
        name: The score's name for people.
        score: Score of one position, larger for less sure; None where it has no meaning.
        tau: The threshold.
    """

    name: str
    score: Callable[[Signals], float | None]
    tau: float

    def decide(self, block: DraftBlock) -> GateDecision:
        """Compare the highest score among the block's emotion positions with τ."""
        scores = ((self.score(token.signals), token) for token in block.emotion_tokens)
        scored = [(score, token) for score, token in scores if score is not None]
        if not scored:
            return GateDecision(False, "it names no emotion", None, self.tau)
        return compare("its", self.name, scored, self.tau)


@dataclass(frozen=True, slots=True)
class CalibratedGate:
    """Escalates an emotion position where the verifier is likely enough to change the meaning.

    Attributes:
        card: Whose score it is.
        threshold: The least probability of a change that is left alone.
    """

    card: GateCard
    threshold: float

    def decide(self, block: DraftBlock) -> GateDecision:
        """Compare the most doubtful emotion position of the block with the threshold."""
        tokens = [token for token in block.emotion_tokens if token.signals.label_mass is not None]
        if not tokens:
            return GateDecision(False, "it names no emotion", None, self.threshold)
        value, worst = max(((self.card.score(t.signals), t) for t in tokens), key=lambda entry: entry[0])
        escalate = value > self.threshold
        verb = "passed" if escalate else "stayed within"
        change = f"the chance that the verifier changes the emotion at “{worst.text.strip() or '⏎'}”, {value:.2f},"
        return GateDecision(escalate, f"{change} {verb} {self.threshold:.2f}", value, self.threshold, worst.position)


@dataclass(frozen=True, slots=True)
class RandomEmotionGate:
    """The random gate among blocks that hold an emotion position: what a gate must beat at the same ρ."""

    inner: Gate

    def decide(self, block: DraftBlock) -> GateDecision:
        """Draw for a block with an emotion position; others stay."""
        if not block.emotion_tokens:
            return GateDecision(False, "it names no emotion")
        return self.inner.decide(block)
