from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.wire.fakes import EDGE, INFO, VOCABULARY, FakeUtterance, FakeVerifier, make_code, open_request, verify
from ugsd_core.errors import HandshakeRefused, ProtocolError
from ugsd_core.messages import GeneratedToken, GenerateRequest, Judgement, OpenedReply, Verdict
from ugsd_core.wire import session as session_module
from ugsd_core.wire.dialogue import EdgeSession
from ugsd_core.wire.messages import (
    Close,
    ErrorReply,
    Generate,
    GeneratedEnd,
    GeneratedReply,
    Hello,
    NeedFeatures,
    Open,
    Refused,
    VerdictReply,
    Welcome,
)
from ugsd_core.wire.protocol import PROTOCOL_VERSION
from ugsd_core.wire.session import MAX_REMEMBERED_ENTRIES, GenerateWork, JudgeWork, OpenWork, ServerSession

HELLO = Hello(PROTOCOL_VERSION, EDGE.tokenizer_fingerprint, EDGE.feature_fingerprint, VOCABULARY, {})


def greeted(**options: Any) -> ServerSession:
    session = ServerSession(INFO, **options)
    assert session.receive(HELLO).replies == (Welcome(PROTOCOL_VERSION, INFO),)
    return session


def opened(session: ServerSession, name: str = "1", seed: int = 0) -> OpenWork:
    (work,) = session.receive(Open.of(open_request(name, seed), with_code=True)).work
    assert isinstance(work, OpenWork)
    session.opened(work, OpenedReply(name, 5, 1.0))
    return work


def verdict_on(work: JudgeWork) -> Verdict:
    return FakeUtterance(FakeVerifier(), open_request()).judge(replace(work.request, base=0))


# ── Server ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "message",
    [Close("1"), verify("1", 0, (1,)), Open.of(open_request(), with_code=True)],
    ids=["close", "verify", "open"],
)
def test_a_session_begins_with_hello(message: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        ServerSession(INFO).receive(message)
    assert caught.value.code == "order"


def test_a_second_hello_is_out_of_order() -> None:
    with pytest.raises(ProtocolError):
        greeted().receive(HELLO)


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        (replace(HELLO, tokenizer_fingerprint="c" * 64), "tokenizer"),
        (replace(HELLO, vocabulary_size=5), "tokenizer"),
        (replace(HELLO, feature_fingerprint="c" * 64), "features"),
    ],
)
def test_refusals(hello: Hello, code: str) -> None:
    session = ServerSession(INFO)
    step = session.receive(hello)
    (refused,) = step.replies
    assert isinstance(refused, Refused) and refused.code == code and step.ends and not session.greeted


def test_what_is_remembered_of_answers_is_bounded_for_the_whole_session() -> None:
    """Blocks of 64 tokens with 64 alternatives each would add up to gigabytes."""
    session = greeted()
    top = tuple((number, 0.01) for number in range(64))
    judged = tuple(Judgement(1, 0.01, top) for _ in range(64))
    for name in range(20):
        opened(session, str(name))
        for sequence in range(4):
            (work,) = session.receive(verify(str(name), sequence, (1,) * 64)).work
            assert isinstance(work, JudgeWork)
            session.judged(work, Verdict(sequence, sequence, 64, None, None, judged, (), 0.1))
    held = sum(len(kept.answered) for kept in session._utterances.values())
    assert held <= MAX_REMEMBERED_ENTRIES // (64 * 65) + 1
    last = session.receive(verify("19", 3, (1,) * 64))
    assert isinstance(last.replies[0], VerdictReply), "the newest answer is there still"
    for name in range(20):
        session.receive(Close(str(name)))
    assert session._entries == 0


def test_answers_are_padded_as_the_edge_asks() -> None:
    assert greeted().padding == "usual"
    session = ServerSession(INFO)
    session.receive(replace(HELLO, options={"pad": "strict"}))
    assert session.padding == "strict"


def test_a_repeated_sequence_number_gets_the_same_verdict_without_work() -> None:
    session = greeted()
    opened(session)
    request = verify("1", 0, (1, 2))
    (work,) = session.receive(request).work
    assert isinstance(work, JudgeWork)
    assert session.receive(request) == session_module.Step()  # in flight: one answer is enough
    (reply,) = session.judged(work, verdict_on(work))
    assert session.receive(request).replies == (reply,) and not session.receive(request).work
    assert session.judged(work, verdict_on(work)) == ()


