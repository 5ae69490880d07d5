"""Annotation for one signed-in person, with the access rules: what the page and its programs hold, and nothing below.

    service = AnnotationService(store, media, user)
    view = service.next("emotions")                                     # an ItemView, reserved, or None
    service.listened(event_id, "emotions", view.id, start_s=0, end_s=3.2)
    ack = service.save_draft(event_id, "emotions", view.id, {"verdict": "flag", "flags": [...]})
    ack = service.submit(event_id, "emotions", view.id, {...})          # on the disk when this returns

Every writing call takes an event id that the browser made; sending the same call again returns the same
acknowledgement. What a person may not see is not in what is returned: the page has nothing to hide.

Rules. An annotator writes answers under the own name only. In a blind campaign an annotator reads no answer of
others, no system, clip name, trace, reference or label; in an open one others' submitted answers to items that the
annotator has finished. A reviewer reads everything and adjudicates, and answers as an annotator does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ugsd_core.annotations import queues as places
from ugsd_core.annotations.answers import check_heard, checked_answer
from ugsd_core.annotations.campaign import Campaign, Item
from ugsd_core.annotations.errors import AccessDenied, AnswerError
from ugsd_core.annotations.events import Ack, AnnotationEvent, EventKind
from ugsd_core.annotations.identity import User, visible_to
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.queues import Queues
from ugsd_core.annotations.reading import Reader
from ugsd_core.annotations.state import AnswerState
from ugsd_core.annotations.store import Store
from ugsd_core.annotations.views import (
    CampaignView,
    EarlierAnswer,
    ItemView,
    campaign_view,
    earlier_answer,
    item_view,
)
from ugsd_core.annotations.writing import Writer
from ugsd_core.messages import Event

__all__ = ["AnnotationService"]


class AnnotationService:
    """What one person can do. Cheap to make, safe to use from several threads."""

    def __init__(self, store: Store, media: Media, user: User) -> None:
        self.store, self.media, self.user = store, media, user
        self._campaigns: dict[str, Campaign] = {}
        self._items: dict[str, tuple[tuple[int, int], list[str]]] = {}

    # Reading --------------------------------------------------------------------------------------------------------

    def campaigns(self) -> list[CampaignView]:
        """Every campaign, oldest first."""
        with self.store.reading() as tx:
            names = [name for name, _ in tx.campaigns()]
            return [campaign_view(self._campaign(tx, name)) for name in names]

    def campaign(self, campaign: str) -> CampaignView:
        """Guidelines, taxonomy and rules of one campaign.

        Raises:
            AnnotationError: If there is none of that name.
        """
        with self.store.reading() as tx:
            return campaign_view(self._campaign(tx, campaign))

    def queues(self, campaign: str) -> Queues:
        """The own queues: ids by status."""
        with self.store.reading() as tx:
            return places.queues(tx, self._campaign(tx, campaign), self.user.name)

    def item(self, campaign: str, item: str) -> ItemView:
        """One item, as this person may see it.

        Raises:
            AnnotationError: If there is none of that name.
        """
        with self.store.reading() as tx:
            return self._view(tx, self._campaign(tx, campaign), item)

    def answer(self, campaign: str, item: str, annotator: str | None = None) -> AnswerState:
        """Where an answer stands: the own, or another's where that may be read.

        Raises:
            AccessDenied: If it may not.
        """
        name = self.user.name if annotator is None else annotator
        with self.store.reading() as tx:
            self._may_read(tx, self._campaign(tx, campaign), item, name)
            return tx.answer(campaign, item, name)

    def answers(self, campaign: str, item: str) -> list[AnswerState]:
        """All answers to an item that this person may read."""
        with self.store.reading() as tx:
            found = self._campaign(tx, campaign)
            every = tx.answers(campaign, item=item)
            return [state for state in every if self._reads(tx, found, item, state.annotator)]

    def earlier(self, campaign: str, *, limit: int = 50, offset: int = 0) -> tuple[list[EarlierAnswer], int]:
        """The own answers, skips and drafts, the newest first, and how many there are; nobody else's."""
        with self.store.reading() as tx:
            self._campaign(tx, campaign)
            every = [state for state in tx.answers(campaign, annotator=self.user.name) if state.status != "pending"]
            every.sort(key=lambda state: (state.decided_at or state.updated_at, state.item), reverse=True)
            return [earlier_answer(state, tx.item(campaign, state.item)) for state in every[offset:][:limit]], len(
                every
            )

    def audio(self, campaign: str, item: str) -> Path | None:
        """The item's recording; its name tells nothing. None if there is none."""
        with self.store.reading() as tx:
            self._campaign(tx, campaign)
            name = str(tx.item(campaign, item).get("audio", ""))
        return self.media.audio(campaign, name) if name else None

    def trace(self, campaign: str, item: str) -> list[Event]:
        """The item's run, for the token strip; empty if there is none.

        Raises:
            AccessDenied: In a blind campaign, to annotators: a run names its system.
        """
        with self.store.reading() as tx:
            if self._campaign(tx, campaign).blind and not self.user.is_reviewer:
                raise AccessDenied("this campaign is blind: how a caption came about is not shown")
            name = str(tx.item(campaign, item).get("trace", ""))
        return self.media.traces(campaign).load(name) if name else []

    # Working through the queue --------------------------------------------------------------------------------------

    def next(self, campaign: str, *, after: str | None = None) -> ItemView | None:
        """The next item of the own queue, reserved for a while; None if there is nothing left.

        Args:
            after: An item to leave for later.
        """
        with self.store.writing() as tx:
            found = self._campaign(tx, campaign)
            item = places.next_item(tx, found, self.user.name, self._item_ids(tx, campaign), after=after)
            return None if item is None else self._view(tx, found, item)

    def resume(self, campaign: str) -> ItemView | None:
        """The item that was open last, or else the next one: what a reload shows."""
        with self.store.reading() as tx:
            found = self._campaign(tx, campaign)
            item = places.resumed(tx, found, self.user.name)
            if item is not None:
                return self._view(tx, found, item)
        return self.next(campaign)

    def open(self, campaign: str, item: str) -> ItemView:
        """An item by its id, reserved where there is room: from the list of drafts, or by address."""
        with self.store.writing() as tx:
            found = self._campaign(tx, campaign)
            if places.has_room(tx, found, item, self.user.name):
                places.claim(tx, found, item, self.user.name)
            return self._view(tx, found, item)

    # Answering ------------------------------------------------------------------------------------------------------

    def listened(
        self,
        event_id: str,
        campaign: str,
        item: str,
        *,
        start_s: float,
        end_s: float,
        spent_s: float | None = None,
    ) -> Ack:
        """A stretch of the clip was played.

        Args:
            start_s, end_s: Of the clip.
            spent_s: Time it took, which at another speed is not the stretch's length.

        Raises:
            AnswerError: If it is no stretch.
        """
        spent = end_s - start_s if spent_s is None else spent_s
        if not (0.0 <= start_s <= end_s <= 36_000.0 and 0.0 <= spent <= 36_000.0):
            raise AnswerError(f"{start_s} to {end_s} s is no stretch of a clip", "listened")
        payload = {"start_s": round(start_s, 2), "end_s": round(end_s, 2), "spent_s": round(spent, 2)}

        return self._write(event_id, "listened", campaign, item, payload, before=self._hold_if_begun)

    def save_draft(
        self,
        event_id: str,
        campaign: str,
        item: str,
        answer: Mapping[str, Any],
        *,
        expected_revision: int | None = None,
    ) -> Ack:
        """Save what is in the form. Where the places are taken meanwhile, it is saved all the same.

        Args:
            expected_revision: Of the answer that the form was filled from; refuses to overwrite another window's.

        Raises:
            AnswerError: If it can't be an answer.
            EventConflict: If another window was faster.
        """

        def hold(tx: Writer, found: Campaign, thing: Item) -> None:
            self._hold_if_begun(tx, found, thing, draft=True)

        def payload(found: Campaign, thing: Item) -> dict[str, Any]:
            return {"answer": checked_answer(answer, found.taxonomy, thing, complete=False).to_dict()}

        return self._write(event_id, "draft_saved", campaign, item, payload, expected_revision, hold)

    def submit(
        self,
        event_id: str,
        campaign: str,
        item: str,
        answer: Mapping[str, Any],
        *,
        expected_revision: int | None = None,
    ) -> Ack:
        """Submit an answer; it is on the disk when this returns.

        Raises:
            AnswerError: If it is not complete, or the clip was not heard (code ``"not_heard"``).
            AnnotationError: ``"full"`` if others have taken all places; the draft stays.
            EventConflict: If another window was faster.
        """

        def ready(tx: Writer, found: Campaign, thing: Item) -> None:
            check_heard(found, thing, tx.answer(campaign, item, self.user.name))
            places.claim(tx, found, item, self.user.name)

        def payload(found: Campaign, thing: Item) -> dict[str, Any]:
            return {"answer": checked_answer(answer, found.taxonomy, thing, complete=True).to_dict()}

        return self._write(event_id, "submitted", campaign, item, payload, expected_revision, ready, release=True)

    def skip(self, event_id: str, campaign: str, item: str, *, reason: str = "") -> Ack:
        """Leave an item to others; what was written stays, should the skip be taken back."""
        if len(reason) > 500:
            raise AnswerError("the reason of a skip is text of at most 500 characters", "reason")
        return self._write(event_id, "skipped", campaign, item, {"reason": reason}, release=True)

    def undo(self, event_id: str, campaign: str, item: str) -> Ack:
        """Take the own last submit or skip of an item back; it is a draft again, and held.

        Raises:
            EventConflict: If there is nothing to take back.
            AnnotationError: ``"full"`` if others have taken a skipped item meanwhile.
        """
        with self.store.writing() as tx:
            if (known := self._undone_before(tx, event_id, campaign, item)) is not None:
                return known
            found = self._campaign(tx, campaign)
            decision = tx.answer(campaign, item, self.user.name).decision
            event = AnnotationEvent(event_id, "undone", campaign, item, self.user.name, {"undoes": decision})
            ack = tx.append(event)
            places.claim(tx, found, item, self.user.name, draft=True)
            return ack

    # Reviewing ------------------------------------------------------------------------------------------------------

    def adjudicate(
        self,
        event_id: str,
        campaign: str,
        item: str,
        answer: Mapping[str, Any],
        *,
        chosen: str = "",
        expected_revision: int | None = None,
    ) -> Ack:
        """Say what the answer to an item is.

        Args:
            chosen: Annotator whose answer this is; empty if it is the reviewer's own.
            expected_revision: Of the item's gold answer; refuses to overwrite another reviewer's.

        Raises:
            AccessDenied: If this person is no reviewer.
            AnswerError: If it is not complete, or whoever was chosen has submitted nothing.
        """
        self.require_reviewer()

        def payload(found: Campaign, thing: Item) -> dict[str, Any]:
            checked = checked_answer(answer, found.taxonomy, thing, complete=True).to_dict()
            return {"answer": checked, "chosen": chosen}

        def answered(tx: Writer, found: Campaign, thing: Item) -> None:
            if chosen and tx.answer(campaign, item, chosen).status != "submitted":
                raise AnswerError(f"{chosen} has no answer to this item that could be chosen", "chosen")

        return self._write(event_id, "adjudicated", campaign, item, payload, expected_revision, answered)

    def undo_adjudication(self, event_id: str, campaign: str, item: str) -> Ack:
        """Take the item's gold answer back.

        Raises:
            AccessDenied: If this person is no reviewer.
            EventConflict: If there is none.
        """
        self.require_reviewer()
        with self.store.writing() as tx:
            if (known := self._undone_before(tx, event_id, campaign, item)) is not None:
                return known
            payload = {"undoes": tx.gold(campaign, item).event, "of": "adjudication"}
            return tx.append(AnnotationEvent(event_id, "undone", campaign, item, self.user.name, payload))

    def require_reviewer(self) -> None:
        """Refuse annotators; `review` and `export` of the page call it first.

        Raises:
            AccessDenied: If this person is no reviewer.
        """
        if not self.user.is_reviewer:
            raise AccessDenied("only a reviewer may do this")

    # ----------------------------------------------------------------------------------------------------------------

    def _write(
        self,
        event_id: str,
        kind: EventKind,
        campaign: str,
        item: str,
        payload: Mapping[str, Any] | Callable[[Campaign, Item], dict[str, Any]],
        expected_revision: int | None = None,
        before: Callable[[Writer, Campaign, Item], None] | None = None,
        *,
        release: bool = False,
    ) -> Ack:
        """One event in one transaction, once."""
        with self.store.writing() as tx:
            found = self._campaign(tx, campaign)
            thing = Item.from_dict(item, tx.item(campaign, item))
            values = payload(found, thing) if callable(payload) else payload
            event = AnnotationEvent(event_id, kind, campaign, item, self.user.name, values)
            if (known := tx.known(event)) is not None:
                return known
            if before is not None:
                before(tx, found, thing)
            ack = tx.append(event, expected_revision=expected_revision)
            if release:
                tx.release(campaign, item, self.user.name)
            return ack

    def _hold_if_begun(self, tx: Writer, campaign: Campaign, item: Item, *, draft: bool = False) -> None:
        """Reserve an item, or keep it; one that was begun is worked on even if others took all places meanwhile."""
        begun = tx.answer(campaign.id, item.id, self.user.name)
        held = tx.holding(campaign.id, item.id, self.user.name) is not None
        if held or not begun.first_at or places.has_room(tx, campaign, item.id, self.user.name):
            places.claim(tx, campaign, item.id, self.user.name, draft=draft or begun.form is not None)

    def _undone_before(self, tx: Writer, event_id: str, campaign: str, item: str) -> Ack | None:
        """What an undo takes back is looked up, so that sending it again would look up something else."""
        before = tx.event(event_id)
        mine = (campaign, item, self.user.name, "undone")
        if before is None or (before.campaign, before.item, before.annotator, before.kind) != mine:
            return None
        return Ack(before.id, before.revision, before.at, repeated=True)

    def _campaign(self, tx: Reader, campaign: str) -> Campaign:
        """A campaign never changes, so it is read once."""
        if campaign not in self._campaigns:
            self._campaigns[campaign] = Campaign.from_dict(campaign, tx.campaign(campaign))
        return self._campaigns[campaign]

    def _item_ids(self, tx: Reader, campaign: str) -> list[str]:
        mark = tx.items_mark(campaign)
        if campaign not in self._items or self._items[campaign][0] != mark:
            self._items[campaign] = (mark, tx.item_ids(campaign))
        return self._items[campaign][1]

    def _view(self, tx: Reader, campaign: Campaign, item: str) -> ItemView:
        thing = Item.from_dict(item, tx.item(campaign.id, item))
        state = tx.answer(campaign.id, item, self.user.name)
        return item_view(campaign, thing, state, everything=self.user.is_reviewer)

    def _reads(self, tx: Reader, campaign: Campaign, item: str, annotator: str) -> bool:
        if not visible_to(self.user, annotator, blind=campaign.blind):
            return False
        if self.user.is_reviewer or annotator == self.user.name:
            return True
        # In an open campaign too, the own view comes first.
        return tx.answer(campaign.id, item, self.user.name).status == "submitted"

    def _may_read(self, tx: Reader, campaign: Campaign, item: str, annotator: str) -> None:
        if not self._reads(tx, campaign, item, annotator):
            raise AccessDenied("the answers of others are not shown to annotators here")
