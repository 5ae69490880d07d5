"""The strip's value on its way to the browser: nothing is lost, and what did not change stays the same string."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.streams import StreamBuilder
from tests.ui.fake_engine import dying, english, long, mandarin
from ugsd_core.messages import Event
from ui.components.strip_wire import token_strip, wire_value
from ui.components.token_strip import StripBuilder, empty_strip, frames, strip_state


def unpacked(text: str) -> dict[str, Any]:
    """What ``assets/web/strip_value.js`` does."""
    return json.loads(text.translate(str.maketrans({'"': "'", "'": '"'})))


def rows(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def all_rows(texts: list[str]) -> list[dict[str, Any]]:
    return [row for text in texts for row in rows(unpacked(text))]


@pytest.mark.parametrize("events", [english(), dying(), mandarin(), long(), english("cloud"), english("edge")])
def test_tokens_blocks_and_frames_arrive_as_they_were(events: list[Event]) -> None:
    state = strip_state(events, "r") | {"frames": frames(events), "at": 3, "pin": "0.1.d"}
    value = wire_value(state)
    assert all_rows(value["tokens"]) == state["tokens"]
    assert all_rows(value["blocks"]) == list(state["blocks"].values())
    assert {name: value[name] for name in ("run", "tau", "at", "pin")} == {"run": "r", "tau": state["tau"]} | {
        "at": 3,
        "pin": "0.1.d",
    }
    played = {name: rows(columns) for name, columns in unpacked(value["frames"]).items()}
    assert [frame["kind"] for frame in played["frames"]] == [event.kind for event in events]
    laid: dict[int, dict[str, Any]] = {}
    for token in played["tokens"]:
        laid[token["place"]] = {name: token[name] for name in token if name not in ("frame", "place")}
    assert [laid[place] for place in sorted(laid)] == state["tokens"]


def test_quotes_of_both_kinds_survive() -> None:
    texts = ['"so', "'s", " \\'\"\n"]
    state = strip_state(StreamBuilder().kept(*texts).finish())
    assert [token["raw"] for token in all_rows(wire_value(state)["tokens"])] == texts


def test_what_is_decided_is_not_sent_again() -> None:
    events = long()
    builder, before = StripBuilder("r"), wire_value(empty_strip())
    changed = []
    for event in events:
        builder.feed(event)
        value = wire_value(builder.state())
        old = before["tokens"]
        changed.append(sum(text not in old for text in value["tokens"]))
        before = value
    assert max(changed) <= 2, "a draft of four tokens touches two chunks at most"
    assert len(before["tokens"]) < 20 and len(before["blocks"]) < 6


def test_the_component_begins_empty() -> None:
    assert token_strip("caption", elem_id="strip").value == wire_value(empty_strip())
