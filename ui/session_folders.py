"""Files that are made for one visitor at a time: a folder a session, gone when another comes or the session ends."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path

__all__ = ["SessionFolders"]


class SessionFolders:
    """One folder a session. Safe for many threads.

    Args:
        folder: Where they are made; the page must be allowed to serve it, and whoever made it deletes it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        self._held: dict[str, Path] = {}
        self._lock = threading.Lock()

    def leave(self, session: str) -> None:
        """The session is over."""
        self._hold(session, None)

    def _new(self, prefix: str) -> Path:
        """An empty folder that belongs to no session yet."""
        return Path(tempfile.mkdtemp(prefix=prefix, dir=self._folder))

    def _of(self, session: str) -> Path | None:
        """The session's folder, if it has one that is still there."""
        with self._lock:
            folder = self._held.get(session)
        return folder if folder is not None and folder.is_dir() else None

    def _hold(self, session: str, folder: Path | None) -> None:
        """Give a session its folder, in place of the one it had."""
        with self._lock:
            old = self._held.pop(session, None)
            if folder is not None:
                self._held[session] = folder
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
