"""Drafting ahead against waiting: whole captions over links of several round trips, at any pace of the models.

Everything runs clip by clip, all ways of one clip one after the other (A-B-B-A), so that a drift of the machine meets
all of them alike; ratios are taken clip by clip. ``python -m ugsd_core.bench.ahead --clips FOLDER`` prints the figures
as JSON; with ``--arithmetic`` those of `ugsd_core.bench.arithmetic`.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ugsd_core.bench.arithmetic import SLOWER, by_arithmetic
from ugsd_core.options import DecodingOptions, preset

if TYPE_CHECKING:
    from ugsd_core.audio import Utterance
    from ugsd_core.captioner import Captioner
    from ugsd_core.messages import OpenRequest, Verdict, VerifyRequest
    from ugsd_core.result import CaptionResult
    from ugsd_core.verifier import VerifierLink

__all__ = ["SLOWER", "at_a_pace", "compare", "measure", "sound_files"]

Totals = dict[str, list[float]]


def measure(settings: Any, say: Callable[[str], None]) -> dict[str, Any]:
    """For `ugsd bench`: the example clips, as many rounds and at such round trips as ``settings`` says."""
    return compare(rounds=settings.rounds, rtts_ms=settings.rtts_ms, say=say)


def compare(
    clips: Sequence[Utterance] = (),
    *,
    language: str = "en",
    rounds: int = 1,
    rtts_ms: Sequence[float] = (0.0, 50.0, 100.0),
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Captions by the default preset over each link, and by *lossless* over the middle one, working ahead and waiting.

    Args:
        clips: What is captioned; without any, the example clips.
        language: Of the captions.
        rounds: How often every clip is captioned in each way, there and back.
        rtts_ms: Round trips of the links.
        say: Takes lines of progress.

    Returns:
        ``ways`` (milliseconds a caption, medians with the middle half and means), ``ratios``, and what was drafted
        ahead.
    """
    near, middle = f"rtt_{rtts_ms[0]:g}", f"rtt_{rtts_ms[len(rtts_ms) // 2]:g}"
    ways: dict[str, tuple[str, DecodingOptions]] = {"edge": (near, preset("default", mode="edge"))}
    for rtt in (f"rtt_{rtt_ms:g}" for rtt_ms in rtts_ms):
        # Plain speculative decoding and learned lengths over one link alone: they take their time.
        for name in ("default", "lossless") if rtt == middle else ("default",):
            ways[f"{name} {rtt}"] = (rtt, preset(name))
            ways[f"{name} {rtt} waiting"] = (rtt, preset(name, ahead=False))
            if rtt == middle:
                ways[f"{name} {rtt} delay"] = (rtt, preset(name, block_length="delay"))
    ways = {name: (rtt, options.changed(language=language)) for name, (rtt, options) in ways.items()}
    clips = clips or _examples()
    results: dict[str, list[list[CaptionResult]]] = {name: [[] for _ in clips] for name in ways}
    with _pair(rtts_ms) as (captioner, links):
        for number in range(-1, rounds):
            for n, clip in enumerate(clips[:3] if number < 0 else clips):
                for name in [*ways, *reversed(ways)]:
                    rtt, options = ways[name]
                    result = _caption(captioner, links.get(rtt), clip, options)
                    if number >= 0:
                        results[name][n].append(result)
            say(f"round {number + 1} of {rounds}" if number >= 0 else "warmed up")
    return _summary(results, [f"rtt_{rtt_ms:g}" for rtt_ms in rtts_ms]) | {"clips": len(clips), "rounds": rounds}


