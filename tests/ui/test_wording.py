"""The status line."""

from __future__ import annotations

from tests.streams import END, StreamBuilder
from tests.ui.fake_engine import dying, english
from ugsd_core.messages import Event
from ui.language import Locale
from ui.wording import Narrator, queue_line


def told(events: list[Event], locale: Locale = "en") -> tuple[str, str]:
    narrator = Narrator()
    for event in events:
        narrator.feed(event)
    line = narrator.line(locale)
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


def test_a_verifier_that_came_back_is_not_said_to_be_lost_but_what_it_missed_is() -> None:
    stream = StreamBuilder().judged("a", accepted=1).lost("it went away").unverified("b", sent=False).back()
    text, tone = told(stream.judged("c", accepted=1).kept(END).finish())
    assert text.startswith("The verifier did not answer in time; 1 token is unverified") and tone == "warn"
    assert "stopped" not in text


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
    assert queue_line("en", 1).text.startswith("One caption is") and queue_line("en", 3).text.startswith(
        "3 captions are"
    )


def test_the_same_in_chinese() -> None:
    assert told(english(), "zh") == ("完成：8 块中有 2 块询问了校验模型，全部有改动。", "calm")
    assert told(english("edge"), "zh")[0] == "完成：全部在本机进行，没有发送任何内容。"
    below = told(StreamBuilder().kept("a").kept("b", END).finish(), "zh")[0]
    assert below == "完成：没有块超过阈值 0.3，最高分为 0.1，因此没有询问。"
    assert told(StreamBuilder().kept("a", "b").finish("max_length"), "zh")[0].endswith("在此截断。")
    assert queue_line("zh", 3).text == "前面还有 3 条描述正在生成，轮到时会自动开始。"


def test_a_score_is_told_where_the_gates_reason_has_no_chinese() -> None:
    events = english()
    asked = events[: [event.kind for event in events].index("block_escalated") + 1]
    assert told(asked, "zh")[0] == "正在就 3 个词元询问校验模型：分数 0.9 超过了 0.3。"


def test_a_reason_without_chinese_is_named_as_english() -> None:
    narrator = Narrator()
    for event in dying():
        narrator.feed(event)
    line = narrator.line("zh")
    assert line.text == "校验模型不再回答，4 个词元未经校验（the verifier closed the connection）。"
    assert line.english == "the verifier closed the connection" and narrator.line("en").english == ""


def test_a_reason_that_has_its_chinese_is_told_in_it() -> None:
    narrator = Narrator()
    for event in StreamBuilder().lost("The connection to the verifier at ws://a:1 was lost.").kept("a", END).finish():
        narrator.feed(event)
    line = narrator.line("zh")
    assert (
        line.text == "无法连接校验模型，其余部分只是草稿（与 ws://a:1 上校验模型的连接已断开）。" and line.english == ""
    )
