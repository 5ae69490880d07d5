"""The folder that Hugging Face `datasets` loads as an ``audiofolder``: one row an item, with its sound and the votes.

    dataset/README.md       the card; says which files make the data
    dataset/metadata.csv    one row an item that has a recording; ``file_name`` is its sound
    dataset/audio/ITEM.wav
    dataset/no_audio.csv    items without a recording, same columns but the first; not part of the audio data

`load_dataset("dataset")` or `load_dataset("audiofolder", data_dir="dataset")`. Nothing here needs that package.
"""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ugsd_core.annotations.campaign import Campaign, Item
from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.events import canonical_json
from ugsd_core.annotations.media import Media

__all__ = ["write_hub_folder"]

Row = Mapping[str, Any]


def write_hub_folder(
    folder: Path,
    campaign: Campaign,
    items: Sequence[Item],
    rows: Sequence[Row],
    gold: Sequence[Row],
    media: Media | None,
    problems: list[str],
) -> int:
    """Write card, table and sound; returns the number of items with a recording.

    Args:
        rows, gold: As in ``latest.jsonl`` and ``gold.jsonl``.
        media: None leaves the sound out.
        problems: Recordings that are missing are added to it.
    """
    folder.mkdir()
    kinds = [kind.id for kind in campaign.taxonomy.kinds]
    votes: dict[str, list[Row]] = {}
    for row in rows:
        votes.setdefault(row["item"], []).append(row)
    golds = {row["item"]: row for row in gold}
    with_sound, without = [], []
    for item in items:
        values = _values(item, votes.get(item.id, []), golds.get(item.id), kinds)
        name = _copy_sound(folder, campaign.id, item, media, problems)
        if name:
            with_sound.append([name, *values])
        else:
            without.append(values)
    columns = _columns(kinds)
    if with_sound:
        _write(folder / "metadata.csv", ["file_name", *columns], with_sound)
    if without:
        _write(folder / "no_audio.csv", columns, without)
    languages = sorted({item.language for item in items})
    (folder / "README.md").write_text(_card(campaign, languages, len(with_sound), len(without)), encoding="utf-8")
    return len(with_sound)


def _columns(kinds: list[str]) -> list[str]:
    return [
        "item", "clip", "corpus", "system", "language", "caption", "answers", "accepted", "flagged", "skipped", *kinds,
        "gold_verdict", "gold_corrected", "corrections", "flags",
    ]  # fmt: skip


def _values(item: Item, votes: Sequence[Row], gold: Row | None, kinds: list[str]) -> list[Any]:
    verdicts = Counter(row["verdict"] for row in votes)
    given = Counter(kind for row in votes for kind in {flag["kind"] for flag in row["flags"]})
    return [
        item.id,
        item.clip,
        item.corpus,
        item.system,
        item.language,
        item.caption,
        verdicts["accept"] + verdicts["flag"],
        verdicts["accept"],
        verdicts["flag"],
        verdicts["skip"],
        *(given[kind] for kind in kinds),
        "" if gold is None else gold["verdict"],
        "" if gold is None else gold["corrected"] or "",
        canonical_json([row["corrected"] for row in votes if row["corrected"]]),
        canonical_json([flag | {"annotator": row["annotator"]} for row in votes for flag in row["flags"]]),
    ]


def _copy_sound(folder: Path, campaign: str, item: Item, media: Media | None, problems: list[str]) -> str:
    """A file for each item, as the loader wants a name to stand for one row only."""
    if media is None or not item.audio:
        return ""
    try:
        source = media.audio(campaign, item.audio)
    except AnnotationError as error:
        problems.append(f"{item.clip or item.id}: {error}")
        return ""
    (folder / "audio").mkdir(exist_ok=True)
    name = f"audio/{item.id}{source.suffix}"
    shutil.copyfile(source, folder / name)
    return name


def _write(path: Path, columns: list[str], rows: list[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _card(campaign: Campaign, languages: list[str], with_sound: int, without: int) -> str:
    data = ["metadata.csv", "audio/*"] if with_sound else ["no_audio.csv"]
    kinds = "\n".join(
        f"| `{kind.id}` | {kind.description.get('en', kind.name['en'])} |" for kind in campaign.taxonomy.kinds
    )
    title = campaign.title or campaign.id
    head = [
        "---",
        f"pretty_name: {canonical_json(title)}",
        "language:",
        *(f"- {canonical_json(language)}" for language in languages),
        "tags:",
        "- audio",
        "- speech-emotion-captioning",
        "- human-feedback",
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: train",
        "    path:",
        *(f"    - {canonical_json(name)}" for name in data),
        "---",
    ]
    left_out = f" {without} more have none and stand in `no_audio.csv`." if with_sound and without else ""
    return (
        "\n".join(head)
        + f"""

# {title}

Captions of how speech sounds, judged by people with UGSD Studio. {with_sound} captions with their recordings.{left_out}

One row a caption. `answers` people judged it (`accepted`, `flagged`); `skipped` could not. Each kind of flag has a
column: how many of them gave it. `gold_verdict` and `gold_corrected` are a reviewer's decision, where there is one.
`corrections` and `flags` are JSON: corrected captions, and every flag with its severity and place (tokens from `start`
up to `end`, counted in the caption's own tokens).

Flags: {campaign.taxonomy.label}.

| flag | meaning |
|---|---|
{kinds}

## Guidelines that annotators had

{campaign.guidelines.strip()}

## Before publishing

The recordings are of people. Fill in the licence of the corpus they come from, and whether the speakers agreed.
"""
    )
