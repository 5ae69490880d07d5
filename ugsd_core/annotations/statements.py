"""The statements behind every click, put together once.

Putting a statement together costs several times what SQLite takes to run it; with these, fifty annotators fit on one
core. Parameters of a condition begin with ``b_``, so that they are not taken for values to set.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, exists, func, insert, select, union, update

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
    "HELD_BY_OTHERS",
    "ITEM",
    "ITEMS_MARK",
    "KNOWN",
    "RESERVATION",
    "STATUSES",
    "SUBMITTED",
    "TAKEN_OF_ITEM",
]


def _is(table: Table, *names: str) -> ColumnElement[bool]:
    return and_(*(table.c[name] == bindparam(f"b_{name}") for name in names))


KNOWN = select(events.c.fingerprint, events.c.revision, events.c.at).where(_is(events, "id"))
ADD_EVENT = insert(events)

ITEM = select(items.c.body).where(_is(items, "campaign", "id"))
ITEMS_MARK = select(func.count(), func.max(items.c.position)).where(_is(items, "campaign"))

ANSWER = select(answers).where(_is(answers, "campaign", "item", "annotator"))
STATUSES = select(answers.c.item, answers.c.status).where(_is(answers, "campaign", "annotator"))
ADD_ANSWER = insert(answers)
CHANGE_ANSWER = update(answers).where(_is(answers, "campaign", "item", "annotator"))

_SUBMITTED = and_(
    _is(answers, "campaign"), answers.c.status == "submitted", answers.c.annotator != bindparam("b_annotator")
)
_HELD = and_(
    _is(reservations, "campaign"),
    reservations.c.expires_at > bindparam("b_now"),
    reservations.c.annotator != bindparam("b_annotator"),
)
#: How many others have submitted each item; read off an index in its order, without sorting anything.
SUBMITTED = select(answers.c.item, func.count()).where(_SUBMITTED).group_by(answers.c.item)
#: How many others hold each item and have not submitted it.
HELD_BY_OTHERS = (
    select(reservations.c.item, func.count())
    .where(
        _HELD,
        ~exists().where(
            answers.c.campaign == reservations.c.campaign,
            answers.c.item == reservations.c.item,
            answers.c.annotator == reservations.c.annotator,
            answers.c.status == "submitted",
        ),
    )
    .group_by(reservations.c.item)
)
_TAKERS = union(
    select(answers.c.item, answers.c.annotator).where(_SUBMITTED, _is(answers, "item")),
    select(reservations.c.item, reservations.c.annotator).where(_HELD, _is(reservations, "item")),
).subquery()
#: How many others have submitted one item or hold it.
TAKEN_OF_ITEM = select(_TAKERS.c.item, func.count()).group_by(_TAKERS.c.item)

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
