"""What captions of the embedded pair take by arithmetic: their blocks at the paces of other machines, over other ways.

``python -m ugsd_core.bench.ahead --arithmetic`` prints it as JSON. The pair decides the blocks; what they take follows
from `ugsd_core.bench.timeline_model`. No clock is read.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ugsd_core.bench.timeline_model import Costs, caption_ms, least_ms
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.pace import Pace

if TYPE_CHECKING:
    from ugsd_core.acoustic import AcousticCode
    from ugsd_core.audio import Utterance
    from ugsd_core.drafter import Drafter
    from ugsd_core.result import CaptionResult

__all__ = ["PACES", "SLOWER", "Played", "arithmetic", "by_arithmetic", "foreseen"]

#: A verifier's cost per token over the edge's, where the verifier is made that slow.
SLOWER = 3.0
#: The embedded pair on two cores, an edge of 33 tokens a second, and the paper's; the latter read a request in the time
#: of ten tokens on either side.
PACES: dict[str, Costs] = {
    "embedded": Costs(0.45, 8.0, 25.0, 80.0),
    "30_ms": Costs(30.0, 90.0, 300.0, 300.0),
    "paper": Costs(650.0, 1950.0, 6500.0, 6500.0),
}


@dataclass(frozen=True, slots=True)
class Played:
    """One clip's captions as the pair decides them.

    Attributes:
        captions: By preset; ``edge`` is edge-only.
        foreseen: By preset, the blocks whose bonus token is what the edge would have written.
    """

    captions: dict[str, CaptionResult]
    foreseen: dict[str, frozenset[int]]

    def ms(self, name: str, costs: Costs, *, ahead: bool = True, pace: Pace | None = None) -> float:
        """What a caption takes."""
        return caption_ms(self.captions[name], costs, ahead=ahead, foreseen=self.foreseen[name], pace=pace)

    def least(self, name: str, costs: Costs) -> float:
        """The least that its blocks can take."""
        return least_ms(self.captions[name], costs, foreseen=self.foreseen[name])


def by_arithmetic(
    clips: Sequence[Utterance], *, language: str = "en", rtts_ms: Sequence[float] = (0.0, 50.0, 100.0)
) -> dict[str, Any]:
    """Captions of the clips by the embedded pair, at each of `PACES`.

    Args:
        clips: What is captioned.
        language: Of the captions.
        rtts_ms: Round trips; the first is compared with the last, presets with each other over the middle one.
    """
    from ugsd_core.calibration.memo import MemoModel
    from ugsd_core.captioner import Captioner
    from ugsd_core.drafter import StreamDrafter
    from ugsd_core.models.loading import default_checkpoint, load_speech_model
    from ugsd_core.verifier import LocalLink, TorchVerifier

    edge, far_side = (MemoModel.of(load_speech_model(default_checkpoint(side))) for side in ("edge", "verifier"))
    captioner = Captioner(StreamDrafter(edge), LocalLink(TorchVerifier(far_side)))
    ways = {"default": preset("default"), "lossless": preset("lossless"), "edge": preset("default", mode="edge")}
    return arithmetic(
        [_played(captioner, clip, {n: o.changed(language=language) for n, o in ways.items()}) for clip in clips],
        rtts_ms=rtts_ms,
    )


def _played(captioner: Any, clip: Utterance, ways: dict[str, DecodingOptions]) -> Played:
    from ugsd_core.acoustic import encode_waveform
    from ugsd_core.result import caption_result

    captions = {name: caption_result(captioner.stream(clip, options)) for name, options in ways.items()}
    code = encode_waveform(clip.samples, captioner.drafter.features)
    return Played(
        captions, {n: foreseen(made, captioner.drafter, code, clip.id, ways[n]) for n, made in captions.items()}
    )


def foreseen(
    result: CaptionResult, drafter: Drafter, code: AcousticCode, utterance: str, options: DecodingOptions
) -> frozenset[int]:
    """Numbers of the blocks accepted whole whose bonus token the edge would have written itself."""
    found = set()
    for block in result.blocks:
        end = block.start + block.length
        if block.changed and block.accepted == block.length and end < len(result.token_ids):
            draft = drafter.begin(code, options, utterance)
            for token_id in result.token_ids[:end]:
                draft.append(token_id, last=False)
            if draft.next(0, last=False).token_id == result.token_ids[end]:
                found.add(block.block)
    return frozenset(found)


def arithmetic(played: Sequence[Played], *, rtts_ms: Sequence[float]) -> dict[str, Any]:
    """Figures of captions at each of `PACES`.

    Returns:
        How many of the captions asked, and for each pace: ``times_ms`` (means), ``far_over_near`` with what the way
        must cost at least, ``far_over_near_asked`` for the captions that asked, and presets over each other.
        Ratios are medians over clips, and of the means. *Heedless* is drafting ahead that begins every pass.
    """
    asked = [clip for clip in played if clip.captions["default"].counts["escalations"]]
    return {
        "clips": len(played),
        "asked": len(asked),
        "asked_share": len(asked) / len(played),
        "blocks_sent_by_those": _mean([clip.captions["default"].counts["escalations"] for clip in asked]),
        "rtts_ms": list(rtts_ms),
        "paces": {name: _at(costs, played, asked, rtts_ms) for name, costs in PACES.items()},
    }


def _times(played: Sequence[Played], name: str, costs: Costs, loop: str = "ahead") -> list[float]:
    """What the clips' captions take, one after the other; ``loop`` is ahead, heedless (any pass begins) or waiting."""
    pace = Pace() if loop == "ahead" else None
    return [clip.ms(name, costs, ahead=loop != "waiting", pace=pace) for clip in played]