def at_a_pace(
    clips: Sequence[Utterance] = (),
    *,
    language: str = "en",
    token_ms: float = 30.0,
    slower: float = SLOWER,
    prefill: float = 10.0,
    rtts_ms: Sequence[float] = (0.0, 50.0, 100.0),
) -> dict[str, Any]:
    """The pair's own captions at another pace: an edge that takes ``token_ms`` a pass, a verifier ``slower`` times it.

    Everything is computed beforehand and then only slept for, so that times are those of a timeline and hardly those of
    the machine: edge, verifier and network take nothing from each other.

    Args:
        clips: What is captioned; without any, the example clips.
        language: Of the captions.
        token_ms: Of the edge, a forward pass of any number of tokens.
        slower: What a pass takes on the verifier over the edge.
        prefill: Passes of the edge that reading the request takes, on either side: it is bound by arithmetic, of which
            the verifier's machine has more.
        rtts_ms: Round trips of the network.
    """
    from ugsd_core.calibration.memo import MemoModel
    from ugsd_core.captioner import Captioner
    from ugsd_core.drafter import StreamDrafter
    from ugsd_core.models.loading import default_checkpoint, load_speech_model
    from ugsd_core.verifier import TorchVerifier

    clips = clips or _examples()
    edge, far_side = (MemoModel.of(load_speech_model(default_checkpoint(side))) for side in ("edge", "verifier"))
    pace = _PacedEdge(edge, token_ms / 1e3, prefill)
    # One to compute, one to play: what it learns of times should be those of the pace.
    captioners = {asleep: Captioner(StreamDrafter(pace)) for asleep in (False, True)}
    link = _paced_link(TorchVerifier(far_side), slower * token_ms / 1e3, prefill * token_ms / 1e3)
    ways: dict[str, tuple[float, DecodingOptions]] = {"edge": (0.0, preset("default", mode="edge"))}
    for rtt_ms in rtts_ms:
        for name in ("default", "lossless"):
            for suffix, changes in _WAYS.items():
                ways[f"{name} rtt_{rtt_ms:g}{suffix}"] = (rtt_ms / 1e3, preset(name, **changes))
    results: dict[str, list[list[CaptionResult]]] = {name: [] for name in ways}
    for clip in clips:
        for asleep in (False, True):
            pace.asleep = link.asleep = asleep
            for name, (rtt_s, options) in ways.items():
                link.rtt_s = rtt_s
                result = _caption(captioners[asleep], link, clip, options.changed(language=language))
                if asleep:
                    results[name].append([result])
    times = _times(results)
    far, near = (f"rtt_{rtt_ms:g}" for rtt_ms in (rtts_ms[-1], rtts_ms[0]))
    asked = [n for n, (run,) in enumerate(results[f"default {near}"]) if run.counts["escalations"]]
    return {
        "clips": len(clips),
        "asked": len(asked),
        "edge_pass_ms": token_ms,
        "verifier_pass_ms": slower * token_ms,
        "ways": {name: _spread(values, 1e3) for name, values in times.items()},
        "over_edge": {name: _ratio(times[name], times["edge"]) for name in ways if name != "edge"},
        "over_waiting": {
            name: _ratio(times[name], times[f"{name} waiting"]) for name in ways if f"{name} waiting" in times
        },
        "delay_over_fixed": {
            name: _ratio(times[f"{name} delay"], times[name]) for name in ways if f"{name} delay" in times
        },
        "far_over_near": {
            f"{name}{suffix}": _ratio(times[f"{name} {far}{suffix}"], times[f"{name} {near}{suffix}"])
            for name in ("default", "lossless")
            for suffix in ("", " waiting")
        }
        | {
            f"default{suffix}, asked": _ratio(
                [times[f"default {far}{suffix}"][n] for n in asked],
                [times[f"default {near}{suffix}"][n] for n in asked],
            )
            for suffix in ("", " waiting")
            if asked
        },
        "default_over_lossless": {
            f"rtt_{rtt:g}": _ratio(times[f"default rtt_{rtt:g}"], times[f"lossless rtt_{rtt:g}"]) for rtt in rtts_ms
        },
        "ahead": {name: found for name, runs in results.items() if (found := _ahead(runs))["tokens"]},
    }


#: What is compared with the way as it is.
_WAYS: dict[str, dict[str, Any]] = {"": {}, " waiting": {"ahead": False}, " delay": {"block_length": "delay"}}


class _PacedEdge:
    """A model whose streams take their time."""

    def __init__(self, model: Any, pass_s: float, prefill: float) -> None:
        self._model, self.pass_s, self._prefill = model, pass_s, prefill
        self.asleep = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def open(self, *args: Any) -> Any:
        """Read the request."""
        stream = self._model.open(*args)
        self.sleep(self._prefill)
        return _PacedStream(stream, self)

    def sleep(self, passes: float) -> None:
        """As long as so many passes take."""
        if self.asleep:
            time.sleep(passes * self.pass_s)


