"""What all sessions of a server share: one model, its workers, and a bound on what waits and on what is remembered.

Workers are threads. A worker takes what the `Scheduler` gives it, many blocks in one forward pass or one utterance to
open, and hands the outcomes back to the event loop in one go. Everything else here runs on the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

from ugsd_core.batched_verifier import JudgeTask, Task
from ugsd_core.batching import MAX_RETRY_MS, Admission, BatchLimits, Job, Scheduler
from ugsd_core.errors import VerifierBusy
from ugsd_core.exhaustion import exhausted
from ugsd_core.logs import places, told
from ugsd_core.memory import MemoryLedger
from ugsd_core.messages import OpenRequest, VerifyRequest
from ugsd_core.verifier import Verifier, VerifierUtterance
from ugsd_core.wire.measures import Measures
from ugsd_core.wire.messages import ErrorReply, Generate, Open

__all__ = ["HUNG_S", "Counters", "Service", "busy", "placement", "size_of"]

#: A worker that has been at one piece of work for so long hangs: the longest opening on two cores takes a third of it.
HUNG_S = 300.0
#: When to ask again for what memory ran out for; what was forgotten by then may make room.
EXHAUSTED_RETRY_MS = 500

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Counters:
    """What has been done since the start.

    Attributes:
        passes: Forward passes for blocks and tokens.
        rows: Blocks and tokens in them.
        tokens: Ids that went through them.
        opened: Utterances opened, rebuilt ones included.
        rebuilt: Utterances opened again after they had been forgotten.
        pass_ms: Time of all passes.
        open_ms: Time of all openings.
        out_of_memory: Pieces of work for which memory ran out.
    """

    passes: int = 0
    rows: int = 0
    tokens: int = 0
    opened: int = 0
    rebuilt: int = 0
    pass_ms: float = 0.0
    open_ms: float = 0.0
    out_of_memory: int = 0


@dataclass(eq=False, slots=True)
class _Order:
    """What a job asks for, and who waits for it."""

    call: Callable[[], Any] | None
    task: Task | None
    future: asyncio.Future[tuple[Any, float, float]]


class Service:
    """One verifier for many sessions. Made and used on the event loop; `close` ends its threads.

    Args:
        verifier: What judges. If it has ``work_together`` (`BatchingVerifier`), blocks share passes.
        limits: How it is shared.
        workers: Threads that run the model.
    """

    def __init__(self, verifier: Verifier, limits: BatchLimits | None = None, *, workers: int = 2) -> None:
        self.verifier = verifier
        self.limits = limits or BatchLimits()
        self.admission = Admission(self.limits)
        self.memory = MemoryLedger(int(self.limits.memory_mb * 1e6))
        self.counters = Counters()
        self.measures = Measures(checkpoint=verifier.info.name, **placement(verifier))
        self.measures.watch(self)
        self._together: Callable[[Sequence[Task]], list[Any]] | None = getattr(verifier, "work_together", None)
        rows = self.limits.rows if self._together is not None else 1
        self._scheduler = Scheduler(
            BatchLimits(rows=rows, tokens=self.limits.tokens, window_ms=self.limits.window_ms if rows > 1 else 0.0),
            workers,
        )
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._closed = False
        self._codes: dict[Hashable, frozenset[str]] = {}
        self._for_room: deque[asyncio.Future[None]] = deque()
        #: Since when each worker has been at what it does (s); those that wait are not in it.
        self._busy_since: dict[int, float] = {}
        self._threads = [
            threading.Thread(target=self._work, name=f"verifier-{number}", daemon=True) for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def batches(self) -> bool:
        """Whether blocks share passes."""
        return self._together is not None

    @property
    def waiting(self) -> int:
        """Jobs that no worker has taken yet."""
        return len(self._scheduler)

    def worker_states(self) -> dict[str, int]:
        """How many workers wait, work, hang (`HUNG_S`) and have died."""
        now_s, since = perf_counter(), dict(self._busy_since)
        alive = sum(thread.is_alive() for thread in self._threads)
        hung = sum(now_s - began_s > HUNG_S for began_s in since.values())
        dead = len(self._threads) - alive
        return {"idle": max(0, alive - len(since)), "busy": len(since) - hung, "hung": hung, "dead": dead}

    @property
    def sound(self) -> bool:
        """Whether no worker hangs or has died."""
        states = self.worker_states()
        return not states["hung"] and not states["dead"]

    def faults(self) -> list[str]:
        """Why nothing new should be sent here; empty if all is well."""
        states = self.worker_states()
        all_ = len(self._threads)
        found = [f"{states[state]} of {all_} workers {state}" for state in ("hung", "dead") if states[state]]
        return (["draining"] if self.measures.draining else []) + found

    async def single(self, session: Hashable, call: Callable[[], Any]) -> tuple[Any, float, float]:
        """Run a call in a worker; its result, and when it began and ended (s)."""
        return await self._run(session, call, None, 0)

    async def row(self, session: Hashable, task: Task) -> tuple[Any, float, float]:
        """Do a task, in company if there is any; its outcome, and when the pass began and ended (s)."""
        return await self._run(session, None, task, max(1, task.tokens))

    async def open(
        self, session: Hashable, key: Hashable, request: OpenRequest, forget: Callable[[], None]
    ) -> VerifierUtterance:
        """Open an utterance once there is memory for it; it is then in use (`MemoryLedger.unpin`) under ``key``."""
        while not self.memory.room():
            turn = self._loop.create_future()
            self._for_room.append(turn)
            await turn
        self.memory.reserve(key, session, forget)
        try:
            utterance, began_s, ended_s = await self.single(session, lambda: self.verifier.open(request))
        except BaseException:
            self.memory.release(key)
            self.made_room()
            raise
        self.counters.opened += 1
        self.counters.open_ms += (ended_s - began_s) * 1e3
        self.memory.hold(key, session, size_of(utterance), forget)
        self.memory.trim()
        opened: VerifierUtterance = utterance
        return opened

    def hold_codes(self, session: Hashable, sizes: dict[str, int], forget: Callable[[str], None]) -> None:
        """Count the acoustic codes of a session, and those alone."""
        for digest in self._codes.get(session, frozenset()) - sizes.keys():
            self.memory.release((session, digest))
        self._codes[session] = frozenset(sizes)
        for digest, size_bytes in sizes.items():
            self.memory.hold((session, digest), session, size_bytes, partial(forget, digest), small=True)
        self.memory.trim()

    def forget_codes(self, session: Hashable) -> None:
        """A session has ended."""
        for digest in self._codes.pop(session, frozenset()):
            self.memory.release((session, digest))

    def made_room(self) -> None:
        """Something in use is free to go: whoever waits for memory looks again."""
        self.memory.trim()
        while self._for_room:
            turn = self._for_room.popleft()
            if not turn.done():
                turn.set_result(None)

    def close(self) -> None:
        """Take no more work and wait for the workers; what was not begun is dropped. Not for the event loop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    async def _run(
        self, session: Hashable, call: Callable[[], Any] | None, task: Task | None, tokens: int
    ) -> tuple[Any, float, float]:
        future: asyncio.Future[tuple[Any, float, float]] = self._loop.create_future()
        job = Job(session, _Order(call, task, future), tokens)
        with self._changed:
            self._scheduler.add(job, perf_counter())
            self._changed.notify()
        try:
            return await future
        except asyncio.CancelledError:
            job.cancelled = True
            raise

    # ── Workers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _work(self) -> None:
        try:
            while self._step():  # a call of its own: a worker that waits must not hold on to what it did last
                pass
        except BaseException as error:  # a bug, or an exit that a plug-in asked for: readiness and watchdog see it
            kind, trace = type(error).__name__, places(error.__traceback__)
            logger.critical("A worker died of %s.", kind, extra=told("worker_died", error=kind, trace=trace))
        finally:
            self._busy_since.pop(threading.get_ident(), None)

    def _step(self) -> bool:
        """Do what is next; False when this worker is to end."""
        jobs = self._take()
        if jobs is None:
            return False
        orders: list[_Order] = [job.work for job in jobs]
        began_s = self._busy_since[threading.get_ident()] = perf_counter()
        try:
            outcomes = self._done(orders)
        except Exception as error:
            outcomes = [error] * len(orders)
        ended_s = perf_counter()
        del self._busy_since[threading.get_ident()]
        with self._changed:
            self._scheduler.finished(jobs)
            if jobs[0].is_row:
                self._count(jobs, ended_s - began_s)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._deliver, orders, outcomes, began_s, ended_s)
        return True

    def _deliver(self, orders: list[_Order], outcomes: list[Any], began_s: float, ended_s: float) -> None:
        self.admission.took((ended_s - began_s) * 1e3 / len(orders))
        if any(isinstance(outcome, Exception) and exhausted(outcome) for outcome in outcomes):
            outcomes = self._relieved(outcomes)
        for order, outcome in zip(orders, outcomes, strict=True):
            if order.future.done():  # given up
                continue
            if isinstance(outcome, Exception):
                order.future.set_exception(outcome)
            else:
                order.future.set_result((outcome, began_s, ended_s))

    def _relieved(self, outcomes: list[Any]) -> list[Any]:
        """Make room after memory has run out; whoever's work that was may ask again."""
        lost = [isinstance(outcome, Exception) and exhausted(outcome) for outcome in outcomes]
        self.counters.out_of_memory += sum(lost)
        freed_mb = self.memory.relieve() / 1e6
        self.made_room()
        logger.error(
            "Memory ran out for %d requests; %.0f MB of other recordings were let go. A lower --memory-mb, fewer "
            "--batch-rows or a smaller --dtype leaves more.",
            sum(lost),
            freed_mb,
            extra=told("out_of_memory", requests=sum(lost), freed_mb=round(freed_mb, 1)),
        )
        retry_ms = min(MAX_RETRY_MS, EXHAUSTED_RETRY_MS)
        # New ones: those that were raised hold on to the tensors of their frames.
        return [
            VerifierBusy(f"The verifier is short of memory; ask again in {retry_ms} ms.", retry_ms / 1e3)
            if gone
            else outcome
            for gone, outcome in zip(lost, outcomes, strict=True)
        ]

    def _take(self) -> list[Job] | None:
        """Jobs for this worker; None when it is to end."""
        with self._changed:
            while not self._closed:
                found = self._scheduler.take(perf_counter())
                if isinstance(found, list):
                    return found
                self._changed.wait(found)
            return None

    def _done(self, orders: list[_Order]) -> list[Any]:
        """The outcome of each order; exceptions among them."""
        first = orders[0]
        if first.call is not None:
            return [first.call()]
        tasks = [order.task for order in orders if order.task is not None]
        if self._together is not None:
            return self._together(tasks)
        task = tasks[0]
        assert isinstance(task, JudgeTask), "a verifier that shares no passes writes its captions by itself"
        return [task.utterance.judge(task.request)]

    def _count(self, jobs: list[Job], took_s: float) -> None:
        self.counters.passes += 1
        self.counters.rows += len(jobs)
        self.counters.tokens += sum(job.tokens for job in jobs)
        self.counters.pass_ms += took_s * 1e3


