"""Events: what they may be, and what makes two of them the same."""

from __future__ import annotations

import json

import pytest

from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.events import AnnotationEvent, canonical_json, checked_name, new_event_id, utc_now


def event(**values: object) -> AnnotationEvent:
    return AnnotationEvent(
        **{"id": "event-0001", "kind": "submitted", "campaign": "c", "item": "i", "annotator": "ann"} | values  # type: ignore[arg-type]
    )


def test_an_event_survives_its_own_json() -> None:
    one = event(payload={"answer": {"note": "她 \u2028 😀"}}).taken_in(utc_now(), 3)
    assert AnnotationEvent.from_dict(json.loads(canonical_json(one.to_dict()))) == one


def test_time_and_revision_are_no_part_of_what_an_event_says() -> None:
    assert event().fingerprint == event().taken_in(utc_now(), 3).fingerprint
    assert event().fingerprint != event(payload={"a": 1}).fingerprint
    assert event().fingerprint != event(annotator="bob").fingerprint


@pytest.mark.parametrize("bad", ["short", "with space in it", "x" * 81, "-begins-badly", "späte-id-0000"])
def test_an_event_id_that_no_browser_made_is_refused(bad: str) -> None:
    with pytest.raises(AnnotationError, match="event id"):
        event(id=bad)


def test_ids_of_programs_are_event_ids() -> None:
    assert event(id=new_event_id())


@pytest.mark.parametrize("bad", ["", "..", "a/b", "a\\b", " in front", "a\nb", "x" * 100])
def test_names_cannot_leave_their_folder(bad: str) -> None:
    with pytest.raises(AnnotationError, match="no name"):
        checked_name(bad, "a campaign")


@pytest.mark.parametrize("name", ["ann", "Ann Müller", "hf:someone", "小明", "a.b@c"])
def test_people_are_called_what_they_like(name: str) -> None:
    assert checked_name(name, "a person") == name


@pytest.mark.parametrize("payload", [{"x": float("nan")}, {"x": "\ud800"}, {"x": object()}])
def test_what_no_file_could_hold_is_refused_at_once(payload: dict[str, object]) -> None:
    with pytest.raises(AnnotationError, match="can't be kept"):
        _ = event(payload=payload).fingerprint


@pytest.mark.parametrize("change", [{"schema": 99}, {"at": "yesterday"}, {"kind": "deleted"}, {"payload": None}])
def test_a_damaged_event_is_not_taken_for_one(change: dict[str, object]) -> None:
    values = event().taken_in(utc_now(), 1).to_dict() | change
    with pytest.raises(AnnotationError):
        AnnotationEvent.from_dict(values)
