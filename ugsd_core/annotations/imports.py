"""A campaign from an export, with its sound and runs: into a new store, or beside other campaigns."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ugsd_core.annotations.bulk import take_in
from ugsd_core.annotations.campaign import Item
from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.events import AnnotationEvent
from ugsd_core.annotations.export import EVENTS, EXPORT_SCHEMA, MANIFEST
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.store import Store
from ugsd_core.traces import read_trace

__all__ = ["Imported", "import_campaign"]


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken in.

    Attributes:
        events: That were new.
        known: That were here before.
    """

    campaign: str
    events: int
    known: int


def import_campaign(store: Store, media: Media, folder: Path) -> Imported:
    """Take a campaign in, all or nothing; what is here already is passed over.

    Raises:
        AnnotationError: If it is no export, or a file was changed since.
        EventConflict: If it contradicts what is here.
    """
    manifest = _manifest(folder)
    _check_files(folder, manifest)
    events = []
    # Not splitlines(): it would cut a line at every separator that Unicode knows, and notes may hold them.
    for number, line in enumerate((folder / EVENTS).read_bytes().split(b"\n"), 1):
        if not line:
            continue
        try:
            events.append(AnnotationEvent.from_dict(json.loads(line)))
        except ValueError as error:
            raise AnnotationError(f"line {number} of {folder / EVENTS} is no event: {error}", "import") from error
    if any(event.campaign != manifest["campaign"] for event in events):
        raise AnnotationError(f"{folder} holds events of another campaign than it says", "import")
    with store.writing() as tx:
        new = take_in(tx, events)
        # Within the transaction: should a recording be unreadable, nothing was taken in.
        for event in events:
            if event.kind == "item_added":
                _keep_media(media, folder, event.campaign, Item.from_dict(event.item, event.payload))
    return Imported(str(manifest["campaign"]), new, len(events) - new)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnnotationError(f"{folder} is no export of annotations: {error}", "import") from error
    if not isinstance(manifest, dict) or manifest.get("ugsd_annotation_export") != EXPORT_SCHEMA:
        raise AnnotationError(f"{folder} is no export of annotations that this version can read", "import")
    return manifest


def _check_files(folder: Path, manifest: dict[str, Any]) -> None:
    for name, entry in manifest["files"].items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            raise AnnotationError(f"the export {folder} lacks its file {name}; export again", "import")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                raise AnnotationError(
                    f"the file {name} of the export {folder} was changed since it was written; export again", "import"
                )


def _keep_media(media: Media, folder: Path, campaign: str, item: Item) -> None:
    if item.audio:
        sound = folder / "dataset" / "audio" / f"{item.id}{Path(item.audio).suffix}"
        if sound.is_file() and media.keep_audio(campaign, sound) != item.audio:
            raise AnnotationError(f"the recording of {item.id} is another than its event says", "import")
    if item.trace:
        trace = folder / "traces" / f"{item.trace}.jsonl"
        if trace.is_file() and media.traces(campaign).keep(read_trace(trace)) != item.trace:
            raise AnnotationError(f"the run of {item.id} is another than its event says", "import")