def test_a_sequence_number_for_another_block_is_an_error() -> None:
    session = greeted()
    opened(session)
    (work,) = session.receive(verify("1", 3, (1, 2))).work
    for sequence, draft in ((3, (1, 9)), (2, (1, 2))):
        (error,) = session.receive(verify("1", sequence, draft)).replies
        assert isinstance(error, ErrorReply) and (error.code, error.sequence) == ("sequence", sequence)
    assert isinstance(work, JudgeWork)
    session.judged(work, verdict_on(work))
    (error,) = session.receive(verify("1", 3, (1, 9))).replies
    assert isinstance(error, ErrorReply) and error.code == "sequence"


def test_failures_are_repeated_too() -> None:
    session = greeted()
    opened(session)
    request = verify("1", 0, (1,))
    (work,) = session.receive(request).work
    (error,) = session.failed(work, "bad_base", "No.")
    assert error == ErrorReply("bad_base", "No.", "1", 0)
    assert session.receive(request).replies == (error,)


def test_memory_of_verdicts_is_bounded() -> None:
    session = greeted()
    opened(session)
    for sequence in range(100):
        (work,) = session.receive(verify("1", sequence, (1,))).work
        assert isinstance(work, JudgeWork)
        session.judged(work, verdict_on(work))
    assert isinstance(session.receive(verify("1", 99, (1,))).replies[0], VerdictReply)
    (error,) = session.receive(verify("1", 0, (1,))).replies
    assert isinstance(error, ErrorReply) and error.code == "sequence"


def test_utterances_and_codes_are_forgotten_least_recently_used_first() -> None:
    session = greeted()
    limit = session_module.MAX_UTTERANCES
    serials = [opened(session, str(index), seed=index % 2).serial for index in range(limit)]
    session.receive(verify("0", 0, (1,)))
    step = session.receive(Open.of(open_request("new"), with_code=True))
    assert step.forgotten == (serials[1],)
    (error,) = session.receive(verify("1", 0, (1,))).replies
    assert isinstance(error, ErrorReply) and error.code == "unknown_utterance"
    for seed in range(session_module.MAX_CODES):
        session.receive(Open.of(open_request("x", seed + 10), with_code=True))
    assert session.receive(Open.of(open_request("y", 0), with_code=False)).replies == (NeedFeatures("y"),)
    assert session.receive(Open.of(open_request("z", 17), with_code=False)).work


def test_a_code_that_is_gone_is_asked_for_once_and_the_work_is_kept_in_order() -> None:
    session = greeted()
    opening = opened(session)
    works = [session.receive(verify("1", sequence, (1,))).work[0] for sequence in range(3)]
    assert all(isinstance(work, JudgeWork) and work.opening == open_request("1") for work in works)
    session.forget_code(make_code(0).sha256)
    assert session.code_bytes == {}
    (without,) = session.receive(verify("1", 3, (1,))).work
    assert isinstance(without, JudgeWork) and without.opening is None
    assert session.needs_features(works[0]) == (NeedFeatures("1"),)
    assert session.receive(verify("1", 4, (1,))) == session_module.Step(), "later ones wait, too"
    assert session.needs_features(works[1]) == session.needs_features(without) == ()
    again = session.receive(Open.of(open_request("1"), with_code=True)).work
    assert [work.serial for work in again] == [opening.serial] * 5 and isinstance(again[0], OpenWork)
    assert [work.request.sequence for work in again[1:]] == [0, 1, 3, 4]
    session.receive(Close("1"))
    assert session.needs_features(works[2]) == (), "nobody wants it any more"


def test_a_known_code_needs_no_sending() -> None:
    session = greeted()
    opened(session, "1", seed=4)
    (work,) = session.receive(Open.of(open_request("2", 4), with_code=False)).work
    assert isinstance(work, OpenWork) and work.request == open_request("2", 4)


