"""A run that is looked at: its captions and figures, values and orders worked out once."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ugsd_core.errors import OptionError
from ugsd_core.evaluation.records import CLIPS_FILE, METRICS_FILE, TIMINGS_FILE, ClipLine
from ugsd_core.lexicon import emotions_in

if TYPE_CHECKING:
    from ugsd_core.metrics.score import MetricScore

__all__ = ["OpenRun", "corpus_name", "read_figures", "system_names"]


def read_figures(path: Path) -> dict[str, Any]:
    """A file of figures; empty where there is none or it was cut off: it can be made again."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


@dataclass(eq=False)
class OpenRun:
    """A run that is looked at.

    Attributes:
        lines: Every clip and system, in the order of the run, without what the page does not show.
        orders: Orders that were worked out, by query (`ui.run_rows`).
    """

    name: str
    folder: Path
    manifest: dict[str, Any]
    lines: list[ClipLine]
    brought: bool = False
    orders: dict[Any, list[int]] = field(default_factory=dict, repr=False)
    _values: dict[str, tuple[list[float | None], bool]] = field(default_factory=dict, repr=False)
    _scores: dict[tuple[str, str], tuple[list[str], MetricScore]] = field(default_factory=dict, repr=False)
    _emotions: dict[int, tuple[str, ...]] = field(default_factory=dict, repr=False)
    _warmed: bool = field(default=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @cached_property
    def systems(self) -> tuple[str, ...]:
        """Names of the systems, in the order of the manifest where it names them."""
        seen = dict.fromkeys(line.system for line in self.lines)
        named = [name for name in system_names(self.manifest) if name in seen]
        return tuple(dict.fromkeys([*named, *seen]))

    @cached_property
    def language(self) -> str:
        """Of its captions."""
        return self.lines[0].language if self.lines else str(self.manifest.get("language", "en"))

    @cached_property
    def corpus(self) -> str:
        """Name of its corpus."""
        return self.lines[0].corpus if self.lines else corpus_name(self.manifest)

    @cached_property
    def failed(self) -> int:
        """Captions that failed."""
        return sum(line.error is not None for line in self.lines)

    @cached_property
    def clips(self) -> int:
        """Clips that it holds."""
        return len({line.id for line in self.lines})

    @cached_property
    def referenced(self) -> int:
        """Clips that have a reference."""
        return len({line.id for line in self.lines if line.references})

    @cached_property
    def labelled(self) -> int:
        """Clips that have a label of the corpus."""
        return len({line.id for line in self.lines if line.label})

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Emotion labels that its clips have."""
        return tuple(sorted({line.label for line in self.lines if line.label}))

    @property
    def metrics(self) -> dict[str, Any]:
        """``metrics.json``; empty before it was scored."""
        return read_figures(self.folder / METRICS_FILE)

    @property
    def timings(self) -> dict[str, Any]:
        """``timings.json``; empty before it was scored."""
        return read_figures(self.folder / TIMINGS_FILE)

    @property
    def scored(self) -> bool:
        """Whether its figures are there and no caption came after them."""
        try:
            return (self.folder / METRICS_FILE).stat().st_mtime >= (self.folder / CLIPS_FILE).stat().st_mtime
        except OSError:
            return False

    def emotions(self, index: int) -> tuple[str, ...]:
        """Emotions that a line's caption names."""
        found = self._emotions.get(index)
        if found is None:
            line = self.lines[index]
            found = emotions_in(line.hypothesis, line.language) if line.hypothesis else ()
            self._emotions[index] = found
        return found

    def warm(self) -> None:
        """Read the emotions of all captions in the background, so that choosing one need not wait for it."""
        if self._warmed:
            return
        self._warmed = True

        def read() -> None:
            for index in range(len(self.lines)):
                self.emotions(index)
                if index % 50 == 49:
                    time.sleep(0.002)  # others of this process want to get on too

        threading.Thread(target=read, name="emotions", daemon=True).start()

    @cached_property
    def sorts(self) -> tuple[str, ...]:
        """Metrics that its rows can be sorted by: those that read its language and can be had here."""
        from ugsd_core.metrics import METRICS, metric_names

        no_rows = ("bleu_bp", "reference_length")
        return tuple(
            name for name in metric_names(self.language) if METRICS[name].missing is None and name not in no_rows
        )

    def values(self, sort: str) -> tuple[list[float | None], bool]:
        """A value a line to sort by, and whether the higher is the better.

        Args:
            sort: A metric, or another of `ui.run_rows.SORTS`; anything else gives a run without values.
        """
        with self._lock:
            if sort not in self._values:
                self._values[sort] = self._worked_out(sort)
            return self._values[sort]

    def _worked_out(self, sort: str) -> tuple[list[float | None], bool]:
        if sort == "transmission_rate":
            return [line.ratios.get("transmission_rate") for line in self.lines], False
        if sort == "total_s":
            return [line.clocks.get("total_s") for line in self.lines], False
        found = self._kept_scores.get(sort, {}) if self.scored else {}
        if sort in self.sorts and not found:
            found = {}
            for system in self.systems:
                ids, score = self.score(sort, system)
                found |= {(name, system): value for name, value in zip(ids, score.per_clip, strict=True)}
        return [found.get(line.key) for line in self.lines], True

    @cached_property
    def _kept_scores(self) -> dict[str, dict[tuple[str, str], float | None]]:
        """Metric to clip and system to value, as scoring left them; empty where there are none."""
        from ugsd_core.evaluation.scoring import CLIP_SCORES_FILE

        found: dict[str, dict[tuple[str, str], float | None]] = {}
        try:
            for text in (self.folder / CLIP_SCORES_FILE).read_text(encoding="utf-8").splitlines():
                entry = json.loads(text)
                for metric, value in entry["scores"].items():
                    found.setdefault(metric, {})[(entry["id"], entry["system"])] = value
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}
        return found

    @cached_property
    def first_sort(self) -> str:
        """What its rows are sorted by at first: what a person asks of an emotion caption before all else."""
        referenced = any(line.references for line in self.lines[:200])
        wanted = ("emotion_f1", "rougeL") if referenced else ("emotion_consistency",)
        return next((name for name in wanted if name in self.sorts), "run")

    def score(self, metric: str, system: str) -> tuple[list[str], MetricScore]:
        """A system's captions by one metric: ids of the clips, and the score in their order.

        Clips that failed are not among them; those without a reference are left to the metric.

        Raises:
            OptionError: If the metric can't be had here.
        """
        from ugsd_core.metrics import METRICS, CaptionPair

        with self._lock:
            key = (metric, system)
            if key not in self._scores:
                lines = [line for line in self.lines if line.system == system and line.hypothesis is not None]
                pairs = [CaptionPair(line.id, line.hypothesis or "", line.references, line.label) for line in lines]
                self._scores[key] = [line.id for line in lines], METRICS[metric].score(pairs, self.language)
            return self._scores[key]

    @cached_property
    def _places(self) -> dict[tuple[str, str], int]:
        return {line.key: index for index, line in enumerate(self.lines)}

    def line(self, clip: str, system: str) -> ClipLine:
        """A line by clip and system.

        Raises:
            OptionError: If there is none.
        """
        index = self._places.get((clip, system))
        if index is None:
            raise OptionError(f"the run {self.name} holds no caption of {clip!r} by {system!r}")
        return self.lines[index]

    def trace(self, line: ClipLine) -> Path | None:
        """Where a line's event stream lies; None if it was not kept or its path leads out of the run."""
        if not line.trace:
            return None
        path = (self.folder / line.trace).resolve()
        return path if path.is_relative_to(self.folder.resolve()) and path.is_file() else None


def corpus_name(manifest: dict[str, Any]) -> str:
    """Name of a manifest's corpus."""
    corpus = manifest.get("corpus", "")
    return str(corpus.get("name", "") if isinstance(corpus, dict) else corpus)


def system_names(manifest: dict[str, Any]) -> list[str]:
    """Names of a manifest's systems."""
    systems = manifest.get("systems", [])
    if isinstance(systems, dict):
        return [str(name) for name in systems]
    return [str(entry.get("name", "") if isinstance(entry, dict) else entry) for entry in systems]