def placement(verifier: Verifier) -> dict[str, str]:
    """Device and number format of a verifier, where it has any."""
    model = getattr(getattr(verifier, "model", None), "model", None)
    found = {name: getattr(model, name, "") for name in ("device", "dtype")}
    return {name: str(value).removeprefix("torch.") for name, value in found.items()}


def size_of(utterance: VerifierUtterance) -> int:
    """What an utterance takes, as far as its verifier says."""
    return int(getattr(utterance, "size_bytes", 0))


def busy(message: Open | VerifyRequest | Generate, retry_after_ms: int, *, limited: bool = False) -> ErrorReply:
    """The answer to a request for which there is no room, or which this client may not make yet (``limited``)."""
    code = "limited" if limited else "busy"
    why = "This client asks more often than it may" if limited else "More is waiting at the verifier than it takes in"
    sentence = f"{why}; ask again in {retry_after_ms} ms."
    match message:
        case Open():
            return ErrorReply(code, sentence, message.utterance, retry_after_ms=retry_after_ms)
        case VerifyRequest():
            return ErrorReply(code, sentence, message.utterance, message.sequence, retry_after_ms=retry_after_ms)
        case Generate():
            name = message.request.utterance
            return ErrorReply(code, sentence, name, stream=message.stream, retry_after_ms=retry_after_ms)
