"""How long a caption takes by arithmetic alone: its blocks, and what a pass, a round trip and a request cost.

No clock is read, so that the figures are the same on any machine, however busy. `ugsd_core.bench.arithmetic` has them
for captions of the pair; real runs are `ugsd_core.bench.ahead`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from ugsd_core.pace import BlockTimes, Pace
from ugsd_core.records import BlockRecord
from ugsd_core.result import CaptionResult

__all__ = ["Costs", "caption_ms", "least_ms"]

#: Passes that the edge makes while a block's verdict is on its way. Is told of the block, how many passes the wait
#: lasts, and how many of them can be of use: None behind a correction, where none is.
Meanwhile = Callable[[BlockRecord, float, int | None], float]


@dataclass(frozen=True, slots=True)
class Costs:
    """What things take, milliseconds.

    Attributes:
        token_ms: A forward pass of the edge.
        verify_ms: One of the verifier, of a whole block.
        edge_prefill_ms, verifier_prefill_ms: Reading the request.
        rtt_ms: A round trip.
    """

    token_ms: float
    verify_ms: float
    edge_prefill_ms: float
    verifier_prefill_ms: float
    rtt_ms: float = 0.0

    def at(self, rtt_ms: float) -> Costs:
        """The same over another way."""
        return replace(self, rtt_ms=rtt_ms)


def caption_ms(
    result: CaptionResult, costs: Costs, *, ahead: bool, foreseen: Collection[int] = (), pace: Pace | None = None
) -> float:
    """From the acoustic code to the last token, for a caption whose blocks became what they became.

    The request's pass predicts the first token; each other token takes one. Behind a correction nothing counts as
    done, neither what was drafted ahead nor what stands again.

    Args:
        result: The caption.
        costs: What things take.
        ahead: Whether the edge drafts on while it waits. A pass that is under way when the verdict comes is finished.
        foreseen: Numbers of the blocks whose bonus token is what the edge would have written.
        pace: What captions before taught of what is accepted; is taught. With it no pass is begun that would be likely
            to end too long behind the verdict (`ugsd_core.lookout`).
    """

    def until_told(block: BlockRecord, wait: float, of_use: int | None) -> float:
        lost = 0.0
        if pace is not None:
            lost = 1.0 - pace.acceptance ** (block.length + bool(result.options.get("bonus")))
            pace.learn(BlockTimes(block.length, accepted=block.accepted), sent=True)
        begun = max(0, math.ceil(wait - lost))
        return begun if of_use is None else min(of_use, begun)

    return _walk(result, costs, until_told if ahead else lambda *_: 0, foreseen)


def least_ms(result: CaptionResult, costs: Costs, *, foreseen: Collection[int] = ()) -> float:
    """The least that the same blocks can take with one of them on its way at a time; arguments as of `caption_ms`.

    A wait is filled to the full if its verdict leaves what was drafted, and no pass is finished in vain. So what a way
    adds to this is what it must add to the caption.
    """
    return _walk(result, costs, lambda block, wait, of_use: min(of_use or 0, wait), foreseen)


def _walk(result: CaptionResult, costs: Costs, meanwhile: Meanwhile, foreseen: Collection[int]) -> float:
    """Block by block along the caption's clock."""
    c, half_ms = costs.token_ms, costs.rtt_ms / 2
    now, ready = costs.edge_prefill_ms, half_ms + costs.verifier_prefill_ms
    known = 1.0  # tokens whose pass is done
    cuts = result.options.get("cut") == "emotion"
    for block in result.blocks:
        now += max(0.0, block.length - known) * c
        known = max(0.0, known - block.length)
        behind = len(result.token_ids) - block.start - block.length
        if cuts and not known and block.length < result.options["k"] and behind > 0:
            now, known = now + c, 1.0  # where a word ends shows in the token behind it
        if not block.escalated:
            continue
        answer = max(now + half_ms, ready) + costs.verify_ms + half_ms
        bonus = bool(block.changed) and block.accepted == block.length
        stands = not block.changed or (bonus and block.block in foreseen)
        made = meanwhile(block, (answer - now) / c, max(0, math.ceil(behind - known)) if stands else None)
        now = max(answer, now + made * c)  # a pass under way is finished
        known = max(0.0, known + made - bonus) if stands else 0.0
    return now
