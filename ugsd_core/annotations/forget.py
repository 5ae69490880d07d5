"""Deleting what one person did, for good: from the store, its free pages and log, the media folder and the snapshots.

What goes: every event of the person; items that the person sent in as a visitor, with everybody's answers to them;
their recordings and runs; the person's row among the users. What stays: campaigns and items that the person set up, and
gold answers of others, without the person's name and, where a gold answer took over the person's own, without its
words. A ``forgotten`` event says when it was and how much, and nothing about whom.

This is the one place where events are deleted or changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import delete, update

from ugsd_core.annotations.bulk import rebuild
from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.events import AnnotationEvent, new_event_id
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.schema import events as events_table
from ugsd_core.annotations.schema import guard, reservations, unguard, users
from ugsd_core.annotations.snapshot import known_snapshots, read_snapshot, write_lines
from ugsd_core.annotations.state import is_of_gold
from ugsd_core.annotations.store import Store
from ugsd_core.annotations.writing import Writer, event_row

__all__ = ["Forgotten", "forget", "without"]

#: Rows named in one statement; databases have a limit.
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a deletion did.

    Attributes:
        events, items, recordings: Deleted; recordings and runs together.
        snapshots: That were written anew.
        missing: Snapshots that the store knows of and that are not where they were; delete copies by hand.
        mentions: Ids of others' events whose text still holds the name; a person has to read them.
    """

    events: int
    items: int
    recordings: int
    snapshots: tuple[Path, ...]
    missing: tuple[Path, ...]
    mentions: tuple[str, ...]


def without(events: Sequence[AnnotationEvent], person: str) -> list[AnnotationEvent]:
    """Events as they are without a person; those that name the person as more than their author are changed."""
    gone_items = {
        (event.campaign, event.item)
        for event in events
        if event.kind == "item_added" and event.annotator == person and event.payload.get("origin") == "visitor"
    }
    kept: list[AnnotationEvent] = []
    gone_ids: set[str] = set()
    gold_revision: dict[tuple[str, str], int] = {}
    for event in events:
        place = (event.campaign, event.item)
        setting_up = event.kind in ("campaign_created", "item_added")
        if place in gone_items or (event.annotator == person and not setting_up):
            gone_ids.add(event.id)
            continue
        if event.kind == "undone" and event.payload.get("undoes") in gone_ids:
            gone_ids.add(event.id)
            continue
        if event.annotator == person:
            event = replace(event, annotator="")
        if event.kind == "adjudicated" and event.payload.get("chosen") == person:
            event = replace(
                event, payload={**event.payload, "chosen": "", "answer": _wordless(event.payload["answer"])}
            )
        if is_of_gold(event):
            gold_revision[place] = gold_revision.get(place, 0) + 1
            event = replace(event, revision=gold_revision[place])
        kept.append(event)
    return kept


def forget(store: Store, media: Media, person: str, *, snapshots: Sequence[Path] = ()) -> Forgotten:
    """Delete a person's data.

    Args:
        snapshots: Copies that the store does not know of, besides those that it does.

    Raises:
        AnnotationError: If there is nothing of that person, or a snapshot is damaged; nothing is deleted then.
        StoreError: If others have the store open so that its files can't be emptied; do it again.
    """
    known = known_snapshots(store)
    paths = list(dict.fromkeys([path for path in known if path.is_file()] + [path.resolve() for path in snapshots]))
    missing = tuple(path for path in known if not path.is_file())
    copies = {path: read_snapshot(path) for path in paths}
    with store.writing() as tx:
        before = list(tx.events())
        kept = without(before, person)
        gone = {event.id for event in before} - {event.id for event in kept}
        account = tx.connection.execute(delete(users).where(users.c.name == person)).rowcount > 0
        tx.connection.execute(delete(reservations).where(reservations.c.annotator == person))
        found = account or kept != before or any(without(copy, person) != copy for copy in copies.values())
        mentions, items, recordings = tx.mentions(person), 0, 0
        if found:
            _replace(tx, before, kept, gone)
            dropped = [event for event in before if event.id in gone and event.kind == "item_added"]
            items, payload = len(dropped), {"events": len(gone), "items": len(dropped)}
            ack = tx.append(tombstone := AnnotationEvent(new_event_id(), "forgotten", "", payload=payload))
            mentions = tx.mentions(person)
            # Files go before the commit: should this process die between the two, the deletion is done again.
            recordings = _remove_media(media, dropped, kept)
            for path, copy in copies.items():
                write_lines(path, [*without(copy, person), tombstone.taken_in(ack.at, None)])
    # Also where nothing was found: the last deletion may have died before this.
    store.compact()
    if not found:
        raise AnnotationError(f"there is nothing of {person!r} in this store or its snapshots", "unknown_person")
    return Forgotten(len(gone), items, recordings, tuple(copies), missing, tuple(mentions))


def _remove_media(media: Media, dropped: Sequence[AnnotationEvent], kept: Sequence[AnnotationEvent]) -> int:
    """Recordings and runs of items that are gone, unless another item has the same."""
    left = {
        (event.campaign, str(event.payload.get(what)))
        for event in kept
        if event.kind == "item_added"
        for what in ("audio", "trace")
    }
    count = 0
    for event in dropped:
        for what in ("audio", "trace"):
            name = str(event.payload.get(what) or "")
            if name and (event.campaign, name) not in left:
                count += media.remove(event.campaign, **{what: name})
    return count


def _replace(tx: Writer, before: list[AnnotationEvent], kept: list[AnnotationEvent], gone: set[str]) -> None:
    """Delete and change rows, and build the folds anew."""
    unguard(tx.connection)
    ids = sorted(gone)
    for start in range(0, len(ids), CHUNK):
        tx.connection.execute(delete(events_table).where(events_table.c.id.in_(ids[start : start + CHUNK])))
    old = {event.id: event for event in before}
    # Revisions only go down, in order, so that no two of an item are ever the same on the way.
    for event in kept:
        if event != old[event.id]:
            row = event_row(event)
            tx.connection.execute(update(events_table).where(events_table.c.id == event.id).values(**row))
    guard(tx.connection)
    rebuild(tx)


def _wordless(answer: dict[str, Any]) -> dict[str, Any]:
    flags = [flag | {"note": ""} for flag in answer["flags"]]
    return answer | {"flags": flags, "corrected": None, "note": ""}
