"""Pairs from a JSONL file, with an error that a person can mend for whatever is wrong with it.

One JSON object a line: ``id``, ``hypothesis``, ``references`` (a list) or ``reference`` (one text); ``label``,
``speaker`` and ``system`` if known, anything else is left alone. ``clips.jsonl`` of a run folder is such a file, and
the folder may be named in its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ugsd_core.errors import OptionError
from ugsd_core.evaluation.records import CLIPS_FILE
from ugsd_core.lexicon import EMOTION_LABELS, label_words
from ugsd_core.metrics.score import CaptionPair

__all__ = ["PairFile", "language_warning", "read_pairs", "shared_clips"]


@dataclass(frozen=True, slots=True)
class PairFile:
    """What a file holds of one system.

    Attributes:
        speakers: One for each pair; empty where unknown.
        warnings: Sentences about what was left out.
    """

    pairs: tuple[CaptionPair, ...]
    speakers: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def read_pairs(path: Path, system: str | None = None) -> PairFile:
    """Read a file of pairs, or ``clips.jsonl`` of a run folder.

    Args:
        system: Whose captions, where the rows name several systems.

    Raises:
        OptionError: If the file can't be used; the sentence names the line and what to do.
    """
    if path.is_dir():
        path = path / CLIPS_FILE
    rows = _of_system(_rows(path), system, path)
    found: dict[str, tuple[int, CaptionPair, str]] = {}
    failed: dict[str, bool] = {}
    for number, row in rows:
        pair = _pair(row, f"line {number} of {path.name}")
        if pair.id in found and "schema" not in row:  # in a run folder the later line counts
            raise OptionError(
                f"line {number} of {path.name} has the id {pair.id!r} of line {found[pair.id][0]} again; "
                "give every clip its own"
            )
        found[pair.id] = (number, pair, str(row.get("speaker") or ""))
        failed[pair.id] = row["hypothesis"] is None
    kept = [(pair, speaker) for _, pair, speaker in found.values() if not failed[pair.id]]
    if not kept:
        raise OptionError(f"all captions of {path.name} failed (their hypothesis is null); there is nothing to score")
    pairs = tuple(pair for pair, _ in kept)
    if not any(pair.references or pair.label for pair in pairs):
        raise OptionError(
            f"no row of {path.name} has a reference; add a list 'references' of human captions to the rows"
        )
    return PairFile(
        pairs, tuple(speaker for _, speaker in kept), tuple(_warnings(pairs, [name for name in failed if failed[name]]))
    )


def _warnings(pairs: tuple[CaptionPair, ...], failed: list[str]) -> Iterable[str]:
    if failed:
        yield f"left out, because they failed (hypothesis null), {_count(failed, 'caption')}: {_some(failed)}"
    if bare := [pair.id for pair in pairs if not any(r.strip() for r in pair.references)]:
        yield f"without a reference, and left out where one is needed, {_count(bare, 'clip')}: {_some(bare)}"
    if empty := [pair.id for pair in pairs if not pair.hypothesis.strip()]:
        yield f"empty, and scored 0, {_count(empty, 'caption')}: {_some(empty)}"
    if odd := sorted({pair.label for pair in pairs if pair.label and pair.label not in EMOTION_LABELS}):
        yield f"labels that are no emotion here count as none: {_some(odd)} (known: {', '.join(EMOTION_LABELS)})"


def _count(names: list[str], what: str) -> str:
    return f"{len(names)} {what}{'s' if len(names) != 1 else ''}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")


# ── Lines ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Line numbers and objects."""
    text = _text(path)
    if not text.strip():
        raise OptionError(f"{path.name} is empty; it needs one JSON object a line with id, hypothesis, references")
    # Not splitlines: it also splits at characters that JSON allows inside a string.
    lines = text.split("\n")
    rows: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines) and rows and "schema" in rows[0][1]:
                break  # the run was killed while it wrote this
            raise OptionError(_not_json(path, number, line, error)) from None
        if not isinstance(row, dict):
            raise OptionError(
                f"line {number} of {path.name} is no JSON object; each line is one, such as "
                '{"id": "1", "hypothesis": "…", "references": ["…"]}'
            )
        rows.append((number, row))
    return rows


