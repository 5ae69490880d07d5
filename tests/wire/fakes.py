"""A verifier without a model, and helpers to serve it. Its answers depend on nothing but what it is asked."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ugsd_core.acoustic import AcousticCode
from ugsd_core.errors import ProtocolError
from ugsd_core.messages import (
    GeneratedToken,
    GenerateRequest,
    Judgement,
    OpenedReply,
    OpenRequest,
    Verdict,
    VerifierInfo,
    VerifyRequest,
)
from ugsd_core.wire.server import serve

VOCABULARY = 600
END = VOCABULARY - 1
INFO = VerifierInfo("fake", "a" * 64, "b" * 64, VOCABULARY)
EDGE = VerifierInfo("fake edge", "a" * 64, "b" * 64, VOCABULARY)


def make_code(seed: int = 0, n_frames: int = 50, n_mels: int = 80, bits: int = 4) -> AcousticCode:
    """A code of random levels."""
    features = np.random.default_rng(seed).uniform(-0.5, 1.5, (n_mels, n_frames)).astype(np.float32)
    return AcousticCode.quantise(features, bits)


def open_request(utterance: str = "u", seed: int = 0, **changes: Any) -> OpenRequest:
    values: dict[str, Any] = {
        "utterance": utterance,
        "language": "en",
        "prompt": None,
        "code": make_code(seed),
        "acceptance": "greedy",
        "rank": 1,
        "probability": 0.3,
        "bonus": True,
        "top_k": 2,
    }
    return OpenRequest(**values | changes)


def verify(
    utterance: str, sequence: int, draft: tuple[int, ...], base: int = 0, committed: tuple[int, ...] = ()
) -> VerifyRequest:
    return VerifyRequest(utterance, sequence, sequence, base, committed, draft)


@dataclass
class FakeVerifier:
    """Wants a caption that follows from the acoustic code alone.

    Attributes:
        delays_s: Extra time for single sequence numbers.
        failures: Exceptions for single sequence numbers; -1 stands for opening.
        gate: If set, `judge` waits for it.
        opened_requests: What reached the verifier.
    """

    info: VerifierInfo = INFO
    delays_s: dict[int, float] = field(default_factory=dict)
    failures: dict[int, Exception] = field(default_factory=dict)
    gate: threading.Event | None = None
    judged: int = 0
    generated: int = 0
    token_s: float = 0.0
    opened_requests: list[OpenRequest] = field(default_factory=list)

    def open(self, request: OpenRequest) -> FakeUtterance:
        self.opened_requests.append(request)
        if -1 in self.failures:
            raise self.failures[-1]
        return FakeUtterance(self, request)


@dataclass
class FakeUtterance:
    verifier: FakeVerifier
    request: OpenRequest
    busy: threading.Lock = field(default_factory=threading.Lock)
    held: list[int] = field(default_factory=list)

    @property
    def opened(self) -> OpenedReply:
        return OpenedReply(self.request.utterance, self.request.code.n_frames, 1.5)

    def wanted(self, position: int) -> int:
        if position >= 40:
            return END
        digest = hashlib.sha256(f"{self.request.code.sha256},{position}".encode()).digest()
        return int.from_bytes(digest[:4], "big") % END

    def judge(self, request: VerifyRequest) -> Verdict:
        assert self.busy.acquire(blocking=False), "two threads judge one utterance"
        try:
            return self._judge(request)
        finally:
            self.busy.release()

    def _judge(self, request: VerifyRequest) -> Verdict:
        verifier = self.verifier
        if verifier.gate is not None:
            assert verifier.gate.wait(5.0)
        time.sleep(verifier.delays_s.get(request.sequence, 0.0))
        if request.sequence in verifier.failures:
            raise verifier.failures[request.sequence]
        if request.base > len(self.held):
            raise ProtocolError("base lies beyond what is held", "bad_base")
        verifier.judged += 1
        self.held = [*self.held[: request.base], *request.committed]
        start = len(self.held)
        judged, accepted, replacement, bonus = [], 0, None, None
        for offset, token in enumerate(request.draft):
            wanted = self.wanted(start + offset)
            judged.append(Judgement(1 if token == wanted else 7, 0.5, ((wanted, 0.5), (0, 0.25))))
            if token != wanted:
                replacement = wanted
                break
            accepted += 1
        bonus_top: tuple[tuple[int, float], ...] = ()
        if replacement is None and self.request.bonus:
            bonus = self.wanted(start + accepted)
            bonus_top = ((bonus, 0.75),)
        return Verdict(request.sequence, request.revision, accepted, replacement, bonus, tuple(judged), bonus_top, 0.25)

    def generate(self, request: GenerateRequest) -> Iterator[GeneratedToken]:
        for position in range(request.max_tokens):
            self.verifier.generated += 1
            time.sleep(self.verifier.token_s)
            token = self.wanted(position)
            yield GeneratedToken(position, token, 0.5, ((token, 0.5),), 0.25)
            if token == END:
                return


@contextlib.contextmanager
def serving(verifier: Any, **options: Any) -> Iterator[str]:
    """Serve in a thread; gives the address."""
    ready = threading.Event()
    found: dict[str, Any] = {}

    async def main() -> None:
        stop = asyncio.Event()
        found["loop"], found["stop"] = asyncio.get_running_loop(), stop

        def on_ready(address: str) -> None:
            found["address"] = address
            ready.set()

        await serve(verifier, on_ready=on_ready, stop=stop, **options)

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            found["error"] = error
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(5.0)
    if "address" not in found:
        thread.join()
        raise found["error"]
    try:
        yield found["address"]
    finally:
        found["loop"].call_soon_threadsafe(found["stop"].set)
        thread.join(5.0)
        assert not thread.is_alive()
        if "error" in found:
            raise found["error"]
