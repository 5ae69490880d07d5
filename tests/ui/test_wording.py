"""The status line."""

from __future__ import annotations

from tests.streams import END, StreamBuilder
from tests.ui.fake_engine import dying, english
from ugsd_core.messages import Event
from ui.wording import Narrator, queue_line


def told(events: list[Event]) -> tuple[str, str]:
    narrator = Narrator()
    for event in events:
        narrator.feed(event)
    line = narrator.line()
    return line.text, line.tone


def test_what_the_verifier_was_asked_and_changed() -> None:
    assert told(english()) == ("Finished. The verifier was asked about 2 of 8 blocks and changed all of them.", "calm")
    nothing = StreamBuilder().judged("a", END, accepted=2).finish()
    assert told(nothing)[0] == "Finished. The verifier was asked about 1 of 1 block and changed nothing."
    it = StreamBuilder().judged("a", accepted=0, replacement="b").kept(END).finish()
    assert told(it)[0] == "Finished. The verifier was asked about 1 of 2 blocks and changed it."


def test_when_nothing_was_asked_the_highest_score_is_told() -> None:
    text, tone = told(StreamBuilder().kept("a").kept("b", END).finish())
    assert (
        text == "Finished. No block passed the threshold, 0.3; the highest was 0.1. Nothing was asked."
        and tone == "calm"
    )


def test_one_side_alone() -> None:
    assert told(english("edge"))[0] == "Finished on this machine alone; nothing was sent."
    assert "wrote the whole caption" in told(english("cloud"))[0]


def test_a_lost_verifier_is_named_with_the_number_of_unverified_tokens() -> None:
    text, tone = told(dying())
    assert text.startswith("The verifier stopped answering; 4 tokens are unverified (the verifier closed")
    assert tone == "warn"


def test_a_verifier_that_never_answered() -> None:
    events = StreamBuilder().lost("no connection to ws://127.0.0.1:1").kept("a", END).finish()
    assert told(events)[0].startswith("The verifier could not be reached; the rest is the draft alone")


def test_one_late_verdict() -> None:
    text, tone = told(StreamBuilder().unverified("a").kept(END).finish())
    assert text == "The verifier did not answer in time; 1 token is unverified (no verdict in time)." and tone == "warn"


def test_a_caption_that_was_cut_says_so() -> None:
    assert told(StreamBuilder().kept("a", "b").finish("max_length"))[0].endswith("was cut there.")


def test_while_it_runs_the_line_says_what_happens() -> None:
    events = english()
    kinds = [event.kind for event in events]
    assert told(events[:1]) == ("Listening to the recording …", "busy")
    asked = told(events[: kinds.index("block_escalated") + 1])[0]
    assert asked == "Asking the verifier about 3 tokens: unsure of an emotion word."


def test_the_queue_is_told() -> None:
    assert queue_line(1).text.startswith("One caption is") and queue_line(3).text.startswith("3 captions are")
