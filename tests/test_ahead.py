"""Work done ahead changes times and nothing else."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import fakes
from tests.conftest import Pair
from tests.fakes import ScriptedDrafter, ScriptedVerifier, ids
from tests.tiny import utterance
from tests.wire.fakes import serving
from ugsd_core.acceptance import UNKNOWN_RULE
from ugsd_core.acoustic import AcousticCode, encode_waveform
from ugsd_core.ahead import Foresight, Prediction
from ugsd_core.batched_verifier import BatchedVerifier
from ugsd_core.decoding import decode
from ugsd_core.drafter import StreamDraft, StreamDrafter
from ugsd_core.errors import HandshakeRefused, ProtocolError, VerdictTimeout, VerifierBusy, VerifierUnavailable
from ugsd_core.figures import AHEAD_DEFINITIONS
from ugsd_core.messages import (
    BlockEscalated,
    BlockJudged,
    CaptionStarted,
    Event,
    FrameSent,
    Judgement,
    OpenRequest,
    TokenDrafted,
    Verdict,
    VerifierReady,
    VerifyRequest,
)
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.result import ResultBuilder, check_identities
from ugsd_core.uncertainty import distribution
from ugsd_core.verifier import LocalLink, TorchVerifier
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.emulated import Conditions, EmulatedLink

SIZE, END = 12, 11


# ── Predictions ───────────────────────────────────────────────────────────────────────────────────────────────────


class HashStream:
    """A stream whose every prediction follows from the whole prefix; counts its passes."""

    def __init__(self, sees: Callable[[tuple[int, ...]], object] = lambda prefix: prefix) -> None:
        self.ids: list[int] = []
        self.passes = 0
        self.sees = sees

    @property
    def length(self) -> int:
        return len(self.ids)

    def row(self, prefix: Sequence[int]) -> np.ndarray[Any, np.dtype[np.float32]]:
        seed = random.Random(str(self.sees(tuple(prefix)))).getrandbits(32)
        logits = np.random.default_rng(seed).normal(size=SIZE).astype(np.float32)
        logits[END] -= 1.0
        return logits

    def next_logits(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        return self.row(self.ids)

    def feed(self, ids: Sequence[int], *, rows: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        assert ids and rows <= len(ids) + 1
        self.passes += 1
        self.ids += ids
        n = len(self.ids)
        return np.stack([self.row(self.ids[:end]) for end in range(n - rows + 1, n + 1)])

    def truncate(self, length: int) -> None:
        assert 0 <= length <= len(self.ids)
        del self.ids[length:]


def best(prediction: Prediction, position: int, revision: int) -> int:
    return prediction.distribution.best


def drawn(prediction: Prediction, position: int, revision: int) -> int:
    """As sampling does: another token for another revision."""
    ranked = [token_id for token_id, _ in prediction.distribution.top]
    return ranked[random.Random(f"{position} {revision}").randrange(3)]


@pytest.mark.parametrize("choose", [best, drawn])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_appended_rolled_back_and_drafted_ahead_the_model_is_asked_as_if_nothing_were_kept(
    choose: Callable[[Prediction, int, int], int], again: bool, seed: int
) -> None:
    chance = random.Random(seed)
    # A short memory, so that a rejected suffix often stands again.
    stream = HashStream(lambda prefix: (len(prefix), prefix[-1:]))
    foresight = Foresight(stream, 5, choose, {END}, again=again)
    caption: list[int] = []
    revision, most = 0, 24
    while len(caption) < most:
        position = len(caption)
        prediction = foresight.at_end(caption, revision, most)
        fresh = distribution(stream.row(caption), 5)
        assert prediction.distribution.top == fresh.top and prediction.distribution.entropy_nats == fresh.entropy_nats
        assert len(stream.ids) <= most
        token_id = choose(prediction, position, revision)
        foresight.append(position, token_id)
        caption.append(token_id)
        if chance.random() < 0.3:
            steps = iter(range(chance.randrange(6)))
            foresight.ahead(caption, revision, most, lambda steps=steps: next(steps, None) is None)  # type: ignore[misc]
        if chance.random() < 0.4:  # a verdict
            length = len(caption) - chance.randrange(min(4, len(caption) + 1))
            foresight.rollback(caption, length)
            del caption[length:]
            if length < most and chance.random() < 0.8:  # a correction, or a bonus; often what was drafted ahead
                revision += 1
                held = stream.ids[length] if length < len(stream.ids) and chance.random() < 0.5 else None
                token_id = chance.randrange(SIZE - 1) if held is None else held
                foresight.append(length, token_id)
                caption.append(token_id)


def test_a_rejected_suffix_that_stands_again_costs_one_pass() -> None:
    """The model goes on by position here, so that everything behind a replaced token stands as it was."""

    def passes(again: bool) -> tuple[int, int]:
        stream = HashStream(lambda prefix: f"place {len(prefix)}" if len(prefix) < 9 else "end")
        foresight = Foresight(stream, 5, best, set(), again=again)
        caption: list[int] = []

        def draft(tokens: int) -> None:
            for _ in range(tokens):
                token_id = foresight.at_end(caption, 0, 20).distribution.best
                foresight.append(len(caption), token_id)
                caption.append(token_id)

        draft(8)
        first = list(caption)
        foresight.rollback(caption, 2)
        del caption[2:]
        other = next(token_id for token_id in range(SIZE) if token_id not in first)
        foresight.append(2, other)
        caption.append(other)
        before = stream.passes
        draft(5)
        assert caption == [*first[:2], other, *first[3:]]
        return stream.passes - before, foresight.tokens_again

    assert passes(again=False) == (5, 0)
    assert passes(again=True) == (1, 5)


def test_looking_ahead_stops_when_told_at_the_end_of_the_turn_and_at_the_maximum() -> None:
    def ahead(most: int, steps: int) -> int:
        left = iter(range(steps))
        foresight = Foresight(HashStream(), 5, lambda p, position, r: END if position == 7 else 0, {END})
        return foresight.ahead([], 0, most, lambda: next(left, None) is None)

    assert ahead(20, 0) == 0
    assert ahead(20, 3) == 3
    assert ahead(20, 99) == 8
    assert ahead(5, 99) == 5


# ── The loop against the loop that waits ──────────────────────────────────────────────────────────────────────────


@dataclass
class Steps:
    """Lets the answer come when the edge has drafted so many tokens ahead, or can draft no more; no clock decides."""

    wanted: int = 0
    reached: threading.Event = field(default_factory=threading.Event)

    def watch(self, ahead: Callable[..., int], revision: int, stop: Callable[[], bool]) -> int:
        made = 0

        def told() -> bool:
            nonlocal made
            if made >= self.wanted:
                self.reached.set()
                while not stop():
                    pass
            made += 1
            return stop()

        try:
            return ahead(revision, told)
        finally:
            self.reached.set()


class WatchedDrafter(StreamDrafter):
    """Says how far its drafts are ahead."""

    def __init__(self, model: Any, steps: Steps) -> None:
        super().__init__(model)
        self.steps = steps

    def begin(self, code: AcousticCode, options: DecodingOptions, utterance: str) -> StreamDraft:
        draft = super().begin(code, options, utterance)
        draft.ahead = partial(self.steps.watch, draft.ahead)  # type: ignore[method-assign]
        return draft


Answer = Callable[[VerifyRequest], Verdict]


class ScheduledLink(LocalLink):
    """Answers by a schedule of its own: the same whether the edge waits or works."""

    at_hand = False

    def __init__(self, answer: Answer, steps: Steps | None, chance: random.Random) -> None:
        super().__init__(ScriptedVerifier([]))
        self.answer, self.steps, self.chance = answer, steps, chance
        self.threads: set[int] = set()

    def connect(self, edge: Any, options: dict[str, object]) -> Any:
        return edge

    def open(self, request: OpenRequest) -> None:
        pass

    def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
        self.threads.add(threading.get_ident())
        wanted = self.chance.randrange(7)
        if self.steps is not None:
            self.steps.wanted = wanted
            assert self.steps.reached.wait(30.0)
            self.steps.reached.clear()
        return self.answer(request)


def by_chance(pair: Pair, code: AcousticCode, seed: int, options: DecodingOptions) -> Answer:
    """Verdicts of every kind, the same for the same block; some say what the edge itself would say there."""
    size, bonus = pair.edge.vocabulary_size, options.bonus
    prefix: list[int] = []
    draft = StreamDrafter(pair.edge).begin(code, options, "aa")

    def answer(request: VerifyRequest) -> Verdict:
        del prefix[request.base :]
        prefix.extend((*request.committed, *request.draft))
        chance = random.Random(f"{seed} {request.sequence}")
        if (draw := chance.random()) < 0.1:
            raise [VerdictTimeout("late"), VerifierBusy("busy", 1.0)][request.sequence % 2]
        if draw < 0.13:
            raise VerifierUnavailable("gone")
        accepted = chance.choice([len(request.draft), chance.randrange(len(request.draft) + 1)])
        failed = accepted < len(request.draft)
        other = chance.randrange(size)
        # Sometimes what the edge itself would put there, if that is to be found among the draft.
        token_id = chance.choice([other, request.draft[-1]])
        if not failed and chance.random() < 0.6:
            draft.rollback(0)
            for known in prefix:
                draft.append(known, last=False)
            token_id = draft.next(request.revision, last=False).token_id
        judged = tuple(Judgement(1, 0.5, ((i, 0.5),)) for i in request.draft[: accepted + failed])
        return Verdict(
            *(request.sequence, request.revision, accepted),
            *(token_id if failed else None, None if failed or not bonus else token_id),
            *(judged, ((token_id, 0.5),) if bonus and not failed else (), 0.0),
        )

    return answer


TIMES = {"t_s", "draft_ms", "network_ms", "verify_ms", "merge_ms", "queued_ms", "waited_ms", "prefill_ms", "connect_ms"}


def told(events: Sequence[Event]) -> list[tuple[Any, ...]]:
    """All that events say, without times and without what was done ahead."""
    left_out = TIMES | {"ahead", "tokens_ahead", "options", "at_s"}
    return [
        (event.kind, *((f.name, getattr(event, f.name)) for f in fields(event) if f.name not in left_out))
        for event in events
    ]


def close(left: Any, right: Any) -> bool:
    """Equal, figures to 1e-5."""
    if isinstance(left, float) and isinstance(right, float):
        return abs(left - right) <= 1e-5
    if isinstance(left, tuple | list):
        return len(left) == len(right) and all(map(close, left, right))
    if hasattr(left, "__dataclass_fields__"):
        return type(left) is type(right) and close(*([getattr(e, f.name) for f in fields(e)] for e in (left, right)))
    return bool(left == right)


def caption(
    pair: Pair, seed: int, options: DecodingOptions, haste: int | None = None
) -> tuple[list[Event], ScheduledLink]:
    steps = Steps() if options.ahead else None
    drafter = StreamDrafter(pair.edge) if steps is None else WatchedDrafter(pair.edge, steps)
    code = encode_waveform(utterance(seed % 3, 0.5).samples, pair.edge.features)
    link = ScheduledLink(by_chance(pair, code, seed, options), steps, random.Random(seed if haste is None else haste))
    return list(decode(code, "aa", drafter, link, options)), link


SETTINGS = [
    DecodingOptions(gate="always", k=3, max_tokens=20),
    DecodingOptions(gate="always", k=4, bonus=True, max_tokens=20),
    DecodingOptions(gate="random", escalation_probability=0.5, k=2, cut="emotion", acceptance="fused", max_tokens=20),
    DecodingOptions(gate="always", k=4, block_length="adaptive", bonus=True, temperature=1.2, max_tokens=20),
    DecodingOptions(gate="always", k=3, mc_dropout_samples=4, max_tokens=12),
    DecodingOptions(gate="entropy+random", escalation_probability=0.6, tau=0.5, k=3, max_tokens=20),
]


@pytest.mark.parametrize("options", SETTINGS, ids=[str(n) for n in range(len(SETTINGS))])
def test_the_events_are_those_of_the_loop_that_waits(emotional_pair: Pair, options: DecodingOptions) -> None:
    ahead = used = 0
    for seed in range(6):
        expected, waiting = caption(emotional_pair, seed, options.changed(ahead=False))
        got, working = caption(emotional_pair, seed, options)
        assert close(told(got), told(expected))
        assert waiting.threads <= {threading.get_ident()}, "the waiting loop has no thread"
        assert threading.get_ident() not in working.threads
        assert not any(getattr(event, "tokens_ahead", 0) or getattr(event, "ahead", 0) for event in expected)
        ahead += sum(getattr(event, "tokens_ahead", 0) for event in got)
        used += sum(isinstance(event, TokenDrafted) and event.ahead for event in got)
    if options.mc_dropout_samples:
        assert ahead == used == 0
    else:
        assert ahead > used > 0
    assert not [thread for thread in threading.enumerate() if thread.name == "verdict"]


@pytest.mark.parametrize("options", [SETTINGS[1], SETTINGS[3]], ids=["greedy", "drawn"])
def test_a_caption_is_the_same_to_the_last_bit_however_soon_verdicts_come(
    emotional_pair: Pair, options: DecodingOptions
) -> None:
    first, *others = (told(caption(emotional_pair, 4, options, haste)[0]) for haste in range(4))
    assert all(other == first for other in others)


@pytest.mark.parametrize("place", [0, 1, 2, None])
def test_a_correction_at_each_place_and_a_block_accepted_whole(pair: Pair, place: int | None) -> None:
    """Accepted whole, what was drafted ahead is the next block; corrected, no more than what stands again is."""

    def answer(request: VerifyRequest) -> Verdict:
        accepted = len(request.draft) if place is None else min(place, len(request.draft))
        failed = accepted < len(request.draft)
        judged = tuple(Judgement(1, 0.5, ((i, 0.5),)) for i in request.draft[: accepted + failed])
        new = (request.draft[accepted] + 1) % 300 if failed else None
        return Verdict(request.sequence, request.revision, accepted, new, None, judged, (), 0.0)

    code = encode_waveform(utterance(1, 0.5).samples, pair.edge.features)
    made: list[list[Event]] = []
    for ahead in (False, True):
        steps = Steps() if ahead else None
        drafter = StreamDrafter(pair.edge) if steps is None else WatchedDrafter(pair.edge, steps)
        link = ScheduledLink(answer, steps, random.Random(0))
        options = DecodingOptions(gate="always", k=3, max_tokens=12, ahead=ahead)
        made.append(list(decode(code, "aa", drafter, link, options)))
    assert close(told(made[1]), told(made[0]))
    drafted = [event for event in made[1] if isinstance(event, TokenDrafted)]
    assert any(event.ahead for event in drafted) == (place is None)


def test_what_was_done_ahead_is_counted(pair: Pair) -> None:
    events, _ = caption(pair, 3, SETTINGS[0])
    builder = ResultBuilder()
    began = CaptionStarted(0.0, "aa", 0.5, 16_000, "en", "ugsd", SETTINGS[0].to_dict(), {}, 300)
    for event in (began, *events):
        builder.feed(event)
    result = builder.result()
    assert check_identities(result) == []
    drafted = [event for event in events if isinstance(event, TokenDrafted)]
    tokens, used = result.ahead["tokens"], result.ahead["used"]
    assert tokens == sum(getattr(event, "tokens_ahead", 0) for event in events) > 0
    assert used == sum(event.ahead for event in drafted) <= tokens
    assert result.ahead["wasted"] == tokens - used
    clocks = result.to_dict()["clocks"]["ahead"]
    assert clocks["tokens"] == tokens and set(clocks["definitions"]) == set(result.ahead)
    assert sum(block.tokens_ahead for block in result.blocks) == tokens


def test_the_page_on_ratios_and_clocks_says_what_drafted_ahead_means() -> None:
    page = (Path(__file__).parents[1] / "docs/explanation/ratios-and-clocks.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` | {sentence} |" in page for name, sentence in AHEAD_DEFINITIONS.items())


# ── What goes wrong on the way ────────────────────────────────────────────────────────────────────────────────────

LOW = ids("the", "voice", "is", "low", "and", "slow", ".", fakes.END)


class Failing(LocalLink):
    """Raises instead of judging."""

    at_hand = False

    def __init__(self, error: BaseException) -> None:
        super().__init__(ScriptedVerifier(LOW))
        self.error = error
        self.closed = 0
        self.open_now = threading.Event()

    def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
        raise self.error

    def close(self) -> None:
        self.closed += 1
        self.open_now.set()


def test_what_fails_in_the_asking_thread_is_told_in_the_captions_own() -> None:
    def run(error: BaseException) -> list[Event]:
        options = DecodingOptions(gate="always", k=4)
        return list(decode(fakes.code(), "aa", ScriptedDrafter(LOW), Failing(error), options))

    with pytest.raises(HandshakeRefused, match="no such rule"):
        run(ProtocolError("no such rule", UNKNOWN_RULE))
    with pytest.raises(ZeroDivisionError):
        run(ZeroDivisionError())
    assert [e.kind for e in run(VerifierUnavailable("gone"))].count("verifier_lost") == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError()])
def test_an_edge_that_breaks_off_while_it_works_ahead_ends_the_asking_thread_too(error: BaseException) -> None:
    class Endless(Failing):
        def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
            assert self.open_now.wait(30.0)  # until the connection is closed beneath it
            raise VerifierUnavailable("closed")

    class Breaking(ScriptedDrafter):
        def begin(self, *args: Any) -> Any:
            draft = super().begin(*args)

            def ahead(revision: int, stop: Callable[[], bool]) -> int:
                raise error

            draft.ahead = ahead  # type: ignore[method-assign]
            return draft

    link = Endless(error)
    with pytest.raises(type(error)):
        list(decode(fakes.code(), "aa", Breaking(LOW), link, DecodingOptions(gate="always", k=4)))
    assert link.closed == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "verdict"]


@pytest.mark.parametrize("kind", [BlockEscalated, BlockJudged])
def test_a_caption_that_is_closed_leaves_no_thread(pair: Pair, kind: type[Any]) -> None:
    steps = Steps()
    code = encode_waveform(utterance(0, 0.5).samples, pair.edge.features)
    link = ScheduledLink(by_chance(pair, code, 5, SETTINGS[0]), steps, random.Random(0))
    events: Iterator[Event] = decode(code, "aa", WatchedDrafter(pair.edge, steps), link, SETTINGS[0])
    for event in events:
        if isinstance(event, kind):
            break
    events.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name == "verdict"]


# ── Nothing waits that need not ───────────────────────────────────────────────────────────────────────────────────


def test_tokens_read_together_predict_what_they_do_one_by_one_where_a_stream_says_so(pair: Pair) -> None:
    stream = pair.edge.open(encode_waveform(utterance(0, 0.5).samples, pair.edge.features), None, "en")
    assert stream.rows_agree
    rows = [stream.next_logits()]
    for _ in range(8):
        rows.append(stream.feed([int(rows[-1].argmax())], rows=1)[0])
    ids = stream.ids
    stream.truncate(0)
    np.testing.assert_allclose(stream.feed(ids, rows=9), np.stack(rows), atol=1e-5)


def test_over_a_slow_wire_captions_are_those_of_the_loop_that_waits(pair: Pair) -> None:
    options = preset("lossless", max_tokens=12)
    code = encode_waveform(utterance(2, 0.5).samples, pair.edge.features)
    drafter = StreamDrafter(pair.edge)
    with (
        serving(BatchedVerifier(pair.verifier)) as target,
        EmulatedLink(target, Conditions(20.0)) as wire,
        WebSocketLink(wire.address) as link,
    ):
        waiting = list(decode(code, "aa", drafter, link, options.changed(ahead=False)))
        working = list(decode(code, "ab", drafter, link, options))
    plain = [[e for e in run if not isinstance(e, FrameSent | VerifierReady)] for run in (working, waiting)]
    assert close(told(plain[0]), told(plain[1]))
    frames = [[e.message for e in run if isinstance(e, FrameSent)] for run in (working, waiting)]
    assert frames[0].count("verify") == frames[1].count("verify") == frames[0].count("verdict") > 0


def test_the_acoustic_code_is_on_its_way_before_the_edge_reads_it(pair: Pair) -> None:
    """Upload and the verifier's prefill run beside the edge's: here it reads nothing before the edge drafts."""
    drafted = threading.Event()

    class Patient(TorchVerifier):
        def open(self, request: OpenRequest) -> Any:
            assert drafted.wait(30.0), "the edge waits for the verifier's prefill"
            return super().open(request)

    seen: list[str] = []
    code = encode_waveform(utterance(2, 0.5).samples, pair.edge.features)
    with serving(Patient(pair.verifier)) as address, WebSocketLink(address) as link:
        for event in decode(code, "aa", StreamDrafter(pair.edge), link, preset("lossless", max_tokens=6)):
            seen.append(event.message if isinstance(event, FrameSent) else event.kind)
            if isinstance(event, TokenDrafted):
                drafted.set()
    assert seen.index("open") < seen.index("prefill_done") < seen.index("token_drafted") < seen.index("verify")
    assert "block_judged" in seen


def test_an_utterance_is_made_an_acoustic_code_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    from ugsd_core import captioner as module
    from ugsd_core.captioner import Captioner

    made: list[int] = []

    def counted(*args: Any) -> AcousticCode:
        made.append(1)
        return encode_waveform(*args)

    monkeypatch.setattr(module, "encode_waveform", counted)
    link = LocalLink(TorchVerifier(pair.verifier))
    list(Captioner(StreamDrafter(pair.edge), link).stream(utterance(1, 0.5), preset("lossless", max_tokens=6)))
    assert made == [1]


# ── Warm before the first visitor ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [TorchVerifier, BatchedVerifier])
def test_a_verifier_that_warms_up_reads_and_judges_in_both_languages(
    pair: Pair, kind: type[TorchVerifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    class Watched(kind):  # type: ignore[misc, valid-type]
        def open(self, request: OpenRequest) -> Any:
            done.append(request.language)
            return super().open(request)

        def _judge_first(self, held: Any, request: VerifyRequest) -> None:
            super()._judge_first(held, request)
            done.append("judged")

    Watched(pair.verifier).warm_up()
    assert done == ["en", "judged", "zh", "judged"]


def test_a_verifier_is_announced_when_it_is_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    from ugsd_core import batched_verifier
    from ugsd_core.cli import entry
    from ugsd_core.wire import foreground

    done: list[str] = []

    class Cold:
        def warm_up(self) -> None:
            done.append("warm")

    monkeypatch.setattr(batched_verifier, "load_verifier", lambda *args, **options: Cold())
    monkeypatch.setattr(foreground, "run_server", lambda *args, **options: done.append("announced") or 0)
    assert entry.main(["verifier", "--announce"]) == 0
    assert done == ["warm", "announced"]
