"""Which item an annotator gets next: an order of one's own, overlap k, and reservations that run out.

An item is *taken* by whoever submitted an answer to it or holds a reservation. It is given to an annotator while
fewer than k others have taken it; gold items are given to everybody. A skip takes nothing: somebody else gets the
item. All of it is looked up and written in one writing transaction, so that two annotators who ask at once can't both
get the last place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from ugsd_core.annotations.campaign import Campaign
from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.events import AnnotationEvent, Status, new_event_id
from ugsd_core.annotations.reading import Reader
from ugsd_core.annotations.writing import Writer

__all__ = ["Queues", "claim", "has_room", "later", "next_item", "order", "queues", "resumed"]

#: So many items are asked about one by one before all are.
FEW = 8
#: A reservation is written anew when it was touched longer ago than this, or would end so much later.
TOUCH_S = 60.0


@dataclass(frozen=True, slots=True)
class Queues:
    """An annotator's items by status, each in the annotator's order.

    Attributes:
        pending: Not begun and still to be had; ``held`` are those of them that are open now.
        closed: Number of items that others have finished; this annotator is not asked.
        total: Items of the campaign.
    """

    pending: tuple[str, ...]
    draft: tuple[str, ...]
    submitted: tuple[str, ...]
    skipped: tuple[str, ...]
    held: tuple[str, ...]
    closed: int
    total: int


def order(seed: int, annotator: str, items: Sequence[str]) -> tuple[str, ...]:
    """Items shuffled for an annotator: the same for the same seed, whatever the machine, and stable when items come.

    An item's place follows from its own hash, so one that is added later changes the order of no others.
    """
    return _order(seed, annotator, tuple(items))


@lru_cache(maxsize=256)
def _order(seed: int, annotator: str, items: tuple[str, ...]) -> tuple[str, ...]:
    prefix = f"{seed}\x1f{annotator}\x1f".encode()
    return tuple(sorted(items, key=lambda item: hashlib.sha256(prefix + item.encode()).digest()))


def queues(tx: Reader, campaign: Campaign, annotator: str) -> Queues:
    """The annotator's queues now."""
    items = order(campaign.seed, annotator, tx.item_ids(campaign.id))
    statuses = tx.statuses(campaign.id, annotator)
    full = _full(tx, campaign, annotator)
    by_status: dict[Status, list[str]] = {"pending": [], "draft": [], "submitted": [], "skipped": []}
    closed = 0
    for item in items:
        status = statuses.get(item, "pending")
        if status == "pending" and item in full:
            closed += 1
        else:
            by_status[status].append(item)
    held = tuple(item for item in tx.held(campaign.id, annotator) if statuses.get(item, "pending") == "pending")
    return Queues(
        pending=tuple(by_status["pending"]),
        draft=tuple(by_status["draft"]),
        submitted=tuple(by_status["submitted"]),
        skipped=tuple(by_status["skipped"]),
        held=held,
        closed=closed,
        total=len(items),
    )


def next_item(
    tx: Writer, campaign: Campaign, annotator: str, items: Sequence[str], *, after: str | None = None
) -> str | None:
    """The first item in the annotator's order that is neither begun nor full, reserved; None if there is none.

    Args:
        items: All of the campaign's, in any order that does not change.
        after: Look behind this item first, so that one can be left for later.
    """
    shuffled = order(campaign.seed, annotator, items)
    if after in shuffled:
        place = shuffled.index(after) + 1
        shuffled = shuffled[place:] + shuffled[:place]
    statuses = tx.statuses(campaign.id, annotator)
    full: set[str] | None = None
    looked_at = 0
    for item in shuffled:
        if item == after or statuses.get(item, "pending") != "pending":
            continue
        # Most items have room, and asking about one is cheap; where many have none, all are asked about at once.
        if full is None and looked_at == FEW:
            full = _full(tx, campaign, annotator)
        looked_at += 1
        if item in full if full is not None else not has_room(tx, campaign, item, annotator):
            continue
        tx.drop_expired()
        claim(tx, campaign, item, annotator)
        return item
    return None


def resumed(tx: Reader, campaign: Campaign, annotator: str) -> str | None:
    """The item that the annotator had open last and has not finished; what a reload comes back to."""
    for item in tx.held(campaign.id, annotator):
        if tx.answer(campaign.id, item, annotator).status in ("pending", "draft"):
            return item
    return None


def has_room(tx: Reader, campaign: Campaign, item: str, annotator: str) -> bool:
    """Whether the annotator may take an item: fewer than k others have."""
    if tx.item(campaign.id, item).get("gold") is not None:
        return True
    return tx.taken_by_others(campaign.id, annotator, item=item).get(item, 0) < campaign.overlap


def claim(tx: Writer, campaign: Campaign, item: str, annotator: str, *, draft: bool = False) -> None:
    """Reserve an item; the first time, that it was opened is kept as an event.

    Raises:
        AnnotationError: ``"full"`` if others have taken all places.
    """
    now = tx.clock()
    until = later(now, campaign.draft_hold_s if draft else campaign.hold_s)
    held = tx.holding(campaign.id, item, annotator)
    if held is not None:  # and so the place is the annotator's
        touched_at, expires_at = held
        # A note of every change of a form would be a note too many.
        if later(touched_at, TOUCH_S) < now or later(expires_at, TOUCH_S) < until:
            tx.reserve(campaign.id, item, annotator, until=until)
        return
    if not has_room(tx, campaign, item, annotator):
        raise AnnotationError(
            f"{campaign.overlap} other{'s have' if campaign.overlap > 1 else ' has'} answered this caption or "
            f"{'are' if campaign.overlap > 1 else 'is'} at it; what you wrote stays a draft. Go on with the next one",
            "full",
        )
    if not tx.answer(campaign.id, item, annotator).first_at:
        tx.append(AnnotationEvent(new_event_id(), "opened", campaign.id, item, annotator))
    tx.reserve(campaign.id, item, annotator, until=until)


def later(at: str, seconds: float) -> str:
    """A time as events have it, so much later."""
    moment = datetime.fromisoformat(at) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _full(tx: Reader, campaign: Campaign, annotator: str) -> set[str]:
    """Items that k others have taken."""
    taken = tx.taken_by_others(campaign.id, annotator)
    gold = set(tx.item_ids(campaign.id, is_gold=True))
    return {item for item, others in taken.items() if others >= campaign.overlap and item not in gold}
