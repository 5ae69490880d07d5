"""Rows of an evaluation that are sent to annotation: they land in the inbox campaign of the page's store.

`InboxRows.send_to_annotation` and `queued` take what the Evaluation tab's own hook takes; it is handed one of these
where the page keeps annotations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from uuid import NAMESPACE_URL, uuid5

from ugsd_core.annotations import inbox
from ugsd_core.annotations.campaign import item_id
from ugsd_core.errors import OptionError
from ugsd_core.evaluation.records import ClipLine
from ui.annotation.desk import Desk

__all__ = ["InboxRows", "RunLike"]


class RunLike(Protocol):
    """What is needed of a run that is looked at.

    Attributes:
        brought: It was uploaded to be looked at only.
    """

    name: str
    folder: Path
    lines: list[ClipLine]
    brought: bool


class InboxRows:
    """Puts captions of runs into the inbox of a store. Safe for many threads."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def send_to_annotation(self, line: ClipLine, run: RunLike, recording: Path | None = None, by: str = "") -> bool:
        """Put a caption into the inbox; whether it was not there yet.

        Args:
            recording: Where its recording lies, if it is known; it is copied.
            by: Who sends it.

        Raises:
            OptionError: If the run was only brought to be looked at.
            AnnotationError: If the row has no caption.
        """
        if run.brought:
            raise OptionError(
                "this run was brought to be looked at only; captions of runs that are kept here can be sent"
            )
        if self._item(line, run) in self._there():
            return False
        sound = replace(line, path="" if recording is None else str(recording.resolve()))
        inbox.add_line(
            self._desk.store,
            self._desk.media,
            event_id=_event_id(line, run),
            line=sound,
            run=run.folder,
            corpus=None,
            by=by,
        )
        return True

    def queued(self, run: RunLike) -> set[tuple[str, str]]:
        """Clip and system of every caption of a run that is in the inbox."""
        there = self._there()
        return {line.key for line in run.lines if self._item(line, run) in there} if there else set()

    def _there(self) -> set[str]:
        with self._desk.store.reading() as tx:
            known: Sequence[str] = tx.item_ids(inbox.INBOX)
        return set(known)

    @staticmethod
    def _item(line: ClipLine, run: RunLike) -> str:
        return item_id(inbox.INBOX, _event_id(line, run))


def _event_id(line: ClipLine, run: RunLike) -> str:
    """Follows from run, clip and system, so that sending a row twice adds nothing."""
    return str(uuid5(NAMESPACE_URL, "\x1f".join((str(run.folder.resolve()), line.id, line.system))))
