"""SECap's public test set: real Chinese speech, one human caption a clip.

As its authors publish it (github.com/thuhcsi/SECap, folder ``dataset``):

    fid2captions.json   {"ID": "caption", …}; a list of captions is taken too
    wav.scp             "ID path" a line, the path counted from the folder above; if missing, ID.wav is looked for
    text.txt            "ID transcript" a line, a space or a tab between; may be missing
    wav/ID.wav

A folder with a ``manifest.csv`` instead is read as one, under the name of the corpus.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ugsd_core.corpora import manifest
from ugsd_core.corpora.clip import Corpus, CorpusClip, Problem
from ugsd_core.corpora.recordings import Recordings
from ugsd_core.corpora.rows import ClipList
from ugsd_core.corpora.tables import read_text
from ugsd_core.errors import OptionError

__all__ = ["SIGNS", "read", "recognise"]

CAPTIONS, PATHS, TRANSCRIPTS = "fid2captions.json", "wav.scp", "text.txt"
SIGNS = f"{CAPTIONS} beside {PATHS} or the recordings"


def recognise(path: Path) -> bool:
    """Whether there are captions of that name."""
    return _folder(path) is not None


def _folder(path: Path) -> Path | None:
    """The folder that holds the captions: this one, or ``dataset`` in it, as in the authors' repository."""
    if path.is_file():
        return path.parent if path.name in (CAPTIONS, PATHS, TRANSCRIPTS) else None
    return next((folder for folder in (path, path / "dataset") if (folder / CAPTIONS).is_file()), None)


def read(path: Path, audio: Path | None, name: str | None, confined: bool) -> Corpus:
    """See `ugsd_core.corpora.read_corpus`.

    Raises:
        OptionError: If there are no captions, or they cannot be read.
    """
    folder = _folder(path)
    title = name or "secap"
    if folder is None:
        if manifest.recognise(path):
            return replace(manifest.read(path, audio, title, confined), format="secap")
        raise OptionError(f"{path} holds no {CAPTIONS}; a SECap corpus is {SIGNS}, or a folder with a manifest.csv")
    if not (folder / CAPTIONS).is_file():
        raise OptionError(f"{folder} holds no {CAPTIONS}; a SECap corpus is {SIGNS}")
    clips = ClipList(CAPTIONS)
    captions = _captions(folder / CAPTIONS, clips)
    paths = _lines(folder / PATHS, clips)
    transcripts = _lines(folder / TRANSCRIPTS, clips)
    recordings = Recordings(folder, audio, confined=confined)
    for clip in dict.fromkeys((*captions, *paths)):
        found = _recording(clip, paths.get(clip), recordings, clips)
        texts = captions.get(clip, ())
        references = {"zh": texts} if texts else {}
        clips.add(CorpusClip(clip, title, found, references, transcript=transcripts.get(clip, "")))
    return clips.corpus(title, "secap", folder)


def _captions(source: Path, clips: ClipList) -> dict[str, tuple[str, ...]]:
    """Captions by id; of two for one id the first counts."""
    text, problems = read_text(source)
    clips.problems += problems
    try:
        pairs = json.loads(text, object_pairs_hook=_pairs)
    except (json.JSONDecodeError, RecursionError) as error:
        raise OptionError(f"{source} is no JSON ({error}); copy it again from the release") from error
    if not isinstance(pairs, _Pairs):
        raise OptionError(f"{source} should hold one object, ids to captions")
    found: dict[str, tuple[str, ...]] = {}
    for key, value in pairs.items:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(entry, str) for entry in texts):
            sentence = f"The entry {key!r} of {source.name} was left out: it is neither a caption nor a list of them."
            clips.note(Problem("unreadable_row", sentence, key))
        elif clips.claim(key.strip(), None):
            found[key.strip()] = tuple(dict.fromkeys(" ".join(entry.split()) for entry in texts if entry.strip()))
    return found


class _Pairs:
    """An object of JSON with every pair, those of a repeated key too."""

    def __init__(self, items: list[tuple[str, Any]]) -> None:
        self.items = items


def _pairs(items: list[tuple[str, Any]]) -> _Pairs:
    return _Pairs(items)


def _lines(source: Path, clips: ClipList) -> dict[str, str]:
    """Id to what stands behind it on its line; nothing if there is no such file."""
    if not source.is_file():
        return {}
    text, problems = read_text(source)
    clips.problems += problems
    found: dict[str, str] = {}
    for line, parts in _numbered(text):
        if len(parts) < 2:
            sentence = f"Line {line} of {source.name} was left out: there is nothing behind the id {parts[0]}."
            clips.note(Problem("unreadable_row", sentence, row=line))
        elif parts[0] in found:
            sentence = f"Line {line} of {source.name} was left out: the id {parts[0]} came before."
            clips.note(Problem("duplicate_id", sentence, parts[0], line))
        else:
            found[parts[0]] = parts[1].strip()
    return found


def _numbered(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line.split(maxsplit=1)


def _recording(clip: str, text: str | None, recordings: Recordings, clips: ClipList) -> Path | None:
    """By its path in the list, counted from this folder or the one above; else by its name."""
    if text is not None and text.endswith("|"):  # Kaldi runs such an entry; nothing is run here
        sentence = f"{PATHS} has a command for {clip}, and commands are not run; the recording is looked for by name."
        clips.note(Problem("unreadable_row", sentence, clip))
        text = None
    if text is not None:
        inside = text.removeprefix(f"{recordings.folder.resolve().name}/")
        for candidate in dict.fromkeys((inside, text)):
            path, problem = recordings.at(candidate, clip)
            if path is not None:
                return path
    path, problem = recordings.named(clip)
    clips.note(problem)
    return path
