"""Any corpus with a ``manifest.csv``: one row a clip.

Needed columns are ``id`` and ``path`` (relative to the manifest). Read where they are there: ``caption``,
``caption_en``, ``caption_zh`` (further references in ``caption_en_2``, ``caption_en_3`` …), ``language``, ``emotion``,
``intensity``, ``speaker``, ``sex``, ``transcript``, ``split``. Other columns are nobody's business. ``docs/corpora.md``
says what each may hold.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from ugsd_core.corpora.clip import Corpus, CorpusClip, Problem
from ugsd_core.corpora.recordings import Recordings
from ugsd_core.corpora.rows import ClipList, label_of, script_of
from ugsd_core.corpora.tables import Row, header_of, read_table
from ugsd_core.errors import OptionError

__all__ = ["MANIFEST", "SIGNS", "read", "recognise", "table_of"]

MANIFEST = "manifest.csv"
SIGNS = "a manifest.csv with the columns id and path"
_KNOWN = (
    *("id", "path", "caption", "caption_en", "caption_zh", "language", "emotion", "intensity", "speaker", "sex"),
    *("transcript", "split", "duration_s"),
)
_CAPTION = re.compile(r"caption(?:_(en|zh))?(?:_(\d+))?")
_LANGUAGES = {
    "en": ("en", "eng", "english", "英文", "英语"),
    "zh": ("zh", "cn", "chi", "zho", "cmn", "chinese", "mandarin", "中文", "汉语", "普通话"),
}
_LANGUAGE_OF = {word: code for code, words in _LANGUAGES.items() for word in words}
_SEXES = {"f": "f", "female": "f", "woman": "f", "女": "f", "m": "m", "male": "m", "man": "m", "男": "m"}


def table_of(path: Path) -> Path:
    """The manifest of a folder, or the path itself if it is a file.

    Raises:
        OptionError: If the folder has none.
    """
    if not path.is_dir():
        return path
    found = path / MANIFEST
    if not found.is_file():
        raise OptionError(f"{path} holds no {MANIFEST}; it needs {SIGNS}")
    return found


def recognise(path: Path) -> bool:
    """Whether there is a manifest; one with the wrong columns counts, so that the reader can say what it lacks."""
    if path.is_dir():
        return (path / MANIFEST).is_file()
    return path.name.lower() == MANIFEST or {"id", "path"} <= set(header_of(path))


def read(path: Path, audio: Path | None, name: str | None, confined: bool) -> Corpus:
    """See `ugsd_core.corpora.read_corpus`."""
    source = table_of(path)
    table = read_table(
        source, _KNOWN, "id path", say="; id names the clip, and path its recording from the manifest's folder"
    )
    if not table.rows and not table.problems:
        raise OptionError(f"{source} has a header and nothing below it; it needs at least one row")
    captions = _caption_columns(table.columns)
    recordings = Recordings(source.parent, audio, confined=confined)
    title = name or source.parent.resolve().name
    clips = ClipList(source.name, table.problems)
    for row in table.rows:
        if clips.claim(row["id"], row.line):
            clips.add(_clip(row, captions, recordings, clips, title), row.line)
    return clips.corpus(title, "manifest", source.parent)


def _caption_columns(columns: tuple[str, ...]) -> list[tuple[str, str]]:
    """Caption columns in the order of their numbers, each with its language; empty if the row has to say."""
    found = [(column, match) for column in columns if (match := _CAPTION.fullmatch(column))]
    found.sort(key=lambda entry: int(entry[1][2] or 1))
    return [(column, match[1] or "") for column, match in found]


def _clip(
    row: Row, captions: list[tuple[str, str]], recordings: Recordings, clips: ClipList, corpus: str
) -> CorpusClip:
    clip = row["id"]
    path, problem = recordings.at(row["path"], clip)
    if problem is not None:
        clips.note(replace(problem, row=row.line))
    references: dict[str, list[str]] = {}
    for column, language in captions:
        text = " ".join(row[column].split())
        its_language = language or (_language(text, row, clips) if text else "")
        if text and its_language and text not in references.get(its_language, ()):
            references.setdefault(its_language, []).append(text)
    return CorpusClip(
        id=clip,
        corpus=corpus,
        path=path,
        references={language: tuple(texts) for language, texts in sorted(references.items())},
        label=_label(row, clips),
        speaker=row["speaker"],
        sex=_SEXES.get(row["sex"].lower(), ""),
        transcript=row["transcript"],
        split=row["split"],
        strong=row["intensity"].lower() == "strong",
    )


def _language(caption: str, row: Row, clips: ClipList) -> str:
    """The language of a caption whose column does not name it; empty if it is none that is scored."""
    said = row["language"].lower().replace("_", "-").split("-")[0]
    script = script_of(caption)
    if not said:
        return script
    language = _LANGUAGE_OF.get(said, "")
    clip, line = row["id"], row.line
    if not language:
        sentence = (
            f"The caption of {clip} is in the language {row['language']!r}, and captions are scored in en and zh; if "
            "that is the language of the speech alone, name the column caption_en or caption_zh."
        )
        clips.note(Problem("unknown_language", sentence, clip, line))
        return ""
    if script and script != language:
        names = {"en": "English", "zh": "Chinese"}
        sentence = (
            f"The caption of {clip} is written in {names[script]}, and its row says {row['language']}; it was taken "
            f"as {names[script]}. Name the column caption_{script} if that is right."
        )
        clips.note(Problem("language_mismatch", sentence, clip, line))
        return script
    return language


def _label(row: Row, clips: ClipList) -> str | None:
    emotion = row["emotion"]
    label = label_of(emotion) if emotion else None
    if emotion and label is None:
        sentence = (
            f"The emotion {emotion!r} of {row['id']} is none of the labels here, so the clip counts without one; "
            "docs/corpora.md lists them."
        )
        clips.note(Problem("unknown_emotion", sentence, row["id"], row.line))
    return label
