"""`read_corpus`: a path in, a `Corpus` out, whichever of the known formats it is in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from ugsd_core.corpora import manifest, mer2024, secap
from ugsd_core.corpora.clip import Corpus
from ugsd_core.errors import OptionError

__all__ = ["FORMATS", "CorpusFormat", "CorpusReader", "read_corpus"]


class CorpusReader(Protocol):
    """Reads a corpus of one format."""

    def __call__(self, path: Path, audio: Path | None, name: str | None, confined: bool) -> Corpus:
        """See `read_corpus`."""


@dataclass(frozen=True, slots=True)
class CorpusFormat:
    """A format.

    Attributes:
        recognise: Whether a path that exists looks like it, without reading it all.
        signs: What it is recognised by, for people.
    """

    name: str
    recognise: Callable[[Path], bool]
    read: CorpusReader
    signs: str


FORMATS: Mapping[str, CorpusFormat] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            CorpusFormat("mer2024", mer2024.recognise, mer2024.read, mer2024.SIGNS),
            CorpusFormat("secap", secap.recognise, secap.read, secap.SIGNS),
            CorpusFormat("manifest", manifest.recognise, manifest.read, manifest.SIGNS),
        )
    }
)


def read_corpus(
    path: str | PathLike[str],
    format: str | None = None,
    *,
    audio: str | PathLike[str] | None = None,
    name: str | None = None,
    confined: bool = True,
) -> Corpus:
    """Read a corpus: its clips, and everything that is wrong with it.

    Args:
        path: The corpus folder, or its table.
        format: A key of `FORMATS`; None recognises it.
        audio: The folder of recordings, where they are not in the corpus folder.
        name: What to call the corpus; by default ``mer2024``, ``secap``, or the name of the folder.
        confined: Refuse recordings outside of the corpus folder and of ``audio``, with a `Problem`. A corpus that
            somebody else sent must be confined; one's own may point elsewhere.

    Raises:
        OptionError: If nothing is there, the format is not recognised, or its table cannot be read at all.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise OptionError(f"there is no {path}; name the folder of a corpus, or its table")
    if format is not None and format not in FORMATS:
        raise OptionError(f"there is no corpus format {format!r}; the formats are {', '.join(FORMATS)}")
    kind = FORMATS[format] if format is not None else _recognised(path)
    return kind.read(path, None if audio is None else Path(audio).expanduser(), name, confined)


def _recognised(path: Path) -> CorpusFormat:
    found = [entry for entry in FORMATS.values() if entry.recognise(path)]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(entry.name for entry in found)
        raise OptionError(f"{path} could be read as {names}; say which with the format")
    looked = "; ".join(f"for {entry.name}, {entry.signs}" for entry in FORMATS.values())
    raise OptionError(f"{path} is no corpus that is known here. It was looked {looked}.")
