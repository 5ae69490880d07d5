"""What the page asks of the annotation side, as plain values: one request in, one answer out.

A `Desk` holds the store and makes an `AnnotationService` for whoever is signed in; what a person may not see, the
service does not give. While somebody works in a blind campaign, the desk gives less still: a reviewer who answers there
is as blind as anybody.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ugsd_core.annotations.errors import AnnotationError, StoreError
from ugsd_core.annotations.events import Ack
from ugsd_core.annotations.identity import User
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.queues import Queues
from ugsd_core.annotations.service import AnnotationService
from ugsd_core.annotations.store import Store
from ugsd_core.annotations.views import CampaignView, EarlierAnswer, ItemView
from ugsd_core.errors import UgsdError
from ui.engine_words import told
from ui.language import Locale

__all__ = ["Desk", "refusal"]

#: Services that are kept, so that a campaign and its items are not read at every request.
SERVICES = 256
#: Events of one request; a page that was offline for hours has fewer.
EVENT_LIMIT = 500
#: Own answers of one request.
EARLIER = 50
#: Kinds after which the page goes on to another item.
DECISIONS = ("submitted", "skipped", "undone")


class Desk:
    """The store as the page sees it. Safe for many threads."""

    def __init__(self, store: Store, media: Media) -> None:
        self.store, self.media = store, media
        self._services: OrderedDict[User, AnnotationService] = OrderedDict()
        self._lock = threading.Lock()

    def service(self, user: User) -> AnnotationService:
        """The service of a person with the role that the person has now."""
        with self._lock:
            service = self._services.setdefault(user, AnnotationService(self.store, self.media, user))
            self._services.move_to_end(user)
            while len(self._services) > SERVICES:
                self._services.popitem(last=False)
        return service

    def campaigns(self, user: User) -> list[dict[str, Any]]:
        """Every campaign with the own progress."""
        service = self.service(user)
        return [
            {"id": view.id, "title": view.title, "progress": self._progress(service, view.id)}
            for view in service.campaigns()
        ]

    def campaign(self, user: User, campaign: str) -> dict[str, Any]:
        """Rules, flags and guidelines of a campaign.

        Raises:
            AnnotationError: If there is none of that name.
        """
        view = self.service(user).campaign(campaign)
        return {
            "id": view.id,
            "title": view.title,
            "guidelines": markdown(view.guidelines),
            "taxonomy": view.taxonomy.to_dict() | {"label": view.taxonomy.label},
            "overlap": view.overlap,
            "blind": view.blind,
            "must_listen": view.must_listen,
        }

    def work(self, user: User, campaign: str, item: str = "", last: str = "") -> dict[str, Any]:
        """What to work on: the item, the one after it (so that the page has its clip in time), and the progress.

        Args:
            item: Open this one; otherwise what was open last, or else the next one.
            last: What the page had open last, if it knows.

        Raises:
            AnnotationError: If there is no such campaign or item.
        """
        service = self.service(user)
        rules = service.campaign(campaign)
        view = service.open(campaign, item) if item else self._resume(service, campaign, last)
        if view is None:  # what was put aside as a draft comes last
            left = service.queues(campaign).draft
            view = service.open(campaign, left[0]) if left else None
        # Somebody who looks at an earlier answer goes back to where they were, and not on from there.
        onward = view is not None and view.state.status in ("pending", "draft")
        after = service.next(campaign, after=view.id) if view is not None and onward else None
        return {
            "campaign": campaign,
            "item": None if view is None else self._item(service, rules, view),
            "ahead": None if after is None else self._item(service, rules, after),
            "progress": self._progress(service, campaign),
        }

    def _resume(self, service: AnnotationService, campaign: str, last: str) -> ItemView | None:
        """What was open last. The item ahead of it is held as well, so that the store alone can't tell."""
        found = service.queues(campaign)
        if last in found.held or last in found.draft or self._is_being_changed(service, campaign, last, found):
            return service.open(campaign, last)
        held = set(found.held)
        first = next((item for item in found.pending if item in held), None)
        return service.resume(campaign) if first is None else service.open(campaign, first)

    def _is_being_changed(self, service: AnnotationService, campaign: str, item: str, found: Queues) -> bool:
        """Whether an answer that was submitted has changes that were not."""
        return item in found.submitted and service.answer(campaign, item).draft is not None

    def earlier(self, user: User, campaign: str, offset: int = 0) -> dict[str, Any]:
        """The own answers, the newest first.

        Args:
            offset: So many newer ones are left out.

        Raises:
            AnnotationError: If there is no such campaign.
        """
        found, total = self.service(user).earlier(campaign, limit=EARLIER, offset=max(0, offset))
        return {"campaign": campaign, "total": total, "offset": offset, "answers": [_earlier(one) for one in found]}

    def take(self, user: User, events: Any, then: Any, locale: Locale) -> dict[str, Any]:
        """Take in what a person did, in its order, and give what comes next.

        Args:
            events: Objects with ``id``, ``kind``, ``campaign``, ``item``, ``payload``, ``expected_revision``.
            then: None; or ``campaign``, and perhaps an ``item``, that the page goes on with if nothing was refused.

        Returns:
            ``acks``, one an event: ``id`` with ``revision`` and ``at``, or with ``error``; ``work`` where asked for.

        Raises:
            StoreError: If the store can't be written; the events may be sent again.
            AnnotationError: If this is no list of events.
        """
        if (
            not isinstance(events, list)
            or len(events) > EVENT_LIMIT
            or not all(isinstance(one, dict) for one in events)
        ):
            raise AnnotationError(f"events are a list of at most {EVENT_LIMIT} objects", "events")
        service, acks, refused = self.service(user), [], False
        for event in events:
            try:
                ack = _apply(service, event)
                acks.append({"id": ack.event_id, "revision": ack.revision, "at": ack.at, "repeated": ack.repeated})
            except StoreError:
                raise
            except UgsdError as error:
                acks.append({"id": str(event.get("id", "")), "error": refusal(error, locale)})
                refused = refused or event.get("kind") in DECISIONS
        answer: dict[str, Any] = {"acks": acks}
        if isinstance(then, dict) and not refused:
            answer["work"] = self.work(user, str(then.get("campaign", "")), str(then.get("item") or ""))
        return answer

    def audio(self, user: User, campaign: str, item: str) -> Path | None:
        """The recording of an item; None if it has none.

        Raises:
            AnnotationError: If there is no such item.
        """
        return self.service(user).audio(campaign, item)

    def _progress(self, service: AnnotationService, campaign: str) -> dict[str, int]:
        found = service.queues(campaign)
        lists = {name: len(getattr(found, name)) for name in ("pending", "draft", "submitted", "skipped")}
        return lists | {"closed": found.closed, "total": found.total}

    def _item(self, service: AnnotationService, rules: CampaignView, view: ItemView) -> dict[str, Any]:
        state = view.state
        shown = {
            "id": view.id,
            "caption": view.caption,
            "language": view.language,
            "tokens": list(view.tokens),
            "audio": view.has_audio,
            "duration_s": view.duration_s,
            "status": state.status,
            "revision": state.revision,
            "decided_at": state.decided_at,
            "form": state.form,
            "heard": [list(stretch) for stretch in state.heard],
        }
        if rules.blind:
            return shown
        return shown | {
            "system": view.system,
            "clip": view.clip,
            "remark": view.remark,
            "marks": self._marks(service, view) if view.has_trace else None,
        }

    def _marks(self, service: AnnotationService, view: ItemView) -> list[dict[str, Any]] | None:
        """State and heat of each token, from the item's run; None where they are not the same tokens."""
        from ui.components.token_strip import strip_state

        try:
            strip = strip_state(service.trace(view.campaign, view.id))
        except UgsdError:
            return None
        chips = [chip for chip in strip["tokens"] if chip["state"] not in ("rejected", "ignored") and chip["raw"]]
        if tuple(chip["raw"].strip() for chip in chips) != tuple(token.strip() for token in view.tokens):
            return None
        return [{"state": chip["state"], "heat": chip["heat"]} for chip in chips]


