"""A campaign's items from what is there: a run folder of an evaluation, traces, or a manifest.

What can't be used is a sentence in `Found.problems`, never a caption that is silently missing.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ugsd_core.annotations.answers import checked_answer
from ugsd_core.annotations.campaign import Item, NewItem, item_id, word_tokens
from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.taxonomy import Taxonomy
from ugsd_core.errors import TraceError
from ugsd_core.evaluation.records import CLIPS_FILE, ClipLine, read_lines
from ugsd_core.messages import CaptionStarted, Event
from ugsd_core.result import caption_result
from ugsd_core.traces import read_trace

__all__ = ["Found", "from_manifest", "from_run", "from_traces", "item_of_line", "run_tokens", "with_gold"]

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".mp4")


@dataclass(frozen=True, slots=True)
class Found:
    """Items of a source, and what is wrong with it."""

    items: tuple[NewItem, ...]
    problems: tuple[str, ...] = ()


def from_run(campaign: str, folder: Path, *, systems: Sequence[str] = (), audio: Path | None = None) -> Found:
    """Captions of an evaluation, in the order of its clips.

    Args:
        systems: Only these; empty takes all.
        audio: Corpus folder that the lines' paths are relative to.

    Raises:
        AnnotationError: If there is no run, or a system that is not in it was named.
    """
    lines = read_lines(folder / CLIPS_FILE)
    if not lines:
        raise AnnotationError(f"there is no {CLIPS_FILE} with captions in {folder}; name the folder of a run", "run")
    there = list(dict.fromkeys(line.system for line in lines))
    if missing := [name for name in systems if name not in there]:
        raise AnnotationError(f"the run has no system {missing[0]!r}; it has {', '.join(there)}", "system")
    items, problems = [], []
    for line in lines:
        if systems and line.system not in systems:
            continue
        if not (line.hypothesis or "").strip():
            problems.append(f"{line.id} by {line.system} has no caption: {line.error or 'it is empty'}")
            continue
        new, problem = item_of_line(campaign, line, folder, audio)
        items.append(new)
        problems += problem
    return Found(tuple(items), tuple(problems))


def item_of_line(campaign: str, line: ClipLine, folder: Path, audio: Path | None) -> tuple[NewItem, list[str]]:
    """One line of a run as an item; also for a row that is sent from the Evaluation tab.

    Args:
        folder: The run folder, where the line's trace lies.
        audio: Corpus folder; None if the line's path is whole.
    """
    problems = []
    events: tuple[Event, ...] = ()
    if line.trace:
        try:
            events = tuple(read_trace(folder / line.trace, allow_cut=True))
        except TraceError as error:
            problems.append(str(error))
    sound = _existing(line.path, audio)
    if sound is None:
        problems.append(f"{line.id}: its recording {line.path or '(unnamed)'} was not found; name the corpus folder")
    caption = line.hypothesis or ""
    item = Item(
        id=item_id(campaign, line.corpus, line.id, line.system),
        caption=caption,
        language=line.language,
        tokens=run_tokens(caption, events),
        clip=line.id,
        corpus=line.corpus,
        system=line.system,
        duration_s=line.duration_s,
        references=line.references,
        label=line.label,
    )
    return NewItem(item, sound, events), problems


def from_traces(campaign: str, paths: Sequence[Path], *, audio: Path | None = None) -> Found:
    """Captions of recorded runs; a folder stands for all its ``*.jsonl``.

    Args:
        audio: Folder of recordings, named like the traces.

    Raises:
        AnnotationError: If there is no trace.
    """
    files = [file for path in paths for file in (sorted(path.glob("**/*.jsonl")) if path.is_dir() else [path])]
    if not files:
        raise AnnotationError("there are no traces; name files that caption --trace wrote, or their folder", "traces")
    items, problems = [], []
    for file in files:
        try:
            events = tuple(read_trace(file))
            result = caption_result(events)
        except TraceError as error:
            problems.append(str(error))
            continue
        if not result.caption.strip():
            problems.append(f"{file.name} holds no caption")
            continue
        started = events[0]
        assert isinstance(started, CaptionStarted)  # caption_result has refused anything else
        item = Item(
            id=item_id(campaign, started.utterance_id, result.mode, file.stem, result.caption),
            caption=result.caption,
            language=result.language,
            tokens=run_tokens(result.caption, events),
            clip=file.stem,
            system=result.mode,
            duration_s=started.duration_s,
        )
        items.append(NewItem(item, _named_like(file.stem, audio), events))
    return Found(tuple(items), tuple(problems))


def from_manifest(campaign: str, path: Path, *, audio: Path | None = None) -> Found:
    """Captions from a table: CSV with a header, or JSON lines. ``id`` and ``caption``, and where known ``path``,
    ``language`` (en), ``system``, ``corpus``, ``duration_s``, ``label``, ``reference``.

    Args:
        audio: Folder that paths are relative to; the manifest's own by default.

    Raises:
        AnnotationError: If it can't be read.
    """
    items, problems, seen = [], [], set()
    for number, row in _rows(path):
        values = {key: str(value).strip() for key, value in row.items() if key and value is not None}
        clip, caption = values.get("id", ""), values.get("caption", "")
        key = item_id(campaign, values.get("corpus", ""), clip, values.get("system", ""))
        if not clip or not caption or key in seen:
            why = "comes twice" if key in seen and clip else f"has no {'caption' if clip else 'id'}"
            problems.append(f"line {number} of {path.name} {why}")
            continue
        seen.add(key)
        sound = _existing(values.get("path", ""), audio or path.parent)
        if sound is None and values.get("path"):
            problems.append(f"{clip}: its recording {values['path']} was not found")
        item = Item(
            id=key,
            caption=caption,
            language=values.get("language") or "en",
            tokens=word_tokens(caption),
            clip=clip,
            corpus=values.get("corpus", ""),
            system=values.get("system", ""),
            duration_s=_number(values.get("duration_s")),
            references=(values["reference"],) if values.get("reference") else (),
            label=values.get("label") or None,
        )
        items.append(NewItem(item, sound))
    return Found(tuple(items), tuple(problems))


def with_gold(found: Found, path: Path, taxonomy: Taxonomy) -> Found:
    """Items with the answers that are expected of some of them.

    Args:
        path: JSON lines: ``id`` of the clip, ``system`` where several captioned it, and an answer (``verdict``,
            ``flags`` …).

    Raises:
        AnnotationError: If an answer is none, or fits no item.
    """
    items = list(found.items)
    for number, row in _rows(path):
        places = [
            place
            for place, new in enumerate(items)
            if new.item.clip == row.get("id") and row.get("system", new.item.system) == new.item.system
        ]
        if len(places) != 1:
            raise AnnotationError(
                f"line {number} of {path.name} names {len(places)} captions; give the id of a clip, and the system "
                "where several captioned it",
                "gold",
            )
        new = items[places[0]]
        answer = {key: value for key, value in row.items() if key not in ("id", "system")}
        gold = checked_answer(answer, taxonomy, new.item, complete=True).to_dict()
        items[places[0]] = replace(new, item=replace(new.item, gold=gold))
    return replace(found, items=tuple(items))


def run_tokens(caption: str, events: Sequence[Event]) -> tuple[str, ...]:
    """Tokens of the run, so that a flag's place is one on its strip too; words where there is no run."""
    if events:
        tokens = tuple(token.text for token in caption_result(events).committed)
        if "".join(tokens) == caption:
            return tokens
    return word_tokens(caption)


def _existing(name: str, folder: Path | None) -> Path | None:
    if not name:
        return None
    path = Path(name) if folder is None else folder / name
    return path if path.is_file() else None


def _named_like(stem: str, folder: Path | None) -> Path | None:
    if folder is None:
        return None
    return next((path for suffix in AUDIO_SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Line number and values."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix in (".jsonl", ".json"):
                for number, line in enumerate(file, 1):
                    if line.strip():
                        row = json.loads(line)
                        if not isinstance(row, dict):
                            raise ValueError(f"line {number} is no object")
                        yield number, row
            else:
                yield from enumerate(csv.DictReader(file), 2)
    except (OSError, ValueError, csv.Error) as error:
        raise AnnotationError(f"{path} can't be read: {error}", "manifest") from error


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
