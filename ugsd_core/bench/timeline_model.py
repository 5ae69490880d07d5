"""How long a caption takes by arithmetic alone: its blocks, and what a pass, a round trip and a request cost.

No clock is read, so that the figures are the same on any machine, however busy. Real runs are `ugsd_core.bench.ahead`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ugsd_core.result import CaptionResult

__all__ = ["Costs", "caption_ms"]


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


def caption_ms(result: CaptionResult, costs: Costs, *, ahead: bool) -> float:
    """From the acoustic code to the last token, for a caption whose blocks became what they became.

    The request's pass predicts the first token; each other token takes one. Behind a correction nothing counts as
    done, neither what was drafted ahead nor what stands again.
    """
    c, half_ms = costs.token_ms, costs.rtt_ms / 2
    now, ready = costs.edge_prefill_ms, half_ms + costs.verifier_prefill_ms
    known = 1  # tokens whose pass is done
    cuts = result.options.get("cut") == "emotion"
    for block in result.blocks:
        now += max(0, block.length - known) * c
        known = max(0, known - block.length)
        behind = len(result.token_ids) - block.start - block.length
        if cuts and not known and block.length < result.options["k"] and behind > 0:
            now, known = now + c, 1  # where a word ends shows in the token behind it
        if not block.escalated:
            continue
        answer = max(now + half_ms, ready) + costs.verify_ms + half_ms
        made = 0
        if ahead:
            most = behind - known if not block.changed else math.inf
            made = int(max(0.0, min(most, math.ceil((answer - now) / c))))
        now = max(answer, now + made * c)  # a pass under way is finished
        known = 0 if block.changed else known + made
    return now
