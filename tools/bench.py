"""Benchmarks of the engine: what the loop costs over a bare one, and how long a visitor waits.

Everything that is compared runs interleaved (A-B-B-A) in one process, after a warm-up that is not counted; medians
and the middle half (p25…p75) are printed, ratios are medians of the pairs' ratios. ``make bench``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import torch
from transformers import DynamicCache

from ugsd_core.acoustic import AcousticCode, encode_waveform
from ugsd_core.audio import Utterance, load_utterance, utterance_from_samples
from ugsd_core.captioner import Captioner
from ugsd_core.decoding import decode
from ugsd_core.drafter import StreamDrafter
from ugsd_core.messages import CaptionFinished
from ugsd_core.models.caption_stream import SAID
from ugsd_core.models.speech_model import SpeechModel
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.result import caption_result
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.process import VerifierProcess

EXAMPLES = Path(__file__).resolve().parents[1] / "assets" / "examples"


def hand_loop(model: SpeechModel, code: AcousticCode, options: DecodingOptions) -> list[int]:
    """The least that greedy decoding takes: prefill, then one forward pass and one argmax a token."""
    size = model.vocabulary_size
    thinker = model.model
    embedding = thinker.get_input_embeddings()
    ids: list[int] = []
    with torch.inference_mode():
        cache = DynamicCache(config=thinker.config.get_text_config())
        embeds, posterior = model.read_request(code, options.prompt, options.language)
        bias = torch.zeros(size)
        added = model.head_bias(posterior, options.language)
        if added is not None:
            bias += torch.from_numpy(added)
        start = 0
        while True:
            positions = torch.arange(start, start + embeds.shape[1]).expand(3, 1, -1)
            hidden = thinker.model.language_model(
                inputs_embeds=embeds, position_ids=positions, past_key_values=cache, use_cache=True
            ).last_hidden_state[0, -1]
            token = int((thinker.lm_head(hidden)[:size] + bias).argmax())
            ids.append(token)
            if token in model.say_once:
                bias[token] = SAID
            if token in model.end_ids or len(ids) == options.max_tokens:
                return ids
            start += embeds.shape[1]
            embeds = embedding(torch.tensor([[token]]))


def event_loop(drafter: StreamDrafter, code: AcousticCode, options: DecodingOptions) -> list[int]:
    """The same caption through the decoding loop, every event made and taken."""
    last = None
    for event in decode(code, "00", drafter, None, options):
        last = event
    assert isinstance(last, CaptionFinished)
    return list(last.token_ids)


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one run."""
    began = perf_counter()
    run()
    return perf_counter() - began


def spread(values: list[float]) -> dict[str, float]:
    """Median and middle half, in milliseconds."""
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median_ms": middle * 1e3, "p25_ms": low * 1e3, "p75_ms": high * 1e3, "n": len(values)}


def overhead(drafter: StreamDrafter, codes: list[AcousticCode], rounds: int) -> dict[str, object]:
    """Edge-only decoding through the loop against `hand_loop`, pair by pair on the same code."""
    options = DecodingOptions(mode="edge")
    bare_s: list[float] = []
    loop_s: list[float] = []
    tokens = 0
    for n in range(-1, rounds):
        for code in codes:
            runs = [
                (bare_s, lambda code=code: hand_loop(drafter.model, code, options)),
                (loop_s, lambda code=code: event_loop(drafter, code, options)),
            ]
            order = [*runs, *reversed(runs)]  # A-B-B-A cancels a drift of the machine
            times = [(into, seconds(run)) for into, run in order]
            if n < 0:  # warm-up
                assert hand_loop(drafter.model, code, options) == event_loop(drafter, code, options)
                continue
            tokens += len(hand_loop(drafter.model, code, options))
            for into in (bare_s, loop_s):
                into.append(sum(t for other, t in times if other is into) / 2)
    ratios = [loop / bare for loop, bare in zip(loop_s, bare_s, strict=True)]
    return {
        "hand_loop": spread(bare_s),
        "event_loop": spread(loop_s),
        "ratio_median": statistics.median(ratios),
        "ratio_p25_p75": statistics.quantiles(ratios, n=4)[::2],
        "tokens_a_caption": tokens / len(bare_s),
    }


def latency(captioner: Captioner, utterance: Utterance, rounds: int) -> dict[str, object]:
    """Stop-to-caption times of one clip in each mode over loopback, interleaved."""
    modes = {
        "edge": DecodingOptions(mode="edge"),
        "ugsd": preset("default"),
        "lossless": preset("lossless"),
        "cloud": DecodingOptions(mode="cloud"),
    }
    first: dict[str, list[float]] = {name: [] for name in modes}
    total: dict[str, list[float]] = {name: [] for name in modes}
    for n in range(-2, rounds):
        for name in [*modes, *reversed(modes)]:
            clocks = caption_result(captioner.stream(utterance, modes[name])).to_dict()["clocks"]
            if n >= 0:
                started = clocks["ttft_draft_s"] if clocks["ttft_draft_s"] is not None else clocks["ttft_commit_s"]
                first[name].append(started)
                total[name].append(clocks["total_s"])
    return {name: {"first_token": spread(first[name]), "total": spread(total[name])} for name in modes}


def four_second_clip() -> Utterance:
    """An example clip cut to 4 s exactly."""
    loaded = max((load_utterance(path) for path in EXAMPLES.glob("*.flac")), key=lambda clip: clip.duration_s)
    return utterance_from_samples(loaded.samples[: 4 * 16_000], 16_000)


def main() -> int:
    """Run all benchmarks; the figures go to stdout as JSON, progress to stderr."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="repetitions of each comparison (20)")
    parser.add_argument("--threads", type=int, default=None, help="torch threads of the edge (as the program has it)")
    args = parser.parse_args()

    def say(what: str) -> None:
        print(what, file=sys.stderr, flush=True)

    say("starting a verifier and loading the edge …")
    with VerifierProcess(wait=False) as verifier:
        captioner = Captioner.load(backend="torch")
        if args.threads:
            torch.set_num_threads(args.threads)
        captioner.link = WebSocketLink(verifier.address)
        drafter = captioner.drafter
        assert isinstance(drafter, StreamDrafter)
        clips = [load_utterance(path) for path in sorted(EXAMPLES.glob("*.flac"))]
        codes = [encode_waveform(clip.samples, drafter.features) for clip in clips]
        say("overhead of the loop …")
        over = overhead(drafter, codes, args.rounds)
        say("latency of a 4-s clip …")
        late = latency(captioner, four_second_clip(), args.rounds)
        captioner.close()
    machine = {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    print(json.dumps({"machine": machine, "loop_overhead": over, "latency_4s_clip": late}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
