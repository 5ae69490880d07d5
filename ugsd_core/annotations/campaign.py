"""What is asked: a campaign and its items. Both are made once and kept as events; neither is changed afterwards."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.events import AnnotationEvent, checked_name, new_event_id
from ugsd_core.annotations.media import Media
from ugsd_core.annotations.store import Store
from ugsd_core.annotations.taxonomy import Taxonomy, default_taxonomy
from ugsd_core.annotations.writing import Writer
from ugsd_core.messages import Event

__all__ = ["Campaign", "Item", "NewItem", "add_item", "create_campaign", "item_id", "word_tokens"]

DEFAULT_GUIDELINES = (
    """\
Listen to the whole clip, then read the caption.

- **Accept** it if somebody who can't hear the clip would get the right idea of how it is said.
- **Flag** it if not, and say what is wrong and how badly. Mark the words it is about where there are such.
- **Skip** it if you can't judge it: a language you don't speak, a broken recording.

What is said does not matter, only how. Judge the caption, not the speaker.

"""
    "先听完整段录音，再读描述。若听不到录音的人能由描述正确了解说话方式，就**接受**；"
    "否则**标记**，说明错在哪里、有多严重，并标出有问题的词；无法判断时**跳过**。只看怎么说，不看说了什么；评判描述，不评判说话人。\n"
)
#: Latin words with the space before them, and any other character on its own, as Chinese is read.
WORD = re.compile(r"\s*(?:[^\W\u2e80-\u9fff\uf900-\ufaff]+(?:['’-][^\W\u2e80-\u9fff\uf900-\ufaff]+)*|\S)|\s+$")


@dataclass(frozen=True, slots=True)
class Campaign:
    """What annotators are asked, and how.

    Attributes:
        id: Its name in addresses and files.
        guidelines: Markdown.
        overlap: An item is given to at most so many annotators; gold items to all.
        seed: Of the order of items, which differs from annotator to annotator.
        blind: Annotators see no system, no uncertainty and nobody else's answers.
        must_listen: Share of the clip that must have been played before a submit, 0 to 1; 0 asks for nothing.
        hold_s: So long an item that was opened is kept for its annotator; one with a draft ``draft_hold_s``.
        source: Where the items came from: ``"run"``, ``"traces"``, ``"manifest"``, ``"inbox"``.
    """

    id: str
    title: str = ""
    guidelines: str = DEFAULT_GUIDELINES
    taxonomy: Taxonomy = field(default_factory=default_taxonomy)
    overlap: int = 1
    seed: int = 0
    blind: bool = True
    must_listen: float = 0.9
    hold_s: float = 1_800.0
    draft_hold_s: float = 86_400.0
    source: str = "manifest"

    def __post_init__(self) -> None:
        checked_name(self.id, "a campaign")
        if not 1 <= self.overlap <= 1_000:
            raise AnnotationError(f"an item is given to 1 to 1000 annotators, not {self.overlap}", "overlap")
        if not 0.0 <= self.must_listen <= 1.0:
            raise AnnotationError(f"the share that must be heard is in 0…1, not {self.must_listen}", "must_listen")
        if self.hold_s <= 0 or self.draft_hold_s < self.hold_s:
            raise AnnotationError("an item is held for more than 0 s, and one with a draft not shorter", "hold")

    def to_dict(self) -> dict[str, Any]:
        """Plain values: the payload of ``campaign_created``."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "id"}
        return values | {"taxonomy": self.taxonomy.to_dict()}

    @classmethod
    def from_dict(cls, campaign: str, values: Mapping[str, Any]) -> Campaign:
        """The inverse of `to_dict`."""
        known = {entry.name for entry in fields(cls)} - {"id", "taxonomy"}
        rest = {key: value for key, value in values.items() if key in known}
        return cls(id=campaign, taxonomy=Taxonomy.from_dict(values["taxonomy"]), **rest)


