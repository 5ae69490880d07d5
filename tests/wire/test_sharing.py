"""One model for many sessions: passes that are shared, back-pressure, and memory that comes and goes unnoticed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.conftest import Pair
from tests.tiny import utterance
from tests.wire.fakes import (
    EDGE,
    END,
    FakeUtterance,
    FakeVerifier,
    make_code,
    open_request,
    serving,
    verify,
)
from tests.wire.test_link import OPTIONS, caption
from ugsd_core.batched_verifier import BatchedVerifier, JudgeTask, Outcome, Task, Written
from ugsd_core.batching import BatchLimits
from ugsd_core.captioner import Captioner
from ugsd_core.drafter import StreamDrafter
from ugsd_core.errors import VerdictTimeout, VerifierBusy
from ugsd_core.messages import GeneratedToken, GenerateRequest, OpenRequest
from ugsd_core.options import preset
from ugsd_core.result import caption_result
from ugsd_core.verifier import LocalLink, TorchVerifier
from ugsd_core.wire import server as server_module
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.service import Service

UTTERANCE_BYTES = 1_000_000


@dataclass
class SharedVerifier(FakeVerifier):
    """A fake whose passes are shared, and whose utterances say that they take a megabyte.

    Attributes:
        passes: How many tasks each pass had.
    """

    passes: list[int] = field(default_factory=list)
    pass_s: float = 0.0

    def open(self, request: OpenRequest) -> FakeUtterance:
        held = super().open(request)
        held.size_bytes = UTTERANCE_BYTES  # type: ignore[attr-defined]
        return held

    def work_together(self, tasks: Sequence[Task]) -> list[Outcome]:
        self.passes.append(len(tasks))
        time.sleep(self.pass_s)
        return [self._outcome(task) for task in tasks]

    def _outcome(self, task: Task) -> Outcome:
        try:
            if isinstance(task, JudgeTask):
                return task.utterance.judge(task.request)
            wanted = task.utterance.wanted(task.position)  # type: ignore[attr-defined]
            token = GeneratedToken(task.position, wanted, 0.5, ((wanted, 0.5),), 0.25)
            return Written(token, wanted == END or task.position + 1 >= task.request.max_tokens)
        except Exception as error:
            return error


@contextmanager
def links(verifier: Any, count: int = 1, **limits: Any) -> Iterator[list[WebSocketLink]]:
    """Connected links to a server with limits."""
    with serving(verifier, limits=BatchLimits(**limits)) as address:
        made = [WebSocketLink(address) for _ in range(count)]
        try:
            for link in made:
                link.connect(EDGE, OPTIONS)
            yield made
        finally:
            for link in made:
                link.close()


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> list[Service]:
    """The services that servers make."""
    made: list[Service] = []

    class Kept(Service):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            made.append(self)

    monkeypatch.setattr(server_module, "Service", Kept)
    return made


def test_sessions_share_passes_and_get_what_they_get_alone(services: list[Service]) -> None:
    with links(FakeVerifier()) as (link,):
        alone = [caption(link, f"u{seed}", seed) for seed in range(6)]
    verifier = SharedVerifier(pass_s=0.02)
    with links(verifier, 6) as crowd, ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda seed: caption(crowd[seed], f"u{seed}", seed), range(6))) == alone
    assert max(verifier.passes) > 1
    assert services[1].counters.rows == sum(verifier.passes) and services[1].counters.passes == len(verifier.passes)


def test_captions_written_alone_share_passes_with_blocks() -> None:
    verifier = SharedVerifier(pass_s=0.005)
    with links(verifier, 3) as crowd, ThreadPoolExecutor(3) as pool:

        def write(seed: int) -> list[int]:
            crowd[seed].open(open_request("u", seed))
            return [token.token_id for token in crowd[seed].generate(GenerateRequest("u", 30, 0.0, 0), 5.0)]

        judged = pool.submit(caption, crowd[2], "u", 2)
        written = list(pool.map(write, range(2)))
        judged.result()
    for seed, ids in enumerate(written):
        held = FakeVerifier().open(open_request("u", seed))
        assert ids == [held.wanted(position) for position in range(30)]
    assert max(verifier.passes) > 1


def test_a_caption_given_up_lets_the_others_have_the_passes() -> None:
    verifier = SharedVerifier(pass_s=0.01)
    with links(verifier) as (link,):
        link.open(open_request())
        next(iter(link.generate(GenerateRequest("u", 1000, 0.0, 0), 5.0)))
        assert link.judge(verify("u", 0, (1,)), 5.0).sequence == 0
        count = len(verifier.passes)
        time.sleep(0.1)
        assert len(verifier.passes) <= count + 1


# ── Back-pressure ─────────────────────────────────────────────────────────────────────────────────────────────────


def waiting(service: Service, count: int) -> None:
    """Until so many requests wait."""
    deadline = time.monotonic() + 5.0
    while service.admission.total != count and time.monotonic() < deadline:
        time.sleep(0.005)
    assert service.admission.total == count


def test_a_verifier_that_is_full_says_so_before_any_work_and_the_edge_asks_again(services: list[Service]) -> None:
    gate = threading.Event()
    verifier = FakeVerifier(gate=gate)
    with links(verifier, 3, waiting=2) as crowd, ThreadPoolExecutor(3) as pool:
        try:
            for seed, link in enumerate(crowd):
                link.open(open_request("u", seed))
                link.opened("u", 5.0)
            asked = [pool.submit(link.judge, verify("u", 0, (1,)), 5.0) for link in crowd[:2]]
            waiting(services[0], 2)
            late = crowd[2]
            with pytest.raises(VerifierBusy) as caught:
                late.judge(verify("u", 0, (1,)), 0.02)
            assert caught.value.code == "busy" and caught.value.retry_after_s > 0.0
            late.open(open_request("x", 9))
            with pytest.raises(VerifierBusy):
                late.opened("x", 5.0)
            assert len(verifier.opened_requests) == 3 and verifier.judged == 0, "refused before any work"
            threading.Timer(0.1, gate.set).start()
            again = late.judge(verify("u", 0, (1,)), 5.0)
            assert again.sequence == 0, "the same number, as if it had not been asked before"
            assert late.judge(verify("x", 0, (1,)), 5.0).sequence == 0, "and what could not be opened is opened"
            assert [answer.result().sequence for answer in asked] == [0, 0]
        finally:
            gate.set()


def test_one_session_cannot_fill_the_line(services: list[Service]) -> None:
    gate = threading.Event()
    with links(FakeVerifier(gate=gate), 2, waiting_each=1) as (greedy, modest), ThreadPoolExecutor(1) as pool:
        try:
            for link, name in ((greedy, "a"), (greedy, "b"), (modest, "m")):
                link.open(open_request(name, ord(name)))
                link.opened(name, 5.0)
            with pytest.raises(VerdictTimeout):
                greedy.judge(verify("a", 0, (1,)), 0.05)
            waiting(services[0], 1)
            with pytest.raises(VerifierBusy):
                greedy.judge(verify("b", 0, (1,)), 0.02)
            asked = pool.submit(modest.judge, verify("m", 0, (1,)), 5.0)
            waiting(services[0], 2)
            gate.set()
            assert asked.result().sequence == 0
        finally:
            gate.set()


# ── Memory ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_forgotten_utterances_are_read_again_and_nobody_notices(services: list[Service]) -> None:
    """Three captions side by side in one session, with memory for one of them."""
    verifier = SharedVerifier()
    with links(verifier, memory_mb=1.5) as (link,):
        for seed in range(3):
            link.open(open_request(f"u{seed}", seed))
        ids: list[list[int]] = [[], [], []]
        bases = [0, 0, 0]
        for sequence in range(6):
            for seed in range(3):
                draft = (sequence % 3, 1)
                request = verify(f"u{seed}", sequence, draft, bases[seed], tuple(ids[seed][bases[seed] :]))
                verdict = link.judge(request, 5.0)
                ids[seed] += [*draft[: verdict.accepted]]
                bases[seed] = len(ids[seed])
                ids[seed] += [token for token in (verdict.replacement, verdict.bonus) if token is not None]
        for seed in range(3):
            held = FakeVerifier().open(open_request("u", seed))
            assert ids[seed] == [held.wanted(position) for position in range(len(ids[seed]))]
        counters, memory = services[0].counters, services[0].memory
        assert counters.rebuilt >= 12 and counters.opened == counters.rebuilt + 3
        assert memory.total_bytes <= 1.5e6 and memory.evicted >= 12
        assert not [frame for frame in link.take_frames() if frame.message == "need_features"]


def test_a_code_that_was_forgotten_is_asked_for_in_the_middle_of_a_caption(services: list[Service]) -> None:
    verifier = SharedVerifier()
    with links(verifier, memory_mb=1.001) as (link,):
        expected = FakeVerifier().open(open_request("u", 1))
        first = tuple(expected.wanted(position) for position in range(3))
        link.open(open_request("u", 1))
        assert link.judge(verify("u", 0, first[:2]), 5.0).accepted == 2
        link.open(open_request("other", 2))
        link.judge(verify("other", 0, (1,)), 5.0)
        link.take_frames()
        verdict = link.judge(verify("u", 1, (expected.wanted(3),), 2, (first[2],)), 5.0)
        assert (verdict.accepted, verdict.bonus) == (1, expected.wanted(4))
        told = [frame.message for frame in link.take_frames()]
        assert told == ["verify", "need_features", "open", "opened", "verdict"]
        assert list(link.generate(GenerateRequest("other", 3, 0.0, 0), 5.0))[2].token_id == FakeVerifier().open(
            open_request("other", 2)
        ).wanted(2)


def test_memory_is_known_for_each_session_and_goes_with_it(services: list[Service]) -> None:
    with links(SharedVerifier(), 2) as (first, second):
        for link, count in ((first, 2), (second, 1)):
            for seed in range(count):
                link.open(open_request(f"u{seed}", seed))
                link.opened(f"u{seed}", 5.0)
        memory = services[0].memory
        code = len(make_code(0).payload)
        sizes = sorted(memory.bytes_of(owner) for owner in set(memory._owners))
        assert sizes == [UTTERANCE_BYTES + code, 2 * (UTTERANCE_BYTES + code)]
        first.close_utterance("u0")
        second.close()
        deadline = time.monotonic() + 5.0
        while memory.total_bytes != UTTERANCE_BYTES + 2 * code and time.monotonic() < deadline:
            time.sleep(0.01)
        assert memory.total_bytes == UTTERANCE_BYTES + 2 * code


def test_real_captions_with_memory_for_hardly_any_equal_those_alone(pair: Pair, services: list[Service]) -> None:
    """Six captions at once, each block of which may find its utterance forgotten."""
    verifier = BatchedVerifier(pair.verifier)
    options = [preset("lossless", k=3, max_tokens=12), preset("paper", rank=60, tau=4.0, max_tokens=12)] * 3

    def alone(seed: int) -> tuple[int, ...]:
        made = Captioner(StreamDrafter(pair.edge), LocalLink(TorchVerifier(pair.verifier)))
        return caption_result(made.stream(utterance(seed, 0.5), options[seed])).token_ids

    expected = [alone(seed) for seed in range(6)]
    with serving(verifier, limits=BatchLimits(memory_mb=0.1)) as address:

        def in_a_crowd(seed: int) -> tuple[int, ...]:
            with WebSocketLink(address) as link:
                made = Captioner(StreamDrafter(pair.edge), link)
                return caption_result(made.stream(utterance(seed, 0.5), options[seed])).token_ids

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(in_a_crowd, range(6))) == expected
    assert services[0].counters.rebuilt > 0


def test_queued_ms_ends_where_the_pass_begins() -> None:
    """Half a second of waiting for a worker is not the block's pass."""

    class Slow(SharedVerifier):
        def open(self, request: OpenRequest) -> FakeUtterance:
            time.sleep(0.3 if request.code == make_code(5) else 0.0)
            return super().open(request)

    with serving(Slow(pass_s=0.05), workers=1) as address, WebSocketLink(address) as link:
        link.connect(EDGE, OPTIONS)
        link.open(open_request("u", 0))
        link.judge(verify("u", 0, (1,)), 5.0)
        link.open(open_request("slow", 5))
        verdict = link.judge(verify("u", 1, (1,)), 5.0)
        assert verdict.queued_ms > 200.0
        assert replace(verdict, queued_ms=0.0).verify_ms == 0.25, "as the pass says"
