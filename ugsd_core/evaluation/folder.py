"""A run folder while it is written: one writer at a time, lines that survive a kill, no file half there."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

from ugsd_core.errors import OptionError
from ugsd_core.evaluation.records import CLIPS_FILE, MANIFEST_FILE, TRACES_FOLDER, ClipLine, read_lines
from ugsd_core.messages import Event
from ugsd_core.traces import write_trace

__all__ = ["LOCK_FILE", "RunFolder", "file_name", "trace_path"]

LOCK_FILE = ".lock"
#: Seconds between two syncs to the disk. A killed process loses nothing either way, a power cut loses these.
SYNC_EVERY_S = 5.0
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")


def file_name(clip: str) -> str:
    """A file name for any id, the same for the same id and different for different ones.

    Plain ids stand as they are; of others what can stand in a file's name is kept, and eight digits of a hash tell
    them apart.
    """
    if _PLAIN.fullmatch(clip):
        return clip
    kept = re.sub(r"[^\w.-]+", "_", clip).strip("._")[:40]
    return f"{kept}~{hashlib.sha256(clip.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def trace_path(system: str, clip: str) -> str:
    """Path of an event stream, relative to the run folder."""
    return f"{TRACES_FOLDER}/{system}/{file_name(clip)}.jsonl"


class RunFolder:
    """The folder of a run, held by this process alone. A context manager.

    Raises:
        OptionError: If another process writes there, or the folder can't be made.
    """

    def __init__(self, path: Path) -> None:
        from filelock import FileLock, Timeout

        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OptionError(f"the run folder {path} can't be made: {error.strerror or error}") from error
        # The system lets go of the lock however this process ends. A page may close a run from another thread.
        self._lock = FileLock(path / LOCK_FILE, timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise OptionError(
                f"another evaluation writes into {path}; wait for it, stop it, or name another folder with --out"
            ) from None
        except OSError as error:
            raise OptionError(f"nothing can be written into {path}: {error.strerror or error}") from error
        self._file: int | None = None
        self._synced_at = 0.0

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Sync and let go; closing twice is harmless."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None
        self._lock.release()

    # ── The manifest ──────────────────────────────────────────────────────────────────────────────────────────────

    def manifest(self) -> dict[str, Any] | None:
        """The manifest of the run that is here; None if there is none.

        Raises:
            OptionError: If it can't be read.
        """
        path = self.path / MANIFEST_FILE
        if not path.is_file():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError("no object")
        except (OSError, ValueError) as error:
            raise OptionError(f"{path} is damaged ({error}); name another folder with --out") from error
        return found

    def write_manifest(self, manifest: dict[str, Any], *, sync: bool = True) -> None:
        """Replace the manifest, so that there is always a whole one; ``sync`` waits for the disk."""
        path = self.path / MANIFEST_FILE
        beside = path.with_suffix(".json.new")
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(manifest, ensure_ascii=False, allow_nan=False, indent=2) + "\n")
            file.flush()
            if sync:
                os.fsync(file.fileno())
        beside.replace(path)

    # ── Lines and traces ──────────────────────────────────────────────────────────────────────────────────────────

    def lines(self) -> list[ClipLine]:
        """What is there already. A last line that a killed process cut off is taken away, not only passed over.

        Raises:
            OptionError: If a line is no result.
        """
        path = self.path / CLIPS_FILE
        if path.is_file():
            with path.open("rb+") as file:
                content = file.read()
                whole = content.rfind(b"\n") + 1
                if whole < len(content):
                    file.truncate(whole)
        return read_lines(path)

    def append(self, line: ClipLine) -> None:
        """Add a line in one write to the system, so that killing this process can't lose it.

        Raises:
            OptionError: If the disk is full, say.
        """
        text = json.dumps(line.to_dict(), ensure_ascii=False, allow_nan=False) + "\n"
        data = text.encode("utf-8", "surrogatepass")
        path = self.path / CLIPS_FILE
        try:
            if self._file is None:
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
            while data:
                data = data[os.write(self._file, data) :]
            if monotonic() - self._synced_at > SYNC_EVERY_S:
                os.fsync(self._file)
                self._synced_at = monotonic()
        except OSError as error:
            raise OptionError(
                f"{path} can't be written ({error.strerror or error}); make room and resume with the same command"
            ) from error

    def write_trace(self, system: str, clip: str, events: Iterable[Event]) -> str:
        """Keep an event stream; returns its path relative to the folder.

        Raises:
            TraceError: If it can't be written.
        """
        relative = trace_path(system, clip)
        write_trace(self.path / relative, events)
        return relative