@dataclass(frozen=True, slots=True)
class Item:
    """A caption of a clip, to be judged.

    Attributes:
        id: Says nothing about the clip or the system, as blind annotators see it.
        tokens: Pieces of the caption, which together give it; flags point at them.
        clip, corpus, system: Where the caption came from; empty where unknown.
        audio: File in the campaign's media folder; empty if there is no sound.
        trace: Name of the run in the campaign's trace folder; empty if there is none.
        references, label: What the corpus says; for reviewers.
        origin: ``"campaign"``, or ``"visitor"`` and ``"evaluation"`` for what came into the inbox.
        remark: What whoever sent it to the inbox wrote.
        gold: The answer that is expected, for quality control; never shown to annotators. None for other items.
    """

    id: str
    caption: str
    language: str
    tokens: tuple[str, ...]
    clip: str = ""
    corpus: str = ""
    system: str = ""
    audio: str = ""
    duration_s: float | None = None
    trace: str = ""
    references: tuple[str, ...] = ()
    label: str | None = None
    origin: str = "campaign"
    remark: str = ""
    gold: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.caption.strip():
            raise AnnotationError(f"the item {self.clip or self.id} has no caption to judge; leave it out", "caption")
        if "".join(self.tokens) != self.caption:
            raise AnnotationError(f"the tokens of the item {self.id} do not give its caption", "tokens")

    def to_dict(self) -> dict[str, Any]:
        """Plain values: the payload of ``item_added``."""
        values = asdict(self) | {"tokens": list(self.tokens), "references": list(self.references)}
        del values["id"]
        return values

    @classmethod
    def from_dict(cls, item: str, values: Mapping[str, Any]) -> Item:
        """The inverse of `to_dict`."""
        known = {entry.name for entry in fields(cls)} - {"id"}
        rest = {key: value for key, value in values.items() if key in known}
        return cls(id=item, **rest | {"tokens": tuple(rest["tokens"]), "references": tuple(rest["references"])})


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item with what is still to be put into the media folder.

    Attributes:
        audio: A file that is copied; None if there is no sound.
        events: The caption's run, where it is known.
    """

    item: Item
    audio: Any = None  # Path or bytes with their suffix; `Media.keep_audio` knows both
    events: tuple[Event, ...] = ()


def item_id(campaign: str, *parts: str) -> str:
    """An id that follows from where the caption came from, and does not tell it."""
    return "i" + hashlib.sha256("\x1f".join((campaign, *parts)).encode()).hexdigest()[:15]


def word_tokens(caption: str) -> tuple[str, ...]:
    """Words of a caption, each with the space before it; Chinese characters one by one."""
    found = tuple(match.group() for match in WORD.finditer(caption))
    return found if "".join(found) == caption else (caption,)


def create_campaign(store: Store, media: Media, campaign: Campaign, items: Iterable[NewItem], *, by: str = "") -> int:
    """Make a campaign with its items, all or nothing; returns the number of items.

    Raises:
        AnnotationError: If there is one of that name, there are no items, or two are the same.
    """
    with store.reading() as tx:
        if campaign.id in dict(tx.campaigns()):
            raise AnnotationError(
                f"there is a campaign {campaign.id!r} in this store; choose another name", "campaign_exists"
            )
    kept = [_with_media(media, campaign.id, item) for item in items]
    if not kept and campaign.source != "inbox":
        raise AnnotationError("a campaign needs at least one caption; nothing in the source has one", "no_items")
    with store.writing() as tx:
        tx.append(
            AnnotationEvent(new_event_id(), "campaign_created", campaign.id, annotator=by, payload=campaign.to_dict())
        )
        for item in kept:
            _append(tx, campaign.id, item, new_event_id(), by)
    return len(kept)


def add_item(store: Store, media: Media, campaign: str, item: NewItem, *, event_id: str, by: str = "") -> str:
    """Add one item to a campaign that is under way; the same event again adds nothing. Returns the item's id.

    Raises:
        AnnotationError: If the campaign is unknown.
    """
    kept = _with_media(media, campaign, item)
    with store.writing() as tx:
        _append(tx, campaign, kept, event_id, by)
    return kept.id


def _append(tx: Writer, campaign: str, item: Item, event_id: str, by: str) -> None:
    tx.append(AnnotationEvent(event_id, "item_added", campaign, item.id, by, item.to_dict()))


def _with_media(media: Media, campaign: str, new: NewItem) -> Item:
    values = new.item.to_dict()
    if new.audio is not None:
        values["audio"] = media.keep_audio(campaign, new.audio)
    if new.events:
        values["trace"] = media.traces(campaign).keep(new.events)
    return Item.from_dict(new.item.id, values)
