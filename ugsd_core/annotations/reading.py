"""What can be read of a store in one transaction: events, campaigns, items, answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from ugsd_core.annotations.errors import AnnotationError, EventConflict
from ugsd_core.annotations.events import Ack, AnnotationEvent, Status
from ugsd_core.annotations.schema import answers, campaigns, events, gold, items
from ugsd_core.annotations.state import AnswerState, GoldState
from ugsd_core.annotations.statements import (
    ANSWER,
    HELD,
    HELD_BY_OTHERS,
    ITEM,
    ITEMS_MARK,
    KNOWN,
    RESERVATION,
    STATUSES,
    SUBMITTED,
    TAKEN_OF_ITEM,
)

__all__ = ["Reader"]

#: Rows fetched at a time, so that a store of any size is read in little memory.
CHUNK = 2_000


class Reader:
    """Reads within one transaction; made by `Store.reading`.

    Attributes:
        connection: For the modules of this package.
    """

    def __init__(self, connection: Connection, clock: Callable[[], str]) -> None:
        self.connection, self.clock = connection, clock
        # What was read in this transaction stays so: others' changes are not seen, one's own are noted.
        self._items: dict[tuple[str, str], dict[str, Any] | None] = {}
        self._answers: dict[tuple[str, str, str], AnswerState] = {}

    # Events ---------------------------------------------------------------------------------------------------------

    def events(
        self, campaign: str | None = None, *, annotator: str | None = None, item: str | None = None
    ) -> Iterator[AnnotationEvent]:
        """Events in the order in which they were taken in, fetched as they are asked for."""
        query = select(events).order_by(events.c.seq)
        for column, value in ((events.c.campaign, campaign), (events.c.annotator, annotator), (events.c.item, item)):
            if value is not None:
                query = query.where(column == value)
        last = 0
        while rows := self.connection.execute(query.where(events.c.seq > last).limit(CHUNK)).all():
            last = rows[-1].seq
            yield from map(_event, rows)

    def deeds(self, campaign: str) -> Iterator[tuple[str, str, str]]:
        """Annotator, kind and time of every event that somebody made, in order; a look at all without their content."""
        query = select(events.c.annotator, events.c.kind, events.c.at).order_by(events.c.seq)
        rows = self.connection.execute(query.where(events.c.campaign == campaign, events.c.annotator != ""))
        yield from map(tuple, rows)

    def count(self, campaign: str | None = None) -> int:
        """Number of events."""
        query = select(func.count()).select_from(events)
        return int(self.connection.execute(_of(query, events.c.campaign, campaign)).scalar_one())

    def event(self, event_id: str) -> AnnotationEvent | None:
        """One event by its id."""
        row = self.connection.execute(select(events).where(events.c.id == event_id)).first()
        return None if row is None else _event(row)

    def known(self, event: AnnotationEvent) -> Ack | None:
        """The acknowledgement of an event that was taken in before; None if it is new.

        Raises:
            EventConflict: If its id was used for something else.
        """
        row = self.connection.execute(KNOWN, {"b_id": event.id}).first()
        if row is None:
            return None
        if row.fingerprint != event.fingerprint:
            raise EventConflict(
                f"the event id {event.id} was used before for something else; make a new id for every change",
                "event_id",
            )
        return Ack(event.id, row.revision, row.at, repeated=True)

    # Campaigns and items --------------------------------------------------------------------------------------------

    def campaigns(self) -> list[tuple[str, dict[str, Any]]]:
        """Id and body of every campaign, oldest first."""
        rows = self.connection.execute(select(campaigns).order_by(campaigns.c.created_at, campaigns.c.id))
        return [(row.id, json.loads(row.body)) for row in rows]

    def campaign(self, campaign: str) -> dict[str, Any]:
        """The body of a campaign.

        Raises:
            AnnotationError: If there is none of that name.
        """
        row = self.connection.execute(select(campaigns.c.body).where(campaigns.c.id == campaign)).first()
        if row is None:
            raise AnnotationError(f"there is no campaign {campaign!r} in this store", "unknown_campaign")
        return dict(json.loads(row.body))

    def items(self, campaign: str) -> list[tuple[str, dict[str, Any]]]:
        """Id and body of every item, in the order in which they were added."""
        query = select(items.c.id, items.c.body).where(items.c.campaign == campaign).order_by(items.c.position)
        return [(row.id, json.loads(row.body)) for row in self.connection.execute(query)]

    def item_ids(self, campaign: str, *, is_gold: bool | None = None) -> list[str]:
        """Ids alone, in the order in which they were added."""
        query = select(items.c.id).where(items.c.campaign == campaign).order_by(items.c.position)
        if is_gold is not None:
            query = query.where(items.c.is_gold == is_gold)
        return [row.id for row in self.connection.execute(query)]

    def items_mark(self, campaign: str) -> tuple[int, int]:
        """Changes whenever an item comes or goes: number of items, and the last position."""
        count, last = self.connection.execute(ITEMS_MARK, {"b_campaign": campaign}).one()
        return int(count), -1 if last is None else int(last)

    def item(self, campaign: str, item: str) -> dict[str, Any]:
        """The body of an item.

        Raises:
            AnnotationError: If the campaign has none of that name.
        """
        body = self.item_or_none(campaign, item)
        if body is None:
            raise AnnotationError(f"the campaign {campaign!r} has no item {item!r}", "unknown_item")
        return body

    def item_or_none(self, campaign: str, item: str) -> dict[str, Any] | None:
        """The body of an item, if there is one."""
        key = (campaign, item)
        if key not in self._items:
            row = self.connection.execute(ITEM, {"b_campaign": campaign, "b_id": item}).first()
            self._items[key] = None if row is None else json.loads(row[0])
        return self._items[key]

    # Answers --------------------------------------------------------------------------------------------------------

    def answer(self, campaign: str, item: str, annotator: str) -> AnswerState:
        """Where one answer stands; pending at revision 0 where nothing was done."""
        key = (campaign, item, annotator)
        if key not in self._answers:
            values = {"b_campaign": campaign, "b_item": item, "b_annotator": annotator}
            row = self.connection.execute(ANSWER, values).first()
            self._answers[key] = AnswerState(*key) if row is None else _answer(row)
        return self._answers[key]

    def answers(
        self,
        campaign: str | None = None,
        *,
        item: str | None = None,
        annotator: str | None = None,
        status: Status | None = None,
    ) -> list[AnswerState]:
        """Answers by campaign, item and annotator."""
        query = select(answers).order_by(answers.c.campaign, answers.c.item, answers.c.annotator)
        for column, value in (
            (answers.c.campaign, campaign),
            (answers.c.item, item),
            (answers.c.annotator, annotator),
            (answers.c.status, status),
        ):
            query = _of(query, column, value)
        return [_answer(row) for row in self.connection.execute(query)]

    def statuses(self, campaign: str, annotator: str) -> dict[str, Status]:
        """Status of every item that the annotator has touched."""
        rows = self.connection.execute(STATUSES, {"b_campaign": campaign, "b_annotator": annotator})
        return {item: status for item, status in rows}

    def progress(self, campaign: str) -> list[tuple[str, Status, int]]:
        """Annotator, status, number of answers."""
        query = (
            select(answers.c.annotator, answers.c.status, func.count().label("n"))
            .where(answers.c.campaign == campaign)
            .group_by(answers.c.annotator, answers.c.status)
            .order_by(answers.c.annotator, answers.c.status)
        )
        return [(row.annotator, row.status, int(row.n)) for row in self.connection.execute(query)]

    def gold(self, campaign: str, item: str) -> GoldState:
        """A reviewer's answer to an item; at revision 0 where there is none."""
        query = select(gold).where(and_(gold.c.campaign == campaign, gold.c.item == item))
        row = self.connection.execute(query).first()
        return GoldState(campaign, item) if row is None else _gold(row)

    def golds(self, campaign: str | None = None) -> list[GoldState]:
        """Every gold answer, those taken back too."""
        query = _of(select(gold).order_by(gold.c.campaign, gold.c.item), gold.c.campaign, campaign)
        return [_gold(row) for row in self.connection.execute(query)]

    # Reservations ---------------------------------------------------------------------------------------------------

    def taken_by_others(self, campaign: str, annotator: str, *, item: str | None = None) -> dict[str, int]:
        """How many others have submitted an item or hold it now, for items with at least one."""
        values = {"b_campaign": campaign, "b_annotator": annotator, "b_now": self.clock()}
        if item is not None:
            rows = self.connection.execute(TAKEN_OF_ITEM, values | {"b_item": item})
            return {name: int(count) for name, count in rows}
        taken = {name: int(count) for name, count in self.connection.execute(SUBMITTED, values)}
        for name, count in self.connection.execute(HELD_BY_OTHERS, values):
            taken[name] = taken.get(name, 0) + int(count)
        return taken

    def held(self, campaign: str, annotator: str) -> list[str]:
        """Items that the annotator holds now, the last touched first."""
        values = {"b_campaign": campaign, "b_annotator": annotator, "b_now": self.clock()}
        return [row[0] for row in self.connection.execute(HELD, values)]

    def holding(self, campaign: str, item: str, annotator: str) -> tuple[str, str] | None:
        """When the annotator's hold of an item was touched last, and until when it is; None if it is not held now."""
        values = {"b_campaign": campaign, "b_item": item, "b_annotator": annotator}
        row = self.connection.execute(RESERVATION, values).first()
        return None if row is None or row[1] <= self.clock() else (row[0], row[1])

    def annotators(self, campaign: str | None = None) -> list[str]:
        """Everybody whose events are kept."""
        query = select(events.c.annotator).distinct().where(events.c.annotator != "").order_by(events.c.annotator)
        return [row.annotator for row in self.connection.execute(_of(query, events.c.campaign, campaign))]

    def mentions(self, name: str) -> list[str]:
        """Ids of events of others whose text holds a name: what a deletion by name can't find on its own."""
        pattern = "%" + name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        query = select(events.c.id).where(
            or_(events.c.payload.like(pattern, escape="\\"), events.c.id.like(pattern, escape="\\"))
        )
        return [row.id for row in self.connection.execute(query.order_by(events.c.seq))]


