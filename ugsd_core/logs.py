"""What the verifier's process logs: one line an event, as text for people or as one JSON object for programs.

A line holds what its sentence says and the fields that it was given (`told`), and nothing else: of an exception its
kind and where it came from, never its text, which may quote token ids; of other libraries' messages the first line.
So nothing of a client's content gets into a log, whatever the level (a test holds that at DEBUG).

This is the standard library's `logging` with formatters of our own. *python-json-logger* (15 kB) and *structlog*
(74 kB) were looked at: both would be a dependency, and the exceptions without text, the fields that may pass and the
time would still be written here, on top of them.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import IO, Any

__all__ = ["FORMATS", "LEVELS", "JsonLines", "TextLines", "adopt", "places", "set_up", "told"]

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
#: Lines of these loggers are ours, and hold no content.
_OURS = "ugsd_core"


def told(event: str, **fields: object) -> dict[str, Any]:
    """What a line is about, for programs: ``logger.info("A session began.", extra=told("session_began", open=3))``.

    Args:
        event: A short stable name.
        fields: Numbers, short names, and dictionaries of them; no content of clients.
    """
    return {"told": {"event": event, **fields}}


class _Lines(logging.Formatter):
    """What both forms share."""

    def parts(self, record: logging.LogRecord) -> dict[str, Any]:
        """Time, level, event, message and the fields."""
        fields = dict(getattr(record, "told", {}))
        message = record.getMessage()
        if record.name.split(".")[0] != _OURS:  # what it quotes below its first line, nobody knows
            message = (message.splitlines() or [""])[0]
        moment = datetime.fromtimestamp(record.created, UTC)
        head = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": fields.pop("event", "message"),
            "message": message,
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = record.exc_info[0].__name__
            fields["trace"] = places(record.exc_info[2])
        return head | fields


class JsonLines(_Lines):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return json.dumps(self.parts(record), ensure_ascii=False, default=str)


class TextLines(_Lines):
    """Time, level, sentence, and the fields as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        parts = self.parts(record)
        time, level, message = (parts.pop(name) for name in ("time", "level", "message"))
        for name in ("event", "logger"):
            del parts[name]
        words = {word.strip(".,;:()") for word in message.split()}  # what the sentence says is not said again
        shorts = {name: _short(value) for name, value in parts.items()}
        said = " ".join(f"{name}={short}" for name, short in shorts.items() if short not in words)
        return f"{time} {level} {message}{'  ' if said else ''}{said}"


def places(trace: Any) -> list[str]:
    """Where an exception came from, ``file:line function``, the innermost last."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]


def set_up(form: str = "text", level: str = "info", stream: IO[str] | None = None) -> None:
    """Log to stderr, which systemd and containers keep, turn over and forward.

    Args:
        form: One of `FORMATS`.
        level: One of `LEVELS`, of our own lines; of other libraries warnings are logged at any level.
        stream: In the place of stderr.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    for earlier in list(root.handlers):
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(level.upper())
    logging.captureWarnings(True)


def adopt(names: Iterable[str] = ("transformers", "huggingface_hub")) -> None:
    """Let libraries that print their lines themselves log like everybody else; to be called once they are imported."""
    for name in names:
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        logger.propagate = True


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{_short(entry)}" for name, entry in value.items()) + "}"
    return json.dumps(value, default=str) if isinstance(value, list) or " " in str(value) else str(value)
