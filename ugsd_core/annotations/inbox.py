"""The inbox: a campaign that captions are sent to from elsewhere, one by one.

A visitor's "this caption is wrong" and a row of the Evaluation tab land here. A visitor's recording is kept only if the
visitor said so; without that, the caption, its run (which holds no sound) and the remark stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ugsd_core.annotations.campaign import Campaign, Item, NewItem, add_item, create_campaign, item_id, word_tokens
from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.media import Media, Sound
from ugsd_core.annotations.sources import item_of_line, run_tokens
from ugsd_core.annotations.store import Store
from ugsd_core.evaluation.records import ClipLine
from ugsd_core.messages import CaptionStarted, Event

__all__ = ["INBOX", "add", "add_line", "open_inbox"]

INBOX = "inbox"
GUIDELINES = """\
These captions were sent in, because somebody found them wrong or worth a look; the remark says why.

Judge them as in any campaign. Some have no recording, because whoever sent them did not want it kept: then judge what
can be seen from the caption and its remark, or skip.
"""
REMARK_LIMIT = 1_000


def open_inbox(store: Store, media: Media, campaign: str = INBOX) -> None:
    """Make the inbox if it is not there."""
    with store.reading() as tx:
        if campaign in dict(tx.campaigns()):
            return
    inbox = Campaign(campaign, "Inbox", GUIDELINES, blind=False, must_listen=0.0, source="inbox")
    try:
        create_campaign(store, media, inbox, ())
    except AnnotationError as error:
        if error.code != "campaign_exists":  # another process was faster
            raise


def add(
    store: Store,
    media: Media,
    *,
    event_id: str,
    caption: str,
    language: str,
    origin: Literal["visitor", "evaluation"] = "visitor",
    events: Sequence[Event] = (),
    remark: str = "",
    system: str = "",
    audio: Path | Sound | None = None,
    keep_audio: bool = False,
    by: str = "",
    campaign: str = INBOX,
) -> str:
    """Send a caption in; the same event id again adds nothing. Returns the item's id.

    Args:
        event_id: Made by the browser.
        events: The caption's run.
        remark: What is wrong, in the sender's words.
        audio: The recording; it is not even looked at without ``keep_audio``.
        keep_audio: The visitor has agreed that the recording is kept.
        by: A visitor's random id, by which the visitor can have it deleted; or who sent the row.

    Raises:
        AnnotationError: If there is no caption, or the remark is too long.
    """
    if len(remark) > REMARK_LIMIT:
        raise AnnotationError(f"the remark is text of at most {REMARK_LIMIT} characters", "remark")
    open_inbox(store, media, campaign)
    started = next((event for event in events if isinstance(event, CaptionStarted)), None)
    item = Item(
        id=item_id(campaign, event_id),
        caption=caption,
        language=language,
        tokens=run_tokens(caption, events) if events else word_tokens(caption),
        system=system,
        duration_s=None if started is None else started.duration_s,
        origin=origin,
        remark=remark,
    )
    new = NewItem(item, audio if keep_audio else None, tuple(events))
    return add_item(store, media, campaign, new, event_id=event_id, by=by)


def add_line(
    store: Store,
    media: Media,
    *,
    event_id: str,
    line: ClipLine,
    run: Path,
    corpus: Path | None,
    remark: str = "",
    by: str = "",
    campaign: str = INBOX,
) -> str:
    """Send a row of an evaluation in, with its recording, which is the corpus' own. Returns the item's id.

    Args:
        run: The run folder.
        corpus: The corpus folder, where the line's path lies; None if the path is whole.

    Raises:
        AnnotationError: If the row has no caption.
    """
    if len(remark) > REMARK_LIMIT:
        raise AnnotationError(f"the remark is text of at most {REMARK_LIMIT} characters", "remark")
    open_inbox(store, media, campaign)
    new, _ = item_of_line(campaign, line, run, corpus)
    values = new.item.to_dict() | {"origin": "evaluation", "remark": remark}
    item = Item.from_dict(item_id(campaign, event_id), values)
    return add_item(store, media, campaign, NewItem(item, new.audio, new.events), event_id=event_id, by=by)
