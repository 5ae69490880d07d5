"""A campaign as files for others: events, current answers, a table, and a folder that Hugging Face `datasets` loads.

    OUT/manifest.json       what this is, counts, and SHA-256 and size of every other file
    OUT/events.jsonl        every event of the campaign; `imports.import_campaign` makes an equal store of it
    OUT/latest.jsonl        the answers in force (submitted or skipped), a line each
    OUT/gold.jsonl          what reviewers said, and the answers expected of gold items
    OUT/answers.csv         latest.jsonl for a spreadsheet, a column for each kind of flag
    OUT/dataset/            README.md (the card), metadata.csv and audio/: an ``audiofolder``
    OUT/traces/             the runs, where there are any

Nothing in it depends on when or where it was written: the same events give the same bytes.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ugsd_core.annotations.campaign import Campaign, Item
from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.events import canonical_json
from ugsd_core.annotations.hub_folder import write_hub_folder
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.pseudonyms import Pseudonyms
from ugsd_core.annotations.reading import Reader
from ugsd_core.annotations.state import AnswerState
from ugsd_core.annotations.store import Store

__all__ = ["EXPORT_SCHEMA", "Exported", "export_campaign", "latest_rows"]

#: Counts up when an import could no longer make sense of an export.
EXPORT_SCHEMA = 1
MANIFEST, EVENTS, LATEST, GOLD, ANSWERS = "manifest.json", "events.jsonl", "latest.jsonl", "gold.jsonl", "answers.csv"


Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        counts: ``events``, ``items``, ``items_with_audio``, ``annotators``, ``submitted``, ``skipped``, ``drafts``,
            ``gold``.
        problems: Recordings that are not where they should be.
    """

    folder: Path
    counts: dict[str, int]
    problems: tuple[str, ...]


def export_campaign(
    store: Store, media: Media, campaign: str, out: Path, *, hashed: bool = False, audio: bool = True
) -> Exported:
    """Write a campaign into a new folder, which appears when it is whole.

    Args:
        hashed: Names of people are replaced by pseudonyms; texts that they wrote are not changed.
        audio: Recordings and runs too.

    Raises:
        AnnotationError: If the campaign is unknown, or the folder is there and not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AnnotationError(f"{out} is not empty; name a new folder for the export", "not_empty")
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    try:
        with store.reading() as tx:
            counts, problems = _write(tx, media, campaign, beside, hashed=hashed, audio=audio)
        if out.is_dir():
            out.rmdir()
        beside.chmod(0o755)
        beside.rename(out)
    except OSError as error:
        raise AnnotationError(f"the export {out} can't be written: {error.strerror or error}", "export") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Exported(out, counts, tuple(problems))


def _write(
    tx: Reader, media: Media, name: str, folder: Path, *, hashed: bool, audio: bool
) -> tuple[dict[str, int], list[str]]:
    campaign = Campaign.from_dict(name, tx.campaign(name))
    people = Pseudonyms.of(tx, name) if hashed else Pseudonyms(None)
    items = [Item.from_dict(item, body) for item, body in tx.items(name)]
    rows = list(latest_rows(tx, campaign, items, people))
    gold = _gold_rows(tx, name, items, people)
    events, last = _write_events(tx, name, people, folder / EVENTS)
    _jsonl(folder / LATEST, rows)
    _jsonl(folder / GOLD, gold)
    _write_csv(folder / ANSWERS, rows, gold, [kind.id for kind in campaign.taxonomy.kinds])
    problems = _write_traces(media, name, items, folder / "traces") if audio else []
    sounds = write_hub_folder(folder / "dataset", campaign, items, rows, gold, media if audio else None, problems)
    by_status = Counter(state.status for state in tx.answers(name))
    counts = {
        "events": events,
        "items": len(items),
        "items_with_audio": sounds,
        "annotators": len({row["annotator"] for row in rows}),
        "submitted": by_status["submitted"],
        "skipped": by_status["skipped"],
        "drafts": by_status["draft"],
        "gold": len(gold),
    }
    manifest = {
        "ugsd_annotation_export": EXPORT_SCHEMA,
        "campaign": name,
        "title": campaign.title,
        "taxonomy": campaign.taxonomy.label,
        "annotators_hashed": hashed,
        "last_event_at": last,
        "counts": counts,
        "files": _files(folder),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return counts, problems


def latest_rows(tx: Reader, campaign: Campaign, items: Iterable[Item], people: Pseudonyms) -> Iterable[dict[str, Any]]:
    """The answers in force, by item in the campaign's order and annotator; a skip is the verdict ``"skip"``."""
    by_item: dict[str, list[AnswerState]] = {}
    for state in tx.answers(campaign.id):
        if state.status in ("submitted", "skipped"):
            by_item.setdefault(state.item, []).append(state)
    for item in items:
        found = [(people.name(state.annotator), state) for state in by_item.get(item.id, ())]
        for annotator, state in sorted(found, key=lambda pair: pair[0]):
            answer = state.answer or {}
            yield {
                "item": item.id,
                "clip": item.clip,
                "corpus": item.corpus,
                "system": item.system,
                "language": item.language,
                "caption": item.caption,
                "annotator": annotator,
                "verdict": answer.get("verdict", "skip"),
                "flags": answer.get("flags", []),
                "corrected": answer.get("corrected"),
                "note": answer.get("note", ""),
                "taxonomy": answer.get("taxonomy", campaign.taxonomy.label),
                "revision": state.revision,
                "decided_at": state.decided_at,
                "listened_s": state.listened_s,
                "heard_s": state.heard_s,
            }