class _PacedStream:
    def __init__(self, stream: Any, pace: _PacedEdge) -> None:
        self._stream, self._pace = stream, pace

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def feed(self, ids: Sequence[int], *, rows: int) -> Any:
        """One pass."""
        self._pace.sleep(1.0)
        return self._stream.feed(ids, rows=rows)


def _paced_link(verifier: Any, pass_s: float, prefill_s: float) -> Any:
    """A link to a verifier that reads a request while the edge does, over a network with a round trip."""
    from ugsd_core.verifier import LocalLink

    class PacedLink(LocalLink):
        at_hand = False
        asleep, rtt_s, ready_at = True, 0.0, 0.0

        def open(self, request: OpenRequest) -> None:
            super().open(request)
            self.ready_at = time.perf_counter() + self.rtt_s / 2 + prefill_s

        def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
            answer_at = max(time.perf_counter() + self.rtt_s / 2, self.ready_at) + pass_s + self.rtt_s / 2
            verdict = super().judge(request, deadline_s)
            if self.asleep:
                time.sleep(max(0.0, answer_at - time.perf_counter()))
            return verdict

    return PacedLink(verifier)


def _caption(
    captioner: Captioner, link: VerifierLink | None, clip: Utterance, options: DecodingOptions
) -> CaptionResult:
    from ugsd_core.result import caption_result

    captioner.link = link
    return caption_result(captioner.stream(clip, options))


@contextmanager
def _pair(rtts_ms: Sequence[float]) -> Iterator[tuple[Captioner, dict[str, VerifierLink]]]:
    """The embedded edge, and a link to the embedded verifier for each round trip."""
    from ugsd_core.captioner import Captioner
    from ugsd_core.wire.client import WebSocketLink
    from ugsd_core.wire.emulated import Conditions, EmulatedLink
    from ugsd_core.wire.process import VerifierProcess

    with VerifierProcess(wait=False) as verifier, ExitStack() as stack:
        captioner = Captioner.load()
        links: dict[str, VerifierLink] = {}
        for rtt_ms in rtts_ms:
            relay = stack.enter_context(EmulatedLink(verifier.address, Conditions(rtt_ms)))
            links[f"rtt_{rtt_ms:g}"] = link = WebSocketLink(relay.address)
            stack.callback(link.close)
        yield captioner, links


def _examples() -> list[Utterance]:
    from ugsd_core.places import assets_folder

    return sound_files(assets_folder() / "examples")


