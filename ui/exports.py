"""The files that a run can be taken away as. They last as long as their visitor looks at the run."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ugsd_core.result import caption_result
from ugsd_core.trace_store import tokens_csv
from ugsd_core.traces import write_trace
from ui.session_folders import SessionFolders
from ui.shelf import Run

__all__ = ["Exported", "Exports"]


class Exported(NamedTuple):
    """Where the files of a run lie: its trace, and its tokens as a table."""

    trace: Path
    table: Path


class Exports(SessionFolders):
    """One run's files a session; they go when another run's come and when the session ends. Safe for many threads."""

    def write(self, session: str, run: Run) -> Exported:
        """Write a run's files in place of the session's earlier ones."""
        folder = self._new("run-")
        files = Exported(folder / f"{run.name}.jsonl", folder / f"{run.name}.csv")
        write_trace(files.trace, run.events)
        files.table.write_text(tokens_csv(caption_result(run.events).tokens), encoding="utf-8", newline="")
        self._hold(session, folder)
        return files
