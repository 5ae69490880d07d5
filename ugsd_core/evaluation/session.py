"""What one process spent on a run: how fast it was, and how much of its time went elsewhere than into captions."""

from __future__ import annotations

import os
from time import monotonic, perf_counter
from typing import Any

from ugsd_core.evaluation.clip_line import seconds_in_models
from ugsd_core.evaluation.manifest import now
from ugsd_core.evaluation.records import ClipLine

__all__ = ["SESSION_DEFINITIONS", "Session"]

#: Seconds between two notes in the manifest while a run goes on.
NOTE_EVERY_S = 10.0

#: One plain sentence a figure of a session.
SESSION_DEFINITIONS: dict[str, str] = {
    "wall_s": "Seconds from the first clip to the last, models loaded and warmed up (of workers: warm-ups included).",
    "warm_up_s": "Seconds of captions that warmed up and count nowhere.",
    "captions": "Captions written.",
    "captions_s": "Sum of their total_s; of an oracle's all its seconds.",
    "outside_share": "1 − captions_s / (wall_s · workers): reading recordings, connecting, writing lines and traces.",
    "within_models_share": "Seconds in prefill, drafting and verification, of total_s; without cloud-only and oracles.",
    "captions_per_minute": "Captions written, of the minutes from the first clip to the last.",
    "clips_per_minute": "Clips by all systems a minute: captions a minute over the number of systems.",
}


class Session:
    """One process at work on a run.

    Attributes:
        facts: What the manifest keeps; updated in place.
    """

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {"began": now(), "ended": None, "load": _load(), "warm_up_s": 0.0}
        self._began = perf_counter()
        self._warm_up_s = 0.0
        self._captions = 0
        self._captions_s = 0.0
        self._models_s = 0.0
        self._modelled_s = 0.0
        self._systems: set[str] = set()
        self._noted = monotonic()
        self.update()

    def warmed_up(self, seconds: float) -> None:
        """Some time went into a warm-up; the first one came before the clock."""
        if self._captions:
            self._warm_up_s += seconds
        self.facts["warm_up_s"] = round(self.facts["warm_up_s"] + seconds, 3)

    def of_workers(self, workers: dict[str, dict[str, Any]], warm_up_s: float) -> None:
        """Who captions elsewhere, by name, lost ones too; and the longest warm-up, which lies within ``wall_s``."""
        self.facts |= {"workers": workers, "warm_up_s": round(warm_up_s, 3)}

    def captioned(self, line: ClipLine, seconds: float | None) -> None:
        """A caption was written in so many seconds of its own clock."""
        self._captions += 1
        self._captions_s += seconds or 0.0
        self._systems.add(line.system)
        models_s, total_s = seconds_in_models(line), line.clocks.get("total_s")
        if models_s is not None and total_s is not None:
            self._models_s += models_s
            self._modelled_s += total_s

    def due(self) -> bool:
        """Whether it is time to note how far things are."""
        return monotonic() - self._noted > NOTE_EVERY_S

    def update(self) -> None:
        """Bring the facts up to date."""
        self._noted = monotonic()
        wall_s = perf_counter() - self._began - self._warm_up_s
        minutes = wall_s / 60.0
        some = self._captions > 0
        at_once = sum(not worker.get("lost") for worker in self.facts.get("workers", {}).values()) or 1
        self.facts |= {
            "ended": now(),
            "wall_s": round(wall_s, 3),
            "captions": self._captions,
            "systems": len(self._systems),
            "captions_s": round(self._captions_s, 3),
            "outside_share": max(0.0, 1.0 - self._captions_s / (wall_s * at_once)) if some else None,
            "within_models_share": self._models_s / self._modelled_s if self._modelled_s else None,
            "captions_per_minute": self._captions / minutes if some else None,
            "clips_per_minute": self._captions / len(self._systems) / minutes if some else None,
        }


def _load() -> list[float] | None:
    """Load averages of the machine when it began: what else was going on."""
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except (AttributeError, OSError):
        return None
