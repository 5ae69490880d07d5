"""Runs of evaluations on disk, as the page looks at them: which there are, and one of them opened by its name.

A run is opened by its name, never by a path, so that nobody reads anything but run folders. What is opened is kept in
memory for as long as its ``clips.jsonl`` does not change: a run of ten thousand clips is read once, not once a page.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ugsd_core.errors import OptionError
from ugsd_core.evaluation.records import CLIPS_FILE, MANIFEST_FILE, TIMINGS_FILE, ClipLine, read_lines
from ugsd_core.places import user_data_folder
from ui.open_run import OpenRun, corpus_name, read_figures, system_names

__all__ = ["RunEntry", "RunFolders", "default_runs_folder"]

#: Opened runs that are kept in memory.
OPENED = 4


def default_runs_folder() -> Path:
    """``$XDG_DATA_HOME/ugsd/runs``, or ``~/.local/share/ugsd/runs``."""
    return user_data_folder() / "runs"


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
        return read_figures(self.folder / name / TIMINGS_FILE)

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
        run = OpenRun(name, path, read_figures(path / MANIFEST_FILE), _shown(read_lines(path / CLIPS_FILE)), brought)
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
    manifest = read_figures(path / MANIFEST_FILE)
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
