"""Events: each survives the way to JSON and back; what is no event is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.streams import StreamBuilder, every_state
from ugsd_core.errors import TraceError
from ugsd_core.messages import COMMITTED_STATES, DRAFTED_STATES, EVENT_TYPES, event_from_dict, event_to_dict

EVENTS = [*every_state(), *StreamBuilder().lost().unverified("a", sent=False).finish("max_length")]


def test_the_examples_hold_every_kind_of_event() -> None:
    assert {event.kind for event in EVENTS} == set(EVENT_TYPES)


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_events_survive_the_way_to_json_and_back(kind: str) -> None:
    for event in (event for event in EVENTS if event.kind == kind):
        record = event_to_dict(event)
        assert next(iter(record)) == "kind" and record["kind"] == kind
        assert event_from_dict(json.loads(json.dumps(record))) == event


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ({}, "unknown kind None"),
        ({"kind": "token_dreamt"}, "unknown kind 'token_dreamt'"),
        ({"kind": "verifier_lost", "t_s": 0.0}, "damaged verifier_lost"),
        ({"kind": "verifier_lost", "t_s": 0.0, "reason": "", "mood": "good"}, "damaged verifier_lost"),
        ({"kind": "token_drafted", "signals": 5}, "damaged token_drafted"),
    ],
)
def test_what_is_no_event_is_refused(record: dict[str, object], sentence: str) -> None:
    with pytest.raises(TraceError, match=sentence):
        event_from_dict(record)


def test_traces_from_before_the_verifier_told_its_queue_and_the_ledger_the_posterior_still_load() -> None:
    for kind, name in (("block_judged", "queued_ms"), ("frame_sent", "posterior_bytes")):
        event = next(event for event in EVENTS if event.kind == kind)
        record = {key: value for key, value in event_to_dict(event).items() if key != name}
        assert event_from_dict(record) == event and getattr(event, name) == 0


def test_traces_from_before_the_labels_still_load_and_labels_survive_json() -> None:
    drafted = next(event for event in EVENTS if event.kind == "token_drafted")
    old = event_to_dict(drafted)
    old["signals"] = {k: v for k, v in old["signals"].items() if k in ("entropy_nats", "margin", "nll_nats")}
    assert event_from_dict(old) == drafted
    mass = tuple(i / 36 for i in range(9))
    labelled = replace(drafted, signals=replace(drafted.signals, label_mass=mass, label_entropy_nats=1.9))
    assert event_from_dict(json.loads(json.dumps(event_to_dict(labelled)))) == labelled
    prefill = next(event for event in EVENTS if event.kind == "prefill_done")
    older = {key: value for key, value in event_to_dict(prefill).items() if key != "label_posterior"}
    assert event_from_dict(older) == prefill
    heard = replace(prefill, label_posterior=mass)
    assert event_from_dict(json.loads(json.dumps(event_to_dict(heard)))) == heard


def test_states_are_the_vocabularys() -> None:
    assert set(DRAFTED_STATES) | set(COMMITTED_STATES) == {
        "kept_local",
        "accepted",
        "rejected",
        "ignored",
        "unverified",
        "corrected",
        "bonus",
    }
    assert set(DRAFTED_STATES) & set(COMMITTED_STATES) == {"kept_local", "accepted", "unverified"}