def sound_files(folder: Path, most: int | None = None) -> list[Utterance]:
    """The recordings below a folder, by name; at most so many, spread evenly over all."""
    from ugsd_core.audio import load_utterance

    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".flac", ".wav", ".ogg", ".opus"))
    step = 1 if most is None else max(1, len(paths) // most)
    return [load_utterance(path, first_30_s=True) for path in paths[::step][:most]]


# ── Figures ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _times(results: dict[str, list[list[CaptionResult]]]) -> Totals:
    """Seconds a clip, the mean of its runs."""
    return {
        name: [statistics.mean(run.clocks.total_s or 0.0 for run in runs) for runs in clips]
        for name, clips in results.items()
    }


def _summary(results: dict[str, list[list[CaptionResult]]], rtts: Sequence[str]) -> dict[str, Any]:
    times = _times(results)
    near, far = rtts[0], rtts[-1]
    asked = [n for n, runs in enumerate(results[f"default {near}"]) if runs[0].counts["escalations"]]
    ratios: dict[str, Any] = {}

    def compared(name: str, above: str, below: str, only: Sequence[int] | None = None) -> None:
        if above not in times or below not in times:
            return
        chosen = range(len(times[above])) if only is None else only
        if chosen:
            ratios[name] = _ratio([times[above][n] for n in chosen], [times[below][n] for n in chosen])

    for way in ("", " waiting"):
        compared(f"default {far} over {near}{way}", f"default {far}{way}", f"default {near}{way}")
        compared(f"default {far} over {near}{way}, asked", f"default {far}{way}", f"default {near}{way}", asked)
    # Whoever asks ends later by the difference of the round trips, if computing takes as long. It need not: on shared
    # cores both sides compute at the same time when they are near, and one after the other when they are far.
    further_s = (float(far.removeprefix("rtt_")) - float(near.removeprefix("rtt_"))) / 1e3
    times["bound"] = [t + further_s * (n in asked) for n, t in enumerate(times[f"default {near}"])]
    compared(f"default {far} over {near}, computing alike", "bound", f"default {near}")
    compared(f"default {far} over {near}, asked, computing alike", "bound", f"default {near}", asked)
    del times["bound"]
    for rtt in rtts:
        compared(f"default over lossless, {rtt}", f"default {rtt}", f"lossless {rtt}")
        compared(f"default over edge, {rtt}", f"default {rtt}", "edge")
        for name in ("default", "lossless"):
            compared(f"{name} ahead over waiting, {rtt}", f"{name} {rtt}", f"{name} {rtt} waiting")
            compared(f"{name} delay over fixed, {rtt}", f"{name} {rtt} delay", f"{name} {rtt}")
        compared(f"default ahead over waiting, {rtt}, asked", f"default {rtt}", f"default {rtt} waiting", asked)
    different = sum(
        len({run.token_ids for way in (f"{name} {rtt}", f"{name} {rtt} waiting") for run in results[way][n]}) > 1
        for n in range(len(next(iter(results.values()))))
        for name in ("default", "lossless")
        for rtt in rtts
        if f"{name} {rtt}" in results
    )
    return {
        "asked": len(asked),
        "captions_that_differ_from_the_waiting_loop": different,
        "ways": {name: _spread(values, 1e3) for name, values in times.items()},
        "ratios": ratios,
        "ahead": {name: _ahead(clips) for name, clips in results.items() if any(_ahead(clips).values())},
    }


def _ahead(clips: list[list[CaptionResult]]) -> dict[str, float]:
    """Means over captions."""
    runs = [run for runs in clips for run in runs]
    names = ("tokens", "used", "wasted")
    found = {name: statistics.mean(run.ahead[name] for run in runs) for name in names}
    return found | {"round_trips": statistics.mean(run.counts["escalations"] for run in runs)}


def _spread(values: Sequence[float], scale: float = 1.0) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    unit = "_ms" if scale != 1.0 else ""
    found = {f"median{unit}": middle, f"p25{unit}": low, f"p75{unit}": high}
    return {name: value * scale for name, value in found.items()} | {
        f"mean{unit}": statistics.mean(values) * scale,
        "n": len(values),
    }


def _ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """Spread of the clips' own ratios, and the ratio of the means."""
    each = _spread([a / b for a, b in zip(above, below, strict=True)])
    return each | {"of_means": statistics.mean(above) / statistics.mean(below)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures as JSON."""
    import argparse
    import json

    parser = argparse.ArgumentParser(prog="python -m ugsd_core.bench.ahead", description=__doc__)
    parser.add_argument("--clips", type=Path, metavar="FOLDER", help="recordings (the example clips)")
    parser.add_argument("--most", type=int, metavar="N", help="so many of them, spread evenly")
    parser.add_argument("--language", choices=("en", "zh"), default="en")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rtt", type=float, nargs="+", default=[0.0, 50.0, 100.0], metavar="MS")
    parser.add_argument(
        "--prefill", type=float, default=10.0, metavar="N", help="with --pace: a request takes N passes"
    )
    parser.add_argument("--pace", type=float, metavar="MS", help="an edge that takes so long for a token, instead")
    parser.add_argument(
        "--arithmetic", action="store_true", help="by arithmetic at three paces, no clock read, instead"
    )
    args = parser.parse_args(arguments)
    clips = sound_files(args.clips, args.most) if args.clips else ()
    found: dict[str, Any]
    if args.arithmetic:
        found = by_arithmetic(clips or _examples(), language=args.language, rtts_ms=args.rtt)
    elif args.pace:
        found = at_a_pace(clips, language=args.language, token_ms=args.pace, prefill=args.prefill, rtts_ms=args.rtt)
    else:
        say = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
        found = compare(clips, language=args.language, rounds=args.rounds, rtts_ms=args.rtt, say=say)
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