def test_what_comes_before_the_code_waits_for_it() -> None:
    session = greeted()
    asked = Open.of(open_request("1"), with_code=False)
    assert session.receive(asked).replies == (NeedFeatures("1"),)
    request, generate = verify("1", 0, (1,)), Generate(1, GenerateRequest("1", 4, 0.0, 0))
    assert session.receive(request) == session.receive(generate) == session_module.Step()
    work = session.receive(Open.of(open_request("1"), with_code=True)).work
    assert [type(entry) for entry in work] == [OpenWork, JudgeWork, GenerateWork]
    assert len({entry.serial for entry in work}) == 1
    # … but not without bound
    session.receive(Open.of(open_request("2", 9), with_code=False))
    replies = [session.receive(verify("2", sequence, (1,))).replies for sequence in range(20)]
    assert replies[0] == () and isinstance(replies[-1][0], ErrorReply)


def test_a_code_must_have_its_announced_address() -> None:
    session = greeted()
    message = replace(Open.of(open_request("1"), with_code=True), code=make_code(5))
    (error,) = session.receive(message).replies
    assert isinstance(error, ErrorReply) and error.code == "bad_code" and error.utterance == "1"


def test_results_of_a_forgotten_opening_are_dropped() -> None:
    session = greeted()
    first = opened(session)
    (judge,) = session.receive(verify("1", 0, (1,))).work
    generate = GenerateWork(first.serial, Generate(1, GenerateRequest("1", 4, 0.0, 0)))
    step = session.receive(Open.of(open_request("1"), with_code=True))
    assert step.forgotten == (first.serial,)
    assert isinstance(judge, JudgeWork)
    assert session.judged(judge, verdict_on(judge)) == session.opened(first, OpenedReply("1", 5, 1.0)) == ()
    assert session.generated(generate, GeneratedToken(0, 1, 0.5, (), 1.0)) == session.generated_all(generate) == ()
    assert (
        session.failed(first, "x", "y") == session.failed(judge, "x", "y") == session.failed(generate, "x", "y") == ()
    )
    (again,) = session.receive(verify("1", 0, (1,))).work  # numbers start again with the opening
    assert session.receive(Close("1")).forgotten == (again.serial,)
    assert session.receive(Close("1")) == session_module.Step()


def test_generation_is_answered_with_its_number() -> None:
    session = greeted()
    opened(session)
    (work,) = session.receive(Generate(7, GenerateRequest("1", 4, 0.0, 0))).work
    assert isinstance(work, GenerateWork)
    token = GeneratedToken(0, 1, 0.5, (), 1.0)
    assert session.generated(work, token) == (GeneratedReply("1", 7, token),)
    assert session.generated_all(work) == (GeneratedEnd("1", 7),)
    assert session.failed(work, "x", "y") == (ErrorReply("x", "y", "1", None, 7),)
    (error,) = session.receive(Generate(8, GenerateRequest("2", 4, 0.0, 0))).replies
    assert isinstance(error, ErrorReply) and (error.code, error.stream) == ("unknown_utterance", 8)


def test_a_block_that_was_put_off_may_be_asked_again_and_one_that_was_refused_gets_the_same_answer() -> None:
    session = greeted()
    opened(session)
    asked = [verify("1", sequence, (1, 2)) for sequence in range(3)]
    works = [session.receive(request).work[0] for request in asked]
    (busy,) = session.failed(works[0], "busy", "later", 20)
    assert isinstance(busy, ErrorReply) and (busy.sequence, busy.retry_after_ms) == (0, 20)
    assert session.failed(works[0], "busy", "later", 20) == (), "answered already"
    (refused,) = session.failed(works[1], "bad_base", "no")
    assert session.receive(asked[1]).replies == (refused,)
    (again,) = session.receive(asked[0]).work
    assert isinstance(again, JudgeWork) and session.receive(asked[0]).work == (), "one answer is enough"
    (reply,) = session.judged(again, verdict_on(again))
    assert session.receive(asked[0]).replies == (reply,)


# ── Edge ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def edge() -> EdgeSession:
    session = EdgeSession(EDGE)
    session.hello({})
    session.receive(Welcome(PROTOCOL_VERSION, INFO))
    return session


def test_names_of_utterances_stay_on_the_edge() -> None:
    session = edge()
    message = session.open(open_request("0123456789abcdef"))
    assert message.utterance == "1" and session.verify(verify("0123456789abcdef", 0, (1,))).utterance == "1"
    session.receive(OpenedReply("1", 5, 1.0))
    assert session.opened("0123456789abcdef") == OpenedReply("0123456789abcdef", 5, 1.0)
    assert session.close("0123456789abcdef") == Close("1") and session.close("0123456789abcdef") is None


