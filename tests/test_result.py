"""The fold of an event stream: states, ratios, clocks, identities."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from tests.streams import END, StreamBuilder, every_state
from ugsd_core.errors import TraceError
from ugsd_core.figures import CLOCK_DEFINITIONS, RATIO_DEFINITIONS, Clocks, Ratios
from ugsd_core.messages import CaptionFinished, PrefillDone, TokenDecided
from ugsd_core.result import ResultBuilder, caption_result, check_identities


def test_every_state_is_counted_and_the_identities_hold() -> None:
    result = caption_result(every_state())
    assert result.caption == "The voice is low and tense, so sad."
    assert result.counts == {
        "drafted": 12,
        "kept_local": 5,
        "accepted": 2,
        "rejected": 1,
        "ignored": 2,
        "unverified": 2,
        "corrected": 1,
        "bonus": 1,
        "caption": 11,
        "blocks": 6,
        "escalations": 3,
        "blocks_changed": 2,
        "meanings_changed": 1,
    }
    assert check_identities(result) == []


def test_ratios_follow_their_definitions() -> None:
    ratios = caption_result(every_state()).ratios
    assert ratios.escalation_rate == 3 / 6
    assert ratios.transmission_rate == (2 + 3 + 2) / 12
    assert ratios.exposure_rate == 10 / 11, "all but the end of the turn, which was drafted after the last frame"
    assert ratios.changed_rate == 2 / 11
    assert ratios.useful_escalation_rate == 2 / 3
    assert ratios.meaning_changed_rate == 1 / 3
    assert ratios.draft_acceptance_rate == 2 / (2 + 1 + 2)


def test_what_is_drafted_anew_after_a_rejection_has_not_been_seen() -> None:
    stream = StreamBuilder()
    stream.judged("a", "b", "c", "d", accepted=1, replacement="B").kept("e", "f")
    ratios = caption_result(stream.finish("max_length")).ratios
    assert ratios.exposure_rate == 2 / 4, "positions 2 and 3 were in the frame with other tokens, since thrown away"


def test_a_prefix_kept_at_first_is_seen_once_a_later_block_is_sent() -> None:
    stream = StreamBuilder()
    stream.kept("a", "b").judged("c", accepted=1)
    assert caption_result(stream.finish("max_length")).ratios.exposure_rate == 1.0


def test_a_block_that_was_never_sent_is_no_escalation() -> None:
    stream = StreamBuilder()
    stream.lost().unverified("a", "b", sent=False)
    result = caption_result(stream.finish("max_length"))
    assert result.counts["escalations"] == 0
    assert result.ratios.transmission_rate == 0.0
    assert result.ratios.exposure_rate == 0.0
    assert result.ratios.useful_escalation_rate is result.ratios.meaning_changed_rate is None
    assert result.warnings == ("the verifier closed the connection",)
    assert result.verifier == {"address": "ws://127.0.0.1:8765", "lost": "the verifier closed the connection"}
    assert check_identities(result) == []


def test_a_verifier_that_was_lost_and_came_back_is_not_lost() -> None:
    stream = StreamBuilder().judged("a", accepted=1).lost().unverified("b", sent=False).back().judged("c", accepted=1)
    result = caption_result(stream.finish("max_length"))
    assert result.verifier == {"address": "ws://127.0.0.1:8766", "lost": None} and result.warnings == ()
    assert result.clocks.connect_ms == 4.0, "what the caption waited for at its start"
    assert result.counts["unverified"] == 1 and result.counts["accepted"] == 2 and check_identities(result) == []


def test_edge_only_sends_nothing() -> None:
    result = caption_result(StreamBuilder("edge").kept("a", " b", END).finish())
    assert result.ratios == Ratios(0.0, 0.0, 0.0, 0.0, None, None, None)
    assert result.verifier is None
    assert result.clocks.connect_ms is None
    assert result.ledger["frames_up"] == result.ledger["frames_down"] == 0
    assert set(result.checkpoints) == {"edge"}


def test_cloud_only_drafts_nothing_so_draft_ratios_are_undefined() -> None:
    result = caption_result(StreamBuilder("cloud").generated("a", " b", END).finish())
    assert result.caption == "a b"
    assert result.counts["drafted"] == result.counts["blocks"] == 0
    assert result.ratios == Ratios(None, None, 1.0, 1.0, None, None, None)
    assert result.clocks.ttft_draft_s is None
    assert result.clocks.itps == 60 / 0.020
    assert set(result.checkpoints) == {"edge", "verifier"}
    assert check_identities(result) == []


def test_the_end_of_the_turn_counts_in_ids_and_ratios_and_not_in_the_text() -> None:
    result = caption_result(StreamBuilder().judged("a", END, accepted=1, replacement=" b").kept(END).finish())
    assert result.caption == "a b"
    assert len(result.token_ids) == 3
    assert [(token.text, token.state) for token in result.tokens] == [
        ("a", "accepted"),
        ("", "rejected"),
        (" b", "corrected"),
        ("", "kept_local"),
    ]
    assert result.ratios.changed_rate == 1 / 3


def test_tokens_carry_the_draft_and_the_verifiers_view() -> None:
    rejected, corrected = [t for t in caption_result(every_state()).tokens if t.state in ("rejected", "corrected")]
    assert (rejected.text, corrected.text) == (" calm", " tense")
    assert rejected.position == corrected.position
    assert rejected.entropy_nats == 0.0 and rejected.nll_nats == 0.36 and rejected.margin == 0.5
    assert [a.text for a in rejected.draft_top] == [" calm", " other"]
    assert rejected.rank == 2 and rejected.verifier_top
    assert corrected.entropy_nats is None and corrected.draft_top == (), "the edge did not draft it"
    assert corrected.rank == 1


def test_blocks_tell_why_and_how_long() -> None:
    kept, accepted, _, _, unverified, _ = caption_result(every_state()).blocks
    assert (kept.outcome, kept.escalated, kept.draft_ms, kept.verify_ms) == ("kept", False, 8.0, None)
    assert (accepted.outcome, accepted.accepted, accepted.changed) == ("judged", 2, True)
    assert (accepted.network_ms, accepted.queued_ms, accepted.verify_ms, accepted.merge_ms) == (2.0, 0.0, 6.0, 0.5)
    assert kept.queued_ms is None and unverified.queued_ms is None
    assert accepted.trigger_position == accepted.start == 2
    assert (unverified.outcome, unverified.escalated, unverified.waited_ms) == ("unverified", True, 50.0)
    assert (unverified.reason, unverified.failure) == ("unsure of an emotion word", "no verdict in time")


def test_clocks() -> None:
    events = every_state()
    prefill = next(e for e in events if isinstance(e, PrefillDone))
    decided = [e.t_s for e in events if isinstance(e, TokenDecided)]
    clocks = caption_result(events).clocks
    assert clocks.ttft_draft_s == prefill.t_s + 0.01
    assert clocks.ttft_commit_s == decided[0]
    assert clocks.oet_s == decided[-1]
    assert clocks.total_s == events[-1].t_s
    assert clocks.otps == pytest.approx(11 / (decided[-1] - prefill.t_s))
    assert (clocks.extract_ms, clocks.prefill_ms, clocks.connect_ms) == (5.0, 20.0, 4.0)


def test_a_prefill_of_the_verifier_beside_the_edges_is_not_the_writers() -> None:
    stream = StreamBuilder()
    stream.add(PrefillDone(stream.now(), "verifier", 60, 500.0))
    assert caption_result(stream.kept("a").finish("max_length")).clocks.prefill_ms == 20.0


def test_a_half_finished_stream_can_be_looked_at() -> None:
    stream = StreamBuilder()
    stream.kept("a", " b")
    stream._draft((" c", " d"))
    result = caption_result(stream.events)
    assert result.caption == "a b"
    assert result.finish_reason is None and result.clocks.total_s is None
    assert [(t.text, t.state) for t in result.tokens[2:]] == [(" c", "drafted"), (" d", "drafted")]
    assert result.tokens[3].entropy_nats == 0.5


def test_the_object_is_json_and_defines_its_figures() -> None:
    record = caption_result(every_state()).to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) is not None
    assert record["ratios"]["definitions"] == RATIO_DEFINITIONS
    assert record["clocks"]["definitions"] == CLOCK_DEFINITIONS
    assert record["ratios"]["counts"]["accepted"] == 2
    assert [block["network_ms"] for block in record["clocks"]["blocks"]] == [None, 2.0, 2.0, None, None, None]
    assert {"id", "text", "position", "state", "entropy_nats", "draft_top", "verifier_top"} <= set(record["tokens"][0])
    for key in ("caption", "language", "mode", "finish_reason", "ledger", "options", "checkpoints", "utterance"):
        assert key in record


def test_every_figure_has_a_definition() -> None:
    assert list(RATIO_DEFINITIONS) == [entry.name for entry in fields(Ratios)]
    per_block = ["draft_ms", "network_ms", "queued_ms", "verify_ms", "merge_ms"]
    assert list(CLOCK_DEFINITIONS) == [*(entry.name for entry in fields(Clocks)), *per_block]


def test_partial_characters_hold_the_text_back() -> None:
    stream = StreamBuilder("edge", language="zh").kept("", "声", "音")
    result = caption_result(stream.finish("max_length"))
    assert result.caption == "声音"
    visible = next(t for t in result.tokens if t.text)
    assert result.clocks.ttft_draft_s == visible.drafted_s


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda e: replace(e, caption="other"), "spell"),
        (lambda e: replace(e, token_ids=(1, 2)), "ids"),
    ],
)
def test_broken_identities_are_named(damage, sentence) -> None:
    events = every_state()
    events[-1] = damage(events[-1])
    (broken,) = check_identities(caption_result(events))
    assert sentence in broken


def test_lost_decisions_are_noticed() -> None:
    events = every_state()
    where = next(i for i, e in enumerate(events) if isinstance(e, TokenDecided) and e.state == "accepted")
    del events[where]
    broken = " ".join(check_identities(caption_result(events)))
    assert "were drafted" in broken and "positions" in broken and "spell" in broken


def test_streams_that_are_none_are_refused() -> None:
    events = every_state()
    with pytest.raises(TraceError, match="empty"):
        caption_result([])
    with pytest.raises(TraceError, match="doesn't begin"):
        caption_result(events[1:])
    with pytest.raises(TraceError, match="second caption"):
        caption_result([*events, events[0]])
    builder = ResultBuilder()
    for event in events:
        builder.feed(event)
    with pytest.raises(TraceError, match="goes on"):
        builder.feed(CaptionFinished(9.0, "", (), "max_length"))
