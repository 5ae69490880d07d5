"""What can be written in one transaction: an event, with the folds that follow from it, and reservations."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Table, and_, delete, func, insert, select, update

from ugsd_core.annotations.errors import AnnotationError, EventConflict
from ugsd_core.annotations.events import ANSWER_KINDS, Ack, AnnotationEvent, canonical_json
from ugsd_core.annotations.reading import Reader
from ugsd_core.annotations.schema import DERIVED, answers, campaigns, gold, items, snapshots
from ugsd_core.annotations.state import AnswerState, Folded, GoldState, gold_step, is_of_gold, step
from ugsd_core.annotations.statements import (
    ADD_ANSWER,
    ADD_EVENT,
    ADD_RESERVATION,
    CHANGE_ANSWER,
    DROP_EXPIRED,
    DROP_RESERVATION,
    EXTEND_RESERVATION,
    RESERVATION,
)

__all__ = ["Writer", "event_row"]

ANSWER_FIELDS = tuple(entry.name for entry in fields(AnswerState))


class Writer(Reader):
    """Reads and writes within one transaction; made by `Store.writing`. Nothing of it stands before the block ends."""

    def append(self, event: AnnotationEvent, *, expected_revision: int | None = None) -> Ack:
        """Take an event in, once; the same event again gives the same acknowledgement.

        Args:
            event: ``at`` and ``revision`` are set here if they are empty. An event of an export brings its own; the
                revision must then be the next one.
            expected_revision: Of the answer that the change was made on; another window may have been faster.

        Raises:
            EventConflict: If the id was used for something else, the revision is not the expected one, or there is
                nothing to take back.
            AnnotationError: If the campaign or the item is unknown, or was there before.
        """
        if (known := self.known(event)) is not None:
            return known
        at = event.at or self.clock()
        revision = self._fold(event.taken_in(at, event.revision), expected_revision)
        if event.revision is not None and event.revision != revision:
            raise EventConflict(
                f"the event {event.id} is revision {event.revision} of its answer, but this store is at "
                f"{(revision or 1) - 1}; import into a new store",
                "revision",
            )
        self.connection.execute(ADD_EVENT, event_row(event.taken_in(at, revision)))
        return Ack(event.id, revision, at)

    def _fold(self, event: AnnotationEvent, expected: int | None) -> int | None:
        """Keep the folds up; returns the event's revision."""
        if event.kind == "forgotten":
            return None
        if event.kind == "campaign_created":
            self._add_campaign(event)
            return None
        if event.kind == "item_added":
            self._add_item(event)
            return None
        if self._missing(event):
            raise AnnotationError(
                f"the campaign {event.campaign!r} has no item {event.item!r} in this store", "unknown_item"
            )
        if is_of_gold(event):
            state = self.gold(event.campaign, event.item)
            _as_expected(state.revision, expected)
            self.save_gold(after := gold_step(state, event), new=state.revision == 0)
            return after.revision
        before = self.answer(event.campaign, event.item, event.annotator)
        _as_expected(before.revision, expected)
        self.save_answer(now := step(before, event), new=not before.first_at)
        return now.revision if event.kind in ANSWER_KINDS else None

    def _add_campaign(self, event: AnnotationEvent) -> None:
        if self.connection.execute(select(campaigns.c.id).where(campaigns.c.id == event.campaign)).first():
            raise AnnotationError(
                f"there is a campaign {event.campaign!r} in this store; choose another name", "campaign_exists"
            )
        self.connection.execute(insert(campaigns).values(**_campaign_row(event)))

    def _add_item(self, event: AnnotationEvent) -> None:
        self.campaign(event.campaign)
        if not self._missing(event):
            raise AnnotationError(f"the campaign {event.campaign!r} has an item {event.item!r} already", "item_exists")
        last = select(func.max(items.c.position)).where(items.c.campaign == event.campaign)
        position = self.connection.execute(last).scalar_one()
        self.connection.execute(insert(items).values(**_item_row(event, 0 if position is None else position + 1)))
        self._items.pop((event.campaign, event.item), None)

    def _missing(self, event: AnnotationEvent) -> bool:
        return self.item_or_none(event.campaign, event.item) is None

    # Folds; also for verifying and for deletion ---------------------------------------------------------------------

    def save_answer(self, state: AnswerState, *, new: bool) -> None:
        """Write the fold of one answer."""
        row = _answer_row(state)
        self._answers[state.campaign, state.item, state.annotator] = state
        if new:
            self.connection.execute(ADD_ANSWER, row)
        else:
            key = {f"b_{name}": row.pop(name) for name in ("campaign", "item", "annotator")}
            self.connection.execute(CHANGE_ANSWER, row | key)

    def save_gold(self, state: GoldState, *, new: bool) -> None:
        """Write the fold of one gold answer."""
        row = _gold_row(state)
        key = and_(gold.c.campaign == state.campaign, gold.c.item == state.item)
        self.connection.execute(insert(gold).values(**row) if new else update(gold).where(key).values(**row))

    def clear_derived(self) -> None:
        """Empty the tables that a fold of the events gives again."""
        for table in DERIVED:
            self.connection.execute(delete(table))

    def save_folded(self, folded: Folded) -> None:
        """Write folds of whole campaigns, of which nothing is there yet."""
        rows: list[tuple[Table, list[dict[str, Any]]]] = [
            (campaigns, [_campaign_row(event) for event in folded.campaigns.values()]),
            (
                items,
                [
                    _item_row(event, position)
                    for added in folded.items.values()
                    for position, event in enumerate(added.values())
                ],
            ),
            (answers, [_answer_row(state) for state in folded.answers.values()]),
            (gold, [_gold_row(state) for state in folded.gold.values()]),
        ]
        for table, values in rows:
            if values:
                self.connection.execute(insert(table), values)

    # Reservations ---------------------------------------------------------------------------------------------------

    def reserve(self, campaign: str, item: str, annotator: str, *, until: str) -> None:
        """Note that the annotator holds an item; never for a shorter time than before."""
        key = {"b_campaign": campaign, "b_item": item, "b_annotator": annotator}
        now, row = self.clock(), self.connection.execute(RESERVATION, key).first()
        if row is None:
            values = {"campaign": campaign, "item": item, "annotator": annotator}
            self.connection.execute(ADD_RESERVATION, values | {"touched_at": now, "expires_at": until})
        else:
            values = {"touched_at": now, "expires_at": max(until, row.expires_at)}
            self.connection.execute(EXTEND_RESERVATION, values | key)

    def release(self, campaign: str, item: str, annotator: str) -> None:
        """The annotator holds the item no more."""
        key = {"b_campaign": campaign, "b_item": item, "b_annotator": annotator}
        self.connection.execute(DROP_RESERVATION, key)

    def drop_expired(self) -> None:
        """Forget reservations whose time is over; they count for nothing already."""
        self.connection.execute(DROP_EXPIRED, {"b_now": self.clock()})

    def note_snapshot(self, path: str) -> None:
        """Remember where a snapshot was written, so that a deletion reaches it."""
        self.connection.execute(delete(snapshots).where(snapshots.c.path == path))
        self.connection.execute(insert(snapshots).values(path=path, written_at=self.clock()))