def _at(costs: Costs, played: Sequence[Played], asked: Sequence[Played], rtts_ms: Sequence[float]) -> dict[str, Any]:
    near, middle, far = (costs.at(rtts_ms[n]) for n in (0, len(rtts_ms) // 2, -1))
    slow = replace(near, verify_ms=SLOWER * near.token_ms)
    names, ways = ("default", "lossless"), [costs.at(rtt_ms) for rtt_ms in rtts_ms]
    edge = _times(played, "edge", near)

    def compared(loop: str) -> dict[str, Any]:
        return {
            f"{name} rtt_{way.rtt_ms:g}": _over(_times(played, name, way), _times(played, name, way, loop))
            for name in names
            for way in ways
        }

    return {
        "edge_pass_ms": costs.token_ms,
        "verifier_pass_ms": costs.verify_ms,
        "times_ms": {"edge": _mean(edge)}
        | {f"{name} rtt_{way.rtt_ms:g}": _mean(_times(played, name, way)) for name in names for way in ways},
        "far_over_near": _far_over_near(played, near, far),
        "far_over_near_asked": _far_over_near(asked, near, far) if asked else None,
        "default_over_lossless": _over(_times(played, "default", middle), _times(played, "lossless", middle)),
        "default_over_edge": _over(_times(played, "default", near), edge),
        "default_over_edge_with_a_verifier_of_three": _over(_times(played, "default", slow), edge),
        "ahead_over_waiting": compared("waiting"),
        "ahead_over_heedless": compared("heedless"),
    }


def _far_over_near(played: Sequence[Played], near: Costs, far: Costs) -> dict[str, Any]:
    """The default preset's times over the longer way, over those of the shorter one, beside the least they can be.

    ``at_least`` has for each caption T(near) + RTT · (round trips on the critical path) over T(near): what a longer way
    adds to a caption whose every wait is used to the full.
    """
    here = _times(played, "default", near)
    added = [clip.least("default", far) - clip.least("default", near) for clip in played]
    return {
        "ahead": _over(_times(played, "default", far), here),
        "waiting": _over(*(_times(played, "default", where, "waiting") for where in (far, near))),
        "at_least": _over([a + b for a, b in zip(here, added, strict=True)], here),
        "round_trips_on_the_critical_path": _mean(added) / (far.rtt_ms - near.rtt_ms),
    }


def _mean(values: Sequence[float]) -> float:
    return statistics.mean(values) if values else 0.0


def _over(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return {"median": statistics.median(ratios), "of_means": _mean(above) / _mean(below)}
