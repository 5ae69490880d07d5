"""What another threshold would have asked on a recorded run, without running anything.

A gate compares a block's *score* with τ, and the scores are in the trace: the blocks that another τ would have sent
can be counted at once. What would have been drafted behind a block that only that τ sends is unknown, so the count is
of this trace, block by block, and no forecast of another run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ugsd_core.messages import BlockEscalated, BlockKept, Event

__all__ = ["WhatIf", "would_escalate"]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """How much a threshold would have sent.

    Attributes:
        blocks: That it would have sent.
        tokens: Drafted tokens in them.
        of_blocks: All blocks.
        of_tokens: All drafted tokens.
        highest: The highest score of any block; None if the gate gives none.
    """

    blocks: int
    tokens: int
    of_blocks: int
    of_tokens: int
    highest: float | None


def would_escalate(events: Iterable[Event], tau: float) -> WhatIf:
    """Count the blocks of a run whose score lies above a threshold.

    A block that was sent by a rule without a score, such as a content rule, is sent at any threshold.

    Args:
        events: Of one run, whole or not.
        tau: In the unit of the gate's score (`ugsd_core.gate`).
    """
    blocks = [event for event in events if isinstance(event, BlockKept | BlockEscalated)]
    sent = [
        block for block in blocks if (isinstance(block, BlockEscalated) if block.score is None else block.score > tau)
    ]
    return WhatIf(
        blocks=len(sent),
        tokens=sum(block.length for block in sent),
        of_blocks=len(blocks),
        of_tokens=sum(block.length for block in blocks),
        highest=max((block.score for block in blocks if block.score is not None), default=None),
    )