def event_row(event: AnnotationEvent) -> dict[str, Any]:
    """An event that was taken in, as its row; without the sequence number, which the database gives."""
    stream = "gold" if is_of_gold(event) else "answer" if event.kind in ANSWER_KINDS else ""
    return {
        "id": event.id,
        "kind": event.kind,
        "at": event.at,
        "campaign": event.campaign,
        "item": event.item,
        "annotator": event.annotator,
        "stream": stream,
        "revision": event.revision,
        "fingerprint": event.fingerprint,
        "payload": canonical_json(dict(event.payload)),
    }


def _campaign_row(event: AnnotationEvent) -> dict[str, Any]:
    return {"id": event.campaign, "created_at": event.at, "body": canonical_json(dict(event.payload))}


def _item_row(event: AnnotationEvent, position: int) -> dict[str, Any]:
    return {
        "campaign": event.campaign,
        "id": event.item,
        "position": position,
        "is_gold": event.payload.get("gold") is not None,
        "body": canonical_json(dict(event.payload)),
    }


def _answer_row(state: AnswerState) -> dict[str, Any]:
    # Not asdict(): it would copy every flag of the answer, which is only to be written out.
    row: dict[str, Any] = {name: getattr(state, name) for name in ANSWER_FIELDS}
    row["verdict"] = None if state.answer is None else state.answer.get("verdict")
    row["answer"], row["draft"] = _text(state.answer), _text(state.draft)
    row["heard"] = canonical_json([list(interval) for interval in state.heard])
    return row


def _gold_row(state: GoldState) -> dict[str, Any]:
    return asdict(state) | {"answer": _text(state.answer)}


def _as_expected(revision: int, expected: int | None) -> None:
    if expected is not None and expected != revision:
        raise EventConflict(
            f"this answer is at revision {revision}, not {expected}: another window changed it; reload to see it",
            "revision",
        )


def _text(value: dict[str, Any] | None) -> str | None:
    return None if value is None else canonical_json(value)
