"""The one recording that each visitor listens to, as the models hear it: mono, 16 kHz, at most 30 s."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path

__all__ = ["ClipSounds"]


class ClipSounds:
    """One file a session; it goes when another comes and when the session ends. Safe for many threads.

    Args:
        folder: Where it is written; the page must be allowed to serve it, and whoever made it deletes it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        self._held: dict[str, Path] = {}
        self._lock = threading.Lock()

    def write(self, session: str, recording: Path) -> Path:
        """Decode a recording of a corpus, video files too, and write it where the page may serve it.

        Raises:
            AudioError: If it can't be decoded, or nothing is in it.
        """
        import soundfile

        from ugsd_core.acoustic import SAMPLE_RATE_HZ
        from ugsd_core.audio import load_utterance

        utterance = load_utterance(recording, first_30_s=True)
        folder = Path(tempfile.mkdtemp(prefix="clip-", dir=self._folder))
        soundfile.write(folder / "clip.wav", utterance.samples, SAMPLE_RATE_HZ, subtype="PCM_16")
        self._hold(session, folder)
        return folder / "clip.wav"

    def leave(self, session: str) -> None:
        """The session is over."""
        self._hold(session, None)

    def _hold(self, session: str, folder: Path | None) -> None:
        with self._lock:
            old = self._held.pop(session, None)
            if folder is not None:
                self._held[session] = folder
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
