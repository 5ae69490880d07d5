"""Sound and traces of campaigns: copies in one folder beside the store, so that no corpus has to stay where it was.

MEDIA/CAMPAIGN/audio/3f9c21ab04d7e651.wav     named by content: the same clip of two systems is kept once, and the
                                              name tells a blind annotator nothing
MEDIA/CAMPAIGN/traces/3f9c21ab04d7.jsonl      a `TraceStore`
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.events import checked_name
from ugsd_core.trace_store import TraceStore

__all__ = ["Media", "Sound", "default_media"]

AUDIO_NAME = re.compile(r"[0-9a-f]{16}\.[a-z0-9]{1,5}")
SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording that is in memory.

    Attributes:
        suffix: Of its format, such as ``".wav"``.
    """

    data: bytes
    suffix: str = ".wav"


class Media:
    """The media folder of a store.

    Args:
        root: Made when the first file is kept.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def keep_audio(self, campaign: str, sound: Path | Sound) -> str:
        """Copy a recording, synced to the disk, and return its name; keeping it twice changes nothing.

        Raises:
            AnnotationError: If it can't be read or written, or its suffix is none.
        """
        suffix = sound.suffix.lower()
        if not SUFFIX.fullmatch(suffix):
            raise AnnotationError(f"{suffix!r} is no suffix of a sound file; take a file such as clip.wav", "audio")
        try:
            data = sound.data if isinstance(sound, Sound) else sound.read_bytes()
            name = hashlib.sha256(data).hexdigest()[:16] + suffix
            path = self._folder(campaign) / "audio" / name
            if not path.is_file():
                _write(path, data)
        except OSError as error:
            raise AnnotationError(f"a recording can't be kept: {error}", "audio") from error
        return name

    def audio(self, campaign: str, name: str) -> Path:
        """Where a recording lies.

        Raises:
            AnnotationError: If it is no name of a recording, or the file is gone.
        """
        path = self._folder(campaign) / "audio" / name
        if not AUDIO_NAME.fullmatch(name) or not path.is_file():
            raise AnnotationError(f"the recording {name} is not in the media folder {self.root}", "audio")
        return path

    def traces(self, campaign: str) -> TraceStore:
        """The runs of a campaign."""
        return TraceStore(self._folder(campaign) / "traces")

    def remove(self, campaign: str, *, audio: str = "", trace: str = "") -> bool:
        """Delete a recording or a run; whether there was one."""
        names = ["audio/" + audio] if AUDIO_NAME.fullmatch(audio) else []
        names += [f"traces/{trace}.jsonl"] if re.fullmatch(r"[0-9a-f]{12}", trace) else []
        paths = [path for name in names if (path := self._folder(campaign) / name).is_file()]
        for path in paths:
            path.unlink()
        return bool(paths)

    def _folder(self, campaign: str) -> Path:
        return self.root / checked_name(campaign, "a campaign")


def default_media(store_path: Path | None) -> Media:
    """``STORE.media`` beside the store's file; ``annotation-media`` in the working folder for a server."""
    return Media(Path("annotation-media") if store_path is None else store_path.with_suffix(".media"))


def _write(path: Path, data: bytes) -> None:
    """Beside its place first, so that nobody sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=".", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        Path(beside).unlink(missing_ok=True)
