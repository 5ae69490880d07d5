"""MER2024/EMER: ``final-EMER-reason.csv`` and a folder of recordings.

Each row describes a clip in one paragraph a language that goes through what is seen, heard and said. Only what is heard
is a reference for captions of speech, so the **audio clue** is cut out of it (`audio_clue`). The recordings come under
the MER licence agreement and are found by name: ``NAME.wav``, ``NAME.mp4`` …

The paragraphs were written by a program and put right by people, and not all of them keep to the form: clues in lower
case behind a semicolon, whole paragraphs twice, a subtitle that is introduced in other words, a clue left blank.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from ugsd_core.corpora.clip import Corpus, CorpusClip, Problem
from ugsd_core.corpora.recordings import Recordings
from ugsd_core.corpora.rows import ClipList
from ugsd_core.corpora.tables import Row, header_of, read_table
from ugsd_core.errors import OptionError

__all__ = ["SIGNS", "TABLE", "audio_clue", "read", "recognise", "says_nothing"]

TABLE = "final-EMER-reason.csv"
SIGNS = f"{TABLE} with the columns name, chinese and english"
_COLUMNS = {"english": "en", "chinese": "zh"}

# ── Cutting the audio clue out ────────────────────────────────────────────────────────────────────────────────────

_ENGLISH_START = re.compile(r"\b(?:in|from)\s+the\s+audio(?:\s+(?:clip|track|part|clues?))?\b\s*[,:;]?\s*", re.I)
# The part about the words that are spoken. "Combined with the text content" belongs to the clue.
_ENGLISH_END = re.compile(
    r"\b(?:in|from)\s+(?:both\s+)?the\s+(?:text|subtitles?|captions?|transcript)\b"
    r"|(?:(?<=[.;!?\"”'’])|^|(?<=\n))\s*the\s+(?:subtitles?|text)\b(?=[^.]{0,40}\b(?:says?|reads?|states?|is|are|content)\b)"
    r"|\bin\s+the\s+(?:video|visual)\b(?=\s*[,:])",
    re.I,
)
_CHINESE_START = re.compile(r"(?:在|从)音频(?:中|里|线索中)?\s*[，,：:、]?\s*")
# The closing semicolon; or, where it is missing, the next part.
_CHINESE_END = re.compile(
    r"[；;]\s*(?=$|(?:在|从)(?:文本|字幕|视频))|(?:在|从)(?:文本|字幕)(?:内容)?(?:中|里|上|，|,)|[；;]"
)
_CHINESE_NEXT = re.compile(r"(?:在|从)(?:文本|字幕)(?:内容)?(?:中|里|上|，|,)")
_WORD = re.compile(r"\w")
_EDGES = " \t\r\n,，;；、"


def audio_clue(text: str, language: str) -> str:
    """What a paragraph says about the voice, without the words that introduce it; empty if it says nothing.

    English: from "In the audio" until the part about the text or the subtitle begins. Chinese: from 在音频中 to the
    closing ；. The first such part counts.

    Args:
        language: ``"en"`` or ``"zh"``.
    """
    start, end = (_ENGLISH_START, _ENGLISH_END) if language == "en" else (_CHINESE_START, _CHINESE_END)
    found = _opening(text, start, language)
    if found is None:
        return ""
    rest = text[found.end() :]
    over = end.search(rest)
    clue = " ".join(rest[: over.start() if over else len(rest)].split()).strip(_EDGES)
    if not _WORD.search(clue):  # "…" and the like
        return ""
    return clue[0].upper() + clue[1:]


def _opening(text: str, start: re.Pattern[str], language: str) -> re.Match[str] | None:
    """Where the part about the audio begins: at the beginning of a sentence or clause, not inside another one."""
    for found in start.finditer(text):
        before = text[: found.start()].rstrip()
        if not before or before[-1] in ".;!?:\"'”’。；！？：》)）" or "\n" in text[len(before) : found.start()]:
            return found
    return None


# ── Clues that say nothing ────────────────────────────────────────────────────────────────────────────────────────

_ENGLISH_NOTHING = re.compile(
    r"it (?:is|was) (?:impossible|not possible|difficult|hard) to (?:determine|judge|infer|perceive|tell|identify)\b"
    r"|(?:the )?(?:(?:character|person|speaker)(?:'s|s') )?emotion(?:al state|s)? "
    r"(?:cannot|can't) be (?:determined|judged)\b"
    r"|there (?:are|is) no (?:valuable|useful) (?:emotional )?clues?\b"
    r"|no (?:valuable|useful) (?:emotional )?clues? (?:are|is)\b",
    re.I,
)
_CHINESE_NOTHING = re.compile(
    r"(?:无法|不能|难以|很难)(?:根据|从|通过)?(?:语音|音频|声音)?(?:对|中)?[^，。；]{0,8}?(?:判断|推理|推断|感知|确定|得知)"
    r"|(?:没有|未|未能)提供(?:任何)?(?:有价值|有用)?的?情感线索"
)


def says_nothing(clue: str, language: str) -> bool:
    """Whether a clue says that nothing can be told from the voice, and nothing else."""
    pattern = _ENGLISH_NOTHING if language == "en" else _CHINESE_NOTHING
    sentences = [part for part in re.split(r"[.。!?！？]", clue) if part.strip()]
    return len(sentences) == 1 and pattern.match(sentences[0].strip()) is not None


# ── The corpus ────────────────────────────────────────────────────────────────────────────────────────────────────


def recognise(path: Path) -> bool:
    """Whether there is such a table."""
    return _table(path) is not None


def _table(path: Path) -> Path | None:
    """The table in a folder, under its own name or any other; the path itself if it is one."""
    candidates = (
        [path] if path.is_file() else sorted(path.glob("*.[cC][sS][vV]"), key=lambda p: (p.name != TABLE, p.name))
    )
    for candidate in candidates:
        columns = header_of(candidate)
        if "name" in columns and (candidate.name == TABLE or set(_COLUMNS) & set(columns)):
            return candidate
    return None


def read(path: Path, audio: Path | None, name: str | None, confined: bool) -> Corpus:
    """See `ugsd_core.corpora.read_corpus`.

    Raises:
        OptionError: If there is no such table, or it cannot be read.
    """
    source = _table(path) or (path if path.is_file() else path / TABLE)
    if not source.is_file():
        raise OptionError(f"{path} holds no {TABLE}; name the folder that does, or the table itself")
    table = read_table(source, ("name", *_COLUMNS), "name", say=f"; it should be {SIGNS}")
    if not set(_COLUMNS) & set(table.columns):
        raise OptionError(f"{source} has no column 'chinese' or 'english'; it should be {SIGNS}")
    recordings = Recordings(source.parent, audio, confined=confined)
    title = name or "mer2024"
    clips = ClipList(source.name, table.problems)
    for row in table.rows:
        if clips.claim(row["name"], row.line):
            path_, problem = recordings.named(row["name"])
            if problem is not None:
                clips.note(replace(problem, row=row.line))
            clips.add(CorpusClip(row["name"], title, path_, _references(row, table.columns, clips)), row.line)
    return clips.corpus(title, "mer2024", source.parent)


def _references(row: Row, columns: tuple[str, ...], clips: ClipList) -> dict[str, tuple[str, ...]]:
    clues = {code: audio_clue(row[column], code) for column, code in _COLUMNS.items() if column in columns}
    references: dict[str, tuple[str, ...]] = {code: (clue,) for code, clue in sorted(clues.items()) if clue}
    lacking = [code for code, clue in clues.items() if not clue]
    if lacking and references:
        sentence = f"{row['name']} says nothing about the audio in {' and '.join(lacking)}."
        clips.note(Problem("no_reference", sentence, row["name"], row.line))
    empty = [code for code, (clue,) in references.items() if says_nothing(clue, code)]
    if empty:
        sentence = (
            f"The reference of {row['name']} says that nothing can be told from the voice ({', '.join(empty)}); a "
            "caption can only be unlike it."
        )
        clips.note(Problem("uninformative", sentence, row["name"], row.line))
    return references
