"""Where the time of a caption goes, read from its own events."""

from __future__ import annotations

import pytest

from ugsd_core.bench.phases import phases
from ugsd_core.messages import BlockJudged, BlockKept, FeaturesReady, PrefillDone, Signals, TokenDrafted


def test_each_phase_has_the_times_of_its_events() -> None:
    signals = Signals(0.1, 0.9, 0.1)
    events = [
        FeaturesReady(0.002, 2.0, 100, 400, "0" * 64),
        PrefillDone(0.030, "edge", 50, 28.0),
        TokenDrafted(0.035, 0, 0, 0, 5, "a", signals, ()),
        TokenDrafted(0.040, 1, 0, 0, 6, "b", signals, ()),
        BlockKept(0.0405, 0, 0, 0, 2, 10.0, 0.1, 1.0, "sure"),
        BlockJudged(0.060, 1, 0, 0, 2, 2, False, 3.0, 7.0, 0.5, 1.5),
    ]
    found = phases(events)
    assert found["features"] == [2.0] and found["prefill"] == [28.0]
    assert found["decode_a_token"] == [5.0]
    assert found["gate"] == pytest.approx([0.5])
    assert (found["network"], found["queued"], found["verify"], found["merge"]) == ([3.0], [1.5], [7.0], [0.5])
    assert "connect" not in found
