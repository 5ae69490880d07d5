"""The clips of a split: any folder with a ``manifest.csv``, or a folder of such folders.

Manifests are read by `ugsd_core.corpora`, so a calibration, an evaluation and the page see the same clips. What a clip
needs here is a recording and an emotion label.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ugsd_core.corpora.clip import Corpus, CorpusClip, ProblemKind
from ugsd_core.corpora.reading import read_corpus
from ugsd_core.errors import AudioError, OptionError

if TYPE_CHECKING:
    from ugsd_core.audio import Utterance

__all__ = ["draw", "load_clip", "read_clips"]

#: Rows that give no clip. Recordings that are missing are said when the clip's turn comes, captions do not matter.
_LOST: tuple[ProblemKind, ...] = ("unreadable_row", "no_id", "duplicate_id")


def read_clips(
    data: Path, split: str | None = None, corpora: Sequence[str] = (), say: Callable[[str], None] | None = None
) -> list[CorpusClip]:
    """All clips of a split, those without a recording too.

    Args:
        data: A folder with a manifest, or one whose sub-folders have manifests.
        split: As the manifests name it; None takes all. Clips of a manifest without splits belong to every split.
        corpora: Only these sub-folders; all by default.
        say: Called with a sentence for every row that gives no clip.

    Raises:
        OptionError: If there is no manifest, no such corpus, or no clip in the split.
    """
    if not data.is_dir():
        raise OptionError(f"there is no folder {data}; point --data at a folder with manifest.csv, or at one of such")
    folders = [data] if (data / "manifest.csv").is_file() else sorted(p.parent for p in data.glob("*/manifest.csv"))
    if not folders:
        raise OptionError(f"{data} holds no manifest.csv, and neither does any folder in it")
    missing = sorted(set(corpora) - {folder.name for folder in folders})
    if missing:
        names = ", ".join(folder.name for folder in folders)
        raise OptionError(f"there is no corpus {missing[0]!r} in {data}; it has {names}")
    clips = [
        clip
        for folder in folders
        if not corpora or folder.name in corpora
        for clip in _read(folder, say).clips
        if split is None or clip.split in ("", split)
    ]
    if not clips:
        raise OptionError(f"no clip in {data} belongs to the split {split!r}; see the column 'split' of its manifests")
    return clips


def _read(folder: Path, say: Callable[[str], None] | None) -> Corpus:
    corpus = read_corpus(folder, "manifest", confined=False)
    if say is not None:
        for problem in corpus.problems:
            if problem.kind in _LOST:
                say(f"{corpus.name}: {problem.message}")
    return corpus


def load_clip(clip: CorpusClip) -> Utterance:
    """The first 30 s of a clip's recording.

    Raises:
        AudioError: If there is none, or it cannot be captioned.
    """
    from ugsd_core.audio import load_utterance

    if clip.path is None:
        raise AudioError("its recording is not where the manifest says; ugsd corpus lists what is missing", "missing")
    return load_utterance(clip.path, first_30_s=True)


def draw(clips: Sequence[CorpusClip], per_corpus: int | None, seed: int = 0) -> list[CorpusClip]:
    """At most so many clips of each corpus, drawn at random but always the same; all of them for None."""
    if per_corpus is None:
        return list(clips)
    drawn: list[CorpusClip] = []
    for corpus in dict.fromkeys(clip.corpus for clip in clips):
        own = [clip for clip in clips if clip.corpus == corpus]
        random.Random(seed).shuffle(own)
        drawn += own[:per_corpus]
    return drawn