def _not_json(path: Path, number: int, line: str, error: json.JSONDecodeError) -> str:
    if number == 1 and line.strip() in ("[", "{"):
        return f"{path.name} is one JSON document over several lines; write one object a line, without the list around"
    if number == 1 and line.lstrip()[:1] not in "{[":
        return f"{path.name} is no JSON Lines file: its first line begins with {line.strip()[:20]!r}, not with {{"
    return f"line {number} of {path.name} is no JSON ({error.msg} at character {error.pos + 1}); mend or delete it"


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise OptionError(f"there is no file {path}; name a JSONL file of pairs or a run folder") from None
    except OSError as error:
        raise OptionError(f"{path} can't be read: {error.strerror}") from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise OptionError(f"{path.name} is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 {path.name} > utf8.jsonl")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
    try:
        data.decode("gb18030")
    except UnicodeDecodeError:
        raise OptionError(f"line {line} of {path.name} is not UTF-8; save the file as UTF-8") from None
    raise OptionError(
        f"{path.name} is not UTF-8 (line {line}) but looks like GBK; convert it: "
        f"iconv -f GB18030 -t UTF-8 {path.name} > utf8.jsonl"
    )


# ── Rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _of_system(
    rows: list[tuple[int, dict[str, Any]]], system: str | None, path: Path
) -> list[tuple[int, dict[str, Any]]]:
    names = list(dict.fromkeys(str(row["system"]) for _, row in rows if row.get("system") is not None))
    if system is None:
        if len(names) > 1:
            raise OptionError(f"{path.name} holds {len(names)} systems; choose one with --system: {', '.join(names)}")
        return rows
    if system not in names:
        held = f"it holds {', '.join(names)}" if names else "its rows name no system"
        raise OptionError(f"{path.name} has no captions of a system {system!r}; {held}")
    return [(number, row) for number, row in rows if row.get("system") == system]


def _pair(row: dict[str, Any], where: str) -> CaptionPair:
    missing = [name for name in ("id", "hypothesis") if name not in row]
    if missing:
        raise OptionError(f"{where} has no {' and no '.join(missing)}, only {', '.join(row)}; rename the columns")
    name, hypothesis, label = row["id"], row["hypothesis"], row.get("label")
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        raise OptionError(f"the id in {where} is {name!r}; it has to be a text or a whole number")
    if not isinstance(hypothesis, str | None):
        raise OptionError(f"the hypothesis in {where} is no text; write one caption as a text")
    if not isinstance(label, str | None):
        raise OptionError(f"the label in {where} is no text; write one of {', '.join(EMOTION_LABELS)}")
    return CaptionPair(str(name), hypothesis or "", _references(row, where), _label(label))


def _references(row: dict[str, Any], where: str) -> tuple[str, ...]:
    found = row.get("references")
    if isinstance(found, str):
        raise OptionError(f"references in {where} is a text; make it a list, [\"…\"], or name the column 'reference'")
    if found is None and isinstance(row.get("reference"), str):
        return (row["reference"],)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise OptionError(f'references in {where} is no list of texts; write it as ["…", "…"]')
    return tuple(found)


def _label(label: str | None) -> str | None:
    """A label by any word the lexicon knows for it ("angry", "愤怒"); others as they are."""
    word = (label or "").strip().lower()
    if not word or word in EMOTION_LABELS:
        return word or None
    return label_words("en").get(word) or label_words("zh").get(word) or word


# ── Several files ─────────────────────────────────────────────────────────────────────────────────────────────────


def shared_clips(one: PairFile, other: PairFile) -> tuple[PairFile, PairFile]:
    """Both files on the clips that both have, in the order of the first, and what that left out.

    Raises:
        OptionError: If they have no clip in common.
    """
    theirs = {pair.id: pair for pair in other.pairs}
    kept = [n for n, pair in enumerate(one.pairs) if pair.id in theirs]
    if not kept:
        raise OptionError("the two files have no id in common; only captions of the same clips can be compared")
    warnings = []
    if lost := len(one.pairs) + len(other.pairs) - 2 * len(kept):
        warnings.append(f"in one of the files only, and left out of the comparison: {lost} of their rows")
    first = tuple(one.pairs[n] for n in kept)
    second = tuple(theirs[pair.id] for pair in first)
    if unlike := [a.id for a, b in zip(first, second, strict=True) if set(a.references) != set(b.references)]:
        warnings.append(f"with other references in the second file, {_count(unlike, 'clip')}: {_some(unlike)}")
    speakers = tuple(one.speakers[n] for n in kept)
    return PairFile(first, speakers, tuple(warnings)), PairFile(second, speakers)


def language_warning(pairs: tuple[CaptionPair, ...], language: str) -> str | None:
    """A sentence if most of the letters are of the other language's script."""
    for what, texts in (
        ("captions", [pair.hypothesis for pair in pairs]),
        ("references", [text for pair in pairs for text in pair.references]),
    ):
        letters = [c for text in texts for c in text if c.isalpha()]
        chinese = sum("\u3400" <= c <= "\u9fff" for c in letters)
        if letters and (chinese > len(letters) / 3) != (language == "zh"):
            found, name = ("Chinese", "zh") if language == "en" else ("not Chinese", "en")
            return f"the {what} are mostly {found}; --language {name} would read them as they are written"
    return None
