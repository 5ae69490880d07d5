"""What happened in a campaign: the events, the only thing that is kept for good. `docs/annotations.md` has the schema.

An event is made once and never changed. Its id comes from whoever made it (the page: the browser), so that sending it
again is harmless: the store answers with the same acknowledgement. Its time is the store's own, in UTC, set when the
event is taken in, and is no part of what is compared when an id comes twice.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from ugsd_core.annotations.errors import AnnotationError

__all__ = [
    "ANSWER_KINDS",
    "EVENT_KINDS",
    "EVENT_SCHEMA",
    "Ack",
    "AnnotationEvent",
    "EventKind",
    "Status",
    "canonical_json",
    "checked_name",
    "new_event_id",
    "utc_now",
]

#: Counts up when a reader of old events could no longer make sense of new ones.
EVENT_SCHEMA = 1

#: ``campaign_created``, ``item_added``: what is asked. ``opened``: an annotator was given an item. ``listened``: a
#: stretch of the clip was played. ``draft_saved``, ``submitted``, ``skipped``: the answer. ``adjudicated``: a reviewer
#: said what the answer is. ``undone``: a submit, a skip or an adjudication was taken back. ``forgotten``: a person's
#: data were deleted (holds no personal data).
EventKind = Literal[
    "campaign_created", "item_added", "opened", "listened", "draft_saved", "submitted", "skipped", "undone",
    "adjudicated", "forgotten",
]  # fmt: skip
EVENT_KINDS: tuple[str, ...] = get_args(EventKind)
#: Kinds that change an annotator's answer and so get a revision number.
ANSWER_KINDS: tuple[str, ...] = ("draft_saved", "submitted", "skipped", "undone")

#: Where an answer stands.
Status = Literal["pending", "draft", "submitted", "skipped"]

EVENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{7,79}")
NAME = re.compile(r"[^\x00-\x1f\x7f/\\\s][^\x00-\x1f\x7f/\\]{0,98}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def utc_now() -> str:
    """Now, as ``2026-05-04T10:20:30.123Z``: sorts as it reads."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_event_id() -> str:
    """An id for an event that a program makes; a browser uses ``crypto.randomUUID()``."""
    return str(uuid.uuid4())


def canonical_json(value: Any) -> str:
    """JSON that is the same text for the same value: keys sorted, no spaces, no NaN.

    Raises:
        AnnotationError: If the value can't be written as JSON text.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
        text.encode("utf-8")
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"an event holds what can't be kept ({error}); send text and finite numbers", "payload") \
            from error  # fmt: skip
    return text


def checked_name(name: str, what: str) -> str:
    """A name of a campaign, an item or a person, as it came.

    Raises:
        AnnotationError: If it is empty, longer than 99 characters, or has a slash or a control character.
    """
    if not NAME.fullmatch(name) or name in (".", ".."):
        raise AnnotationError(
            f"{name!r} is no name for {what}: take 1 to 99 characters without slashes and without a space in front",
            "name",
        )
    return name


@dataclass(frozen=True, slots=True)
class AnnotationEvent:
    """One thing that happened.

    Attributes:
        id: Made by whoever made the event, 8 to 80 of ``A-Za-z0-9._:-``; the idempotency key.
        annotator: Whose doing it was: the name of a person, a visitor's random id, or empty for the program.
        campaign: Empty for ``forgotten`` alone.
        item: Empty where the event is about no item.
        payload: JSON values; what is in it for each kind is in `docs/annotations.md`.
        at: UTC; empty until the store takes the event in.
        revision: Of the answer (or of the item's gold answer) after this event; None until the store takes it in, and
            for events that change no answer.
    """

    id: str
    kind: EventKind
    campaign: str
    item: str = ""
    annotator: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""
    revision: int | None = None

    def __post_init__(self) -> None:
        if not EVENT_ID.fullmatch(self.id):
            raise AnnotationError(
                f"{self.id!r} is no event id: take 8 to 80 of A-Z a-z 0-9 . _ : - such as crypto.randomUUID() gives",
                "event_id",
            )
        if self.kind not in EVENT_KINDS:
            raise AnnotationError(f"there is no event {self.kind!r}; one of {', '.join(EVENT_KINDS)}", "kind")
        if self.campaign or self.kind != "forgotten":
            checked_name(self.campaign, "a campaign")
        if self.item:
            checked_name(self.item, "an item")
        if self.annotator:
            checked_name(self.annotator, "a person")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what the event says; time and revision, which the store adds, do not count."""
        said = [self.kind, self.campaign, self.item, self.annotator, dict(self.payload)]
        return hashlib.sha256(canonical_json(said).encode()).hexdigest()

    def taken_in(self, at: str, revision: int | None) -> AnnotationEvent:
        """The event as the store keeps it."""
        return replace(self, at=at, revision=revision)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; a line of a snapshot or an export."""
        return {
            "schema": EVENT_SCHEMA,
            "id": self.id,
            "kind": self.kind,
            "at": self.at,
            "campaign": self.campaign,
            "item": self.item,
            "annotator": self.annotator,
            "revision": self.revision,
            "payload": dict(self.payload),
        }

    @classmethod
    def from_dict(cls, values: Any) -> AnnotationEvent:
        """The inverse of `to_dict`.

        Raises:
            AnnotationError: If it is no event, or one of a newer version.
        """
        if not isinstance(values, dict) or values.get("schema") != EVENT_SCHEMA:
            raise AnnotationError("this is no event that this version can read", "schema")
        try:
            event = cls(
                id=str(values["id"]),
                kind=values["kind"],
                campaign=str(values["campaign"]),
                item=str(values["item"]),
                annotator=str(values["annotator"]),
                payload=dict(values["payload"]),
                at=str(values["at"]),
                revision=None if values["revision"] is None else int(values["revision"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise AnnotationError(f"an event is damaged ({error})", "schema") from error
        if not TIME.fullmatch(event.at):
            raise AnnotationError(f"the event {event.id} has no UTC time such as {utc_now()}", "schema")
        return event


@dataclass(frozen=True, slots=True)
class Ack:
    """The store's word that an event is on the disk; given after the commit and never before.

    Attributes:
        revision: Of the answer after the event; None for events that change no answer.
        at: When the event was taken in; the first time, if it came twice.
        repeated: The event had been taken in before, and nothing was written now.
    """

    event_id: str
    revision: int | None
    at: str
    repeated: bool = False