def _of(query: Select[Any], column: Any, value: str | None) -> Select[Any]:
    return query if value is None else query.where(column == value)


def _event(row: Row[Any]) -> AnnotationEvent:
    return AnnotationEvent(
        id=row.id,
        kind=row.kind,
        campaign=row.campaign,
        item=row.item,
        annotator=row.annotator,
        payload=json.loads(row.payload),
        at=row.at,
        revision=row.revision,
    )


def _loaded(text: str | None) -> dict[str, Any] | None:
    return None if text is None else dict(json.loads(text))


def _answer(row: Row[Any]) -> AnswerState:
    return AnswerState(
        campaign=row.campaign,
        item=row.item,
        annotator=row.annotator,
        status=row.status,
        revision=row.revision,
        answer=_loaded(row.answer),
        draft=_loaded(row.draft),
        decision=row.decision,
        heard=tuple((start, end) for start, end in json.loads(row.heard)),
        listened_s=row.listened_s,
        first_at=row.first_at,
        updated_at=row.updated_at,
        decided_at=row.decided_at,
    )


def _gold(row: Row[Any]) -> GoldState:
    return GoldState(
        campaign=row.campaign,
        item=row.item,
        revision=row.revision,
        answer=_loaded(row.answer),
        reviewer=row.reviewer,
        chosen=row.chosen,
        event=row.event,
        updated_at=row.updated_at,
    )
