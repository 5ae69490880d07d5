"""Run folders made by hand: any number of clips by several systems, with captions that differ as real ones do."""

from __future__ import annotations

import json
import random
from dataclasses import fields
from pathlib import Path
from typing import Any

from tests.streams import StreamBuilder
from ugsd_core.evaluation.records import RUN_SCHEMA, ClipLine
from ugsd_core.evaluation.systems import SYSTEMS
from ugsd_core.traces import write_trace

__all__ = ["SYSTEM_NAMES", "clip_line", "make_run"]

SYSTEM_NAMES = ("edge", "cloud", "ugsd")
_WORDS = {
    "en": dict(anger="angry", fear="afraid", happiness="happy", calm="calm", sadness="sad", surprise="surprised"),
    "zh": dict(anger="愤怒", fear="害怕", happiness="高兴", calm="平静", sadness="悲伤", surprise="惊讶"),
}
LABELS = tuple(_WORDS["en"])
_RIGHT = {"edge": 0.5, "cloud": 0.8, "ugsd": 0.75, "paper": 0.7}
_RHO = {"edge": 0.0, "cloud": None, "ugsd": 0.12, "paper": 0.4}
_CUES = ("low and slow", "fast and high", "flat", "loud and sharp", "soft with long pauses", "trembling")
_ZH_CUES = ("低沉缓慢", "快而高", "平稳", "响亮尖锐", "轻柔而多停顿", "颤抖")


def _caption(language: str, cue: int, label: str) -> str:
    word = _WORDS[language][label]
    if language == "zh":
        return f"说话人声音{_ZH_CUES[cue]}，听起来{word}。"
    return f"In the audio, the speaker's voice is {_CUES[cue]}. Therefore, the speaker feels {word}."


def clip_line(
    number: int, system: str, *, language: str = "en", corpus: str = "synthetic", fails: bool = False
) -> ClipLine:
    """One caption of a clip; the same arguments give the same line."""
    chance = random.Random(f"{number}/{system}")
    truth = random.Random(number)
    label, cue = truth.choice(LABELS), truth.randrange(len(_CUES))
    right = chance.random() < _RIGHT.get(system, 0.6)
    heard = label if right else chance.choice(LABELS)
    said = cue if chance.random() < 0.6 else chance.randrange(len(_CUES))
    rho = _RHO.get(system, 0.2)
    sent = round(20 * rho) if rho is not None else 0
    total_s = round(0.15 + 0.2 * chance.random() + (rho or 0.5), 4)
    facts: dict[str, Any] = {
        "id": f"clip_{number:05d}", "corpus": corpus, "system": system, "language": language,
        "references": (_caption(language, cue, label),), "label": label, "speaker": f"s{number % 7}",
        "path": f"clip_{number:05d}.wav",
    }  # fmt: skip
    if fails:
        return ClipLine(**facts, hypothesis=None, error="clip.wav is damaged; choose another recording.")
    return ClipLine(
        **facts,
        hypothesis=_caption(language, said, heard),
        duration_s=2.0,
        finish_reason="end_of_turn",
        counts={
            "drafted": 0 if rho is None else 20, "sent": sent, "seen": sent, "caption": 20, "blocks": 5,
            "escalations": 1 if sent else 0, "blocks_changed": int(sent > 0 and right), "meanings_changed": 0,
            "corrected": int(sent > 0), "bonus": 20 if rho is None else 0, "accepted": 1, "rejected": 0, "ignored": 0,
        },
        ratios={
            "transmission_rate": rho if rho is None else sent / 20, "escalation_rate": 0.2 if sent else 0.0,
            "exposure_rate": 0.5, "changed_rate": 0.05, "useful_escalation_rate": 1.0 if sent else None,
            "meaning_changed_rate": 0.0 if sent else None, "draft_acceptance_rate": 0.9 if sent else None,
        },
        clocks={
            "ttft_draft_s": None if rho is None else 0.08, "ttft_commit_s": 0.12, "oet_s": total_s - 0.01,
            "total_s": total_s, "itps": 900.0, "otps": 60.0, "extract_ms": 4.0, "prefill_ms": 40.0, "connect_ms": 2.0,
        },
        blocks={"draft_ms": [8.0], "verify_ms": [6.0] if sent else []},
        bytes={"up": 16_000, "down": 80, "wire_up": 16_384 if sent or rho is None else 0, "wire_down": 128,
               "code": 16_000, "waveform": 64_000},
        resources={"edge_cpu_s": 0.1, "verifier_cpu_s": 0.1, "edge_rss_mb": 400.0, "verifier_rss_mb": 500.0,
                   "gpu_mb": None},
        wall_s=total_s + 0.01,
        warnings=("The recording is very quiet (at most −40 dBFS); speak closer to the microphone.",)
        if number % 11 == 3 else (),
        trace=f"traces/{system}/clip_{number:05d}.jsonl",
    )  # fmt: skip


def make_run(
    folder: Path,
    clips: int = 12,
    systems: tuple[str, ...] = SYSTEM_NAMES,
    *,
    language: str = "en",
    failed: tuple[int, ...] = (),
    traces: bool = True,
    scored: bool = True,
    draws: int = 200,
) -> Path:
    """A finished run.

    Args:
        failed: Clips that no system could caption.
        traces: Write an event stream for each of the first twenty clips.
    """
    from ugsd_core.evaluation.scoring import score_run

    folder.mkdir(parents=True)
    manifest = {
        "schema": RUN_SCHEMA,
        "language": language,
        "captions": clips * len(systems),
        "corpus": {"name": "synthetic"},
        "systems": [{"name": name, "definition": SYSTEMS[name].definition} for name in systems],
        "notes": {},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with (folder / "clips.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for number in range(clips):
            for system in systems:
                line = clip_line(number, system, language=language, fails=number in failed)
                # As `ClipLine.to_dict` has it, which copies each number: most of the time of ten thousand clips.
                values = {"schema": RUN_SCHEMA} | {entry.name: getattr(line, entry.name) for entry in fields(line)}
                file.write(json.dumps(values, ensure_ascii=False) + "\n")
                if traces and number < 20 and line.error is None:
                    path = folder / f"traces/{system}/{line.id}.jsonl"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_trace(path, StreamBuilder("ugsd", language=language).kept("The", " voice").finish())
    if scored:
        score_run(folder, draws=draws)
    return folder
