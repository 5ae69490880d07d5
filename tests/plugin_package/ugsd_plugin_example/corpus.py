"""Recordings sorted into folders that are named after emotions: ``anger/01.wav``, ``sadness/02.wav`` …"""

from __future__ import annotations

from pathlib import Path

from ugsd_core.corpora import Corpus, CorpusClip, CorpusFormat
from ugsd_core.lexicon import EMOTION_LABELS


def recognise(path: Path) -> bool:
    """Whether at least two folders are named after emotions."""
    return path.is_dir() and sum((path / label).is_dir() for label in EMOTION_LABELS) >= 2


def read(path: Path, audio: Path | None, name: str | None, confined: bool) -> Corpus:
    """One clip a file; the folder is its label."""
    title = name or path.name
    files = sorted(file for label in EMOTION_LABELS for file in (path / label).glob("*") if file.is_file())
    clips = [CorpusClip(f"{file.parent.name}-{file.stem}", title, file, label=file.parent.name) for file in files]
    return Corpus(title, "label_folders", tuple(clips), folder=path)


LABEL_FOLDERS = CorpusFormat("label_folders", recognise, read, "folders named after emotions")
