"""Record an event stream as JSON lines, and read it back.

The first line is a header, ``{"ugsd_trace": 1, "version": "0.1.0"}``; every other line is one event as
`event_to_dict` gives it. Each line is flushed as it is written, so that a run that dies leaves all it did.
Folding a trace gives the same result as folding the live stream.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from ugsd_core import __version__
from ugsd_core.errors import TraceError
from ugsd_core.messages import Event, event_from_dict, event_to_dict

__all__ = ["TRACE_FORMAT", "TraceWriter", "read_trace", "write_trace"]

#: Counts up when a reader of the old format could no longer make sense of the new one.
TRACE_FORMAT = 1


class TraceWriter:
    """Writes a trace, event by event. A context manager.

    Args:
        path: A file that is there already is replaced; missing parent folders are made.
        flush: Whether every line goes to the system at once, so that a run that dies leaves all it did.

    Raises:
        TraceError: If the file can't be written.
    """

    def __init__(self, path: str | Path, *, flush: bool = True) -> None:
        self.path = Path(path)
        self._flush = flush
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: TextIO = self.path.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise TraceError(f"the trace {self.path} can't be written: {error.strerror or error}") from error
        self._write({"ugsd_trace": TRACE_FORMAT, "version": __version__})

    def feed(self, event: Event) -> None:
        """Append an event.

        Raises:
            TraceError: If the disk is full, say, or a figure of the event is not a finite number.
        """
        self._write(event_to_dict(event))

    def _write(self, record: dict[str, Any]) -> None:
        try:
            # NaN is no JSON: other readers would choke on the file, so it is stopped here, at its source.
            self._file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
            if self._flush:
                self._file.flush()
        except ValueError as error:
            raise TraceError(f"an event can't be written to {self.path}: {error}") from error
        except OSError as error:
            raise TraceError(f"the trace {self.path} can't be written: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the file; closing twice is harmless.

        Raises:
            TraceError: If what is left can't be written.
        """
        try:
            self._file.close()
        except OSError as error:
            raise TraceError(f"the trace {self.path} can't be written: {error.strerror or error}") from error

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_trace(path: str | Path, events: Iterable[Event]) -> None:
    """Write a whole stream.

    Raises:
        TraceError: If the file can't be written.
    """
    with TraceWriter(path, flush=False) as writer:  # whoever has a whole stream can write it again
        for event in events:
            writer.feed(event)


def read_trace(path: str | Path, *, allow_cut: bool = False) -> list[Event]:
    """Read all events of a trace.

    Args:
        allow_cut: Drop a last line that was cut off in the middle, as a killed process leaves it.

    Raises:
        TraceError: If the file is missing, no trace, of a newer format, or damaged.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace" if allow_cut else "strict").split("\n")
    except OSError as error:
        raise TraceError(f"the trace {path} can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise TraceError(f"{path} is not a trace: it is not UTF-8 text") from error
    # A complete trace ends with a newline, so what follows the last one is either nothing or a cut line.
    cut = lines.pop()
    if cut and not allow_cut:
        raise TraceError(f"the trace {path} is cut off in its last line; the run that wrote it did not end")
    _check_header(path, lines)
    return list(_events(path, lines))


def _check_header(path: Path, lines: list[str]) -> None:
    try:
        header = json.loads(lines[0])
        written = int(header["ugsd_trace"])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise TraceError(f"{path} is not a trace: its first line is no trace header") from error
    if written != TRACE_FORMAT:
        raise TraceError(
            f"the trace {path} has format {written}, but this version reads format {TRACE_FORMAT}; "
            f"it was written by version {header.get('version', 'unknown')}"
        )


def _events(path: Path, lines: list[str]) -> Iterator[Event]:
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise TraceError("not an event")
            yield event_from_dict(record)
        except json.JSONDecodeError as error:
            raise TraceError(f"line {number} of the trace {path} is damaged: {error.msg}") from error
        except TraceError as error:
            raise TraceError(f"line {number} of the trace {path}: {error}") from error
