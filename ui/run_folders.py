"""Runs of evaluations on disk, as the page looks at them: which there are, and one of them opened.

A run is opened by its name, never by a path, so that nobody reads anything but run folders. What is opened is kept in
memory for as long as its ``clips.jsonl`` does not change: a run of ten thousand clips is read once, not once a page.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ugsd_core.errors import OptionError
from ugsd_core.evaluation.records import (
    CLIPS_FILE,
    MANIFEST_FILE,
    METRICS_FILE,
    TIMINGS_FILE,
    ClipLine,
    read_lines,
)
from ugsd_core.lexicon import emotions_in

if TYPE_CHECKING:
    from ugsd_core.metrics.score import MetricScore

__all__ = ["OpenRun", "RunEntry", "RunFolders", "default_runs_folder"]

#: Opened runs that are kept in memory.
OPENED = 4


def default_runs_folder() -> Path:
    """``$XDG_DATA_HOME/ugsd/runs``, or ``~/.local/share/ugsd/runs``."""
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "ugsd" / "runs"


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run in a list.

    Attributes:
        name: Of its folder; what it is opened by.
        changed_s: When it last got a line, seconds since 1970.
        done, total: Captions, and how many there will be; ``total`` is None where the manifest does not say.
        brought: It was uploaded, to be looked at in one visit.
    """

    name: str
    changed_s: float
    corpus: str = ""
    language: str = ""
    systems: tuple[str, ...] = ()
    done: int = 0
    total: int | None = None
    brought: bool = False


def _json(path: Path) -> dict[str, Any]:
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
        return _json(self.folder / METRICS_FILE)

    @property
    def timings(self) -> dict[str, Any]:
        """``timings.json``; empty before it was scored."""
        return _json(self.folder / TIMINGS_FILE)

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


class RunFolders:
    """All runs of a folder, and those that visitors brought. Safe for many threads.

    Args:
        folder: Made when the first run begins.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._brought: dict[str, dict[str, Path]] = {}
        self._opened: OrderedDict[tuple[Path, int, int], OpenRun] = OrderedDict()
        self._lock = threading.Lock()

    def listed(self, session: str = "") -> list[RunEntry]:
        """Runs that a visitor can open, the newest first; those they brought before all others."""
        with self._lock:
            brought = dict(self._brought.get(session, {}))
        found = [_entry(path, name=name, brought=True) for name, path in reversed(brought.items())]
        kept = [_entry(path) for path in _run_folders(self.folder)]
        return found + sorted(kept, key=lambda entry: entry.changed_s, reverse=True)

    def path(self, name: str, session: str = "") -> Path:
        """Where a run lies.

        Raises:
            OptionError: If there is no such run.
        """
        with self._lock:
            brought = self._brought.get(session, {}).get(name)
        if brought is not None:
            return brought
        path = self.folder / name
        if not name or Path(name).name != name or name.startswith(".") or not _is_run(path):
            raise OptionError(f"there is no run {name!r} here; choose one from the list, or bring its folder as a zip")
        return path

    def timings(self, name: str) -> dict[str, Any]:
        """``timings.json`` of a run that is kept here; empty before it was scored."""
        return _json(self.folder / name / TIMINGS_FILE)

    def open(self, name: str, session: str = "") -> OpenRun:
        """A run, read anew only if it changed.

        Raises:
            OptionError: If there is no such run, or it is damaged.
        """
        path = self.path(name, session)
        with self._lock:
            brought = path in self._brought.get(session, {}).values()
        try:
            status = (path / CLIPS_FILE).stat()
            stamp = (path, status.st_mtime_ns, status.st_size)
        except OSError:
            stamp = (path, 0, 0)
        with self._lock:
            known = self._opened.get(stamp)
            if known is not None:
                self._opened.move_to_end(stamp)
                return known
        run = OpenRun(name, path, _json(path / MANIFEST_FILE), _shown(read_lines(path / CLIPS_FILE)), brought)
        with self._lock:
            for old in [key for key in self._opened if key[0] == path]:
                del self._opened[old]
            self._opened[stamp] = run
            while len(self._opened) > OPENED:
                self._opened.popitem(last=False)
        return run

    def bring(self, session: str, folder: Path, name: str) -> str:
        """Take an unpacked run into a visit; returns the name it is opened by.

        Raises:
            OptionError: If the folder holds no run.
        """
        found = next((path for path in [folder, *sorted(folder.glob("*"))] if _is_run(path)), None)
        if found is None:
            raise OptionError("this zip holds no run: it needs a clips.jsonl, as the folder of a run has it")
        with self._lock:
            runs = self._brought.setdefault(session, {})
            taken = {*runs, *(path.name for path in _run_folders(self.folder))}
            free = next(text for n in range(1, 10_000) if (text := name if n == 1 else f"{name}-{n}") not in taken)
            runs[free] = found
        return free

    def leave(self, session: str) -> None:
        """The visit is over: what it brought goes."""
        with self._lock:
            gone = self._brought.pop(session, {})
            for stamp in [stamp for stamp in self._opened if stamp[0] in gone.values()]:
                del self._opened[stamp]
        for path in gone.values():
            shutil.rmtree(path, ignore_errors=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()  # what it was unpacked into, if nothing else is there


def _is_run(path: Path) -> bool:
    return (path / CLIPS_FILE).is_file() or (path / MANIFEST_FILE).is_file()


def _run_folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".") and _is_run(path)]
    except OSError:
        return []


def _entry(path: Path, *, name: str = "", brought: bool = False) -> RunEntry:
    manifest = _json(path / MANIFEST_FILE)
    clips = path / CLIPS_FILE
    try:
        changed_s, done = clips.stat().st_mtime, _count_lines(clips)
    except OSError:
        changed_s, done = path.stat().st_mtime, 0
    systems = tuple(system_names(manifest))
    total = manifest.get("captions", manifest.get("total"))
    return RunEntry(
        name or path.name,
        changed_s,
        corpus_name(manifest),
        str(manifest.get("language", "")),
        systems,
        done,
        total if isinstance(total, int) else None,
        brought,
    )


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def _shown(lines: Sequence[ClipLine]) -> list[ClipLine]:
    """Lines without what only scoring needs: ten thousand clips by five systems have to fit into memory."""
    return [replace(line, token_ids=(), scores=(), blocks={}, resources={}) for line in lines]
