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

__all__ = ["RANK", "Acceptance", "changed_flags", "edge_posterior", "fused_posterior", "label_after", "meaning_changes"]

Labels = NDArray[np.float64]
_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Acceptance:
    """How an escalated emotion word is judged.

    Attributes:
        verifier, text, head: Exponents of the verifier's label masses, the edge's, and the edge's emotion head; they
            add up to 1. With all weight on the verifier this is the rank rule (r = 1).
        verifier_head: How much of the verifier's own exponent its emotion head has.
    """

    verifier: float = 1.0
    text: float = 0.0
    head: float = 0.0
    verifier_head: float = 0.0

    @property
    def fused(self) -> bool:
        """Whether the edge has a say."""
        return self.verifier < 1.0 or self.verifier_head > 0.0

    @property
    def name(self) -> str:
        """For tables."""
        if not self.fused:
            return "verifier alone (rank 1)"
        parts = [("verifier", self.verifier), ("edge text", self.text), ("edge head", self.head)]
        named = " · ".join(f"{name}^{weight:.2g}" for name, weight in parts if weight)
        return named + (f", verifier head {self.verifier_head:.2g}" if self.verifier_head else "")


RANK = Acceptance()


def edge_posterior(record: ClipRecord, position: PositionRecord, text: float, head: float) -> tuple[int, ...]:
    """The edge's label posterior at a position as it would go to the verifier, in eight bits each."""
    if record.head is None or text + head <= 0.0:
        return quantise(fuse_labels((position.text, 1.0)))
    return quantise(fuse_labels((position.text, text / (text + head)), (record.head, head / (text + head))))


def fused_posterior(record: ClipRecord, position: PositionRecord, acceptance: Acceptance) -> Labels:
    """Logarithm (9,), up to a constant, of the product that the *fused* rule takes its label from."""
    own = (1.0 - acceptance.verifier_head) * _log(np.asarray(position.verifier) / sum(position.verifier))
    if record.verifier_head is not None and acceptance.verifier_head:
        own = own + acceptance.verifier_head * _log(np.asarray(record.verifier_head))
    levels = edge_posterior(record, position, acceptance.text, acceptance.head)
    return acceptance.verifier * own + (1.0 - acceptance.verifier) * _log(dequantise(levels))


def _log(probabilities: NDArray[np.floating[Any]]) -> Labels:
    logs: Labels = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), _TINY))
    return logs


def label_after(record: ClipRecord, position: PositionRecord, acceptance: Acceptance = RANK) -> int | None:
    """The caption's label once this position was escalated alone.

    Where neither side names an emotion, or the verifier does not want an emotion word, the token is judged by rank
    and the edge writes on behind the verifier's token: that was tried when the record was made.
    """
    named = position.label is not None or position.best_label is not None
    if not acceptance.fused or not named or sum(position.verifier) < EMOTION_WANTED:
        return position.label_after
    return int(np.argmax(fused_posterior(record, position, acceptance)))


def meaning_changes(record: ClipRecord, acceptance: Acceptance = RANK) -> tuple[bool, ...]:
    """For each emotion position, whether escalating it changes the label that the caption names."""
    return tuple(label_after(record, entry, acceptance) != record.edge_label for entry in record.positions)


def changed_flags(records: Sequence[ClipRecord], acceptance: Acceptance) -> list[bool]:
    """`meaning_changes` of all records, position by position."""
    return [changed for record in records for changed in meaning_changes(record, acceptance)]
