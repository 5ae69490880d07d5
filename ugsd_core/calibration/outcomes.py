"""What would become of a caption's emotion if a position were escalated: from records, for either acceptance rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugsd_core.acceptance import EMOTION_WANTED
from ugsd_core.calibration.records import ClipRecord, PositionRecord
from ugsd_core.models.emotion_tokens import fuse_labels
from ugsd_core.posterior import dequantise, quantise

__all__ = [
    "RANK",
    "Acceptance",
    "Step",
    "all_escalated",
    "asked_everywhere",
    "edge_posterior",
    "fused_posterior",
    "meaning_changes",
    "steps",
]

Labels = NDArray[np.float64]
_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Acceptance:
    """How an escalated emotion word is judged.

    Attributes:
        verifier, text, head: Exponents of the verifier's label masses, the edge's, and the edge's emotion head; they
            add up to 1. With all weight on the verifier this is the rank rule (r = 1).
    """

    verifier: float = 1.0
    text: float = 0.0
    head: float = 0.0

    @property
    def fused(self) -> bool:
        """Whether the edge has a say."""
        return self.verifier < 1.0

    @property
    def name(self) -> str:
        """For tables."""
        if not self.fused:
            return "verifier alone (rank 1)"
        parts = [("verifier", self.verifier), ("edge text", self.text), ("edge head", self.head)]
        return " · ".join(f"{name}^{weight:.2g}" for name, weight in parts if weight)


RANK = Acceptance()


def edge_posterior(record: ClipRecord, position: PositionRecord, text: float, head: float) -> tuple[int, ...]:
    """The edge's label posterior at a position as it would go to the verifier, in eight bits each."""
    if record.head is None or text + head <= 0.0:
        return quantise(fuse_labels((position.text, 1.0)))
    return quantise(fuse_labels((position.text, text / (text + head)), (record.head, head / (text + head))))


def fused_posterior(record: ClipRecord, position: PositionRecord, acceptance: Acceptance) -> Labels:
    """Logarithm (9,), up to a constant, of the product that the *fused* rule takes its label from."""
    own = _log(np.asarray(position.verifier) / sum(position.verifier))
    levels = edge_posterior(record, position, acceptance.text, acceptance.head)
    return acceptance.verifier * own + (1.0 - acceptance.verifier) * _log(dequantise(levels))


def _log(probabilities: NDArray[np.floating[Any]]) -> Labels:
    logs: Labels = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), _TINY))
    return logs


@dataclass(frozen=True, slots=True)
class Step:
    """One emotion position, and what becomes of the caption when it is escalated.

    Attributes:
        before: The caption's label without that.
        replaced: Whether the token is replaced.
        after: The caption's label then, with nothing behind it escalated.
        final: The caption's label with everything behind it escalated too.
        then: What is left to decide behind the replacement.
    """

    entry: PositionRecord
    before: int | None
    replaced: bool
    after: int | None
    final: int | None
    then: tuple[Step, ...]

    @property
    def changes(self) -> bool:
        """Whether the verifier, asked here and wherever the caption leads from here, changes its label."""
        return self.final != self.before


def steps(record: ClipRecord, acceptance: Acceptance = RANK) -> tuple[Step, ...]:
    """What the verifier would make of every emotion position of the edge's own caption."""
    return tuple(_step(record, entry, record.edge_label, acceptance) for entry in record.positions)


def _step(record: ClipRecord, entry: PositionRecord, before: int | None, acceptance: Acceptance) -> Step:
    """Where neither side names an emotion, or the verifier does not want an emotion word, the token is judged by rank
    and the edge writes on behind the verifier's token: that was tried when the record was made."""
    named = entry.label is not None or entry.best_label is not None
    if acceptance.fused and named and sum(entry.verifier) >= EMOTION_WANTED:
        label = int(np.argmax(fused_posterior(record, entry, acceptance)))
        stands = label == entry.label
        return Step(entry, before, not stands, before if stands else label, before if stands else label, ())
    if not entry.ids_change:
        return Step(entry, before, False, before, before, ())
    then = tuple(_step(record, behind, entry.label_after, acceptance) for behind in entry.then)
    return Step(entry, before, True, entry.label_after, all_escalated(then, entry.label_after), then)


def all_escalated(left: Sequence[Step], label: int | None) -> int | None:
    """The caption's label when everything that is left is escalated: the first replacement leads on."""
    return next((step.final for step in left if step.replaced), label)


def meaning_changes(record: ClipRecord, acceptance: Acceptance = RANK) -> tuple[bool, ...]:
    """For each emotion position of the edge's caption, whether asking the verifier changes the label it names."""
    return tuple(step.changes for step in steps(record, acceptance))


def asked_everywhere(record: ClipRecord, acceptance: Acceptance) -> list[tuple[tuple[PositionRecord, ...], bool]]:
    """The escalations of a caption in which every emotion position is sent, in order.

    Returns:
        Each escalation as the positions that must be sent to come to it, itself last, and whether the label that the
        caption ends up with is decided there and is another than the edge's.
    """
    found: list[tuple[tuple[PositionRecord, ...], bool]] = []
    left = list(steps(record, acceptance))
    chain: tuple[PositionRecord, ...] = ()
    final = all_escalated(left, record.edge_label)
    while left:
        step = left.pop(0)
        decided = step.replaced and step.after == final != step.before and final != record.edge_label
        found.append(((*chain, step.entry), decided))
        if step.replaced:
            left, chain = list(step.then), (*chain, step.entry)
    return found