def test_the_edge_checks_the_welcome_itself() -> None:
    for change in ({"tokenizer_fingerprint": "c" * 64}, {"feature_fingerprint": "c" * 64}, {"vocabulary_size": 9}):
        with pytest.raises(HandshakeRefused):
            EdgeSession(EDGE).receive(Welcome(PROTOCOL_VERSION, replace(INFO, **change)))
    with pytest.raises(ProtocolError):
        EdgeSession(EDGE).receive(NeedFeatures("1"))
    with pytest.raises(ProtocolError):
        edge().receive(Welcome(PROTOCOL_VERSION, INFO))


def test_only_the_wanted_verdict_counts() -> None:
    session = edge()
    session.open(open_request("u"))
    utterance = FakeUtterance(FakeVerifier(), open_request("u"))
    late = utterance.judge(verify("u", 0, (1, 2)))
    session.verify(verify("u", 0, (1, 2)))
    session.stop_verify()
    session.receive(VerdictReply("1", late))
    session.verify(verify("u", 1, (3,)))
    for wrong in (late, replace(late, sequence=1, revision=0)):
        session.receive(VerdictReply("1", wrong))
    session.receive(VerdictReply("2", replace(late, sequence=1, revision=1)))
    assert session.verdict() is None and session.dropped == 4
    wanted = utterance.judge(verify("u", 1, (3,)))
    session.receive(VerdictReply("1", wanted))
    assert session.verdict() == wanted and session.verdict() is None


def test_a_verdict_must_fit_its_block() -> None:
    session = edge()
    session.open(open_request("u"))
    verdict = FakeUtterance(FakeVerifier(), open_request("u")).judge(verify("u", 0, (1,)))
    session.verify(verify("u", 0, (1,)))
    with pytest.raises(ProtocolError):
        session.receive(VerdictReply("1", replace(verdict, accepted=1)))


def test_a_code_goes_up_once() -> None:
    session = edge()
    assert session.open(open_request("a", 1)).code is not None
    again = session.open(open_request("b", 1))
    assert again.code is None and again.sha256 == make_code(1).sha256
    (resent,) = session.receive(NeedFeatures("2"))
    assert isinstance(resent, Open) and resent.code == make_code(1) and resent.utterance == "2"
    with pytest.raises(ProtocolError):
        session.receive(NeedFeatures("2"))
    assert session.receive(NeedFeatures("77")) == ()


def test_errors_reach_whoever_waits_for_them() -> None:
    session = edge()
    session.open(open_request("u"))
    session.verify(verify("u", 3, (1,)))
    session.receive(ErrorReply("old", "Old.", "1", 2))
    assert session.verdict() is None
    session.receive(ErrorReply("bad_base", "No.", "1", 3))
    with pytest.raises(ProtocolError, match="No") as caught:
        session.verdict()
    assert caught.value.code == "bad_base"
    session.verify(verify("u", 4, (1,)))
    session.receive(ErrorReply("bad_code", "Not this.", "1"))
    for ask in (session.verdict, lambda: session.opened("u")):
        with pytest.raises(ProtocolError, match="Not this"):
            ask()
    with pytest.raises(ProtocolError):
        session.receive(ErrorReply("bad_frame", "All over."))


def test_tokens_of_a_caption_given_up_are_dropped() -> None:
    session = edge()
    session.open(open_request("u"))
    first = session.generate(GenerateRequest("u", 4, 0.0, 0))
    session.stop_stream(first.stream)
    second = session.generate(GenerateRequest("u", 4, 0.0, 0))
    session.stop_stream(first.stream)  # an old iterator collected late
    token = GeneratedToken(0, 1, 0.5, (), 1.0)
    session.receive(GeneratedReply("1", first.stream, token))
    session.receive(GeneratedEnd("1", first.stream))
    session.receive(ErrorReply("x", "y", "1", None, first.stream))
    assert session.token("u") is None and not session.stream_ended
    session.receive(GeneratedReply("1", second.stream, token))
    session.receive(GeneratedEnd("1", second.stream))
    assert not session.stream_ended and session.token("u") == token and session.stream_ended


def test_an_utterance_that_is_not_open_cannot_be_asked_about() -> None:
    session = edge()
    with pytest.raises(ProtocolError) as caught:
        session.verify(verify("nobody", 0, (1,)))
    assert caught.value.code == "unknown_utterance"
