"""Each mode over links of several round trips: what a distant verifier costs, beside plain speculative decoding."""

from __future__ import annotations

from typing import Any

from ugsd_core.bench.registry import Say
from ugsd_core.bench.settings import BenchSettings
from ugsd_core.bench.timing import interleaved, ratio, spread

__all__ = ["measure"]


def measure(settings: BenchSettings, say: Say) -> dict[str, Any]:
    """Totals of all example clips, one after the other, a mode and a round trip; all combinations interleaved."""
    from contextlib import ExitStack
    from functools import partial

    from ugsd_core.bench.pair import example_clips, loaded_pair, modes
    from ugsd_core.options import DecodingOptions
    from ugsd_core.verifier import VerifierLink
    from ugsd_core.wire.client import WebSocketLink
    from ugsd_core.wire.emulated import Conditions, EmulatedLink

    say("starting a verifier and loading the edge …")
    clips = example_clips()
    with loaded_pair(settings) as pair, ExitStack() as stack:
        own = pair.captioner.link
        links: dict[str, VerifierLink] = {}
        for rtt_ms in settings.rtts_ms:
            relay = stack.enter_context(EmulatedLink(pair.verifier.address, Conditions(rtt_ms=rtt_ms)))
            link = links[f"rtt_{rtt_ms:g}_ms"] = WebSocketLink(relay.address)
            stack.callback(link.close)

        def captions(link: VerifierLink, options: DecodingOptions) -> None:
            pair.captioner.link = link
            for clip in clips:
                pair.caption(clip, options)

        ways = modes()
        runs = {"edge": partial(captions, next(iter(links.values())), ways.pop("edge"))}
        runs |= {f"{rtt} {name}": partial(captions, links[rtt], way) for rtt in links for name, way in ways.items()}
        say(f"{len(clips)} clips in {len(runs)} ways, {settings.rounds} rounds …")
        times = interleaved(runs, settings.rounds)
        pair.captioner.link = own
    found: dict[str, Any] = {"clips": len(clips), "edge": spread([t / len(clips) for t in times["edge"]])}
    for rtt in links:
        found[rtt] = {name: spread([t / len(clips) for t in times[f"{rtt} {name}"]]) for name in ways}
        found[rtt]["ugsd_over_lossless"] = ratio(times[f"{rtt} ugsd"], times[f"{rtt} lossless"])
        found[rtt]["ugsd_over_edge"] = ratio(times[f"{rtt} ugsd"], times["edge"])
    least = next(iter(links))
    for rtt in list(links)[1:]:
        found[rtt][f"ugsd_over_{least}"] = ratio(times[f"{rtt} ugsd"], times[f"{least} ugsd"])
    return found
