"""The runs that can be inspected: those of a visit, those kept by name, and the recorded ones of the guided tour.

A visit's runs live in memory, the last few of each visitor, and go when the visitor leaves. Nothing reaches the disk
unless somebody asks to keep a run. The waveform stays with a visit's run, for the plot of the sound, and is never part
of what is kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ugsd_core.errors import TraceError
from ugsd_core.messages import CaptionFinished, CaptionStarted, Event
from ugsd_core.trace_store import TraceStore, trace_name
from ugsd_core.traces import read_trace

__all__ = ["RUNS_A_VISIT", "Run", "Shelf"]

#: Runs of a visit that are remembered.
RUNS_A_VISIT = 12
#: Visits that are remembered, should some never say goodbye.
VISITS = 64
#: Kept runs in a list, the newest; older ones are found by their names.
KEPT_LISTED = 30

Origin = Literal["visit", "kept", "tour", "file"]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run that can be looked at.

    Attributes:
        name: Follows from the events (`ugsd_core.trace_store.trace_name`).
        samples: The recording, where it was captioned in this visit; 16 kHz.
    """

    name: str
    events: tuple[Event, ...] = field(repr=False)
    origin: Origin
    samples: NDArray[np.float32] | None = field(default=None, repr=False)

    @property
    def start(self) -> CaptionStarted:
        """Its first event."""
        first = self.events[0]
        assert isinstance(first, CaptionStarted)
        return first

    @property
    def caption(self) -> str:
        """Its caption; empty if the run did not end."""
        last = self.events[-1]
        return last.caption.strip() if isinstance(last, CaptionFinished) else ""


class Shelf:
    """Where runs are found by name. Safe for many threads.

    Args:
        store: Runs kept on disk.
        tour: Folder of recorded traces that come with the program.
    """

    def __init__(self, store: TraceStore, tour: Path) -> None:
        self.store = store
        self.tour_folder = tour
        self._visits: OrderedDict[str, OrderedDict[str, Run]] = OrderedDict()
        self._keepers: dict[str, str] = {}
        self._lock = threading.Lock()

    def put(
        self,
        session: str,
        events: Sequence[Event],
        samples: NDArray[np.float32] | None = None,
        origin: Origin = "visit",
    ) -> Run:
        """Remember a run for a visitor; its oldest goes when there are too many.

        Raises:
            TraceError: If it is no run.
        """
        run = _run(events, origin, samples)
        with self._lock:
            runs = self._visits.setdefault(session, OrderedDict())
            self._visits.move_to_end(session)
            runs[run.name] = run
            runs.move_to_end(run.name)
            while len(runs) > RUNS_A_VISIT:
                runs.popitem(last=False)
            while len(self._visits) > VISITS:
                self._visits.popitem(last=False)
        return run

    def add_file(self, session: str, path: str | Path) -> Run:
        """Read a trace file that a visitor brought.

        Raises:
            TraceError: If it is no trace, or no run; it names the file and not where it lies here.
        """
        try:
            return self.put(session, read_trace(path, allow_cut=True), origin="file")
        except TraceError as error:
            raise TraceError(str(error).replace(str(path), Path(path).name)) from error

    def keep(self, session: str, name: str) -> str:
        """Keep a run on disk, so that its name can be linked to.

        Raises:
            TraceError: If there is no such run, or it can't be written.
        """
        run = self.find(session, name)
        if not self.is_kept(name):
            self.store.keep(run.events)
            with self._lock:
                self._keepers[name] = session
        return name

    def may_forget(self, session: str, name: str) -> bool:
        """Whether a visitor may delete a kept run: in the visit that kept it, for a link belongs to all who have it."""
        with self._lock:
            return self._keepers.get(name) == session and name in self.store

    def forget(self, session: str, name: str) -> None:
        """Delete a kept run from the disk. It stays among the visit's runs, so that it can be kept again.

        Raises:
            TraceError: If this visit didn't keep it, or it can't be deleted.
        """
        if not self.may_forget(session, name):
            raise TraceError(f"The run {name} can only be deleted by the visit that kept it.")
        run = self.find(session, name)
        if run.origin == "kept":
            self.put(session, run.events)
        self.store.forget(name)
        with self._lock:
            self._keepers.pop(name, None)

    def is_kept(self, name: str) -> bool:
        """Whether a name can be linked to."""
        return name in self.store or any(run.name == name for run in self.tour())

    def listed(self, session: str) -> list[Run]:
        """All runs a visitor can choose from: the visit's, newest first, then the tour's, then those that are kept."""
        with self._lock:
            found = list(reversed(self._visits.get(session, OrderedDict()).values()))
        names = {run.name for run in found}
        for run in [*self.tour(), *self._kept()]:
            if run.name not in names:
                names.add(run.name)
                found.append(run)
        return found

    def find(self, session: str, name: str) -> Run:
        """A run by name.

        Raises:
            TraceError: If there is none.
        """
        with self._lock:
            run = self._visits.get(session, OrderedDict()).get(name)
        if run is not None:
            return run
        known = next((run for run in self.tour() if run.name == name), None)
        return known if known is not None else _run(self.store.load(name), "kept")

    def tour(self) -> list[Run]:
        """The recorded runs that come with the program, in the order of their files' names."""
        return [_recorded(path) for path in sorted(self.tour_folder.glob("*.jsonl"))]

    def _kept(self) -> list[Run]:
        return [_run(self.store.load(entry.name), "kept") for entry in self.store.listed(KEPT_LISTED)]

    def leave(self, session: str) -> None:
        """The visit is over."""
        with self._lock:
            self._visits.pop(session, None)
            self._keepers = {name: keeper for name, keeper in self._keepers.items() if keeper != session}


@lru_cache(maxsize=32)
def _recorded(path: Path) -> Run:
    """A run that comes with the program, read once."""
    return _run(read_trace(path), "tour")


def _run(events: Sequence[Event], origin: Origin, samples: NDArray[np.float32] | None = None) -> Run:
    if not events or not isinstance(events[0], CaptionStarted):
        raise TraceError("This file holds no run: a trace begins with the start of a caption.")
    return Run(trace_name(events), tuple(events), origin, samples)
