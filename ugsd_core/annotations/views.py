"""What a person is shown of a campaign and of an item: everything that may be seen, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ugsd_core.annotations.campaign import Campaign, Item
from ugsd_core.annotations.state import AnswerState
from ugsd_core.annotations.taxonomy import Taxonomy

__all__ = ["CampaignView", "EarlierAnswer", "ItemView", "campaign_view", "earlier_answer", "item_view"]


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign as annotators see it; as in `Campaign`."""

    id: str
    title: str
    guidelines: str
    taxonomy: Taxonomy
    overlap: int
    blind: bool
    must_listen: float


@dataclass(frozen=True, slots=True)
class ItemView:
    """An item and the own answer to it.

    Attributes:
        id, caption, language, tokens, duration_s: As in `Item`.
        has_audio: `AnnotationService.audio` has a recording.
        state: The own answer.
        clip, corpus, system, has_trace, origin, remark: Empty in a blind campaign, except to a reviewer.
        references, label, is_gold: For reviewers; empty otherwise.
    """

    campaign: str
    id: str
    caption: str
    language: str
    tokens: tuple[str, ...]
    duration_s: float | None
    has_audio: bool
    state: AnswerState
    clip: str = ""
    corpus: str = ""
    system: str = ""
    has_trace: bool = False
    origin: str = ""
    remark: str = ""
    references: tuple[str, ...] = ()
    label: str | None = None
    is_gold: bool = False


@dataclass(frozen=True, slots=True)
class EarlierAnswer:
    """An answer, a skip or a draft of one's own, in a list of them.

    Attributes:
        caption, language: Of the item.
        state: Where the answer stands.
    """

    caption: str
    language: str
    state: AnswerState

    @property
    def is_changed(self) -> bool:
        """Whether something was changed since the submit that is in force, and not submitted again."""
        state = self.state
        return state.status == "submitted" and state.draft is not None and state.draft != state.answer


def earlier_answer(state: AnswerState, item: Mapping[str, Any]) -> EarlierAnswer:
    """An own answer with what is needed to recognise its item.

    Args:
        item: As the store keeps it.
    """
    return EarlierAnswer(str(item["caption"]), str(item.get("language", "")), state)


def campaign_view(campaign: Campaign) -> CampaignView:
    """A campaign without what is nobody's business: the seed, and how long items are held."""
    return CampaignView(
        id=campaign.id,
        title=campaign.title or campaign.id,
        guidelines=campaign.guidelines,
        taxonomy=campaign.taxonomy,
        overlap=campaign.overlap,
        blind=campaign.blind,
        must_listen=campaign.must_listen,
    )


def item_view(campaign: Campaign, item: Item, state: AnswerState, *, everything: bool) -> ItemView:
    """An item for one person.

    Args:
        everything: The person is a reviewer.
    """
    shown = everything or not campaign.blind
    return ItemView(
        campaign=campaign.id,
        id=item.id,
        caption=item.caption,
        language=item.language,
        tokens=item.tokens,
        duration_s=item.duration_s,
        has_audio=bool(item.audio),
        state=state,
        clip=item.clip if shown else "",
        corpus=item.corpus if shown else "",
        system=item.system if shown else "",
        has_trace=shown and bool(item.trace),
        origin=item.origin if shown else "",
        remark=item.remark if shown else "",
        references=item.references if everything else (),
        label=item.label if everything else None,
        is_gold=everything and item.gold is not None,
    )
