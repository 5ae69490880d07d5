"""Memory that runs out costs the block that needed it some time, and nobody else anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from tests.wire.fakes import EDGE, FakeUtterance, open_request, serving, verify
from tests.wire.test_operations import get, value
from tests.wire.test_sharing import SharedVerifier
from ugsd_core.batched_verifier import Outcome, Task
from ugsd_core.errors import VerifierBusy
from ugsd_core.messages import GenerateRequest, OpenRequest
from ugsd_core.wire import service as service_module
from ugsd_core.wire.client import WebSocketLink

ERRORS = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
]


@dataclass
class ShortOfMemory(SharedVerifier):
    """Raises the next few times when asked to open, or to work."""

    error: Exception = ERRORS[0]
    opening: int = 0
    working: int = 0

    def open(self, request: OpenRequest) -> FakeUtterance:
        if self.opening:
            self.opening -= 1
            raise self.error
        return super().open(request)

    def work_together(self, tasks: Sequence[Task]) -> list[Outcome]:
        if self.working:
            self.working -= 1
            raise self.error
        return super().work_together(tasks)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "EXHAUSTED_RETRY_MS", 20)


def linked(address: str, *names: str) -> WebSocketLink:
    link = WebSocketLink(address)
    link.connect(EDGE, {})
    for name in names:
        link.open(open_request(name))
        link.opened(name, 5.0)
    return link


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_pass_without_memory_is_asked_for_again_and_judged(error: Exception) -> None:
    verifier = ShortOfMemory(error=error)
    with serving(verifier) as address, linked(address, "u") as link:
        want = link.judge(verify("u", 0, (1, 2)), 5.0)
        ids = (want.replacement,)
        verifier.working = 2
        opened = len(verifier.opened_requests)
        again = link.judge(verify("u", 1, (3,), 0, ids), 5.0)
        assert again.sequence == 1 and again.replacement is not None
        assert verifier.working == 0 and len(verifier.opened_requests) > opened, "its state was read anew"
        assert link.judge(verify("u", 2, (3,), 1, (again.replacement,)), 5.0).sequence == 2
        text = get(address, "/metrics")[1]
        assert value(text, "ugsd_verifier_out_of_memory_total") == 2.0
        assert value(text, 'ugsd_verifier_requests_total{kind="verify",outcome="busy"}') == 2.0


def test_an_opening_without_memory_is_asked_for_again() -> None:
    verifier = ShortOfMemory(opening=1)
    with serving(verifier) as address, WebSocketLink(address) as link:
        link.connect(EDGE, {})
        link.open(open_request())
        assert link.judge(verify("u", 0, (1,)), 5.0).sequence == 0
        assert verifier.opening == 0
        verifier.opening = 1
        link.open(open_request("late", 1))
        with pytest.raises(VerifierBusy):
            link.opened("late", 5.0)
        assert link.judge(verify("late", 0, (1,)), 5.0).sequence == 0, "whether a block was on its way or not"


def test_recordings_that_nobody_asks_about_make_room_and_their_sessions_go_on() -> None:
    verifier = ShortOfMemory()
    with serving(verifier) as address, linked(address, "a", "b", "c") as others, linked(address, "u") as link:
        first = others.judge(verify("a", 0, (1,)), 5.0)
        verifier.working = 1
        assert link.judge(verify("u", 0, (1,)), 5.0).sequence == 0
        text = get(address, "/metrics")[1]
        assert value(text, "ugsd_verifier_evicted_total") >= 1.0
        for name in ("a", "b", "c"):
            ids = (first.replacement or first.bonus,) if name == "a" else ()
            assert others.judge(verify(name, 1, (1,), 0, ids), 5.0).sequence == 1
        assert value(get(address, "/metrics")[1], "ugsd_verifier_rebuilt_total") >= 2.0


def test_memory_that_stays_short_is_told_as_busy_and_the_server_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "EXHAUSTED_RETRY_MS", 5000)  # beyond the edge's deadline
    verifier = ShortOfMemory(working=10_000)
    with serving(verifier) as address, linked(address, "u") as link:
        with pytest.raises(VerifierBusy, match="short of memory"):
            link.judge(verify("u", 0, (1,)), 4.0)
        with pytest.raises(VerifierBusy):
            list(link.generate(GenerateRequest("u", 4, 0.0, 0), 5.0))
        verifier.working = 0
        assert link.judge(verify("u", 0, (1,)), 5.0).sequence == 0, "the same number may be asked again"
        assert get(address, "/readyz")[0] == 200


def test_a_verifier_that_shares_no_passes_does_the_same() -> None:
    from tests.wire.fakes import FakeVerifier

    failures: dict[int, Any] = {0: MemoryError()}

    class Once(FakeVerifier):
        def open(self, request: OpenRequest) -> FakeUtterance:
            if len(self.opened_requests) == 1:
                self.failures.clear()
            return super().open(request)

    with serving(Once(failures=failures)) as address, linked(address, "u") as link:
        assert link.judge(verify("u", 0, (1,)), 5.0).sequence == 0
