"""What another threshold would have asked is counted from the trace alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.streams import END, StreamBuilder, every_state
from ugsd_core.messages import BlockEscalated, BlockKept
from ugsd_core.what_if import WhatIf, would_escalate


def test_the_runs_own_threshold_gives_what_was_sent() -> None:
    events = every_state()
    blocks = [e for e in events if isinstance(e, BlockKept | BlockEscalated)]
    threshold = next(block.threshold for block in blocks if block.threshold is not None)
    sent = [block for block in blocks if isinstance(block, BlockEscalated)]
    found = would_escalate(events, threshold)
    assert (found.blocks, found.tokens) == (len(sent), sum(block.length for block in sent))
    assert (found.of_blocks, found.of_tokens) == (len(blocks), sum(block.length for block in blocks))


def test_thresholds_nest_and_end_at_nothing_and_at_all() -> None:
    events = every_state()
    counts = [would_escalate(events, tau / 20).blocks for tau in range(-1, 40)]
    assert counts == sorted(counts, reverse=True)
    everything = would_escalate(events, -1.0)
    assert everything.blocks == everything.of_blocks and everything.highest is not None
    assert would_escalate(events, everything.highest).blocks == 0


def test_a_rule_without_a_score_sends_at_any_threshold() -> None:
    events = [replace(e, score=None) if isinstance(e, BlockEscalated) else e for e in every_state()]
    sent = sum(isinstance(event, BlockEscalated) for event in events)
    assert would_escalate(events, 1e9).blocks == sent > 0


@pytest.mark.parametrize("mode", ["edge", "cloud"])
def test_a_run_without_scores_has_no_highest(mode: str) -> None:
    stream = StreamBuilder(mode)  # type: ignore[arg-type]
    events = (stream.kept("a", END) if mode == "edge" else stream.generated("a", END)).finish()
    unscored = [replace(e, score=None) if isinstance(e, BlockKept) else e for e in events]
    assert would_escalate(unscored, 0.5) == WhatIf(0, 0, *((1, 2) if mode == "edge" else (0, 0)), None)
