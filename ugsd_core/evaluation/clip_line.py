"""A line of ``clips.jsonl`` from an event stream, and what later captions need to know of earlier lines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ugsd_core.corpora.clip import CorpusClip
from ugsd_core.evaluation.records import ClipLine
from ugsd_core.figures import CLOCK_DEFINITIONS
from ugsd_core.messages import BlockUnverified, Event, FrameSent, TokenDecided, VerifierLost
from ugsd_core.records import BlockRecord
from ugsd_core.result import CaptionResult, caption_result

if TYPE_CHECKING:
    from ugsd_core.budget import BudgetKeeper

__all__ = [
    "caption_line",
    "connection_lost",
    "emotion_share",
    "failed_line",
    "keep_in_mind",
    "pooled_rho",
    "seconds_in_models",
]

BLOCK_CLOCKS = ("draft_ms", "network_ms", "queued_ms", "verify_ms", "merge_ms")
RESOURCES = ("edge_cpu_s", "verifier_cpu_s", "edge_rss_mb", "verifier_rss_mb", "gpu_mb")
_CLOCKS = tuple(name for name in CLOCK_DEFINITIONS if name not in BLOCK_CLOCKS)

Resources = dict[str, float | None]


def _facts(clip: CorpusClip, language: str, folder: Path | None) -> dict[str, Any]:
    """What a line says of the clip, whatever became of its caption."""
    path = "" if clip.path is None else clip.path.as_posix()
    if clip.path is not None and folder is not None:
        there, root = Path(os.path.abspath(clip.path)), Path(os.path.abspath(folder))
        path = there.relative_to(root).as_posix() if there.is_relative_to(root) else path
    return {
        "id": clip.id,
        "corpus": clip.corpus,
        "language": language,
        "references": tuple(clip.references.get(language, ())),
        "label": clip.label,
        "speaker": clip.speaker,
        "path": path,
    }


def failed_line(
    clip: CorpusClip, language: str, system: str, order: int, error: str, folder: Path | None = None
) -> ClipLine:
    """The line of a clip that a system could not caption."""
    return ClipLine(**_facts(clip, language, folder), system=system, hypothesis=None, order=order, error=error)


def caption_line(
    clip: CorpusClip,
    events: Sequence[Event],
    system: str,
    order: int,
    *,
    wall_s: float | None,
    resources: Resources,
    trace: str | None,
    timed: bool = True,
    folder: Path | None = None,
) -> ClipLine:
    """The line of a caption.

    Args:
        events: Its whole stream.
        order: Which of the clip's systems this was.
        wall_s: By the runner's clock.
        resources: As `ClipLine` has them.
        trace: Where the stream was kept.
        timed: Whether its clocks mean anything; those of an oracle, which asks twice, do not.
        folder: Of the corpus, to which the audio's path is relative.
    """
    result = caption_result(events)
    return ClipLine(
        **_facts(clip, result.language, folder),
        system=system,
        hypothesis=result.caption,
        duration_s=result.utterance["duration_s"],
        order=order,
        finish_reason=result.finish_reason,
        token_ids=result.token_ids,
        counts=_counts(result),
        ratios=asdict(result.ratios),
        clocks=asdict(result.clocks) if timed else dict.fromkeys(_CLOCKS),
        blocks=_blocks(result, timed),
        bytes=_bytes(result, events),
        resources=resources if timed else dict.fromkeys(RESOURCES),
        wall_s=wall_s if timed else None,
        scores=tuple((block.score, block.threshold) for block in result.blocks),
        warnings=result.warnings,
        trace=trace,
    )


def _counts(result: CaptionResult) -> dict[str, int]:
    sent = sum(block.length for block in result.blocks if block.escalated)
    seen = round((result.ratios.exposure_rate or 0.0) * result.counts["caption"])
    lost = result.verifier is not None and result.verifier["lost"] is not None
    return result.counts | {"sent": sent, "seen": seen, "lost": int(lost)}


def _blocks(result: CaptionResult, timed: bool) -> dict[str, list[float]]:
    """Figures of the blocks; cloud-only has none, although its tokens stand behind an empty one."""
    blocks = result.blocks if result.counts["blocks"] else ()
    emotional = {token.block for token in result.tokens if token.label_mass is not None}
    clocks = {name: _known(blocks, name) if timed else [] for name in BLOCK_CLOCKS}
    return clocks | {
        "length": [float(block.length) for block in blocks],
        "escalated": [float(block.escalated) for block in blocks],
        "emotion": [float(block.block in emotional) for block in blocks],
    }


def _known(blocks: Iterable[BlockRecord], name: str) -> list[float]:
    return [value for block in blocks if (value := getattr(block, name)) is not None]


def _bytes(result: CaptionResult, events: Iterable[Event]) -> dict[str, int]:
    """What the caption cost on the wire.

    The handshake is not counted: connections stand before the clock starts. Nor is the verifier's word that it has read
    prompt and speech: where nothing is sent for judgement, it is chance whether that comes before the caption's end.
    """
    sums = dict.fromkeys(("up", "down", "wire_up", "wire_down", "code"), 0)
    for event in events:
        if isinstance(event, FrameSent) and event.traffic != "handshake" and event.message != "opened":
            sums[event.direction] += event.payload_bytes
            sums[f"wire_{event.direction}"] += event.wire_bytes
            sums["code"] += event.payload_bytes if event.traffic == "acoustic_code" else 0
    return sums | {"waveform": int(result.utterance["waveform_bytes"])}


def connection_lost(events: Iterable[Event]) -> str | None:
    """Why a caption went on without its verifier; None if it did not, or gave up because deadlines were missed.

    Deadlines are part of a system, and on a slow link it misses them. A verifier that is gone is nobody's figure.
    """
    before: Event | None = None
    for event in events:
        if isinstance(event, VerifierLost):
            # A block that waited in vain comes before the verifier is given up, and behind a broken connection.
            return None if isinstance(before, BlockUnverified) else event.reason
        waited = isinstance(before, BlockUnverified)
        if not isinstance(event, FrameSent) and not (waited and isinstance(event, TokenDecided)):
            before = event
    return None


# ── What later captions need to know ──────────────────────────────────────────────────────────────────────────────────


def keep_in_mind(keeper: BudgetKeeper, lines: Iterable[ClipLine]) -> None:
    """Show a new keeper the captions of earlier lines, in their order, as the loop would have."""
    for line in lines:
        if line.hypothesis is None or line.counts.get("lost"):  # without a verifier nothing could be spent
            continue
        lengths, escalated = line.blocks["length"], line.blocks["escalated"]
        blocks = []
        for (score, _), length, sent in zip(line.scores, lengths, escalated, strict=True):
            if score is not None or sent:
                blocks.append((inf if score is None else score, int(length)))
        keeper.observe(blocks, line.counts["drafted"], line.counts["sent"])


def pooled_rho(lines: Iterable[ClipLine]) -> float:
    """Drafted tokens sent, of all drafted tokens of some lines; 0 without any."""
    counts = [line.counts for line in lines if line.hypothesis is not None]
    drafted = sum(entry["drafted"] for entry in counts)
    return sum(entry["sent"] for entry in counts) / drafted if drafted else 0.0


def emotion_share(lines: Iterable[ClipLine]) -> float:
    """Drafted tokens in blocks with an emotion position, of all drafted tokens of some lines; 0 without any."""
    within = drafted = 0.0
    for line in lines:
        lengths = line.blocks.get("length", [])
        drafted += sum(lengths)
        within += sum(n for n, emotion in zip(lengths, line.blocks.get("emotion", []), strict=True) if emotion)
    return within / drafted if drafted else 0.0


def seconds_in_models(line: ClipLine) -> float | None:
    """Seconds of a caption in which a model computed or was waited for; None where the parts are not known.

    Prefill, drafting, verification and the wait for the verifier's prefill. Cloud-only has no parts.
    """
    prefill_ms = line.clocks.get("prefill_ms")
    if prefill_ms is None or not line.blocks.get("length"):
        return None
    parts_ms = sum(sum(line.blocks.get(name, ())) for name in ("draft_ms", "verify_ms", "queued_ms"))
    return (prefill_ms + parts_ms) / 1e3
