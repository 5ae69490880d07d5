"""Corpora made by hand: sentences of our own in the shapes that real ones have."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["CHINESE", "ENGLISH", "emer_csv", "manifest", "recording", "recordings", "secap"]

VIDEO = "In the video, a man waits at a bus stop. He looks at his watch twice."
ENGLISH = (
    f"{VIDEO} In the audio, the man speaks wearily, with a long sigh. In the text, the subtitle says, "
    '"The bus is late again." He may be tired.'
)
CHINESE = (
    "在视频中，一位男士在等车。他看了两次手表。；在音频中，男士说得有气无力，还叹了口气。；"
    "在文本中，字幕内容：“车又晚点了。” 他可能累了。；"
)


def recording(path: Path) -> Path:
    """A file with a byte in it: readers look at names alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def recordings(folder: Path, names: Iterable[str]) -> Path:
    """Several of them."""
    for name in names:
        recording(folder / name)
    return folder


def table(rows: Iterable[Sequence[str]], delimiter: str = ",", end: str = "\n") -> str:
    """Rows as a CSV file holds them."""
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(rows)
    return file.getvalue()


def emer_csv(folder: Path, rows: Iterable[tuple[str, str, str]]) -> Path:
    """A folder with ``final-EMER-reason.csv``; rows are name, Chinese, English."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "final-EMER-reason.csv"
    path.write_text(table([("name", "chinese", "english"), *rows]), encoding="utf-8", newline="")
    return folder


def manifest(folder: Path, text: str, names: Iterable[str] = (), encoding: str = "utf-8") -> Path:
    """A folder with ``manifest.csv`` and recordings of some names."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.csv").write_bytes(text.encode(encoding))
    return recordings(folder, names)


def secap(folder: Path, captions: str, paths: str | None = None, transcripts: str | None = None) -> Path:
    """A folder in SECap's layout."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fid2captions.json").write_text(captions, encoding="utf-8")
    for name, text in (("wav.scp", paths), ("text.txt", transcripts)):
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")
    return folder