def _gold_rows(tx: Reader, campaign: str, items: Iterable[Item], people: Pseudonyms) -> list[dict[str, Any]]:
    """Gold answers by item: a reviewer's, or else the one that was expected from the start."""
    said = {state.item: state for state in tx.golds(campaign) if state.answer is not None}
    rows = []
    for item in items:
        state = said.get(item.id)
        answer = item.gold if state is None else state.answer
        if answer is not None:
            rows.append(
                {
                    "item": item.id,
                    "source": "expected" if state is None else "adjudicated",
                    "reviewer": "" if state is None else people.name(state.reviewer),
                    "chosen": "" if state is None else people.name(state.chosen),
                    "verdict": answer["verdict"],
                    "flags": answer["flags"],
                    "corrected": answer["corrected"],
                    "note": answer["note"],
                    "expected": item.gold,
                }
            )
    return rows


def _write_events(tx: Reader, campaign: str, people: Pseudonyms, path: Path) -> tuple[int, str]:
    count, last = 0, ""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for event in tx.events(campaign):
            file.write(canonical_json(people.event(event).to_dict()) + "\n")
            count, last = count + 1, event.at
    return count, last


def _write_csv(
    path: Path, rows: Sequence[Mapping[str, Any]], gold: Sequence[Mapping[str, Any]], kinds: list[str]
) -> None:
    verdicts = {row["item"]: row["verdict"] for row in gold}
    plain = (
        "item", "clip", "corpus", "system", "language", "caption", "annotator", "verdict", "corrected", "note",
        "taxonomy", "revision", "decided_at", "listened_s", "heard_s",
    )  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*plain, *kinds, "flags", "gold_verdict"])
        for row in rows:
            by_kind: dict[str, list[str]] = {}
            for flag in row["flags"]:
                by_kind.setdefault(flag["kind"], []).append(flag["severity"])
            values = ["" if row[name] is None else row[name] for name in plain]
            values += [" ".join(by_kind.get(kind, [])) for kind in kinds]
            writer.writerow([*values, canonical_json(row["flags"]), verdicts.get(row["item"], "")])


def _write_traces(media: Media, campaign: str, items: Iterable[Item], folder: Path) -> list[str]:
    problems = []
    for name in sorted({item.trace for item in items if item.trace}):
        source = media.traces(campaign).folder / f"{name}.jsonl"
        if source.is_file():
            folder.mkdir(exist_ok=True)
            shutil.copyfile(source, folder / source.name)
        else:
            problems.append(f"the run {name} is not in the media folder {media.root}")
    return problems


def _jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _files(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[path.relative_to(folder).as_posix()] = {"sha256": digest, "bytes": path.stat().st_size}
    return found
