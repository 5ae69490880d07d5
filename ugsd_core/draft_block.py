"""What a gate sees, a finished draft block, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from ugsd_core.messages import Alternative, Signals

if TYPE_CHECKING:
    from ugsd_core.models.emotion_tokens import EmotionPlace

__all__ = ["DraftBlock", "DraftToken", "Gate", "GateDecision"]


@dataclass(frozen=True, slots=True)
class DraftToken:
    """A drafted token with what the edge knows about it.

    Attributes:
        emotion: What the position has to do with an emotion word; None if it is no emotion position.
        ahead: Whether its forward pass ran while a verdict was on its way.
    """

    position: int
    token_id: int
    text: str
    signals: Signals
    top: tuple[Alternative, ...]
    emotion: EmotionPlace | None = None
    ahead: bool = False


@dataclass(frozen=True, slots=True)
class DraftBlock:
    """A finished block, not decided yet.

    Attributes:
        text_before: The caption up to the block; a word may begin there and end in the block.
        entropy_before: Entropy of the token before the block; None at the start and behind a token of the verifier's.
        ids_before: The caption's ids up to the block, as many as ``start``.
    """

    index: int
    revision: int
    start: int
    tokens: tuple[DraftToken, ...]
    text_before: str
    entropy_before: float | None = None
    ids_before: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """The block's own text."""
        return "".join(token.text for token in self.tokens)

    @property
    def emotion_tokens(self) -> tuple[DraftToken, ...]:
        """The block's emotion positions."""
        return tuple(token for token in self.tokens if token.emotion is not None)

    @property
    def label_mass(self) -> tuple[float, ...] | None:
        """The draft's label masses (9,) at the first emotion word, else where one could stand; None without either."""
        looked_at = [token for token in self.tokens if token.signals.label_mass is not None]
        named = (token for token in looked_at if token.emotion == "begins")
        first = next(named, looked_at[0] if looked_at else None)
        return None if first is None else first.signals.label_mass

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
        threshold: What it was compared with; a block with a score is sent when the score is above it.
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
