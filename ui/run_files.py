"""The files that a run can be taken away as, and a run that is brought as a zip."""

from __future__ import annotations

import logging
import os
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from ugsd_core.evaluation.records import CLIPS_FILE, MANIFEST_FILE, METRICS_FILE, TIMINGS_FILE, TRACES_FOLDER
from ui.annotation_hook import QUEUE_FILE
from ui.session_folders import SessionFolders

if TYPE_CHECKING:
    from ui.open_run import OpenRun
    from ui.run_folders import RunFolders

__all__ = ["FILES", "REPORTS", "UNREADABLE", "RunFiles"]

#: Format of the report to the file's name.
REPORTS = {"md": "report.md", "csv": "report.csv", "json": "report.json", "latex": "report.tex"}
#: What there is to take away, by the name of its button; ``zip`` is packed when it is asked for.
FILES = ("clips", "metrics", "timings", *REPORTS, "zip")
_PLAIN = {"clips": CLIPS_FILE, "metrics": METRICS_FILE, "timings": TIMINGS_FILE}
#: What a file of figures that was not made here may raise.
UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
_log = logging.getLogger("ugsd.page")
#: What a brought run may become on disk.
MOST_RUN_MB, MOST_FILES = 2_000.0, 200_000


class RunFiles(SessionFolders):
    """One run's files a session; they go when another run's come and when the session ends. Safe for many threads."""

    def write(self, session: str, run: OpenRun) -> dict[str, Path]:
        """Write a run's files in place of the session's earlier ones; returns those that there are, by their names."""
        folder = self._new("run-")
        found = {}
        for name, file in _PLAIN.items():
            if (run.folder / file).is_file():
                found[name] = _copied(run.folder / file, folder / file)
        if run.scored:
            try:
                found |= _reports(run, folder)
            except UNREADABLE:  # figures of another version, or of somebody else's making
                _log.info("no report can be made of the figures of the run %s", run.name)
        self._hold(session, folder)
        return found

    def pack(self, session: str, run: OpenRun) -> Path:
        """A zip of the run folder: captions, figures and traces. A run holds no sound, so there is none in it."""
        folder = self._of(session)
        if folder is None:
            self.write(session, run)
            folder = self._held[session]
        archive = folder / f"{run.name}.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
            # The captions first, so that figures are the newer ones where it is unpacked.
            for path in [run.folder / MANIFEST_FILE, run.folder / CLIPS_FILE, *_rest(run.folder)]:
                if path.is_file():
                    packed.write(path, f"{run.name}/{path.relative_to(run.folder).as_posix()}")
        return archive

    def unpack(self, session: str, archive: Path, folders: RunFolders) -> str:
        """Take a run that a visitor brought; returns the name it is opened by.

        Raises:
            OptionError: If it can't be unpacked or holds no run; nothing is left behind.
        """
        from ugsd_core.corpora.unpacking import UnpackLimits, unpack

        folder = self._new("brought-")
        try:
            inside = unpack(archive, folder, limits=UnpackLimits(MOST_RUN_MB, MOST_FILES))
            name = inside.name if inside != folder else archive.stem
            return folders.bring(session, inside, name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _copied(source: Path, target: Path) -> Path:
    """A link where the disk allows one: a run that grows meanwhile is taken as it is then."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target


def _reports(run: OpenRun, folder: Path) -> dict[str, Path]:
    from ugsd_core.evaluation.export import render
    from ugsd_core.evaluation.scored import ScoredRun

    scored = ScoredRun(run.name, run.folder, run.manifest, run.metrics, run.timings)
    found = {}
    for form, file in REPORTS.items():
        (folder / file).write_text(render([scored], form), encoding="utf-8", newline="\n")
        found[form] = folder / file
    return found


def _rest(folder: Path) -> list[Path]:
    named = {METRICS_FILE, TIMINGS_FILE, "clip_scores.jsonl", QUEUE_FILE}
    files = [folder / name for name in sorted(named)]
    return [*files, *sorted((folder / TRACES_FOLDER).rglob("*.jsonl"))]
