"""The fold: where an answer stands after anything that can happen."""

from __future__ import annotations

from typing import Any

import pytest

from tests.annotations.helpers import eid
from ugsd_core.annotations.errors import EventConflict
from ugsd_core.annotations.events import AnnotationEvent
from ugsd_core.annotations.state import AnswerState, fold, merged, step

AT = "2026-05-04T10:00:00.000Z"


def after(*deeds: tuple[str, dict[str, Any]]) -> AnswerState:
    """The state after some deeds; ``undone`` takes back the last decision."""
    state = AnswerState("c", "i", "ann")
    for kind, payload in deeds:
        if kind == "undone" and not payload:
            payload = {"undoes": state.decision}
        state = step(state, AnnotationEvent(eid(), kind, "c", "i", "ann", payload, AT))  # type: ignore[arg-type]
    return state


def draft(note: str) -> tuple[str, dict[str, Any]]:
    return "draft_saved", {"answer": {"note": note}}


def submit(note: str) -> tuple[str, dict[str, Any]]:
    return "submitted", {"answer": {"note": note}}


SKIP: tuple[str, dict[str, Any]] = ("skipped", {"reason": ""})
UNDO: tuple[str, dict[str, Any]] = ("undone", {})


def test_nothing_done_is_pending() -> None:
    assert after().status == "pending" and after().form is None


def test_every_change_counts_up_the_revision_and_listening_does_not() -> None:
    heard = ("listened", {"start_s": 0.0, "end_s": 1.0, "spent_s": 1.0})
    assert after(("opened", {}), heard, draft("a"), heard, draft("b"), submit("c"), UNDO, SKIP).revision == 5


def test_a_submit_that_is_taken_back_is_a_draft_with_the_same_content() -> None:
    state = after(submit("a"), UNDO)
    assert (state.status, state.answer, state.form) == ("draft", None, {"note": "a"})


def test_a_skip_that_is_taken_back_brings_back_what_was_written() -> None:
    assert after(draft("a"), SKIP, UNDO).form == {"note": "a"}
    assert after(SKIP, UNDO).status == "pending"


def test_a_submitted_answer_stays_in_force_while_it_is_edited() -> None:
    state = after(submit("a"), draft("b"))
    assert (state.status, state.answer, state.form) == ("submitted", {"note": "a"}, {"note": "b"})
    assert after(submit("a"), draft("b"), submit("b")).answer == {"note": "b"}


def test_taking_back_an_edited_submit_keeps_the_edit() -> None:
    assert after(submit("a"), draft("b"), UNDO).form == {"note": "b"}


def test_a_skipped_item_that_is_written_on_is_taken_up_again() -> None:
    assert after(SKIP, draft("a")).status == "draft"


def test_only_the_last_decision_can_be_taken_back_and_only_once() -> None:
    for deeds in ((UNDO,), (draft("a"), UNDO), (submit("a"), UNDO, UNDO)):
        with pytest.raises(EventConflict):
            after(*deeds)
    with pytest.raises(EventConflict):
        after(submit("a"), submit("b"), ("undone", {"undoes": "event-of-before"}))


def test_hearing_the_first_second_twice_is_hearing_one_second() -> None:
    def played(start: float, end: float) -> tuple[str, dict[str, Any]]:
        return "listened", {"start_s": start, "end_s": end, "spent_s": end - start}

    state = after(played(0, 1), played(0, 1), played(2, 3), played(0.5, 2))
    assert state.heard == ((0.0, 3.0),)
    assert state.heard_s == 3.0 and state.listened_s == 4.5


def test_stretches_are_merged_where_they_touch() -> None:
    assert merged([(2.0, 3.0), (0.0, 1.0), (1.005, 1.5)]) == ((0.0, 1.5), (2.0, 3.0))


def test_a_missing_event_is_seen_by_its_revision() -> None:
    events = [
        AnnotationEvent(eid(), "draft_saved", "c", "i", "ann", {"answer": {}}, AT, revision) for revision in (1, 2, 3)
    ]
    assert fold(events).answers["c", "i", "ann"].revision == 3
    with pytest.raises(EventConflict, match="missing"):
        fold([events[0], events[2]])


def test_a_later_adjudication_replaces_an_earlier_one_and_can_be_taken_back() -> None:
    first = AnnotationEvent("gold-00001", "adjudicated", "c", "i", "rev", {"answer": {"note": "a"}}, AT, 1)
    second = AnnotationEvent("gold-00002", "adjudicated", "c", "i", "rex", {"answer": {"note": "b"}}, AT, 2)
    undo = AnnotationEvent(
        "gold-00003", "undone", "c", "i", "rex", {"undoes": "gold-00002", "of": "adjudication"}, AT, 3
    )
    assert fold([first, second]).gold["c", "i"].answer == {"note": "b"}
    assert fold([first, second, undo]).gold["c", "i"].answer is None
    assert not fold([first, second, undo]).answers