def _earlier(one: EarlierAnswer) -> dict[str, Any]:
    state = one.state
    said = state.answer or state.draft or {}
    return {
        "item": state.item,
        "caption": one.caption,
        "language": one.language,
        "status": state.status,
        "revision": state.revision,
        "verdict": said.get("verdict"),
        "kinds": sorted({flag["kind"] for flag in said.get("flags", ())}),
        "changed": one.is_changed,
        "at": state.decided_at or state.updated_at,
    }


def _apply(service: AnnotationService, event: Mapping[str, Any]) -> Ack:
    """One event by the person's own service.

    Raises:
        AnnotationError: If it is refused.
    """
    names: Sequence[str] = ("id", "campaign", "item")
    if not all(isinstance(event.get(name), str) for name in names) or not isinstance(event.get("payload"), dict):
        raise AnnotationError("an event has an id, a kind, a campaign, an item and a payload", "events")
    event_id, campaign, item = (event[name] for name in names)
    payload, revision = event["payload"], event.get("expected_revision")
    if revision is not None and (not isinstance(revision, int) or isinstance(revision, bool)):
        raise AnnotationError("a revision is a whole number", "events")
    answer = payload.get("answer")
    match event.get("kind"):
        case "listened":
            seconds = {name: _seconds(payload.get(name)) for name in ("start_s", "end_s", "spent_s")}
            return service.listened(event_id, campaign, item, **seconds)
        case "draft_saved":
            return service.save_draft(event_id, campaign, item, answer, expected_revision=revision)
        case "submitted":
            return service.submit(event_id, campaign, item, answer, expected_revision=revision)
        case "skipped":
            return service.skip(event_id, campaign, item, reason=str(payload.get("reason", "")))
        case "undone":
            return service.undo(event_id, campaign, item)
        case "adjudicated":
            chosen = str(payload.get("chosen", ""))
            return service.adjudicate(event_id, campaign, item, answer, chosen=chosen, expected_revision=revision)
        case "adjudication_undone":
            return service.undo_adjudication(event_id, campaign, item)
    raise AnnotationError(f"the page can't send {event.get('kind')!r}", "kind")


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise AnnotationError("a stretch of a clip is given in seconds", "listened")
    return float(value)


def refusal(error: UgsdError, locale: Locale) -> dict[str, Any]:
    """An error as the page shows it."""
    found = told(locale, str(error))
    return {
        "code": getattr(error, "code", "error"),
        "field": getattr(error, "field", ""),
        "message": found.text,
        "english": not found.translated,
    }


@lru_cache(maxsize=64)
def markdown(text: str) -> str:
    """Guidelines as markup; what is markup in them already is shown as it stands, and links go nowhere dangerous."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render(text)
