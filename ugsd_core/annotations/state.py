"""The fold of a campaign's events: where each answer stands now.

`step` is the whole meaning of the events that change an answer. The store keeps its result beside the events, in the
same transaction, so that reading it costs no fold; `ugsd annotations verify` folds all events again and compares.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ugsd_core.annotations.errors import EventConflict
from ugsd_core.annotations.events import ANSWER_KINDS, AnnotationEvent, Status

__all__ = ["AnswerState", "Folded", "GoldState", "fold", "gold_step", "heard_s", "is_of_gold", "merged", "step"]

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class AnswerState:
    """One annotator's answer to one item.

    Attributes:
        revision: Counts the events that changed the answer; 0 before the first.
        answer: In force: what was submitted last, unless it was taken back; None otherwise.
        draft: What was saved and is not submitted; None if there is nothing.
        decision: Id of the submit or skip that can be taken back; empty if there is none.
        heard: Stretches of the clip that were played, seconds, sorted, without overlap.
        listened_s: Time spent listening, repeats counted.
        first_at, updated_at: UTC of the first event and of the last that changed something; empty before it.
        decided_at: UTC of the submit or skip that is in force; empty if there is none.
    """

    campaign: str
    item: str
    annotator: str
    status: Status = "pending"
    revision: int = 0
    answer: dict[str, Any] | None = None
    draft: dict[str, Any] | None = None
    decision: str = ""
    heard: tuple[Interval, ...] = ()
    listened_s: float = 0.0
    first_at: str = ""
    updated_at: str = ""
    decided_at: str = ""

    @property
    def heard_s(self) -> float:
        """Seconds of the clip that were played at least once."""
        return heard_s(self.heard)

    @property
    def form(self) -> dict[str, Any] | None:
        """What the form shows: the newest content, saved or submitted."""
        return self.draft if self.draft is not None else self.answer


@dataclass(frozen=True, slots=True)
class GoldState:
    """What a reviewer said the answer to an item is.

    Attributes:
        answer: None if the adjudication was taken back.
        chosen: Annotator whose answer was taken as it is; empty if the reviewer wrote one.
        event: Id of the adjudication in force; empty if there is none.
    """

    campaign: str
    item: str
    revision: int = 0
    answer: dict[str, Any] | None = None
    reviewer: str = ""
    chosen: str = ""
    event: str = ""
    updated_at: str = ""


def merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Sorted, and joined where they overlap or touch (within 10 ms, which no player is exact to)."""
    found: list[Interval] = []
    for start, end in sorted(intervals):
        if found and start <= found[-1][1] + 0.01:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


def heard_s(intervals: Iterable[Interval]) -> float:
    """Seconds covered by intervals that do not overlap."""
    return round(sum(end - start for start, end in intervals), 3)


def step(state: AnswerState, event: AnnotationEvent) -> AnswerState:
    """The state after one more event of this annotator about this item.

    Raises:
        EventConflict: If it takes back what is not the last decision.
    """
    payload = dict(event.payload)
    first = state.first_at or event.at
    if event.kind in ANSWER_KINDS:
        state = replace(state, revision=state.revision + 1)
    state = replace(state, first_at=first, updated_at=event.at)
    if event.kind == "listened":
        played = (float(payload["start_s"]), float(payload["end_s"]))
        spent_s = float(payload.get("spent_s", played[1] - played[0]))
        return replace(state, heard=merged((*state.heard, played)), listened_s=round(state.listened_s + spent_s, 3))
    if event.kind == "draft_saved":
        # What is submitted stays in force until it is submitted anew; a skipped item is taken up again.
        status: Status = "submitted" if state.status == "submitted" else "draft"
        decision, decided = (state.decision, state.decided_at) if status == "submitted" else ("", "")
        return replace(state, status=status, draft=payload["answer"], decision=decision, decided_at=decided)
    if event.kind == "submitted":
        return replace(
            state, status="submitted", answer=payload["answer"], draft=None, decision=event.id, decided_at=event.at
        )
    if event.kind == "skipped":
        # What was written is kept, so that taking the skip back brings it back.
        return replace(state, status="skipped", answer=None, draft=state.form, decision=event.id, decided_at=event.at)
    if event.kind == "undone":
        return _undone(state, str(payload["undoes"]))
    return state


def _undone(state: AnswerState, undoes: str) -> AnswerState:
    if not state.decision or undoes != state.decision:
        raise EventConflict("there is nothing to take back here, or something newer was submitted since", "undo")
    form = state.form
    return replace(
        state, status="pending" if form is None else "draft", answer=None, draft=form, decision="", decided_at=""
    )


def gold_step(state: GoldState, event: AnnotationEvent) -> GoldState:
    """The gold answer after one more adjudication, or after one was taken back.

    Raises:
        EventConflict: If it takes back what is not in force.
    """
    state = replace(state, revision=state.revision + 1, reviewer=event.annotator, updated_at=event.at)
    if event.kind == "adjudicated":
        return replace(
            state, answer=event.payload["answer"], chosen=str(event.payload.get("chosen", "")), event=event.id
        )
    if not state.event or event.payload["undoes"] != state.event:
        raise EventConflict("this adjudication is not in force any more", "undo")
    return replace(state, answer=None, chosen="", event="")


@dataclass(frozen=True, slots=True)
class Folded:
    """What all events come to.

    Attributes:
        campaigns: Id to the event that made it.
        items: Campaign to the events that added its items, in their order.
        answers: By campaign, item and annotator.
        gold: By campaign and item.
    """

    campaigns: dict[str, AnnotationEvent] = field(default_factory=dict)
    items: dict[str, dict[str, AnnotationEvent]] = field(default_factory=dict)
    answers: dict[tuple[str, str, str], AnswerState] = field(default_factory=dict)
    gold: dict[tuple[str, str], GoldState] = field(default_factory=dict)

    def feed(self, event: AnnotationEvent) -> int | None:
        """Take one more event in; the revision that it makes, None if it changes no answer.

        Raises:
            EventConflict: If it does not follow from those before it.
        """
        if event.kind == "campaign_created":
            self.campaigns[event.campaign] = event
        elif event.kind == "item_added":
            self.items.setdefault(event.campaign, {})[event.item] = event
        elif is_of_gold(event):
            place = (event.campaign, event.item)
            self.gold[place] = gold_step(self.gold.get(place, GoldState(*place)), event)
            return self.gold[place].revision
        elif event.kind != "forgotten":
            key = (event.campaign, event.item, event.annotator)
            self.answers[key] = step(self.answers.get(key, AnswerState(*key)), event)
            return self.answers[key].revision if event.kind in ANSWER_KINDS else None
        return None


def is_of_gold(event: AnnotationEvent) -> bool:
    """Whether an event is about an item's gold answer, and not about an annotator's."""
    return event.kind == "adjudicated" or event.payload.get("of") == "adjudication"


def fold(events: Iterable[AnnotationEvent]) -> Folded:
    """Everything from events alone.

    Raises:
        EventConflict: If one does not follow from those before it, or has another revision than it should.
    """
    folded = Folded()
    for event in events:
        revision = folded.feed(event)
        if event.revision != revision:
            raise EventConflict(
                f"the event {event.id} is revision {event.revision} where {revision} was to come: one is missing",
                "revision",
            )
    return folded
