"""`read_corpus`: a path in, a `Corpus` out, whichever of the known formats it is in.

A package installed beside this one can bring formats (`ugsd_core.plugins`). They are asked only about what no built-in
format recognises, so that installing one changes nothing about corpora that could be read before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Protocol

from ugsd_core.corpora import manifest, mer2024, secap
from ugsd_core.corpora.clip import Corpus, CorpusClip, Problem
from ugsd_core.errors import OptionError, PluginError
from ugsd_core.plugins import Declared, Registry

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
        plugin: Where it was declared, if it is not built in.
    """

    name: str
    recognise: Callable[[Path], bool]
    read: CorpusReader
    signs: str
    plugin: Declared | None = None


def _adapt(entry: Declared, target: object) -> CorpusFormat:
    """What an entry point names, if it is a format.

    Raises:
        PluginError: If it is not.
    """
    if not isinstance(target, CorpusFormat) or not callable(target.recognise) or not callable(target.read):
        raise entry.error(f"{entry.target} is no ugsd_core.corpora.CorpusFormat with two functions")
    if target.name != entry.name:
        raise entry.error(f"it is declared as {entry.name!r} and calls itself {target.name!r}")
    return replace(target, plugin=entry)


_BUILTIN = (
    CorpusFormat("mer2024", mer2024.recognise, mer2024.read, mer2024.SIGNS),
    CorpusFormat("secap", secap.recognise, secap.read, secap.SIGNS),
    CorpusFormat("manifest", manifest.recognise, manifest.read, manifest.SIGNS),
)
#: Formats by name, those of plug-ins behind the built-in ones.
FORMATS: Registry[CorpusFormat] = Registry("corpus", {entry.name: entry for entry in _BUILTIN}, _adapt)


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
        PluginError: If a plug-in's reader can't be used or fails.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise OptionError(f"there is no {path}; name the folder of a corpus, or its table")
    kind = FORMATS.find(format) if format is not None else _recognised(path)
    recordings = None if audio is None else Path(audio).expanduser()
    if kind.plugin is None:
        return kind.read(path, recordings, name, confined)
    found = kind.plugin.call(kind.read, path, recordings, name, confined)
    if not isinstance(found, Corpus) or not all(isinstance(clip, CorpusClip) for clip in found.clips):
        raise kind.plugin.error(f"its reader gave a {type(found).__name__}, not a Corpus of CorpusClips")
    if len({clip.id for clip in found.clips}) < len(found.clips):
        raise kind.plugin.error("its reader gave two clips with the same id")
    return _inside(found, path, recordings) if confined else found


def _inside(corpus: Corpus, path: Path, audio: Path | None) -> Corpus:
    """Without recordings that lie elsewhere: what a foreign reader forgets must not open another's files."""
    folder = path if path.is_dir() else path.parent
    allowed = [place.resolve() for place in (folder, audio) if place is not None]
    clips, problems = [], list(corpus.problems)
    for clip in corpus.clips:
        if clip.path is not None and not any(clip.path.resolve().is_relative_to(place) for place in allowed):
            sentence = f"The recording of {clip.id} was left out: it lies outside of the corpus folder."
            problems.append(Problem("outside_folder", sentence, clip.id))
            clip = replace(clip, path=None)
        clips.append(clip)
    return replace(corpus, clips=tuple(clips), problems=tuple(problems))


def _recognised(path: Path) -> CorpusFormat:
    found = [entry for entry in FORMATS.builtin.values() if entry.recognise(path)]
    if not found:
        found = [FORMATS[name] for name in FORMATS.plugins() if _says_yes(FORMATS[name], path)]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(entry.name for entry in found)
        raise OptionError(f"{path} could be read as {names}; say which with the format")
    looked = "; ".join(f"for {entry.name}, {entry.signs}" for entry in FORMATS.values())
    raise OptionError(f"{path} is no corpus that is known here. It was looked {looked}.")


def _says_yes(entry: CorpusFormat, path: Path) -> bool:
    """Whether a plug-in's format recognises a path; one that fails on it does not."""
    assert entry.plugin is not None
    try:
        return bool(entry.plugin.call(entry.recognise, path))
    except PluginError:
        return False
