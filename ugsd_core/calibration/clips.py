"""The clips of a split: any folder with a ``manifest.csv``, or a folder of such folders.

Columns: ``id`` and ``path`` (relative to the manifest) are needed; ``speaker``, ``sex``, ``emotion``, ``intensity``,
``transcript``, ``caption`` and ``split`` are read where they are there. Emotions are labels of `EMOTION_LABELS`, or
words that the emotion tables know; a clip with another emotion keeps none.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ugsd_core.errors import OptionError
from ugsd_core.lexicon import EMOTION_LABELS, emotions_in

__all__ = ["LabelledClip", "draw", "read_clips", "read_manifest"]


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """One recording and what is known of it.

    Attributes:
        id: Unique within the corpus.
        corpus: Name of the folder that holds the manifest.
        speaker: Empty if unknown.
        sex: ``"f"``, ``"m"`` or empty.
        label: One of `EMOTION_LABELS`; None if the corpus doesn't say or means something else.
        caption: A human caption, or empty.
        strong: The actor was asked for strong intensity.
    """

    id: str
    corpus: str
    path: Path
    speaker: str = ""
    sex: str = ""
    label: str | None = None
    transcript: str = ""
    caption: str = ""
    split: str = ""
    strong: bool = False


def read_clips(data: Path, split: str | None = None, corpora: Sequence[str] = ()) -> list[LabelledClip]:
    """All clips of a split.

    Args:
        data: A folder with a manifest, or one whose sub-folders have manifests.
        split: As the manifests name it; None takes all. Clips of a manifest without splits belong to every split.
        corpora: Only these sub-folders; all by default.

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
        for clip in read_manifest(folder)
        if split is None or clip.split in ("", split)
    ]
    if not clips:
        raise OptionError(f"no clip in {data} belongs to the split {split!r}; see the column 'split' of its manifests")
    return clips


def read_manifest(folder: Path) -> list[LabelledClip]:
    """The clips of one folder, in manifest order.

    Raises:
        OptionError: If the manifest can't be read or lacks a column.
    """
    manifest = folder / "manifest.csv"
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OptionError(f"{manifest} can't be read as a table in UTF-8: {error}") from error
    if not rows or not {"id", "path"} <= set(rows[0]):
        raise OptionError(f"{manifest} needs at least one row and the columns 'id' and 'path'")
    return [_clip(folder, row) for row in rows]


def _clip(folder: Path, row: dict[str, str | None]) -> LabelledClip:
    def column(name: str) -> str:
        return (row.get(name) or "").strip()

    return LabelledClip(
        id=column("id"),
        corpus=folder.resolve().name,
        path=folder / column("path"),
        speaker=column("speaker"),
        sex=column("sex"),
        label=_label(column("emotion").lower()),
        transcript=column("transcript"),
        caption=column("caption"),
        split=column("split"),
        strong=column("intensity") == "strong",
    )


def _label(emotion: str) -> str | None:
    if emotion in EMOTION_LABELS:
        return emotion
    found = {*emotions_in(emotion, "en"), *emotions_in(emotion, "zh")}
    return found.pop() if len(found) == 1 else None


def draw(clips: Sequence[LabelledClip], per_corpus: int | None, seed: int = 0) -> list[LabelledClip]:
    """At most so many clips of each corpus, drawn at random but always the same; all of them for None."""
    if per_corpus is None:
        return list(clips)
    drawn: list[LabelledClip] = []
    for corpus in dict.fromkeys(clip.corpus for clip in clips):
        own = [clip for clip in clips if clip.corpus == corpus]
        random.Random(seed).shuffle(own)
        drawn += own[:per_corpus]
    return drawn
