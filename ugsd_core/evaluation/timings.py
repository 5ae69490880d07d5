"""Clocks and resources of a run: what differs from machine to machine and from day to day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ugsd_core.evaluation.records import ClipLine, lines_of
from ugsd_core.figures import CLOCK_DEFINITIONS, ratio

__all__ = ["RESOURCE_DEFINITIONS", "timing_figures"]

BLOCK_CLOCKS = ("draft_ms", "network_ms", "queued_ms", "verify_ms", "merge_ms")
CAPTION_CLOCKS = tuple(name for name in CLOCK_DEFINITIONS if name not in BLOCK_CLOCKS)

#: One plain sentence a figure, shown wherever it is.
RESOURCE_DEFINITIONS: dict[str, str] = {
    "edge_cpu_percent": "Processor seconds of the edge's process over seconds of captioning; 100 is one core "
    "at work all the time.",
    "verifier_cpu_percent": "The same of the verifier's process, where it runs on this machine.",
    "edge_rss_mb": "Largest resident memory of the edge's process after a caption, in MB (10⁶ bytes).",
    "verifier_rss_mb": "The same of the verifier's process, where it runs on this machine.",
    "gpu_mb": "Largest GPU memory of both processes after a caption, in MB; none without a GPU.",
}


def timing_figures(lines: Sequence[ClipLine], systems: Sequence[str], manifest: dict[str, Any]) -> dict[str, Any]:
    """What ``timings.json`` holds, for captions that came to an end."""
    done = [line for line in lines if line.hypothesis is not None]
    return {
        "captions": len(done),
        **_throughput(done, len(systems), manifest),
        "device": manifest.get("device"),
        "machine": manifest.get("machine"),
        "warm_up": manifest.get("warm_up"),
        "systems": {system: _system(lines_of(done, system)) for system in systems},
        **_workers(done, systems, manifest),
    }


def _workers(lines: Sequence[ClipLine], systems: Sequence[str], manifest: dict[str, Any]) -> dict[str, Any]:
    """The clocks of each worker by itself, and its machine; nothing for a run that was not shared out."""
    names = sorted({line.worker for line in lines if line.worker}, key=_numbers)
    if not names:
        return {}
    known = {
        f"{number}.{name}": facts
        for number, session in enumerate(manifest.get("sessions", []), 1)
        for name, facts in (session.get("workers") or {}).items()
    }
    found = {}
    for name in names:
        own = [line for line in lines if line.worker == name]
        clocks = {system: _spread(line.clocks.get("total_s") for line in lines_of(own, system)) for system in systems}
        facts = known.get(name, {})
        found[name] = {key: facts.get(key) for key in ("node", "machine", "device", "threads")}
        found[name] |= {"captions": len(own), "total_s": clocks}
    return {"workers": found}


def _numbers(worker: str) -> list[int]:
    return [int(part) for part in worker.split(".") if part.isdecimal()]


def _at_once(session: dict[str, Any]) -> int:
    """How many workers a session had, one if it was not shared out."""
    return sum(not worker.get("lost") for worker in (session.get("workers") or {}).values()) or 1


def _throughput(lines: Sequence[ClipLine], systems: int, manifest: dict[str, Any]) -> dict[str, Any]:
    """Captions and clips a minute, and the share of the time that went elsewhere than into captions.

    From the sessions of the manifest, in which each process says how long it was at work; without them from the
    captions' own seconds, which leave out the time between captions.
    """
    sessions = [one for one in manifest.get("sessions", []) if one.get("wall_s") and one.get("captions")]
    if sessions:
        wall_s, captions = sum(one["wall_s"] for one in sessions), sum(one["captions"] for one in sessions)
        inside_s = sum(one.get("captions_s") or 0.0 for one in sessions)
        work_s = sum(one["wall_s"] * _at_once(one) for one in sessions)
        a_minute, outside = 60.0 * captions / wall_s, max(0.0, 1.0 - inside_s / work_s)
    else:
        timed = [line.wall_s for line in lines if line.wall_s]
        a_minute, outside = ratio(60.0 * len(timed), sum(timed)), None
    return {
        "captions_per_minute": a_minute,
        "clips_per_minute": None if a_minute is None or not systems else a_minute / systems,
        "outside_share": outside,
        "sessions": len(sessions),
    }


def _system(lines: Sequence[ClipLine]) -> dict[str, Any]:
    spent_s = sum(line.wall_s or 0.0 for line in lines)
    clocks = {name: _spread(line.clocks.get(name) for line in lines) for name in CAPTION_CLOCKS}
    return {
        "clocks": clocks | {"wall_s": _spread(line.wall_s for line in lines)},
        "blocks": {name: _spread(ms for line in lines for ms in line.blocks.get(name, ())) for name in BLOCK_CLOCKS},
        "resources": {
            "edge_cpu_percent": _percent(lines, "edge_cpu_s"),
            "verifier_cpu_percent": _percent(lines, "verifier_cpu_s"),
            "edge_rss_mb": _most(lines, "edge_rss_mb"),
            "verifier_rss_mb": _most(lines, "verifier_rss_mb"),
            "gpu_mb": _most(lines, "gpu_mb"),
        },
        "captions_per_minute": ratio(60.0 * len(lines), spent_s),
    }


def _spread(values: Iterable[float | None]) -> dict[str, Any]:
    """Median, 95th percentile and mean of what was measured."""
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    if known.size == 0:
        return {"p50": None, "p95": None, "mean": None, "n": 0}
    p50, p95 = np.quantile(known, (0.5, 0.95))
    return {"p50": float(p50), "p95": float(p95), "mean": float(known.mean()), "n": int(known.size)}


def _percent(lines: Sequence[ClipLine], name: str) -> float | None:
    measured = [(line.resources.get(name), line.wall_s) for line in lines]
    known = [(cpu_s, wall_s) for cpu_s, wall_s in measured if cpu_s is not None and wall_s]
    if not known:
        return None
    return 100.0 * sum(cpu_s for cpu_s, _ in known) / sum(wall_s for _, wall_s in known)


def _most(lines: Sequence[ClipLine], name: str) -> float | None:
    return max((value for line in lines if (value := line.resources.get(name)) is not None), default=None)
