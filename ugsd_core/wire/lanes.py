"""A lane: the work of one opening of an utterance, in order, one piece at a time, off the event loop.

What the model has read of the utterance may be forgotten between two pieces of work, to make room for others. The lane
keeps the ids, so that it can have it read again and go on as if nothing had been; whoever asked notices the time only.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import replace
from time import perf_counter

from ugsd_core.batched_verifier import JudgeTask, StepTask, Written
from ugsd_core.errors import ProtocolError, VerifierBusy
from ugsd_core.messages import GeneratedToken, OpenRequest, Verdict, VerifyRequest
from ugsd_core.verifier import VerifierUtterance
from ugsd_core.wire.service import Service, size_of
from ugsd_core.wire.session import GenerateWork, JudgeWork, OpenWork, Work

__all__ = ["FeaturesNeeded", "FramesClosed", "Lane"]

#: Work that may wait in a lane; the session reads no further messages while it is full.
MAX_WAITING = 16


class FramesClosed(Exception):
    """Nobody is at the other end any more."""


class FeaturesNeeded(Exception):
    """An utterance was forgotten and so was its acoustic code: the edge has to send it again."""


class Lane:
    """The work of one opening.

    Args:
        service: The model, shared with all other lanes.
        session: Whose lane it is.
        done: Told each result: an `OpenedReply`, a `Verdict`, each `GeneratedToken`, and None after the last.
        failed: Told each exception; after a failed opening the lane does nothing more.
    """

    def __init__(
        self,
        service: Service,
        session: Hashable,
        done: Callable[[Work, object], Awaitable[None]],
        failed: Callable[[Work, Exception], Awaitable[None]],
    ) -> None:
        self._service = service
        self._session = session
        self._done = done
        self._failed = failed
        self._queue: asyncio.Queue[tuple[Work, threading.Event, float]] = asyncio.Queue(MAX_WAITING)
        self._given_up = threading.Event()
        self._utterance: VerifierUtterance | None = None
        #: The caption's ids that both sides agree on, as the model holds them or held them.
        self._ids: list[int] = []
        self._holds_ids = True
        self._task = asyncio.create_task(self._run())

    async def put(self, work: Work) -> None:
        """Add work; a caption being generated is given up, for whoever asked for it has gone on."""
        arrived = perf_counter()
        self._given_up.set()
        self._given_up = threading.Event()
        if not self._task.done():
            self._service.admission.enter(self._session)
            await self._queue.put((work, self._given_up, arrived))

    def stop(self) -> None:
        """Do nothing more. A forward pass that runs finishes in its thread, and its result is dropped."""
        self._given_up.set()
        self._task.cancel()

    async def finished(self) -> None:
        """Wait until the lane has ended."""
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def _forget(self) -> None:
        """Let go of what the model holds; the ids stay."""
        self._utterance = None
        self._holds_ids = not self._ids

    async def _run(self) -> None:
        try:
            while True:
                work, given_up, arrived = await self._queue.get()
                try:
                    await self._do(work, given_up, arrived)
                except FramesClosed:
                    return
                except Exception as error:
                    with contextlib.suppress(FramesClosed):
                        await self._failed(work, error)
                    if isinstance(work, OpenWork):
                        return
                finally:
                    self._service.admission.leave(self._session)
        finally:
            # Wakes a `put` that waits for room: nobody would take anything out any more.
            while not self._queue.empty():
                self._queue.get_nowait()
                self._service.admission.leave(self._session)
            self._utterance = None  # what the model holds for it goes now, whoever still holds the lane
            self._service.memory.release(self)
            self._service.made_room()

    async def _do(self, work: Work, given_up: threading.Event, arrived: float) -> None:
        memory = self._service.memory
        if isinstance(work, OpenWork):
            self._forget()
            memory.release(self)
            utterance = await self._open(work.request)
        elif self._utterance is None:
            if work.opening is None:
                raise FeaturesNeeded
            self._service.counters.rebuilt += 1
            utterance = await self._open(work.opening)
        else:
            utterance = self._utterance
            memory.pin(self)
        try:
            if isinstance(work, OpenWork):
                await self._done(work, utterance.opened)
            elif isinstance(work, JudgeWork):
                await self._done(work, await self._judge(work.request, utterance, arrived))
            else:
                await self._generate(work, utterance, given_up)
        except VerifierBusy:  # memory ran out, perhaps half way: it is read again when the edge asks again
            self._forget()
            raise
        finally:
            if self._utterance is None:
                memory.release(self)
            else:
                memory.hold(self, self._session, size_of(utterance), self._forget)
                memory.unpin(self)
            self._service.made_room()

    async def _open(self, request: OpenRequest) -> VerifierUtterance:
        self._utterance = await self._service.open(self._session, self, request, self._forget)
        return self._utterance

    async def _judge(self, request: VerifyRequest, utterance: VerifierUtterance, arrived: float) -> Verdict:
        """The verdict, and how long the request waited: behind the prefill, for a worker, for others to join."""
        asked = request
        if not self._holds_ids:
            if request.base > len(self._ids):
                raise ProtocolError(
                    f"the block builds on {request.base} tokens, but only {len(self._ids)} are held", "bad_base"
                )
            asked = replace(request, base=0, committed=(*self._ids[: request.base], *request.committed))
        found, began_s, _ = await self._service.row(self._session, JudgeTask(utterance, asked))
        verdict: Verdict = found
        self._ids[request.base :] = (*request.committed, *request.draft[: verdict.accepted])
        self._holds_ids = True
        return replace(verdict, queued_ms=(began_s - arrived) * 1e3)

    async def _generate(self, work: GenerateWork, utterance: VerifierUtterance, given_up: threading.Event) -> None:
        self._ids.clear()
        self._holds_ids = True
        if not self._service.batches:
            await self._generate_alone(work, utterance, given_up)
            return
        request = work.generate.request
        for position in range(request.max_tokens):
            found, _, _ = await self._service.row(self._session, StepTask(utterance, request, position))
            written: Written = found
            if given_up.is_set():
                return
            await self._done(work, written.token)
            if written.last:
                break
            self._ids.append(written.token.token_id)
        await self._done(work, None)

    async def _generate_alone(
        self, work: GenerateWork, utterance: VerifierUtterance, given_up: threading.Event
    ) -> None:
        loop = asyncio.get_running_loop()
        tokens: asyncio.Queue[GeneratedToken | None] = asyncio.Queue()

        # One thread for the whole caption: torch's inference mode belongs to a thread, and a generator that
        # enters it must not be continued in another.
        def write() -> None:
            try:
                iterator = utterance.generate(work.generate.request)
                for token in iterator:
                    if given_up.is_set():
                        break
                    loop.call_soon_threadsafe(tokens.put_nowait, token)
                close = getattr(iterator, "close", None)
                if close is not None:
                    close()
            finally:
                loop.call_soon_threadsafe(tokens.put_nowait, None)

        writing = asyncio.ensure_future(self._service.single(self._session, write))
        try:
            while (token := await tokens.get()) is not None:
                self._ids.append(token.token_id)
                await self._done(work, token)
            await writing
        finally:
            writing.cancel()
        del self._ids[-1:]  # the last one was written, but not read
        if not given_up.is_set():
            await self._done(work, None)
