"""What the engine says about recordings, gates and the wire has its Chinese; what has none stays English."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from tests.test_gate import block
from tests.wire.fakes import EDGE, make_code, open_request
from ugsd_core.acceptance import rank_warning
from ugsd_core.audio import ERROR_CODES, utterance_from_samples
from ugsd_core.errors import AudioError, OptionError, VerifierUnavailable
from ugsd_core.gate import gate
from ugsd_core.messages import FrameSent, GenerateRequest, VerifyRequest
from ugsd_core.options import DecodingOptions
from ugsd_core.privacy import fold
from ugsd_core.speech_presence import speech_warning
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.messages import Close, Generate, Open, describe
from ugsd_core.wire.reconnect import ReconnectingLink
from ui.engine_words import problem, told

LATIN = re.compile(r"[A-Za-z]{2,}")
#: Names, units and what a person types stay as they are.
KEPT = {"Anna", "SHA", "dBFS", "kB", "ugsd", "verifier", "ws", "wss", "HTTP"}


def english_left(sentence: str) -> set[str]:
    return set(LATIN.findall(sentence)) - KEPT


# ── Sentences as the engine really says them ──────────────────────────────────────────────────────────────────────


def recordings() -> Iterator[str]:
    voice = 0.3 * np.sin(np.arange(32_000) / 20).astype(np.float32)
    opposite = np.stack((voice, -voice), axis=1)
    for samples in (7 * voice.clip(-0.15, 0.15), 0.01 * voice, np.concatenate((np.zeros(160_000), voice)), opposite):
        yield from utterance_from_samples(samples.astype(np.float32), 16_000).warnings
    yield from utterance_from_samples(np.tile(voice, 20), 16_000, first_30_s=True).warnings
    yield str(speech_warning(0.3 * voice))
    yield "Only the first 30 s were used: the recording is more than 30 s long."
    yield "Parts of the recording are damaged and were left out."


def reasons_without_a_score() -> Iterator[str]:
    plain, named = block(" the", " voice"), block(" and", " Anna", before="He")
    for name in ("calibrated", "emotion_entropy", "semantic_entropy", "content", "names", "always", "never"):
        for drafted in (plain, named):
            decision = gate(DecodingOptions(gate=name)).decide(drafted)
            assert decision.score is None
            yield decision.reason
    for name, text in (("emotion_words", "悲伤"), ("dates", "星期三"), ("digits", "三次")):
        for drafted in (plain, block(text)):
            yield gate(DecodingOptions(gate=name, language="zh")).decide(drafted).reason


def remarks() -> Iterator[str]:
    for acceptance in ("rank", "fused"):
        for rank in (20, 700):
            warning = rank_warning(DecodingOptions(acceptance=acceptance, rank=rank), 620)
            assert warning is not None
            yield warning
    with pytest.raises(OptionError) as error:
        gate(DecodingOptions(gate="bild", tau=2.0))
    yield str(error.value)


def ledger() -> Iterator[str]:
    opening = Open.of(open_request(code=make_code()), with_code=True)
    known = Open.of(open_request(), with_code=False)
    for committed, posterior in (((), None), ((1,), None), ((1,), (255,) * 9)):
        yield from _sent(VerifyRequest("1", 0, 0, 0, committed, (1, 2), posterior), 9 if posterior else 0)
    yield from _sent(VerifyRequest("1", 0, 0, 0, (), (1,)))
    for message in (opening, known, Generate(1, GenerateRequest("1", 9, 0.0, 0)), Close("1")):
        yield from _sent(message)


def _sent(message: object, posterior_bytes: int = 0) -> tuple[str, ...]:
    traffic, contents = describe(message)  # type: ignore[arg-type]
    frame = FrameSent(0.0, "up", traffic, "m", 10, 64, contents, posterior_bytes)
    return fold([frame]).sentences + fold([frame, frame]).sentences


def wire() -> Iterator[str]:
    yield from ("the verifier is away", "the verifier missed 2 deadlines in a row")
    yield "The verifier did not send an answer before the deadline."
    link = WebSocketLink("ws://127.0.0.1:9", open_timeout_s=2.0)
    with pytest.raises(VerifierUnavailable) as error:
        link.connect(None, {})  # type: ignore[arg-type]
    yield str(error.value)
    again = ReconnectingLink("ws://127.0.0.1:9", background=False)
    for _ in range(2):  # the second time nobody is asked
        with pytest.raises(VerifierUnavailable) as error:
            again.connect(EDGE, {})
        yield str(error.value)
    yield from ("the verifier missed too many deadlines", "The verifier has ended and is being started again.")


@pytest.mark.parametrize("said", [recordings, reasons_without_a_score, remarks, ledger, wire])
def test_what_the_engine_says_has_its_chinese(said: object) -> None:
    sentences = set(said())  # type: ignore[operator]
    assert len(sentences) >= 4
    for sentence in sentences:
        text, translated = told("zh", sentence)
        assert translated and not english_left(text), (sentence, text)
        assert told("en", sentence) == (sentence, True)


def test_what_changes_is_taken_over() -> None:
    assert told("zh", "it holds an emotion word, “sad”").text == "其中有情绪词“sad”"
    assert told("zh", "Sent 3 times: 4 token ids.").text == "已发送 3 次：4 个词元编号。"


# ── Errors ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_problem_with_a_recording_is_told_in_chinese_by_its_code() -> None:
    for code in ERROR_CODES:
        said = problem("zh", AudioError("notes.wav is no good.", code))
        assert said.translated and english_left(said.text) <= {"kHz"} and said.text.endswith("。")
    assert problem("en", AudioError("notes.wav is no good.", "silent")) == ("notes.wav is no good.", True)


def test_what_has_no_chinese_stays_english_and_is_marked() -> None:
    said = told("zh", "<b>Something</b> nobody thought of.")
    assert not said.translated
    assert said.html == '<span lang="en">&lt;b&gt;Something&lt;/b&gt; nobody thought of.</span>'
    assert told("en", "a < b").html == "a &lt; b"
