"""Many events at once: taking in an export or a snapshot, building the folds anew, and checking that they are right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from ugsd_core.annotations.errors import AnnotationError, EventConflict
from ugsd_core.annotations.events import AnnotationEvent
from ugsd_core.annotations.reading import Reader
from ugsd_core.annotations.schema import events as events_table
from ugsd_core.annotations.state import Folded, fold
from ugsd_core.annotations.store import Store
from ugsd_core.annotations.writing import Writer, event_row

__all__ = ["rebuild", "take_in", "verify"]


def take_in(tx: Writer, events: Iterable[AnnotationEvent]) -> int:
    """Take in events of elsewhere with their times and revisions; those that are here already are passed over.

    Returns:
        Number of events that were new.

    Raises:
        EventConflict: If they contradict what is here, or each other.
    """
    # Of deletions of personal data, which belong to no campaign, some may be known already.
    events = [event for event in events if event.campaign or tx.known(event) is None]
    here = {name for name, _ in tx.campaigns()}
    if any(event.campaign in here for event in events):
        return sum(not tx.append(event).repeated for event in events)
    folded = fold(events)
    _check_places(events, folded)
    try:
        if events:
            tx.connection.execute(insert(events_table), [event_row(event) for event in events])
    except IntegrityError as error:
        raise EventConflict(
            "an event of the import has the id of one that is here; import into a new store", "event_id"
        ) from error
    tx.save_folded(folded)
    return len(events)


def rebuild(tx: Writer) -> None:
    """Make all folds anew from the events."""
    tx.clear_derived()
    tx.save_folded(fold(tx.events()))


def verify(store: Store) -> list[str]:
    """Everything that is wrong with a store: its structure, its events, and the folds kept beside them.

    Returns:
        Sentences; empty if nothing is wrong.
    """
    found = store.check_integrity()
    with store.reading() as tx:
        try:
            folded = fold(_checked(tx, found))
        except AnnotationError as error:
            return [*found, str(error)]
        there: list[tuple[str, Any, Any]] = [
            ("campaigns", dict(tx.campaigns()), {name: dict(e.payload) for name, e in folded.campaigns.items()}),
            ("answers", {_key(state): state for state in tx.answers()}, folded.answers),
            ("gold answers", {(state.campaign, state.item): state for state in tx.golds()}, folded.gold),
        ]
        for name, _ in tx.campaigns():
            added = {item: dict(event.payload) for item, event in folded.items.get(name, {}).items()}
            there.append((f"items of {name}", dict(tx.items(name)), added))
    for what, kept, due in there:
        wrong = [key for key in kept.keys() | due.keys() if kept.get(key) != due.get(key)]
        if wrong:
            found.append(
                f"{len(wrong)} of the {what} are not what the events come to; ugsd annotations verify --mend mends it"
            )
    return found


def _checked(tx: Reader, found: list[str]) -> Iterable[AnnotationEvent]:
    """The events; those whose content is not what was taken in are noted."""
    columns = select(events_table.c.id, events_table.c.fingerprint)
    prints = {row.id: row.fingerprint for row in tx.connection.execute(columns)}
    for event in tx.events():
        if prints[event.id] != event.fingerprint:
            found.append(f"the event {event.id} was changed after it was taken in; restore a snapshot")
        yield event


def _check_places(events: Iterable[AnnotationEvent], folded: Folded) -> None:
    for event in events:
        if event.campaign and event.campaign not in folded.campaigns:
            raise EventConflict(f"the campaign {event.campaign!r} of an event is not in the import", "unknown_campaign")
        if event.item and event.item not in folded.items.get(event.campaign, {}):
            raise EventConflict(f"the item {event.item!r} of an event is not in the import", "unknown_item")


def _key(state: Any) -> tuple[str, str, str]:
    return state.campaign, state.item, state.annotator
