"""The statements behind every click, put together once.

Putting a statement together costs several times what SQLite takes to run it; with these, fifty annotators fit on one
core. Parameters of a condition begin with ``b_``, so that they are not taken for values to set.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, func, insert, select, union, update

from ugsd_core.annotations.schema import answers, events, items, reservations

__all__ = [
    "ADD_ANSWER",
    "ADD_EVENT",
    "ADD_RESERVATION",
    "ANSWER",
    "CHANGE_ANSWER",
    "DROP_EXPIRED",
    "DROP_RESERVATION",
    "EXTEND_RESERVATION",
    "HELD",
    "ITEM",
    "ITEMS_MARK",
    "KNOWN",
    "RESERVATION",
    "STATUSES",
    "TAKEN",
    "TAKEN_OF_ITEM",
]


def _is(table: Table, *names: str) -> ColumnElement[bool]:
    return and_(*(table.c[name] == bindparam(f"b_{name}") for name in names))


def _taken(*more: str) -> Any:
    submitted = select(answers.c.item, answers.c.annotator).where(
        _is(answers, "campaign", *more),
        answers.c.status == "submitted",
        answers.c.annotator != bindparam("b_annotator"),
    )
    held = select(reservations.c.item, reservations.c.annotator).where(
        _is(reservations, "campaign", *more),
        reservations.c.expires_at > bindparam("b_now"),
        reservations.c.annotator != bindparam("b_annotator"),
    )
    takers = union(submitted, held).subquery()
    return select(takers.c.item, func.count()).group_by(takers.c.item)


KNOWN = select(events.c.fingerprint, events.c.revision, events.c.at).where(_is(events, "id"))
ADD_EVENT = insert(events)

ITEM = select(items.c.body).where(_is(items, "campaign", "id"))
ITEMS_MARK = select(func.count(), func.max(items.c.position)).where(_is(items, "campaign"))

ANSWER = select(answers).where(_is(answers, "campaign", "item", "annotator"))
STATUSES = select(answers.c.item, answers.c.status).where(_is(answers, "campaign", "annotator"))
ADD_ANSWER = insert(answers)
CHANGE_ANSWER = update(answers).where(_is(answers, "campaign", "item", "annotator"))

#: How many others have submitted each item of a campaign or hold it, and of one item.
TAKEN = _taken()
TAKEN_OF_ITEM = _taken("item")

RESERVATION = select(reservations.c.touched_at, reservations.c.expires_at).where(
    _is(reservations, "campaign", "item", "annotator")
)
HELD = (
    select(reservations.c.item)
    .where(_is(reservations, "campaign", "annotator"), reservations.c.expires_at > bindparam("b_now"))
    .order_by(reservations.c.touched_at.desc(), reservations.c.item)
)
ADD_RESERVATION = insert(reservations)
EXTEND_RESERVATION = update(reservations).where(_is(reservations, "campaign", "item", "annotator"))
DROP_RESERVATION = delete(reservations).where(_is(reservations, "campaign", "item", "annotator"))
DROP_EXPIRED = delete(reservations).where(reservations.c.expires_at <= bindparam("b_now"))
