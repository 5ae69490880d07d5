"""Where the recordings of a corpus lie: found by name in a folder, or by a path that must not lead out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from ugsd_core.corpora.clip import Problem
from ugsd_core.errors import OptionError

__all__ = ["AUDIO_SUFFIXES", "Recordings", "is_junk"]

#: What counts as a recording when it is looked for by name; of several with one name the first kind is taken.
AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".w64", ".aif", ".aiff", ".au", ".caf", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac"),
    *(".wma", ".amr", ".3gp", ".mp4", ".mov", ".webm", ".mkv", ".avi", ".flv", ".mpg", ".mpeg"),
)
_RANK = {suffix: rank for rank, suffix in enumerate(AUDIO_SUFFIXES)}


def is_junk(name: str) -> bool:
    """Whether a file or folder is one that systems leave behind: hidden ones, and ``__MACOSX``."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


class Recordings:
    """Finds the recordings of a corpus.

    Args:
        folder: The corpus folder, from which paths in its tables count.
        audio: The folder of recordings, if it is another one.
        confined: Refuse files outside of both folders, links that lead there included.

    Raises:
        OptionError: If ``audio`` is no folder.
    """

    def __init__(self, folder: Path, audio: Path | None = None, *, confined: bool = True) -> None:
        if audio is not None and not audio.is_dir():
            raise OptionError(f"there is no folder {audio}; name the folder that holds the recordings")
        self.folder = folder
        self.audio = audio or folder
        self._confined = confined
        self._roots = tuple({folder.resolve(), self.audio.resolve()})
        self._stems: dict[str, list[Path]] | None = None

    def named(self, clip: str) -> tuple[Path | None, Problem | None]:
        """The recording called ``CLIP.*`` in the audio folder or one folder below it, in any case of letters."""
        found = self._index().get(clip.casefold(), [])
        exact = [path for path in found if path.stem == clip] or found
        if not exact:
            return None, Problem("missing_audio", f"There is no recording {clip}.* in {self.audio}.", clip)
        path, *others = exact
        problem = None
        if others:
            names = " and ".join(str(other.relative_to(self.audio)) for other in exact[:3])
            problem = Problem(
                "ambiguous_audio",
                f"Several recordings are called {clip} ({names}); {path.relative_to(self.audio)} was taken.",
                clip,
            )
        return self._allowed(path, clip, problem)

    def at(self, text: str, clip: str) -> tuple[Path | None, Problem | None]:
        """The recording at a path of a table, relative to the corpus folder or to the audio folder.

        ``/`` and ``\\`` both separate folders.
        """
        if not text:
            return None, Problem("missing_audio", f"The row of {clip} names no recording.", clip)
        # Made on Windows, read elsewhere: a backslash in a file name is rarer than one between folders.
        plain = text if os.sep == "\\" else text.replace("\\", "/")
        absolute = PurePosixPath(plain).is_absolute() or bool(PureWindowsPath(text).drive)
        if self._confined and (absolute or ".." in PurePosixPath(plain).parts):
            return None, Problem("outside_folder", _outside(text, clip), clip)
        for root in dict.fromkeys((self.folder, self.audio)):
            path = root / plain
            try:
                if path.is_file():
                    return self._allowed(path, clip, None)
            except (OSError, ValueError):  # a name that no file can have
                break
        return None, Problem("missing_audio", f"There is no recording {text} in {self.folder}.", clip)

    def _allowed(self, path: Path, clip: str, problem: Problem | None) -> tuple[Path | None, Problem | None]:
        if self._confined and not any(path.resolve().is_relative_to(root) for root in self._roots):
            return None, Problem("outside_folder", _outside(path.name, clip), clip)
        return path, problem

    def _index(self) -> dict[str, list[Path]]:
        """Stem in one case of letters to recordings, the preferred kind first."""
        if self._stems is None:
            self._stems = {}
            for path in _files(self.audio, depth=1):
                if path.suffix.lower() in _RANK:
                    self._stems.setdefault(path.stem.casefold(), []).append(path)
            for paths in self._stems.values():
                paths.sort(key=lambda path: (_RANK[path.suffix.lower()], str(path)))
        return self._stems


def _files(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            ordered = sorted((entry for entry in entries if not is_junk(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        raise OptionError(f"{folder} cannot be read ({error.strerror or error}); check its permissions") from error
    for entry in ordered:
        if entry.is_file():
            yield Path(entry.path)
        elif depth and entry.is_dir():
            yield from _files(Path(entry.path), depth - 1)


def _outside(text: str, clip: str) -> str:
    return f"The recording of {clip} is not in the corpus folder ({text}); put it there and name it from there."
