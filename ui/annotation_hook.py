"""Captions of a run that somebody should look at: a queue beside the run, until a campaign takes it.

One JSON line an item in ``RUN/annotation_queue.jsonl``; sending the same caption twice changes nothing. Several
processes may write: a line is appended in one write.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ugsd_core.errors import OptionError

if TYPE_CHECKING:
    from ugsd_core.evaluation.records import ClipLine
    from ui.run_folders import OpenRun

__all__ = ["QUEUE_FILE", "queued", "send_to_annotation"]

QUEUE_FILE = "annotation_queue.jsonl"


def queued(run: OpenRun) -> set[tuple[str, str]]:
    """Clip and system of every caption of a run that was sent."""
    return {(str(item.get("id")), str(item.get("system"))) for item in _items(run)}


def send_to_annotation(line: ClipLine, run: OpenRun) -> bool:
    """Put a caption into its run's queue; whether it was not there yet.

    Raises:
        OptionError: If the run was only brought to be looked at, or can't be written.
    """
    if run.brought:
        raise OptionError("this run was brought to be looked at only; captions of runs that are kept here can be sent")
    if line.key in queued(run):
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
