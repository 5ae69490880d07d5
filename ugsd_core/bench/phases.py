"""Where the time of a caption goes, phase by phase, from the events of the captions themselves.

Phases overlap where the two sides work at the same time, so they do not add up to the total.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ugsd_core.bench.registry import Say
from ugsd_core.bench.settings import BenchSettings
from ugsd_core.bench.timing import spread
from ugsd_core.messages import (
    BlockEscalated,
    BlockJudged,
    BlockKept,
    Event,
    FeaturesReady,
    PrefillDone,
    TokenDrafted,
    VerifierReady,
)

__all__ = ["measure", "phases"]


def phases(events: Iterable[Event]) -> dict[str, list[float]]:
    """Times of one caption by phase, milliseconds.

    Returns:
        ``features`` (log-mel and its coding), ``connect`` (reaching the verifier and its handshake; the code follows
        without the edge waiting for it), ``prefill`` (audio tower and request), ``decode_a_token`` (draft time of a
        block over its tokens), ``gate`` (from a block's last token to what the gate says of it, making the block
        included), ``network``, ``queued``, ``verify`` and ``merge`` (of each verdict). A phase that did not happen is
        left out.
    """
    found: dict[str, list[float]] = defaultdict(list)
    last_drafted_s: float | None = None
    for event in events:
        if isinstance(event, FeaturesReady):
            found["features"].append(event.extract_ms)
        elif isinstance(event, VerifierReady):
            found["connect"].append(event.connect_ms)
        elif isinstance(event, PrefillDone):
            found["prefill"].append(event.prefill_ms)
        elif isinstance(event, TokenDrafted):
            last_drafted_s = event.t_s
        elif isinstance(event, BlockKept | BlockEscalated):
            found["decode_a_token"].append(event.draft_ms / max(1, event.length))
            if last_drafted_s is not None:
                found["gate"].append((event.t_s - last_drafted_s) * 1e3)
                last_drafted_s = None
        elif isinstance(event, BlockJudged):
            found["network"].append(event.network_ms)
            found["queued"].append(event.queued_ms)
            found["verify"].append(event.verify_ms)
            found["merge"].append(event.merge_ms)
    return dict(found)


def measure(settings: BenchSettings, say: Say) -> dict[str, Any]:
    """Phases of the example clips in the modes that draft, interleaved."""
    from ugsd_core.bench.pair import example_clips, loaded_pair, modes

    say("starting a verifier and loading the edge …")
    found: dict[str, dict[str, list[float]]] = {}
    with loaded_pair(settings) as pair:
        clips, ways = example_clips(), {name: way for name, way in modes().items() if name != "cloud"}
        say(f"phases of {len(clips)} clips, {settings.rounds} rounds …")
        for number in range(-1, settings.rounds):
            for name in [*ways, *reversed(ways)]:
                for clip in clips:
                    times = phases(pair.captioner.stream(clip, ways[name]))
                    for phase, values in times.items() if number >= 0 else ():
                        found.setdefault(name, {}).setdefault(phase, []).extend(values)
    return {name: {phase: spread(values, "ms", 1.0) for phase, values in both.items()} for name, both in found.items()}
