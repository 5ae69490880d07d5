from __future__ import annotations

import json
from typing import Any

from ugsd_core.messages import CaptionStarted, Event, FrameSent, VerifierLost
from ugsd_core.privacy import EMPTY, Row, fold


def started(waveform_bytes: int = 102_400) -> CaptionStarted:
    return CaptionStarted(0.0, "u", 3.2, waveform_bytes, "en", "ugsd", {}, {}, 600)


def frame(
    direction: Any, traffic: Any, payload: int, wire: int, contents: str = "something", posterior_bytes: int = 0
) -> FrameSent:
    return FrameSent(0.1, direction, traffic, "tag", payload, wire, contents, posterior_bytes)


EVENTS: list[Event] = [
    started(),
    frame("up", "handshake", 400, 512, "fingerprints"),
    frame("down", "handshake", 200, 256, "the verifier's name"),
    frame("up", "acoustic_code", 13_000, 16_384, "3.2 s of speech as a 4-bit mel code of 12.8 kB"),
    frame("up", "token_ids", 90, 128, "4 token ids"),
    VerifierLost(0.2, "gone"),
    frame("down", "verdict", 150, 256, "a verdict on 4 tokens"),
    frame("up", "token_ids", 95, 128, "4 token ids"),
]


def test_sums_by_direction_and_class() -> None:
    ledger = fold(EVENTS)
    assert ledger.rows == (
        Row("up", "handshake", 1, 400, 512),
        Row("up", "acoustic_code", 1, 13_000, 16_384),
        Row("up", "token_ids", 2, 185, 256),
        Row("down", "handshake", 1, 200, 256),
        Row("down", "verdict", 1, 150, 256),
    )
    assert (ledger.up_payload_bytes, ledger.up_wire_bytes, ledger.frames_up) == (13_585, 17_152, 4)
    assert (ledger.down_payload_bytes, ledger.down_wire_bytes, ledger.frames_down) == (350, 512, 2)
    assert ledger.sent_ratio == 17_152 / 102_400


def test_sentences_say_what_went_up_and_what_stayed() -> None:
    assert fold(EVENTS).sentences == (
        "Sent: fingerprints.",
        "Sent: 3.2 s of speech as a 4-bit mel code of 12.8 kB.",
        "Sent 2 times: 4 token ids.",
        "Kept on this device: the waveform, 102.4 kB.",
    )


def test_without_a_verifier_nothing_is_sent() -> None:
    ledger = fold([started(900)])
    assert ledger.sentences == ("Nothing was sent.", "Kept on this device: the waveform, 900 bytes.")
    assert ledger.up_wire_bytes == 0 and ledger.sent_ratio == 0.0
    assert EMPTY.sent_ratio is None and EMPTY.sentences == ("Nothing was sent.",)


def test_folding_in_pieces_gives_the_same_and_changes_nothing() -> None:
    half = fold(EVENTS[:4])
    before = half.to_dict()
    assert fold(EVENTS[4:], half) == fold(EVENTS)
    assert half.to_dict() == before and EMPTY.rows == ()
    assert fold(EVENTS + EVENTS).waveform_bytes == 204_800


def test_the_edges_view_of_the_emotion_is_counted_by_itself_and_within_its_frame() -> None:
    with_view = [
        frame("up", "token_ids", 111, 128, "1 token id and the edge's view of the emotion, 9 bytes", 9),
        frame("up", "token_ids", 90, 128, "1 token id"),
    ] * 2
    ledger = fold(with_view, fold([started()]))
    assert ledger.posterior_bytes == ledger.to_dict()["posterior_bytes"] == 18
    assert ledger.rows == (Row("up", "token_ids", 4, 402, 512),), "no byte is counted twice in the sums"
    assert ledger.sentences == (
        "Sent 2 times: 1 token id and the edge's view of the emotion, 9 bytes.",
        "Sent 2 times: 1 token id.",
        "Of this, the edge's probabilities of nine emotions: 18 bytes.",
        "Kept on this device: the waveform, 102.4 kB.",
    )
    assert fold(EVENTS).posterior_bytes == 0 and not any("emotion" in said for said in fold(EVENTS).sentences)


def test_it_is_plain_json() -> None:
    values = fold(EVENTS).to_dict()
    assert json.loads(json.dumps(values)) == values
    assert values["rows"][0]["traffic"] == "handshake" and values["waveform_bytes"] == 102_400
