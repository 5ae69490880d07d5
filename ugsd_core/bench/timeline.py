"""UGSD's timeline at a real size: an edge of that shape with random weights, and a verifier that only takes its time.

What random weights are unsure of means nothing, so a fixed share of the draft is sent, block by block as evenly as
blocks allow. The edge, the loop, the wire and the delay of the link are real; the verifier's time is declared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from ugsd_core.bench.registry import Say
from ugsd_core.bench.settings import BenchSettings
from ugsd_core.bench.timing import interleaved, ratio, seconds, spread
from ugsd_core.draft_block import DraftBlock, GateDecision
from ugsd_core.errors import OptionError
from ugsd_core.options import DecodingOptions, preset

__all__ = ["ForcedGate", "measure"]

#: Length of a block, and of a caption in tokens; the paper's captions are about as long.
BLOCK = 4
CAPTION = 40
CLIP_S = 4.0


@dataclass
class ForcedGate:
    """Sends blocks so that their share of the draft stays at ``rho``.

    Attributes:
        drafted, sent: Tokens so far.
    """

    rho: float
    drafted: int = 0
    sent: int = 0

    def decide(self, block: DraftBlock) -> GateDecision:
        """Send it if that brings the share nearer to ``rho`` than keeping it."""
        length = len(block.tokens)
        self.drafted += length
        send = self.sent + length / 2 <= self.rho * self.drafted
        self.sent += length if send else 0
        return GateDecision(send, "a fixed share of the draft is sent" if send else "not its turn")


def measure(settings: BenchSettings, say: Say) -> dict[str, Any]:
    """Totals of a caption: edge-only, with ``rho`` of the draft sent, and with all of it, at each round trip.

    Raises:
        OptionError: Without size or share, or without memory for the model.
    """
    import numpy as np

    from ugsd_core.audio import utterance_from_samples
    from ugsd_core.bench.real_models import make_real_model, smallest
    from ugsd_core.bench.real_size import room_for
    from ugsd_core.captioner import Captioner
    from ugsd_core.cores import cores
    from ugsd_core.drafter import StreamDrafter

    if settings.size is None or settings.timeline_rho is None:
        raise OptionError("say which size and which share of the draft, such as --size 3b --timeline 0.182")
    precision = smallest(settings.precisions, settings.device)
    room_for(settings.size, precision, settings.device, settings.layers)
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(settings.threads or cores())
    try:
        say(f"making {settings.size} in {precision} …")
        model, *_ = make_real_model(
            settings.size,
            precision,
            device=settings.device,
            layers=settings.layers,
            threads=settings.threads or cores(),
        )
        captioner = Captioner(StreamDrafter(model))
        samples = np.random.default_rng(0).standard_normal(int(CLIP_S * 16_000)).astype(np.float32) * 0.1
        return _timeline(captioner, utterance_from_samples(samples, 16_000), precision, settings, say)
    finally:
        torch.set_num_threads(before)


def _timeline(captioner: Any, clip: Any, precision: str, settings: BenchSettings, say: Say) -> dict[str, Any]:
    from contextlib import ExitStack

    from ugsd_core.bench.stand_in import stand_in_process
    from ugsd_core.result import caption_result
    from ugsd_core.wire.client import WebSocketLink
    from ugsd_core.wire.emulated import Conditions, EmulatedLink

    rho = settings.timeline_rho
    assert rho is not None
    ugsd = preset("lossless", block_length="fixed", k=BLOCK, max_tokens=CAPTION, deadline_s=60.0)
    edge = DecodingOptions(mode="edge", max_tokens=CAPTION, gate="never")
    rates: list[float] = []

    def caption(options: DecodingOptions, link: Any = None, share: float = 1.0) -> None:
        captioner.link = link
        gate = lambda *_args, **_rest: ForcedGate(share)  # noqa: E731
        result = caption_result(captioner.stream(clip, options, **({} if link is None else {"make_gate": gate})))
        if link is not None and share < 1.0 and result.ratios.transmission_rate is not None:
            rates.append(result.ratios.transmission_rate)

    say("the edge alone …")
    caption(edge)
    verify_ms = _block_ms(captioner, clip) if settings.verify_ms is None else settings.verify_ms
    with ExitStack() as stack:
        verifier = stack.enter_context(stand_in_process(captioner.drafter.info, verify_ms, verify_ms))
        runs = {"edge": partial(caption, edge)}
        for rtt_ms in settings.rtts_ms:
            relay = stack.enter_context(EmulatedLink(verifier.address, Conditions(rtt_ms=rtt_ms)))
            link = WebSocketLink(relay.address)
            stack.callback(link.close)
            runs[f"rtt_{rtt_ms:g}_ms ugsd"] = partial(caption, ugsd, link, rho)
            runs[f"rtt_{rtt_ms:g}_ms all_sent"] = partial(caption, ugsd, link)
        say(f"a caption of {CAPTION} tokens in {len(runs)} ways, {settings.rounds} rounds …")
        times = interleaved(runs, settings.rounds, warm_up=0)
        captioner.link = None
    found: dict[str, Any] = {"edge": spread(times["edge"], "s", 1.0)}
    for rtt_ms in settings.rtts_ms:
        one, every = (times[f"rtt_{rtt_ms:g}_ms {name}"] for name in ("ugsd", "all_sent"))
        found[f"rtt_{rtt_ms:g}_ms"] = {
            "ugsd": spread(one, "s", 1.0),
            "all_sent": spread(every, "s", 1.0),
            "ugsd_over_edge": ratio(one, times["edge"]),
            "ugsd_over_all_sent": ratio(one, every),
        }
    return found | {
        "sent_share": sum(rates) / max(1, len(rates)),
        "verify_ms": verify_ms,
        "notes": [
            f"Shape {settings.size} in {precision}, captions of {CAPTION} tokens in blocks of {BLOCK}; the verifier "
            f"is a stand-in that takes {verify_ms:.0f} ms a block and accepts it.",
            *([f"Only {settings.layers} layers of the shape."] if settings.layers is not None else []),
        ],
    }


def _block_ms(captioner: Any, clip: Any) -> float:
    """What the edge itself takes for a block in one pass; a verifier as large would take that here."""
    from ugsd_core.acoustic import encode_waveform

    model = captioner.drafter.model
    stream = model.open(encode_waveform(clip.samples, model.features), None, "en")
    stream.next_logits()
    times = []
    for _ in range(3):
        times.append(seconds(lambda: stream.feed(list(range(100, 100 + BLOCK)), rows=BLOCK + 1)))
        stream.truncate(0)
        stream.next_logits()
    return min(times) * 1e3
