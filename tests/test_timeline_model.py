"""The arithmetic of a caption's time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.streams import every_state
from ugsd_core.bench.timeline_model import Costs, caption_ms
from ugsd_core.records import BlockRecord
from ugsd_core.result import CaptionResult, caption_result

COSTS = Costs(token_ms=10.0, verify_ms=30.0, edge_prefill_ms=100.0, verifier_prefill_ms=100.0)


def caption(*blocks: tuple[int, bool, bool]) -> CaptionResult:
    """Blocks as ``(length, sent, changed)``."""
    starts = [sum(length for length, *_ in blocks[:n]) for n in range(len(blocks))]
    records = tuple(
        BlockRecord(n, starts[n], length, escalated=sent, changed=changed if sent else None)
        for n, (length, sent, changed) in enumerate(blocks)
    )
    whole = caption_result(every_state())
    ids = tuple(range(sum(length for length, *_ in blocks)))
    return replace(whole, blocks=records, token_ids=ids, options={"cut": "none", "k": 4})


def test_the_edge_alone_takes_a_pass_for_each_token_but_the_first() -> None:
    assert caption_ms(caption((4, False, False), (4, False, False)), COSTS, ahead=True) == 100 + 7 * 10


@pytest.mark.parametrize("rtt_ms", [0.0, 60.0])
def test_a_wait_is_added_and_drafting_ahead_takes_off_what_it_hides(rtt_ms: float) -> None:
    blocks = caption((4, True, False), (4, False, False))
    waiting = caption_ms(blocks, COSTS.at(rtt_ms), ahead=False)
    assert waiting == 100 + 3 * 10 + rtt_ms + 30 + 4 * 10
    hidden = min(4 * 10, 30 + rtt_ms)
    assert caption_ms(blocks, COSTS.at(rtt_ms), ahead=True) == waiting - hidden


def test_a_correction_hides_nothing_and_delays_by_less_than_a_pass() -> None:
    blocks = caption((4, True, True), (4, False, False))
    waiting = caption_ms(blocks, COSTS.at(5.0), ahead=False)
    assert waiting <= caption_ms(blocks, COSTS.at(5.0), ahead=True) < waiting + 10


def test_the_first_block_waits_for_the_verifier_to_have_read() -> None:
    slow = replace(COSTS, verifier_prefill_ms=500.0)
    assert caption_ms(caption((4, True, False)), slow.at(20.0), ahead=True) == 500 + 30 + 20
