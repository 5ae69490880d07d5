"""How long a visitor waits: from the end of a 4-s clip to the first token and to the whole caption, in each mode."""

from __future__ import annotations

from typing import Any

from ugsd_core.bench.registry import Say
from ugsd_core.bench.settings import BenchSettings
from ugsd_core.bench.timing import spread

__all__ = ["measure"]


def measure(settings: BenchSettings, say: Say) -> dict[str, Any]:
    """Over loopback, modes interleaved."""
    from ugsd_core.bench.pair import four_second_clip, loaded_pair, modes

    say("starting a verifier and loading the edge …")
    found: dict[str, dict[str, list[float]]] = {name: {"first_token": [], "total": []} for name in modes()}
    with loaded_pair(settings) as pair:
        clip, ways = four_second_clip(), modes()
        say(f"latency of a 4-s clip, {settings.rounds} rounds …")
        for number in range(-2, settings.rounds):
            for name in [*ways, *reversed(ways)]:
                clocks = pair.caption(clip, ways[name]).clocks
                first_s = clocks.ttft_commit_s if clocks.ttft_draft_s is None else clocks.ttft_draft_s
                if number >= 0 and first_s is not None and clocks.total_s is not None:
                    found[name]["first_token"].append(first_s)
                    found[name]["total"].append(clocks.total_s)
    return {name: {what: spread(values) for what, values in both.items()} for name, both in found.items()}
