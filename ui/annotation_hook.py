"""Captions of a run that somebody should look at: a queue beside the run, where the page keeps no annotations.

One JSON line an item in ``RUN/annotation_queue.jsonl``; sending the same caption twice changes nothing. Several
processes may write: a line is appended in one write.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ugsd_core.errors import OptionError

if TYPE_CHECKING:
    from ugsd_core.evaluation.records import ClipLine
    from ui.open_run import OpenRun

__all__ = ["QUEUE_FILE", "AnnotationQueue", "RunQueue"]

QUEUE_FILE = "annotation_queue.jsonl"


class AnnotationQueue(Protocol):
    """Where captions of runs go that annotators should look at."""

    def send_to_annotation(self, line: ClipLine, run: OpenRun, recording: Path | None = None) -> bool:
        """Send a caption; whether it was not there yet.

        Raises:
            UgsdError: If it can't be sent.
        """

    def queued(self, run: OpenRun) -> set[tuple[str, str]]:
        """Clip and system of every caption of a run that was sent."""


class RunQueue:
    """``annotation_queue.jsonl`` beside the run; a recording is found again by its path."""

    def send_to_annotation(self, line: ClipLine, run: OpenRun, recording: Path | None = None) -> bool:
        """See `AnnotationQueue`.

        Raises:
            OptionError: If the run was only brought to be looked at, or can't be written.
        """
        if run.brought:
            raise OptionError(
                "this run was brought to be looked at only; captions of runs that are kept here can be sent"
            )
        if line.key in self.queued(run):
            return False
        item = {
            "id": line.id,
            "corpus": line.corpus,
            "system": line.system,
            "language": line.language,
            "caption": line.hypothesis,
            "trace": line.trace,
            "audio": line.path,
            "run": run.name,
        }
        try:
            with (run.folder / QUEUE_FILE).open("ab+") as file:
                file.seek(0, 2)
                begins = b""
                if file.tell():
                    file.seek(-1, 2)
                    begins = b"" if file.read(1) == b"\n" else b"\n"  # a line that a kill cut off stays alone
                file.write(begins + json.dumps(item, ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            raise OptionError(f"nothing can be written into the run {run.name}: {error.strerror or error}") from error
        return True

    def queued(self, run: OpenRun) -> set[tuple[str, str]]:
        """See `AnnotationQueue`."""
        return {(str(item.get("id")), str(item.get("system"))) for item in _items(run)}


def _items(run: OpenRun) -> list[dict[str, Any]]:
    try:
        text = (run.folder / QUEUE_FILE).read_text(encoding="utf-8")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            item = json.loads(line)
        except ValueError:  # cut off by a kill
            continue
        if isinstance(item, dict):
            found.append(item)
    return found
