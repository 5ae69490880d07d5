"""The token strip's value, from events made by hand."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.streams import END, StreamBuilder, every_state
from tests.ui.fake_engine import dying, english, mandarin
from ugsd_core.messages import COMMITTED_STATES, DRAFTED_STATES
from ugsd_core.options import preset
from ui.components.token_strip import STATES, StripBuilder, empty_strip, frames, strip_state


def texts(state: dict, *states: str) -> list[str]:
    return [token["text"] for token in state["tokens"] if token["state"] in states]


def test_the_strip_counts_every_state() -> None:
    counts = strip_state(every_state())["counts"]
    assert set(counts) == set(STATES)
    assert {s for s in (*DRAFTED_STATES, "corrected", "bonus") if not counts[s]} == set()
    assert counts["drafted"] == counts["waiting"] == 0


def test_the_committed_chips_spell_the_caption() -> None:
    for events in (english(), mandarin(), dying(), english("edge"), english("cloud")):
        tokens = [t for t in strip_state(events)["tokens"] if t["state"] in COMMITTED_STATES]
        spelt = "".join(t["lead"] + ("" if t["blank"] else t["text"]) + t["tail"] for t in tokens)
        assert spelt == events[-1].caption


def test_a_rejected_token_stays_before_its_correction() -> None:
    state = strip_state(english())
    at = [t["state"] for t in state["tokens"]].index("rejected")
    assert [t["text"] for t in state["tokens"][at : at + 3]] == ["calm", "ly", "sor"]
    assert [t["state"] for t in state["tokens"][at : at + 3]] == ["rejected", "ignored", "corrected"]


def test_the_leading_space_stays_outside_the_chip_and_words_have_no_gap() -> None:
    tokens = {t["text"]: t for t in strip_state(english())["tokens"]}
    assert tokens["speaker"]["lead"] == " " and tokens["'s"]["lead"] == ""
    assert tokens["row"]["lead"] == "" and tokens["ful"]["lead"] == ""


def test_an_escalated_block_waits_until_it_is_judged() -> None:
    builder, seen = StripBuilder("r"), []
    for event in english():
        builder.feed(event)
        seen.append((event.kind, builder.state()["counts"]["waiting"]))
    assert ("block_escalated", 3) in seen and ("block_escalated", 4) in seen
    assert seen[-1] == ("caption_finished", 0)


def test_nothing_waits_after_the_stream_broke_off() -> None:
    builder = StripBuilder("r")
    events = english()
    for event in events[: [e.kind for e in events].index("block_escalated") + 1]:
        builder.feed(event)
    assert builder.state()["counts"]["waiting"] == 3 and builder.state()["live"]
    builder.end()
    assert builder.state()["counts"]["waiting"] == 0 and not builder.state()["live"]


def test_a_token_without_text_has_a_glyph_and_the_end_is_named() -> None:
    last = strip_state(english())["tokens"][-1]
    assert last["blank"] and last["text"] == "∎" and last["ends"]
    part = next(t for t in strip_state(mandarin())["tokens"] if t["state"] == "corrected")
    assert part["text"] == "·" and part["blank"] and not part["ends"]


def test_heat_grows_with_entropy_and_never_beyond_one() -> None:
    tokens = [t for t in strip_state(english())["tokens"] if t["entropy"] is not None]
    by_entropy = sorted(tokens, key=lambda t: t["entropy"])
    assert [t["heat"] for t in by_entropy] == sorted(t["heat"] for t in tokens)
    assert all(0 <= t["heat"] <= 1 for t in tokens)


def test_a_token_and_its_block_hold_what_the_inspector_shows() -> None:
    state = strip_state(english())
    token = next(t for t in state["tokens"] if t["state"] == "rejected")
    block = state["blocks"][str(token["block"])]
    assert token["rank"] == 2 and token["entropy"] is not None and token["nll"] is not None
    assert token["drafted_ms"] < token["decided_ms"]
    assert block["sent"] and block["outcome"] == "judged" and block["reason"]["en"] == "unsure of an emotion word"
    assert block["network"] == 2.0 and block["verify"] == 6.0 and block["draft"] is not None
    kept = state["blocks"]["0"]
    assert not kept["sent"] and kept["outcome"] == "kept" and kept["network"] is None
    assert (kept["score"], kept["threshold"]) == (0.1, 0.3)


def test_a_position_keeps_its_history() -> None:
    tokens = strip_state(english())["tokens"]
    at = next(t for t in tokens if t["state"] == "rejected")["position"]
    assert [t["state"] for t in tokens if t["position"] == at] == ["rejected", "corrected"]


def test_blocks_without_a_verdict_say_why() -> None:
    state = strip_state(dying())
    missed = [block for block in state["blocks"].values() if block["outcome"] == "unverified"]
    assert len(missed) == 2 and all("no verdict in time" in block["reason"]["en"] for block in missed)


def test_frames_laid_over_one_another_are_the_live_run_at_every_moment() -> None:
    for events in (english(), dying(), mandarin(), every_state(), english("cloud"), english("edge")):
        builder = StripBuilder()
        tokens: dict[int, dict] = {}
        blocks: dict[str, dict] = {}
        played = frames(events)
        assert [frame["t"] for frame in played] == [event.t_s for event in events]
        for event, frame in zip(events, played, strict=True):
            builder.feed(event)
            tokens |= {int(place): token for place, token in frame["tokens"].items()}
            blocks |= frame["blocks"]
            live = builder.state()
            assert [tokens[place] for place in sorted(tokens)] == live["tokens"]
            assert (blocks, frame["live"]) == (live["blocks"], live["live"])
        assert json.loads(json.dumps(played)) == played


def test_keys_are_unique_and_the_value_is_json() -> None:
    for events in (english(), dying(), every_state(), english("cloud")):
        state = strip_state(events)
        keys = [t["key"] for t in state["tokens"]]
        assert len(keys) == len(set(keys))
        assert json.loads(json.dumps(state)) == state


def test_building_step_by_step_gives_the_same_as_all_at_once() -> None:
    builder = StripBuilder("x")
    for event in every_state():
        builder.feed(event)
        builder.state()
    assert builder.state() == strip_state(every_state(), "x")


def test_tau_is_marked_only_where_the_gate_compares_an_entropy() -> None:
    def marked(gate: str, mode: str = "ugsd") -> float | None:
        first, *rest = english()
        options = preset("default", gate=gate, mode=mode, tau=0.7).to_dict()
        state = strip_state([replace(first, options=options), *rest])
        return state["tau"]

    assert marked("entropy") == marked("emotion_entropy") == 0.7
    assert marked("content") is marked("margin") is marked("entropy", "edge") is None


def test_the_empty_strip_has_no_tokens() -> None:
    state = empty_strip()
    assert state["tokens"] == [] and state["blocks"] == {} and not state["live"]


def test_a_stream_cut_after_a_draft_shows_it_as_drafted() -> None:
    events = StreamBuilder().kept("A", END).finish()
    state = strip_state(events[: [e.kind for e in events].index("block_kept")])
    assert texts(state, "drafted") == ["A", "·"]
