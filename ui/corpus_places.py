"""Where the corpora of an evaluation may lie: folders of the server that were allowed, uploads, and our own examples.

A visitor names a place by its key and never by a path, so that nothing of the machine can be read but what whoever
started the page allowed. A recording is found the same way: only in such a place.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ugsd_core.errors import OptionError
from ui.assets import ASSETS

if TYPE_CHECKING:
    from ugsd_core.corpora import Corpus

__all__ = ["EXAMPLES", "MOST_UPLOAD_MB", "CorpusPlaces", "Place"]

#: Key of the corpus that comes with the program.
EXAMPLES = "examples"
#: What an uploaded corpus may become on disk.
MOST_UPLOAD_MB = 2_000.0
#: Files of which a folder of one's own may be a corpus.
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".scp", ".txt")
#: Subfolders of an allowed folder that are listed.
LISTED = 200


@dataclass(frozen=True, slots=True)
class Place:
    """A corpus that can be chosen.

    Attributes:
        key: What it is asked for by.
        name: What it is called on the page.
        origin: ``"examples"``, ``"server"`` or ``"upload"``.
    """

    key: str
    name: str
    origin: str
    folder: Path


def _looks_like_one(folder: Path) -> bool:
    try:
        return any(path.suffix.lower() in _TABLES and path.is_file() for path in folder.iterdir())
    except OSError:
        return False


class CorpusPlaces:
    """All places, and what each visitor uploaded. Safe for many threads.

    Args:
        roots: Folders of the server below which corpora may be chosen.
        uploads: Where uploads are unpacked; None is the system's temporary folder.
        examples: Folder of the examples.
    """

    def __init__(
        self, roots: Sequence[Path] = (), *, uploads: Path | None = None, examples: Path | None = None
    ) -> None:
        self._roots = [root.expanduser().resolve() for root in roots]
        self._uploads = uploads or Path(tempfile.gettempdir())
        self._examples = examples or ASSETS / "examples"
        self._brought: dict[str, list[Place]] = {}
        self._held: dict[Path, int] = {}
        self._gone: set[Path] = set()
        self._lock = threading.Lock()

    def listed(self, session: str = "") -> list[Place]:
        """Places that a visitor can choose: their uploads, the server's, the examples."""
        with self._lock:
            found = list(reversed(self._brought.get(session, [])))
        found += [place for number, root in enumerate(self._roots) for place in _below(number, root)]
        return [*found, *([self._own()] if _looks_like_one(self._examples) else [])]

    def _own(self) -> Place:
        return Place(EXAMPLES, EXAMPLES, "examples", self._examples)

    def find(self, key: str, session: str = "") -> Place:
        """A place by its key.

        Raises:
            OptionError: If there is none.
        """
        found = next((place for place in self.listed(session) if place.key == key), None)
        if found is None:
            raise OptionError(
                "there is no such corpus here; choose one from the list, or start the page with --corpora FOLDER"
            )
        return found

    def read(self, place: Place, format: str | None = None) -> Corpus:
        """Its clips, and what is wrong with it.

        Raises:
            OptionError: If it can't be read at all; it names the corpus and not where it lies here.
        """
        from ugsd_core.corpora import read_corpus

        try:
            return read_corpus(place.folder, format, name=None if place.origin != "upload" else place.name)
        except OptionError as error:
            raise OptionError(str(error).replace(str(place.folder), place.name)) from error

    def bring(self, session: str, archive: Path, progress: Callable[[int, int], None] | None = None) -> Place:
        """Unpack an uploaded corpus; it lasts as long as the visit, and as an evaluation of it.

        Raises:
            OptionError: If it can't be unpacked; nothing is left behind.
        """
        from ugsd_core.corpora import UnpackLimits, unpack

        folder = Path(tempfile.mkdtemp(prefix="corpus-", dir=self._uploads))
        try:
            inside = unpack(archive, folder, limits=UnpackLimits(total_mb=MOST_UPLOAD_MB), progress=progress)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        place = Place(f"upload/{folder.name}", archive.stem, "upload", inside)
        with self._lock:
            self._brought.setdefault(session, []).append(place)
        return place

    def recording(self, key: str, path: str, session: str = "") -> Path | None:
        """Where a run's recording lies, if its corpus is still there; None if not, or if it lies anywhere else.

        Args:
            key: Of the place that was evaluated; where it is not known, all places are looked through.
            path: As `ClipLine.path` has it.
        """
        if not path:
            return None
        places = self.listed(session)
        for place in sorted(places, key=lambda place: place.key != key):
            root = place.folder.resolve()
            found = (root / path).resolve()
            if found.is_relative_to(root) and found.is_file():
                return found
        return None

    # ── Uploads in use ────────────────────────────────────────────────────────────────────────────────────────────

    def hold(self, place: Place) -> None:
        """An evaluation reads it: it stays even if its visitor leaves."""
        with self._lock:
            self._held[place.folder] = self._held.get(place.folder, 0) + 1

    def release(self, place: Place) -> None:
        """The evaluation has ended."""
        with self._lock:
            self._held[place.folder] = self._held.get(place.folder, 1) - 1
            gone = self._held[place.folder] <= 0 and place.folder in self._gone
            if self._held[place.folder] <= 0:
                del self._held[place.folder]
            self._gone.discard(place.folder) if gone else None
        if gone:
            self._remove(place.folder)

    def leave(self, session: str) -> None:
        """The visit is over: what it uploaded goes, unless an evaluation still reads it."""
        with self._lock:
            places = self._brought.pop(session, [])
            self._gone |= {place.folder for place in places if place.folder in self._held}
            free = [place.folder for place in places if place.folder not in self._held]
        for folder in free:
            self._remove(folder)

    def _remove(self, folder: Path) -> None:
        # The corpus may be a folder within the one that was unpacked.
        within = folder.resolve().relative_to(self._uploads.resolve()).parts[0]
        shutil.rmtree(self._uploads / within, ignore_errors=True)


def _below(number: int, root: Path) -> list[Place]:
    """An allowed folder and those right below it, as far as they look like corpora."""
    if not root.is_dir():
        return []
    found = [Place(f"server/{number}", root.name, "server", root)] if _looks_like_one(root) else []
    for folder in sorted(root.iterdir())[: 10 * LISTED]:
        if folder.is_dir() and not folder.name.startswith(".") and _looks_like_one(folder):
            found.append(Place(f"server/{number}/{folder.name}", folder.name, "server", folder))
    return found[:LISTED]
