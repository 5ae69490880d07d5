"""Run folders by hand: what an evaluation leaves, with round figures, and no model behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ugsd_core.evaluation.records import CLIPS_FILE, MANIFEST_FILE, ClipLine, append_line
from ugsd_core.options import DecodingOptions

LABELS = ("happiness", "sadness", "anger", "fear")
#: What a caption says of each label.
WORDS = {"happiness": "happy", "sadness": "sad", "anger": "angry", "fear": "fearful"}


def caption(label: str) -> str:
    """A caption that names an emotion."""
    return f"The voice is quick and bright, so {WORDS[label]}."


def line(system: str, clip: int, hypothesis: str | None, **changes: Any) -> ClipLine:
    """A line with figures that are easy to add up: of 10 tokens in 5 blocks, two blocks of 2 tokens are sent."""
    label = LABELS[clip % len(LABELS)]
    asks = system not in ("edge", "cloud")
    drafts = system != "cloud"
    counts = {
        "drafted": 10 * drafts,
        "caption": 10,
        "blocks": 5 * drafts,
        "escalations": 2 * asks,
        "sent": 4 * asks,
        "seen": 8 * asks,
        "blocks_changed": 1 * asks,
        "meanings_changed": 0,
        "accepted": 3 * asks,
        "rejected": 1 * asks,
        "ignored": 0,
        "corrected": 1 * asks,
        "bonus": 0,
    }
    ratios = dict.fromkeys(
        (
            "escalation_rate",
            "transmission_rate",
            "exposure_rate",
            "changed_rate",
            "useful_escalation_rate",
            "meaning_changed_rate",
            "draft_acceptance_rate",
        )
    )
    if asks:
        ratios |= {
            "escalation_rate": 0.4,
            "transmission_rate": 0.4,
            "exposure_rate": 0.8,
            "changed_rate": 0.1,
            "useful_escalation_rate": 0.5,
            "meaning_changed_rate": 0.0,
            "draft_acceptance_rate": 0.75,
        }
    elif drafts:
        ratios |= {"escalation_rate": 0.0, "transmission_rate": 0.0, "exposure_rate": 0.0, "changed_rate": 0.0}
    values: dict[str, Any] = {
        "id": f"clip{clip:05d}",
        "corpus": "made",
        "system": system,
        "language": "en",
        "hypothesis": hypothesis,
        "references": (caption(label),),
        "label": label,
        "speaker": f"s{clip % 3}",
        "duration_s": 2.0,
        "finish_reason": "end",
        "counts": counts,
        "ratios": ratios,
        "clocks": {"total_s": 0.1 * (clip % 5 + 1), "ttft_commit_s": 0.05, "oet_s": 0.1, "itps": 1000.0, "otps": 100.0},
        "blocks": {"draft_ms": [1.0, 2.0], "verify_ms": [5.0] if asks else []},
        "bytes": {"up": 900 * asks, "down": 90 * asks, "wire_up": 1024 * asks, "wire_down": 256 * asks}
        | {"waveform": 64000},
        "resources": {"edge_cpu_s": 0.1, "verifier_cpu_s": 0.2 if asks else None, "edge_rss_mb": 300.0 + clip},
        "wall_s": 0.2,
    }
    if hypothesis is None:
        values |= {name: {} for name in ("counts", "ratios", "clocks", "blocks", "bytes")}
        values |= {"error": "the recording is silent", "wall_s": None}
    return ClipLine(**values | changes)


def right_until(right: int, n: int) -> list[str | None]:
    """Captions of which the first name the clip's emotion and the rest another."""
    return [caption(LABELS[(c if c < right else c + 1) % len(LABELS)]) for c in range(n)]


def write_lines(folder: Path, lines: Sequence[ClipLine], manifest: Mapping[str, Any] | None = None) -> Path:
    """A run folder of some lines."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CLIPS_FILE).unlink(missing_ok=True)
    for one in lines:
        append_line(folder / CLIPS_FILE, one)
    systems = dict.fromkeys(one.system for one in lines)
    options = DecodingOptions().to_dict()
    entries = [{"name": name, "definition": f"What {name} is.", "options": options} for name in systems]
    values = {"schema": 1, "systems": entries, "device": "cpu", "sessions": [], **(manifest or {})}
    (folder / MANIFEST_FILE).write_text(json.dumps(values), encoding="utf-8")
    return folder


def write_run(folder: Path, captions: Mapping[str, Sequence[str | None]], **changes: Any) -> Path:
    """A run folder: system to its captions, clip by clip, in the order in which systems took turns."""
    n = max(len(texts) for texts in captions.values())
    lines = []
    for clip in range(n):
        turn = list(captions) if clip % 2 == 0 else list(reversed(captions))
        lines += [line(s, clip, captions[s][clip], **changes) for s in turn if clip < len(captions[s])]
    return write_lines(folder, lines)


def usual_run(folder: Path, n: int = 24, **changes: Any) -> Path:
    """Edge right in half of the clips, cloud in all, ugsd in three quarters."""
    captions = {"edge": right_until(n // 2, n), "cloud": right_until(n, n), "ugsd": right_until(3 * n // 4, n)}
    return write_run(folder, captions, **changes)
