"""Recorded runs kept by name: the traces of a folder, addressed by what they hold.

    store = TraceStore(folder)
    name = store.keep(events)        # "3f9c21ab04d7": the same run always has the same name
    events = store.load(name)        # what a permanent link needs

A trace holds the caption and how it was decided, and never any sound. It is written to a file of its own beside its
place and then moved there, so that a folder that several processes share never shows half a trace.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ugsd_core.errors import TraceError
from ugsd_core.messages import CaptionFinished, CaptionStarted, Event, event_to_dict
from ugsd_core.places import user_data_folder
from ugsd_core.records import TokenRecord
from ugsd_core.traces import read_trace, write_trace

__all__ = ["KeptTrace", "TraceStore", "default_trace_folder", "tokens_csv", "trace_name"]

NAME = re.compile(r"[0-9a-f]{12}")
#: Columns of `tokens_csv`: fields of `TokenRecord`, the lists of alternatives flattened to their best entry.
COLUMNS: tuple[str, ...] = (
    "position", "revision", "block", "id", "text", "state", "entropy_nats", "margin", "nll_nats", "mc_dropout_nats",
    "label_entropy_nats", "head_doubt", "text_doubt", "fused_doubt", "rank", "probability", "drafted_s", "decided_s",
)  # fmt: skip


def default_trace_folder() -> Path:
    """``$XDG_DATA_HOME/ugsd/traces``, or ``~/.local/share/ugsd/traces``."""
    return user_data_folder() / "traces"


def trace_name(events: Iterable[Event]) -> str:
    """Twelve hexadecimal digits that follow from the events alone (SHA-256 over their JSON)."""
    digest = hashlib.sha256()
    for event in events:
        digest.update(json.dumps(event_to_dict(event), ensure_ascii=False, sort_keys=True).encode() + b"\n")
    return digest.hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class KeptTrace:
    """A trace in a list: enough to choose it by.

    Attributes:
        mode, language: Of the run.
        caption: Its final text; empty if the run did not end.
    """

    name: str
    path: Path
    mode: str
    language: str
    caption: str


class TraceStore:
    """The traces of one folder.

    Args:
        folder: Made when the first trace is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, events: Sequence[Event]) -> str:
        """Keep a run and return its name; keeping it twice changes nothing.

        Raises:
            TraceError: If it is no run, or the folder can't be written.
        """
        if not events or not isinstance(events[0], CaptionStarted):
            raise TraceError("this is no run: a trace begins with the start of a caption")
        name = trace_name(events)
        path = self._path(name)
        if path.is_file():
            return name
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, beside = tempfile.mkstemp(prefix=f".{name}.", suffix=".partial", dir=self.folder)
            os.close(handle)
        except OSError as error:
            raise TraceError(f"traces can't be kept in {self.folder}: {error.strerror or error}") from error
        try:
            write_trace(beside, events)
            os.replace(beside, path)
        finally:
            Path(beside).unlink(missing_ok=True)
        return name

    def load(self, name: str) -> list[Event]:
        """The events of a kept run.

        Raises:
            TraceError: If the name is none, there is no such trace, or it is damaged.
        """
        if not NAME.fullmatch(name):
            raise TraceError(f"{name!r} names no trace; a name has twelve digits from 0 to 9 and a to f")
        path = self._path(name)
        if not path.is_file():
            raise TraceError(f"the trace {name} is not kept here; import its file, or ask whoever sent the link for it")
        return read_trace(path)

    def forget(self, name: str) -> None:
        """Delete a kept run; one that is not kept is no mistake.

        Raises:
            TraceError: If the name is none, or its file can't be deleted.
        """
        if not NAME.fullmatch(name):
            raise TraceError(f"{name!r} names no trace; a name has twelve digits from 0 to 9 and a to f")
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise TraceError(f"the trace {name} can't be deleted: {error.strerror or error}") from error

    def __contains__(self, name: object) -> bool:
        """Whether a run of this name is kept."""
        return isinstance(name, str) and bool(NAME.fullmatch(name)) and self._path(name).is_file()

    def listed(self, most: int | None = None) -> list[KeptTrace]:
        """Traces that can be read, the newest first.

        Args:
            most: No more than these; None lists all.
        """
        paths = sorted(self.folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True)
        found: list[KeptTrace] = []
        for path in paths:
            if len(found) == most:
                break
            try:
                found.append(_kept(path))
            except TraceError:  # what somebody else put there
                continue
        return found

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"


def _kept(path: Path) -> KeptTrace:
    events = read_trace(path)
    first, last = (events[0], events[-1]) if events else (None, None)
    if not isinstance(first, CaptionStarted):
        raise TraceError(f"{path} holds no run")
    caption = last.caption.strip() if isinstance(last, CaptionFinished) else ""
    return KeptTrace(path.stem, path, first.mode, first.language, caption)


def tokens_csv(tokens: Iterable[TokenRecord]) -> str:
    """One line a token, for a spreadsheet: `COLUMNS`, then the best token of either side and its probability.

    Args:
        tokens: Of a `ugsd_core.result.CaptionResult`.

    Returns:
        CSV after RFC 4180 with a header; what is not known is empty.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*COLUMNS, "draft_best", "draft_best_p", "verifier_best", "verifier_best_p"])
    for token in tokens:
        row = [getattr(token, name) for name in COLUMNS]
        for top in (token.draft_top, token.verifier_top):
            row += [top[0].text, round(top[0].probability, 6)] if top else [None, None]
        writer.writerow(["" if value is None else value for value in row])
    return text.getvalue()
