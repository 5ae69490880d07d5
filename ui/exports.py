"""The files that a run can be taken away as. They last as long as their visitor looks at the run."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

from ugsd_core.result import caption_result
from ugsd_core.trace_store import tokens_csv
from ugsd_core.traces import write_trace
from ui.shelf import Run

__all__ = ["Exported", "Exports"]


class Exported(NamedTuple):
    """Where the files of a run lie: its trace, and its tokens as a table."""

    trace: Path
    table: Path


class Exports:
    """One run's files a session; they go when another run's come and when the session ends. Safe for many threads.

    Args:
        folder: Where they are written; the page must be allowed to serve it, and whoever made it deletes it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        self._held: dict[str, Path] = {}
        self._lock = threading.Lock()

    def write(self, session: str, run: Run) -> Exported:
        """Write a run's files in place of the session's earlier ones."""
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=self._folder))
        files = Exported(folder / f"{run.name}.jsonl", folder / f"{run.name}.csv")
        write_trace(files.trace, run.events)
        files.table.write_text(tokens_csv(caption_result(run.events).tokens), encoding="utf-8", newline="")
        self._hold(session, folder)
        return files

    def leave(self, session: str) -> None:
        """The session is over."""
        self._hold(session, None)

    def _hold(self, session: str, folder: Path | None) -> None:
        with self._lock:
            old = self._held.pop(session, None)
            if folder is not None:
                self._held[session] = folder
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
