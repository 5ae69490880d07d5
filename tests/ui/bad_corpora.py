"""Corpora that are not in order, each in one way, and one that is."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BAD", "BadCorpus", "make_bad_corpora"]

ROOT = Path(__file__).resolve().parents[2]
_CLIP = ROOT / "assets/examples/slow_low_en.flac"
_HEAD = "id,path,emotion,caption_en,caption_zh"


@dataclass(frozen=True, slots=True)
class BadCorpus:
    """What is wrong, and what the page must say of it.

    Attributes:
        table: Bytes of its ``manifest.csv``.
        clips: Recordings that are there.
        said, in_chinese: Must stand in what the check finds.
        usable: It can be evaluated all the same.
    """

    table: bytes
    said: str
    in_chinese: str
    clips: int = 3
    usable: bool = False


def _row(
    number: int, english: str = "The voice is low; the speaker is sad.", chinese: str = "声音低沉，很悲伤。"
) -> str:
    return f'clip{number},clip{number}.flac,sadness,"{english}","{chinese}"'


def _table(*rows: str, end: str = "\n", encoding: str = "utf-8") -> bytes:
    return (end.join([_HEAD, *rows]) + end).encode(encoding)


_THREE = [_row(number) for number in range(3)]
BAD: dict[str, BadCorpus] = {
    "wrong-columns": BadCorpus(b"file;text\nclip0.flac;sad\n", "column", "列"),
    "no-audio": BadCorpus(_table(*_THREE), "Not one recording was found", "一段录音也没有找到", clips=0),
    "one-clip": BadCorpus(_table(_THREE[0]), "Only 1 clip is usable", "只有 1 段录音可用", usable=True),
    "mixed-languages": BadCorpus(
        _table(_row(0, "", "声音低沉。").replace("sadness", ""), _row(1, "Low.", "").replace("sadness", ""), _row(2)),
        "in Chinese alone", "只有中文", usable=True,
    ),
    "bom": BadCorpus(_table(*_THREE, encoding="utf-8-sig"), "3 of 3 clips", "3 段录音中有 3 段", usable=True),
    "crlf": BadCorpus(_table(*_THREE, end="\r\n"), "3 of 3 clips", "3 段录音中有 3 段", usable=True),
    "gbk": BadCorpus(_table(*_THREE, encoding="gbk"), "not in UTF-8", "不是 UTF-8", usable=True),
}  # fmt: skip


def make_bad_corpora(folder: Path) -> None:
    """A folder a corpus; ``fine`` has nothing wrong."""
    for name, bad in (*BAD.items(), ("fine", BadCorpus(_table(*(_row(number) for number in range(12))), "", "", 12))):
        corpus = folder / name
        corpus.mkdir(parents=True)
        (corpus / "manifest.csv").write_bytes(bad.table)
        for number in range(bad.clips):
            shutil.copyfile(_CLIP, corpus / f"clip{number}.flac")
